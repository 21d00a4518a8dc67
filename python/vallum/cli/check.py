"""`vallum check`: can this configuration be used, and what in it deserves a look?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vallum.cli.options import ConfigFile, DataDir, Json
from vallum.cli.output import USAGE, as_objects, print_faults, print_json, print_line

if TYPE_CHECKING:
    from vallum.config import Config


def check(config: ConfigFile = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Check a configuration: every fault and warning, with its place. Nothing is started."""
    from vallum.errors import ConfigError
    from vallum.pipeline import compile_pipeline

    name = "the embedded default" if config is None else str(config)
    try:
        checked = _load(config, data_dir)
        compile_pipeline(checked)
    except ConfigError as error:
        if json:
            print_json({"ok": False, "faults": as_objects(error.faults), "warnings": []})
        else:
            print_faults(error.faults)
            count = len(error.faults)
            print_line(f"{name}: {count} {'fault' if count == 1 else 'faults'}")
        raise typer.Exit(USAGE) from None
    listeners = [f"{kind}:{name}" for kind, name, _ in checked.enabled_listeners()]
    if json:
        warnings = as_objects(checked.warnings)
        answer = {"ok": True, "profile": checked.profile, "listeners": listeners}
        print_json({**answer, "faults": [], "warnings": warnings})
    else:
        print_faults(checked.warnings, "warning: ")
        print_line(
            f"{name}: ok ({checked.profile} profile, {', '.join(listeners) or 'no listener'})"
        )


def _load(file: Path | None, data_dir: Path | None) -> Config:
    from vallum import embedded
    from vallum.config import load

    if file is not None:
        return load(file)
    data_dir = data_dir or embedded.default_data_dir()
    # Looking must not make a secret; without one all the rest can be checked nevertheless.
    exists = embedded.secret_file(data_dir).exists()
    return embedded.config(data_dir) if exists else embedded.draft()
