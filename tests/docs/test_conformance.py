"""The table of the standards' statements is whole, and what it cites is there."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from functools import cache
from types import ModuleType

import pytest
from documents import ROOT, page


def _module() -> ModuleType:
    path = ROOT / "docs" / "conformance.py"
    spec = importlib.util.spec_from_file_location("conformance", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance"] = module
    spec.loader.exec_module(module)
    return module


CONFORMANCE = _module()
STATEMENTS = CONFORMANCE.load()
NUMBERS = json.loads((ROOT / "tests" / "data" / "mqtt_statements.json").read_text("utf-8"))
PENDING: set[str] = set()
"""Files that come with the features they test."""


def test_page_is_current() -> None:
    text = page("docs/reference/conformance.md")
    assert text == CONFORMANCE.render(), "run python docs/generate.py"


@pytest.mark.parametrize("version", ["5.0", "3.1.1"])
def test_every_statement_is_there_once(version: str) -> None:
    # A key that stands twice in a TOML table is an error of its own.
    known = [
        f"{section}-{number}"
        for section, (first, last) in NUMBERS[version].items()
        for number in range(first, last + 1)
    ]
    assert [row.number for row in STATEMENTS if row.version == version] == known


@pytest.mark.parametrize("row", STATEMENTS, ids=lambda row: f"{row.version}:{row.number}")
def test_row(row: object) -> None:
    assert isinstance(row, CONFORMANCE.Statement)
    assert row.says
    if row.without is not None:
        assert row.without
        assert (row.tests, row.pending) == ((), None)
        return
    assert row.where, "nothing enforces it"
    for cited in row.where:
        path, _, name = cited.partition("::")
        assert _defines(path, name), cited
    if row.pending is not None:
        assert row.pending in PENDING
        assert not row.tests
        assert not (ROOT / row.pending).exists(), f"{row.pending} is there: name its tests"
        return
    assert row.tests, "nothing tests it"
    for cited in row.tests:
        path, _, name = cited.partition("::")
        assert name in _tests_of(path), cited


def test_departures_name_statements() -> None:
    numbers = {row.number for row in STATEMENTS if row.version == "5.0"}
    cited = [number for row in CONFORMANCE.departures() for number in row.statements]
    assert cited
    assert set(cited) <= numbers


def test_what_is_not_there_is_found_missing() -> None:
    assert not _defines("rust/mqtt/src/packet/wire.rs", "nosuch")
    assert not _defines("rust/nosuch.rs", "string")
    assert "matches" not in _tests_of("rust/mqtt/src/topic/matcher.rs")
    assert "persistent" not in _tests_of("tests/broker/test_session.py")
    assert _tests_of("rust/mqtt/tests/nosuch.rs") == set()


@cache
def _text(path: str) -> str:
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.is_file() else ""


@cache
def _defines(path: str, name: str) -> bool:
    kinds = "fn|struct|enum|const|static|trait|type|def|class"
    return re.search(rf"\b(?:{kinds}) {re.escape(name)}\b", _text(path)) is not None


@cache
def _tests_of(path: str) -> set[str]:
    """Names of the tests of a file that its runner collects."""
    text = _text(path)
    if path.endswith(".rs"):
        return set(re.findall(r"#\[test\]\s+(?:#\[[^\]]*\]\s+)*fn (\w+)", text))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in ast.parse(text).body if isinstance(node, functions)}
    is_collected = path.startswith("tests/") and path.rpartition("/")[2].startswith("test_")
    return {name for name in names if name.startswith("test_")} if is_collected else set()
