"""What the documentation shows is true: configurations load, rules parse, programs run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer
from documents import ROOT, Block, blocks

from vallum import Pipeline
from vallum.acl import Rules
from vallum.cli.app import app
from vallum.config import load


@pytest.mark.parametrize("block", blocks("hocon"))
def test_configuration_compiles(block: Block, base_dir: Path) -> None:
    config = load(text=block.text, base_dir=base_dir, env={})
    assert not config.warnings
    Pipeline(config)


@pytest.mark.parametrize("block", blocks("acl"))
def test_rules_parse(block: Block) -> None:
    assert Rules.parse(block.text).warnings() == []


@pytest.mark.parametrize("block", blocks("python"))
def test_program_runs(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code = compile(block.text, f"{block.page}:{block.line}", "exec")
    exec(code, {"__name__": "__main__"})  # noqa: S102 - our own documentation


@pytest.mark.parametrize("block", blocks("console"))
def test_commands_parse(block: Block) -> None:
    commands = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
    assert commands
    for command in commands:
        for words in vallum_commands(command):
            parse(words)


def test_a_wrong_command_does_not_parse() -> None:
    (words,) = vallum_commands("""TOKEN=$(vallum token mint --nosuch "a | b") | cat""")
    assert words == ["token", "mint", "--nosuch", "a | b"]
    with pytest.raises(Exception, match="No such option"):
        parse(words)


def vallum_commands(line: str) -> list[list[str]]:
    """The arguments of every `vallum` in a line of shell, in substitutions and pipelines too."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>&;()")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|<>&;()"):
            found.append([])
        elif found[-1] or ("=" not in word and word != "$"):  # after NAME=value
            found[-1].append(word)
    return [words[1:] for words in found if words and Path(words[0]).name == "vallum"]


def parse(words: list[str]) -> None:
    """Parse a command line as the program does, without running it."""
    command, name, context = typer.main.get_command(app), "vallum", None
    while True:
        context = command.make_context(name, words, parent=context)
        if not hasattr(command, "resolve_command"):
            return
        words = [*context._protected_args, *context.args]
        found, command, words = command.resolve_command(context, words)
        name = found or ""
