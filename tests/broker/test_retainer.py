"""Options of `retainer` and `delayed`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support import deadline, wire
from support.broker import OPEN, SILENT, RunningBroker, Start
from support.client import Client
from support.wire import Packet, Reason, Type

from vallum.config import load

OVERRIDE = "msg_expiry_interval_override = 1s"


async def retained(client: Client, filter: str) -> list[Packet]:
    """What a new subscription gets."""
    await client.send(wire.subscribe(9, [filter]))
    await client.expect(Type.SUBACK)
    await client.send(wire.PINGREQ)
    found = []
    while (packet := await client.receive()).type is Type.PUBLISH:
        found.append(packet)
    return found


@pytest.mark.parametrize(
    ("options", "asked", "stays"),
    [
        ("", None, True),
        ("", 1000, True),
        ("msg_expiry_interval = 1s", None, False),
        ("msg_expiry_interval = 1s", 1000, True),
        (OVERRIDE, 1000, False),
        (OVERRIDE, None, True),
        (OVERRIDE + "\nallow_never_expire = false", None, False),
        (OVERRIDE + "\nmsg_expiry_interval = 2h", None, False),
        ("allow_never_expire = false", None, True),  # it is about the override
    ],
)
async def test_how_long_they_are_kept(
    broker_with: Start, options: str, asked: int | None, stays: bool
) -> None:
    async with broker_with(f"retainer {{ {options}\n }}") as broker:
        client = await broker.client("c")
        given: dict[str, Any] = {} if asked is None else {"message_expiry_interval": asked}
        await client.publish("t", b"x", retain=True, properties=given)
        await client.publish("clock", b"x", retain=True, properties={"message_expiry_interval": 1})
        [kept] = await retained(await broker.client("d"), "t")
        # Told is what the publisher said, not how long it is kept [MQTT-3.3.2-6].
        left = kept.properties.get("message_expiry_interval")
        assert (left is None) if asked is None else (asked - 10 < left <= asked)
        async with asyncio.timeout(deadline.SECONDS):
            while await retained(client, "clock"):
                await client.unsubscribe("clock")
        assert bool(await retained(client, "t")) == stays


async def count(broker: RunningBroker, expected: int) -> None:
    """Wait until so many messages are retained."""
    async with asyncio.timeout(deadline.SECONDS):
        while broker.broker.statistics()["retained.count"] != expected:  # noqa: ASYNC110 - bounded
            await asyncio.sleep(0.01)


async def test_sweeps(broker_with: Start) -> None:
    text = SILENT + "retainer { msg_expiry_interval = 1s, msg_clear_interval = 1s }"
    async with broker_with(text, loops=2) as broker:
        client = await broker.client("c")
        stays = {"message_expiry_interval": 1000}
        await client.publish("stays", b"x", retain=True, properties=stays)
        for n in range(600):
            await client.send(wire.publish(f"t/{n}", b"x", retain=True))
        await client.send(wire.publish("$own/t", b"x", retain=True))
        await client.quiet()
        assert broker.broker.statistics()["retained.count"] == 602
        await count(broker, 1)
        assert [packet.topic for packet in await retained(client, "#")] == ["stays"]


async def test_what_has_expired_is_not_sent_even_without_sweeps(broker_with: Start) -> None:
    async with broker_with(SILENT) as broker:
        client = await broker.client("c")
        gone = {"message_expiry_interval": 1}
        await client.publish("t", b"x", retain=True, properties=gone)
        async with asyncio.timeout(deadline.SECONDS):
            while await retained(client, "t"):
                await client.unsubscribe("t")
        assert broker.broker.statistics()["retained.count"] == 1


async def test_sweeping_begins_with_a_reload(broker_with: Start) -> None:
    async with broker_with(SILENT) as broker:
        client = await broker.client("c")
        gone = {"message_expiry_interval": 1}
        await client.publish("t", b"x", retain=True, properties=gone)
        text = OPEN + SILENT + "retainer.msg_clear_interval = 1s"
        assert broker.broker.reload(load(text=text, env={})) == []
        await count(broker, 0)


@pytest.mark.parametrize(("rate", "sent"), [("10/1h", 10), ("10/1s", 25), ("infinity", 25)])
async def test_delivery_rate(broker_with: Start, rate: str, sent: int) -> None:
    async with broker_with(f"retainer.delivery_rate = {rate}") as broker:
        sender = await broker.client("sender")
        for n in range(25):
            await sender.publish(f"t/{n}", b"x", retain=True)
        client = await broker.client("c")
        await client.send(wire.subscribe(1, ["t/+"]))
        await client.expect(Type.SUBACK)
        # What is left waits for the next interval.
        seen = {(await client.expect(Type.PUBLISH)).topic for _ in range(sent)}
        await client.quiet()
        assert len(seen) == sent


async def test_max_publish_rate(broker_with: Start) -> None:
    async with broker_with(SILENT + "retainer.max_publish_rate = 3/1h") as broker:
        client = await broker.client("c")
        await client.subscribe("t/#")
        for n in range(5):
            await client.send(wire.publish(f"t/{n}", b"x", retain=True))
            await client.message(f"t/{n}", b"x")  # delivered, whether it is retained or not
        statistics = broker.broker.statistics()
        assert statistics["retained.count"] == 3
        assert statistics["messages.retained.dropped"] == 2
        await client.send(wire.publish("t/0", b"", retain=True))  # clearing is not limited
        await client.message("t/0", b"")
        assert broker.broker.statistics()["retained.count"] == 2


async def test_what_is_not_kept_is_counted(broker_with: Start) -> None:
    text = "retainer { max_payload_size = 3, backend.max_retained_messages = 1 }"
    async with broker_with(SILENT + text) as broker:
        client = await broker.client("c")
        for topic, payload in (("a", b"123"), ("b", b"123"), ("a", b"1234")):
            await client.publish(topic, payload, retain=True)
        statistics = broker.broker.statistics()
        assert statistics["retained.count"] == 1
        assert statistics["messages.retained.dropped"] == 2


# --- delayed --------------------------------------------------------------------------------------


async def test_no_more_than_so_many_are_delayed(broker_with: Start) -> None:
    async with broker_with("delayed.max_delayed_messages = 2", loops=2) as broker:
        client = await broker.client("c")
        codes = [await client.publish("$delayed/60/t", b"x", qos=1) for _ in range(3)]
        assert codes == [0, 0, Reason.QUOTA_EXCEEDED]
        assert broker.broker.statistics()["delayed.count"] == 2


async def test_nothing_is_delayed(broker_with: Start) -> None:
    async with broker_with("delayed.enable = false") as broker:
        client = await broker.client("c")
        await client.subscribe("$delayed/60/t", "t")
        await client.send(wire.publish("$delayed/60/t", b"x"))
        await client.message("$delayed/60/t", b"x")
        await client.quiet()
        assert broker.broker.statistics()["delayed.count"] == 0
