"""The timers of sessions: credential expiry, session expiry, delayed wills.

The data plane says when a session comes and goes; here it is decided what is due when. A timer
names what it was armed for (an expiry, an offline time), and the data plane ignores one that comes
too late, so a timer is never cancelled: what is void is skipped when its time comes, and swept out
when it makes up most of the heap.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Mapping
from typing import Any, Protocol

SessionId = tuple[int, int, int]
"""Loop, slot, generation."""

MAX_SLEEP = 3600.0
"""Seconds the one loop timer sleeps at most, so that a step of the system clock is noticed."""


_Timer = tuple[float, int, str, SessionId, int]
"""Unix time it is due, sequence, kind, session, the expiry or offline time it was armed for."""


class DataPlane(Protocol):
    """The orders that timers give."""

    def expire_credentials(self, session: SessionId, expire_at: int) -> None:
        """Disconnect a client whose credentials expired at `expire_at`, Unix seconds."""

    def end_session(self, session: SessionId, offline_epoch: int) -> None:
        """End a session that is still in this offline time."""

    def publish_will(self, session: SessionId, offline_epoch: int) -> None:
        """Publish the will of a session that is still in this offline time."""


class SessionTimers:
    """All timers in one heap behind one timer of the event loop."""

    def __init__(self, data_plane: DataPlane, loop: asyncio.AbstractEventLoop) -> None:
        self._data_plane = data_plane
        self._loop = loop
        self._heap: list[_Timer] = []
        self._valid: dict[SessionId, list[_Timer]] = {}
        self._sequence = 0
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")

    def __len__(self) -> int:
        """Count the timers that are still good."""
        return sum(map(len, self._valid.values()))

    def on_session_opened(self, event: Mapping[str, Any]) -> None:
        """Arm `disconnect_after_expire`; whatever was armed for the session before is void."""
        session, expire_at = event["session"], event["expire_at"]
        self._valid.pop(session, None)
        self._arm(float(expire_at), "expire", session, expire_at)

    def on_session_closed(self, event: Mapping[str, Any]) -> None:
        """Arm the end of the session and its delayed will, whichever it has."""
        session, interval, epoch = (
            event["session"],
            event["expiry_interval"],
            event["offline_epoch"],
        )
        self._valid.pop(session, None)
        self._sweep()
        if interval == 0:
            return
        now = time.time()
        will_delay = event["will_delay"]
        if will_delay is not None and (interval is None or will_delay < interval):
            self._arm(now + will_delay, "will", session, epoch)
        if interval is not None:
            self._arm(now + interval, "end", session, epoch)

    def _arm(self, at: float, kind: str, session: SessionId, what: int) -> None:
        self._sequence += 1
        timer = (at, self._sequence, kind, session, what)
        heapq.heappush(self._heap, timer)
        self._valid.setdefault(session, []).append(timer)
        self._sleep()

    def _sweep(self) -> None:
        """Drop void timers once they are most of the heap, so that it follows the live sessions."""
        if len(self._heap) > 1024 and len(self._heap) > 4 * len(self._valid):
            self._heap = [timer for timers in self._valid.values() for timer in timers]
            heapq.heapify(self._heap)

    def _sleep(self) -> None:
        if not self._heap or self._heap[0][0] >= self._armed_for:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = self._heap[0][0]
        delay = min(max(self._armed_for - time.time(), 0.0), MAX_SLEEP)
        self._handle = self._loop.call_later(delay, self._wake)

    def _wake(self) -> None:
        self._handle = None
        self._armed_for = float("inf")
        now = time.time()
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)
            _, _, kind, session, what = timer
            timers = self._valid.get(session, [])
            if timer not in timers:
                continue
            timers.remove(timer)
            if not timers:
                del self._valid[session]
            if kind == "expire":
                self._data_plane.expire_credentials(session, what)
            elif kind == "will":
                self._data_plane.publish_will(session, what)
            else:
                self._data_plane.end_session(session, what)
        self._sleep()

    def close(self) -> None:
        """Forget everything."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._heap.clear()
        self._valid.clear()
