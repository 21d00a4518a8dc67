"""A paho-mqtt client on a thread of its own, driven from asyncio with a deadline on every wait."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from support import deadline

V31 = MQTTProtocolVersion.MQTTv31
V311 = MQTTProtocolVersion.MQTTv311
V5 = MQTTProtocolVersion.MQTTv5
Transport = Literal["tcp", "websockets"]
VERSIONS = [V31, V311, V5]


def properties(packet_type: int, **values: Any) -> Properties:
    """Properties of a packet, by their names in paho: `SessionExpiryInterval=60`."""
    made = Properties(packet_type)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class PahoClient:
    """What happened to the client, as awaitable queues."""

    def __init__(
        self, client_id: str, version: MQTTProtocolVersion, transport: Transport = "tcp"
    ) -> None:
        self.version = version
        self.messages: asyncio.Queue[mqtt.MQTTMessage] = asyncio.Queue()
        self._events: dict[str, asyncio.Queue[Any]] = {}
        self._loop = asyncio.get_running_loop()
        clean = None if version is V5 else True
        self.mqtt = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=clean,
            protocol=version,
            transport=transport,
            reconnect_on_failure=False,
        )
        self.mqtt.on_connect = lambda *args: self._note("connect", args[3])
        self.mqtt.on_disconnect = lambda *args: self._note("disconnect", args[3])
        self.mqtt.on_subscribe = lambda *args: self._note("subscribe", args[3])
        self.mqtt.on_publish = lambda *args: self._note("publish", args[3])
        self.mqtt.on_message = lambda *args: self._call(self.messages.put_nowait, args[2])

    def _call(self, function: Any, *args: Any) -> None:
        self._loop.call_soon_threadsafe(function, *args)

    def _note(self, name: str, value: Any) -> None:
        self._call(lambda: self._queue(name).put_nowait(value))

    def _queue(self, name: str) -> asyncio.Queue[Any]:
        return self._events.setdefault(name, asyncio.Queue())

    async def event(self, name: str) -> Any:
        """Wait for the next event: connect, disconnect, subscribe or publish; gives its code."""
        async with asyncio.timeout(deadline.SECONDS):
            return await self._queue(name).get()

    async def connect(
        self, port: int, *, session_expiry: int = 0, keep_alive: int = 60
    ) -> ReasonCode:
        """Connect; gives the code of the CONNACK, as MQTT 5 has it whatever the version."""
        extra = {}
        if self.version is V5 and session_expiry:
            extra["properties"] = properties(
                PacketTypes.CONNECT, SessionExpiryInterval=session_expiry
            )
        await asyncio.to_thread(self.mqtt.connect, "127.0.0.1", port, **extra)
        self.mqtt.loop_start()
        code: ReasonCode = await self.event("connect")
        return code

    async def subscribe(self, topic: str, qos: int = 0) -> ReasonCode:
        """Subscribe to one filter; gives its code."""
        self.mqtt.subscribe(topic, qos)
        codes = await self.event("subscribe")
        return codes[0]

    async def publish(self, topic: str, payload: bytes, qos: int = 0, **fields: Any) -> ReasonCode:
        """Publish and wait until it is done; gives its code."""
        self.mqtt.publish(topic, payload, qos, **fields)
        code: ReasonCode = await self.event("publish")
        return code

    async def message(self) -> mqtt.MQTTMessage:
        """Wait for a message."""
        async with asyncio.timeout(deadline.SECONDS):
            return await self.messages.get()


@asynccontextmanager
async def paho_client(
    client_id: str,
    version: MQTTProtocolVersion = V5,
    *,
    transport: Transport = "tcp",
    username: str | None = None,
    password: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[PahoClient]:
    """A client that is not connected yet; disconnected at the end."""
    client = PahoClient(client_id, version, transport)
    if tls is not None:
        client.mqtt.tls_set_context(tls)
    client.mqtt.username_pw_set(username or "", password) if password is not None else None
    try:
        yield client
    finally:
        client.mqtt.disconnect()
        await asyncio.to_thread(client.mqtt.loop_stop)
        # A loop that is told to stop leaves its connection open if it was, and the socket pair that
        # wakes it to a finalizer.
        client.mqtt._reset_sockets()


async def converse(one: PahoClient, other: PahoClient) -> None:
    """Messages of many sizes between two connected clients, there and back."""
    for each in (one, other):
        assert await each.subscribe("a/+", 2) == "Granted QoS 2"
    for size in (0, 100, 1000, 70_000, 500_000):
        await other.publish("a/b", b"x" * size, 1)
        for each in (one, other):
            assert len((await each.message()).payload) == size
    await one.publish("a/b", b"back", 2)
    assert (await other.message()).payload == b"back"
