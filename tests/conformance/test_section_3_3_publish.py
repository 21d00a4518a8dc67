"""Sections 3.3 to 3.7, 4.3 to 4.6: PUBLISH, its acknowledgements and what they promise."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import OPEN, RunningBroker, Start, acl
from support.client import Client
from support.wire import Reason, Type, Will

from vallum.config import load

KEEP = {"session_expiry_interval": 60}
BOTH = [wire.V311, wire.V5]


async def persistent(broker: RunningBroker, client_id: str, version: int) -> Client:
    """A client that comes back to its session, if there is one."""
    extra = {"properties": KEEP} if version == wire.V5 else {}
    return await broker.client(client_id, version, clean_start=False, **extra)


# --- the flags -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", BOTH)
async def test_both_qos_bits(broker_with: Start, version: int) -> None:
    # [MQTT-3.3.1-4] [v3.1.1 MQTT-3.3.1-4]
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        packet = wire.publish("t", version=version, qos=2, packet_id=1)
        await client.send(bytes([packet[0] | 0x06]) + packet[1:])
        await client.refused(Reason.MALFORMED_PACKET)


@pytest.mark.parametrize("version", BOTH)
async def test_dup_with_qos_0(broker_with: Start, version: int) -> None:
    # [MQTT-3.3.1-2] [v3.1.1 MQTT-3.3.1-2]
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        await client.send(wire.publish("t", version=version, dup=True))
        await client.refused(Reason.MALFORMED_PACKET)


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
async def test_dup_is_not_passed_on(broker_with: Start, version: int, qos: int) -> None:
    # [MQTT-3.3.1-3] [MQTT-4.3.2-2] [MQTT-4.3.3-2] [v3.1.1 MQTT-3.3.1-3]
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2", version)
        await client.subscribe(("t", 2))
        await other.send(wire.publish("t", b"x", version=version, qos=qos, packet_id=1, dup=True))
        await client.message("t", b"x", qos=qos, dup=False)


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_retained_message_of_qos_0_replaces(broker_with: Start, version: int) -> None:
    # [MQTT-3.3.1-5] [v3.1.1 MQTT-3.3.1-7]
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        await client.publish("t", b"old", qos=2, retain=True)
        await client.publish("t", b"new", qos=0, retain=True)
        await client.subscribe(("t", 2))
        await client.message("t", b"new", qos=0, retain=True)
        await client.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_retained_message_without_a_payload(broker_with: Start, version: int) -> None:
    # [MQTT-3.3.1-6] [MQTT-3.3.1-7] [v3.1.1 MQTT-3.3.1-10] [v3.1.1 MQTT-3.3.1-11]
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2", version)
        await other.subscribe("t")
        for retained in (True, False):
            if retained:
                await client.publish("t", b"x", retain=True)
                await other.message("t", b"x")
            await client.publish("t", b"", retain=True)
            await other.message("t", b"", retain=False)  # processed as usual
            late = await broker.client("late", version)
            await late.subscribe("t")
            await late.quiet()
            await late.disconnect()
        assert broker.broker.statistics()["retained.count"] == 0


async def test_upgraded_qos_of_retained_messages(broker_with: Start) -> None:
    # Not of the standard (`mqtt.upgrade_qos`), but it holds for every delivery or for none.
    async with broker_with("mqtt { upgrade_qos = true, max_inflight = 2 }") as broker:
        client = await broker.client("c1")
        for n in range(5):
            await client.publish(f"t/{n}", b"x", retain=True)
        await client.subscribe(("t/+", 1))
        for n in range(5):
            packet = await client.expect(Type.PUBLISH, qos=1, retain=True)
            if n:
                await client.acknowledge(packet)
            else:
                first = packet
        await client.quiet()
        await client.acknowledge(first)


async def test_the_life_of_what_is_retained_is_not_that_of_the_message(
    broker_with: Start,
) -> None:
    # [MQTT-3.3.2-6]: `retainer.msg_expiry_interval` is nothing the publisher said.
    async with broker_with("retainer.msg_expiry_interval = 1s") as broker:
        away, live = await persistent(broker, "c1", wire.V5), await broker.client("live")
        await away.subscribe(("t", 1))
        await away.disconnect()
        await live.subscribe(("t", 1))
        other = await broker.client("c2")
        await other.publish("t", b"x", qos=1, retain=True)
        assert (await live.message("t", b"x")).properties == {}
        late = await broker.client("late")
        await late.subscribe(("t", 1))
        assert (await late.message("t", b"x", retain=True)).properties == {}
        # A session that expires after it is the clock: it says so by its will.
        later = await broker.client(
            "later",
            will=Will(topic="mark", properties={"will_delay_interval": 3600}),
            properties={"session_expiry_interval": 2},
        )
        await other.subscribe("mark")
        await later.aclose()
        await other.message("mark", b"gone")
        await other.subscribe(("t", 1))
        await other.quiet()
        again = await persistent(broker, "c1", wire.V5)
        assert (await again.message("t", b"x")).properties == {}


# --- topics and properties -----------------------------------------------------------------------


@pytest.mark.parametrize("alias", [1, 2, 65_535])
async def test_every_topic_alias_up_to_the_maximum(broker_with: Start, alias: int) -> None:
    # [MQTT-3.3.2-12]
    async with broker_with("mqtt.max_topic_alias = 65535") as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        assert other.connack.properties["topic_alias_maximum"] == 65_535
        await client.subscribe("#")
        for topic in ("a", "", "b", ""):
            sent = {"topic_alias": alias}
            await other.send(wire.publish(topic, b"x", properties=sent))
        for topic in ("a", "a", "b", "b"):
            packet = await client.message(topic, b"x")
            assert packet.properties == {}  # an alias is the connection's own


async def test_no_topic_alias_where_none_is_allowed(broker_with: Start) -> None:
    # [MQTT-3.2.2-18]: no Topic Alias Maximum in CONNACK, no alias in PUBLISH.
    async with broker_with("mqtt.max_topic_alias = 0") as broker:
        client = await broker.client("c1")
        assert "topic_alias_maximum" not in client.connack.properties
        await client.send(wire.publish("t", properties={"topic_alias": 1}))
        await client.refused(Reason.TOPIC_ALIAS_INVALID)


async def test_expiry_does_not_end_what_was_begun(broker_with: Start) -> None:
    # [MQTT-4.3.3-7] [MQTT-4.3.3-13]: a message that expires while its delivery is under way.
    async with broker_with() as broker:
        client, other = await persistent(broker, "c1", wire.V5), await broker.client("c2")
        await client.subscribe(("t", 2))
        for name in (b"sent", b"received"):
            await other.publish("t", name, qos=2, properties={"message_expiry_interval": 1})
        sent, received = await client.expect(Type.PUBLISH), await client.expect(Type.PUBLISH)
        assert received.packet_id is not None
        await client.send(wire.ack(Type.PUBREC, received.packet_id))
        await client.expect(Type.PUBREL, packet_id=received.packet_id)
        await client.aclose()
        # A session that expires after the messages is the clock: it says so by its will.
        later = await broker.client(
            "later",
            will=Will(topic="mark", properties={"will_delay_interval": 3600}),
            properties={"session_expiry_interval": 2},
        )
        await other.subscribe("mark")
        await later.aclose()
        await other.message("mark", b"gone")
        again = await persistent(broker, "c1", wire.V5)
        again_sent = await again.expect(
            Type.PUBLISH, payload=b"sent", dup=True, packet_id=sent.packet_id
        )
        await again.expect(Type.PUBREL, packet_id=received.packet_id)
        await again.acknowledge(again_sent)
        await again.send(wire.ack(Type.PUBCOMP, received.packet_id))
        await again.quiet()


# --- acknowledgements from clients ---------------------------------------------------------------

WRONG = {
    "puback-for-qos-2": (2, [], Type.PUBACK),  # [MQTT-4.3.3-3]
    "pubcomp-before-pubrel": (2, [], Type.PUBCOMP),  # [MQTT-4.3.3-5]
    "pubrec-for-qos-1": (1, [], Type.PUBREC),  # [MQTT-4.3.2-3]
    "pubcomp-for-qos-1": (1, [], Type.PUBCOMP),
    "puback-after-pubrel": (2, [Type.PUBREC], Type.PUBACK),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("version", BOTH)
async def test_acknowledgement_of_the_wrong_kind(
    broker_with: Start, version: int, name: str
) -> None:
    # It ends nothing but the connection: the message comes again [MQTT-4.13.1-1].
    qos, before, wrong = WRONG[name]
    async with broker_with() as broker:
        client, other = await persistent(broker, "c1", version), await broker.client("c2")
        await client.subscribe(("t", qos))
        await other.publish("t", b"x", qos=qos)
        packet_id = (await client.expect(Type.PUBLISH, qos=qos)).packet_id
        assert packet_id is not None
        for type in before:
            await client.send(wire.ack(type, packet_id))
            await client.expect(Type.PUBREL, packet_id=packet_id)
        await client.send(wire.ack(wrong, packet_id))
        await client.refused(Reason.PROTOCOL_ERROR)
        again = await persistent(broker, "c1", version)
        if before:
            await again.expect(Type.PUBREL, packet_id=packet_id)
            await again.send(wire.ack(Type.PUBCOMP, packet_id))
        else:
            await again.message("t", b"x", dup=True, packet_id=packet_id)
        await again.quiet()


@pytest.mark.parametrize("qos", [1, 2])
async def test_negative_acknowledgement_ends_the_delivery(broker_with: Start, qos: int) -> None:
    # [MQTT-4.4.0-2]
    type = Type.PUBACK if qos == 1 else Type.PUBREC
    async with broker_with() as broker:
        client, other = await persistent(broker, "c1", wire.V5), await broker.client("c2")
        await client.subscribe(("t", qos))
        await other.publish("t", b"x", qos=qos)
        packet_id = (await client.expect(Type.PUBLISH)).packet_id
        assert packet_id is not None
        await client.send(wire.ack(type, packet_id, Reason.QUOTA_EXCEEDED))
        await client.quiet()
        await client.aclose()
        again = await persistent(broker, "c1", wire.V5)
        await again.quiet()


async def test_pubrec_that_fails_after_the_pubrel(broker_with: Start) -> None:
    # Nothing waits for a PUBCOMP any more: the identifier takes no room in the window.
    async with broker_with("mqtt.max_inflight = 1") as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", 2))
        await other.publish("t", b"one", qos=2)
        packet_id = (await client.expect(Type.PUBLISH)).packet_id
        assert packet_id is not None
        await client.send(wire.ack(Type.PUBREC, packet_id))
        await client.expect(Type.PUBREL)
        await client.send(wire.ack(Type.PUBREC, packet_id, Reason.UNSPECIFIED_ERROR))
        await other.publish("t", b"two", qos=2)
        await client.message("t", b"two")


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_nothing_is_sent_again_on_a_connection(broker_with: Start, version: int) -> None:
    # [MQTT-4.4.0-1]: only on the next one; once PUBREL went, PUBLISH not even then [MQTT-4.3.3-6].
    async with broker_with() as broker:
        client, other = await persistent(broker, "c1", version), await broker.client("c2")
        await client.subscribe(("t", 2))
        for n in range(2):
            await other.publish("t", b"%d" % n, qos=1 + n)
            await client.expect(Type.PUBLISH, payload=b"%d" % n, dup=False)
        await client.quiet()
        await client.send(wire.ack(Type.PUBREC, 2))
        await client.expect(Type.PUBREL, packet_id=2)
        await client.quiet()
        await client.aclose()
        again = await persistent(broker, "c1", version)
        await again.expect(Type.PUBLISH, payload=b"0", dup=True, packet_id=1)
        await again.expect(Type.PUBREL, packet_id=2)
        await again.quiet()


# --- acknowledgements to clients -----------------------------------------------------------------


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("dup", [False, True])
async def test_identifier_is_free_after_puback(broker_with: Start, version: int, dup: bool) -> None:
    # [MQTT-4.3.2-5] [v3.1.1 MQTT-4.3.2-2]: a new message whatever its DUP flag says.
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2", version)
        await client.subscribe(("t", 1))
        for n in range(2):
            await other.send(
                wire.publish(
                    "t", b"%d" % n, version=version, qos=1, packet_id=5, dup=dup and n == 1
                )
            )
            await other.expect(Type.PUBACK, packet_id=5, reason=0)
            await client.message("t", b"%d" % n, dup=False)


async def test_identifier_is_free_after_a_pubrec_that_fails(broker_with: Start) -> None:
    # [MQTT-4.3.3-9]
    async with broker_with(acl('{deny, all, publish, ["secret"]}.')) as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", 2))
        await other.send(wire.publish("secret", b"x", qos=2, packet_id=7))
        await other.expect(Type.PUBREC, packet_id=7, reason=Reason.NOT_AUTHORIZED)
        await other.send(wire.publish("t", b"x", qos=2, packet_id=7))
        await other.expect(Type.PUBREC, packet_id=7, reason=0)
        await client.message("t", b"x")


@pytest.mark.parametrize("version", BOTH)
async def test_repetition_is_answered_whatever_the_rules_say_by_now(
    broker_with: Start, version: int
) -> None:
    # [MQTT-4.3.3-10]: its message was taken; a failure would make the client believe otherwise.
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2")
        await other.subscribe(("t", 2))
        await client.send(wire.publish("t", b"x", version=version, qos=2, packet_id=1))
        await client.expect(Type.PUBREC, packet_id=1, reason=0)
        await other.message("t", b"x")
        broker.broker.reload(load(text=OPEN + acl('{deny, all, publish, ["t"]}.'), env={}))
        await client.send(wire.publish("t", b"x", version=version, qos=2, packet_id=1, dup=True))
        await client.expect(Type.PUBREC, packet_id=1, reason=0)
        await client.send(wire.ack(Type.PUBREL, 1))
        await client.expect(Type.PUBCOMP, packet_id=1, reason=0)
        await client.send(wire.publish("t", b"y", version=version, qos=2, packet_id=1))
        denied = Reason.NOT_AUTHORIZED if version == wire.V5 else 0
        await client.expect(Type.PUBREC, packet_id=1, reason=denied)
        await other.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_messages_with_and_without_subscribers_are_answered_alike(
    broker_with: Start, version: int
) -> None:
    # [MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11] [v3.1.1 MQTT-3.3.4-1]
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2", version)
        await client.subscribe(("t", 0))
        for topic in ("t", "nobody"):
            await other.send(wire.publish(topic, b"0", version=version))
            await other.quiet()
            await other.send(wire.publish(topic, b"1", version=version, qos=1, packet_id=1))
            await other.expect(Type.PUBACK, packet_id=1)
            await other.send(wire.publish(topic, b"2", version=version, qos=2, packet_id=2))
            await other.expect(Type.PUBREC, packet_id=2)
            await other.send(wire.ack(Type.PUBREL, 2))
            await other.expect(Type.PUBCOMP, packet_id=2, reason=0)
        for n in range(3):
            await client.message("t", b"%d" % n, qos=0, dup=False)
        await client.quiet()


@pytest.mark.parametrize("version", BOTH)
async def test_order_of_each_qos_over_a_reconnect(broker_with: Start, version: int) -> None:
    # [MQTT-4.6.0-5] [MQTT-4.6.0-6] [v3.1.1 MQTT-4.6.0-1] [v3.1.1 MQTT-4.6.0-5]
    async with broker_with("mqtt { max_inflight = 4, max_mqueue_len = 100 }") as broker:
        client, other = await persistent(broker, "c1", version), await broker.client("c2")
        await client.subscribe(("t", 2))
        for n in range(10):
            await other.publish("t", b"%d" % n, qos=1 + n % 2)
        first = [await client.expect(Type.PUBLISH) for _ in range(4)]
        assert [packet.payload for packet in first] == [b"%d" % n for n in range(4)]
        await client.abort()
        for n in range(10, 15):
            await other.publish("t", b"%d" % n, qos=1 + n % 2)
        again = await persistent(broker, "c1", version)
        received = []
        while len(received) < 15:
            packet = await again.receive()
            assert packet.packet_id is not None
            if packet.type is Type.PUBREL:
                await again.send(wire.ack(Type.PUBCOMP, packet.packet_id))
                continue
            assert packet.dup == (len(received) < 4)
            received.append(int(packet.payload))
            await again.send(
                wire.ack(Type.PUBACK if packet.qos == 1 else Type.PUBREC, packet.packet_id)
            )
        assert received == list(range(15))


# --- flow control --------------------------------------------------------------------------------


async def test_a_window_of_one_still_delivers(broker_with: Start) -> None:
    # [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3]: everything else is answered meanwhile.
    async with broker_with() as broker:
        client = await broker.client("c1", properties={"receive_maximum": 1})
        other = await broker.client("c2")
        await client.subscribe(("t", 2))
        for n in range(3):
            await other.publish("t", b"%d" % n, qos=1 + n % 2)
        for n in range(3):
            packet = await client.expect(Type.PUBLISH, payload=b"%d" % n)
            await client.quiet()
            assert await client.subscribe(("other", 1)) == [1]
            assert await client.publish("elsewhere", qos=2) == Reason.NO_MATCHING_SUBSCRIBERS
            assert await client.unsubscribe("other") == [0]
            await client.acknowledge(packet)
        await client.quiet()
