"""What a peer may send to break things: each is refused, and others are served on."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support import wire
from support.broker import RunningBroker, Start
from support.client import Client
from support.wire import Reason, Type, Will


@asynccontextmanager
async def survives(broker_with: Start, text: str = "") -> AsyncIterator[RunningBroker]:
    """A broker that must serve an innocent client before and after the attack."""
    async with broker_with(text) as broker:
        innocent = await broker.client("innocent")
        await innocent.subscribe(("innocent", 1))
        yield broker
        async with asyncio.timeout(10):
            await innocent.send(wire.publish("innocent", b"x", qos=1, packet_id=1))
            assert {(await innocent.receive()).type for _ in range(2)} == {
                Type.PUBACK,
                Type.PUBLISH,
            }


async def malformed(client: Client, *reasons: int) -> None:
    """The connection ends; version 5 hears one of these reasons."""
    if client.version == wire.V5 and client.connack.properties:
        packet = await client.expect(Type.DISCONNECT)
        assert packet.reason in reasons, packet
    await client.closed()


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


# --- repetition, flood, slowness -----------------------------------------------------------------


MANY = [f"t/{n}" for n in range(50_000)]


async def test_subscribe_with_very_many_filters(broker_with: Start) -> None:
    text = "mqtt { max_subscriptions = 1000, max_filters_per_packet = 50000 }"
    async with survives(broker_with, text) as broker:
        client = await broker.client("c1")
        codes = await client.subscribe(*MANY)
        assert codes == [0] * 1000 + [Reason.QUOTA_EXCEEDED] * 49_000
        codes = await client.unsubscribe(*MANY)
        assert codes == [0] * 1000 + [Reason.NO_SUBSCRIPTION_EXISTED] * 49_000


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_filters_of_one_packet_have_a_limit(broker_with: Start, version: int) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1", version)
        refused = Reason.QUOTA_EXCEEDED if version == wire.V5 else Reason.UNSPECIFIED_ERROR
        assert await client.subscribe(*MANY) == [0] * 10_000 + [refused] * 40_000
        assert broker.broker.statistics()["subscriptions.count"] == 10_001  # one is the innocent's
        await client.send(wire.unsubscribe(1, MANY, version=version))
        await client.refused(Reason.QUOTA_EXCEEDED)


async def test_very_many_subscriptions_end_with_their_session(broker_with: Start) -> None:
    async with survives(broker_with, "mqtt.exclusive_subscription = true") as broker:
        client = await broker.client("c1")
        exclusive = "$exclusive/only"
        for start in range(0, 50_000, 10_000):
            await client.subscribe(*MANY[start : start + 10_000])
        await client.subscribe("$share/g/t/1", exclusive)
        other = await broker.client("other")
        assert await other.subscribe(exclusive) == [Reason.QUOTA_EXCEEDED]
        await client.disconnect()
        assert await other.subscribe(exclusive) == [0]  # at once, whatever else is to be forgotten
        async with asyncio.timeout(10):
            while broker.broker.statistics()["subscriptions.count"] > 2:
                await other.quiet()


async def test_same_id_without_pubrel(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("t")
        client = await broker.client("c1")
        for _ in range(20):
            await client.send(wire.publish("t", b"x", qos=2, packet_id=1, dup=True) * 1000)
            for _ in range(1000):
                await client.expect(Type.PUBREC, packet_id=1)
        await watcher.message("t", b"x")
        await watcher.quiet()


async def test_new_ids_without_pubrel(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        maximum = client.connack.properties["receive_maximum"]
        for n in range(1, maximum + 2):
            await client.send(wire.publish("t", qos=2, packet_id=n))
        for n in range(1, maximum + 1):
            await client.expect(Type.PUBREC, packet_id=n)
        await client.refused(Reason.RECEIVE_MAXIMUM_EXCEEDED)


async def test_take_over_in_a_loop_under_load(broker_with: Start) -> None:
    async with survives(broker_with) as broker, asyncio.TaskGroup() as group:

        async def churn(seed: int) -> None:
            noise = random.Random(seed)  # noqa: S311
            for _ in range(25):
                client = await broker.open()
                await client.send(
                    wire.connect(
                        "victim",
                        clean_start=noise.random() < 0.5,
                        properties={"session_expiry_interval": noise.choice([0, 60])},
                        will=Will(topic="churn/will", qos=1),
                    ),
                    wire.subscribe(1, [("churn/#", noise.randrange(3))]),
                    *[wire.publish(f"churn/{n}", b"x", qos=1, packet_id=n) for n in range(1, 20)],
                    wire.unsubscribe(2, ["churn/#"]),
                )
                if noise.random() < 0.3:
                    await client.abort()

        for seed in range(6):
            group.create_task(churn(seed))


async def test_slow_reader_holds_nobody_up(broker_with: Start) -> None:
    text = "mqtt { max_mqueue_len = 100 }"
    async with survives(broker_with, text) as broker:
        # A small window, so that the socket is full soon.
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", broker.port))
        hello = wire.connect("slow", keep_alive=0) + wire.subscribe(1, [("zero", 0), ("one", 1)])
        await asyncio.get_running_loop().sock_sendall(sock, hello)
        fast, publisher = await broker.client("fast"), await broker.client("publisher")
        await fast.subscribe(("zero", 0), ("one", 1))
        payload = bytes(50_000)
        for topic, qos in (("zero", 0), ("one", 1)):
            for _ in range(400):
                await publisher.send(
                    wire.publish(topic, payload, qos=qos, packet_id=1 if qos else None)
                )
                if qos:
                    await publisher.expect(Type.PUBACK)
                await fast.message(topic, payload)
        statistics = broker.broker.statistics()
        assert statistics["delivery.dropped.slow_consumer"] > 0
        assert statistics["delivery.dropped.queue_full"] > 0
        sock.close()


async def test_reader_that_stops_is_ended_by_keep_alive(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        watcher, publisher = await broker.client("watcher"), await broker.client("publisher")
        await watcher.subscribe("will")
        slow = await broker.client("slow", keep_alive=1, will=Will(topic="will"))
        await slow.subscribe("t")
        for _ in range(200):
            await publisher.send(wire.publish("t", bytes(50_000)))
        await watcher.message("will", b"gone")


async def test_retained_flood_and_a_reader_that_stops(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        publisher = await broker.client("publisher")
        for n in range(5000):
            await publisher.send(wire.publish(f"t/{n}", bytes(2000), retain=True))
        await publisher.quiet()
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port, limit=1024)
        writer.write(wire.connect("slow") + wire.subscribe(1, [("t/#", 0), ("t/+", 1)]))
        await publisher.publish("other", b"x", qos=1)
        other = await broker.client("other")
        await other.subscribe("t/7")
        await other.message("t/7", bytes(2000))
        writer.transport.abort()
        del reader


@pytest.mark.parametrize("seed", range(20))
async def test_noise_after_connect(broker_with: Start, seed: int) -> None:
    noise = random.Random(seed)  # noqa: S311
    async with survives(broker_with) as broker:
        for n in range(20):
            version = noise.choice(wire.VERSIONS)
            client = await broker.open(version)
            await client.send(wire.connect(f"c{n}", version=version))
            await client.expect(Type.CONNACK)
            packets = [
                wire.publish("t", b"x" * 50, version=version, qos=1, packet_id=1),
                wire.subscribe(1, [("t/#", 1), ("a/+", 2)], version=version),
                wire.unsubscribe(1, ["t/#"], version=version),
                wire.ack(Type.PUBREL, 1),
                wire.disconnect(4, version=version),
            ]
            for packet in noise.choices(packets, k=5):
                broken = bytearray(packet)
                for _ in range(noise.randrange(4)):
                    broken[noise.randrange(len(broken))] = noise.randrange(256)
                await client.send(bytes(broken))
            await client.abort()
