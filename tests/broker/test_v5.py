"""What only MQTT 5 has: properties in and out, aliases, limits of the client, options."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from support import wire
from support.broker import Start, acl
from support.wire import Reason, Type, options

FORWARDED = {
    "payload_format_indicator": 1,
    "content_type": "text/plain; charset=é",
    "response_topic": "answers/c2",
    "correlation_data": b"\x00\x01\xff",
    "user_property": [("a", "1"), ("b", ""), ("a", "2")],
}


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_properties_are_passed_on_unchanged(broker_with: Start, qos: int) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", 2))
        await other.publish("t", b"x", qos=qos, properties=FORWARDED)
        packet = await client.message("t", b"x")
        assert packet.properties == FORWARDED


async def test_properties_of_a_retained_message(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await other.publish("t", b"x", retain=True, properties=FORWARDED)
        await client.subscribe("t")
        assert (await client.message("t", b"x")).properties == FORWARDED


async def test_properties_are_not_sent_to_older_clients(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1", wire.V311), await broker.client("c2")
        await client.subscribe(("t", 1))
        await other.publish("t", b"x", qos=1, properties=FORWARDED)
        await client.message("t", b"x")


# --- topic alias -------------------------------------------------------------------------------


async def test_topic_alias(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("#", 1))
        for topic, alias, expected in (
            ("a", 1, "a"),
            ("b", 65_535, "b"),
            ("", 1, "a"),
            ("", 65_535, "b"),
            ("c", 1, "c"),  # replaces it [MQTT-3.3.2-12]
            ("", 1, "c"),
        ):
            await other.publish(topic, b"x", qos=1, properties={"topic_alias": alias})
            packet = await client.message(expected, b"x")
            assert packet.properties == {}


async def test_topic_alias_ends_with_the_connection(broker_with: Start) -> None:
    async with broker_with() as broker:
        keep = {"session_expiry_interval": 60}
        first = await broker.client("c1", properties=keep)
        await first.publish("a", b"x", properties={"topic_alias": 1})
        await first.disconnect()
        again = await broker.client("c1", clean_start=False, properties=keep)
        await again.send(wire.publish("", b"x", properties={"topic_alias": 1}))
        await again.refused(Reason.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("topic", "alias", "reason"),
    [
        ("t", 0, Reason.TOPIC_ALIAS_INVALID),
        ("t", 8, Reason.TOPIC_ALIAS_INVALID),
        ("", 7, Reason.PROTOCOL_ERROR),
        ("", None, Reason.PROTOCOL_ERROR),
    ],
)
async def test_bad_topic_alias(
    broker_with: Start, topic: str, alias: int | None, reason: int
) -> None:
    async with broker_with("mqtt.max_topic_alias = 7") as broker:
        client = await broker.client("c1")
        assert client.connack.properties["topic_alias_maximum"] == 7
        given = {} if alias is None else {"topic_alias": alias}
        await client.send(wire.publish(topic, b"x", properties=given))
        await client.refused(reason)


async def test_authorization_sees_the_topic_behind_the_alias(broker_with: Start) -> None:
    async with broker_with(acl('{deny, all, publish, ["secret"]}.')) as broker:
        client = await broker.client("c1")
        aliased = {"topic_alias": 1}
        assert await client.publish("secret", qos=1, properties=aliased) == Reason.NOT_AUTHORIZED
        assert await client.publish("", qos=1, properties=aliased) == Reason.NOT_AUTHORIZED


# --- expiry ------------------------------------------------------------------------------------


async def test_message_expiry(broker_with: Start) -> None:
    async with broker_with() as broker:
        keep = {"session_expiry_interval": 60}
        client = await broker.client("c1", properties=keep)
        await client.subscribe(("waits/#", 1))
        await client.disconnect()
        other = await broker.client("c2")
        for topic in ("waits", "retained"):
            for seconds, name in ((1, "short"), (60, "long")):
                expiry = {"message_expiry_interval": seconds}
                retain = topic == "retained"
                await other.publish(
                    f"{topic}/{name}", b"x", qos=1, retain=retain, properties=expiry
                )
        # A session that expires after the short messages is the clock: it says so by its will.
        later = await broker.client(
            "later",
            will=wire.Will(topic="mark", properties={"will_delay_interval": 3600}),
            properties={"session_expiry_interval": 2},
        )
        await other.subscribe("mark")
        await later.aclose()
        await other.message("mark", b"gone")
        again = await broker.client("c1", clean_start=False, properties=keep)
        waited = await again.message("waits/long", b"x")
        await again.subscribe("retained/#")
        retained = await again.message("retained/long", b"x", retain=True)
        for packet in (waited, retained):
            assert 0 < packet.properties["message_expiry_interval"] < 60
        await again.quiet()


# --- limits of the client ------------------------------------------------------------------------


async def test_maximum_packet_size_of_the_client(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", properties={"maximum_packet_size": 50})
        wide, other = await broker.client("wide"), await broker.client("c2")
        await client.subscribe(("t", 1))
        await wide.subscribe(("t", 1))
        # 2 bytes of header, 3 of topic, 2 of identifier, 1 of properties: 8 besides the payload.
        for size in (43, 42):
            await other.publish("t", bytes(size), qos=1)
            await wide.message("t", bytes(size))
        # What is too large counts as delivered: it takes no place in the window.
        await client.message("t", bytes(42))
        await client.quiet()


async def test_maximum_packet_size_on_redelivery(broker_with: Start) -> None:
    async with broker_with() as broker:
        keep = {"session_expiry_interval": 60}
        client = await broker.client("c1", properties=keep)
        await client.subscribe(("t", 1))
        await client.disconnect()
        other = await broker.client("c2")
        await other.publish("t", bytes(43), qos=1)
        await other.publish("t", b"small", qos=1)
        again = await broker.client(
            "c1", clean_start=False, properties=keep | {"maximum_packet_size": 50}
        )
        await again.message("t", b"small")
        await again.quiet()


async def test_maximum_packet_size_holds_for_acknowledgements(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", properties={"maximum_packet_size": 40})
        assert await client.subscribe(*[f"t/{n}" for n in range(35)]) == [0] * 35
        # The next SUBACK would have 41 bytes; there is nothing to do but to end the connection.
        await client.send(wire.subscribe(9, [f"t/{n}" for n in range(36)]))
        with contextlib.suppress(ConnectionError):
            await client.expect(Type.DISCONNECT)
        await client.closed()


async def test_maximum_packet_size_holds_for_connack(broker_with: Start) -> None:
    async with broker_with() as broker:
        # With room for the bare CONNACK alone, what is merely good to know is left out.
        client = await broker.client("c1", properties={"maximum_packet_size": 5})
        assert client.connack.properties == {}
        # What the client must know comes before what is good to know.
        client = await broker.client("", properties={"maximum_packet_size": 60})
        assert "assigned_client_identifier" in client.connack.properties


async def test_maximum_packet_size_of_the_broker(broker_with: Start) -> None:
    async with broker_with("mqtt.max_packet_size = 1KB") as broker:
        client, old = await broker.client("c1"), await broker.client("c2", wire.V311)
        assert client.connack.properties["maximum_packet_size"] == 1024
        await client.subscribe("t")
        # 3 bytes of header, 3 of topic, 1 of properties.
        await client.send(wire.publish("t", bytes(1017)))
        await client.message("t", bytes(1017))
        await client.send(wire.publish("t", bytes(1018)))
        await client.refused(Reason.PACKET_TOO_LARGE)
        await old.send(wire.publish("t", bytes(1019), version=wire.V311))
        await old.closed()


@pytest.mark.parametrize("qos", [1, 2])
async def test_receive_maximum(broker_with: Start, qos: int) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", properties={"receive_maximum": 2})
        other = await broker.client("c2")
        await client.subscribe(("t", qos))
        for n in range(4):
            await other.publish("t", b"%d" % n, qos=qos)
        first = await client.expect(Type.PUBLISH, payload=b"0")
        await client.expect(Type.PUBLISH, payload=b"1")
        await client.quiet()
        await client.acknowledge(first)
        await client.expect(Type.PUBLISH, payload=b"2")
        await client.quiet()


async def test_receive_maximum_does_not_hold_qos_0(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", properties={"receive_maximum": 1})
        other = await broker.client("c2")
        await client.subscribe(("one", 1), ("zero", 0))
        await other.publish("one", b"1", qos=1)
        await other.publish("zero", b"2")
        await client.expect(Type.PUBLISH, topic="one")
        await client.expect(Type.PUBLISH, topic="zero")


async def test_receive_maximum_of_the_broker(broker_with: Start) -> None:
    async with broker_with("mqtt.max_awaiting_rel = 3") as broker:
        client = await broker.client("c1")
        assert client.connack.properties["receive_maximum"] == 3
        for n in (1, 2, 3):
            await client.send(wire.publish("t", qos=2, packet_id=n))
            await client.expect(Type.PUBREC, packet_id=n)
        await client.send(wire.publish("t", qos=2, packet_id=4))
        await client.refused(Reason.RECEIVE_MAXIMUM_EXCEEDED)


# --- subscriptions -------------------------------------------------------------------------------


async def test_subscription_identifiers(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe("a/b", properties={"subscription_identifier": 1})
        await client.subscribe("a/+", properties={"subscription_identifier": 268_435_455})
        await client.subscribe("a/#")
        await other.publish("a/b", b"x")
        await client.send(wire.PINGREQ)
        found: list[int] = []
        while (packet := await client.receive()).type is Type.PUBLISH:
            found += packet.properties.get("subscription_identifier", [])
        # In one copy or in several, each identifier once [MQTT-3.3.4-3] [MQTT-3.3.4-5].
        assert sorted(found) == [1, 268_435_455]


async def test_subscription_identifier_is_replaced(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe("t", properties={"subscription_identifier": 1})
        await client.subscribe("t", properties={"subscription_identifier": 2})
        await other.publish("t", b"x")
        assert (await client.message("t", b"x")).properties == {"subscription_identifier": [2]}
        await client.subscribe("t")
        await other.publish("t", b"x")
        assert (await client.message("t", b"x")).properties == {}


async def test_subscription_identifier_of_waiting_and_retained_messages(
    broker_with: Start,
) -> None:
    async with broker_with() as broker:
        keep = {"session_expiry_interval": 60}
        client, other = await broker.client("c1", properties=keep), await broker.client("c2")
        await other.publish("t", b"retained", retain=True)
        identified = {"subscription_identifier": 7}
        await client.subscribe(("t", 1), properties=identified)
        packet = await client.message("t", b"retained", retain=True)
        assert packet.properties == {"subscription_identifier": [7]}
        await client.disconnect()
        await other.publish("t", b"waited", qos=1)
        again = await broker.client("c1", clean_start=False, properties=keep)
        packet = await again.message("t", b"waited")
        assert packet.properties == {"subscription_identifier": [7]}


@pytest.mark.parametrize("loops", [1, 2])
async def test_no_local(broker_with: Start, loops: int) -> None:
    async with broker_with(loops=loops) as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", options(1, no_local=True)))
        await client.publish("t", b"own", qos=1)
        await other.publish("t", b"other", qos=1)
        await client.message("t", b"other")


async def test_no_local_does_not_hold_back_retained_messages_of_others(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await other.publish("t", b"x", retain=True)
        await client.subscribe(("t", options(no_local=True)))
        await client.message("t", b"x", retain=True)


@pytest.mark.parametrize(("as_published", "retain"), list(itertools.product([True, False], [0, 1])))
async def test_retain_as_published(broker_with: Start, as_published: bool, retain: int) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t", options(1, retain_as_published=as_published)))
        await other.publish("t", b"x", qos=1, retain=bool(retain))
        await client.message("t", b"x", retain=as_published and bool(retain))


async def test_retain_handling(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await other.publish("t", b"x", retain=True)
        for handling, sent in ((2, False), (1, False), (0, True), (1, False), (2, False)):
            await client.subscribe(("t", options(retain_handling=handling)))
            if sent:
                await client.message("t", b"x", retain=True)
            await client.quiet()
        await client.unsubscribe("t")
        await client.subscribe(("t", options(retain_handling=1)))
        await client.message("t", b"x", retain=True)


async def test_retain_handling_of_a_kept_subscription(broker_with: Start) -> None:
    async with broker_with() as broker:
        keep = {"session_expiry_interval": 60}
        first, other = await broker.client("c1", properties=keep), await broker.client("c2")
        await first.subscribe(("t", options(retain_handling=1)))
        await first.disconnect()
        await other.publish("t", b"x", retain=True)
        again = await broker.client("c1", clean_start=False, properties=keep)
        await again.message("t", b"x", retain=False)  # it waited
        await again.subscribe(("t", options(retain_handling=1)))
        await again.quiet()


# --- reason codes ------------------------------------------------------------------------------


async def test_unsubscribe_codes(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        await client.subscribe("a")
        assert await client.unsubscribe("a", "a") == [0, Reason.NO_SUBSCRIPTION_EXISTED]


@pytest.mark.parametrize("reason", [0x01, 0x03, 0x8B, 0x8E, 0x9C, 0xFF])
async def test_disconnect_with_a_code_only_a_server_may_send(
    broker_with: Start, reason: int
) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        await client.send(wire.disconnect(reason))
        answer = await client.expect(Type.DISCONNECT)
        assert answer.reason in (Reason.MALFORMED_PACKET, Reason.PROTOCOL_ERROR)
        await client.closed()


@pytest.mark.parametrize("reason", [0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97])
async def test_disconnect_with_a_code_of_the_client(broker_with: Start, reason: int) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        await client.disconnect(reason, properties={"reason_string": "tired"})


async def test_enhanced_authentication_is_refused(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        await client.send(wire.auth(0x19, {"authentication_method": "SCRAM-SHA-256"}))
        await client.refused(Reason.PROTOCOL_ERROR)
