"""`access_rules` and the PROXY protocol, from the configuration to the socket."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import Start
from support.client import Client

LINE = b"PROXY TCP4 203.0.113.7 10.0.0.1 40000 1883\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\x00\x71\x07\x0a\0\0\x01\x9c\x40\x07\x5b"
ONLY_PROXIED = """
listeners.tcp.default { proxy_protocol = true, enable_authn = true }
authentication = [{ mechanism = cinfo, checks = [
  { is_match = "str_eq(peerhost, '203.0.113.7')", result = allow }
  { is_match = "true", result = deny }
] }]
"""


async def connect(client: Client, header: bytes) -> int:
    """Send the header and a CONNECT; gives the reason code of the CONNACK."""
    await client.send(header)
    await client.connect("c1")
    return client.connack.reason


@pytest.mark.parametrize("header", [LINE, V2])
async def test_announced_address_is_what_policy_sees(broker_with: Start, header: bytes) -> None:
    async with broker_with(ONLY_PROXIED) as broker:
        assert await connect(await broker.open(), header) == 0
        other = header.replace(b"203.0.113.7", b"203.0.113.8").replace(b"q\x07", b"q\x08")
        assert await connect(await broker.open(), other) != 0


async def test_header_is_not_believed_without_the_option(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.open(wire.V5)
        await client.send(LINE)
        await client.closed()


@pytest.mark.parametrize(
    ("options", "welcome"),
    [
        ('access_rules = ["deny 127.0.0.1"]', False),
        ('access_rules = ["deny all"]', False),
        ('access_rules = ["allow 127.0.0.0/8, deny all"]', True),
        ('access_rules = ["deny 10.0.0.0/8"]', True),
    ],
)
async def test_access_rules(broker_with: Start, options: str, welcome: bool) -> None:
    async with broker_with(f"listeners.tcp.default {{ {options} }}") as broker:
        client = await broker.open()
        if welcome:
            await client.connect("c1")
            assert client.connack.reason == 0
        else:
            await client.closed()
