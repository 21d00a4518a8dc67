"""The examples: the article's texts unchanged, and programs that see what they expect."""

from __future__ import annotations

import asyncio
import sys

import pytest
from documents import ROOT

from vallum import Broker, Pipeline
from vallum.acl import Rules

EXAMPLES = ROOT / "examples"
ARTICLE = ROOT / "tests" / "config" / "data"


@pytest.mark.parametrize("name", ["story1.conf", "story2.conf"])
def test_configuration_compiles(name: str) -> None:
    Pipeline.from_file(EXAMPLES / name)


def test_rules_parse() -> None:
    assert Rules.parse((EXAMPLES / "acl.conf").read_text()).warnings() == []


@pytest.mark.parametrize(
    ("example", "printed"),
    [
        ("story1.conf", "story1.conf"),
        ("story2.conf", "story2.conf"),
        ("acl.conf", "story2_acl.conf"),
    ],
)
def test_the_article_is_unchanged(example: str, printed: str) -> None:
    assert (ARTICLE / printed).read_text().strip() in (EXAMPLES / example).read_text()


@pytest.mark.parametrize("story", ["story1", "story2"])
async def test_story_goes_as_told(story: str) -> None:
    text = (EXAMPLES / f"{story}.conf").read_text()
    address = "127.0.0.1:1883"
    assert address in text
    async with Broker.from_hocon(text.replace(address, "127.0.0.1:0"), base_dir=EXAMPLES) as broker:
        port = str(broker.listeners["tcp:default"].port)
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / f"{story}.py"), "--port", port),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, problems = await program.communicate()
    shown = output.decode()
    assert program.returncode == 0, problems.decode()
    told = (EXAMPLES / f"{story}.md").read_text()
    assert shown in told
