"""Options that several commands have, and what their values stand for."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vallum.config import Config


def unix_time(text: str) -> float:
    """Read Unix seconds, or a time like `2026-01-31T12:00:00Z` (UTC unless it says otherwise)."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            problem = f"{text!r} is neither Unix seconds nor a time like 2026-01-31T12:00:00Z"
            raise typer.BadParameter(problem) from None
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds < 2**53:  # also refuses nan and inf
        raise typer.BadParameter(f"{text} is out of range: Unix seconds are not negative")
    return seconds


ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Configuration file."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Data directory, with the secret of the default."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
At = Annotated[
    float | None,
    typer.Option(
        metavar="TIME", parser=unix_time, help="Decide as of this time: Unix seconds or ISO 8601."
    ),
]


def load_config(file: Path | None, data_dir: Path | None) -> Config:
    """The configuration a command is about: of the file, else of the embedded default.

    Raises:
        ConfigError: it cannot be used.
    """
    if file is not None:
        from vallum.config import load

        return load(file)
    from vallum import embedded

    return embedded.config(data_dir or embedded.default_data_dir())


def read_input(name: str) -> bytes:
    """The bytes of a file, or of standard input for `-`.

    Raises:
        VallumError: it cannot be read.
    """
    from vallum.errors import VallumError

    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise VallumError(f"{name}: cannot be read: {error.strerror}") from None
