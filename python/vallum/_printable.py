"""Text that somebody else wrote, made fit for a terminal and for a log."""

from __future__ import annotations

import json
import re

MASK = "******"
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)*")
"""The base64 of `{"`, as every header of a JSON Web Token begins, and the segments after it."""


def masked(text: str) -> str:
    """A text in which tokens are not readable."""
    return _TOKEN.sub(MASK, text)


def escaped(text: str) -> str:
    """A text as one line that does nothing to a terminal: what is not printable is escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c).strip('"') for c in text)
