"""Environment overrides (spec/management.md section 2.2).

`VALLUM_LISTENERS__TCP__DEFAULT__BIND=1884` and the same with `EMQX_` set one option: `__` separates
the parts of its path, the name is lower-cased, elements of arrays are numbered from 1. Precedence,
lowest first: the files, `EMQX_` variables, `VALLUM_` variables; within a prefix in alphabetical
order of the names. The value is read as HOCON, else taken as plain text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from vallum.config.hocon import MAX_DEPTH, Node, ObjectNode, Origin, read_value
from vallum.config.hocon.source import Report
from vallum.config.hocon.tree import merge

PREFIXES = ("EMQX_", "VALLUM_")
"""The later one wins."""


def apply(
    tree: ObjectNode, env: Mapping[str, str], roots: Collection[str], report: Report
) -> list[str]:
    """Lay the overrides in `env` over `tree`; the names applied, in order.

    Variables of other roots are left alone, since both prefixes serve other purposes too; only a
    `VALLUM_` one with `__` in it is surely meant for us and gets a warning.
    """
    applied: list[str] = []
    for prefix in PREFIXES:
        for name in sorted(name for name in env if name.startswith(prefix)):
            steps = [step.lower() for step in name.removeprefix(prefix).split("__")]
            if steps[0] not in roots:
                if prefix == "VALLUM_" and len(steps) > 1:
                    _warn_unknown(name, steps[0], roots, report)
                continue
            if steps == ["security_profile"] and not env[name].strip():
                continue  # empty means unset for this one (section 2.3)
            if "" in steps or len(steps) > MAX_DEPTH:
                report.fault("not a path: names are separated by '__'", Origin(env=name))
                continue
            _lay(tree, name, steps, env[name], report)
            applied.append(name)
    return applied


def _lay(tree: ObjectNode, name: str, steps: list[str], text: str, report: Report) -> None:
    origin = Origin(env=name)
    value: Node = read_value(text, name, report)
    for step in reversed(steps):
        value = ObjectNode({step: value}, origin, {step: origin})
    problems: list[tuple[Origin, str]] = []
    merge(tree, value, problems)
    for place, problem in problems:
        report.fault(problem, place)


def _warn_unknown(name: str, root: str, roots: Collection[str], report: Report) -> None:
    close = get_close_matches(root, roots, 1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    report.warn(f"'{root}' is not a root of the configuration{hint}", Origin(env=name))
