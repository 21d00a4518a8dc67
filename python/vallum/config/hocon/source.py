"""A text with a name and line numbers, the place of a value, and the bounds of what is read.

Whatever goes wrong becomes a `Fault` in a `Report`; nothing in this package raises anything but
`ConfigError`, and that only at its entry points.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from vallum.errors import Fault

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of all files of one configuration together; more is refused before it is parsed."""
MAX_DEPTH = 64
"""Objects, arrays and key segments inside each other; deeper text is refused."""
MAX_FILES = 256
"""Files one configuration may include."""
MAX_FAULTS = 100
"""Faults kept; a text with more is not a configuration, and the rest is only counted."""

_LINE_END = re.compile("\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: a place in a file, or an environment variable."""

    file: str | None = None
    line: int = 0
    column: int = 0
    env: str | None = None

    def __str__(self) -> str:
        if self.env is not None:
            return f"environment variable {self.env}"
        return f"{self.file}:{self.line}:{self.column}"


class Report:
    """Collects faults and warnings while reading goes on."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self._unshown = 0

    def fault(self, problem: str, origin: Origin | None, path: str = "") -> None:
        """Note something that makes the configuration unusable."""
        self.add(Fault(path, problem, str(origin) if origin else None))

    def add(self, fault: Fault) -> None:
        """Note a fault."""
        if len(self.faults) >= MAX_FAULTS:
            self._unshown += 1
        else:
            self.faults.append(fault)

    def warn(self, problem: str, origin: Origin | None, path: str = "") -> None:
        """Note something an administrator should look at; at most as many as faults."""
        if len(self.warnings) < MAX_FAULTS:
            self.warnings.append(Fault(path, problem, str(origin) if origin else None))

    def all_faults(self) -> list[Fault]:
        """All faults, with a last one that counts those not kept."""
        if self._unshown:
            return [*self.faults, Fault("", f"{self._unshown} more faults are not shown")]
        return list(self.faults)


@dataclass(slots=True)
class Source:
    """A text under a name, which turns offsets into places."""

    name: str
    text: str
    env: str | None = None
    _starts: list[int] = field(default_factory=list)

    def origin(self, offset: int) -> Origin:
        """The place of `offset`; line and column count from 1."""
        if self.env is not None:
            return Origin(env=self.env)
        if not self._starts:
            self._starts = [0, *(end.end() for end in _LINE_END.finditer(self.text))]
        line = bisect_right(self._starts, offset)
        return Origin(self.name, line, offset - self._starts[line - 1] + 1)


def decode(data: bytes, name: str, report: Report) -> str | None:
    """Decode a file's bytes, dropping a byte order mark; None and a fault if they are not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        origin = Source(name, before).origin(len(before))
        report.fault("not UTF-8 text; save the file in that encoding", origin)
        return None


def read_bytes(path: Path, limit: int) -> bytes | str:
    """Read a regular file of at most `limit` bytes; a text says what went wrong.

    Devices and pipes are refused: reading them might never end.
    """
    try:
        if path.exists() and not path.is_file():
            return "not a regular file"
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        return error.strerror or "cannot be read"
    except ValueError:  # a NUL in the name
        return "not a valid file name"
    if len(data) > limit:
        return f"more than {limit} bytes"
    return data
