"""Topic aliases that the broker gives (MQTT 5 sections 3.1.2.11.5 and 3.3.2.3.4)."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import Start
from support.client import Client
from support.wire import Packet, Type


async def message(client: Client) -> tuple[str, int | None, bytes]:
    """Topic and alias as sent, and the payload."""
    packet = await client.expect(Type.PUBLISH)
    if packet.packet_id is not None:
        await client.acknowledge(packet)
    return packet.topic, packet.properties.get("topic_alias"), packet.payload


async def test_first_come(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("s", properties={"topic_alias_maximum": 2})
        plain = await broker.client("p")
        old = await broker.client("o", version=wire.V311)
        sender = await broker.client("x")
        for receiver in (client, plain, old):
            await receiver.subscribe(("t/#", 2))
        topics = ["t/one", "t/two", "t/three", "t/one", "t/two", "t/three"]
        aliases = [1, 2, None, 1, 2, None]
        names = ["t/one", "t/two", "t/three", "", "", "t/three"]
        for n, topic in enumerate(topics):
            payload = b"%d" % n
            for qos in range(3):
                await sender.publish(topic, payload, qos=qos)
                expected = (names[n] if qos == 0 else "" if aliases[n] else topic, aliases[n])
                assert await message(client) == (*expected, payload)
                assert await message(plain) == (topic, None, payload)
                assert await message(old) == (topic, None, payload)


@pytest.mark.parametrize(
    ("text", "maximum"), [("mqtt.max_topic_alias_out = 0", 10), ("", 0), ("", None)]
)
async def test_none_where_none_are_wanted(
    broker_with: Start, text: str, maximum: int | None
) -> None:
    properties = {} if maximum is None else {"topic_alias_maximum": maximum}
    async with broker_with(text) as broker:
        client = await broker.client("s", properties=properties)
        await client.subscribe("t/#")
        for _ in range(2):
            await client.send(wire.publish("t/one", b"x"))
            assert await message(client) == ("t/one", None, b"x")


async def test_not_above_our_own_bound(broker_with: Start) -> None:
    async with broker_with("mqtt.max_topic_alias_out = 1") as broker:
        client = await broker.client("s", properties={"topic_alias_maximum": 100})
        await client.subscribe("t/#")
        for topic, alias in (("t/one", 1), ("t/two", None), ("t/two", None)):
            await client.send(wire.publish(topic, b"x"))
            assert await message(client) == (topic, alias, b"x")


async def test_what_is_sent_again_has_no_alias_of_the_old_connection(broker_with: Start) -> None:
    async with broker_with() as broker:
        asked = {"topic_alias_maximum": 10, "session_expiry_interval": 60}
        client = await broker.client("s", properties=asked)
        await client.subscribe(("t/#", 1))
        sender = await broker.client("x")
        for payload in (b"1", b"2"):
            await sender.publish("t/one", payload, qos=1)
        first = await client.expect(Type.PUBLISH, topic="t/one", payload=b"1")
        second = await client.expect(Type.PUBLISH, topic="", payload=b"2")
        assert first.properties["topic_alias"] == second.properties["topic_alias"] == 1
        await client.abort()
        await sender.publish("t/one", b"3", qos=1)  # waits in the queue
        # No aliases this time, then with them.
        client = await broker.client(
            "s", clean_start=False, properties={"session_expiry_interval": 60}
        )
        for payload, dup in ((b"1", True), (b"2", True), (b"3", False)):
            packet = await client.expect(Type.PUBLISH, topic="t/one", payload=payload, dup=dup)
            assert "topic_alias" not in packet.properties
        await client.abort()
        client = await broker.client("s", clean_start=False, properties=asked)
        seen = [await client.expect(Type.PUBLISH) for _ in range(3)]
        assert [resolve(seen, packet) for packet in seen] == ["t/one"] * 3


def resolve(seen: list[Packet], packet: Packet) -> str:
    """The topic a packet means, by the aliases given in those before it."""
    alias = packet.properties["topic_alias"]
    known = {each.properties["topic_alias"]: each.topic for each in seen if each.topic}
    return packet.topic or known[alias]


async def test_retained_messages_and_subscription_identifiers(broker_with: Start) -> None:
    async with broker_with() as broker:
        sender = await broker.client("x")
        for n in range(3):
            await sender.publish(f"t/n{n}", b"kept", retain=True)
        client = await broker.client("s", properties={"topic_alias_maximum": 10})
        await client.subscribe("t/#", properties={"subscription_identifier": 7})
        given = {}
        for _ in range(3):
            packet = await client.expect(Type.PUBLISH, payload=b"kept", retain=True)
            assert packet.properties["subscription_identifier"] == [7]
            given[packet.properties["topic_alias"]] = packet.topic
        assert given == {1: "t/n0", 2: "t/n1", 3: "t/n2"}
        await sender.publish("t/n1", b"new")
        packet = await client.expect(Type.PUBLISH, topic="", payload=b"new")
        assert packet.properties == {"topic_alias": 2, "subscription_identifier": [7]}


async def test_maximum_packet_size(broker_with: Start) -> None:
    async with broker_with() as broker:
        topic, room = "t/0123456789", 40
        full = len(wire.publish(topic, b""))
        client = await broker.client(
            "s", properties={"topic_alias_maximum": 10, "maximum_packet_size": room}
        )
        await client.subscribe("t/#")
        # It fits alone, but not with an alias to it: so none is given.
        await client.send(wire.publish(topic, b"x" * (room - full)))
        assert await message(client) == (topic, None, b"x" * (room - full))
        await client.send(wire.publish(topic, b"y"))
        assert await message(client) == (topic, 1, b"y")
        # This one only fits thanks to its alias.
        await client.send(wire.publish(topic, b"z" * (room - full + 1)))
        assert await message(client) == ("", 1, b"z" * (room - full + 1))
        await client.send(wire.publish(topic, b"z" * room))
        await client.quiet()


async def test_every_connection_has_its_own(broker_with: Start) -> None:
    async with broker_with() as broker:
        one = await broker.client("1", properties={"topic_alias_maximum": 10})
        two = await broker.client("2", properties={"topic_alias_maximum": 10})
        await one.subscribe("a/only")
        await one.subscribe("a/both")
        await two.subscribe("a/both")
        sender = await broker.client("x")
        await sender.publish("a/only", b"")
        assert await message(one) == ("a/only", 1, b"")
        for topic in ("a/both", ""):
            await sender.publish("a/both", b"")
            assert await message(one) == (topic, 2, b"")
            assert await message(two) == (topic, 1, b"")
