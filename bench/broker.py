"""A broker under measurement: a private process on a free loopback port, on one core.

A `Recipe` says how to start one; `Running` is one that runs. Every broker gets a directory of its
own that goes with it, no persistence, and no limit that its settings allow to lift.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 20.0
"""A broker that does not accept after this long has failed."""
STOP_SECONDS = 10.0
"""One that has not ended this long after SIGTERM is killed."""


@dataclass(frozen=True)
class Recipe:
    """How to start a broker."""

    name: str
    version: str
    command: Callable[[Path, int], list[str]]
    """Given a directory for its files and a port: what to run."""


class Running:
    """A broker that runs from entering to leaving the context."""

    def __init__(self, recipe: Recipe, cpu: int) -> None:
        self.recipe = recipe
        self.name = recipe.name
        self._cpu = cpu
        self._directory = tempfile.TemporaryDirectory(prefix="vallum-bench-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        """The process."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    def __enter__(self) -> Self:
        directory = Path(self._directory.name)
        self.port = _free_port()
        log = directory / "output.log"
        command = ["taskset", "-c", str(self._cpu), *self.recipe.command(directory, self.port)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_SECONDS
        while not _accepts(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")[-2000:]
                self.__exit__(None, None, None)
                raise RuntimeError(f"{self.name} did not start: {said}")
            time.sleep(0.02)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._directory.cleanup()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
