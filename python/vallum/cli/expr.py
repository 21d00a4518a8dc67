"""`vallum expr`: what does this expression give?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vallum.cli.options import Json
from vallum.cli.output import NO, USAGE, complain, print_json, print_line


def _object(text: str) -> dict[str, Any]:
    import json

    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise typer.BadParameter("must be a JSON object of variables")
    return value


Variables = Annotated[
    dict[str, Any] | None,
    typer.Option(
        "--vars",
        metavar="JSON",
        parser=_object,
        help='Variables, for example \'{"clientid": "c1", "client_attrs": {"a": "1"}}\'.',
    ),
]


def expr(
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="The expression.")],
    variables: Variables = None,
    json: Json = False,
) -> None:
    """Evaluate an expression of client_attrs_init, cinfo or a precondition.

    Exits with 1 if it has no value, with 2 if it cannot be compiled.
    """
    from vallum.errors import ExpressionError
    from vallum.expr import evaluate, lint

    result: str | bytes | None = None
    failure: ExpressionError | None = None
    warnings: list[tuple[int, int, str, str | None]] = []
    exit_code = 0
    try:
        warnings = lint(expression)
    except ExpressionError as error:
        failure, exit_code = error, USAGE
    else:
        try:
            result = evaluate(expression, variables)
        except ExpressionError as error:
            failure, exit_code = error, NO
    if json:
        print_json(
            {
                "result": result,
                "error": failure and failure.code,
                "detail": failure and _detail(failure),
                "warnings": [
                    {"line": line, "column": column, "message": message, "suggestion": suggestion}
                    for line, column, message, suggestion in warnings
                ],
            }
        )
    else:
        for line, column, message, suggestion in warnings:
            hint = f"; write {suggestion}" if suggestion else ""
            complain(f"warning: line {line}, column {column}: {message}{hint}")
        if failure is not None:
            complain(f"{failure.code}: {_detail(failure)}")
        elif isinstance(result, bytes):
            print_line(f"not UTF-8 text, in hexadecimal: {result.hex()}")
        else:
            print_line(str(result))
    raise typer.Exit(exit_code)


def _detail(error: Any) -> str:
    return str(error.detail).removeprefix(f"{error.code}: ")
