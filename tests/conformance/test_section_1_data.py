"""Sections 1.5 and 2: strings, lengths, properties, packet identifiers.

What is cited is MQTT 5.0; `v3.1.1` says that it is the older standard. Which test holds which
statement is in `docs/reference/conformance.md`.
"""

from __future__ import annotations

import pytest
from support import wire
from support.broker import Start
from support.wire import Reason, Type

PADDED = [b"\x80\x00", b"\x80\x80\x80\x00"]
"""Zero, written with more bytes than it needs."""


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_a_byte_order_mark_is_a_character(broker_with: Start, version: int) -> None:
    # [MQTT-1.5.4-3] [v3.1.1 MQTT-1.5.3-3]
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        assert await client.subscribe("\ufefft", "t") == [0, 0]
        await client.send(wire.publish("\ufefft", b"with", version=version))
        await client.message("\ufefft", b"with")
        await client.send(wire.publish("t", b"without", version=version))
        await client.message("t", b"without")
        await client.quiet()


@pytest.mark.parametrize("length", PADDED)
@pytest.mark.parametrize("strict", ["true", "false"])
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_padded_length(broker_with: Start, version: int, strict: str, length: bytes) -> None:
    # [MQTT-1.5.5-1]: new in MQTT 5.0; the versions before do not say it.
    async with broker_with(f"mqtt.strict_mode = {strict}") as broker:
        client = await broker.client("c1", version)
        await client.send(b"\xc0" + length)
        if version == wire.V5:
            await client.refused(Reason.MALFORMED_PACKET)
        elif strict == "true":
            await client.closed()
        else:
            await client.expect(Type.PINGRESP)


@pytest.mark.parametrize("strict", ["true", "false"])
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_padded_length_of_connect(broker_with: Start, version: int, strict: str) -> None:
    async with broker_with(f"mqtt.strict_mode = {strict}") as broker:
        client = await broker.open(version)
        data = wire.connect("c1", version=version)
        await client.send(data[:1] + bytes([data[1] | 0x80, 0]) + data[2:])
        if version == wire.V5:
            await client.expect(Type.CONNACK, reason=Reason.MALFORMED_PACKET)
            await client.closed()
        elif strict == "true":
            await client.closed()
        else:
            await client.expect(Type.CONNACK, reason=0)


async def test_no_properties_are_a_length_of_zero(broker_with: Start) -> None:
    # [MQTT-2.2.2-1]
    async with broker_with() as broker:
        client = await broker.client("c1")
        await client.send(wire.subscribe(1, ["t"]))
        assert await client.raw(6) == b"\x90\x04\x00\x01\x00\x00"
        await client.send(wire.publish("t", b"x"))
        assert await client.raw(7) == b"\x30\x05\x00\x01t\x00x"
        # From a client the length may not be missing either.
        await client.send(wire.packet(Type.SUBSCRIBE, 2, b"\x00\x01"))
        await client.refused(Reason.MALFORMED_PACKET)


FLAGS = {
    "subscribe": wire.subscribe(1, ["t"]),
    "unsubscribe": wire.unsubscribe(1, ["t"]),
    "pubrel": wire.ack(Type.PUBREL, 1),
    "puback": wire.ack(Type.PUBACK, 1),
    "pubrec": wire.ack(Type.PUBREC, 1),
    "pubcomp": wire.ack(Type.PUBCOMP, 1),
    "pingreq": wire.PINGREQ,
    "disconnect": wire.disconnect(),
}


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("version", [wire.V311, wire.V5])
async def test_reserved_flags(broker_with: Start, version: int, name: str) -> None:
    # [MQTT-2.1.3-1] [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1]
    # [v3.1.1 MQTT-2.2.2-1] [v3.1.1 MQTT-2.2.2-2] [v3.1.1 MQTT-3.14.1-1]
    packet = FLAGS[name]
    async with broker_with() as broker:
        for bit in (1, 2, 4, 8):
            client = await broker.client("c1", version)
            await client.send(bytes([packet[0] ^ bit]) + packet[1:])
            await client.refused(Reason.MALFORMED_PACKET)


@pytest.mark.parametrize("version", [wire.V311, wire.V5])
async def test_reserved_flags_of_connect(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        for bit in (1, 2, 4, 8):
            client = await broker.open(version)
            data = wire.connect("c1", version=version)
            await client.send(bytes([data[0] | bit]) + data[1:])
            await client.closed()  # the very first byte is no CONNECT


async def test_reserved_flags_of_auth(broker_with: Start) -> None:
    # [MQTT-3.15.1-1]: told apart from an AUTH out of place, which is 0x82.
    packet = wire.auth(0x19, {"authentication_method": "x"})
    async with broker_with() as broker:
        for bit in (1, 2, 4, 8):
            client = await broker.client("c1")
            await client.send(bytes([packet[0] | bit]) + packet[1:])
            await client.refused(Reason.MALFORMED_PACKET)


@pytest.mark.parametrize("version", [wire.V311, wire.V5])
@pytest.mark.parametrize("name", ["publish", "subscribe", "unsubscribe"])
async def test_packet_identifier_zero(broker_with: Start, version: int, name: str) -> None:
    # [MQTT-2.2.1-3] [v3.1.1 MQTT-2.3.1-1]
    packets = {
        "publish": wire.publish("t", qos=1, packet_id=0, version=version),
        "subscribe": wire.subscribe(0, ["t"], version=version),
        "unsubscribe": wire.unsubscribe(0, ["t"], version=version),
    }
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        await client.send(packets[name])
        await client.refused(Reason.PROTOCOL_ERROR)


@pytest.mark.parametrize("version", [wire.V311, wire.V5])
async def test_answers_name_the_packet_they_answer(broker_with: Start, version: int) -> None:
    # [MQTT-2.2.1-5] [MQTT-2.2.1-6] [v3.1.1 MQTT-2.3.1-6] [v3.1.1 MQTT-2.3.1-7]
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        for packet_id in (1, 0x1234, 0xFFFF):
            await client.send(
                wire.publish("t", qos=1, packet_id=packet_id, version=version),
                wire.publish("t", qos=2, packet_id=packet_id, version=version),
                wire.ack(Type.PUBREL, packet_id),
                wire.subscribe(packet_id, ["a"], version=version),
                wire.unsubscribe(packet_id, ["a"], version=version),
            )
            for type in (Type.PUBACK, Type.PUBREC, Type.PUBCOMP, Type.SUBACK, Type.UNSUBACK):
                await client.expect(type, packet_id=packet_id)


async def test_identifiers_are_not_reused_while_in_use(broker_with: Start) -> None:
    # [MQTT-2.2.1-4] [v3.1.1 MQTT-2.3.1-4]: one is never acknowledged while the others go round.
    async with broker_with("mqtt.max_inflight = 300") as broker:
        client, other = await broker.client("c1", wire.V311), await broker.client("c2")
        await client.subscribe(("t", 1))
        await other.publish("t", b"held", qos=1)
        held = await client.expect(Type.PUBLISH)
        used: set[int | None] = {held.packet_id}
        for _ in range(4):
            await other.send(*[wire.publish("t", b"x", qos=1, packet_id=1) for _ in range(250)])
            received = [await client.expect(Type.PUBLISH) for _ in range(250)]
            ids = {packet.packet_id for packet in received}
            assert len(ids) == 250
            assert held.packet_id not in ids
            assert None not in ids
            used |= ids
            for packet in received:
                await client.acknowledge(packet)
            for _ in range(250):
                await other.expect(Type.PUBACK)
        assert 0 not in used


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_dup_of_requests_in_mqtt_3_1(broker_with: Start, version: int) -> None:
    # MQTT 3.1 sections 3.6, 3.8 and 3.10: the bit is DUP there, reserved in the versions after.
    packets = [
        (wire.subscribe(1, ["t"], version=version), Type.SUBACK),
        (wire.unsubscribe(2, ["t"], version=version), Type.UNSUBACK),
        (wire.ack(Type.PUBREL, 3), Type.PUBCOMP),
    ]
    async with broker_with() as broker:
        for packet, answer in packets:
            client = await broker.client("c1", version)
            await client.send(bytes([packet[0] | 0x08]) + packet[1:])
            if version == wire.V31:
                await client.expect(answer)
            else:
                await client.refused(Reason.MALFORMED_PACKET)
