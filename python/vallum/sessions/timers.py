"""The timers of sessions: credential expiry, session expiry, delayed wills.

The data plane says when a session comes and goes; here it is decided what is due when. A timer names
what it was armed for (an expiry, an offline time), and the data plane ignores one that comes too
late, so nothing is ever cancelled: what is void is skipped when its time comes.
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
        self._heap: list[tuple[float, int, str, SessionId, int]] = []
        self._sequence = 0
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")

    def __len__(self) -> int:
        return len(self._heap)

    def on_session_opened(self, event: Mapping[str, Any]) -> None:
        """Arm `disconnect_after_expire`."""
        expire_at = event["expire_at"]
        self._arm(float(expire_at), "expire", event["session"], expire_at)

    def on_session_closed(self, event: Mapping[str, Any]) -> None:
        """Arm the end of the session and its delayed will, whichever it has."""
        interval, epoch = event["expiry_interval"], event["offline_epoch"]
        now = time.time()
        if interval == 0:
            return
        if event["will_delay"] is not None and (interval is None or event["will_delay"] < interval):
            self._arm(now + event["will_delay"], "will", event["session"], epoch)
        if interval is not None:
            self._arm(now + interval, "end", event["session"], epoch)

    def _arm(self, at: float, kind: str, session: SessionId, what: int) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, kind, session, what))
        self._sleep()

    def _sleep(self) -> None:
        if not self._heap:
            return
        at = self._heap[0][0]
        if at >= self._armed_for:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = at
        delay = min(max(at - time.time(), 0.0), MAX_SLEEP)
        self._handle = self._loop.call_later(delay, self._wake)

    def _wake(self) -> None:
        self._handle = None
        self._armed_for = float("inf")
        now = time.time()
        while self._heap and self._heap[0][0] <= now:
            _, _, kind, session, what = heapq.heappop(self._heap)
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
