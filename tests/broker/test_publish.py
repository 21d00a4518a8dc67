"""PUBLISH: the three levels of service, between all versions (sections 3.3 to 3.7 and 4.3)."""

from __future__ import annotations

import itertools

import pytest
from support import wire
from support.broker import Start, acl
from support.wire import Reason, Type

QOS = [0, 1, 2]


@pytest.mark.parametrize(
    ("sender", "receiver"), list(itertools.product(wire.VERSIONS, repeat=2)), ids=str
)
@pytest.mark.parametrize("qos", QOS)
async def test_between_versions(broker_with: Start, sender: int, receiver: int, qos: int) -> None:
    async with broker_with() as broker:
        subscriber = await broker.client("subscriber", receiver)
        assert await subscriber.subscribe(("a/b", 2)) == [2]
        publisher = await broker.client("publisher", sender)
        assert await publisher.publish("a/b", b"\x00\xff payload", qos=qos) == 0
        await subscriber.message("a/b", b"\x00\xff payload", qos=qos, retain=False, dup=False)
        await subscriber.quiet()


@pytest.mark.parametrize(("published", "granted"), list(itertools.product(QOS, repeat=2)))
async def test_delivered_at_the_lower_qos(broker_with: Start, published: int, granted: int) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        other = await broker.client("c2")
        await client.subscribe(("t", granted))
        await other.publish("t", b"x", qos=published)
        await client.message("t", b"x", qos=min(published, granted))


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_empty_and_large_payloads(broker_with: Start, version: int) -> None:
    large = bytes(range(256)) * 2048
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        await client.subscribe(("t", 1))
        other = await broker.client("c2", version)
        for payload in (b"", b"x", large):
            await other.publish("t", payload, qos=1)
            await client.message("t", payload)


async def test_order_is_kept(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", 2))
        sent = [
            wire.publish("t", b"%d" % n, qos=n % 3, packet_id=n + 1 if n % 3 else None)
            for n in range(30)
        ]
        await other.send(*sent)
        received = [await client.expect(Type.PUBLISH) for _ in range(30)]
        assert [packet.payload for packet in received] == [b"%d" % n for n in range(30)]


async def test_order_is_kept_over_event_loops(broker_with: Start) -> None:
    async with broker_with("mqtt.max_mqueue_len = 0", loops=2) as broker:
        clients = [await broker.client(f"c{n}") for n in range(3)]
        for client in clients:
            await client.subscribe(("t", 1))
        publisher = await broker.client("publisher")
        for start in range(0, 1000, 50):
            await publisher.send(
                *[
                    wire.publish("t", b"%d" % n, qos=1, packet_id=n + 1)
                    for n in range(start, start + 50)
                ]
            )
            for _ in range(50):
                await publisher.expect(Type.PUBACK, reason=0)
        for client in clients:
            for n in range(1000):
                await client.message("t", b"%d" % n, packet_id=n + 1)


async def test_nobody_subscribed(broker_with: Start) -> None:
    async with broker_with() as broker:
        five, three = await broker.client("five"), await broker.client("three", wire.V311)
        for qos in (1, 2):
            assert await five.publish("t", b"x", qos=qos) == Reason.NO_MATCHING_SUBSCRIBERS
            assert await three.publish("t", b"x", qos=qos) == 0


async def test_publisher_receives_its_own_message(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", wire.V311)
        await client.subscribe("t")
        await client.send(wire.publish("t", b"x", version=wire.V311))
        await client.message("t", b"x")


async def test_exactly_once_in_spite_of_repetition(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", 2))
        for dup in (False, True, True):
            await other.send(wire.publish("t", b"x", qos=2, packet_id=7, dup=dup))
            await other.expect(Type.PUBREC, packet_id=7)
        for reason in (0, Reason.PACKET_IDENTIFIER_NOT_FOUND):
            await other.send(wire.ack(Type.PUBREL, 7))
            await other.expect(Type.PUBCOMP, packet_id=7, reason=reason)
        await client.message("t", b"x")
        # The identifier is free again: the same packet is another message now.
        await other.send(wire.publish("t", b"x", qos=2, packet_id=7))
        await client.message("t", b"x")
        await client.quiet()


async def test_repeated_pubrec_is_answered_again(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", 2))
        await other.publish("t", b"x", qos=2)
        packet_id = (await client.expect(Type.PUBLISH, qos=2)).packet_id
        assert packet_id is not None
        for _ in range(3):
            await client.send(wire.ack(Type.PUBREC, packet_id))
            await client.expect(Type.PUBREL, packet_id=packet_id, reason=0)
        await client.send(wire.ack(Type.PUBCOMP, packet_id))
        await client.quiet()


async def test_failed_pubrec_ends_the_delivery(broker_with: Start) -> None:
    # Section 4.3.3: a PUBREC of 0x80 or above frees the identifier, no PUBREL follows.
    async with broker_with("mqtt.max_inflight = 1") as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", 2))
        await other.publish("t", b"one", qos=2)
        await other.publish("t", b"two", qos=2)
        first = await client.expect(Type.PUBLISH, payload=b"one")
        assert first.packet_id is not None
        await client.send(wire.ack(Type.PUBREC, first.packet_id, Reason.UNSPECIFIED_ERROR))
        await client.message("t", b"two")


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_unknown_acknowledgements(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        await client.send(wire.ack(Type.PUBACK, 77), wire.ack(Type.PUBCOMP, 78))
        await client.quiet()
        expected = Reason.PACKET_IDENTIFIER_NOT_FOUND if version == wire.V5 else 0
        await client.send(wire.ack(Type.PUBREL, 79))
        await client.expect(Type.PUBCOMP, packet_id=79, reason=expected)
        await client.send(wire.ack(Type.PUBREC, 80))
        await client.expect(Type.PUBREL, packet_id=80, reason=expected)


async def test_packet_ids_count_up_from_one(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", 2))
        for n in range(1, 101):
            await other.publish("t", b"x", qos=1 + n % 2)
            await client.message("t", b"x", packet_id=n)


async def test_window_of_the_client(broker_with: Start) -> None:
    async with broker_with("mqtt.max_inflight = 3") as broker:
        client, other = await broker.client("c1", wire.V311), await broker.client("c2")
        await client.subscribe(("t", 1))
        for n in range(5):
            await other.publish("t", b"%d" % n, qos=1)
        window = [await client.expect(Type.PUBLISH, payload=b"%d" % n) for n in range(3)]
        await client.quiet()
        # Acknowledged out of order; each frees room for one more.
        for n, packet in enumerate(reversed(window)):
            assert packet.packet_id is not None
            await client.send(wire.ack(Type.PUBACK, packet.packet_id))
            if n < 2:
                await client.expect(Type.PUBLISH, payload=b"%d" % (3 + n))
        await client.quiet()


async def test_queue_has_a_bound_and_drops_the_oldest(broker_with: Start) -> None:
    async with broker_with("mqtt { max_inflight = 1, max_mqueue_len = 2 }") as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", 1))
        for n in range(5):
            await other.publish("t", b"%d" % n, qos=1)
        for n in (0, 3, 4):
            await client.message("t", b"%d" % n)
        await client.quiet()
        assert broker.broker.statistics()["delivery.dropped.queue_full"] == 2


async def test_qos_above_the_limit(broker_with: Start) -> None:
    async with broker_with("mqtt.max_qos_allowed = 1") as broker:
        client = await broker.client("c1")
        assert await client.subscribe(("t", 2)) == [1]
        await client.send(wire.publish("t", b"x", qos=2, packet_id=1))
        await client.refused(Reason.QOS_NOT_SUPPORTED)


DENY = '{deny, all, publish, ["secret"]}.'


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("qos", QOS)
async def test_denied_publish_is_ignored(broker_with: Start, version: int, qos: int) -> None:
    async with broker_with(acl(DENY)) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("#")
        client = await broker.client("c1", version)
        code = await client.publish("secret", b"x", qos=qos)
        assert code == (Reason.NOT_AUTHORIZED if version == wire.V5 and qos else 0)
        await client.publish("open", b"x", qos=qos)
        await watcher.message("open", b"x")


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("qos", QOS)
async def test_denied_publish_disconnects(broker_with: Start, version: int, qos: int) -> None:
    async with broker_with(acl(DENY, deny_action="disconnect")) as broker:
        client = await broker.client("c1", version)
        packet_id = 1 if qos else None
        await client.send(
            wire.publish("secret", b"x", version=version, qos=qos, packet_id=packet_id)
        )
        await client.refused(Reason.NOT_AUTHORIZED)


async def test_denied_exactly_once_frees_its_identifier(broker_with: Start) -> None:
    async with broker_with(acl(DENY)) as broker:
        client = await broker.client("c1", wire.V311)
        await client.subscribe(("#", 2))
        await client.send(wire.publish("secret", version=4, qos=2, packet_id=1))
        await client.expect(Type.PUBREC, packet_id=1)
        await client.send(wire.ack(Type.PUBREL, 1))
        await client.expect(Type.PUBCOMP, packet_id=1)
        await client.send(wire.publish("open", b"x", version=4, qos=2, packet_id=1))
        answers = {(await client.receive()).type for _ in range(2)}
        assert answers == {Type.PUBREC, Type.PUBLISH}


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_retain_not_available(broker_with: Start, version: int) -> None:
    async with broker_with("mqtt.retain_available = false") as broker:
        client = await broker.client("c1", version)
        await client.send(wire.publish("t", b"x", version=version, retain=True))
        await client.refused(Reason.RETAIN_NOT_SUPPORTED)
