"""What the broker says about itself below `$SYS/brokers/NODE/` (spec/management.md section 8.4).

Messages that come again and again are made only while somebody subscribes to something below
`$SYS`. Who connects and disconnects is said by the data plane (`rust/broker/src/presence.rs`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from vallum import _core
from vallum.config.models import SysTopics

KEPT_SECONDS = 3600
"""Life of the messages that are kept; they are sent anew long before."""

Message = tuple[str, str, bool, int | None]
"""Topic, text, whether it is kept, seconds it lives."""


class DataPlane(Protocol):
    """What takes the messages, and knows what they are about."""

    def system_subscriptions(self) -> int:
        """Number of subscriptions below `$SYS`."""

    def publish_system(self, messages: Sequence[Message]) -> None:
        """Publish messages of the broker."""

    def statistics(self) -> list[tuple[str, int]]:
        """Counters and gauges by name."""


class SystemMessages:
    """The two timers behind the messages."""

    def __init__(
        self, data_plane: DataPlane, loop: asyncio.AbstractEventLoop, node: str, topics: SysTopics
    ) -> None:
        self._data_plane, self._loop = data_plane, loop
        self._node, self._prefix = node, f"$SYS/brokers/{node}/"
        self._began = time.monotonic()
        self._handles: dict[str, asyncio.TimerHandle] = {}
        self.set(topics)

    def set(self, topics: SysTopics) -> None:
        """Go by these intervals from now on, and say at once what is kept."""
        self.close()
        self._every("messages", topics.sys_msg_interval, self._say_what_is_counted)
        self._every("heartbeat", topics.sys_heartbeat_interval, self._beat)
        if topics.sys_msg_interval is not None:
            self._data_plane.publish_system(self._kept())

    def close(self) -> None:
        """Say nothing more."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _every(self, name: str, interval: timedelta | None, say: Callable[[], None]) -> None:
        if interval is None:
            return
        seconds = interval.total_seconds()

        def again() -> None:
            self._handles[name] = self._loop.call_later(seconds, again)
            say()

        self._handles[name] = self._loop.call_later(seconds, again)

    def _kept(self) -> list[Message]:
        return [
            ("$SYS/brokers", self._node, True, KEPT_SECONDS),
            (f"{self._prefix}version", _core.__version__, True, KEPT_SECONDS),
            (f"{self._prefix}sysdescr", "Vallum", True, KEPT_SECONDS),
        ]

    def _say_what_is_counted(self) -> None:
        messages = self._kept()
        if self._data_plane.system_subscriptions():
            for name, value in self._data_plane.statistics():
                group = "stats" if name.endswith((".count", ".max")) else "metrics"
                topic = f"{self._prefix}{group}/{name.replace('.', '/')}"
                messages.append((topic, str(value), False, None))
        self._data_plane.publish_system(messages)

    def _beat(self) -> None:
        if not self._data_plane.system_subscriptions():
            return
        uptime = int((time.monotonic() - self._began) * 1000)
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        self._data_plane.publish_system(
            [
                (f"{self._prefix}uptime", str(uptime), False, None),
                (f"{self._prefix}datetime", now, False, None),
            ]
        )
