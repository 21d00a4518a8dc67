"""Every error Vallum raises on purpose; all of them derive from `VallumError`.

A message names the option, the place and what to do about it. Secrets never appear in one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

_PLACE = re.compile(r"^(?P<file>.*?):(?P<line>\d+)(?::(?P<column>\d+))?$", re.DOTALL)


class VallumError(Exception):
    """The root of all errors of this package."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a configuration."""

    path: str
    """Dotted path of the option, arrays from 0: `authentication[0].secret`; '' for syntax."""
    problem: str
    """What is wrong and what to write instead."""
    origin: str | None = None
    """`FILE:LINE:COLUMN`, or the name of an environment variable; None when there is no place."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.origin, self.path, self.problem) if part)

    @property
    def sort_key(self) -> tuple[int, str, int, int, str]:
        """Order faults as an editor would walk them: by file, line, column; placeless ones last."""
        if self.origin is None:
            return (2, "", 0, 0, self.path)
        place = _PLACE.match(self.origin)
        if place is None:
            return (1, self.origin, 0, 0, self.path)
        return (0, place["file"], int(place["line"]), int(place["column"] or 0), self.path)


class ConfigError(VallumError):
    """The configuration cannot be used; nothing was started or changed.

    `str()` shows every fault, one a line, sorted by file and line. `path`, `problem` and `origin`
    are those of the first.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(
            sorted(dict.fromkeys(faults), key=lambda fault: fault.sort_key)
        )
        if not self.faults:
            self.faults = (Fault("", "the configuration cannot be used"),)
        super().__init__(self.faults)

    @classmethod
    def of(cls, path: str, problem: str, *, origin: str | None = None) -> ConfigError:
        """Make an error of a single fault."""
        return cls([Fault(path, problem, origin)])

    @property
    def path(self) -> str:
        """Dotted path of the first fault."""
        return self.faults[0].path

    @property
    def problem(self) -> str:
        """What is wrong in the first fault."""
        return self.faults[0].problem

    @property
    def origin(self) -> str | None:
        """Place of the first fault."""
        return self.faults[0].origin

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


class AclError(VallumError):
    """An acl.conf text is refused, as a whole (spec/authorization.md section 5)."""

    def __init__(self, line: int, column: int, expected: str) -> None:
        self.line, self.column, self.expected = line, column, expected
        super().__init__(line, column, expected)

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.expected}"


class ExpressionError(VallumError):
    """An expression gave no value; the codes are those of spec/expressions.md section 4.1."""

    SYNTAX: ClassVar[str] = "syntax"

    def __init__(self, code: str, detail: str = "") -> None:
        self.code, self.detail = code, detail
        super().__init__(code, detail)

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class BrokerError(VallumError):
    """The broker could not start, stop or carry out a command."""
