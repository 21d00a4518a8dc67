"""Answers as plain text or as JSON. Text of clients, tokens and files is never printed raw."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from vallum._printable import escaped
from vallum.errors import ConfigError, Fault, VallumError

YES, NO, USAGE = 0, 1, 2
"""Exit codes: yes; refused or not found; wrong usage or configuration."""


def print_json(value: Any) -> None:
    """Print one JSON value; byte strings become `{"$hex": ...}`."""
    from vallum._json import encode_bytes

    # Not as one line: it is for people too, and every JSON reader takes it.
    _print(json.dumps(value, indent=2, default=encode_bytes))


def print_json_line(value: Any) -> None:
    """Print one JSON value on one line, for commands whose answers come one after the other."""
    _print(json.dumps(value))


def print_line(text: str = "") -> None:
    """Print a line of an answer."""
    _print(escaped(text))


def print_text(text: str) -> None:
    """Print lines of an answer."""
    for line in text.splitlines():
        print_line(line)


def complain(text: str) -> None:
    """Print to standard error."""
    for line in text.split("\n"):
        _print(escaped(line), error=True)


def print_table(rows: Iterable[Sequence[str]]) -> None:
    """Print columns, aligned."""
    cells = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        _print("  ".join(padded).rstrip())


def print_faults(faults: Iterable[Fault], label: str = "") -> None:
    """Print faults to standard error, one a line, as `FILE:LINE:COLUMN: path: problem`."""
    for fault in faults:
        complain(f"{label}{fault}".replace("\n", "\\n"))


def as_objects(faults: Iterable[Fault]) -> list[dict[str, str | None]]:
    """Faults for JSON."""
    return [
        {"path": fault.path, "problem": fault.problem, "origin": fault.origin} for fault in faults
    ]


@contextmanager
def failures(as_json: bool) -> Iterator[None]:
    """Turn errors raised on purpose into an answer and exit code 2."""
    try:
        yield
    except VallumError as error:
        if isinstance(error, ConfigError):
            if not as_json:
                print_faults(error.faults)
            else:
                print_json({"error": "config", "faults": as_objects(error.faults)})
        elif as_json:
            print_json({"error": str(error)})
        else:
            complain(f"vallum: {error}")
        raise typer.Exit(USAGE) from None


def _print(text: str, *, error: bool = False) -> None:
    print(text, file=sys.stderr if error else sys.stdout, flush=True)
