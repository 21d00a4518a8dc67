"""`vallum.expr.evaluate` against the table of expressions."""

from __future__ import annotations

from typing import Any

import cases
import pytest

import vallum

# Two codes for one thing: an argument that the function cannot take.
SAME = {"exception": "badarg"}


@pytest.mark.parametrize("case", cases.parameters(cases.load("expressions.json"), "expr"))
def test_expression(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in case.get("env", {}).items():
        monkeypatch.setenv(name, value)
    if "error" not in case:
        result = vallum.expr.evaluate(case["expr"], case["vars"])
        data = result.encode() if isinstance(result, str) else result
        expected = (
            case["result"].encode() if "result" in case else bytes.fromhex(case["result_hex"])
        )
        assert data == expected
        return
    with pytest.raises(vallum.ExpressionError) as caught:
        vallum.expr.evaluate(case["expr"], case["vars"])
    assert SAME.get(caught.value.code, caught.value.code) == SAME.get(case["error"], case["error"])


def test_bytes_that_are_no_text() -> None:
    rows = [case for case in cases.load("expressions.json") if "result_hex" in case]
    assert any(isinstance(vallum.expr.evaluate(case["expr"], case["vars"]), bytes) for case in rows)


def test_variables() -> None:
    assert vallum.expr.evaluate("nth(1, tokens(clientid, '-'))", {"clientid": "eu-17"}) == "eu"
    assert vallum.expr.evaluate("client_attrs.a", {"client_attrs": {"a": "1"}}) == "1"
    with pytest.raises(vallum.ExpressionError):
        vallum.expr.evaluate("clientid")
