"""Wills: when they are published and when not (section 3.1.2.5)."""

from __future__ import annotations

import time

import pytest
from support import wire
from support.broker import Start, acl
from support.wire import Reason, Type, Will

WILL = Will(topic="will", payload=b"gone", qos=1)


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_published_when_the_connection_breaks(
    broker_with: Start, version: int, qos: int
) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe(("will", 2))
        client = await broker.client("c1", version, will=Will(topic="will", qos=qos))
        await client.aclose()
        await watcher.message("will", b"gone", qos=qos, retain=False)
        await watcher.quiet()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_published_when_the_connection_is_reset(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client("c1", version, will=WILL)
        await client.abort()
        await watcher.message("will", b"gone")


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_not_published_after_disconnect(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client("c1", version, will=WILL)
        await client.disconnect()
        await watcher.quiet()


async def test_disconnect_with_will(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client("c1", will=WILL)
        await client.disconnect(Reason.DISCONNECT_WITH_WILL)
        await watcher.message("will", b"gone")


async def test_published_after_a_protocol_error(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client("c1", will=WILL)
        await client.send(wire.connect("c1"))
        await client.refused(Reason.PROTOCOL_ERROR)
        await watcher.message("will", b"gone")


async def test_published_when_the_operator_disconnects(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client("c1", will=WILL)
        broker.broker.disconnect("c1")
        await client.refused(Reason.ADMINISTRATIVE_ACTION)
        await watcher.message("will", b"gone")


async def test_published_on_take_over(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        old = await broker.client("c1", wire.V311, will=WILL)
        await broker.client("c1", wire.V311)
        await old.closed()
        await watcher.message("will", b"gone")


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_retained_will(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", version, will=Will(topic="will", retain=True))
        await client.aclose()
        watcher = await broker.client("watcher")
        # Closing and subscribing are on different connections: the will may come after the SUBACK,
        # and then without the flag; a second subscription has it in any case.
        await watcher.subscribe("will")
        await watcher.expect(Type.PUBLISH, topic="will")
        await watcher.subscribe("will")
        await watcher.message("will", b"gone", retain=True)


async def test_properties_are_passed_on(broker_with: Start) -> None:
    sent = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": "r",
        "correlation_data": b"\x01",
        "user_property": [("a", "1"), ("b", "2")],
    }
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        will = Will(topic="will", properties={"message_expiry_interval": 60, **sent})
        client = await broker.client("c1", will=will)
        await client.aclose()
        packet = await watcher.message("will", b"gone")
        assert packet.properties == {"message_expiry_interval": 60, **sent}


def delayed(seconds: int) -> Will:
    return Will(topic="will", properties={"will_delay_interval": seconds})


async def test_delayed_will_comes_after_the_delay(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client(
            "c1", will=delayed(1), properties={"session_expiry_interval": 60}
        )
        before = time.monotonic()
        await client.aclose()
        await watcher.message("will", b"gone")
        assert time.monotonic() - before > 0.9


async def test_delayed_will_is_void_when_the_client_returns(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will", "mark")
        keep = {"session_expiry_interval": 60}
        first = await broker.client("c1", will=delayed(1), properties=keep)
        await first.aclose()
        again = await broker.client("c1", clean_start=False, properties=keep)
        assert again.connack.session_present
        # Another will of the same delay, armed later, is the clock: it fires after the first would.
        clock = await broker.client(
            "clock",
            will=Will(topic="mark", payload=b"", properties={"will_delay_interval": 2}),
            properties=keep,
        )
        await clock.aclose()
        await watcher.message("mark", b"")


async def test_delayed_will_comes_when_the_session_ends(broker_with: Start) -> None:
    # The end of the session comes first [MQTT-3.1.2-8]: here with the connection, then by expiry.
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        for keep in ({}, {"session_expiry_interval": 1}):
            client = await broker.client("c1", will=delayed(3600), properties=keep)
            await client.aclose()
            await watcher.message("will", b"gone")


async def test_delayed_will_comes_when_another_session_begins(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        keep = {"session_expiry_interval": 60}
        client = await broker.client("c1", will=delayed(3600), properties=keep)
        await client.aclose()
        again = await broker.client("c1", clean_start=True)
        assert not again.connack.session_present
        await watcher.message("will", b"gone")


async def test_will_belongs_to_its_connection(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        keep = {"session_expiry_interval": 60}
        first = await broker.client("c1", will=WILL, properties=keep)
        await first.disconnect()
        again = await broker.client("c1", clean_start=False, properties=keep)
        await again.aclose()
        await watcher.quiet()


async def test_will_is_authorized(broker_with: Start) -> None:
    async with broker_with(acl('{deny, all, publish, ["will"]}.')) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("#")
        client = await broker.open()
        await client.connect("c1", will=WILL)
        # Whether the CONNECT or only the will is refused, nobody receives it.
        await client.abort()
        other = await broker.client("c2", will=Will(topic="mark"))
        await other.aclose()
        await watcher.message("mark", b"gone")


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_will_beyond_the_limits(broker_with: Start, version: int) -> None:
    async with broker_with("mqtt { max_qos_allowed = 1, retain_available = false }") as broker:
        for will, reason in (
            (Will(topic="will", qos=2), Reason.QOS_NOT_SUPPORTED),
            (Will(topic="will", retain=True), Reason.RETAIN_NOT_SUPPORTED),
        ):
            client = await broker.open(version)
            await client.connect("c1", will=will)
            if version == wire.V5:
                assert client.connack.reason == reason
            else:
                assert client.connack.reason in (3, 5)
            await client.closed()


async def test_stop_of_the_broker(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", will=WILL)
        await broker.broker.stop()
        await client.expect(Type.DISCONNECT, reason=Reason.SERVER_SHUTTING_DOWN)
        await broker.broker.start()
