"""The command `vallum` in a process of its own: run to its end, or a broker to talk to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import deadline

COMMAND = (sys.executable, "-m", "vallum")
PATIENCE = 6 * deadline.SECONDS
"""Seconds for a whole command: it starts an interpreter, and others run beside it."""

SECRET = "a-secret-of-the-tests-0123456789"
SECURED = f"""
listeners.tcp.default.bind = "127.0.0.1:0"
authentication = [{{
  mechanism = jwt, algorithm = hmac-based, secret = "{SECRET}"
  verify_claims {{ sub = "${{clientid}}" }}
}}]
authorization.sources = [{{ type = file, path = "acl.conf" }}]
"""
RULES = """%% Rules of the tests.
{deny, all, publish, ["closed/#"]}.
{allow, all, all, ["open/${clientid}/#"]}.
"""


@dataclass(frozen=True)
class Ended:
    """A command that came to its end."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        """Its answer in JSON."""
        return json.loads(self.out)


class Vallum:
    """Runs the command in a directory of the test, unaware of this machine's configuration."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data_dir = directory / "data" / "vallum"
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("VALLUM_", "EMQX_"))}
        self.env = {
            **kept,
            "XDG_DATA_HOME": str(directory / "data"),
            "VALLUM_LISTENERS__TCP__DEFAULT__BIND": "127.0.0.1:0",
            "COLUMNS": "200",
        }

    def __call__(self, *args: str | Path, stdin: str = "", **env: str) -> Ended:
        """Run a command to its end."""
        done = subprocess.run(
            [*COMMAND, *map(str, args)],
            input=stdin.encode(),
            capture_output=True,
            cwd=self.directory,
            env={**self.env, **env},
            timeout=PATIENCE,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def write(self, name: str, text: str) -> Path:
        """A file in the directory of the test."""
        path = self.directory / name
        path.write_text(text)
        return path

    @asynccontextmanager
    async def serving(
        self, *args: str | Path, patch: str = "", **env: str
    ) -> AsyncIterator[Serving]:
        """Run a broker until the test is done with it; `patch` is Python that runs before it."""
        patched = (sys.executable, "-c", f"{patch}\nfrom vallum.cli import main\nmain()")
        process = await asyncio.create_subprocess_exec(
            *(patched if patch else COMMAND),
            "run",
            *map(str, args),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.directory,
            env={**self.env, **env},
        )
        serving = Serving(process)
        try:
            yield serving
        finally:
            if process.returncode is None:
                process.kill()
            await serving.ended()


class Lines:
    """The lines of a stream as they come."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._over = False
        self._changed = asyncio.Condition()

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Take in everything, to the end."""
        async for line in stream:
            async with self._changed:
                self.seen.append(line.decode().rstrip("\n"))
                self._changed.notify_all()
        async with self._changed:
            self._over = True
            self._changed.notify_all()

    async def find(self, wanted: Callable[[str], bool]) -> str:
        """Wait for a line."""

        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self._over or any(map(wanted, self.seen)))
        found = next(filter(wanted, self.seen), None)
        assert found is not None, self.seen
        return found

    async def with_text(self, *parts: str) -> str:
        """Wait for a line that holds all of these."""
        return await self.find(lambda line: all(part in line for part in parts))


class Serving:
    """A running broker."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out, self.err = Lines(), Lines()
        assert process.stdout is not None
        assert process.stderr is not None
        self._reading = [
            asyncio.create_task(self.out.read(process.stdout)),
            asyncio.create_task(self.err.read(process.stderr)),
        ]

    async def port(self) -> int:
        """Wait until `tcp:default` accepts; its port."""
        line = await self.out.with_text("listening tcp:default ")
        return int(line.rpartition(":")[2])

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end; the exit code."""
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
            await asyncio.gather(*self._reading)
        return code
