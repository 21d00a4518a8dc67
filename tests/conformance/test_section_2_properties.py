"""Sections 2.2.2 and 2.4: which properties and reason codes stand in which packet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support import wire
from support.broker import Start
from support.wire import Reason, Type, Will

VALUES: dict[str, Any] = {
    "payload_format_indicator": 1,
    "message_expiry_interval": 60,
    "content_type": "text/plain",
    "response_topic": "answers",
    "correlation_data": b"x",
    "subscription_identifier": 1,
    "session_expiry_interval": 60,
    "assigned_client_identifier": "c2",
    "server_keep_alive": 60,
    "authentication_method": "none such",
    "authentication_data": b"x",
    "request_problem_information": 1,
    "will_delay_interval": 1,
    "request_response_information": 1,
    "response_information": "r",
    "server_reference": "elsewhere",
    "reason_string": "so",
    "receive_maximum": 10,
    "topic_alias_maximum": 10,
    "topic_alias": 1,
    "maximum_qos": 1,
    "retain_available": 1,
    "user_property": ("a", "b"),
    "maximum_packet_size": 1000,
    "wildcard_subscription_available": 1,
    "subscription_identifier_available": 1,
    "shared_subscription_available": 1,
}
"""A good value of each."""

MESSAGE = {
    "payload_format_indicator",
    "message_expiry_interval",
    "content_type",
    "response_topic",
    "correlation_data",
    "user_property",
}
ALLOWED: dict[str, set[str]] = {
    "connect": {
        "session_expiry_interval",
        "request_problem_information",
        "request_response_information",
        "receive_maximum",
        "topic_alias_maximum",
        "user_property",
        "maximum_packet_size",
    },
    "will": MESSAGE | {"will_delay_interval"},
    "publish": MESSAGE | {"topic_alias"},
    "puback": {"reason_string", "user_property"},
    "pubrec": {"reason_string", "user_property"},
    "pubrel": {"reason_string", "user_property"},
    "pubcomp": {"reason_string", "user_property"},
    "subscribe": {"subscription_identifier", "user_property"},
    "unsubscribe": {"user_property"},
    "disconnect": {
        "session_expiry_interval",
        "server_reference",
        "reason_string",
        "user_property",
    },
}
"""What a client may send, but for enhanced authentication."""

KNOWN_ELSEWHERE = {
    ("connect", "authentication_method"),
    ("connect", "authentication_data"),
    ("publish", "subscription_identifier"),
}
"""Has a place in the packet, and rules of its own that are tested where they belong."""


def acknowledgement(type: Type, flags: int = 0) -> Callable[[bytes], bytes]:
    return lambda properties: wire.packet(type, flags, b"\x00\x01\x00" + properties)


def connect(properties: bytes, will: bytes | None = None) -> bytes:
    flags = 0x02 if will is None else 0x06
    body = wire.binary("MQTT") + bytes([5, flags, 0, 60]) + properties + wire.binary("c1")
    if will is not None:
        body += will + wire.binary("will") + wire.binary("gone")
    return wire.packet(Type.CONNECT, 0, body)


PACKETS: dict[str, Callable[[bytes], bytes]] = {
    "connect": connect,
    "will": lambda properties: connect(b"\x00", properties),
    "publish": lambda properties: wire.packet(
        Type.PUBLISH, 2, wire.binary("t") + b"\x00\x01" + properties
    ),
    "puback": acknowledgement(Type.PUBACK),
    "pubrec": acknowledgement(Type.PUBREC),
    "pubrel": acknowledgement(Type.PUBREL, 2),
    "pubcomp": acknowledgement(Type.PUBCOMP),
    "subscribe": lambda properties: wire.packet(
        Type.SUBSCRIBE, 2, b"\x00\x01" + properties + wire.binary("t") + b"\x00"
    ),
    "unsubscribe": lambda properties: wire.packet(
        Type.UNSUBSCRIBE, 2, b"\x00\x01" + properties + wire.binary("t")
    ),
    "disconnect": lambda properties: wire.packet(Type.DISCONNECT, 0, b"\x00" + properties),
}
"""A good packet with these bytes, their length included, as its properties."""


def encoded(name: str, times: int = 1) -> bytes:
    content = wire.properties({name: VALUES[name]})[1:] * times
    return wire.varint(len(content)) + content


async def judged(broker_with: Start, packet: str, name: str, times: int = 1) -> int:
    """The reason code a packet is refused with; 0 if it is not."""
    data = PACKETS[packet](encoded(name, times))
    async with broker_with() as broker:
        if packet in ("connect", "will"):
            client = await broker.open()
            await client.send(data)
            return (await client.expect(Type.CONNACK)).reason
        client = await broker.client("c1", properties={"session_expiry_interval": 60})
        await client.send(data)
        if packet == "disconnect":
            try:
                return (await client.expect(Type.DISCONNECT)).reason
            except ConnectionError:
                return 0
        await client.send(wire.PINGREQ)
        while (answer := await client.receive()).type is not Type.PINGRESP:
            if answer.type is Type.DISCONNECT:
                return answer.reason
        return 0


@pytest.mark.parametrize(
    ("packet", "name"),
    [
        (packet, name)
        for packet in PACKETS
        for name in VALUES
        if (packet, name) not in KNOWN_ELSEWHERE
    ],
)
async def test_table_2_4(broker_with: Start, packet: str, name: str) -> None:
    expected = 0 if name in ALLOWED[packet] else Reason.MALFORMED_PACKET
    assert await judged(broker_with, packet, name) == expected


@pytest.mark.parametrize(
    ("packet", "name"),
    [(packet, name) for packet, names in ALLOWED.items() for name in sorted(names)],
)
async def test_once_or_more_often(broker_with: Start, packet: str, name: str) -> None:
    expected = 0 if name == "user_property" else Reason.PROTOCOL_ERROR
    assert await judged(broker_with, packet, name, times=2) == expected


OUT_OF_RANGE = [
    ("connect", "receive_maximum", 0, Reason.PROTOCOL_ERROR),
    ("connect", "maximum_packet_size", 0, Reason.PROTOCOL_ERROR),
    ("connect", "request_problem_information", 2, Reason.PROTOCOL_ERROR),
    ("connect", "request_response_information", 2, Reason.PROTOCOL_ERROR),
    ("subscribe", "subscription_identifier", 0, Reason.PROTOCOL_ERROR),
    ("publish", "topic_alias", 0, Reason.TOPIC_ALIAS_INVALID),
]


@pytest.mark.parametrize(("packet", "name", "value", "reason"), OUT_OF_RANGE)
async def test_values_out_of_range(
    broker_with: Start,
    monkeypatch: pytest.MonkeyPatch,
    packet: str,
    name: str,
    value: int,
    reason: int,
) -> None:
    monkeypatch.setitem(VALUES, name, value)
    assert await judged(broker_with, packet, name) == reason


async def test_bounds_of_values(broker_with: Start) -> None:
    # Sections 3.1.2.11 and 3.1.3.2: the largest and the smallest there are.
    async with broker_with() as broker:
        for largest in (True, False):
            client = await broker.client(
                "c1",
                will=Will(
                    topic="will",
                    properties={"will_delay_interval": 0xFFFF_FFFF if largest else 0},
                ),
                properties={
                    "session_expiry_interval": 0xFFFF_FFFF if largest else 0,
                    "receive_maximum": 0xFFFF if largest else 1,
                    "maximum_packet_size": 0xFFFF_FFFF if largest else 100,
                    "topic_alias_maximum": 0xFFFF if largest else 0,
                },
            )
            await client.quiet()
            await client.disconnect()


PUBACK_CODES = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
CODES = {
    Type.PUBACK: PUBACK_CODES,
    Type.PUBREC: PUBACK_CODES,
    Type.PUBREL: {0x00, 0x92},
    Type.PUBCOMP: {0x00, 0x92},
    Type.DISCONNECT: {0x00, 0x04, *range(0x80, 0x84), 0x90, *range(0x93, 0x9A)},
}
"""What a client may say (sections 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1 and 3.14.2.1)."""


@pytest.mark.parametrize("type", CODES)
async def test_reason_codes_of_a_client(broker_with: Start, type: Type) -> None:
    # [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-3.14.2-1]
    flags = 2 if type is Type.PUBREL else 0
    body = b"" if type is Type.DISCONNECT else b"\x00\x01"
    async with broker_with() as broker:
        for code in range(256):
            client = await broker.client(f"c{code}")
            await client.send(wire.packet(type, flags, body + bytes([code])))
            if code not in CODES[type]:
                packet = await client.expect(Type.DISCONNECT)
                assert packet.reason in (Reason.MALFORMED_PACKET, Reason.PROTOCOL_ERROR), code
                await client.closed()
            elif type is Type.DISCONNECT:
                await client.closed()
            else:
                await client.send(wire.PINGREQ)
                while (packet := await client.receive()).type is not Type.PINGRESP:
                    assert packet.type in (Type.PUBREL, Type.PUBCOMP), code
            await client.aclose()
