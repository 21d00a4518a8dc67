"""The reader: the table of spec/management.md 1.1, places, includes, and texts that are broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hocon_rows import REFUSED, ROWS, Row
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vallum.config.hocon import ArrayNode, Node, ObjectNode, read_file, read_text
from vallum.config.hocon.source import MAX_BYTES, Report


def with_nulls(node: Node) -> Any:
    if isinstance(node, ObjectNode):
        return {key: with_nulls(value) for key, value in node.fields.items()}
    if isinstance(node, ArrayNode):
        return [with_nulls(item) for item in node.items]
    return node.value


def read(text: str, base_dir: Path = Path("nowhere")) -> tuple[Any, list[str], list[str]]:
    report = Report()
    tree = read_text(text, report, base_dir)
    return (
        with_nulls(tree),
        [str(f) for f in report.all_faults()],
        [str(w) for w in report.warnings],
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_table(row: Row) -> None:
    value, faults, _ = read(row.text)
    got = REFUSED if faults else value
    assert repr(got) == repr(row.vallum)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_never_differs_where_the_reference_gives_a_value(row: Row) -> None:
    if row.emqx is not REFUSED:
        assert repr(row.vallum) == repr(row.emqx)


FAULTS = [
    ("a = 'x'", "1:5", "double quotes"),
    ('a = "x\nb = 1', "1:5", "not closed"),
    ('a = 1\nb = """x', "2:5", "not closed"),
    ("a = {\n b = 1\n", "3:1", "opened in line 1"),
    ("a = [1, 2\nb = 3", "2:1", "expected ',' or ']'"),
    ("a = 1\n}\n", "2:1", "expected a key"),
    ("a = \nb = 1", "2:1", "expected a value"),
    ("enable true", "1:1", "expected '='"),
    ("x = nth(1, 2)", "1:8", "double quotes"),
    ("a = ${b}", "1:5", "cannot resolve ${b}"),
    ("a = ${", "1:5", "double quotes"),
    ("a += 1", "1:3", "'+='"),
    ("_a = 1", "1:1", "must be in double quotes"),
    ('a"b" = 1', "1:2", "'.'"),
    (r'a = "\uD800"', "1:5", "surrogate"),
    ("a = " + "9" * 50, "1:5", "digits"),
    ("a = 1.5e999", "1:5", "too large"),
    ("a = [1]\na.4 = 2", "2:1", "no element 4"),
    ("[1, 2]", "1:1", "not an array"),
    ("a = 1\r\nb = 2\rc = =\n", "3:5", "expected a value"),
]


@pytest.mark.parametrize(("text", "place", "problem"), FAULTS)
def test_fault_has_place(text: str, place: str, problem: str) -> None:
    _, faults, _ = read(text)
    assert len(faults) == 1
    assert faults[0].startswith(f"<text>:{place}: ")
    assert problem in faults[0]


def test_all_faults_of_a_text() -> None:
    _, faults, _ = read("a = 'x'\nb {\n c = ]\n d = 1\n}\ne = ${\n_f = 1\n")
    assert [fault.split(": ")[0] for fault in sorted(faults)] == [
        "<text>:1:5",
        "<text>:3:6",
        "<text>:6:5",
        "<text>:7:1",
    ]


def test_joined_texts_warn() -> None:
    value, faults, warnings = read("a = b\nc\nd = [x\ny]\ne = ${a}z")
    assert (value, faults) == ({"a": "bc", "d": ["xy"], "e": "bcz"}, [])
    assert [warning.split(": ")[0] for warning in warnings] == ["<text>:2:1", "<text>:4:1"]


def test_values_know_their_place() -> None:
    report = Report()
    tree = read_text('a {\n  b = [1,\n    {c = "x"}]\n}\n', report, Path())
    a = tree.fields["a"]
    assert isinstance(a, ObjectNode)
    b = a.fields["b"]
    assert isinstance(b, ArrayNode)
    assert str(a.key_origins["b"]) == "<text>:2:3"
    assert str(b.items[1].origin) == "<text>:3:5"


def test_substitutions_merge_and_join() -> None:
    text = """
    base { x = 1, y { z = 2 } }
    over = ${base} { x = 3 }
    list = [1] [2] ${more}
    more = [3]
    path = "/a"
    path = ${path}"/b"
    copy = ${base.y.z}
    item = ${list.2}
    opt = ${?nothing}${path}
    """
    value, faults, _ = read(text)
    assert faults == []
    assert value["over"] == {"x": 3, "y": {"z": 2}}
    assert value["list"] == [1, 2, 3]
    assert (value["path"], value["copy"], value["item"], value["opt"]) == ("/a/b", 2, 2, "/a/b")


@pytest.mark.parametrize(
    "text",
    [
        "x { a = ${x} }",
        "a = ${a}",
        "a = [${a}]",
        "a = ${b.c}\nb = ${a}",
        "a = {b = 1} x",
        "a = [1] ${b}\nb = {}",
    ],
)
def test_cycles_and_mixtures_are_faults(text: str) -> None:
    assert read(text)[1]


# -- includes ---------------------------------------------------------------------------------


def test_include(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "main.conf").write_text(
        'a = 1\ninclude "sub/one.conf"\nx { include required("sub/two.conf") }\nb = 9\n'
    )
    (tmp_path / "sub" / "one.conf").write_text('a = 2, b = 3\ninclude "two.conf"\n')
    (tmp_path / "sub" / "two.conf").write_bytes(b"\xef\xbb\xbfc = ${d}, d = 4\n")
    report = Report()
    tree = read_file(tmp_path / "main.conf", report)
    assert report.faults == []
    assert with_nulls(tree) == {"a": 2, "b": 9, "c": 4, "d": 4, "x": {"c": 4, "d": 4}}
    assert str(tree.key_origins["c"]) == f"{tmp_path}/sub/two.conf:1:1"


def test_include_directories(tmp_path: Path) -> None:
    (tmp_path / "f.conf").write_text("a = 1")
    report = Report()
    tree = read_text('include "f.conf"', report, tmp_path / "elsewhere", [tmp_path])
    assert with_nulls(tree) == {"a": 1}


def test_missing_include_warns(tmp_path: Path) -> None:
    _, faults, warnings = read('include "gone.conf"', tmp_path)
    assert faults == []
    assert warnings == ['<text>:1:1: "gone.conf" does not exist: nothing was included']


def test_include_ring_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text('include "link.conf"')
    (tmp_path / "link.conf").symlink_to(tmp_path / "b.conf")
    (tmp_path / "b.conf").write_text('x = 1\ninclude "a.conf"')
    report = Report()
    read_file(tmp_path / "a.conf", report)
    assert [str(fault).split(": ")[1] for fault in report.faults] == [
        "files include each other in a ring"
    ]


@pytest.mark.parametrize("content", [b"a = \xff", b"a = 1\nb = [", b"x = '1'"])
def test_faults_name_the_included_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.conf").write_bytes(content)
    _, faults, _ = read('include "bad.conf"', tmp_path)
    assert faults
    assert all(fault.startswith(f"{tmp_path}/bad.conf:") for fault in faults)


@pytest.mark.parametrize("name", ["", ".", "/dev/zero", "x\\u0000y", "x" * 5000])
def test_odd_include_names(tmp_path: Path, name: str) -> None:
    read(f'include "{name}"\ninclude required("{name}")', tmp_path)


# -- hostile texts ----------------------------------------------------------------------------

HOSTILE = [
    "[" * 100_000,
    "a=" + "[" * 100_000,
    "a {" * 50_000,
    "}" * 100_000,
    "a" + ".a" * 50_000 + " = 1",
    "a=${b}" * 5000,
    "a0=xxxxxxxxxx\n" + "\n".join(f"a{i}=${{a{i - 1}}}${{a{i - 1}}}" for i in range(1, 60)),
    "a0=[1,1]\n" + "\n".join(f"a{i}=[${{a{i - 1}}},${{a{i - 1}}}]" for i in range(1, 60)),
    "\n".join(f"a{i}=${{a{i + 1}}}" for i in range(5000)),
    "a = " + '"' * 100_000,
    "a = " + "'\n" * 50_000,
    "x" * (MAX_BYTES + 1),
    "a = \ud800",
    "\x00" * 1000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile(text: str) -> None:
    _, faults, _ = read(text)
    assert 0 < len(faults) <= 101


FRAGMENTS = st.sampled_from(
    [
        *"{}[](),:=+$#'\"\\.\n\t ~*/?",
        '"""',
        '"""~\n',
        '~"""',
        "${",
        "${?",
        "${a}",
        "${a.b}",
        "a",
        "a.b",
        "b",
        "1",
        "-1.5",
        "true",
        "null",
        "include ",
        'include "x"',
        "required(",
        "//",
        "\r",
        "\u2028",
        "\ufeff",
        '"a.b"',
        "é",
        "\\u12",
    ]
)


@settings(max_examples=600, deadline=None)
@given(st.lists(FRAGMENTS, max_size=40).map("".join) | st.text(max_size=60))
@example('{""={}\n')
def test_any_text_is_read_or_reported(text: str) -> None:
    value, faults, _ = read(text)
    assert isinstance(value, dict)
    assert all(isinstance(fault, str) for fault in faults)


SCALARS = (
    st.integers(-(10**15), 10**15)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: "." in repr(number))
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), JSON))
def test_json_is_hocon(document: dict[str, Any]) -> None:
    import json

    value, faults, _ = read(json.dumps(document))
    assert faults == []
    assert value == document
