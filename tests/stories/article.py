"""What both stories share: the configurations to run, and the tokens of the identity service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.token import mint

EXAMPLES = Path(__file__).parents[2] / "examples"
"""The texts of the article, as printed, with what it takes to run them."""

FREE_PORT = '\nlisteners.tcp.default.bind = "127.0.0.1:0"\n'
STORY_1 = (EXAMPLES / "story1.conf").read_text() + FREE_PORT
STORY_2 = (EXAMPLES / "story2.conf").read_text() + FREE_PORT

SECRET = "jwtpassfortest1"
CLIENT_ID = "1001010-1000010"
SUBJECT = "urn:test:unitid:1001010-1000010:clientid:test"
FAR = 4_102_444_800
"""The year 2100."""


def token(secret: str = SECRET, **claims: Any) -> str:
    """A token of the article's identity service; a claim given as None is left out."""
    stated = {"sub": SUBJECT, "exp": FAR} | claims
    return mint({name: value for name, value in stated.items() if value is not None}, secret)
