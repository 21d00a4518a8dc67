"""Shared and exclusive subscriptions: what is offered, granted and delivered (section 4.8.2)."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import Start, acl
from support.wire import Reason


async def test_shared_subscriptions_can_be_turned_off(broker_with: Start) -> None:
    async with broker_with("mqtt.shared_subscription = false") as broker:
        client = await broker.client("c1")
        assert client.connack.properties["shared_subscription_available"] == 0
        await client.send(wire.subscribe(1, ["a", "$share/g/t"]))
        await client.refused(Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)
        old = await broker.client("c2", wire.V311)
        await old.send(wire.subscribe(1, ["$queue/t"], version=wire.V311))
        await old.closed()


@pytest.mark.parametrize("loops", [1, 3])
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_each_message_goes_to_one_member(
    broker_with: Start, version: int, loops: int
) -> None:
    async with broker_with(loops=loops) as broker:
        first, second = await broker.client("c1", version), await broker.client("c2", version)
        other = await broker.client("c3")
        assert "shared_subscription_available" not in other.connack.properties
        for client in (first, second):
            assert await client.subscribe(("$share/g/t/#", 1)) == [1]
        for n in range(6):
            assert await other.publish("t/x", b"%d" % n, qos=1) == 0
        got = []
        for client in (first, second):
            for _ in range(3):
                packet = await client.receive()
                await client.acknowledge(packet)
                got.append(packet.payload)
            await client.quiet()
        assert sorted(got) == [b"%d" % n for n in range(6)]


async def test_retained_messages_are_not_sent_to_a_group(broker_with: Start) -> None:
    async with broker_with("mqtt.exclusive_subscription = true") as broker:
        client = await broker.client("c1")
        await client.publish("t", b"kept", retain=True, qos=1)
        assert await client.subscribe("$share/g/t", "$queue/t") == [0, 0]
        await client.quiet()
        assert await client.subscribe("$exclusive/t") == [0]
        await client.message("t", b"kept", retain=True)


async def test_rules_are_about_the_filter_itself(broker_with: Start) -> None:
    rules = '{allow, all, all, ["open/#"]}.'
    text = acl(rules, no_match="deny") + "mqtt.exclusive_subscription = true"
    async with broker_with(text) as broker:
        client = await broker.client("c1")
        codes = await client.subscribe(
            "$share/g/open/1", "$share/open/#", "$queue/open/1", "$exclusive/x", "$exclusive/open/1"
        )
        denied = Reason.NOT_AUTHORIZED
        assert codes == [0, denied, 0, denied, 0]


async def test_exclusive_subscriptions(broker_with: Start) -> None:
    async with broker_with("mqtt.exclusive_subscription = true") as broker:
        first, second = await broker.client("c1"), await broker.client("c2")
        other = await broker.client("c3")
        assert await first.subscribe(("$exclusive/t", 1)) == [1]
        assert await second.subscribe("$exclusive/t") == [Reason.QUOTA_EXCEEDED]
        # One who has it may change it; a plain subscription is another thing.
        assert await first.subscribe("$exclusive/t") == [0]
        assert await second.subscribe("t") == [0]
        await other.publish("t", b"1", qos=1)
        await first.message("t", b"1")
        await second.message("t", b"1")
        assert await first.unsubscribe("$exclusive/t") == [0]
        assert await second.subscribe("$exclusive/t") == [0]
        assert await first.subscribe("$exclusive/t") == [Reason.QUOTA_EXCEEDED]
        await second.disconnect()
        await second.closed()
        assert await first.subscribe("$exclusive/t") == [0]


async def test_exclusive_subscriptions_are_off_by_default(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, old = await broker.client("c1"), await broker.client("c2", wire.V311)
        assert await client.subscribe("$exclusive/t") == [Reason.TOPIC_FILTER_INVALID]
        assert await old.subscribe("$exclusive/t") == [0x80]


async def test_rules_cap_the_qos_granted(broker_with: Start) -> None:
    text = """mqtt.subscription_max_qos_rules = [
        {topic = {equals = "a/b"}, qos = 0}
        {topic = {matches = "a/#"}, qos = 1}
    ]"""
    async with broker_with(text) as broker:
        client = await broker.client("c1")
        wanted = [("a/b", 2), ("a/+", 2), ("a/c", 0), ("#", 2), ("$share/g/a/b", 2), ("b", 2)]
        assert await client.subscribe(*wanted) == [0, 1, 0, 2, 0, 2]


async def test_delayed_publishes(broker_with: Start) -> None:
    async with broker_with(acl('{deny, all, publish, ["secret"]}.')) as broker:
        client, other = await broker.client("c1"), await broker.client("c2", wire.V311)
        assert await client.subscribe("#") == [0]
        for topic, payload in [("$delayed/1/t", b"late"), ("$delayed/0/t", b"now"), ("t", b"x")]:
            assert await other.publish(topic, payload, qos=2) == 0
        assert broker.broker.statistics()["messages.delayed"] == 2
        got = sorted([(await client.receive()).payload for _ in range(2)])
        assert got == [b"now", b"x"]
        await client.message("t", b"late")
        assert broker.broker.statistics()["delayed.count"] == 0
        # Rules are asked about the topic meant.
        code = await client.publish("$delayed/1/secret", b"x", qos=1)
        assert code == Reason.NOT_AUTHORIZED


@pytest.mark.parametrize(
    "topic",
    ["$delayed/x/t", "$delayed/4294968/t", "$delayed//t", "$delayed/1/", "$delayed/1/$delayed/1/t"],
)
async def test_malformed_delays(broker_with: Start, topic: str) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        await client.send(wire.publish(topic, b"x"))
        await client.refused(Reason.TOPIC_NAME_INVALID)


@pytest.mark.parametrize("stop", [True, False])
async def test_the_message_that_clears_may_be_kept_back(broker_with: Start, stop: bool) -> None:
    async with broker_with(f"retainer.stop_publish_clear_msg = {str(stop).lower()}") as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        assert await client.subscribe("t") == [0]
        await other.publish("t", b"x", retain=True)
        await other.publish("t", b"", retain=True, qos=1)
        await client.message("t", b"x")
        if not stop:
            await client.message("t", b"")
        await client.quiet()
        assert await other.subscribe("t") == [0]
        await other.quiet()
