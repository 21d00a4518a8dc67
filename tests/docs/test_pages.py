"""Pages agree with the code: nothing is missing from a reference, no link or path is dead."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import typer
from documents import PAGES, ROOT, page

from vallum import expr, jwt
from vallum.cli.app import app

RUST = {path: path.read_text(encoding="utf-8") for path in ROOT.glob("rust/*/src/**/*.rs")}


def test_configuration_page_is_current() -> None:
    path = ROOT / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", path)
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = generate
    spec.loader.exec_module(generate)
    assert page("docs/reference/config.md") == generate.render(), "run python docs/generate.py"


# -- expressions -------------------------------------------------------------------------------

ROWS = re.findall(
    r"^\| `(\w[\w.]*\(.*\))` \| `(.*?)` \| ", page("docs/reference/expressions.md"), re.M
)


@pytest.mark.parametrize(("expression", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_expression_gives_what_the_page_says(expression: str, expected: str) -> None:
    subject = "urn:test:unitid:1001010-1000010:clientid:test"
    token = jwt.mint({"sub": subject, "scp": "read openid", "aud": ["a", "mqtt"]}, "s")
    variables = {
        "clientid": "eu-17",
        "username": None,
        "client_attrs": {"site": "eu"},
        "password": token,
    }
    assert expr.evaluate(expression, variables) == expected


def test_every_function_has_a_row() -> None:
    built_in = re.compile(r'Builtin::new\(\s*"([\w.]+)"')
    names = {name for text in RUST.values() for name in built_in.findall(text)}
    assert len(names) > 70
    shown = "\n".join(expression for expression, _ in ROWS)
    assert {name for name in names if f"{name}(" not in shown} == set()


# -- reasons -----------------------------------------------------------------------------------

REASON_SOURCES = (
    r'Why::(?:new|with)\(\s*"(\w+)"',
    r'ReasonCode::\w+, "(\w+)"\)\)',
)


def test_every_reason_is_explained() -> None:
    found = {
        name
        for path, text in RUST.items()
        if "policy" in path.parts or "connection" in path.parts
        for pattern in REASON_SOURCES
        for name in re.findall(pattern, text)
    }
    for name in ("token/verify.rs", "acl/decide.rs"):  # enums with a name for each variant
        text = RUST[ROOT / "rust" / "policy" / "src" / name]
        found |= set(re.findall(r'Self::\w+ => "(\w+)",', text))
    found -= {"policy", "allow", "deny", "nomatch"}  # words of external stages, of verdicts
    assert {"bad_signature", "check_matched", "regex_limit_reached", "client_id_too_long"} < found
    text = page("docs/reference/reasons.md")
    assert {name for name in found if f"`{name}`" not in text} == set()


# -- commands ----------------------------------------------------------------------------------


SECTIONS = {
    section.split("\n", 1)[0].strip(): section
    for section in re.split(r"^## ", page("docs/reference/cli.md"), flags=re.MULTILINE)[1:]
}


def test_every_option_is_on_the_page_and_no_other() -> None:
    existing: dict[str, set[str]] = {name: set() for name in SECTIONS}
    for name, options in _commands():
        section = name if name in SECTIONS else name.rsplit(" ", 1)[0]  # explain: all in one
        existing[section].update(options)
    for section, text in SECTIONS.items():
        shown = set(re.findall(r"`(?:-\w`, `)?(--[a-z][a-z0-9-]*)", text))
        assert shown | {"--json"} == existing[section] | {"--json"}, section


def _commands() -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    waiting = [("vallum", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", None)
        if below is not None:
            waiting += [(f"{name} {each}", inner) for each, inner in below.items()]
            continue
        options = [
            option
            for parameter in command.params
            if parameter.param_type_name == "option" and not parameter.hidden
            for option in parameter.opts
            if option.startswith("--")
        ]
        found.append((name, options))
    assert len(found) >= 9
    return found


# -- links and paths ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        to = (path.parent / name).resolve() if name else path
        assert to.exists(), target
        if anchor:
            assert anchor in _anchors(to), target


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    slugs = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {slug.replace(" ", "-") for slug in slugs}


def test_paths_in_the_architecture_exist() -> None:
    text = page("docs/concepts/architecture.md") + page("docs/design.md")
    paths = re.findall(r"`((?:rust|python)/[\w./]+)`", text)
    assert len(paths) > 60
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_numbers_have_their_marks() -> None:
    readme = page("README.md")
    assert readme.count("<!-- bench -->") == readme.count("<!-- /bench -->") == 1
