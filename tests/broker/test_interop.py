"""Clients that others wrote: paho-mqtt, aiomqtt, mosquitto_pub and mosquitto_sub."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt
import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from support import deadline, paho
from support.broker import Start
from support.paho import paho_client

needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto_sub") is None, reason="mosquitto-clients is not installed"
)


@pytest.mark.parametrize("version", paho.VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_paho(broker_with: Start, version: MQTTProtocolVersion, qos: int) -> None:
    async with broker_with() as broker, paho_client("c1", version) as client:
        assert await client.connect(broker.port) == "Success"
        assert await client.subscribe("a/+", qos) == f"Granted QoS {qos}"
        for n in range(10):
            await client.publish("a/b", b"%d" % n, qos)
        received = [await client.message() for _ in range(10)]
        assert [message.payload for message in received] == [b"%d" % n for n in range(10)]
        assert {(message.topic, message.qos) for message in received} == {("a/b", qos)}


async def test_paho_v5_properties(broker_with: Start) -> None:
    async with broker_with() as broker, paho_client("c1") as client:
        await client.connect(broker.port)
        await client.subscribe("t", 1)
        sent = paho.properties(
            PacketTypes.PUBLISH,
            ContentType="text/plain",
            ResponseTopic="r",
            CorrelationData=b"\x00\xff",
            UserProperty=[("a", "1"), ("a", "2")],
            PayloadFormatIndicator=1,
            MessageExpiryInterval=60,
        )
        await client.publish("t", b"x", 1, properties=sent)
        received = (await client.message()).properties.json()
        assert received == sent.json() | {"MessageExpiryInterval": 60}


async def test_paho_gets_its_session_back(broker_with: Start) -> None:
    async with broker_with() as broker:
        async with paho_client("c1") as client:
            await client.connect(broker.port, session_expiry=60)
            await client.subscribe("t", 2)
        publisher = await broker.client()
        await publisher.publish("t", b"while away", qos=2)
        async with paho_client("c1") as client:
            client.mqtt.connect_async("127.0.0.1", broker.port, clean_start=False)
            client.mqtt.loop_start()
            assert await client.event("connect") == "Success"
            assert (await client.message()).payload == b"while away"


@pytest.mark.parametrize("version", list(aiomqtt.ProtocolVersion))
async def test_aiomqtt(broker_with: Start, version: aiomqtt.ProtocolVersion) -> None:
    async with (
        broker_with() as broker,
        aiomqtt.Client("127.0.0.1", broker.port, protocol=version, timeout=deadline.SECONDS) as c,
    ):
        await c.subscribe("t/#", qos=1)
        await c.publish("t/x", b"hello", qos=1)
        async with asyncio.timeout(deadline.SECONDS):
            message = await anext(c.messages)
        assert (message.topic.value, message.payload) == ("t/x", b"hello")


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program; it must end by itself, and well."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
        async with asyncio.timeout(deadline.SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@needs_mosquitto
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_mosquitto_clients(broker_with: Start, version: str, qos: str) -> None:
    async with broker_with() as broker:
        where = ("-h", "127.0.0.1", "-p", str(broker.port), "-V", version, "-q", qos, "-t", "a/b")
        sub = ("mosquitto_sub", *where, "-C", "2", "-F", "%t %p", "-W", str(int(deadline.SECONDS)))
        pub = ("mosquitto_pub", *where, "-m")
        # The first message is retained, so that it does not matter which of the two is first.
        async with program(*pub, "one", "-r"):
            pass
        async with program(*sub) as subscriber:
            assert subscriber.stdout is not None
            assert await subscriber.stdout.readline() == b"a/b one\n"
            async with program(*pub, "two"):
                pass
            assert await subscriber.stdout.readline() == b"a/b two\n"
