"""Tokens to expressions (spec/management.md sections 1.1 to 1.3).

A text before `=`, `:` or `{` is a key, wherever the line breaks are. After a fault the parser goes
on at the next field of the same object, so one mistake costs one fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from vallum.config.hocon.scanner import Kind, Scanner, Token
from vallum.config.hocon.source import MAX_DEPTH, Origin, Report, Source
from vallum.config.hocon.syntax import (
    ArrayExpr,
    Expr,
    FieldExpr,
    JoinExpr,
    ObjectExpr,
    SubstExpr,
)
from vallum.config.hocon.tree import ScalarNode

Include = Callable[[str, bool, Origin, tuple[str, ...]], list[FieldExpr]]
"""(file name, required, place, path of the include point) to the fields of that file."""

_BARE_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.@%|-]*")
_VALUE_STARTS = frozenset(
    {
        Kind.OPEN_BRACE,
        Kind.OPEN_BRACKET,
        Kind.TEXT,
        Kind.NUMBER,
        Kind.WORD,
        Kind.SUBSTITUTION,
        Kind.ERROR,
    }
)
_CLOSERS = frozenset({Kind.CLOSE_BRACE, Kind.CLOSE_BRACKET})


class _SyntaxFault(Exception):
    """A fault was noted; the innermost object or array recovers."""


class Parser:
    """Parses one source."""

    def __init__(
        self, source: Source, report: Report, include: Include, prefix: tuple[str, ...] = ()
    ) -> None:
        self._source = source
        self._report = report
        self._include = include
        self._prefix = prefix
        self._tokens = Scanner(source, report).tokens()
        self._index = 0
        self._depth = len(prefix)
        self._keys: list[str] = list(prefix)
        self._gave_up = False
        self._open: list[Kind] = []

    def document(self) -> ObjectExpr:
        """Parse the whole text, with or without braces around it."""
        origin = self._origin(self._peek)
        braces = self._peek.kind is Kind.OPEN_BRACE
        if self._peek.kind is Kind.OPEN_BRACKET:
            self._report.fault(
                "a configuration is an object of 'key = value', not an array", origin
            )
            return ObjectExpr([], origin)
        if braces:
            self._take()
            self._open.append(Kind.CLOSE_BRACE)
        result = ObjectExpr(self._fields(), origin)
        if braces:
            try:
                self._close(Kind.CLOSE_BRACE, origin)
                if self._peek.kind is not Kind.END:
                    raise self._fail("unexpected text after the closing '}'", self._peek)
            except _SyntaxFault:
                self._fields()
        return result

    def single_value(self) -> Expr | None:
        """Parse a text that is one value; None, with faults noted, if it is not."""
        try:
            value = self._value(in_array=False)
            if self._peek.kind is not Kind.END:
                raise self._fail("unexpected text after the value", self._peek)
        except _SyntaxFault:
            return None
        return value

    # -- tokens -------------------------------------------------------------------------------

    @property
    def _peek(self) -> Token:
        return self._tokens[self._index]

    def _ahead(self, count: int) -> Token:
        return self._tokens[min(self._index + count, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._tokens[self._index]
        if token.kind is not Kind.END:
            self._index += 1
        return token

    def _origin(self, token: Token) -> Origin:
        return self._source.origin(token.start)

    def _fail(self, problem: str, token: Token) -> _SyntaxFault:
        if token.kind is not Kind.ERROR and not self._gave_up:  # else it has been said already
            self._report.fault(problem, self._origin(token))
        return _SyntaxFault()

    def _at_key(self) -> bool:
        """Whether a key starts here: texts without a blank between them, then `=`, `:` or `{`."""
        if self._peek.kind not in (Kind.TEXT, Kind.NUMBER, Kind.WORD):
            return False
        count = 1
        while self._ahead(count).kind is Kind.TEXT and not self._ahead(count).blank_before:
            count += 1
        return self._ahead(count).kind is Kind.SEPARATOR or (
            self._ahead(count).kind is Kind.OPEN_BRACE
            and (self._ahead(count - 1).kind is Kind.TEXT)
        )

    def _at_include(self) -> bool:
        token, after = self._peek, self._ahead(1)
        return (
            token.kind is Kind.TEXT
            and token.form == "bare"
            and token.raw == "include"
            and after.kind is Kind.TEXT
            and (after.form != "bare" or (self._ahead(2).kind is Kind.OPEN_PAREN))
        )

    # -- objects ------------------------------------------------------------------------------

    def _fields(self) -> list[FieldExpr]:
        fields: list[FieldExpr] = []
        if self._peek.kind is Kind.COMMA:
            self._take()
        while not self._at_close():
            try:
                if self._at_include():
                    fields.extend(self._included())
                else:
                    fields.append(self._field())
                if self._peek.kind is Kind.COMMA:
                    self._take()
            except _SyntaxFault:
                self._recover()
        return fields

    def _at_close(self) -> bool:
        """Whether something that is open ends here; a stray bracket ends nothing."""
        return self._peek.kind is Kind.END or self._peek.kind in self._open

    def _recover(self) -> None:
        """Skip to where the next field or element seems to start."""
        depth = 0
        whole_line = False
        while not (depth == 0 and self._at_close()) and self._peek.kind is not Kind.END:
            token = self._peek
            if depth == 0 and token.newline_before and (self._at_key() or self._at_include()):
                return
            if depth == 0 and token.kind is Kind.COMMA and not whole_line:
                self._take()
                return
            if token.newline_before:
                whole_line = False
            if token.kind in (Kind.OPEN_BRACE, Kind.OPEN_BRACKET):
                depth += 1
            elif token.kind in _CLOSERS:
                depth = max(depth - 1, 0)
            elif token.kind is Kind.OPEN_PAREN:  # a bare call: its commas separate nothing
                whole_line = True
            self._take()

    def _field(self) -> FieldExpr:
        first = self._peek
        path = self._key()
        separator = self._peek
        if separator.kind is Kind.SEPARATOR:
            self._take()
        elif separator.kind is not Kind.OPEN_BRACE:
            shown = first.raw[:40]
            raise self._fail(f"expected '=' and a value after '{shown}'", first)
        self._enter(len(path), first)
        self._keys.extend(path)
        try:
            value = self._value(in_array=False)
        finally:
            del self._keys[len(self._keys) - len(path) :]
            self._depth -= len(path)
        origin = self._origin(first)
        for key in reversed(path[1:]):
            value = ObjectExpr([FieldExpr(key, value, origin)], origin)
        return FieldExpr(path[0], value, origin)

    def _key(self) -> tuple[str, ...]:
        first = self._take()
        if first.kind not in (Kind.TEXT, Kind.NUMBER, Kind.WORD):
            raise self._fail(f"expected a key, found {first.kind.value}", first)
        path: list[str] = []
        token = first
        while True:
            if token.form != "bare":
                path.append(token.raw)
            elif token is first and not _BARE_KEY.fullmatch(token.raw):
                self._bad_key(token)
                path.append(token.raw)
            else:
                path.extend(part for part in token.raw.split(".") if part)
            after = self._peek
            if after.kind is not Kind.TEXT or after.blank_before:
                break
            if not (_ends_in_dot(token) or (after.form == "bare" and after.raw.startswith("."))):
                raise self._fail("write a '.' between the parts of a key", after)
            token = self._take()
        if not path:
            raise self._fail("a key needs a name", first)
        return tuple(path)

    def _bad_key(self, token: Token) -> None:
        if self._peek.kind is Kind.SEPARATOR or self._peek.kind is Kind.OPEN_BRACE:
            problem = (
                f"the key {token.raw[:40]} must be in double quotes"
                " (unquoted keys start with a letter and hold letters, digits and _.@%|-)"
            )
            self._report.fault(problem, self._origin(token))

    def _included(self) -> list[FieldExpr]:
        origin = self._origin(self._take())
        token = self._take()
        required = token.form == "bare"
        if required:
            if token.raw != "required":
                raise self._fail('write include "FILE" or include required("FILE")', token)
            self._take()
            token = self._take()
            if token.kind is not Kind.TEXT or self._peek.kind is not Kind.CLOSE_PAREN:
                raise self._fail('write include required("FILE")', token)
            self._take()
        return self._include(token.raw, required, origin, tuple(self._keys))

    # -- values -------------------------------------------------------------------------------

    def _value(self, *, in_array: bool) -> Expr:
        start = self._peek
        if start.kind is Kind.TEXT and self._at_key():
            raise self._fail(
                f"expected a value, found '{start.raw[:40]}', which is a key because '=', ':' or"
                " '{' follows; a text that looks so goes into double quotes",
                start,
            )
        if start.kind not in _VALUE_STARTS:
            raise self._fail(f"expected a value, found {start.kind.value}", start)
        parts = [self._part()]
        while (joins := self._joins(parts[-1], in_array=in_array)) is not None:
            token = self._peek
            part = self._part()
            if joins == "raw" and isinstance(part, ScalarNode):
                number = parts.pop()
                raw = getattr(number, "raw", "") + part.raw
                part = ScalarNode(raw, raw, "bare", number.origin)
            else:
                self._warn_joined(parts[-1], part, token, in_array=in_array)
            parts.append(part)
        if self._peek.kind is Kind.OPEN_PAREN:
            raise self._fail("unexpected '('; put the text in double quotes", self._peek)
        return parts[0] if len(parts) == 1 else JoinExpr(parts, self._origin(start))

    def _joins(self, last: Expr, *, in_array: bool) -> str | None:
        """Whether the next token belongs to the value that ended in `last`, and how."""
        token = self._peek
        if token.kind is Kind.TEXT:
            if self._at_key() or self._at_include():
                return None
            if isinstance(last, ScalarNode) and isinstance(last.value, int | float):
                same_line = token.form == "bare" and not token.newline_before
                return "raw" if same_line and not isinstance(last.value, bool) else None
            if isinstance(last, SubstExpr):
                return "text"
            return "text" if isinstance(last, ScalarNode) and last.value is not None else None
        if token.kind is Kind.SUBSTITUTION:
            if isinstance(last, SubstExpr):
                return "text"
            if isinstance(last, ScalarNode):
                return "text" if isinstance(last.value, str) else None
            return None if in_array else "merge"
        if token.newline_before:
            return None
        if token.kind is Kind.OPEN_BRACE:
            if isinstance(last, ObjectExpr):
                return None if in_array else "merge"
            return "merge" if isinstance(last, SubstExpr) else None
        if token.kind is Kind.OPEN_BRACKET:
            return "merge" if isinstance(last, ArrayExpr | SubstExpr) and not in_array else None
        return None

    def _warn_joined(self, last: Expr, part: Expr, token: Token, *, in_array: bool) -> None:
        if not (isinstance(last, ScalarNode) and isinstance(part, ScalarNode)):
            return
        if not token.blank_before or ("bare" not in (last.form, part.form) and not in_array):
            return
        joined = f'"{last.raw[-30:]}{part.raw[:30]}"'
        advice = "a comma between them" if in_array else "one text in double quotes"
        self._report.warn(
            f"neighbouring texts are joined without a blank, to {joined}: write {advice}",
            self._origin(token),
        )

    def _part(self) -> Expr:
        token = self._take()
        origin = self._origin(token)
        if token.kind is Kind.OPEN_BRACE:
            return self._nested(Kind.CLOSE_BRACE, token, origin)
        if token.kind is Kind.OPEN_BRACKET:
            return self._nested(Kind.CLOSE_BRACKET, token, origin)
        if token.kind is Kind.SUBSTITUTION:
            path = tuple(part for part in token.raw.split(".") if part)
            return SubstExpr(path, token.optional, self._prefix, origin)
        if token.kind is Kind.ERROR:
            return ScalarNode("", "", "quoted", origin)
        return ScalarNode(token.value, token.raw, token.form, origin)

    def _nested(self, end: Kind, token: Token, origin: Origin) -> Expr:
        self._enter(1, token)
        self._open.append(end)
        try:
            if end is Kind.CLOSE_BRACE:
                result: Expr = ObjectExpr(self._fields(), origin)
            else:
                result = ArrayExpr(self._items(), origin)
        finally:
            self._depth -= 1
            self._open.pop()
        self._close(end, origin)
        return result

    def _items(self) -> list[Expr]:
        items: list[Expr] = []
        if self._peek.kind is Kind.COMMA:
            self._take()
        while not self._at_close():
            try:
                items.append(self._value(in_array=True))
                token = self._peek
                if token.kind is Kind.COMMA:
                    self._take()
                elif token.kind is Kind.TEXT or token.kind is Kind.SEPARATOR:
                    raise self._fail("expected ',' or ']' after an element of the array", token)
            except _SyntaxFault:
                self._recover()
                if not self._at_close() and self._at_key():
                    raise  # the array was not closed: the object around it goes on here
        return items

    def _close(self, end: Kind, opened: Origin) -> None:
        if self._peek.kind is end:
            self._take()
            return
        raise self._fail(
            f"expected {end.value} for the one opened in line {opened.line},"
            f" found {self._peek.kind.value}",
            self._peek,
        )

    def _enter(self, levels: int, token: Token) -> None:
        self._depth += levels
        if self._depth > MAX_DEPTH:
            self._depth -= levels
            fault = self._fail(f"nested more than {MAX_DEPTH} levels deep", token)
            self._gave_up = True
            self._index = len(self._tokens) - 1
            raise fault


def _ends_in_dot(token: Token) -> bool:
    return token.form == "bare" and token.raw.endswith(".")
