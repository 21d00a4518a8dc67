"""The tasks that keep TLS up to date while a broker runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from vallum.config import server_tls
from vallum.tls.lists import RevocationLists
from vallum.tls.staple import Stapler

if TYPE_CHECKING:
    from vallum import _core
    from vallum.config import Config

log = structlog.stdlib.get_logger("vallum")

RELOAD_INTERVAL = 120.0
"""Seconds between looks at certificate files, as in the reference."""


class TlsUpkeep:
    """Of all TLS listeners of one broker. Without any it does nothing."""

    def __init__(self, core: _core.Broker, config: Config) -> None:
        self._core = core
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lists: dict[str, RevocationLists] = {}
        self._staplers: list[Stapler] = []
        self._has_listeners = False
        for kind, name, listener in config.enabled_listeners():
            options = server_tls.options_of(listener)
            if options is None:
                continue
            self._has_listeners = True
            id = f"{kind}:{name}"
            if options.enable_crl_check:
                self._lists[id] = RevocationLists(core, id, config.crl_cache)
            if options.ocsp.enable_ocsp_stapling:
                self._staplers.append(Stapler(core, id, options.ocsp))

    def start(self) -> None:
        """Start the tasks; they end with `stop`."""
        if not self._has_listeners:
            return
        self._spawn(self._reload_on_timer())
        for lists in self._lists.values():
            self._spawn(lists.keep())
        for stapler in self._staplers:
            self._spawn(stapler.keep())

    async def stop(self) -> None:
        """End the tasks and wait for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for lists in self._lists.values():
            lists.close()

    def _spawn(self, work: Any) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def reload(self) -> list[str]:
        """Read certificate files again; the ids of the listeners where they changed.

        New handshakes use the new files, connections go on as they are. Files that cannot be used
        change nothing and are logged.
        """
        async with self._lock:  # one at a time, so that the later one sees the later files
            outcome = await asyncio.to_thread(self._core.reload_tls)
        for id, changed, faults in outcome:
            log_outcome(id, changed, faults)
        changed_ids = [id for id, changed, _ in outcome if changed]
        for stapler in self._staplers:
            if stapler.listener in changed_ids:
                stapler.hurry()
        return changed_ids

    def on_lists_wanted(self, event: Mapping[str, Any]) -> None:
        """Fetch revocation lists that a handshake missed."""
        lists = self._lists.get(event["listener"])
        if lists is not None:
            lists.want(event["addresses"])

    async def _reload_on_timer(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_INTERVAL)
            await self.reload()


def log_outcome(listener: str, changed: bool, faults: Sequence[tuple[str, str]]) -> None:
    """Say what came of reading the files of a listener again."""
    for option, problem in faults:
        log.error(
            "certificates_not_reloaded",
            listener=listener,
            option=f"ssl_options.{option}",
            problem=problem,
        )
    if changed:
        log.info("certificates_reloaded", listener=listener)


def log_handshake_failure(event: Mapping[str, Any]) -> None:
    """Write the one line about a peer that did not get past TLS."""
    fields = {
        "listener": event["listener"],
        "peer": event["peer"],
        "reason": event["reason"],
        "detail": event["detail"],
    }
    if event["suppressed"]:
        fields["suppressed"] = event["suppressed"]
    log.warning("tls_handshake_failed", **fields)
