"""JSON for values that JSON cannot hold."""

from __future__ import annotations

from typing import Any


def encode_bytes(value: Any) -> dict[str, str]:
    """Write a byte string as an object that the expression engine reads as bytes.

    Raises:
        TypeError: it is not a byte string either.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$hex": bytes(value).hex()}
    raise TypeError(f"cannot be given to an expression: {type(value).__name__}")
