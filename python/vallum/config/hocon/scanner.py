"""HOCON text to tokens (spec/management.md section 1.1).

White space and newlines separate tokens and otherwise mean nothing; a token only remembers whether
a newline or a blank came before it. A fault yields an ERROR token, so that scanning goes on and all
faults of a text are found.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from vallum.config.hocon.source import Report, Source
from vallum.config.hocon.tree import Form, Scalar


class Kind(enum.Enum):
    """What a token is; the value is how messages name it."""

    OPEN_BRACE = "'{'"
    CLOSE_BRACE = "'}'"
    OPEN_BRACKET = "'['"
    CLOSE_BRACKET = "']'"
    OPEN_PAREN = "'('"
    CLOSE_PAREN = "')'"
    COMMA = "','"
    SEPARATOR = "'='"
    TEXT = "text"
    NUMBER = "a number"
    WORD = "true, false or null"
    SUBSTITUTION = "a substitution"
    ERROR = "an unreadable value"
    END = "the end of the text"


@dataclass(slots=True)
class Token:
    """A piece of text; `value` is its meaning, `raw` the text with quotes and escapes undone."""

    kind: Kind
    start: int
    raw: str = ""
    value: Scalar = None
    form: Form = "bare"
    newline_before: bool = False
    blank_before: bool = False
    optional: bool = False
    """`${?name}` rather than `${name}`."""


_PUNCTUATION = {
    "{": Kind.OPEN_BRACE,
    "}": Kind.CLOSE_BRACE,
    "[": Kind.OPEN_BRACKET,
    "]": Kind.CLOSE_BRACKET,
    "(": Kind.OPEN_PAREN,
    ")": Kind.CLOSE_PAREN,
    ",": Kind.COMMA,
    "=": Kind.SEPARATOR,
    ":": Kind.SEPARATOR,
}
_SKIP = re.compile(r"(?:[\t\v\f \u00a0\r\n\u2028\u2029]+|(?:\#|//)[^\r\n\u2028\u2029]*)+")
_NEWLINE = re.compile("[\r\n\u2028\u2029]")
_REST_OF_LINE = re.compile("[^\r\n\u2028\u2029]*")
_PLAIN = r"[^\s\x00-\x1f\x7f{}\[\](),=:\"'`\#\\$/+]|\$(?!\{)|/(?!/)|\+(?!=)"
_BARE = re.compile(f"(?:{_PLAIN})+")
# Right after a separator, or where an element starts, a colon cannot end a key: it is part of an
# address or a URL, unless a blank or punctuation follows.
_BARE_VALUE = re.compile(f"(?:{_PLAIN}|:(?://)?(?=[^\\s{{}}\\[\\](),=\"'\\#]))+")
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[+-]?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[+-]?[0-9]+[eE][+-]?[0-9]+", re.ASCII)
_QUOTED = re.compile(r'"((?:[^"\\\r\n\u2028\u2029]|\\[^\r\n\u2028\u2029])*)"')
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|([\\"ntrbf]))')
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_SUBSTITUTION = re.compile(r"\$\{(\?)?[\t ]*([A-Za-z][A-Za-z0-9_.@%|-]*)[\t ]*\}")
_CLOSING_QUOTES = re.compile('"{3,}')
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_MAX_DIGITS = 40


class Scanner:
    """Scans one source; `tokens()` gives the whole list, with END as its last."""

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._text = source.text
        self._report = report
        self._at = 0
        self._brackets: list[str] = []
        self._tokens: list[Token] = []

    def tokens(self) -> list[Token]:
        """Scan to the end."""
        length = len(self._text)
        while True:
            skipped = _SKIP.match(self._text, self._at)
            newline = bool(skipped and _NEWLINE.search(skipped[0]))
            if skipped:
                self._at = skipped.end()
            token = self._next() if self._at < length else Token(Kind.END, self._at)
            token.newline_before = newline or not self._tokens
            token.blank_before = skipped is not None or not self._tokens
            self._tokens.append(token)
            if token.kind is Kind.END:
                return self._tokens

    def _next(self) -> Token:
        start, char = self._at, self._text[self._at]
        if char == '"':
            return self._triple() if self._text.startswith('"""', start) else self._quoted()
        bare = (_BARE_VALUE if self._value_may_start() else _BARE).match(self._text, start)
        if bare:
            self._at = bare.end()
            return self._classify(bare[0], start)
        if char in _PUNCTUATION:
            self._at += 1
            self._nest(char)
            return Token(_PUNCTUATION[char], start)
        if self._text.startswith("${", start):
            return self._substitution()
        return self._unreadable(char)

    def _nest(self, char: str) -> None:
        if char in "{[":
            self._brackets.append(char)
        elif char in "}]" and self._brackets:
            self._brackets.pop()

    def _value_may_start(self) -> bool:
        if not self._tokens:
            return False
        kind = self._tokens[-1].kind
        in_array = bool(self._brackets) and self._brackets[-1] == "["
        return (
            kind is Kind.SEPARATOR or kind is Kind.OPEN_BRACKET or (kind is Kind.COMMA and in_array)
        )

    def _classify(self, raw: str, start: int) -> Token:
        if raw in _WORDS:
            return Token(Kind.WORD, start, raw, _WORDS[raw])
        if _INTEGER.fullmatch(raw):
            if len(raw) > _MAX_DIGITS:
                return self._fault("a number of that many digits is not usable", start)
            return Token(Kind.NUMBER, start, raw, int(raw))
        if _FLOAT.fullmatch(raw):
            value = float(raw)
            if value in (float("inf"), float("-inf")):
                return self._fault(f"the number {raw[:40]} is too large", start)
            return Token(Kind.NUMBER, start, raw, value)
        return Token(Kind.TEXT, start, raw, raw)

    def _quoted(self) -> Token:
        start = self._at
        found = _QUOTED.match(self._text, start)
        if found is None:
            self._to_line_end()
            return self._fault(
                'the text is not closed: write " at its end, or """ around a text of several lines',
                start,
            )
        self._at = found.end()
        text = _ESCAPE.sub(
            lambda part: chr(int(part[1], 16)) if part[1] else _ESCAPES[part[2]], found[1]
        )
        try:  # \uD83D\uDE00 is one character, written as a UTF-16 surrogate pair
            text = text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            return self._fault("a \\u escape is half of a surrogate pair", start)
        return Token(Kind.TEXT, start, text, text, "quoted")

    def _triple(self) -> Token:
        start = self._at
        end = self._text.find('"""', start + 3)
        if end < 0:
            self._at = len(self._text)
            return self._fault('the text is not closed: write """ at its end', start)
        quotes = _CLOSING_QUOTES.match(self._text, end)
        self._at = quotes.end() if quotes else end + 3
        if self._at > end + 3:
            return self._fault(
                'more than three closing quotes: end the text with ~""" after """~, or use "..."',
                end,
            )
        text = self._text[start + 3 : end]
        if re.match("~(?:\r\n|\n|\r)", text):
            text = _outdent(text)
        return Token(Kind.TEXT, start, text, text, "triple")

    def _substitution(self) -> Token:
        start = self._at
        found = _SUBSTITUTION.match(self._text, start)
        if found is None:
            close = re.compile(r"[^}\r\n]*\}?").match(self._text, start + 2)
            self._at = close.end() if close else start + 2
            return self._fault(
                "not a substitution; to keep it as text, put double quotes around it", start
            )
        self._at = found.end()
        return Token(Kind.SUBSTITUTION, start, found[2], found[2], optional=bool(found[1]))

    def _unreadable(self, char: str) -> Token:
        start = self._at
        if self._text.startswith("+=", start):
            self._at += 2
            problem = "'+=' is not supported: write the whole value after '='"
            self._report.fault(problem, self._source.origin(start))
            return Token(Kind.SEPARATOR, start)
        self._to_line_end()
        if char == "'":
            return self._fault("texts are written in double quotes, not single ones", start)
        shown = char if char.isprintable() else f"U+{ord(char):04X}"
        return self._fault(f"unexpected {shown}; put the text in double quotes", start)

    def _to_line_end(self) -> None:
        rest = _REST_OF_LINE.match(self._text, self._at)
        self._at = max(rest.end() if rest else 0, self._at + 1)

    def _fault(self, problem: str, at: int) -> Token:
        self._report.fault(problem, self._source.origin(at))
        return Token(Kind.ERROR, at)


def _outdent(text: str) -> str:
    """Undo the indentation of a `\"\"\"~` text: blanks only, the closing line may have less."""
    text = re.sub(r"\A~(?:\r\n|\n|\r)", "", text).removesuffix("~")
    lines = text.split("\n")
    *body, last = lines
    if last.strip(" "):
        body = lines
    indents = [len(line) - len(line.lstrip(" ")) for line in body if line.strip()]
    width = min(indents, default=0)
    return "\n".join(line[min(width, len(line) - len(line.lstrip(" "))) :] for line in lines)
