"""The broker: the data plane in Rust, and the Python that governs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from vallum import _core
from vallum.authn.enhanced import EnhancedAuthenticators
from vallum.config import Config, broker_document, load
from vallum.errors import BrokerError
from vallum.pipeline import compile_pipeline
from vallum.sessions import SessionTimers
from vallum.tls import TlsUpkeep
from vallum.tls.upkeep import log_handshake_failure

log = structlog.stdlib.get_logger("vallum")


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener that accepts connections."""

    id: str
    """`type:name`, for example `tcp:default`."""
    host: str
    """Address it listens on."""
    port: int
    """Port it listens on; where the configuration says 0, the one the system chose."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.id} {host}:{self.port}"


class Broker:
    """A running broker; an asynchronous context manager, or `start` and `stop`."""

    def __init__(self, config: Config, *, loops: int = 0) -> None:
        """Prepare a broker; `loops` is the number of event loops, 0 for one per core."""
        self.config = config
        self.listeners: dict[str, Listener] = {}
        self.failed: asyncio.Event = asyncio.Event()
        """Set when the data plane can no longer be trusted to serve; stop it then."""
        self._loops = loops
        self._started_with: dict[str, Any] = {}
        self._core: _core.Broker | None = None
        self._timers: SessionTimers | None = None
        self._enhanced = EnhancedAuthenticators()
        self._tls: TlsUpkeep | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def from_hocon(
        cls, text: str, *, base_dir: str | Path = ".", data_dir: str | Path | None = None
    ) -> Broker:
        """Prepare a broker from a configuration given as text.

        Args:
            text: HOCON.
            base_dir: where relative paths start.
            data_dir: where state is kept; the configuration's `node.data_dir` if None.

        Raises:
            ConfigError: with every fault, its path and line.
        """
        del data_dir  # nothing of this version is kept on disk by an embedded broker
        return cls(load(text=text, base_dir=base_dir))

    async def start(self) -> None:
        """Compile the pipeline, open the listeners, serve.

        Raises:
            ConfigError: the configuration cannot be used.
            BrokerError: a listener could not be opened.
        """
        if self._core is not None:
            raise BrokerError("the broker runs already")
        pipeline = compile_pipeline(self.config, self._enhanced.methods)
        self._started_with = broker_document(self.config, loops=self._loops)
        core = _core.Broker(json.dumps(self._started_with), pipeline)
        loop = asyncio.get_running_loop()
        self._core, self._loop = core, loop
        self._timers = SessionTimers(core, loop)
        self._enhanced.start()
        self._tls = TlsUpkeep(core, self.config)
        self._tls.start()
        self.listeners = {id: Listener(id, host, port) for id, host, port in core.listeners()}
        loop.add_reader(core.event_fd(), self._on_events)

    async def stop(self) -> None:
        """Tell every client, close everything, wait until it is done. Safe to call twice."""
        core, self._core = self._core, None
        if core is None or self._loop is None:
            return
        self._loop.remove_reader(core.event_fd())
        if self._timers is not None:
            self._timers.close()
        await self._enhanced.stop()
        if self._tls is not None:
            await self._tls.stop()
        await asyncio.to_thread(core.stop)
        self.listeners = {}

    async def __aenter__(self) -> Broker:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def reload(self, config: Config) -> list[str]:
        """Put another configuration in force as far as that goes without a restart.

        The pipeline is replaced as a whole; new connections and every later publish and subscribe
        follow the new one. A configuration that cannot be used changes nothing.

        Returns:
            The roots that differ but need a restart.

        Raises:
            ConfigError: the configuration cannot be used; the old one stays in force.
            BrokerError: the broker does not run.
        """
        if self._core is None:
            raise BrokerError("the broker does not run")
        pipeline = compile_pipeline(config, self._enhanced.methods)
        after = broker_document(config, loops=self._loops)
        self._core.replace_pipeline(pipeline)
        self.config = config
        return [root for root in after if self._started_with[root] != after[root]]

    @property
    def enhanced(self) -> EnhancedAuthenticators:
        """Authenticators of enhanced authentication (MQTT 5 section 4.12), for our own stages."""
        return self._enhanced

    async def reload_certificates(self) -> list[str]:
        """Read certificate files of TLS listeners again, as happens every two minutes by itself.

        New handshakes use the new files, connections go on as they are. Files that cannot be used
        change nothing; the log names them.

        Returns:
            The ids of the listeners where they changed.

        Raises:
            BrokerError: the broker does not run.
        """
        if self._core is None or self._tls is None:
            raise BrokerError("the broker does not run")
        return await self._tls.reload()

    def disconnect(self, clientid: str, reason_code: int = 0x98) -> bool:
        """Disconnect a client; False if there is no session of that id."""
        if self._core is None:
            raise BrokerError("the broker does not run")
        return self._core.disconnect(clientid, reason_code)

    def statistics(self) -> dict[str, int]:
        """Counters and gauges by name (spec/management.md section 8)."""
        if self._core is None:
            raise BrokerError("the broker does not run")
        return dict(self._core.statistics())

    def _on_events(self) -> None:
        if self._core is None or self._timers is None:
            return
        for event in self._core.drain_events():
            match event["event"]:
                case "session_opened":
                    self._timers.on_session_opened(event)
                case "session_closed":
                    self._timers.on_session_closed(event)
                case "authenticate":
                    self._enhanced.on_authenticate(self._core, event)
                case "exchange_ended":
                    self._enhanced.on_ended(event)
                case "refused":
                    log_refusal(event)
                case "handshake_failed":
                    log_handshake_failure(event)
                case "lists_wanted" if self._tls is not None:
                    self._tls.on_lists_wanted(event)
                case "loop_failed":
                    log.error("loop_failed", index=event["index"], error=event["error"])
                    self.failed.set()


def log_refusal(event: Mapping[str, Any]) -> None:
    """Write the one line about a refused client; there is no secret in it."""
    fields = {
        "action": event["action"],
        "clientid": event["clientid"],
        "username": event["username"],
        "peer": event["peer"],
        "listener": event["listener"],
        "stage": event["stage"],
        "reason": event["reason"],
        "code": f"0x{event['reason_code']:02x}",
        "topic": event["topic"],
        "suppressed": event["suppressed"] or None,
    }
    log.warning("refused", **{name: value for name, value in fields.items() if value is not None})
