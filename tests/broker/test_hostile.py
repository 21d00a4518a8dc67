"""What a peer may send to break things: each is refused, and others are served on."""

from __future__ import annotations

import asyncio
import random
import ssl

import pytest
from support import wire
from support.attack import malformed, survives
from support.broker import Start
from support.wire import Reason, Type, Will

# --- before CONNECT ------------------------------------------------------------------------------


async def test_announced_length_takes_no_memory(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        clients = [await broker.open() for _ in range(200)]
        for client in clients:
            await client.send(b"\x10\xff\xff\xff\x7f")
        # The announced 256 MiB exceed what an unknown client may send: none waits for more.
        for client in clients:
            await client.closed()


FIRST_BYTES = {
    "publish": wire.publish("t", b"x"),
    "pingreq": wire.PINGREQ,
    "disconnect": wire.disconnect(),
    "subscribe": wire.subscribe(1, ["#"]),
    "connack": wire.packet(Type.CONNACK, 0, b"\x00\x00\x00"),
    "auth": wire.auth(0x18, {"authentication_method": "x"}),
    "type-0": b"\x00\x00",
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "proxy-v1": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "proxy-v2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
    "noise": random.Random(1).randbytes(4096),  # noqa: S311
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
}


@pytest.mark.parametrize("name", FIRST_BYTES)
async def test_first_packet_is_no_connect(broker_with: Start, name: str) -> None:
    async with survives(broker_with) as broker:
        client = await broker.open()
        await client.send(FIRST_BYTES[name])
        await client.closed()


async def test_tls_on_the_plain_port(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        context = ssl.create_default_context()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", broker.port, ssl=context)


async def test_connect_larger_than_an_unknown_client_may_send(broker_with: Start) -> None:
    async with survives(broker_with, "mqtt.max_packet_size = 200MB") as broker:
        client = await broker.open()
        await client.send(b"\x10" + wire.varint(100 * 1024 * 1024))
        await client.closed()


# --- frames --------------------------------------------------------------------------------------

BAD_LENGTHS = [b"\x80\x80\x80\x80\x01", b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x80"]


@pytest.mark.parametrize("length", BAD_LENGTHS)
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_five_byte_length(broker_with: Start, version: int, length: bytes) -> None:
    async with survives(broker_with) as broker:
        unknown = await broker.open(version)
        await unknown.send(b"\x10" + length)
        await unknown.closed()
        client = await broker.client("c1", version)
        await client.send(b"\x30" + length)
        await malformed(client, Reason.MALFORMED_PACKET)


@pytest.mark.parametrize("length", [b"\x80\x00", b"\x82\x80\x00", b"\x80\x80\x80\x00"])
async def test_length_not_in_its_shortest_form(broker_with: Start, length: bytes) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        await client.send(b"\xc0" + length)
        await malformed(client, Reason.MALFORMED_PACKET)


async def test_packet_that_never_ends(broker_with: Start) -> None:
    async with survives(broker_with, "mqtt.idle_timeout = 1s") as broker:
        unknown = await broker.open()
        await unknown.send(b"\x10\x80\x20abc")
        client = await broker.client("c1", keep_alive=1)
        await client.send(b"\x30\x80\x20abc")
        await unknown.closed()
        await client.refused(Reason.KEEP_ALIVE_TIMEOUT)


SERVER_ONLY = {
    "connack": wire.packet(Type.CONNACK, 0, b"\x00\x00\x00"),
    "suback": wire.packet(Type.SUBACK, 0, b"\x00\x01\x00\x00"),
    "unsuback": wire.packet(Type.UNSUBACK, 0, b"\x00\x01\x00\x00"),
    "pingresp": wire.packet(Type.PINGRESP, 0),
    "auth": wire.auth(0x18, {"authentication_method": "x"}),
    "second-connect": wire.connect("c1"),
    "second-connect-other-id": wire.connect("innocent"),
}


@pytest.mark.parametrize("name", SERVER_ONLY)
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_packets_out_of_place(broker_with: Start, version: int, name: str) -> None:
    async with survives(broker_with) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client("c1", version, will=Will(topic="will"))
        await client.send(SERVER_ONLY[name])
        await malformed(client, Reason.PROTOCOL_ERROR, Reason.MALFORMED_PACKET)
        await watcher.message("will", b"gone")


BAD_HEADERS = {
    "type-0": b"\x00\x00",
    "subscribe-flags-0": b"\x80" + wire.subscribe(1, ["t"])[1:],
    "subscribe-flags-3": b"\x83" + wire.subscribe(1, ["t"])[1:],
    "unsubscribe-flags-0": b"\xa0" + wire.unsubscribe(1, ["t"])[1:],
    "pubrel-flags-0": b"\x60\x02\x00\x01",
    "puback-flags-2": b"\x42\x02\x00\x01",
    "pingreq-flags-1": b"\xc1\x00",
    "pingreq-with-a-body": b"\xc0\x01\x00",
    "disconnect-flags-1": b"\xe1\x00",
    "publish-qos-3": b"\x36" + wire.publish("t", qos=1, packet_id=1)[1:],
    "publish-dup-qos-0": b"\x38" + wire.publish("t")[1:],
    "publish-id-0": wire.publish("t", qos=1, packet_id=0),
    "subscribe-id-0": wire.subscribe(0, ["t"]),
    "subscribe-nothing": wire.subscribe(1, []),
    "unsubscribe-nothing": wire.unsubscribe(1, []),
    "subscribe-qos-3": wire.subscribe(1, [("t", 3)]),
    "subscribe-reserved-bits": wire.subscribe(1, [("t", 0xC0)]),
    "subscribe-retain-handling-3": wire.subscribe(1, [("t", 0x30)]),
    "subscribe-without-options": wire.packet(Type.SUBSCRIBE, 2, b"\x00\x01\x00\x00\x01t"),
    "publish-cut": wire.packet(Type.PUBLISH, 0, b"\x00\x05t"),
    "publish-empty": wire.packet(Type.PUBLISH, 0),
    "puback-cut": wire.packet(Type.PUBACK, 0, b"\x00"),
    "puback-to-spare": wire.packet(Type.PUBACK, 0, b"\x00\x01\x00\x00\x00"),
    "subscribe-cut": wire.packet(Type.SUBSCRIBE, 2, b"\x00"),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
async def test_malformed_packets(broker_with: Start, name: str) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        await client.send(BAD_HEADERS[name])
        await malformed(client, Reason.MALFORMED_PACKET, Reason.PROTOCOL_ERROR)


BAD_CONNECTS = {
    "flags": wire.packet(Type.CONNECT, 1, wire.connect("c1")[2:]),
    "reserved-bit": wire.connect("c1", flags=0x01),
    "will-qos-3": wire.connect("c1", will=Will(topic="t", qos=3)),
    "will-qos-without-will": wire.connect("c1", flags=0x08),
    "will-retain-without-will": wire.connect("c1", flags=0x20),
    "username-missing": wire.connect("c1", flags=0x80),
    "trailing-bytes": wire.packet(Type.CONNECT, 0, wire.connect("c1")[2:] + b"x"),
    "will-topic-with-wildcard": wire.connect("c1", will=Will(topic="a/+")),
    "will-topic-empty": wire.connect("c1", will=Will(topic="")),
    "property-twice": wire.packet(
        Type.CONNECT, 0, b"\x00\x04MQTT\x05\x02\x00\x3c\x06\x21\x00\x01\x21\x00\x01\x00\x02c1"
    ),
    "receive-maximum-0": wire.connect("c1", properties={"receive_maximum": 0}),
    "maximum-packet-size-0": wire.connect("c1", properties={"maximum_packet_size": 0}),
    "property-of-another-packet": wire.connect("c1", properties={"topic_alias": 1}),
    "request-problem-information-2": wire.connect(
        "c1", properties={"request_problem_information": 2}
    ),
    "authentication-data-alone": wire.connect("c1", properties={"authentication_data": b"x"}),
    "will-property-of-publish": wire.connect(
        "c1", will=Will(topic="t", properties={"topic_alias": 1})
    ),
    "properties-past-the-end": wire.packet(
        Type.CONNECT, 0, b"\x00\x04MQTT\x05\x02\x00\x3c\x7f\x00\x02c1"
    ),
}


@pytest.mark.parametrize("name", BAD_CONNECTS)
async def test_malformed_connects(broker_with: Start, name: str) -> None:
    async with survives(broker_with) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("#")
        client = await broker.open()
        await client.send(BAD_CONNECTS[name])
        try:
            answer = await client.expect(Type.CONNACK)
        except ConnectionError:
            pass
        else:
            assert answer.reason >= Reason.UNSPECIFIED_ERROR
            await client.closed()
        await watcher.quiet()


# --- text ----------------------------------------------------------------------------------------

BAD_TEXTS = {
    "overlong": b"a\xc0\xaf",
    "overlong-nul": b"a\xc0\x80",
    "surrogate": b"a\xed\xa0\x80",
    "nul": b"a\x00b",
    "lone-continuation": b"a\x80",
    "cut": b"a\xe2\x82",
    "above-unicode": b"a\xf4\x90\x80\x80",
    "latin-1": b"caf\xe9",
}


@pytest.mark.parametrize("name", BAD_TEXTS)
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_ill_formed_text(broker_with: Start, version: int, name: str) -> None:
    bad = BAD_TEXTS[name]
    async with survives(broker_with) as broker:
        for packet in (
            wire.connect(bad, version=version),
            wire.connect("c1", version=version, username=bad),
            wire.connect("c1", version=version, will=Will(topic=bad)),
        ):
            client = await broker.open(version)
            await client.send(packet)
            try:
                answer = await client.expect(Type.CONNACK)
            except ConnectionError:
                continue
            assert answer.reason != 0
            await client.closed()
        for packet in (
            wire.publish(bad, version=version),
            wire.subscribe(1, [bad], version=version),
            wire.unsubscribe(1, [bad], version=version),
        ):
            client = await broker.client("c1", version)
            await client.send(packet)
            await malformed(client, Reason.MALFORMED_PACKET)


@pytest.mark.parametrize("field", ["user_property", "content_type", "response_topic"])
async def test_ill_formed_text_in_properties(broker_with: Start, field: str) -> None:
    async with survives(broker_with) as broker:
        for bad in BAD_TEXTS.values():
            client = await broker.client("c1")
            value = (bad, b"x") if field == "user_property" else bad
            await client.send(wire.publish("t", properties={field: value}))
            await malformed(client, Reason.MALFORMED_PACKET)


@pytest.mark.parametrize("character", ["\x01", "\x1f", "\x7f", "\n"])
async def test_control_characters(broker_with: Start, character: str) -> None:
    async with survives(broker_with) as broker:
        for fields in ({"client_id": f"c{character}"}, {"client_id": "c", "username": character}):
            client = await broker.open()
            await client.connect(**fields)
            assert client.connack.reason == Reason.CLIENT_IDENTIFIER_NOT_VALID
            await client.closed()
        client = await broker.client("c1")
        assert await client.subscribe(f"a{character}") == [Reason.TOPIC_FILTER_INVALID]
        await client.send(wire.publish(f"a{character}"))
        await client.refused(Reason.TOPIC_NAME_INVALID)


# --- topics --------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["", "+", "#", "a/+", "a/#", "a+", "a#b"])
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_bad_topic_names(broker_with: Start, version: int, topic: str) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1", version)
        await client.send(wire.publish(topic, version=version))
        await malformed(client, Reason.TOPIC_NAME_INVALID, Reason.PROTOCOL_ERROR)


BAD_FILTERS = ["a/#/b", "a+", "+a", "a/+b", "#/", "a#", "a/#b", "##", "++"]
BAD_SHARES = ["$share/", "$share/g", "$share/g/", "$share//x", "$share/+/x", "$share/a#/x"]


@pytest.mark.parametrize("filter", ["", *BAD_FILTERS, *BAD_SHARES])
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_bad_topic_filters(broker_with: Start, version: int, filter: str) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1", version)
        await client.send(wire.subscribe(1, [filter], version=version))
        answer = None
        try:
            answer = await client.receive()
        except ConnectionError:
            assert version != wire.V5, "closed without a word"
            return
        assert answer.type in (Type.SUBACK, Type.DISCONNECT)
        codes = answer.reasons if answer.type is Type.SUBACK else [answer.reason]
        assert all(code >= 0x80 for code in codes), answer


async def test_no_local_on_a_shared_subscription(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        await client.send(wire.subscribe(1, [("$share/g/t", wire.options(no_local=True))]))
        await client.refused(Reason.PROTOCOL_ERROR)


async def test_topics_of_very_many_levels(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        deep = "/".join("a" * 32_768)
        assert await client.subscribe(deep, "+" + "/+" * 128) == [Reason.TOPIC_FILTER_INVALID] * 2
        assert await client.subscribe("+" + "/+" * 127) == [0]
        await client.send(wire.publish(deep))
        await client.refused(Reason.TOPIC_NAME_INVALID)


async def test_very_many_levels_without_the_limit(broker_with: Start) -> None:
    # No stack may grow with the number of levels, whatever the operator allows.
    async with survives(broker_with, "mqtt.max_topic_levels = 65535") as broker:
        client = await broker.client("c1")
        deep = "/".join("a" * 32_768)
        assert await client.subscribe(deep, "/".join("+" * 32_768), deep[:-1] + "#") == [0] * 3
        assert await client.publish("other", retain=True, qos=1) == Reason.NO_MATCHING_SUBSCRIBERS
        other = await broker.client("other")
        await other.publish(deep, b"x", qos=1, retain=True)
        for _ in range(3):
            await client.message(deep, b"x")
        await client.unsubscribe(deep, "/".join("+" * 32_768), deep[:-1] + "#")
        await client.disconnect()


async def test_many_wildcard_filters_on_one_topic(broker_with: Start) -> None:
    async with survives(broker_with, "mqtt.max_mqueue_len = 0") as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        topic = "/".join("abcdefghijkl")
        levels = topic.split("/")
        filters = [
            "/".join("+" if n >> bit & 1 else level for bit, level in enumerate(levels))
            for n in range(4096)
        ]
        await client.subscribe(*filters)
        assert await other.publish(topic, b"x", qos=1) == 0
        await client.send(wire.PINGREQ)
        copies = 0
        while (await client.receive()).type is Type.PUBLISH:
            copies += 1
        assert copies in (1, 4096)


async def test_alias_mapped_again_and_again(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        for n in range(20_000):
            await client.send(wire.publish(f"t/{n}", properties={"topic_alias": 1}))
        await client.quiet()


async def test_aliases_have_a_budget_of_bytes(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        alias = 0
        while alias < 65_535:
            alias += 1
            long = f"{alias}/" + "x" * 60_000
            await client.send(wire.publish(long, properties={"topic_alias": alias}), wire.PINGREQ)
            answer = await client.receive()
            if answer.type is not Type.PINGRESP:
                break
        assert (answer.type, answer.reason) == (Type.DISCONNECT, Reason.QUOTA_EXCEEDED)
        assert alias < 1000  # far below the 4 GB that the identifiers could hold


# --- properties ----------------------------------------------------------------------------------


def raw_publish(properties: bytes) -> bytes:
    return wire.packet(Type.PUBLISH, 0, wire.binary("t") + properties)


BAD_PROPERTIES = {
    "length-past-the-packet": b"\x05\x01\x00",
    "length-five-bytes": b"\x80\x80\x80\x80\x01",
    "unknown": b"\x02\x7f\x00",
    "unknown-two-bytes": b"\x03\x80\x01\x00",
    "id-not-shortest": b"\x03\x81\x00\x00",
    "twice": b"\x04\x01\x00\x01\x00",
    "of-connect": b"\x05\x11\x00\x00\x00\x01",
    "short-pair": b"\x04\x26\x00\x01a",
    "value-past-the-properties": b"\x03\x03\x00\x05abcde",
    "format-indicator-2": b"\x02\x01\x02",
    "subscription-identifier": b"\x02\x0b\x01",
    "cut": b"\x01\x02",
    "response-topic-with-wildcard": b"\x04\x08\x00\x01+",
}


@pytest.mark.parametrize("name", BAD_PROPERTIES)
async def test_bad_properties(broker_with: Start, name: str) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        await client.send(raw_publish(BAD_PROPERTIES[name]))
        await malformed(
            client, Reason.MALFORMED_PACKET, Reason.PROTOCOL_ERROR, Reason.TOPIC_NAME_INVALID
        )


async def test_subscription_identifier_0(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        await client.send(wire.subscribe(1, ["t"], properties={"subscription_identifier": 0}))
        await client.refused(Reason.PROTOCOL_ERROR)


TOO_MANY_PROPERTIES = {
    "count": ([(f"{n}", "v") for n in range(1001)], Reason.QUOTA_EXCEEDED),
    "ten-thousand": ([(f"{n}", "v") for n in range(10_000)], Reason.QUOTA_EXCEEDED),
    "bytes": ([("k" * 65_000, "v" * 65_000)] * 3, Reason.PACKET_TOO_LARGE),
}


@pytest.mark.parametrize("name", TOO_MANY_PROPERTIES)
async def test_very_many_user_properties(broker_with: Start, name: str) -> None:
    pairs, reason = TOO_MANY_PROPERTIES[name]
    properties = {"user_property": pairs}
    async with survives(broker_with) as broker:
        for packet in (
            wire.publish("t", properties=properties),
            wire.subscribe(1, ["t"], properties=properties),
            wire.disconnect(properties=properties),
        ):
            client = await broker.client("c1")
            await client.send(packet)
            await client.refused(reason)
        client = await broker.open()
        if name != "bytes":  # more than a CONNECT may have at all
            assert (await client.connect("c1", properties=properties)).reason == reason
        else:
            await client.send(wire.connect("c1", properties=properties))
        await client.closed()


@pytest.mark.parametrize(
    "pairs", [[(f"{n}", "v") for n in range(1000)], [("k" * 65_535, "v" * 65_535)] * 2]
)
async def test_user_properties_up_to_the_limit(
    broker_with: Start, pairs: list[tuple[str, str]]
) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        await client.subscribe("t")
        await client.send(wire.publish("t", b"x", properties={"user_property": pairs}))
        packet = await client.message("t", b"x")
        assert packet.properties["user_property"] == pairs
