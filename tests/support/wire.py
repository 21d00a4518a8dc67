"""MQTT 3.1, 3.1.1 and 5.0 packets as bytes, as far as a client has to write and read them.

Written from the standard, independent of the broker's codec: an error made in both would go unseen.
Nothing is checked on the way out, so that a test can send what the standard forbids.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

V31, V311, V5 = 3, 4, 5
VERSIONS = (V31, V311, V5)


class Type(IntEnum):
    """MQTT Control Packet type (section 2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Reason(IntEnum):
    """The reason codes these tests name (section 2.4)."""

    SUCCESS = 0x00
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_SHUTTING_DOWN = 0x8B
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


PROPERTIES: dict[str, tuple[int, str]] = {
    "payload_format_indicator": (0x01, "byte"),
    "message_expiry_interval": (0x02, "four"),
    "content_type": (0x03, "text"),
    "response_topic": (0x08, "text"),
    "correlation_data": (0x09, "binary"),
    "subscription_identifier": (0x0B, "varint"),
    "session_expiry_interval": (0x11, "four"),
    "assigned_client_identifier": (0x12, "text"),
    "server_keep_alive": (0x13, "two"),
    "authentication_method": (0x15, "text"),
    "authentication_data": (0x16, "binary"),
    "request_problem_information": (0x17, "byte"),
    "will_delay_interval": (0x18, "four"),
    "request_response_information": (0x19, "byte"),
    "response_information": (0x1A, "text"),
    "server_reference": (0x1C, "text"),
    "reason_string": (0x1F, "text"),
    "receive_maximum": (0x21, "two"),
    "topic_alias_maximum": (0x22, "two"),
    "topic_alias": (0x23, "two"),
    "maximum_qos": (0x24, "byte"),
    "retain_available": (0x25, "byte"),
    "user_property": (0x26, "pair"),
    "maximum_packet_size": (0x27, "four"),
    "wildcard_subscription_available": (0x28, "byte"),
    "subscription_identifier_available": (0x29, "byte"),
    "shared_subscription_available": (0x2A, "byte"),
}
"""Name, identifier and kind of every property (section 2.2.2.2)."""

_NAMES = {id: (name, kind) for name, (id, kind) in PROPERTIES.items()}
_REPEATED = {"user_property", "subscription_identifier"}

Properties = Mapping[str, Any]


# --- writing -------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """A Variable Byte Integer (section 1.5.5)."""
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def binary(value: bytes | str) -> bytes:
    """Binary Data or a UTF-8 Encoded String (sections 1.5.4 and 1.5.6)."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(data)) + data


def _value(kind: str, value: Any) -> bytes:
    match kind:
        case "byte":
            return struct.pack("!B", value)
        case "two":
            return struct.pack("!H", value)
        case "four":
            return struct.pack("!I", value)
        case "varint":
            return varint(value)
        case "pair":
            return binary(value[0]) + binary(value[1])
        case _:
            return binary(value)


def properties(values: Properties | None) -> bytes:
    """Property Length and properties; those that may repeat are given as lists."""
    out = b""
    for name, given in (values or {}).items():
        id, kind = PROPERTIES[name]
        for value in given if name in _REPEATED and isinstance(given, list) else [given]:
            out += varint(id) + _value(kind, value)
    return varint(len(out)) + out


def packet(type: int, flags: int, body: bytes = b"") -> bytes:
    """A whole packet."""
    return bytes([type << 4 | flags]) + varint(len(body)) + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """A will (section 3.1.2.5)."""

    topic: str | bytes
    payload: bytes = b"gone"
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=dict)


def connect(
    client_id: str | bytes,
    *,
    version: int = V5,
    clean_start: bool = True,
    keep_alive: int = 60,
    username: str | bytes | None = None,
    password: str | bytes | None = None,
    will: Will | None = None,
    properties: Properties | None = None,
    flags: int = 0,
) -> bytes:
    """CONNECT; `flags` are set on top of what the other arguments say."""
    body = binary("MQIsdp" if version == V31 else "MQTT") + bytes([version])
    flags |= clean_start << 1
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
    flags |= (password is not None) << 6 | (username is not None) << 7
    body += bytes([flags]) + struct.pack("!H", keep_alive)
    if version == V5:
        body += _properties(properties)
    body += binary(client_id)
    if will is not None:
        body += _properties(will.properties) if version == V5 else b""
        body += binary(will.topic) + binary(will.payload)
    for text in (username, password):
        body += b"" if text is None else binary(text)
    return packet(Type.CONNECT, 0, body)


_properties = properties


def publish(
    topic: str | bytes,
    payload: bytes = b"",
    *,
    version: int = V5,
    qos: int = 0,
    packet_id: int | None = None,
    retain: bool = False,
    dup: bool = False,
    properties: Properties | None = None,
) -> bytes:
    """PUBLISH."""
    body = binary(topic)
    if packet_id is not None:
        body += struct.pack("!H", packet_id)
    if version == V5:
        body += _properties(properties)
    return packet(Type.PUBLISH, dup << 3 | qos << 1 | retain, body + payload)


def ack(type: Type, packet_id: int, reason: int = 0) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP; a reason code other than 0 is for version 5 only."""
    body = struct.pack("!H", packet_id) + (bytes([reason]) if reason else b"")
    return packet(type, 2 if type is Type.PUBREL else 0, body)


Filter = str | bytes | tuple[str | bytes, int]
"""A topic filter, alone (QoS 0) or with its options byte."""


def subscribe(
    packet_id: int,
    filters: Iterable[Filter],
    *,
    version: int = V5,
    properties: Properties | None = None,
) -> bytes:
    """SUBSCRIBE."""
    body = struct.pack("!H", packet_id) + (_properties(properties) if version == V5 else b"")
    for entry in filters:
        name, options = entry if isinstance(entry, tuple) else (entry, 0)
        body += binary(name) + bytes([options])
    return packet(Type.SUBSCRIBE, 2, body)


def options(
    qos: int = 0,
    *,
    no_local: bool = False,
    retain_as_published: bool = False,
    retain_handling: int = 0,
) -> int:
    """The Subscription Options byte of version 5 (section 3.8.3.1)."""
    return qos | no_local << 2 | retain_as_published << 3 | retain_handling << 4


def unsubscribe(
    packet_id: int,
    filters: Iterable[str | bytes],
    *,
    version: int = V5,
    properties: Properties | None = None,
) -> bytes:
    """UNSUBSCRIBE."""
    body = struct.pack("!H", packet_id) + (_properties(properties) if version == V5 else b"")
    return packet(Type.UNSUBSCRIBE, 2, body + b"".join(binary(name) for name in filters))


PINGREQ = packet(Type.PINGREQ, 0)


def disconnect(
    reason: int = 0, *, version: int = V5, properties: Properties | None = None
) -> bytes:
    """DISCONNECT."""
    if version != V5 or (reason == 0 and properties is None):
        return packet(Type.DISCONNECT, 0)
    body = bytes([reason]) + (b"" if properties is None else _properties(properties))
    return packet(Type.DISCONNECT, 0, body)


def auth(reason: int, properties: Properties | None = None) -> bytes:
    """AUTH."""
    return packet(Type.AUTH, 0, bytes([reason]) + _properties(properties))


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet from the broker. What its type does not have stays at the default."""

    type: Type
    packet_id: int | None = None
    reason: int = 0
    """Reason code; for 3.x CONNACK its return code."""
    reasons: Sequence[int] = ()
    """One code for each filter of SUBSCRIBE or UNSUBSCRIBE."""
    session_present: bool = False
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    properties: Properties = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.type.name} {self.topic} 0x{self.reason:02x} {dict(self.properties)}"


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        assert self.at + count <= len(self.data), f"packet too short: {self.data.hex()}"
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        return self.binary().decode()

    def varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    @property
    def at_end(self) -> bool:
        return self.at == len(self.data)

    def properties(self) -> dict[str, Any]:
        length = self.varint()
        inner = _Reader(self.take(length))
        found: dict[str, Any] = {}
        while not inner.at_end:
            name, kind = _NAMES[inner.varint()]
            value = inner.value(kind)
            if name in _REPEATED:
                found.setdefault(name, []).append(value)
            else:
                assert name not in found, f"{name} twice"
                found[name] = value
        return found

    def value(self, kind: str) -> Any:
        match kind:
            case "byte" | "two" | "four":
                return self.number({"byte": 1, "two": 2, "four": 4}[kind])
            case "varint":
                return self.varint()
            case "pair":
                return (self.text(), self.text())
            case "binary":
                return self.binary()
            case _:
                return self.text()


def decode(version: int, first: int, body: bytes) -> Packet:
    """Read a packet that a broker may send; anything else is an AssertionError."""
    type, flags, reader = Type(first >> 4), first & 0x0F, _Reader(body)
    assert flags == (2 if type is Type.PUBREL else 0) or type is Type.PUBLISH, f"flags {first:#x}"
    fields: dict[str, Any] = {}
    match type:
        case Type.CONNACK:
            acknowledge = reader.number(1)
            assert acknowledge in (0, 1), f"CONNACK flags {acknowledge:#x}"
            fields = {"session_present": acknowledge == 1, "reason": reader.number(1)}
            if version == V5:
                fields["properties"] = reader.properties()
        case Type.PUBLISH:
            qos = flags >> 1 & 3
            fields = {"topic": reader.text(), "qos": qos, "retain": bool(flags & 1)}
            fields |= {"dup": bool(flags & 8), "packet_id": reader.number(2) if qos else None}
            if version == V5:
                fields["properties"] = reader.properties()
            fields["payload"] = reader.rest()
        case Type.PUBACK | Type.PUBREC | Type.PUBREL | Type.PUBCOMP:
            fields = {"packet_id": reader.number(2)} | _reason(version, reader)
        case Type.SUBACK | Type.UNSUBACK:
            fields["packet_id"] = reader.number(2)
            if version == V5:
                fields["properties"] = reader.properties()
            fields["reasons"] = list(reader.rest())
        case Type.PINGRESP:
            pass
        case Type.DISCONNECT | Type.AUTH:
            assert version == V5, f"a {type.name} to a client of version {version}"
            fields = _reason(version, reader)
        case _:
            raise AssertionError(f"a broker sends no {type.name}")
    assert reader.at_end, f"{type.name} with bytes to spare: {body.hex()}"
    return Packet(type=type, **fields)


def _reason(version: int, reader: _Reader) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if version == V5 and not reader.at_end:
        fields["reason"] = reader.number(1)
        if not reader.at_end:
            fields["properties"] = reader.properties()
    return fields
