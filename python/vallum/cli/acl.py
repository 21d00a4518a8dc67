"""`vallum acl`: access rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from vallum.cli.options import Json
from vallum.cli.output import USAGE, complain, failures, print_json, print_line

app = typer.Typer(help="Access rules.", no_args_is_help=True)
_PLACE = re.compile(r"line (\d+), column (\d+): (.*)", re.DOTALL)


@app.callback()
def _acl() -> None:
    """Access rules."""


@app.command("lint")
def lint(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An acl.conf.")],
    json: Json = False,
) -> None:
    """Check an acl.conf: errors, and rules that do not do what they seem to."""
    from vallum.acl import AclError, Rules

    with failures(json):
        text = _read(file)
    fault: dict[str, Any] | None = None
    warnings: list[dict[str, Any]] = []
    try:
        warnings = [_warning(text) for text in Rules.parse(text).warnings()]
    except AclError as error:
        fault = {"line": error.line, "column": error.column, "problem": error.expected}
    if json:
        faults = [fault] if fault else []
        print_json({"ok": fault is None, "faults": faults, "warnings": warnings})
    else:
        for warning in warnings:
            complain(f"warning: {_shown(file, warning)}")
        if fault is not None:
            complain(_shown(file, fault))
        else:
            count = f"{len(warnings)} warning{'' if len(warnings) == 1 else 's'}"
            print_line(f"{file}: ok, {count}")
    raise typer.Exit(USAGE if fault else 0)


def _read(file: Path) -> str:
    """The text of the file, read as the broker reads it."""
    from pydantic import ValidationError

    from vallum.config.models import FileSource
    from vallum.errors import VallumError

    try:
        source = FileSource.check({"type": "file", "path": str(file.absolute())})
    except ValidationError as error:
        context = error.errors()[0].get("ctx", {})
        raise VallumError(context["faults"][0][1]) from None
    return source.rules or ""


def _warning(text: str) -> dict[str, Any]:
    found = _PLACE.fullmatch(text)
    if found is None:
        return {"line": None, "column": None, "problem": text}
    return {"line": int(found[1]), "column": int(found[2]), "problem": found[3]}


def _shown(file: Path, found: dict[str, Any]) -> str:
    place = f"{file}:{found['line']}:{found['column']}" if found["line"] else str(file)
    return f"{place}: {found['problem']}"
