"""The pages of the documentation, and what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/*.md"),
    ]
)

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    text: str


def blocks(language: str) -> list[object]:
    """Every block of a language, as parameters of a test named by page and line."""
    found = [block for page in PAGES for block in _blocks_of(page, language)]
    assert found, f"no page has a block of {language}"
    return [pytest.param(block, id=f"{block.page}:{block.line}") for block in found]


def _blocks_of(page: Path, language: str) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        if match[1] == language:
            line = text.count("\n", 0, match.start()) + 1
            yield Block(page.relative_to(ROOT).as_posix(), line, match[2])


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text(encoding="utf-8")
