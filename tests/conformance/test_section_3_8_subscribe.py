"""Sections 3.8 to 3.11, 4.7 and 4.8: subscriptions, topics and filters."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import Start
from support.wire import Reason, Type

KEEP = {"session_expiry_interval": 60}
BOTH = [wire.V311, wire.V5]


# --- SUBSCRIBE and UNSUBSCRIBE as packets --------------------------------------------------------

BROKEN: dict[str, tuple[bytes, bytes, int]] = {
    # packet type and flags, what follows identifier and properties, reason for MQTT 5.0
    "subscribe-nothing": (b"\x82", b"", Reason.PROTOCOL_ERROR),
    "unsubscribe-nothing": (b"\xa2", b"", Reason.PROTOCOL_ERROR),
    "subscribe-qos-3": (b"\x82", b"\x00\x01t\x03", Reason.PROTOCOL_ERROR),
    "subscribe-reserved-bit-6": (b"\x82", b"\x00\x01t\x40", Reason.MALFORMED_PACKET),
    "subscribe-reserved-bit-7": (b"\x82", b"\x00\x01t\x80", Reason.MALFORMED_PACKET),
    "subscribe-retain-handling-3": (b"\x82", b"\x00\x01t\x30", Reason.PROTOCOL_ERROR),
    "subscribe-no-options": (b"\x82", b"\x00\x01t", Reason.MALFORMED_PACKET),
    "subscribe-cut": (b"\x82", b"\x00\x05t", Reason.MALFORMED_PACKET),
    "unsubscribe-cut": (b"\xa2", b"\x00\x05t", Reason.MALFORMED_PACKET),
    "subscribe-not-utf-8": (b"\x82", b"\x00\x01\xff\x00", Reason.MALFORMED_PACKET),
    "unsubscribe-not-utf-8": (b"\xa2", b"\x00\x01\xff", Reason.MALFORMED_PACKET),
    "subscribe-null": (b"\x82", b"\x00\x01\x00\x00", Reason.MALFORMED_PACKET),
    "unsubscribe-null": (b"\xa2", b"\x00\x01\x00", Reason.MALFORMED_PACKET),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_broken_requests(broker_with: Start, version: int, name: str) -> None:
    # [MQTT-3.8.3-1] [MQTT-3.8.3-2] [MQTT-3.8.3-5] [MQTT-3.10.3-1] [MQTT-3.10.3-2]
    # [v3.1.1 MQTT-3.8.3-4]: before 5.0 all bits but the QoS are reserved.
    first, rest, reason = BROKEN[name]
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        await client.subscribe("kept")
        body = b"\x00\x09" + (b"\x00" if version == wire.V5 else b"") + rest
        await client.send(first + wire.varint(len(body)) + body)
        await client.refused(reason)


@pytest.mark.parametrize("version", BOTH)
async def test_options_of_the_other_version(broker_with: Start, version: int) -> None:
    # No Local, Retain As Published and Retain Handling are reserved bits before 5.0.
    async with broker_with() as broker:
        for options in (0x04, 0x08, 0x10, 0x20):
            client = await broker.client("c1", version)
            await client.send(wire.subscribe(1, [("t", options)], version=version))
            if version == wire.V5:
                await client.expect(Type.SUBACK, reasons=[0])
            else:
                await client.closed()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_many_filters_in_one_packet(broker_with: Start, version: int) -> None:
    # [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1] [MQTT-3.10.4-6] [MQTT-3.11.3-1]: in their order,
    # the later of two equal ones holds, one answer.
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2")
        codes = await client.subscribe(("a", 2), ("b", 1), ("a", 0), ("#/bad", 1), ("c", 2))
        bad = Reason.TOPIC_FILTER_INVALID if version == wire.V5 else 0x80
        assert codes == [2, 1, 0, bad, 2]
        for topic, qos in (("a", 0), ("b", 1), ("c", 2)):
            await other.publish(topic, b"x", qos=2)
            await client.message(topic, b"x", qos=qos)
        codes = await client.unsubscribe("a", "nothing", "a", "c")
        none = Reason.NO_SUBSCRIPTION_EXISTED
        assert codes == ([0, none, none, 0] if version == wire.V5 else [])
        for topic in ("a", "b", "c"):
            await other.publish(topic, b"y", qos=2)
        await client.message("b", b"y")
        await client.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_replacing_a_subscription_loses_nothing(broker_with: Start, version: int) -> None:
    # [MQTT-3.8.4-3] [MQTT-3.8.4-4] [v3.1.1 MQTT-3.8.4-3]
    async with broker_with("mqtt.max_mqueue_len = 0") as broker:
        client, other = await broker.client("c1", version), await broker.client("c2")
        await other.publish("t", b"kept", retain=True)
        await client.subscribe(("t", 1))
        await client.message("t", b"kept", retain=True)
        for n in range(20):
            await other.send(wire.publish("t", b"%d" % n, qos=1, packet_id=n + 1))
            await client.send(wire.subscribe(n + 1, [("t", 1)], version=version))
        live, retained, answers = [], 0, 0
        while len(live) < 20 or retained < 20 or answers < 20:
            packet = await client.receive()
            if packet.type is Type.SUBACK:
                answers += 1
            elif packet.retain:
                retained += 1
            else:
                live.append(int(packet.payload))
                await client.acknowledge(packet)
        assert live == list(range(20))
        await client.quiet()


@pytest.mark.parametrize("version", BOTH)
async def test_unsubscribing_completes_what_was_begun(broker_with: Start, version: int) -> None:
    # [MQTT-3.10.4-2] [MQTT-3.10.4-3] [v3.1.1 MQTT-3.10.4-2] [v3.1.1 MQTT-3.10.4-3]
    extra = {"properties": KEEP} if version == wire.V5 else {}
    async with broker_with() as broker:
        client = await broker.client("c1", version, clean_start=False, **extra)
        other = await broker.client("c2")
        await client.subscribe(("t", 2))
        for n in (1, 2):
            await other.publish("t", b"%d" % n, qos=n)
            await client.expect(Type.PUBLISH, qos=n)
        await client.unsubscribe("t")
        await other.publish("t", b"later", qos=1)
        await client.send(wire.ack(Type.PUBREC, 2))
        await client.expect(Type.PUBREL, packet_id=2)
        await client.aclose()
        again = await broker.client("c1", version, clean_start=False, **extra)
        await again.message("t", b"1", dup=True, packet_id=1)
        await again.expect(Type.PUBREL, packet_id=2)
        await again.send(wire.ack(Type.PUBCOMP, 2))
        await again.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_unsubscribe_compares_letter_by_letter(broker_with: Start, version: int) -> None:
    # [MQTT-3.10.4-1] [MQTT-3.10.4-4] [MQTT-3.10.4-5]
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2")
        await client.subscribe("a/+", "a/b")
        await client.unsubscribe("a/#", "A/b", "a/b/", "+/+")
        await client.unsubscribe("a/b")
        await other.publish("a/b", b"x")
        await client.message("a/b", b"x")
        await client.quiet()


async def test_subscription_identifiers_of_every_size(broker_with: Start) -> None:
    # Section 3.8.2.1.2
    async with broker_with() as broker:
        client = await broker.client("c1")
        for identifier in (1, 127, 128, 16_383, 16_384, 2_097_152, 268_435_455):
            given = {"subscription_identifier": identifier}
            await client.subscribe("t", properties=given)
            await client.send(wire.publish("t", b"x"))
            packet = await client.message("t", b"x")
            assert packet.properties == {"subscription_identifier": [identifier]}
        await client.send(wire.subscribe(9, ["t"], properties={"subscription_identifier": [1, 2]}))
        await client.refused(Reason.PROTOCOL_ERROR)


async def test_no_local_is_about_the_client(broker_with: Start) -> None:
    # [MQTT-3.8.3-3]: also for what is retained, and for what another session of it published.
    local = wire.options(no_local=True)
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.publish("t/own", b"x", retain=True)
        await other.publish("t/other", b"x", retain=True)
        await client.subscribe(("t/#", local))
        await client.message("t/other", b"x", retain=True)
        await client.quiet()
        await client.disconnect()
        again = await broker.client("c1")
        await again.subscribe(("t/#", local))
        await again.message("t/other", b"x", retain=True)
        await again.quiet()
        await again.subscribe("t/own")
        await again.message("t/own", b"x", retain=True)


# --- topics and filters --------------------------------------------------------------------------


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_the_longest_topic(broker_with: Start, version: int) -> None:
    # [MQTT-4.7.3-3] [v3.1.1 MQTT-4.7.3-3]
    topic = "é" * 32_767 + "x"
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        assert await client.subscribe(topic) == [0]
        await client.send(wire.publish(topic, b"x", version=version))
        await client.message(topic, b"x")


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_topics_are_not_normalised(broker_with: Start, version: int) -> None:
    # [MQTT-4.7.3-4] [v3.1.1 MQTT-4.7.3-4]
    alike = ["\u00e9", "e\u0301", "E\u0301", "ﬁ", "fi", "a b", "a\u00a0b", "a/b", "a//b", "/a/b"]
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        await client.subscribe(*alike)
        for topic in alike:
            await client.send(wire.publish(topic, topic.encode(), version=version))
            await client.message(topic, topic.encode())
        await client.quiet()


@pytest.mark.parametrize("filter", ["#", "+", "+/t", "+/#"])
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_wildcards_and_the_dollar_sign(broker_with: Start, version: int, filter: str) -> None:
    # [MQTT-4.7.2-1] [v3.1.1 MQTT-4.7.2-1], for live and for retained messages
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2")
        await other.publish("$x/t", b"x", retain=True)
        await client.subscribe(filter)
        await other.publish("$x/t", b"x")
        await other.publish("$x", b"x")
        await client.quiet()
        await client.subscribe("$x/#")
        await client.message("$x/t", b"x", retain=True)


FILTERS = ["", "a/#/b", "#/", "a#", "##", "a+", "+a", "a/+b", "++"]


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_filters_that_are_none(broker_with: Start, version: int, filter: str) -> None:
    # [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1]: each is answered by itself (section 3.9.3).
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        bad = Reason.TOPIC_FILTER_INVALID if version == wire.V5 else 0x80
        assert await client.subscribe("good", filter, "+/#") == [0, bad, 0]


# --- shared subscriptions ------------------------------------------------------------------------


@pytest.mark.parametrize("filter", ["$share/g/t", "$share/é g/+", "$share/$share/#", "$share/g//t"])
async def test_shared_filters(broker_with: Start, filter: str) -> None:
    # [MQTT-4.8.2-1] [MQTT-4.8.2-2]
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        assert await client.subscribe((filter, 1)) == [1]
        topic = "/t" if filter.endswith("//t") else "t"
        await other.publish(topic, b"x", qos=1)
        await client.message(topic, b"x")


@pytest.mark.parametrize("filter", ["$share/", "$share/g", "$share/g/", "$share//t", "$share/+/t"])
async def test_shared_filters_that_are_none(broker_with: Start, filter: str) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        assert await client.subscribe(filter) == [Reason.TOPIC_FILTER_INVALID]


@pytest.mark.parametrize("granted", [0, 1, 2])
async def test_qos_of_each_member(broker_with: Start, granted: int) -> None:
    # [MQTT-4.8.2-3]
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("$share/g/t", granted))
        for qos in (0, 1, 2):
            await other.publish("t", b"x", qos=qos)
            await client.message("t", b"x", qos=min(qos, granted))


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_a_member_rejects_goes_to_nobody_else(broker_with: Start, qos: int) -> None:
    # [MQTT-4.8.2-6]
    type = Type.PUBACK if qos == 1 else Type.PUBREC
    async with broker_with() as broker:
        first, other = await broker.client("c1"), await broker.client("c2")
        await first.subscribe(("$share/g/t", qos))
        await other.publish("t", b"x", qos=qos)
        packet_id = (await first.expect(Type.PUBLISH)).packet_id
        assert packet_id is not None
        second = await broker.client("c3")
        await second.subscribe(("$share/g/t", qos))
        await first.send(wire.ack(type, packet_id, Reason.UNSPECIFIED_ERROR))
        await first.quiet()
        await first.disconnect()
        await second.quiet()


@pytest.mark.parametrize("comes_back", [True, False])
async def test_qos_2_belongs_to_the_member_it_was_begun_with(
    broker_with: Start, comes_back: bool
) -> None:
    # [MQTT-4.8.2-4] [MQTT-4.8.2-5]
    async with broker_with() as broker:
        first, other = await broker.client("c1", properties=KEEP), await broker.client("c2")
        await first.subscribe(("$share/g/t", 2))
        await other.publish("t", b"x", qos=2)
        sent = await first.expect(Type.PUBLISH)
        second = await broker.client("c3")
        await second.subscribe(("$share/g/t", 2))
        await first.abort()
        again = await broker.client("c1", clean_start=not comes_back, properties=KEEP)
        if comes_back:
            await again.message("t", b"x", dup=True, packet_id=sent.packet_id)
        await again.quiet()
        await second.quiet()
