"""Enhanced authentication (MQTT 5 section 4.12), with authenticators in Python."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from support import wire
from support.broker import LOOPBACK, RunningBroker
from support.client import Client
from support.wire import Reason, Type

from vallum import Broker, BrokerError
from vallum.authn.enhanced import Answer, Challenge, Exchange, Refusal, Success
from vallum.config import load

METHOD = "PASSWORD-LATER"
OPEN = LOOPBACK + "authorization { no_match = allow, sources = [] }\n"


async def password_later(exchange: Exchange) -> Answer:
    """Ask for the password in a second step; what is sent first is a nonce that must come back."""
    if "nonce" not in exchange.state:
        exchange.state["nonce"] = exchange.data or b""
        return Challenge(exchange.state["nonce"] + b"?")
    match exchange.data:
        case b"open sesame":
            return Success(data=b"welcome " + exchange.clientid.encode(), is_superuser=True)
        case b"for a while":
            return Success(expire_at=int(time.time()) + 1)
        case b"listen":
            acl = [
                {"permission": "allow", "action": "subscribe", "topic": "a"},
                {"permission": "deny", "action": "all", "topic": "#"},
            ]
            return Success(acl=acl)
        case b"crash":
            raise RuntimeError(exchange.data)
        case b"unknown":
            return None
        case b"bad acl":
            return Success(acl=7)
    return Refusal("bad_password", 0x86)


async def start(text: str = "", base: str = OPEN) -> Broker:
    broker = Broker(load(text=base + text, env={}), loops=1)
    broker.enhanced.register(METHOD, password_later)
    await broker.start()
    return broker


@pytest.fixture(name="broker")
async def _broker() -> AsyncIterator[RunningBroker]:
    broker = await start()
    async with AsyncExitStack() as clients:
        yield RunningBroker(broker, clients)
    assert broker.statistics()["broker.panics"] == 0
    async with asyncio.timeout(10):
        # Every exchange is forgotten once its client is gone.
        while len(broker.enhanced):  # noqa: ASYNC110 - bounded, and nothing tells
            await asyncio.sleep(0)
    await broker.stop()


def method(data: bytes | None = b"n1", name: str = METHOD) -> dict[str, object]:
    found: dict[str, object] = {"authentication_method": name}
    return found if data is None else found | {"authentication_data": data}


async def connect(client: Client, password: bytes, client_id: str = "c") -> wire.Packet:
    """CONNECT with both steps; the packet that ends it."""
    await client.send(wire.connect(client_id, properties=method()))
    challenge = await client.expect(Type.AUTH, reason=0x18)
    assert challenge.properties == method(b"n1?")
    await client.send(wire.auth(0x18, method(password)))
    client.connack = await client.expect(Type.CONNACK)
    return client.connack


async def test_two_steps(broker: RunningBroker) -> None:
    client = await broker.open()
    connack = await connect(client, b"open sesame")
    assert connack.reason == 0
    assert connack.properties["authentication_method"] == METHOD
    assert connack.properties["authentication_data"] == b"welcome c"
    assert await client.subscribe("#") == [0]


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        (b"wrong", Reason.BAD_USER_NAME_OR_PASSWORD),
        (b"crash", Reason.NOT_AUTHORIZED),
        (b"unknown", Reason.NOT_AUTHORIZED),
        (b"bad acl", Reason.NOT_AUTHORIZED),
    ],
)
async def test_refused(broker: RunningBroker, password: bytes, reason: int) -> None:
    client = await broker.open()
    connack = await connect(client, password)
    assert (connack.reason, connack.properties) == (reason, {})
    await client.closed()


@pytest.mark.parametrize(
    ("text", "reason"), [("", 0x8C), ("security_profile = legacy", Reason.NOT_AUTHORIZED)]
)
async def test_method_nobody_speaks(text: str, reason: int) -> None:
    broker = await start(text)
    client = await Client.open(broker.listeners["tcp:default"].port)
    await client.connect("c", properties=method(name="SCRAM-SHA-256"))
    assert client.connack.reason == reason
    await client.closed()
    await client.aclose()
    await broker.stop()


async def test_clients_without_a_method_are_no_ones(broker: RunningBroker) -> None:
    client = await broker.open()
    await client.connect("c")
    assert client.connack.reason == Reason.NOT_AUTHORIZED


async def test_authenticate_anew(broker: RunningBroker) -> None:
    client = await broker.open()
    await connect(client, b"open sesame")
    assert await client.subscribe("b") == [0]
    await client.send(wire.auth(0x19, method(b"n2")))
    challenge = await client.expect(Type.AUTH, reason=0x18)
    assert challenge.properties == method(b"n2?")
    await client.quiet()  # other packets are served meanwhile
    await client.send(wire.auth(0x18, method(b"listen")))
    done = await client.expect(Type.AUTH, reason=0)
    assert done.properties == method(None)
    # No superuser any more; its rules are those of the new decision.
    assert await client.subscribe("a", "b") == [0, Reason.NOT_AUTHORIZED]


async def test_fail_to_authenticate_anew(broker: RunningBroker) -> None:
    client = await broker.open()
    await connect(client, b"open sesame")
    await client.send(wire.auth(0x19, method(b"n2")))
    await client.expect(Type.AUTH, reason=0x18)
    await client.send(wire.auth(0x18, method(b"wrong")))
    await client.refused(Reason.NOT_AUTHORIZED)


async def test_the_expiry_is_that_of_the_last_time(broker: RunningBroker) -> None:
    client = await broker.open()
    await connect(client, b"open sesame")
    await client.send(wire.auth(0x19, method(b"n2")))
    await client.expect(Type.AUTH, reason=0x18)
    await client.send(wire.auth(0x18, method(b"for a while")))
    await client.expect(Type.AUTH, reason=0)
    await client.refused(Reason.NOT_AUTHORIZED)


async def test_a_client_that_leaves_is_forgotten(broker: RunningBroker) -> None:
    for _ in range(3):
        client = await broker.open()
        await client.send(wire.connect("c", properties=method()))
        await client.expect(Type.AUTH, reason=0x18)
        await client.aclose()  # the fixture waits until no exchange is left


async def test_an_authenticator_that_hangs_is_given_up_when_its_client_goes() -> None:
    broker = Broker(load(text=OPEN, env={}), loops=1)
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(_: Exchange) -> Answer:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return None

    broker.enhanced.register("HANG", hang)
    await broker.start()
    client = await Client.open(broker.listeners["tcp:default"].port)
    await client.send(wire.connect("c", properties=method(name="HANG")))
    async with asyncio.timeout(10):
        await began.wait()
        await client.abort()
        await broker.stop()
        await ended.wait()


async def test_a_listener_with_a_chain_of_its_own() -> None:
    text = """
    listeners.tcp.other {
      bind = "127.0.0.1:0"
      authentication = [{ mechanism = jwt, algorithm = hmac-based, secret = s }]
    }
    """
    other = await start(text)
    client = await Client.open(other.listeners["tcp:other"].port)
    assert (await connect(client, b"open sesame")).reason == 0
    await client.aclose()
    await other.stop()


async def test_registering() -> None:
    broker = await start()
    with pytest.raises(BrokerError, match="before the broker starts"):
        broker.enhanced.register("X", password_later)
    await broker.stop()
    with pytest.raises(BrokerError, match="has an authenticator"):
        broker.enhanced.register(METHOD, password_later)
