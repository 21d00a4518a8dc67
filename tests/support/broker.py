"""A broker to test, on ports that the system chooses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from support import wire
from support.client import Client
from vallum import Broker
from vallum.config import load

LOOPBACK = 'listeners.tcp.default.bind = "127.0.0.1:0"\n'
"""A listener on a free port."""

OPEN = (
    LOOPBACK
    + """
    listeners.tcp.default.enable_authn = false
    authorization { no_match = allow, sources = [] }
    """
)
"""Everybody may do everything: for tests of the protocol."""


def acl(rules: str, *, no_match: str = "allow", deny_action: str = "ignore") -> str:
    """The `authorization` root with these rules as its only source."""
    return f'''
    authorization {{
      no_match = {no_match}
      deny_action = {deny_action}
      sources = [{{ type = file, rules = """{rules}""" }}]
    }}
    '''


class RunningBroker:
    """A broker that accepts connections, and the clients of the test, which end before it does."""

    def __init__(self, broker: Broker, clients: AsyncExitStack) -> None:
        self.broker, self._clients = broker, clients

    @property
    def port(self) -> int:
        """Port of `tcp:default`."""
        return self.port_of("tcp:default")

    def port_of(self, listener: str) -> int:
        """Port of a listener."""
        return self.broker.listeners[listener].port

    async def open(self, version: int = wire.V5, *, at: str = "tcp:default") -> Client:
        """A connection to the listener `at` on which nothing was sent yet."""
        client = await Client.open(self.port_of(at), version)
        self._clients.push_async_callback(client.aclose)
        return client

    async def client(
        self, client_id: str = "", version: int = wire.V5, *, at: str = "tcp:default", **fields: Any
    ) -> Client:
        """A connected client; its CONNACK is `client.connack`."""
        client = await self.open(version, at=at)
        await client.connect(client_id, **fields)
        assert client.connack.reason == 0, client.connack
        return client


Start = Callable[..., AbstractAsyncContextManager[RunningBroker]]
"""Type of the `broker_with` fixture."""


@asynccontextmanager
async def broker_with(
    text: str = "", *, base: str = OPEN, base_dir: str | Path = ".", loops: int = 1
) -> AsyncIterator[RunningBroker]:
    """Run a broker configured by `base` and `text`, and make sure that it ends in good order.

    One event loop unless `loops` says otherwise, so that the order of packets on different
    connections is that of what caused them.
    """
    tasks = asyncio.all_tasks()
    broker = Broker(load(text=base + text, base_dir=base_dir, env={}), loops=loops)
    async with broker:
        async with AsyncExitStack() as clients:
            yield RunningBroker(broker, clients)
        statistics = broker.statistics()
    assert statistics["broker.panics"] == 0
    assert statistics["events.dropped"] == 0
    assert asyncio.all_tasks() <= tasks, "a task was left behind"
