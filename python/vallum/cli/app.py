"""The commands as one program."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vallum.cli import acl, check, explain, expr, run, token
from vallum.cli.output import print_line

app = typer.Typer(
    name="vallum",
    help="An MQTT broker made for security.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("check")(check.check)
app.add_typer(explain.app, name="explain")
app.command("expr")(expr.expr)
app.add_typer(token.app, name="token")
app.add_typer(acl.app, name="acl")


def _version(wanted: bool) -> None:
    if wanted:
        from vallum._core import __version__

        print_line(f"vallum {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """An MQTT broker made for security: who may connect, as whom, for how long, and why."""


def main() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character gets its escape instead of a traceback.
            stream.reconfigure(errors="backslashreplace")
    app()
