"""Entry points of the reader, and includes (spec/management.md section 1.2).

`include "FILE"` is looked for in the directory of the including file, then in the include
directories; a missing file is skipped with a warning, unless `required("FILE")`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vallum.config.hocon.parser import Parser
from vallum.config.hocon.resolver import Resolver
from vallum.config.hocon.source import (
    MAX_BYTES,
    MAX_FILES,
    Origin,
    Report,
    Source,
    decode,
    read_bytes,
)
from vallum.config.hocon.syntax import FieldExpr, JoinExpr, ObjectExpr
from vallum.config.hocon.tree import Node, ObjectNode, ScalarNode

_EMPTY = Origin("<text>", 1, 1)


class _Reader:
    """Reads one document with its includes; counts what they cost together."""

    def __init__(self, report: Report, include_dirs: Sequence[Path]) -> None:
        self._report = report
        self._include_dirs = include_dirs
        self._bytes_left = MAX_BYTES
        self._files = 0
        self._open: list[Path] = []

    def file(
        self, path: Path, name: str, origin: Origin | None, prefix: tuple[str, ...]
    ) -> ObjectExpr:
        """Read and parse a file that is known to exist, or must."""
        empty = ObjectExpr([], Origin(name, 1, 1))
        data = read_bytes(path, self._bytes_left)
        if isinstance(data, str):
            self._report.fault(f"cannot read {name}: {data}", origin)
            return empty
        self._bytes_left -= len(data)
        text = decode(data, name, self._report)
        if text is None:
            return empty
        self._open.append(_real(path))
        try:
            return self.text(Source(name, text), path.parent, prefix)
        finally:
            self._open.pop()

    def text(self, source: Source, base_dir: Path, prefix: tuple[str, ...] = ()) -> ObjectExpr:
        """Parse a text whose includes are relative to `base_dir`."""

        def include(
            name: str, required: bool, origin: Origin, keys: tuple[str, ...]
        ) -> list[FieldExpr]:
            return self._include(name, required, origin, keys, base_dir)

        return Parser(source, self._report, include, prefix).document()

    def _include(
        self, name: str, required: bool, origin: Origin, keys: tuple[str, ...], base_dir: Path
    ) -> list[FieldExpr]:
        path = self._find(name, base_dir)
        if path is None:
            if required:
                self._report.fault(f'included file "{name}" does not exist', origin)
            else:
                self._report.warn(f'"{name}" does not exist: nothing was included', origin)
            return []
        real = _real(path)
        if real in self._open:
            ring = " -> ".join(str(file) for file in [*self._open[self._open.index(real) :], real])
            self._report.fault(f"files include each other in a ring: {ring}", origin)
            return []
        self._files += 1
        if self._files > MAX_FILES or len(self._open) >= 16:
            self._report.fault("too many included files", origin)
            return []
        return self.file(path, str(path), origin, keys).fields

    def _find(self, name: str, base_dir: Path) -> Path | None:
        for directory in (base_dir, *self._include_dirs):
            candidate = directory / name
            try:
                if candidate.exists():
                    return candidate
            except (OSError, ValueError):  # a name too long, or with a NUL
                continue
        return None


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


def read_file(path: Path, report: Report, include_dirs: Sequence[Path] = ()) -> ObjectNode:
    """Read a configuration file; every fault goes to `report`."""
    document = _Reader(report, include_dirs).file(path, str(path), None, ())
    return _resolved(document, report)


def read_text(
    text: str,
    report: Report,
    base_dir: Path,
    include_dirs: Sequence[Path] = (),
    name: str = "<text>",
) -> ObjectNode:
    """Read a configuration text; its includes are relative to `base_dir`."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        report.fault(
            "not a text that can be written as UTF-8", Source(name, text).origin(error.start)
        )
        return ObjectNode({}, _EMPTY)
    if size > MAX_BYTES:
        report.fault(f"more than {MAX_BYTES} bytes", _EMPTY)
        return ObjectNode({}, _EMPTY)
    source = Source(name, text.removeprefix("\ufeff"))
    return _resolved(_Reader(report, include_dirs).text(source, base_dir), report)


_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
"""An address in brackets is no array."""


def read_value(text: str, variable: str, report: Report) -> Node:
    """Read the value of an environment variable (section 2.2).

    What is not one HOCON value is taken as the plain text, and so are words with blanks between
    them, which HOCON would join; only an object or array that is not well formed is a fault.
    """
    origin = Origin(env=variable)
    plain_text = ScalarNode(text, text, "quoted", origin)
    if not text.strip() or len(text) > MAX_BYTES:
        return plain_text
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8 in the environment
        report.fault("not UTF-8 text", origin)
        return plain_text
    attempt = Report()
    expr = Parser(Source("", text, env=variable), attempt, _no_include).single_value()
    if not attempt.faults and not attempt.warnings and expr is not None:
        root = ObjectExpr([FieldExpr("value", expr, origin)], origin)
        node = Resolver(root, attempt).resolve().fields.get("value")
        if not attempt.faults and node is not None:
            return node
    looks_like_value = text.lstrip().startswith(("{", "[")) and not _IPV6.fullmatch(text.strip())
    if looks_like_value and not isinstance(expr, JoinExpr):
        for fault in attempt.faults:
            report.fault(fault.problem, origin)
    return plain_text


def _no_include(
    name: str, required: bool, origin: Origin, keys: tuple[str, ...]
) -> list[FieldExpr]:
    raise AssertionError("a value is parsed without the fields around it")


def _resolved(document: ObjectExpr, report: Report) -> ObjectNode:
    if report.faults:  # half a text would only give faults that are not there
        return ObjectNode({}, document.origin)
    return Resolver(document, report).resolve()
