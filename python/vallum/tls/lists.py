"""Certificate revocation lists of one listener (spec/authentication.md section 21.2).

A list is fetched when a client certificate that names its address was refused for want of it, and
from then on refreshed. Whether a list may be believed is not judged here: OpenSSL checks its
signature and dates whenever a certificate is checked against it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from vallum.tls.fetch import FetchError, fetch

if TYPE_CHECKING:
    from vallum import _core
    from vallum.config.models import CrlCache

log = structlog.stdlib.get_logger("vallum")

RETRY_SECONDS = 5.0
"""Between attempts while a list cannot be had."""
_ARMOUR = b"-----BEGIN X509 CRL-----"


@dataclass(slots=True)
class _List:
    """One address."""

    due: float
    """When it is fetched next, on the monotonic clock."""
    file: Path | None = None
    failing_since: float | None = None


class RevocationLists:
    """The lists of a listener, as files that the data plane reads."""

    def __init__(self, core: _core.Broker, listener: str, options: CrlCache) -> None:
        self._core, self._listener, self._options = core, listener, options
        self._lists: dict[str, _List] = {}
        self._wanted = asyncio.Event()
        self._directory: str | None = None

    def want(self, addresses: Iterable[str]) -> None:
        """Fetch the lists at these addresses, unless they are looked after already."""
        for address in addresses:
            if address in self._lists:
                continue
            if len(self._lists) >= self._options.capacity:
                oldest = next(iter(self._lists))
                del self._lists[oldest]
                log.warning("crl_evicted", listener=self._listener, address=oldest)
            self._lists[address] = _List(due=time.monotonic())
        self._wanted.set()

    def close(self) -> None:
        """Remove the files."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    async def keep(self) -> None:
        """Fetch whatever is due, for ever."""
        while True:
            self._wanted.clear()
            now = time.monotonic()
            due = [address for address, each in self._lists.items() if each.due <= now]
            if due:
                changed = [await self._refresh(address) for address in due]
                if any(changed):
                    await self._put_into_force()
                continue
            soonest = min((each.due for each in self._lists.values()), default=None)
            try:
                async with asyncio.timeout(None if soonest is None else soonest - now):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def _refresh(self, address: str) -> bool:
        """Fetch one list; whether that changed anything."""
        entry = self._lists.get(address)
        if entry is None:
            return False
        try:
            data = await fetch(address, self._options.http_timeout.total_seconds())
        except FetchError as error:
            return self._failed(address, entry, str(error))
        if _ARMOUR not in data:  # DER
            text = base64.encodebytes(data)
            data = _ARMOUR + b"\n" + text + b"-----END X509 CRL-----\n"
        name = hashlib.sha256(address.encode()).hexdigest()
        entry.file = await asyncio.to_thread(self._write, name, data)
        entry.due = time.monotonic() + self._options.refresh_interval.total_seconds()
        entry.failing_since = None
        log.info("crl_fetched", listener=self._listener, address=address, bytes=len(data))
        return True

    def _failed(self, address: str, entry: _List, problem: str) -> bool:
        """Note a failure; whether the list is forgotten because of it."""
        now = time.monotonic()
        if entry.failing_since is None:
            entry.failing_since = now
            log.error(
                "crl_unavailable",
                listener=self._listener,
                address=address,
                problem=problem,
                consequence="client certificates that name it are refused when it is out of date",
            )
        entry.due = now + RETRY_SECONDS
        if now - entry.failing_since < self._options.failure_threshold.total_seconds():
            return False
        del self._lists[address]
        log.error("crl_forgotten", listener=self._listener, address=address, problem=problem)
        return entry.file is not None

    def _write(self, name: str, data: bytes) -> Path:
        if self._directory is None:
            self._directory = tempfile.mkdtemp(prefix="vallum-crl-")
        path = Path(self._directory, f"{name}.pem")
        part = path.with_suffix(".part")
        part.write_bytes(data)
        os.replace(part, path)
        return path

    async def _put_into_force(self) -> None:
        while True:
            files = {str(each.file): at for at, each in self._lists.items() if each.file}
            set_lists = self._core.set_revocation_lists
            _, faults = await asyncio.to_thread(set_lists, self._listener, [*files])
            bad = [
                at for file, at in files.items() if any(file in problem for _, problem in faults)
            ]
            for option, problem in faults:
                log.error(
                    "crl_unusable",
                    listener=self._listener,
                    option=f"ssl_options.{option}",
                    problem=problem,
                )
            if not bad:
                if not faults:
                    log.info("crl_in_force", listener=self._listener, count=len(files))
                return
            for address in bad:  # what is there is no list: the others must not suffer
                entry = self._lists[address]
                entry.file = None
