"""What the parser makes of the tokens, before merging and substitution."""

from __future__ import annotations

from dataclasses import dataclass

from vallum.config.hocon.source import Origin
from vallum.config.hocon.tree import ArrayNode, ObjectNode, ScalarNode


@dataclass(slots=True)
class FieldExpr:
    """`key = value`; dotted keys have become nested objects already."""

    key: str
    value: Expr
    origin: Origin


@dataclass(slots=True)
class ObjectExpr:
    """`{ ... }`, fields in written order, those of included files in their place."""

    fields: list[FieldExpr]
    origin: Origin


@dataclass(slots=True)
class ArrayExpr:
    """`[ ... ]`."""

    items: list[Expr]
    origin: Origin


@dataclass(slots=True)
class SubstExpr:
    """`${path}` or `${?path}`."""

    path: tuple[str, ...]
    optional: bool
    prefix: tuple[str, ...]
    """Where the file it stands in was included: tried first in front of `path` (section 1.1)."""
    origin: Origin


@dataclass(slots=True)
class JoinExpr:
    """Neighbouring parts that make one value: texts, arrays or objects, with substitutions."""

    parts: list[Expr]
    origin: Origin


Expr = ScalarNode | ObjectExpr | ArrayExpr | SubstExpr | JoinExpr | ObjectNode | ArrayNode
"""Resolved nodes occur too: a substitution that was looked into is replaced by what it gave."""
