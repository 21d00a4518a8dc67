"""Sessions: what is kept, for how long, and what if a client comes twice (section 4.1)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest
from support import wire
from support.broker import RunningBroker, Start, acl
from support.client import Client
from support.token import mint
from support.wire import Reason, Type, Will

KEEP = {"session_expiry_interval": 60}


async def persistent(broker: RunningBroker, client_id: str, version: int = wire.V5) -> Client:
    """A client that comes back to its session, if there is one."""
    extra = {"properties": KEEP} if version == wire.V5 else {}
    return await broker.client(client_id, version, clean_start=False, **extra)


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_subscriptions_are_kept(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        first = await persistent(broker, "c1", version)
        assert not first.connack.session_present
        await first.subscribe(("t", 1))
        await first.disconnect()
        again = await persistent(broker, "c1", version)
        # MQTT 3.1 has no such flag; the byte is reserved there.
        assert again.connack.session_present == (version != wire.V31)
        other = await broker.client("c2")
        await other.publish("t", b"x", qos=1)
        await again.message("t", b"x", qos=1)


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_clean_start_ends_the_old_session(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        first = await persistent(broker, "c1", version)
        await first.subscribe("t")
        await first.disconnect()
        clean = await broker.client("c1", version, clean_start=True)
        assert not clean.connack.session_present
        other = await broker.client("c2")
        assert await other.publish("t", b"x", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS
        await clean.disconnect()
        # A clean session of 3.x, or one without an expiry interval, leaves nothing behind either.
        third = await persistent(broker, "c1", version)
        assert not third.connack.session_present


async def test_clean_start_with_expiry_is_kept_afterwards(broker_with: Start) -> None:
    async with broker_with() as broker:
        first = await broker.client("c1", clean_start=True, properties=KEEP)
        await first.disconnect()
        assert (await persistent(broker, "c1")).connack.session_present


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_messages_wait_for_the_client(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        first = await persistent(broker, "c1", version)
        await first.subscribe(("t", 2))
        await first.aclose()
        other = await broker.client("c2")
        for n in range(5):
            await other.publish("t", b"%d" % n, qos=1 + n % 2)
        again = await persistent(broker, "c1", version)
        for n in range(5):
            packet = await again.expect(Type.PUBLISH, payload=b"%d" % n, qos=1 + n % 2)
            assert not packet.dup
        await again.quiet()


@pytest.mark.parametrize("stored", [True, False])
async def test_qos_0_while_offline(broker_with: Start, stored: bool) -> None:
    async with broker_with(f"mqtt.mqueue_store_qos0 = {str(stored).lower()}") as broker:
        first = await persistent(broker, "c1")
        await first.subscribe("t")
        await first.disconnect()
        other = await broker.client("c2")
        await other.publish("t", b"zero", qos=0)
        again = await persistent(broker, "c1")
        if stored:
            await again.message("t", b"zero", qos=0)
        await again.quiet()


async def test_queue_of_an_offline_client_is_bounded(broker_with: Start) -> None:
    async with broker_with("mqtt.max_mqueue_len = 3") as broker:
        first = await persistent(broker, "c1")
        await first.subscribe(("t", 1))
        await first.disconnect()
        other = await broker.client("c2")
        for n in range(10):
            await other.publish("t", b"%d" % n, qos=1)
        again = await persistent(broker, "c1")
        for n in (7, 8, 9):
            await again.message("t", b"%d" % n)
        await again.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_redelivery_has_dup_and_the_old_id(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        first = await persistent(broker, "c1", version)
        await first.subscribe(("t", 2))
        other = await broker.client("c2")
        for n in range(4):
            await other.publish("t", b"%d" % n, qos=1 + n % 2)
        sent = [await first.expect(Type.PUBLISH) for _ in range(4)]
        assert not any(packet.dup for packet in sent)
        assert [packet.packet_id for packet in sent] == [1, 2, 3, 4]
        await first.send(wire.ack(Type.PUBACK, 1))
        await first.quiet()
        await first.aclose()
        again = await persistent(broker, "c1", version)
        for n in (1, 2, 3):
            packet = await again.expect(Type.PUBLISH, payload=b"%d" % n, packet_id=n + 1)
            assert packet.dup
        await again.quiet()
        # What comes now goes on counting.
        await other.publish("t", b"new", qos=1)
        await again.message("t", b"new", packet_id=5, dup=False)


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_pubrel_is_sent_again(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        first = await persistent(broker, "c1", version)
        await first.subscribe(("t", 2))
        other = await broker.client("c2")
        await other.publish("t", b"x", qos=2)
        await first.expect(Type.PUBLISH, packet_id=1)
        await first.send(wire.ack(Type.PUBREC, 1))
        await first.expect(Type.PUBREL, packet_id=1)
        await first.aclose()
        again = await persistent(broker, "c1", version)
        await again.expect(Type.PUBREL, packet_id=1, reason=0)
        await again.send(wire.ack(Type.PUBCOMP, 1))
        await again.aclose()
        third = await persistent(broker, "c1", version)
        await third.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_incoming_exactly_once_over_a_reconnect(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe(("t", 2))
        first = await persistent(broker, "c1", version)
        await first.send(wire.publish("t", b"x", version=version, qos=2, packet_id=9))
        await first.expect(Type.PUBREC, packet_id=9)
        await first.aclose()
        again = await persistent(broker, "c1", version)
        await again.send(wire.publish("t", b"x", version=version, qos=2, packet_id=9, dup=True))
        await again.expect(Type.PUBREC, packet_id=9)
        await again.send(wire.ack(Type.PUBREL, 9))
        await again.expect(Type.PUBCOMP, packet_id=9, reason=0)
        await watcher.message("t", b"x", qos=2)
        await watcher.quiet()


async def test_acknowledged_after_the_reconnect(broker_with: Start) -> None:
    # The identifiers belong to the session: an acknowledgement may come on the next connection.
    async with broker_with("mqtt.max_inflight = 1") as broker:
        first = await persistent(broker, "c1")
        await first.subscribe(("t", 1))
        other = await broker.client("c2")
        await other.publish("t", b"one", qos=1)
        await other.publish("t", b"two", qos=1)
        await first.expect(Type.PUBLISH, payload=b"one")
        await first.aclose()
        again = await persistent(broker, "c1")
        await again.expect(Type.PUBLISH, payload=b"one", dup=True, packet_id=1)
        await again.send(wire.ack(Type.PUBACK, 1))
        await again.message("t", b"two", packet_id=2, dup=False)


async def test_smaller_window_on_return(broker_with: Start) -> None:
    # Receive Maximum is the connection's, and redelivery keeps to it too [MQTT-3.3.4-9].
    async with broker_with() as broker:
        first = await persistent(broker, "c1")
        await first.subscribe(("t", 1))
        other = await broker.client("c2")
        for n in range(2):
            await other.publish("t", b"%d" % n, qos=1)
            await first.expect(Type.PUBLISH, payload=b"%d" % n)
        await first.aclose()
        await other.publish("t", b"2", qos=1)
        again = await broker.client(
            "c1", clean_start=False, properties=KEEP | {"receive_maximum": 1}
        )
        for n in range(3):
            packet = await again.expect(Type.PUBLISH, payload=b"%d" % n, packet_id=n + 1)
            assert packet.dup == (n < 2)
            await again.quiet()
            await again.acknowledge(packet)
        await again.quiet()


def mark(seconds: int) -> dict[str, Any]:
    """Of a CONNECT: a session that ends `seconds` after its connection, and says so by its will."""
    return {
        "will": Will(topic="mark", payload=b"ended", properties={"will_delay_interval": 3600}),
        "properties": {"session_expiry_interval": seconds},
    }


async def test_session_expires(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("mark")
        first = await broker.client("c1", **mark(1))
        await first.subscribe("t")
        before = time.monotonic()
        await first.aclose()
        assert await watcher.publish("t", b"x", qos=1) == 0
        await watcher.message("mark", b"ended")
        assert time.monotonic() - before > 0.9
        assert await watcher.publish("t", b"x", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS
        again = await broker.client("c1", clean_start=False)
        assert not again.connack.session_present


async def test_return_stops_the_expiry(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("mark")
        first = await broker.client("c1", properties={"session_expiry_interval": 1})
        await first.subscribe("t")
        await first.disconnect()
        again = await broker.client("c1", clean_start=False, properties=KEEP)
        assert again.connack.session_present
        later = await broker.client("later", **mark(2))
        await later.aclose()
        await watcher.message("mark", b"ended")
        await again.disconnect()
        third = await broker.client("c1", clean_start=False)
        assert third.connack.session_present


async def test_expiry_of_v311_sessions(broker_with: Start) -> None:
    async with broker_with("mqtt.session_expiry_interval = 1s") as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("mark")
        first = await persistent(broker, "c1", wire.V311)
        await first.disconnect()
        later = await broker.client("later", **mark(2))
        await later.aclose()
        await watcher.message("mark", b"ended")
        again = await persistent(broker, "c1", wire.V311)
        assert not again.connack.session_present


async def test_disconnect_may_change_the_expiry(broker_with: Start) -> None:
    async with broker_with() as broker:
        first = await broker.client("c1", properties=KEEP)
        await first.disconnect(properties={"session_expiry_interval": 0})
        again = await broker.client("c1", clean_start=False)
        assert not again.connack.session_present


async def test_disconnect_may_not_prolong_a_session_without_expiry(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        await client.send(wire.disconnect(properties={"session_expiry_interval": 10}))
        await client.refused(Reason.PROTOCOL_ERROR)


@pytest.mark.parametrize("loops", [1, 2])
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_take_over(broker_with: Start, version: int, loops: int) -> None:
    async with broker_with(loops=loops) as broker:
        old = await persistent(broker, "c1", version)
        await old.subscribe(("t", 1))
        # Connections go round the loops: with two, one of these arrives at the other loop.
        for _ in range(4):
            new = await persistent(broker, "c1", version)
            assert new.connack.session_present == (version != wire.V31)
            await old.refused(Reason.SESSION_TAKEN_OVER)
            other = await broker.client("c2")
            await other.publish("t", b"x", qos=1)
            await new.message("t", b"x")
            await other.disconnect()
            old = new


@pytest.mark.parametrize("loops", [1, 2])
async def test_take_over_with_deliveries_under_way(broker_with: Start, loops: int) -> None:
    async with broker_with("mqtt.max_inflight = 2", loops=loops) as broker:
        old = await persistent(broker, "c1")
        await old.subscribe(("t", 1))
        other = await broker.client("c2")
        for n in range(5):
            await other.publish("t", b"%d" % n, qos=1)
        assert [(await old.expect(Type.PUBLISH)).packet_id for _ in range(2)] == [1, 2]
        skip = await broker.client("c3")  # so that the next connection falls on the other loop
        new = await persistent(broker, "c1")
        await old.refused(Reason.SESSION_TAKEN_OVER)
        assert new.connack.session_present
        again = [await new.expect(Type.PUBLISH, dup=True) for _ in range(2)]
        assert [packet.packet_id for packet in again] == [1, 2]
        for packet in again:
            await new.acknowledge(packet)
        for n in range(2, 5):
            await new.message("t", b"%d" % n, packet_id=n + 1)
        await skip.disconnect()


@pytest.mark.parametrize("loops", [1, 2])
async def test_take_over_by_clean_start(broker_with: Start, loops: int) -> None:
    async with broker_with(loops=loops) as broker:
        old = await persistent(broker, "c1")
        await old.subscribe("t")
        for _ in range(3):
            new = await broker.client("c1", clean_start=True, properties=KEEP)
            assert not new.connack.session_present
            await old.refused(Reason.SESSION_TAKEN_OVER)
            old = new
        other = await broker.client("c2")
        assert await other.publish("t", b"x", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_taken_over_session_without_expiry_is_not_resumed(
    broker_with: Start, version: int
) -> None:
    # It ended with its connection [v3.1.1 MQTT-3.1.2-6] [MQTT-3.1.2-23].
    async with broker_with() as broker:
        old = await broker.client("c1", version, clean_start=True)
        await old.subscribe("t")
        new = await persistent(broker, "c1", version)
        await old.refused(Reason.SESSION_TAKEN_OVER)
        assert not new.connack.session_present
        other = await broker.client("c2")
        assert await other.publish("t", b"x", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_resumed_under_another_version(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        first = await persistent(broker, "c1", wire.V5)
        await first.subscribe(("t", wire.options(1, retain_as_published=True)))
        other = await broker.client("c2")
        sent = {"content_type": "text/plain"}
        await other.publish("t", b"under way", qos=1, properties=sent)
        await first.expect(Type.PUBLISH)
        await first.disconnect()
        await other.publish("t", b"waited", qos=1, properties=sent)
        again = await persistent(broker, "c1", version)
        packet = await again.message("t", b"under way", dup=True)
        assert packet.properties == (sent if version == wire.V5 else {})
        packet = await again.message("t", b"waited")
        assert packet.properties == (sent if version == wire.V5 else {})


async def test_many_clients_of_one_id(broker_with: Start) -> None:
    async with broker_with(loops=2) as broker:

        async def come_and_go(n: int) -> None:
            for turn in range(10):
                client = await broker.open()
                clean = (n + turn) % 3 == 0
                await client.send(wire.connect("same", clean_start=clean, properties=KEEP))
                await client.send(wire.subscribe(1, [(f"t/{n}", 1)]))
                await client.send(wire.publish(f"t/{n}", b"x", qos=1, packet_id=2))
                await client.send(wire.unsubscribe(3, [f"t/{n}"]))
                # Answered, or closed by the next one already: it comes after nobody any more.
                with contextlib.suppress(ConnectionError):
                    await client.expect(Type.CONNACK, reason=0)
                if turn % 2:
                    await client.aclose()

        async with asyncio.TaskGroup() as group:
            for n in range(8):
                group.create_task(come_and_go(n))
        last = await broker.client("same", clean_start=True)
        await last.subscribe("t/#")
        other = await broker.client("other")
        await other.publish("t/x", b"alive", qos=1)
        await last.message("t/x", b"alive")
        statistics = broker.broker.statistics()
        assert statistics["client.connected"] - statistics["client.disconnected"] == 2


async def test_end_of_a_connection_is_not_taken_for_that_of_the_next(broker_with: Start) -> None:
    async with broker_with() as broker:
        busy = await broker.client("busy")
        for turn in range(3):
            old, taker = await persistent(broker, "c1"), await broker.open()
            await busy.quiet()
            # While the broker is busy, three things happen that it then sees at once: a take-over
            # frees the place of a connection, a new one takes that place, the old one ends.
            await busy.send(wire.subscribe(turn + 1, [f"{turn}/{n}" for n in range(20_000)]))
            await taker.send(wire.connect("c1", clean_start=False, properties=KEEP))
            new = await broker.open()
            await new.send(wire.connect(f"new{turn}"))
            await old.abort()
            await busy.expect(Type.SUBACK)
            await taker.expect(Type.CONNACK, reason=0)
            await new.expect(Type.CONNACK, reason=0)
            await new.quiet()


async def test_connect_handed_over_with_packets_behind_it(broker_with: Start) -> None:
    # The session lives on one loop and the connection arrives at another: nothing may be lost or
    # come out of order on the way.
    async with broker_with(loops=2) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe(("t", 2))
        old = await persistent(broker, "c1")
        for turn in range(6):
            for chunk in (1 << 20, 7):
                new = await broker.open()
                data = b"".join(
                    [
                        wire.connect("c1", clean_start=False, properties=KEEP),
                        *[
                            wire.publish("t", b"%d" % n, qos=n % 2, packet_id=n if n % 2 else None)
                            for n in range(1, 40)
                        ],
                    ]
                )
                for at in range(0, len(data), chunk):
                    await new.send(data[at : at + chunk])
                await new.expect(Type.CONNACK, reason=0, session_present=True)
                for n in range(1, 40, 2):
                    await new.expect(Type.PUBACK, packet_id=n)
                for n in range(1, 40):
                    await watcher.message("t", b"%d" % n)
                await old.refused(Reason.SESSION_TAKEN_OVER)
                old = new
            if turn % 2:
                await broker.client(f"odd{turn}")  # so that the loops change their turns


async def test_delayed_will_is_void_on_take_over(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("#")
        old = await broker.client("c1", **mark(60))
        await persistent(broker, "c1")
        await old.refused(Reason.SESSION_TAKEN_OVER)
        await watcher.quiet()


async def test_revoked_rights_hold_for_the_resumed_session(broker_with: Start) -> None:
    # The rights are those of the connection now, not of the one that made the session.
    text = acl('{allow, {user, "admin"}, all, ["#"]}.', no_match="deny")
    # Only there does another user get it.
    async with broker_with("security_profile = legacy\n" + text) as broker:
        first = await broker.client("c1", username="admin", properties=KEEP)
        assert await first.subscribe("a") == [0]
        await first.disconnect()
        again = await broker.client("c1", clean_start=False, username="guest", properties=KEEP)
        assert await again.subscribe("b") == [Reason.NOT_AUTHORIZED]
        assert await again.publish("b", qos=1) == Reason.NOT_AUTHORIZED


# --- identity ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("online", [True, False])
async def test_a_session_belongs_to_who_made_it(
    broker_with: Start, version: int, *, online: bool
) -> None:
    async with broker_with(loops=2) as broker:
        extra = {"properties": KEEP} if version == wire.V5 else {}
        owner = await broker.client("c1", version, username="ann", clean_start=False, **extra)
        await owner.subscribe(("t", 1))
        if not online:
            await owner.disconnect()
        other = await broker.client("c1", version, username="bob", clean_start=False, **extra)
        assert not other.connack.session_present
        if online:
            await owner.refused(Reason.SESSION_TAKEN_OVER)
        publisher = await broker.client("publisher")
        assert await publisher.publish("t", b"secret", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS
        await other.quiet()
        await other.disconnect()
        owner = await broker.client("c1", version, username="ann", clean_start=False, **extra)
        assert not owner.connack.session_present


async def test_a_token_for_a_user_name_is_no_other_identity(broker_with: Start) -> None:
    secret = "a secret of the tests"
    text = f"""
    listeners.tcp.default.enable_authn = true
    authentication = [
      {{ mechanism = jwt, algorithm = hmac-based, secret = "{secret}", from = username }}
    ]
    """
    async with broker_with(text) as broker:
        for n in range(2):
            token = mint({"sub": "c1", "n": n}, secret)
            client = await broker.client("c1", username=token, clean_start=False, properties=KEEP)
            assert client.connack.session_present == bool(n)
            await client.disconnect()


async def test_the_reference_lets_anybody_take_a_session(broker_with: Start) -> None:
    async with broker_with("security_profile = legacy\n") as broker:
        await broker.client("c1", username="ann", properties=KEEP)
        other = await broker.client("c1", username="bob", clean_start=False)
        assert other.connack.session_present


# --- QoS 2 across connections --------------------------------------------------------------------


@pytest.mark.parametrize("version", [wire.V311, wire.V5])
@pytest.mark.parametrize("how", ["reconnect", "take-over"])
@pytest.mark.parametrize("loops", [1, 2])
async def test_a_repeated_publish_is_no_second_message(
    broker_with: Start, version: int, how: str, loops: int
) -> None:
    publish = wire.publish("t", b"x", version=version, qos=2, packet_id=7)
    again = wire.publish("t", b"x", version=version, qos=2, packet_id=7, dup=True)
    async with broker_with(loops=loops) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe(("t", 1))
        client = await persistent(broker, "c1", version)
        await client.send(publish)
        await client.expect(Type.PUBREC, packet_id=7)
        for _ in range(3):
            if how == "reconnect":
                await client.abort()
            client = await persistent(broker, "c1", version)
            await client.send(again)
            await client.expect(Type.PUBREC, packet_id=7)
        await client.send(wire.ack(Type.PUBREL, 7))
        await client.expect(Type.PUBCOMP, packet_id=7)
        # Now the identifier is free: the same packet is another message.
        await client.send(publish)
        await client.expect(Type.PUBREC, packet_id=7)
        await client.publish("t", b"end", qos=1)
        for payload in (b"x", b"x", b"end"):
            await watcher.message("t", payload)
