"""`vallum run`: start the broker."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vallum.cli.options import ConfigFile, DataDir, Json


def run(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Let everybody on this machine in. Not with -c.")
    ] = False,
    loops: Annotated[
        int, typer.Option(min=0, max=1024, help="Event loops; 0 is one per core.")
    ] = 0,
    log_format: Annotated[
        Literal["console", "json"] | None,
        typer.Option(help="Form of log lines; the configuration's if not given."),
    ] = None,
    json: Json = False,
) -> None:
    """Run the broker.

    Without a configuration file: on 127.0.0.1:1883, for clients with a token that is signed with a
    secret in the data directory. Commands that work are printed.
    """
    if anonymous and config is not None:
        raise typer.BadParameter("--anonymous is for running without -c; set enable_authn instead")
    from vallum import embedded
    from vallum.cli.program import Answers, Program

    program = Program(
        file=config,
        data_dir=data_dir or embedded.default_data_dir(),
        anonymous=anonymous,
        loops=loops,
        log_format=log_format,
        answers=Answers(json),
    )
    raise typer.Exit(program.run())
