"""What both stories share: the texts of the article, as printed, and the tokens of its service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.token import mint

ARTICLE = Path(__file__).parents[1] / "config" / "data"
STORY_1 = (ARTICLE / "story1.conf").read_text()
STORY_2 = (ARTICLE / "story2.conf").read_text()
STORY_2_RULES = ARTICLE / "story2_acl.conf"

SECRET = "jwtpassfortest1"
CLIENT_ID = "1001010-1000010"
SUBJECT = "urn:test:unitid:1001010-1000010:clientid:test"
FAR = 4_102_444_800
"""The year 2100."""


def token(secret: str = SECRET, **claims: Any) -> str:
    """A token of the article's identity service; a claim given as None is left out."""
    stated = {"sub": SUBJECT, "exp": FAR} | claims
    return mint({name: value for name, value in stated.items() if value is not None}, secret)
