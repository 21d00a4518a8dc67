"""Mount points: topics of a client are its own, wherever they pass by."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from support import wire
from support.broker import Start, acl
from support.wire import Reason, Type

TENANTS = """
listeners.tcp.tenants { bind = "127.0.0.1:0", enable_authn = false, mountpoint = "${username}/" }
mqtt.exclusive_subscription = true
"""
MOUNTED = "tcp:tenants"
KEEP = {"session_expiry_interval": 600}


async def test_tenants_do_not_meet(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        a = await broker.client("a1", at=MOUNTED, username="a")
        other = await broker.client("a2", at=MOUNTED, username="a")
        b = await broker.client("b1", at=MOUNTED, username="b")
        plain, sender = await broker.client("p"), await broker.client("s")
        for each in (other, b, plain):
            assert await each.subscribe(("#", 1)) == [1]
        await a.publish("t/1", b"x", qos=1)
        await other.message("t/1", b"x", qos=1)
        await plain.message("a/t/1", b"x", qos=1)
        await b.quiet()
        await sender.publish("b/t/2", b"y", qos=1)
        await plain.message("b/t/2", b"y")
        await b.message("t/2", b"y")
        await sender.publish("t/3", b"z", qos=1)  # a name of nobody's tree
        await plain.message("t/3", b"z")
        for each in (other, b):
            await each.quiet()
        assert await b.subscribe(("../a/#", 0), ("a/#", 0)) == [0, 0]
        await a.publish("t/4", b"x")
        await b.quiet()


@pytest.mark.parametrize("version", [wire.V31, wire.V311, wire.V5])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_every_way_of_delivery_takes_it_off(
    broker_with: Start, version: int, qos: int
) -> None:
    """At once, from the queue, again after a return, with a subscription identifier."""
    async with broker_with(TENANTS + "\nmqtt.max_inflight = 1\n") as broker:
        publisher = await broker.client("p", at=MOUNTED, username="a")
        keep = {"properties": KEEP} if version == wire.V5 else {}
        how = {"at": MOUNTED, "username": "a", "clean_start": False, **keep}
        client = await broker.client("c", version, **how)
        fields = {"properties": {"subscription_identifier": 7}} if version == wire.V5 else {}
        await client.subscribe(("t/#", 2), **fields)
        for number in range(3):
            await publisher.publish(f"t/{number}", b"x", qos=qos)
        for number in range(3):
            await client.message(f"t/{number}", b"x", qos=qos)
        await publisher.publish("t/again", b"x", qos=qos)
        await client.expect(Type.PUBLISH, topic="t/again")  # not acknowledged
        await client.abort()
        await publisher.publish("t/queued", b"x", qos=max(qos, 1))
        client = await broker.client("c", version, **how)
        if qos:
            await client.message("t/again", b"x", dup=True)
        await client.message("t/queued", b"x")
        await client.quiet()


async def test_retained_messages(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        a = await broker.client("a1", at=MOUNTED, username="a")
        b = await broker.client("b1", at=MOUNTED, username="b")
        await a.publish("t", b"x", retain=True)
        await b.subscribe(("#", 0), ("t", 0))
        await b.quiet()
        for filter in ("t", "#", "+", "$exclusive/t"):
            assert await a.subscribe(filter) == [0]
            await a.message("t", b"x", retain=True)
        plain = await broker.client("p")
        await plain.subscribe("#")
        await plain.message("a/t", b"x", retain=True)
        await b.send(wire.publish("t", b"", retain=True))  # clears its own, which is not there
        for _ in range(2):  # its two subscriptions
            await b.message("t", b"")
        await plain.message("b/t", b"")
        assert broker.broker.statistics()["retained.count"] == 1


async def test_wills(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        a = await broker.client("a1", at=MOUNTED, username="a")
        b = await broker.client("b1", at=MOUNTED, username="b")
        for each in (a, b):
            await each.subscribe("#")
        gone = await broker.client(
            "g", at=MOUNTED, username="a", will=wire.Will(topic="gone", payload=b"x")
        )
        await gone.abort()
        await a.message("gone", b"x")
        await b.quiet()


async def test_delayed(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        a = await broker.client("a1", at=MOUNTED, username="a")
        plain = await broker.client("p")
        await a.subscribe("#")
        await plain.subscribe("#")
        await a.send(wire.publish("$delayed/0/t", b"x"))
        await a.message("t", b"x")
        await plain.message("a/t", b"x")


async def test_groups_are_of_one_tenant(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        clients = {}
        for user in ("a", "b"):
            clients[user] = await broker.client(f"{user}1", at=MOUNTED, username=user)
            assert (
                await clients[user].subscribe("$share/g/t", "$queue/q", "$exclusive/x") == [0] * 3
            )
        for user, client in clients.items():
            publisher = await broker.client(f"{user}2", at=MOUNTED, username=user)
            taken = [Reason.QUOTA_EXCEEDED]
            assert await publisher.subscribe("$exclusive/x") == taken
            for topic in ("t", "q", "x"):
                await publisher.publish(topic, user.encode())
                await client.message(topic, user.encode())
        for client in clients.values():
            await client.quiet()


async def test_unsubscribe(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        client = await broker.client("a1", at=MOUNTED, username="a")
        await client.subscribe("t", "$share/g/t")
        found, not_found = 0, Reason.NO_SUBSCRIPTION_EXISTED
        assert await client.unsubscribe("a/t", "t", "$share/g/t", "t") == [
            not_found,
            found,
            found,
            not_found,
        ]
        await client.publish("t", b"x")
        await client.quiet()


async def test_aliases(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        client = await broker.client("a1", at=MOUNTED, username="a")
        await client.subscribe("#")
        for topic in ("t", ""):
            await client.send(wire.publish(topic, b"x", properties={"topic_alias": 1}))
            await client.message("t", b"x")


async def test_a_topic_must_have_room_for_it(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        client = await broker.client("a1", at=MOUNTED, username="a")
        fits = "x" * 65_533
        assert await client.subscribe(fits, fits + "x") == [0, Reason.TOPIC_FILTER_INVALID]
        await client.send(wire.publish(fits, b"1"))
        await client.message(fits, b"1")
        await client.send(wire.publish(fits + "x", b"1"))
        await client.refused(Reason.TOPIC_NAME_INVALID)


async def test_system_topics_are_the_tenants_own(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        client = await broker.client("a1", at=MOUNTED, username="a")
        plain = await broker.client("p")
        assert await client.subscribe("$SYS/#") == [0]
        await plain.publish("$SYS/x", b"1")
        await client.quiet()
        await plain.publish("a/$SYS/x", b"2")
        await client.message("$SYS/x", b"2")


@pytest.mark.parametrize("online", [False, True])
async def test_a_session_belongs_to_its_mount_point(broker_with: Start, online: bool) -> None:
    """One client identifier, two tenants: neither gets what was kept for the other."""
    async with broker_with(TENANTS) as broker:
        how = {"at": MOUNTED, "clean_start": False, "properties": KEEP}
        publisher = await broker.client("p")
        first = await broker.client("c", username="a", **how)
        await first.subscribe(("t", 1))
        if not online:
            await first.disconnect()
            await publisher.publish("a/t", b"secret", qos=1)
        other = await broker.client("c", username="b", **how)
        assert not other.connack.session_present
        if online:
            await first.refused(Reason.SESSION_TAKEN_OVER)
        await publisher.publish("a/t", b"secret", qos=1)
        await publisher.publish("b/t", b"nothing subscribed", qos=1)
        await other.quiet()
        assert broker.broker.statistics()["subscriptions.count"] == 0
        await other.disconnect()
        again = await broker.client("c", username="b", **how)
        assert again.connack.session_present
        back = await broker.client("c", clean_start=False, properties=KEEP)  # not mounted at all
        assert not back.connack.session_present


async def test_refused_without_a_value(broker_with: Start) -> None:
    async with broker_with(TENANTS) as broker:
        for version, username, reason in (
            (wire.V5, None, Reason.NOT_AUTHORIZED),
            (wire.V5, "a/b", Reason.NOT_AUTHORIZED),
            (wire.V311, None, 5),
            (wire.V311, "#", 5),
        ):
            client = await broker.open(version, at=MOUNTED)
            assert (await client.connect("c", username=username)).reason == reason
            await client.closed()


async def test_rules_and_log_see_the_clients_own_topics(broker_with: Start) -> None:
    with capture_logs() as lines:
        async with broker_with(TENANTS + acl('{deny, all, all, ["no"]}.')) as broker:
            client = await broker.client("a1", at=MOUNTED, username="a")
            assert await client.subscribe("no", "yes") == [Reason.NOT_AUTHORIZED, 0]
            assert await client.publish("no", b"x", qos=1) == Reason.NOT_AUTHORIZED
    assert {line["topic"] for line in lines} == {"no"}


async def test_legacy_values_are_not_looked_at(broker_with: Start) -> None:
    """As in the reference; only a name that would be none is refused."""
    async with broker_with("security_profile = legacy\n" + TENANTS) as broker:
        a = await broker.client("a", at=MOUNTED, username="x/y")
        await a.subscribe("t")
        nobody = await broker.client("n", at=MOUNTED)
        await nobody.subscribe("t")
        wild = await broker.client("w", at=MOUNTED, username="+")
        await wild.subscribe("t")
        plain = await broker.client("p")
        for topic, client, seen in (
            ("x/y/t", a, "t"),
            ("${username}/t", nobody, "t"),
            ("z/t", wild, "z/t"),
        ):
            await plain.publish(topic, b"1")
            await client.message(seen, b"1")
        await wild.send(wire.publish("t", b"x"))
        await wild.refused(Reason.TOPIC_NAME_INVALID)
