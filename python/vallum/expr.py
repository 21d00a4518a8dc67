"""The expression language of attributes, `cinfo` and preconditions (spec/expressions.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vallum import _core
from vallum.errors import ExpressionError

__all__ = ["ExpressionError", "evaluate", "lint"]


def evaluate(expression: str, variables: Mapping[str, Any] | None = None) -> str | bytes:
    """Evaluate an expression to its final text; bytes where that is not UTF-8.

    Args:
        expression: the text of the expression.
        variables: values by name; objects nest, so `{"client_attrs": {"a": "1"}}` binds
            `client_attrs.a`. None is bound without a value, a missing name is unbound.

    Raises:
        ExpressionError: it does not compile or has no value; `code` says which
            (spec/expressions.md section 4.1).
    """
    return _core.evaluate(expression, dict(variables or {}))


def lint(expression: str) -> list[tuple[int, int, str, str | None]]:
    """List what is suspicious: line, column, message, and what to write instead if that is known.

    Raises:
        ExpressionError: it does not compile.
    """
    return _core.lint_expression(expression)
