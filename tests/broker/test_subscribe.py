"""SUBSCRIBE and UNSUBSCRIBE: which topics a filter matches, what is granted (3.8 to 3.11, 4.7)."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import SILENT, Start, acl
from support.wire import Reason, Type

MATCHES = [
    ("a/b", "a/b", True),
    ("a/b", "a/B", False),
    ("a/b", "a/b/", False),
    ("a/b", "/a/b", False),
    ("a/+", "a/b", True),
    ("a/+", "a/", True),
    ("a/+", "a", False),
    ("a/+", "a/b/c", False),
    ("+", "a", True),
    ("+", "/a", False),
    ("+/+", "/a", True),
    ("/+", "/a", True),
    ("+/b/+", "a/b/c", True),
    ("a/#", "a", True),
    ("a/#", "a/", True),
    ("a/#", "a/b/c", True),
    ("a/#", "ab", False),
    ("#", "a/b/c", True),
    ("#", "/", True),
    ("#", "$SYS/x", False),
    ("+/x", "$SYS/x", False),
    ("$SYS/#", "$SYS/x", True),
    ("$SYS/+", "$SYS/x", True),
    ("a/+", "a/$x", True),
    ("sport/+/player1/#", "sport/tennis/player1/ranking", True),
    ("é/+", "é/漢字", True),
]


@pytest.mark.parametrize(("filter", "topic", "matches"), MATCHES)
async def test_matching(broker_with: Start, filter: str, topic: str, matches: bool) -> None:
    async with broker_with(SILENT) as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        assert await client.subscribe(filter) == [0]
        expected = 0 if matches else Reason.NO_MATCHING_SUBSCRIBERS
        assert await other.publish(topic, b"x", qos=1) == expected
        if matches:
            await client.message(topic, b"x")
        await client.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_one_code_for_each_filter_in_order(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        codes = await client.subscribe(("a", 2), ("a/#/b", 1), ("b", 0), ("c", 1))
        assert codes == [2, Reason.TOPIC_FILTER_INVALID if version == wire.V5 else 0x80, 0, 1]


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_new_subscription_replaces_the_same_filter(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2")
        await client.subscribe(("t", 2))
        await client.subscribe(("t", 0))
        await other.publish("t", b"x", qos=2)
        await client.message("t", b"x", qos=0)
        await client.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_unsubscribe(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2")
        await client.subscribe("a", "b/+")
        codes = await client.unsubscribe("a", "b/x")
        # A filter is compared as text, not matched [MQTT-3.10.4-1].
        expected = [0, Reason.NO_SUBSCRIPTION_EXISTED] if version == wire.V5 else []
        assert codes == expected
        await other.publish("a", b"x")
        await other.publish("b/x", b"x")
        await client.message("b/x", b"x")
        await client.quiet()


async def test_overlapping_subscriptions(broker_with: Start) -> None:
    # A broker may deliver once for each subscription or once at the highest QoS; each copy must
    # then have the QoS of its own subscription (section 3.3.4).
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe(("t/#", 0), ("t/+", 2), ("t/x", 1))
        await other.publish("t/x", b"x", qos=2)
        await client.send(wire.PINGREQ)
        levels = []
        while (packet := await client.receive()).type is Type.PUBLISH:
            levels.append(packet.qos)
        assert sorted(levels) in ([2], [0, 1, 2])


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_denied_subscription(broker_with: Start, version: int) -> None:
    async with broker_with(acl('{deny, all, subscribe, ["secret/#"]}.')) as broker:
        client = await broker.client("c1", version)
        codes = await client.subscribe("open", "secret/x", "secret/#")
        denied = Reason.NOT_AUTHORIZED if version == wire.V5 else 0x80
        assert codes == [0, denied, denied]
        await client.publish("secret/x", b"x", qos=1)
        await client.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_limits(broker_with: Start, version: int) -> None:
    text = "mqtt { max_subscriptions = 2, max_topic_levels = 3, wildcard_subscription = false }"
    async with broker_with(text) as broker:
        client = await broker.client("c1", version)
        codes = await client.subscribe("a/b/c/d", "a/+", "#", "a/b/c", "b", "c", "b")
        refused = [
            Reason.TOPIC_FILTER_INVALID,
            Reason.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
            Reason.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
            Reason.QUOTA_EXCEEDED,
        ]
        if version != wire.V5:
            refused = [0x80] * 4
        assert codes == [*refused[:3], 0, 0, refused[3], 0]


async def test_many_filters(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        names = [f"t/{n}" for n in range(2000)]
        assert await client.subscribe(*names) == [0] * 2000
        for n in (0, 999, 1999):
            await other.publish(f"t/{n}", b"x", qos=1)
            await client.message(f"t/{n}", b"x")
        assert await client.unsubscribe(*names) == [0] * 2000
        assert await other.publish("t/0", b"x", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS


async def test_subscriptions_end_with_the_session(broker_with: Start) -> None:
    async with broker_with() as broker:
        client, other = await broker.client("c1"), await broker.client("c2")
        await client.subscribe("t")
        assert await other.publish("t", b"x", qos=1) == 0
        await client.message("t", b"x")
        await client.disconnect()
        assert await other.publish("t", b"x", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS


async def test_fan_out(broker_with: Start) -> None:
    async with broker_with(loops=2) as broker:
        clients = [await broker.client(f"c{n}", wire.VERSIONS[n % 3]) for n in range(60)]
        for n, client in enumerate(clients):
            await client.subscribe(("t/+", n % 3))
        await clients[0].send(wire.publish("t/x", b"x", version=wire.V31, qos=2, packet_id=1))
        await clients[0].message("t/x", b"x", qos=0)
        for n, client in enumerate(clients[1:], 1):
            await client.message("t/x", b"x", qos=n % 3)
