"""Addresses that HTTP proxies announce, and the other options of WebSockets."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from support import wire
from support.broker import RunningBroker, Start
from support.websocket import BINARY, CLOSE, PING, PONG, WebSocket, frame

WEB = """
listeners.ws.default { bind = "127.0.0.1:0", enable_authn = true, websocket { %s }, %s }
authentication = [{ mechanism = cinfo, checks = [
  { is_match = "str_eq(peerhost, '203.0.113.7')", result = allow }
  { is_match = "true", result = deny }
] }]
"""
TRUSTED = 'proxy_headers_trusted = "127.0.0.1, 10.0.0.0/8"'
CONNECT = wire.connect("c1")
CLIENT = "X-Forwarded-For: 203.0.113.7"


def port(broker: RunningBroker) -> int:
    return broker.port_of("ws:default")


async def admitted(broker: RunningBroker, *fields: str) -> bool:
    """Whether the CONNECT behind a request with these fields is let in."""
    web = await WebSocket.open(port(broker), *fields, first=frame(CONNECT))
    try:
        assert web.status == 101
        connack = await web.receive()
        return connack.payload[3] == 0
    finally:
        await web.aclose()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([CLIENT], True),
        (["x-forwarded-for: 203.0.113.7:4711"], True),
        (["X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.9"], True),
        (["X-Forwarded-For: 6.6.6.6", CLIENT, "X-Forwarded-For: 10.0.0.9"], True),
        (["X-Forwarded-For: 203.0.113.7, 6.6.6.6"], False),
        ([CLIENT, "X-Forwarded-For: 6.6.6.6"], False),
        (["X-Real-IP: 203.0.113.7"], False),
        ([], False),
    ],
)
async def test_the_last_that_is_no_proxy(
    broker_with: Start, fields: list[str], expected: bool
) -> None:
    async with broker_with(WEB % (TRUSTED, "")) as broker:
        assert await admitted(broker, *fields) is expected


@pytest.mark.parametrize("trusted", ["", 'proxy_headers_trusted = "10.0.0.0/8"'])
async def test_believed_from_nobody_else(broker_with: Start, trusted: str) -> None:
    async with broker_with(WEB % (trusted, "")) as broker:
        assert not await admitted(broker, CLIENT)


async def test_legacy_believes_everybody(broker_with: Start) -> None:
    """As the reference: the first address counts."""
    async with broker_with("security_profile = legacy\n" + WEB % ("", "")) as broker:
        assert await admitted(broker, "X-Forwarded-For: 203.0.113.7, 6.6.6.6")


async def test_names_of_headers(broker_with: Start) -> None:
    options = f"{TRUSTED}, proxy_address_header = X-Real-IP, proxy_port_header = X-Port"
    async with broker_with(WEB % (options, "")) as broker:
        assert await admitted(broker, "x-real-ip: 203.0.113.7")
        assert not await admitted(broker, CLIENT)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("unknown", "forwarded_address_malformed"),
        ("", "forwarded_address_malformed"),
        ("203.0.113.7, x", "forwarded_address_malformed"),
        ("192.0.2.1", "address_denied"),
    ],
)
async def test_refused(broker_with: Start, address: str, reason: str) -> None:
    rules = 'access_rules = ["deny 192.0.2.0/24"]'
    with capture_logs() as lines:
        async with broker_with(WEB % (TRUSTED, rules)) as broker:
            web = await WebSocket.open(port(broker), f"X-Forwarded-For: {address}")
            assert web.status == 403
            with pytest.raises(ConnectionError):
                await web.receive()
            await web.aclose()
    assert [line["reason"] for line in lines] == [reason]


async def test_the_proxys_own_address_is_judged_too(broker_with: Start) -> None:
    rules = 'access_rules = ["allow 203.0.113.0/24", "deny all"]'
    async with broker_with(WEB % (TRUSTED, rules)) as broker:
        client = await broker.open(at="ws:default")
        await client.closed()


async def test_address_and_port_stand_in_the_log(broker_with: Start) -> None:
    with capture_logs() as lines:
        async with broker_with(WEB % (TRUSTED, "")) as broker:
            assert not await admitted(
                broker, "X-Forwarded-For: 198.51.100.9", "X-Forwarded-Port: 4711"
            )
    assert [line["peer"] for line in lines] == ["198.51.100.9:4711"]


async def test_the_proxy_protocol_goes_first(broker_with: Start) -> None:
    more = "proxy_protocol = true"
    async with broker_with(WEB % (TRUSTED, more)) as broker:
        client = await broker.open(at="ws:default")
        header = b"PROXY TCP4 203.0.113.7 10.0.0.1 40000 1883\r\n"
        request = (
            "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: mqtt\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
        )
        await client.send(header + request.encode() + frame(CONNECT))
        said = await client._reader.readuntil(b"\x82")
        assert said.startswith(b"HTTP/1.1 101 ")
        assert (await client._reader.readexactly(5))[4] == 0  # length, CONNACK, ..., reason code


# -- other options ----------------------------------------------------------------------------

OPEN_WEB = """
listeners.ws.default { bind = "127.0.0.1:0", enable_authn = false, websocket { %s } }
"""


async def connected(broker: RunningBroker) -> WebSocket:
    web = await WebSocket.open(port(broker), first=frame(CONNECT))
    assert (await web.receive()).payload[:1] == b"\x20"
    return web


@pytest.mark.parametrize(("piggyback", "frames"), [("single", 3), ("multiple", 1)])
async def test_piggyback(broker_with: Start, piggyback: str, frames: int) -> None:
    async with broker_with(OPEN_WEB % f"mqtt_piggyback = {piggyback}") as broker:
        web = await connected(broker)
        web.send(wire.PINGREQ * 3)
        got = [(await web.receive()) for _ in range(frames)]
        assert b"".join(each.payload for each in got) == b"\xd0\0" * 3
        assert {each.opcode for each in got} == {BINARY}
        await web.aclose()


async def test_compression_is_declined(broker_with: Start) -> None:
    async with broker_with(OPEN_WEB % "") as broker:
        web = await WebSocket.open(
            port(broker), "Sec-WebSocket-Extensions: permessage-deflate", first=frame(CONNECT)
        )
        assert web.status == 101
        assert b"extensions" not in web.head.lower()
        assert (await web.receive()).opcode == BINARY
        web.send(b"", PING)
        assert (await web.receive()).opcode == PONG
        await web.aclose()


async def test_going_away(broker_with: Start) -> None:
    async with broker_with(OPEN_WEB % "") as broker:
        web = await connected(broker)
        await broker.broker.stop()
        assert (await web.receive()).payload == b"\xe0\x01\x8b"  # DISCONNECT, Server shutting down
        said = await web.receive()
        assert (said.opcode, int.from_bytes(said.payload)) == (CLOSE, 1001)
        await web.aclose()
        await broker.broker.start()


async def test_idle_timeout(broker_with: Start) -> None:
    """Without Keep Alive; a ping of the WebSocket is not silence."""
    async with broker_with(OPEN_WEB % "idle_timeout = 2s") as broker:
        silent, plain = await connected(broker), await broker.client("plain", keep_alive=0)
        lively = await WebSocket.open(port(broker), first=frame(wire.connect("c2", keep_alive=0)))
        await lively.receive()
        ended = False
        while not ended:
            lively.send(b"", PING)
            assert (await lively.receive()).opcode == PONG
            ended = broker.broker.statistics()["client.disconnected"] > 0
        assert (await silent.receive()).payload[:1] == b"\xe0"
        lively.send(b"", PING)
        assert (await lively.receive()).opcode == PONG
        await plain.quiet()
        await lively.aclose()
        await silent.aclose()
