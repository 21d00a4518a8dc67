"""The results table of spec/management.md section 1.1 as data, with the rows of 1.2 and 1.3.

`emqx` is what the reference's own parser answered; `vallum` differs only where reading more is
harmless (an unquoted address, a decimal duration), never where the reference gives a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class _Refused:
    def __repr__(self) -> str:
        return "REFUSED"


REFUSED = _Refused()


@dataclass(frozen=True)
class Row:
    name: str
    text: str
    emqx: Any
    vallum: Any


def row(name: str, text: str, emqx: Any, vallum: Any = ...) -> Row:
    return Row(name, text, emqx, emqx if vallum is ... else vallum)


ROWS = [
    row("duration-sum", "a = 1h30m", {"a": "1h30m"}),
    row("duration-decimal", "a = 1.5h", REFUSED, {"a": "1.5h"}),
    row("bytesize-with-blank", "a = 10 MB", REFUSED, {"a": "10MB"}),
    row("digits-then-letters", "a = 12abc", REFUSED, {"a": "12abc"}),
    row("duration-then-digits", "a = 5m5", REFUSED, {"a": "5m5"}),
    row("exponent-without-dot", "a = 1e3", REFUSED, {"a": 1000.0}),
    row("address-and-port", "a = 127.0.0.1:1883", REFUSED, {"a": "127.0.0.1:1883"}),
    row("any-address-and-port", "a = 0.0.0.0:1883", REFUSED, {"a": "0.0.0.0:1883"}),
    row("address", "a = 127.0.0.1", REFUSED, {"a": "127.0.0.1"}),
    row("port", "bind = 1883", {"bind": 1883}),
    row("url", "a = http://x/y", REFUSED, {"a": "http://x/y"}),
    row("path", "a = etc/acl.conf", REFUSED, {"a": "etc/acl.conf"}),
    row("colon", "a = x:y", REFUSED, {"a": "x:y"}),
    row("slash", "a = x/y", REFUSED, {"a": "x/y"}),
    row("node-name", "a = emqx@127.0.0.1", {"a": "emqx@127.0.0.1"}),
    row("dotted-text", "a = tcp.default", {"a": "tcp.default"}),
    row("adjacent-text", "a = b c", {"a": "bc"}),
    row("adjacent-text-lines", "a = b\nc", {"a": "bc"}),
    row("array-text-newline", "a = [x\ny]", {"a": ["xy"]}),
    row("array-text-blank", "a = [x y]", {"a": ["xy"]}),
    row("array-numbers-blank", "a = [1 2 3]", {"a": [1, 2, 3]}),
    row("array-objects-newline", "a = [{b=1}\n{c=2}]", {"a": [{"b": 1}, {"c": 2}]}),
    row("array-objects-same-line", "a = [{b=1}{c=2}]", {"a": [{"b": 1}, {"c": 2}]}),
    row("objects-merge", "a = {b=1} {c=2}", {"a": {"b": 1, "c": 2}}),
    row("last-wins", "a = 1\na = 2", {"a": 2}),
    row("deep-merge", "a {b=1}\na {c=2}", {"a": {"b": 1, "c": 2}}),
    row("arrays-replace", "a = [1,2]\na = [3]", {"a": [3]}),
    row("index-over-array", "a = [1,2]\na.1 = 9", {"a": [9, 2]}),
    row("index-map", "a.1 = x, a.2 = y", {"a": {"1": "x", "2": "y"}}),
    row("key-splits", "a.b = 1", {"a": {"b": 1}}),
    row("quoted-key-whole", '"a.b" = 1', {"a.b": 1}),
    row("key-starts-with-digit", "1.a = 2", REFUSED),
    row("key-starts-with-underscore", "_a = 1", REFUSED),
    row(
        "key-index-inside",
        "authentication.1.mechanism = jwt",
        {"authentication": {"1": {"mechanism": "jwt"}}},
    ),
    row("forward-reference", "a = ${b}\nb = 3", {"a": 3, "b": 3}),
    row("unresolved", "a = ${b}", REFUSED),
    row("cycle", "a = ${b}\nb = ${a}", REFUSED),
    row("optional-missing", "a = ${?b}", {}),
    row("optional-keeps-earlier", "a = 1\na = ${?b}", {"a": 1}),
    row("substitution-joined", 'p="/x" , a = ${p}"/y"', {"p": "/x", "a": "/x/y"}),
    row("no-substitution-in-quotes", 'a = "${b}"', {"a": "${b}"}),
    row("substitution-is-absolute", "x { a = ${b}, b = 1 }", REFUSED),
    row("substitution-full-path", "x { a = ${x.b}, b = 1 }", {"x": {"a": 1, "b": 1}}),
    row("include-missing", 'include "nowhere-at-all.conf"\na = 1', {"a": 1}),
    row("include-required-missing", 'include required("nowhere-at-all.conf")', REFUSED),
    row("array-trailing-comma", "a=[1,2,]", {"a": [1, 2]}),
    row("object-trailing-comma", "{b:1,}", {"b": 1}),
    row("lone-comma", "a = [,]", {"a": []}),
    row("empty", "", {}),
    row("root-braces", "{a=1}", {"a": 1}),
    # tokens
    row(
        "booleans",
        "a = true, b = false, c = on, d = yes",
        {"a": True, "b": False, "c": "on", "d": "yes"},
    ),
    row("null", "a = null", {"a": None}),
    row("leading-zeros", "a = 00123", {"a": 123}),
    row("signs", "a = -5, b = +7", {"a": -5, "b": 7}),
    row("floats", "a = 1.5, b = .5, c = 1.0e3", {"a": 1.5, "b": 0.5, "c": 1000.0}),
    row("escapes", r'a = "\\ \" \n \t \r \b \f é"', {"a": '\\ " \n \t \r \b \f é'}),
    row("surrogate-pair", r'a = "\uD83D\uDE00"', {"a": "\U0001f600"}),
    row("unknown-escape-kept", r'a = "\s\d"', {"a": r"\s\d"}),
    row("doubled-backslash", r'a = "\\s"', {"a": r"\s"}),
    row("single-quotes", "a = 'x'", REFUSED),
    row("triple", 'a = """x\\s"y"\nz"""', {"a": 'x\\s"y"\nz'}),
    row("four-closing-quotes", 'a = """x""""', REFUSED),
    row("indented-triple", 'a = """~\n    SELECT\n      *\n  ~"""', {"a": "SELECT\n  *\n"}),
    row("indented-ends-in-quote", 'a = """~\n  say "x"~"""', {"a": 'say "x"'}),
    row("duration", "a = 5m, b = 10MS", {"a": "5m", "b": "10MS"}),
    row("bytesize", "a = 10kb, b = 10KB", {"a": "10kb", "b": "10KB"}),
    row("percent", "a = 80%", {"a": "80%"}),
    row("comments", "# x\na = 1 // y\nb = 2 # z", {"a": 1, "b": 2}),
    row("comment-after-word", "a = b//c", {"a": "b"}),
    row("comment-mark-in-quotes", 'a = "b#c//d"', {"a": "b#c//d"}),
    row("separators", "a : 1\nb = 2\nc { d = 3 }", {"a": 1, "b": 2, "c": {"d": 3}}),
    row("plus-equals", "a += 1", REFUSED),
    row("key-of-three-words", "a b c : 1", REFUSED),
    row("two-fields-one-line", "a = b c : d", {"a": "b", "c": "d"}),
    row("bom", "\ufeffa = 1", {"a": 1}),
    row("odd-blanks", "a\u00a0=\u000b1\u2028b\u000c=\t2\u2029", {"a": 1, "b": 2}),
    row("commas-optional", "a = 1 b = 2", {"a": 1, "b": 2}),
]
