"""The log as it is written, and a way to wait for a line of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from support import deadline


class Lines(list[dict[str, Any]]):
    """Lines so far, as `structlog.testing.capture_logs` has them."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def of(self, event: str) -> list[dict[str, Any]]:
        """The lines of this name."""
        return [line for line in self if line["event"] == event]

    async def until(self, event: str) -> dict[str, Any]:
        """Wait for the first line of this name."""
        async with asyncio.timeout(deadline.SECONDS):
            while not self.of(event):
                self._more.clear()
                await self._more.wait()
        return self.of(event)[0]

    def _take(self, _logger: Any, method: str, line: Any) -> Any:
        self.append({**line, "log_level": method})
        self._more.set()
        raise structlog.DropEvent


@contextmanager
def watched_log() -> Iterator[Lines]:
    """Take the lines this thread writes instead of writing them."""
    lines = Lines()
    processors = structlog.get_config()["processors"]
    before = [*processors]
    processors[:] = [lines._take]
    try:
        yield lines
    finally:
        processors[:] = before
