"""The OCSP response of one listener: asked for, checked, stapled, asked for again (RFC 6960)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from vallum.errors import VallumError
from vallum.tls.fetch import FetchError, fetch

if TYPE_CHECKING:
    from vallum import _core
    from vallum.config.models.tls import Ocsp

log = structlog.stdlib.get_logger("vallum")

RETRY_SECONDS = 5.0
"""Between attempts while there is no good answer."""
GIVE_UP_AFTER = 60
"""Failures in a row after which an old answer is no longer sent: five minutes."""


class Stapler:
    """Keeps the response of one listener fresh."""

    def __init__(self, core: _core.Broker, listener: str, options: Ocsp) -> None:
        self.listener = listener
        self._core, self._options = core, options
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        """Ask at once: the certificate is another one."""
        self._hurry.set()

    async def keep(self) -> None:
        """Ask for ever."""
        failures = 0
        while True:
            self._hurry.clear()
            problem = await self._refresh()
            if problem is None:
                failures = 0
                pause = self._options.refresh_interval.total_seconds()
            else:
                failures += 1
                pause = RETRY_SECONDS
                if failures == 1:
                    log.error(
                        "ocsp_unavailable",
                        listener=self.listener,
                        address=self._options.responder_url,
                        problem=problem,
                    )
                if failures == GIVE_UP_AFTER:
                    self._core.clear_ocsp_response(self.listener)
            try:
                async with asyncio.timeout(pause):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def _refresh(self) -> str | None:
        """Ask once; what went wrong, if anything did."""
        try:
            request = await asyncio.to_thread(self._core.ocsp_request, self.listener)
            answer = await fetch(
                str(self._options.responder_url),
                self._options.refresh_http_timeout.total_seconds(),
                body=request,
                content_type="application/ocsp-request",
            )
            await asyncio.to_thread(self._core.set_ocsp_response, self.listener, answer)
        except (FetchError, VallumError) as error:
            return str(error)
        log.info("ocsp_stapled", listener=self.listener)
        return None
