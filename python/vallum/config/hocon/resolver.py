"""Expressions to the tree: merging, and `${substitutions}` (spec/management.md section 1.1).

A key written twice keeps all its values here; what it is in the end, and what a substitution that
looks at it sees, is folded from them in order. A value under evaluation is invisible to what it
refers to: `path = ${path}"/y"` sees the earlier `path`, and a true cycle sees nothing and is a
fault.
"""

from __future__ import annotations

from vallum.config.hocon.source import MAX_BYTES, MAX_DEPTH, Origin, Report
from vallum.config.hocon.syntax import ArrayExpr, Expr, JoinExpr, ObjectExpr, SubstExpr
from vallum.config.hocon.tree import ArrayNode, Node, ObjectNode, ScalarNode, array_index, merge

MAX_STEPS = 5_000_000
"""Expressions looked at before giving up: substitutions can multiply a text without end."""
_MAX_RESOLVE_DEPTH = MAX_DEPTH + 32
"""Levels of the result, and of substitutions that lead to substitutions, together."""


class _TooMuchError(Exception):
    """The budget is spent; `resolve` reports it."""


class Resolver:
    """Resolves one document."""

    def __init__(self, root: ObjectExpr, report: Report) -> None:
        self._root = root
        self._report = report
        self._steps = 0
        self._text_bytes = 0
        self._active: set[int] = set()
        self._unresolved: set[str] = set()

    def resolve(self) -> ObjectNode:
        """The whole document; faults go to the report."""
        try:
            node = self._fold([self._root], 0)
        except _TooMuchError as error:
            self._report.fault(str(error), self._root.origin)
            node = None
        return node if isinstance(node, ObjectNode) else ObjectNode({}, self._root.origin)

    def _step(self, count: int = 1) -> None:
        self._steps += count
        if self._steps > MAX_STEPS:
            raise _TooMuchError("too much to resolve: substitutions multiply this text")

    def _fold(self, exprs: list[Expr], depth: int) -> Node | None:
        """Merge all values one key was given, in order; None if nothing is left."""
        if depth > _MAX_RESOLVE_DEPTH:
            raise _TooMuchError("substitutions are nested too deep")
        result: Node | None = None
        for expr in exprs:
            self._step()
            if id(expr) in self._active:
                continue
            self._active.add(id(expr))
            try:
                value = self._evaluate(expr, depth)
            finally:
                self._active.discard(id(expr))
            if value is not None:
                result = self._merge(result, value)
        return result

    def _merge(self, base: Node | None, over: Node) -> Node:
        problems: list[tuple[Origin, str]] = []
        result = merge(base, over, problems)
        for origin, problem in problems:
            self._report.fault(problem, origin)
        return result

    def _evaluate(self, expr: Expr, depth: int) -> Node | None:
        if isinstance(expr, ScalarNode):
            return expr
        if isinstance(expr, ObjectExpr):
            return self._object(expr, depth)
        if isinstance(expr, ArrayExpr):
            items = (self._fold([item], depth + 1) for item in expr.items)
            return ArrayNode([item for item in items if item is not None], expr.origin)
        if isinstance(expr, SubstExpr):
            return self._substitute(expr, depth)
        if isinstance(expr, JoinExpr):
            return self._join(expr, depth)
        return expr

    def _object(self, expr: ObjectExpr, depth: int) -> ObjectNode:
        values: dict[str, list[Expr]] = {}
        origins: dict[str, Origin] = {}
        for field in expr.fields:
            values.setdefault(field.key, []).append(field.value)
            origins[field.key] = field.origin
        node = ObjectNode({}, expr.origin)
        for key, exprs in values.items():
            value = self._fold(exprs, depth + 1)
            if value is not None:
                node.fields[key] = value
                node.key_origins[key] = origins[key]
        return node

    # -- substitution -------------------------------------------------------------------------

    def _substitute(self, expr: SubstExpr, depth: int) -> Node | None:
        value = None
        if expr.prefix:
            value = self._look_up((*expr.prefix, *expr.path), depth)
        if value is None:
            value = self._look_up(expr.path, depth)
        if value is None and not expr.optional and str(expr.origin) not in self._unresolved:
            self._unresolved.add(str(expr.origin))
            name = ".".join(expr.path)
            self._report.fault(
                f"cannot resolve ${{{name}}}: no value under that full path, or one that leads back"
                " here; for the literal text put it in double quotes",
                expr.origin,
            )
        if isinstance(value, ScalarNode):
            self._text(len(value.raw))
        return value

    def _look_up(self, path: tuple[str, ...], depth: int) -> Node | None:
        exprs: list[Expr] = [self._root]
        for key in path:
            found: list[Expr] = []
            for expr in exprs:
                found = self._look_into(expr, key, found, depth)
            exprs = found
            if not exprs:
                return None
        return self._fold(exprs, depth + 1)

    def _look_into(self, expr: Expr, key: str, before: list[Expr], depth: int) -> list[Expr]:
        """What `key` was given up to and with `expr`, where `before` it was given those."""
        if isinstance(expr, SubstExpr | JoinExpr):
            if id(expr) in self._active:
                return before
            node = self._fold([expr], depth + 1)
            if node is None:
                return before
            expr = node
        if isinstance(expr, ObjectExpr):
            self._step(len(expr.fields))
            return [*before, *(field.value for field in expr.fields if field.key == key)]
        if isinstance(expr, ObjectNode):
            self._step()
            return [*before, expr.fields[key]] if key in expr.fields else before
        if isinstance(expr, ArrayExpr | ArrayNode):
            index = array_index(key)
            items: list[Expr] = [*expr.items]
            return items[index - 1 : index] if index is not None else []
        return []

    # -- joining ------------------------------------------------------------------------------

    def _join(self, expr: JoinExpr, depth: int) -> Node | None:
        parts = [node for part in expr.parts if (node := self._fold([part], depth + 1)) is not None]
        if not parts:
            return None
        if all(isinstance(part, ScalarNode) for part in parts):
            return self._join_texts([part for part in parts if isinstance(part, ScalarNode)], expr)
        if all(isinstance(part, ArrayNode) for part in parts):
            items = [item for part in parts if isinstance(part, ArrayNode) for item in part.items]
            self._step(len(items))
            return ArrayNode(items, expr.origin)
        if all(isinstance(part, ObjectNode) for part in parts):
            result: Node = ObjectNode({}, expr.origin)
            for part in parts:
                result = self._merge(result, part)
            return result
        self._report.fault("cannot join values of different kinds", expr.origin)
        return None

    def _join_texts(self, parts: list[ScalarNode], expr: JoinExpr) -> ScalarNode:
        if len(parts) == 1:
            return parts[0]
        text = "".join(part.raw for part in parts)
        self._text(len(text))
        triple = any(part.form == "triple" for part in parts)
        return ScalarNode(text, text, "triple" if triple else "quoted", expr.origin)

    def _text(self, length: int) -> None:
        self._text_bytes += length
        if self._text_bytes > MAX_BYTES:
            raise _TooMuchError("too much text to resolve: substitutions multiply it")
