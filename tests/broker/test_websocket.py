"""MQTT over WebSocket with a client that others wrote, from the configuration to the socket."""

from __future__ import annotations

import asyncio

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from support import deadline, paho
from support.broker import Start
from support.paho import converse, paho_client

WEB = """
listeners.ws.default { bind = "127.0.0.1:0", enable_authn = false, websocket { %s } }
"""


@pytest.mark.parametrize("version", paho.VERSIONS)
@pytest.mark.parametrize("loops", [1, 3])
async def test_paho(broker_with: Start, version: MQTTProtocolVersion, loops: int) -> None:
    async with broker_with(WEB % "", loops=loops) as broker:
        web = broker.broker.listeners["ws:default"].port
        async with (
            paho_client("plain", version) as plain,
            paho_client("web", version, transport="websockets") as client,
        ):
            assert await plain.connect(broker.port) == "Success"
            assert await client.connect(web) == "Success"
            await converse(plain, client)


async def request(port: int, path: str, fields: str) -> bytes:
    """The status line of the answer to a request to upgrade."""
    async with asyncio.timeout(deadline.SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"{fields}\r\n".encode()
        )
        try:
            return await reader.readline()
        finally:
            writer.close()


MQTT = "Sec-WebSocket-Protocol: mqtt\r\n"
EVIL = MQTT + "Origin: https://evil.example\r\n"
ORIGIN = 'check_origin_enable = true, check_origins = "https://good.example"'


@pytest.mark.parametrize(
    ("options", "path", "fields", "status"),
    [
        ("", "/mqtt", MQTT, 101),
        ("", "/", MQTT, 404),
        ("mqtt_path = /x", "/x", MQTT, 101),
        ("", "/mqtt", "", 400),
        ("fail_if_no_subprotocol = false", "/mqtt", "", 101),
        ('supported_subprotocols = "mqtt-v5"', "/mqtt", MQTT, 400),
        ("", "/mqtt", EVIL, 101),
        (ORIGIN, "/mqtt", EVIL, 403),
        (ORIGIN, "/mqtt", EVIL.replace("evil", "good"), 101),
        (ORIGIN, "/mqtt", MQTT, 101),
        (ORIGIN + ", allow_origin_absence = false", "/mqtt", MQTT, 403),
    ],
)
async def test_options(
    broker_with: Start, options: str, path: str, fields: str, status: int
) -> None:
    async with broker_with(WEB % options) as broker:
        line = await request(broker.broker.listeners["ws:default"].port, path, fields)
        assert line.startswith(b"HTTP/1.1 %d " % status)
