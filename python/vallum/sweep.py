"""Taking out retained messages that have expired (`retainer.msg_clear_interval`)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol


class DataPlane(Protocol):
    """What holds the messages."""

    def sweep_retained(self) -> int:
        """Take out what has expired; how many."""


class RetainedSweep:
    """One sweep after the other, in a thread of its own: a large store takes a while."""

    def __init__(self, data_plane: DataPlane, interval: timedelta) -> None:
        self._data_plane = data_plane
        self._task: asyncio.Task[None] | None = None
        self.set(interval)

    def set(self, interval: timedelta) -> None:
        """Sweep that often from now on; 0 is never."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if interval > timedelta(0):
            self._task = asyncio.get_running_loop().create_task(
                self._run(interval.total_seconds()), name="sweep retained messages"
            )

    async def stop(self) -> None:
        """Sweep no more, and wait until no sweep runs."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._data_plane.sweep_retained)
