"""One HTTP request: bounded in time and size, never to another address than the one given."""

from __future__ import annotations

import asyncio
import http.client
import time
from urllib.parse import urlsplit

MAX_BYTES = 4 * 1024 * 1024
"""Of an answer. The revocation lists of large public issuers have less than half of that."""


class FetchError(Exception):
    """There is no answer; the text says why."""


async def fetch(
    url: str, patience: float, *, body: bytes | None = None, content_type: str | None = None
) -> bytes:
    """Get `url`, or post `body` to it, in a thread of its own.

    Redirects are not followed: the address is the configuration's, or a certificate's.

    Raises:
        FetchError: no answer with status 200 within `patience` seconds and `MAX_BYTES`.
    """
    try:
        async with asyncio.timeout(patience):
            return await asyncio.to_thread(_fetch, url, patience, body, content_type)
    except TimeoutError:
        raise FetchError(f"no answer within {patience:g} seconds") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(str(error) or type(error).__name__) from error


def _fetch(url: str, patience: float, body: bytes | None, content_type: str | None) -> bytes:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise FetchError("not an http:// address")
    until = time.monotonic() + patience
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=patience)
    try:
        headers = {"Content-Type": content_type} if content_type else {}
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST" if body is not None else "GET", path, body, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise FetchError(f"status {response.status}")
        data = b""
        while chunk := response.read1(64 * 1024):
            data += chunk
            if len(data) > MAX_BYTES:
                raise FetchError(f"the answer is larger than {MAX_BYTES} bytes")
            if time.monotonic() > until:  # it drips
                raise FetchError(f"no whole answer within {patience:g} seconds")
        return data
    finally:
        connection.close()
