"""What waits for a client, in which order, and what has to go; options of `mqtt` about delivery."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support import deadline, wire
from support.broker import RunningBroker, Start
from support.client import Client
from support.wire import Reason, Type

PRIORITIES = 'mqtt { mqueue_priorities { "t/low" = 1, "t/high" = 200 }, max_mqueue_len = 4 }\n'


async def persistent(broker: RunningBroker, client_id: str, version: int = wire.V5) -> Client:
    properties: dict[str, Any] = {"session_expiry_interval": 60} if version == wire.V5 else {}
    return await broker.client(
        client_id, version=version, clean_start=False, properties=properties or None
    )


async def left_offline(broker: RunningBroker, *topics: str) -> list[tuple[str, bytes]]:
    """What an offline client finds after messages to these topics, numbered from 0."""
    client = await persistent(broker, "c")
    await client.subscribe(("t/#", 1))
    await client.disconnect()
    sender = await broker.client("sender")
    for n, topic in enumerate(topics):
        await sender.publish(topic, b"%d" % n, qos=1)
    client = await persistent(broker, "c")
    found = []
    await client.send(wire.PINGREQ)
    while (packet := await client.receive()).type is Type.PUBLISH:
        found.append((packet.topic, packet.payload))
    await client.disconnect()
    return found


async def test_the_highest_priority_is_sent_first(broker_with: Start) -> None:
    async with broker_with(PRIORITIES) as broker:
        found = await left_offline(broker, "t/other", "t/low", "t/high", "t/low")
        assert found == [("t/high", b"2"), ("t/low", b"1"), ("t/low", b"3"), ("t/other", b"0")]


async def test_the_lowest_priority_is_dropped_first(broker_with: Start) -> None:
    async with broker_with(PRIORITIES) as broker:
        topics = ["t/high", "t/other", "t/low", "t/high", "t/high", "t/high"]
        found = await left_offline(broker, *topics)
        assert found == [("t/high", b"%d" % n) for n in (0, 3, 4, 5)]
        assert broker.broker.statistics()["delivery.dropped.queue_full"] == 2
    async with broker_with(PRIORITIES) as broker:
        # One that is lower than all that waits is itself the one to go.
        found = await left_offline(broker, *["t/high"] * 4, "t/low")
        assert found == [("t/high", b"%d" % n) for n in range(4)]


async def test_topics_that_are_not_listed_may_be_the_highest(broker_with: Start) -> None:
    async with broker_with(PRIORITIES + "mqtt.mqueue_default_priority = highest") as broker:
        found = await left_offline(broker, "t/low", "t/high", "t/other")
        assert [topic for topic, _ in found] == ["t/other", "t/high", "t/low"]


@pytest.mark.parametrize("off", ["", "mqtt.mqueue_priorities = disabled"])
async def test_without_priorities_it_is_first_come(broker_with: Start, off: str) -> None:
    async with broker_with(off) as broker:
        found = await left_offline(broker, "t/low", "t/other", "t/high")
        assert [topic for topic, _ in found] == ["t/low", "t/other", "t/high"]


async def test_priorities_hold_behind_the_window(broker_with: Start) -> None:
    async with broker_with(PRIORITIES + "mqtt.max_inflight = 1") as broker:
        client, sender = await broker.client("c"), await broker.client("sender")
        await client.subscribe(("t/#", 1))
        for n, topic in enumerate(["t/other", "t/other", "t/low", "t/high"]):
            await sender.publish(topic, b"%d" % n, qos=1)
        for payload in (b"0", b"3", b"2", b"1"):  # the first was under way already
            packet = await client.expect(Type.PUBLISH, payload=payload)
            await client.quiet()
            await client.acknowledge(packet)


# --- sent again while online ----------------------------------------------------------------------


@pytest.mark.parametrize("keep_alive", [0, 60])
@pytest.mark.parametrize("version", [wire.V31, wire.V311])
async def test_retry_interval(broker_with: Start, version: int, keep_alive: int) -> None:
    async with broker_with("mqtt.retry_interval = 1s") as broker:
        client = await broker.client("c", version=version, keep_alive=keep_alive)
        sender = await broker.client("sender")
        await client.subscribe(("t", 2))
        await sender.publish("t", b"1", qos=1)
        await sender.publish("t", b"2", qos=2)
        one = await client.expect(Type.PUBLISH, payload=b"1", dup=False)
        two = await client.expect(Type.PUBLISH, payload=b"2", dup=False)
        for first in (one, two):
            again = await client.expect(Type.PUBLISH, payload=first.payload, dup=True)
            assert again.packet_id == first.packet_id
        await client.acknowledge(one)
        await client.send(wire.ack(Type.PUBREC, two.packet_id or 0))
        # From PUBREC on it is the PUBREL that is sent again.
        for _ in range(2):
            await client.expect(Type.PUBREL, packet_id=two.packet_id)
        await client.send(wire.ack(Type.PUBCOMP, two.packet_id or 0))


async def test_mqtt_5_is_sent_nothing_again_while_online(broker_with: Start) -> None:
    async with broker_with("mqtt.retry_interval = 1s") as broker:
        old = await broker.client("old", version=wire.V311)
        client, sender = await broker.client("c"), await broker.client("sender")
        for each in (old, client):
            await each.subscribe(("t", 1))
        await sender.publish("t", b"1", qos=1)
        for each in (old, client):
            await each.expect(Type.PUBLISH, dup=False)
        for _ in range(2):
            await old.expect(Type.PUBLISH, dup=True)
        await client.quiet()  # [MQTT-4.4.0-1]


# --- the other options about delivery -------------------------------------------------------------


async def test_max_inflight(broker_with: Start) -> None:
    async with broker_with("mqtt.max_inflight = 2") as broker:
        client, sender = await broker.client("c"), await broker.client("sender")
        await client.subscribe(("t", 1))
        for n in range(3):
            await sender.publish("t", b"%d" % n, qos=1)
        first = await client.expect(Type.PUBLISH, payload=b"0")
        await client.expect(Type.PUBLISH, payload=b"1")
        await client.quiet()
        await client.acknowledge(first)
        await client.expect(Type.PUBLISH, payload=b"2")


@pytest.mark.parametrize(("upgrade", "qos"), [("true", 2), ("false", 0)])
async def test_upgrade_qos(broker_with: Start, upgrade: str, qos: int) -> None:
    async with broker_with(f"mqtt.upgrade_qos = {upgrade}") as broker:
        client, sender = await broker.client("c"), await broker.client("sender")
        await client.subscribe(("t", 2))
        await sender.publish("t", b"x", qos=0)
        await client.message("t", b"x", qos=qos)


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("ignored", [True, False])
async def test_ignore_loop_deliver(broker_with: Start, version: int, ignored: bool) -> None:
    async with broker_with(f"mqtt.ignore_loop_deliver = {str(ignored).lower()}") as broker:
        client = await broker.client("c", version=version)
        await client.subscribe("t")
        await client.send(wire.publish("t", b"own", version=version))
        # A client of MQTT 5 says itself what it wants, with No Local.
        if version == wire.V5 or not ignored:
            await client.message("t", b"own")
        await client.quiet()


async def test_await_rel_timeout(broker_with: Start) -> None:
    text = "mqtt { max_awaiting_rel = 1, await_rel_timeout = 1s }"
    async with broker_with(text) as broker:
        client = await persistent(broker, "c")
        await client.send(wire.publish("t", qos=2, packet_id=1))
        await client.expect(Type.PUBREC, packet_id=1)
        # There is room for another once the first has waited long enough.
        refusals = 0
        async with asyncio.timeout(deadline.SECONDS):
            while True:
                await client.send(wire.publish("t", qos=2, packet_id=2))
                answer = await client.receive()
                if answer.type is Type.PUBREC:
                    break
                assert answer.reason == Reason.RECEIVE_MAXIMUM_EXCEEDED
                refusals += 1
                await client.aclose()
                client = await persistent(broker, "c")
        assert refusals > 0
