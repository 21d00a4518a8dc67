"""Zones: options of their own for the clients of some listeners."""

from __future__ import annotations

from support import wire
from support.broker import Start
from support.wire import Reason, Type

TWO = """
listeners.tcp.small { bind = "127.0.0.1:0", zone = small, enable_authn = false }
mqtt { max_topic_levels = 9, message_expiry_interval = 1h }
zones.small.mqtt {
  max_packet_size = 200, max_topic_levels = 2, max_topic_alias = 3, max_qos_allowed = 1
  retain_available = false, wildcard_subscription = false, server_keepalive = 33
  max_mqueue_len = 2, max_inflight = 1, max_session_expiry_interval = 60s, upgrade_qos = true
}
"""
SMALL = "tcp:small"
KEEP = {"session_expiry_interval": 600}


async def test_connack_says_what_the_zone_allows(broker_with: Start) -> None:
    async with broker_with(TWO) as broker:
        said = (await broker.client("a", at=SMALL, properties=KEEP)).connack.properties
        assert said == {
            "maximum_packet_size": 200,
            "topic_alias_maximum": 3,
            "maximum_qos": 1,
            "retain_available": 0,
            "wildcard_subscription_available": 0,
            "server_keep_alive": 33,
            "session_expiry_interval": 60,
            "receive_maximum": 100,
        }
        said = (await broker.client("b", properties=KEEP)).connack.properties
        assert said["maximum_packet_size"] == 1024 * 1024
        assert "server_keep_alive" not in said
        assert "session_expiry_interval" not in said


async def test_packets_are_held_to_the_zone(broker_with: Start) -> None:
    async with broker_with(TWO) as broker:
        for payload, topic, reason in (
            (b"x" * 200, "t", Reason.PACKET_TOO_LARGE),
            (b"x", "a/b/c", Reason.TOPIC_NAME_INVALID),
        ):
            small, large = await broker.client("s", at=SMALL), await broker.client("l")
            await large.publish(topic, payload, qos=1)
            await small.send(wire.publish(topic, payload, qos=1, packet_id=1))
            await small.refused(reason)
        client = await broker.client("s", at=SMALL)
        assert await client.subscribe("a/+", ("a", 2)) == [
            Reason.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
            1,
        ]
        await client.send(wire.publish("a", b"", qos=1, packet_id=1, properties={"topic_alias": 4}))
        await client.refused(Reason.TOPIC_ALIAS_INVALID)


async def test_qos_of_a_delivery_is_the_receivers_zones(broker_with: Start) -> None:
    async with broker_with(TWO) as broker:
        small, large = await broker.client("s", at=SMALL), await broker.client("l")
        await small.subscribe(("t", 1))
        await large.subscribe(("t", 1))
        await large.send(wire.publish("t", b"x"))
        await small.message("t", b"x", qos=1)
        await large.message("t", b"x", qos=0)


async def test_a_session_keeps_the_zone_of_its_last_connection(broker_with: Start) -> None:
    """Its queue is as long as there, until the client comes back by another way."""
    async with broker_with(TWO) as broker:
        publisher = await broker.client("p")
        for at, kept in (("tcp:default", 5), (SMALL, 2), ("tcp:default", 5)):
            client = await broker.client("c", at=at, clean_start=False, properties=KEEP)
            await client.subscribe(("t", 1))
            await client.disconnect()
            for number in range(5):
                await publisher.publish("t", b"%d" % number, qos=1)
            client = await broker.client("c", clean_start=False, properties=KEEP)
            for number in range(5 - kept, 5):
                await client.message("t", b"%d" % number)
            await client.quiet()
            await client.disconnect()


async def test_identity_is_the_zones(broker_with: Start) -> None:
    zones = """
    listeners.tcp.named { bind = "127.0.0.1:0", zone = named, enable_authn = false }
    zones.named.mqtt.use_username_as_clientid = true
    """
    async with broker_with(zones) as broker:
        first = await broker.client("one", at="tcp:named", username="u")
        await broker.client("u", username="x")
        await first.refused(Reason.SESSION_TAKEN_OVER)
        last = await broker.client("two", username="one")
        await broker.client("two", at="tcp:named", username="v")
        await last.quiet()


async def test_idle_timeout_is_the_zones(broker_with: Start) -> None:
    zones = """
    listeners.tcp.hasty { bind = "127.0.0.1:0", zone = hasty, enable_authn = false }
    zones.hasty.mqtt.idle_timeout = 1s
    """
    async with broker_with(zones) as broker:
        patient, hasty = await broker.open(), await broker.open(at="tcp:hasty")
        await hasty.closed()
        await patient.connect("c")
        assert patient.connack.type is Type.CONNACK
