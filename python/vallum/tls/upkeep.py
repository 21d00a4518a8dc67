"""The tasks that keep TLS up to date while a broker runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from vallum.config import server_tls
from vallum.tls.lists import RevocationLists
from vallum.tls.staple import Stapler

if TYPE_CHECKING:
    from vallum import _core
    from vallum.config import Config
    from vallum.config.models import CrlCache, ServerTls

log = structlog.stdlib.get_logger("vallum")

RELOAD_INTERVAL = 120.0
"""Seconds between looks at certificate files, as in the reference."""


@dataclass(frozen=True, slots=True)
class _Care:
    """What is done for one listener, as long as its options stay what they are."""

    options: tuple[ServerTls, CrlCache]
    lists: RevocationLists | None
    stapler: Stapler | None
    tasks: list[asyncio.Task[None]]

    def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        if self.lists is not None:
            self.lists.close()


class TlsUpkeep:
    """Of all TLS listeners of one broker. Without any it does nothing."""

    def __init__(self, core: _core.Broker) -> None:
        self._core = core
        self._lock = asyncio.Lock()
        self._care: dict[str, _Care] = {}
        self._timer: asyncio.Task[None] | None = None

    def set(self, config: Config) -> None:
        """Look after the listeners of `config`, and no others, until `stop`."""
        wanted = {
            f"{kind}:{name}": (options, config.crl_cache)
            for kind, name, listener in config.enabled_listeners()
            if (options := server_tls.options_of(listener)) is not None
        }
        for id in [id for id, care in self._care.items() if wanted.get(id) != care.options]:
            self._care.pop(id).end()
        for id, each in wanted.items():
            if id not in self._care:
                self._care[id] = self._begin(id, *each)
        if self._care and self._timer is None:
            self._timer = asyncio.create_task(self._reload_on_timer())

    def _begin(self, id: str, options: ServerTls, crl_cache: CrlCache) -> _Care:
        lists = RevocationLists(self._core, id, crl_cache) if options.enable_crl_check else None
        ocsp = options.ocsp
        stapler = Stapler(self._core, id, ocsp) if ocsp.enable_ocsp_stapling else None
        keepers = [each.keep() for each in (lists, stapler) if each is not None]
        return _Care((options, crl_cache), lists, stapler, [*map(asyncio.create_task, keepers)])

    async def stop(self) -> None:
        """End the tasks and wait for them."""
        tasks = [task for care in self._care.values() for task in care.tasks]
        if self._timer is not None:
            tasks.append(self._timer)
            self._timer.cancel()
        for care in self._care.values():
            care.end()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._care, self._timer = {}, None

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
        for id in changed_ids:
            care = self._care.get(id)
            if care is not None and care.stapler is not None:
                care.stapler.hurry()
        return changed_ids

    def on_lists_wanted(self, event: Mapping[str, Any]) -> None:
        """Fetch revocation lists that a handshake missed."""
        care = self._care.get(event["listener"])
        if care is not None and care.lists is not None:
            care.lists.want(event["addresses"])

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
