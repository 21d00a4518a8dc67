"""TLS listeners of a broker to test, and clients of them."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from support import deadline, wire
from support.broker import RunningBroker
from support.certificates import Pki
from support.client import Client

TLS = """
listeners.ssl.default {
  bind = "127.0.0.1:0", enable_authn = false
  ssl_options { certfile = server.pem, keyfile = server.key, %s }
}
"""
"""A listener with the server certificate of `pki`, and room for more options."""
WSS = TLS.replace("listeners.ssl", "listeners.wss")
MUTUAL = "cacertfile = ca.pem, verify = verify_peer, fail_if_no_peer_cert = true"
"""Options by which clients need a certificate."""


def port_of(broker: RunningBroker, id: str = "ssl:default") -> int:
    """Port of a TLS listener."""
    return broker.broker.listeners[id].port


def context_of(pki: Pki, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """What a client needs to check the server, and to be checked."""
    context = ssl.create_default_context(cafile=pki.path("ca.pem"))
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


async def open_tls(
    port: int, context: ssl.SSLContext, server_name: str = "localhost", version: int = wire.V5
) -> Client:
    """A TLS connection on which no MQTT was sent yet."""
    async with asyncio.timeout(deadline.SECONDS):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=server_name
        )
    return Client(reader, writer, version)


async def admitted(port: int, context: ssl.SSLContext, **fields: Any) -> bool:
    """Whether a client gets a CONNACK; in TLS 1.3 it may learn of a refusal only then."""
    try:
        client = await open_tls(port, context)
    except (ssl.SSLError, ConnectionError):
        return False
    try:
        await client.connect("c1", **fields)
        return client.connack.reason == 0
    except (ssl.SSLError, ConnectionError):
        return False
    finally:
        with suppress(ssl.SSLError):  # the alert that was the answer already
            await client.aclose()


class BlockingClient:
    """A TLS connection of Python's `ssl`, driven a step at a time: it shows sessions and alerts."""

    def __init__(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost", session=session
        )

    async def run(self, port: int, hello: bytes, *, alert: bool = True) -> tuple[bytes, bool]:
        """Shake hands, send `hello`, close in order.

        Gives the answer, and whether the broker closed with `close_notify`. Should the handshake
        fail here, the broker is told so unless `alert` is false, and has closed when this raises.
        """
        async with asyncio.timeout(deadline.SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await self._step(reader, writer, self.tls.do_handshake)
                self.tls.write(hello)
                answer = await self._step(reader, writer, lambda: self.tls.read(4096))
                self.tls.write(wire.disconnect())
                rest = await self._step(reader, writer, lambda: self.tls.read(4096))
                return answer, rest == b""
            except ssl.SSLError:
                if alert:
                    writer.write(self._outgoing.read())
                else:
                    writer.write_eof()
                await reader.read()
                raise
            finally:
                writer.close()

    async def _step(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, step: Any
    ) -> Any:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                writer.write(self._outgoing.read())
                data = await reader.read(65536)
                if not data:
                    self._incoming.write_eof()
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""
            else:
                writer.write(self._outgoing.read())
                return done
