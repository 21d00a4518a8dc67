"""Make `docs/reference/conformance.md` of `conformance.toml` beside it, for `docs/generate.py`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "reference" / "conformance.toml"
PAGE = DATA.with_suffix(".md")

INTRODUCTION = """\
# Conformance

<!-- Made by docs/generate.py from conformance.toml; do not edit. -->

Every normative statement of MQTT 5.0 and MQTT 3.1.1 (Appendix B of each), where it is enforced and
which test fails if it is not. A statement on clients says what the broker does when a client breaks
it. The words are ours; the standards hold.

A test is named as pytest names it; those in `.rs` files are run by `cargo test`.
"""

SECTIONS = {
    "1.5": "Data representation",
    "2.1": "Fixed header",
    "2.2": "Variable header",
    "2.3": "Variable header",
    "3.1": "CONNECT",
    "3.2": "CONNACK",
    "3.3": "PUBLISH",
    "3.4": "PUBACK",
    "3.5": "PUBREC",
    "3.6": "PUBREL",
    "3.7": "PUBCOMP",
    "3.8": "SUBSCRIBE",
    "3.9": "SUBACK",
    "3.10": "UNSUBSCRIBE",
    "3.11": "UNSUBACK",
    "3.12": "PINGREQ",
    "3.14": "DISCONNECT",
    "3.15": "AUTH",
    "4.1": "Session state",
    "4.2": "Network connections",
    "4.3": "Quality of Service",
    "4.4": "Delivery retry",
    "4.5": "Message receipt",
    "4.6": "Message ordering",
    "4.7": "Topic names and filters",
    "4.8": "Shared subscriptions",
    "4.9": "Flow control",
    "4.12": "Enhanced authentication",
    "4.13": "Errors",
    "6.0": "WebSocket",
    "7.0": "Conformance",
    "7.1": "Conformance",
}
OTHERWISE = {("3.1.1", "2.2"): "Fixed header", ("3.1.1", "4.8"): "Errors"}
"""Sections of the older standard that have another number in the newer one."""


@dataclass(frozen=True)
class Statement:
    """One row of the data."""

    version: str
    number: str
    says: str
    broken: str | None = None
    """Of a statement on clients: what the broker does when one breaks it."""
    where: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    without: str | None = None
    """Why there is nothing to test."""
    pending: str | None = None
    """The test file that will have its test."""

    @property
    def section(self) -> str:
        """Heading of the section: two numbers."""
        number = ".".join(self.number.split("-")[0].split(".")[:2])
        title = OTHERWISE.get((self.version, number)) or SECTIONS[number]
        return f"{number} {title}"


@dataclass(frozen=True)
class Departure:
    """An option, or a bound it sets, that departs from the standard."""

    option: str
    does: str
    statements: tuple[str, ...]
    """Numbers in MQTT 5.0."""


def _tables() -> dict[str, dict[str, Any]]:
    with DATA.open("rb") as file:
        return tomllib.load(file)


def departures() -> list[Departure]:
    """Every option that departs from the standard."""
    return [
        Departure(option, row["does"], tuple(row["statements"]))
        for option, row in _tables()["options"].items()
    ]


def load() -> list[Statement]:
    """Every statement, in the order of the file."""
    tables = _tables()
    del tables["options"]
    return [
        Statement(version, number, **{key: _frozen(value) for key, value in row.items()})
        for version, rows in tables.items()
        for number, row in rows.items()
    ]


def _frozen(value: str | list[str]) -> str | tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else value


def render() -> str:
    """The text of the page."""
    statements = load()
    parts = [INTRODUCTION, *_departures()]
    for version, rows in groupby(statements, lambda statement: statement.version):
        if version == "3.1":
            parts.append("## MQTT 3.1\n")
            parts.append(
                "Not an OASIS standard, and without numbered statements; as 3.1.1 but for this.\n"
            )
            parts.append(_table(list(rows)))
            continue
        parts.append(f"## MQTT {version}\n")
        for section, group in groupby(rows, lambda statement: statement.section):
            parts.append(f"### {version}: {section}\n")
            parts.append(_table(list(group)))
    return "\n".join(parts)


def _departures() -> Iterator[str]:
    yield "## Options that depart from it\n"
    yield "| option | what it does | statement of MQTT 5.0 |\n|---|---|---|"
    for row in departures():
        names = ", ".join(f"`{name}`" for name in row.option.split(", "))
        numbers = ", ".join(f"MQTT-{number}" for number in row.statements)
        yield f"| {names} | {row.does} | {numbers} |"
    yield ""


def _table(rows: list[Statement]) -> str:
    lines = ["| statement | what it asks | where | tests |", "|---|---|---|---|"]
    for row in rows:
        cells = (_name(row), _says(row), _list(row.where), " ".join(_tests(row)))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _name(row: Statement) -> str:
    return row.number if row.version == "3.1" else f"MQTT-{row.number}"


def _says(row: Statement) -> str:
    return (
        row.says if row.broken is None else f"{row.says}. *When a client breaks it:* {row.broken}"
    )


def _tests(row: Statement) -> Iterator[str]:
    if row.without is not None:
        yield f"none: {row.without}"
    elif row.pending is not None:
        yield f"pending: `{row.pending}`"
    else:
        yield _list(row.tests)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
