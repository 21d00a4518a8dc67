"""The tables of cases in `tests/data`, and what a row means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data"


def load(name: str) -> Any:
    """A table as it stands in its file."""
    return json.loads((DATA / name).read_text())


def parameters(cases: list[dict[str, Any]], key: str) -> list[Any]:
    """A parameter a row, named by its number and its `key`."""
    return [
        pytest.param(case, id=f"{n}:{case[key]}"[:60].encode("ascii", "replace").decode())
        for n, case in enumerate(cases)
    ]
