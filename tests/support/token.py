"""JSON Web Tokens signed with HMAC, made from the RFCs and apart from the broker's own code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any


def segment(data: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signing_input(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """What is signed (RFC 7515 section 5.1)."""
    return ".".join(segment(json.dumps(part).encode()) for part in (header, claims))


def mint(claims: dict[str, Any], secret: str) -> str:
    """An HS256 token."""
    text = signing_input({"alg": "HS256", "typ": "JWT"}, claims)
    digest = hmac.digest(secret.encode(), text.encode(), hashlib.sha256)
    return f"{text}.{segment(digest)}"
