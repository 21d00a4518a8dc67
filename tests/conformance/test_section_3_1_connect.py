"""Sections 3.1 and 3.2: CONNECT and its answer."""

from __future__ import annotations

import string
from typing import Any

import pytest
from support import wire
from support.broker import LOOPBACK, Start
from support.wire import Reason, Type, Will

KEEP = {"session_expiry_interval": 60}


def body(version: int, flags: int, *fields: bytes) -> bytes:
    """A CONNECT with these flags and exactly these fields of the payload."""
    head = wire.binary("MQIsdp" if version == wire.V31 else "MQTT") + bytes([version, flags, 0, 60])
    properties = b"\x00" if version == wire.V5 else b""
    return wire.packet(Type.CONNECT, 0, head + properties + b"".join(fields))


ID, USER, PASSWORD = wire.binary("c1"), wire.binary("u"), wire.binary("p")


def will_fields(version: int) -> bytes:
    return (b"\x00" if version == wire.V5 else b"") + wire.binary("will") + wire.binary("gone")


MALFORMED = {
    "reserved-flag": (0x03, []),  # [MQTT-3.1.2-3]
    "will-qos-without-will": (0x0A, []),  # [MQTT-3.1.2-11]
    "will-qos-3": (0x1E, ["will"]),  # [MQTT-3.1.2-12]
    "will-retain-without-will": (0x22, []),  # [MQTT-3.1.2-13]
    "will-fields-missing": (0x06, []),  # [MQTT-3.1.2-9]
    "will-fields-without-flag": (0x02, ["will"]),  # [v3.1.1 MQTT-3.1.2-11]
    "user-name-missing": (0x82, []),  # [MQTT-3.1.2-17]
    "user-name-without-flag": (0x02, [USER]),  # [MQTT-3.1.2-16]
    "password-missing": (0xC2, [USER]),  # [MQTT-3.1.2-19]
    "password-without-flag": (0x82, [USER, PASSWORD]),  # [MQTT-3.1.2-18]
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_malformed_connect(broker_with: Start, version: int, name: str) -> None:
    # [MQTT-3.1.4-1] closes; 3.1.1 wants that done without a CONNACK, 5.0 has reason codes for it.
    flags, fields = MALFORMED[name]
    payload = [will_fields(version) if field == "will" else field for field in fields]
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("#")
        client = await broker.open(version)
        await client.send(body(version, flags, ID, *payload))
        if version == wire.V5:
            answer = await client.expect(Type.CONNACK, reason=Reason.MALFORMED_PACKET)
            assert not answer.session_present
        await client.closed()
        await watcher.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_connect_without_client_identifier(broker_with: Start, version: int) -> None:
    # [MQTT-3.1.3-3]: it may be empty, not absent.
    async with broker_with() as broker:
        client = await broker.open(version)
        await client.send(body(version, 0x02))
        if version == wire.V5:
            await client.expect(Type.CONNACK, reason=Reason.MALFORMED_PACKET)
        await client.closed()


async def test_fields_are_read_in_their_order(broker_with: Start) -> None:
    # [MQTT-3.1.3-1] [v3.1.1 MQTT-3.1.3-1]
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        for version in wire.VERSIONS:
            client = await broker.open(version)
            await client.send(body(version, 0xC6, ID, will_fields(version), USER, PASSWORD))
            await client.expect(Type.CONNACK, reason=0)
            await client.aclose()
            await watcher.message("will", b"gone")


async def test_password_without_user_name(broker_with: Start) -> None:
    # [v3.1.1 MQTT-3.1.2-22]; MQTT 5.0 allows it.
    async with broker_with() as broker:
        for version in (wire.V31, wire.V311):
            client = await broker.open(version)
            await client.send(body(version, 0x42, ID, PASSWORD))
            await client.closed()
        await broker.client("c1", password="p")


@pytest.mark.parametrize(("name", "level"), [("MQTT", 0), ("MQTT", 3), ("MQTT", 6), ("MQIsdp", 4)])
async def test_unknown_version(broker_with: Start, name: str, level: int) -> None:
    # [MQTT-3.1.2-2] [v3.1.1 MQTT-3.1.2-2]: return code 1, in the form all versions before 5.0 know.
    async with broker_with() as broker:
        client = await broker.open(wire.V311)
        packet = wire.binary(name) + bytes([level, 2, 0, 60]) + ID
        await client.send(wire.packet(Type.CONNECT, 0, packet))
        await client.expect(Type.CONNACK, reason=1, session_present=False)
        await client.closed()


PROTOCOL_ERRORS: dict[str, dict[str, Any]] = {
    "receive-maximum-0": {"properties": {"receive_maximum": 0}},
    "maximum-packet-size-0": {"properties": {"maximum_packet_size": 0}},
    "request-problem-information-2": {"properties": {"request_problem_information": 2}},
    "request-response-information-2": {"properties": {"request_response_information": 2}},
    "authentication-data-alone": {"properties": {"authentication_data": b"x"}},
}


@pytest.mark.parametrize("name", PROTOCOL_ERRORS)
async def test_protocol_errors_in_connect(broker_with: Start, name: str) -> None:
    # Sections 3.1.2.11.3, .4, .6, .7 and .10.
    async with broker_with() as broker:
        client = await broker.open()
        await client.send(wire.connect("c1", **PROTOCOL_ERRORS[name]))
        await client.expect(Type.CONNACK, reason=Reason.PROTOCOL_ERROR, session_present=False)
        await client.closed()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_client_identifiers_every_broker_takes(broker_with: Start, version: int) -> None:
    # [MQTT-3.1.3-5] [v3.1.1 MQTT-3.1.3-5]: 1 to 23 letters and digits.
    alphabet = string.digits + string.ascii_letters
    async with broker_with() as broker:
        for client_id in ("0", alphabet[:23], alphabet[23:46], alphabet[-23:]):
            client = await broker.client(client_id, version)
            await client.quiet()
            assert "assigned_client_identifier" not in client.connack.properties


async def test_long_identifiers_of_mqtt_3_1(broker_with: Start) -> None:
    # That standard ends at 23 characters; clients that go beyond are in use, and brokers let them.
    async with broker_with() as broker:
        client = await broker.client("x" * 100, wire.V31)
        await client.quiet()


async def test_state_belongs_to_the_client_identifier(broker_with: Start) -> None:
    # [MQTT-3.1.3-2] [v3.1.1 MQTT-3.1.3-2]
    async with broker_with() as broker:
        for client_id in ("c1", "C1"):
            client = await broker.client(client_id, properties=KEEP)
            await client.subscribe(f"of/{client_id}")
            await client.disconnect()
        other = await broker.client("other")
        await other.publish("of/C1", b"x", qos=1)
        for client_id in ("c1", "C1"):
            client = await broker.client(client_id, clean_start=False, properties=KEEP)
            assert client.connack.session_present
            if client_id == "C1":
                await client.message("of/C1", b"x")
            await client.quiet()


@pytest.mark.parametrize("version", [wire.V311, wire.V5])
async def test_nothing_behind_a_refused_connect_is_read(broker_with: Start, version: int) -> None:
    # [MQTT-3.1.4-6] [v3.1.1 MQTT-3.1.4-5]
    text = 'listeners.tcp.closed.bind = "127.0.0.1:0"'
    async with broker_with(text) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("#")
        client = await type(watcher).open(broker.broker.listeners["tcp:closed"].port, version)
        await client.send(
            wire.connect("c1", version=version, will=Will(topic="will")),
            wire.publish("t", b"x", version=version, qos=1, packet_id=1),
        )
        answer = await client.expect(Type.CONNACK, session_present=False)
        assert answer.reason == (Reason.NOT_AUTHORIZED if version == wire.V5 else 5)
        await client.closed()
        await client.aclose()
        await watcher.quiet()


async def test_refusal_leaves_the_session_alone(broker_with: Start) -> None:
    # [MQTT-3.2.2-6]: no Session Present, and a refused CONNECT takes nobody over.
    text = 'listeners.tcp.closed.bind = "127.0.0.1:0"'
    async with broker_with(text) as broker:
        owner = await broker.client("c1", properties=KEEP)
        thief = await type(owner).open(broker.broker.listeners["tcp:closed"].port)
        await thief.connect("c1", clean_start=False, properties=KEEP)
        assert thief.connack.reason == Reason.NOT_AUTHORIZED
        assert not thief.connack.session_present
        await thief.closed()
        await thief.aclose()
        await owner.quiet()


async def test_room_for_no_connack(broker_with: Start) -> None:
    # [MQTT-3.1.2-24]: nothing above the client's Maximum Packet Size, not even the answer.
    async with broker_with() as broker:
        for client_id, limit in (("c1", 4), ("", 20), ("x", 1)):
            client = await broker.open()
            await client.send(wire.connect(client_id, properties={"maximum_packet_size": limit}))
            await client.closed()
        assert (await broker.client("c1", properties={"maximum_packet_size": 5})).connack


async def test_room_for_no_refusal(broker_with: Start) -> None:
    async with broker_with(base=LOOPBACK) as broker:
        for limit in (4, 5):
            client = await broker.open()
            await client.send(wire.connect("c1", properties={"maximum_packet_size": limit}))
            if limit == 5:
                await client.expect(Type.CONNACK, reason=Reason.NOT_AUTHORIZED)
            await client.closed()


async def test_a_connection_that_gets_no_connack_has_no_will(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.open()
        await client.send(
            wire.connect("c1", will=Will(topic="will"), properties={"maximum_packet_size": 4})
        )
        await client.closed()
        await watcher.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_will_is_published_once(broker_with: Start, version: int) -> None:
    # [MQTT-3.1.2-10] [v3.1.1 MQTT-3.1.2-10]: publishing removes it from the session.
    extra = {"properties": KEEP} if version == wire.V5 else {}
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        first = await broker.client(
            "c1", version, clean_start=False, will=Will(topic="will"), **extra
        )
        await first.abort()
        await watcher.message("will", b"gone")
        # The next connection of the session has no Will [MQTT-3.1.2-12 of 3.1.1].
        again = await broker.client("c1", version, clean_start=False, **extra)
        await again.abort()
        third = await broker.client("c1", version, clean_start=False, **extra)
        await third.disconnect()
        await watcher.quiet()


async def test_problem_information_is_not_forced_upon_a_client(broker_with: Start) -> None:
    # [MQTT-3.1.2-29]: with 0, no Reason String and no User Property in what fails.
    asked = {"request_problem_information": 0}
    async with broker_with("mqtt.max_subscriptions = 1") as broker:
        client = await broker.client("c1", properties=asked)
        await client.send(
            wire.subscribe(1, ["a", "b", "a/#/c"]),
            wire.unsubscribe(2, ["nothing", "a/#/c"]),
            wire.publish("t", qos=1, packet_id=3),
            wire.publish("t", qos=2, packet_id=4),
            wire.ack(Type.PUBREL, 99),
            wire.ack(Type.PUBREC, 98),
        )
        failing = (Type.SUBACK, Type.UNSUBACK, Type.PUBACK, Type.PUBREC, Type.PUBCOMP, Type.PUBREL)
        for type in failing:
            packet = await client.expect(type)
            assert not {"reason_string", "user_property"} & set(packet.properties), packet
            assert packet.reason or any(packet.reasons)


async def test_no_response_information_unless_asked(broker_with: Start) -> None:
    # [MQTT-3.1.2-28]
    async with broker_with('mqtt.response_information = "r/"') as broker:
        for properties in ({}, {"request_response_information": 0}):
            client = await broker.client("c1", properties=properties)
            assert "response_information" not in client.connack.properties


async def test_no_authentication_method_unless_asked(broker_with: Start) -> None:
    # [MQTT-4.12.0-6]: whether the client is let in or not, no AUTH comes and no method is named.
    async with broker_with('listeners.tcp.closed.bind = "127.0.0.1:0"') as broker:
        client = await broker.client("c1", username="u", password="p")
        assert not {"authentication_method", "authentication_data"} & set(client.connack.properties)
        await client.quiet()
        other = await type(client).open(broker.broker.listeners["tcp:closed"].port)
        await other.connect("c2", username="u", password="p")
        assert other.connack.reason == Reason.NOT_AUTHORIZED
        assert "authentication_method" not in other.connack.properties
        await other.closed()
        await other.aclose()


async def test_no_topic_alias_unless_allowed(broker_with: Start) -> None:
    # [MQTT-3.1.2-27]
    async with broker_with() as broker:
        other = await broker.client("c2")
        for properties in ({}, {"topic_alias_maximum": 0}):
            client = await broker.client("c1", properties=properties)
            await client.subscribe(("t", 1))
            for _ in range(3):
                await other.publish("t", b"x", qos=1)
                packet = await client.message("t", b"x")
                assert "topic_alias" not in packet.properties


async def test_what_a_v311_client_is_told_of_its_identifier(broker_with: Start) -> None:
    # [v3.1.1 MQTT-3.1.3-6] [v3.1.1 MQTT-3.1.3-9]
    async with broker_with("mqtt.max_clientid_len = 23") as broker:
        clients = [await broker.client("", wire.V311) for _ in range(2)]
        for client in clients:
            await client.quiet()  # neither took the other over: each has an identifier of its own
        client = await broker.open(wire.V311)
        await client.connect("x" * 24)
        assert client.connack.reason == 2
        await client.closed()
