"""Retained messages (section 3.3.1.3)."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import SILENT, Start, acl
from support.wire import Reason, Type


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_sent_to_a_new_subscription(broker_with: Start, version: int, qos: int) -> None:
    async with broker_with() as broker:
        publisher = await broker.client("publisher", version)
        await publisher.publish("a/b", b"old", qos=qos, retain=True)
        await publisher.publish("a/b", b"kept", qos=qos, retain=True)
        await publisher.disconnect()
        client = await broker.client("c1", version)
        await client.subscribe(("a/#", 1))
        await client.message("a/b", b"kept", retain=True, qos=min(qos, 1), dup=False)
        await client.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_forwarded_without_the_flag(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        client, publisher = await broker.client("c1", version), await broker.client("c2", version)
        await client.subscribe("t")
        await publisher.publish("t", b"x", retain=True)
        await client.message("t", b"x", retain=False)


async def test_empty_payload_removes_it(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, publisher = await broker.client("c1"), await broker.client("c2")
        await publisher.publish("t", b"x", retain=True)
        await client.subscribe("t")
        await client.message("t", b"x", retain=True)
        await publisher.publish("t", b"", retain=True)
        await client.message("t", b"", retain=False)
        await client.subscribe("t")
        await client.quiet()


async def test_not_retained_message_keeps_the_retained_one(broker_with: Start) -> None:
    async with broker_with() as broker:
        publisher = await broker.client("publisher")
        await publisher.publish("t", b"kept", retain=True)
        await publisher.publish("t", b"passing")
        await publisher.publish("t", b"")
        client = await broker.client("c1")
        await client.subscribe("t")
        await client.message("t", b"kept", retain=True)


FILTERS = [
    ("#", {"a", "a/b", "a/b/c", "/x", "b/b"}),
    ("+", {"a"}),
    ("a/#", {"a", "a/b", "a/b/c"}),
    ("+/b", {"a/b", "b/b"}),
    ("+/+", {"a/b", "b/b", "/x"}),
    ("a/+/c", {"a/b/c"}),
    ("$SYS/#", {"$SYS/x"}),
    ("a/b", {"a/b"}),
    ("c", set[str]()),
]


@pytest.mark.parametrize(("filter", "expected"), FILTERS)
async def test_matching(broker_with: Start, filter: str, expected: set[str]) -> None:
    async with broker_with(SILENT) as broker:
        publisher = await broker.client("publisher")
        for topic in ("a", "a/b", "a/b/c", "/x", "b/b", "$SYS/x"):
            await publisher.publish(topic, topic.encode(), retain=True)
        client = await broker.client("c1")
        await client.subscribe(filter)
        await client.send(wire.PINGREQ)
        received = []
        while (packet := await client.receive()).type is Type.PUBLISH:
            received.append(packet.topic)
        assert sorted(received) == sorted(expected)


async def test_many_are_sent_in_the_client_window(broker_with: Start) -> None:
    async with broker_with("mqtt { max_inflight = 4, max_mqueue_len = 1000 }") as broker:
        publisher = await broker.client("publisher")
        for n in range(300):
            await publisher.send(wire.publish(f"t/{n}", b"x", retain=True))
        await publisher.quiet()
        client = await broker.client("c1")
        assert await client.subscribe(("t/+", 0)) == [0]
        assert {(await client.receive()).topic for _ in range(300)} == {
            f"t/{n}" for n in range(300)
        }


@pytest.mark.parametrize("queue", [4, 100])
async def test_more_than_queue_and_window_hold(broker_with: Start, queue: int) -> None:
    # They wait for the client rather than being dropped: nothing forced them to be read at once.
    async with broker_with(f"mqtt {{ max_inflight = 2, max_mqueue_len = {queue} }}") as broker:
        publisher = await broker.client("publisher")
        topics = {f"t/{n}" for n in range(300)}
        for topic in topics:
            await publisher.send(wire.publish(topic, b"x", qos=1, packet_id=1, retain=True))
            await publisher.expect(Type.PUBACK)
        client = await broker.client("c1")
        await client.subscribe(("t/+", 1))
        received = set()
        while len(received) < len(topics):
            packet = await client.expect(Type.PUBLISH)
            received.add(packet.topic)
            await client.acknowledge(packet)
        assert received == topics


async def test_survives_the_publisher(broker_with: Start) -> None:
    async with broker_with(loops=2) as broker:
        publisher = await broker.client("publisher")
        await publisher.publish("t", b"x", qos=1, retain=True)
        await publisher.disconnect()
        for n in range(4):
            client = await broker.client(f"c{n}")
            await client.subscribe("t")
            await client.message("t", b"x", retain=True)


async def test_limits(broker_with: Start) -> None:
    text = "retainer { backend.max_retained_messages = 2, max_payload_size = 4 }"
    async with broker_with(text) as broker:
        client = await broker.client("c1")
        for topic, payload in (("a", b"1"), ("large", b"12345"), ("b", b"2"), ("c", b"3")):
            await client.publish(topic, payload, retain=True)
        await client.publish("a", b"new", retain=True)
        await client.subscribe("#")
        received = [await client.expect(Type.PUBLISH) for _ in range(2)]
        assert {(p.topic, p.payload) for p in received} == {("a", b"new"), ("b", b"2")}
        await client.quiet()


FULL = {
    "count": "retainer.backend.max_retained_messages = 2",
    "bytes": "retainer.backend.max_retained_bytes = 10B",
}


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("qos", [1, 2])
async def test_what_cannot_be_retained_is_refused(broker_with: Start, name: str, qos: int) -> None:
    async with broker_with(FULL[name]) as broker:
        client, watcher = await broker.client("c1"), await broker.client("watcher")
        await watcher.subscribe("+")
        for topic in ("a", "b"):
            assert await client.publish(topic, b"1234", qos=qos, retain=True) == 0
            await watcher.message(topic, b"1234")
        for _ in range(2):  # of QoS 2 neither leaves its identifier behind
            full = await client.publish("c", b"1", qos=qos, retain=True)
            assert full == Reason.QUOTA_EXCEEDED
        await watcher.quiet()
        # Without a way to say so the message is passed on, and not kept.
        old = await broker.client("old", wire.V311)
        await old.publish("c", b"old", qos=qos, retain=True)
        await watcher.message("c", b"old")
        await client.publish("c", b"at once", retain=True)
        await watcher.message("c", b"at once")
        # What replaces or removes needs no more room.
        assert await client.publish("a", b"5678", qos=qos, retain=True) == 0
        assert await client.publish("b", b"", qos=qos, retain=True) == 0
        assert await client.publish("c", b"last", qos=qos, retain=True) == 0
        statistics = broker.broker.statistics()
        assert (statistics["retained.count"], statistics["retained.bytes"]) == (2, 10)
        assert statistics["messages.retained.dropped"] == 4


async def test_switched_off(broker_with: Start) -> None:
    async with broker_with("retainer.enable = false") as broker:
        client = await broker.client("c1")
        await client.publish("t", b"x", retain=True)
        await client.subscribe("t")
        await client.quiet()


async def test_a_denied_message_is_not_retained(broker_with: Start) -> None:
    text = acl('{deny, all, {publish, [{retain, true}]}, ["t"]}.')
    async with broker_with(text) as broker:
        client = await broker.client("c1")
        assert await client.publish("t", b"x", qos=1, retain=True) == Reason.NOT_AUTHORIZED
        await client.subscribe("t")
        await client.quiet()
        assert await client.publish("other", b"x", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS
