"""Sections 3.12 to 3.14, 4.1 and 4.13: PINGREQ, DISCONNECT, how connections and sessions end."""

from __future__ import annotations

import asyncio
import time

import pytest
from support import wire
from support.broker import Start
from support.wire import Reason, Type, Will

KEEP = {"session_expiry_interval": 60}
BOTH = [wire.V311, wire.V5]

ERRORS = [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]
"""What a client may say in DISCONNECT, but that all is well."""


@pytest.mark.parametrize("reason", ERRORS)
async def test_only_a_normal_disconnection_deletes_the_will(
    broker_with: Start, reason: int
) -> None:
    # [MQTT-3.14.4-3] [MQTT-3.1.2-10]
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client("c1", will=Will(topic="will"))
        await client.disconnect(reason)
        await watcher.message("will", b"gone")


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_disconnect_deletes_the_will_for_good(broker_with: Start, version: int) -> None:
    # [MQTT-3.14.4-3] [v3.1.1 MQTT-3.14.4-3]: also a delayed one, of a session that goes on.
    extra = {"properties": KEEP} if version == wire.V5 else {}
    delay = {"will_delay_interval": 1} if version == wire.V5 else {}
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        will = Will(topic="will", properties=delay)
        client = await broker.client("c1", version, clean_start=False, will=will, **extra)
        await client.disconnect()
        again = await broker.client("c1", version, clean_start=True, **extra)
        await again.abort()
        await watcher.quiet()


async def test_packets_behind_disconnect_are_not_read(broker_with: Start) -> None:
    # [MQTT-3.14.4-1] [v3.1.1 MQTT-3.14.4-2]: a client must not send them.
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("t")
        for version in wire.VERSIONS:
            client = await broker.client("c1", version)
            await client.send(
                wire.disconnect(version=version), wire.publish("t", b"x", version=version)
            )
            await client.closed()  # [MQTT-3.14.4-2]: the broker does not wait for the client
        await watcher.quiet()


@pytest.mark.parametrize("given", [0x00, 0x04, 0x11, 0x7F, 0x84, 0x85, 0x86, 0x8A, 0x92, 0xFF])
async def test_the_operator_cannot_make_a_broken_disconnect(broker_with: Start, given: int) -> None:
    # [MQTT-3.14.2-1] [MQTT-3.14.2-2]: a code that DISCONNECT has and a server may send; no more.
    async with broker_with() as broker:
        client = await broker.client("c1", properties=KEEP)
        assert broker.broker.disconnect("c1", given)
        packet = await client.expect(Type.DISCONNECT)
        assert packet.reason == (given if given == 0 else Reason.ADMINISTRATIVE_ACTION)
        assert packet.properties == {}
        await client.closed()


@pytest.mark.parametrize("given", [0x87, 0x89, 0x8E, 0x97, 0x98, 0x9C, 0x9D])
async def test_the_operator_says_why(broker_with: Start, given: int) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        assert broker.broker.disconnect("c1", given)
        await client.refused(given)


async def test_no_disconnect_before_connack(broker_with: Start) -> None:
    # [MQTT-3.14.0-1]: what breaks the protocol before is answered by CONNACK or not at all.
    async with broker_with() as broker:
        for data in (wire.PINGREQ, wire.disconnect(), wire.auth(0x18), b"\x10\x80\x80\x80\x80\x01"):
            client = await broker.open()
            await client.send(data)
            await client.closed()


@pytest.mark.parametrize("version", BOTH)
async def test_disconnect_with_more_in_it(broker_with: Start, version: int) -> None:
    # Sections 3.14.1 and 3.14.2: no valid DISCONNECT, so the will is published.
    bad = b"\xe0\x01\x01" if version == wire.V5 else b"\xe0\x01\x00"
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client("c1", version, will=Will(topic="will"))
        await client.send(bad)
        await client.refused(Reason.MALFORMED_PACKET)
        await watcher.message("will", b"gone")


async def test_session_expiry_of_a_refused_disconnect(broker_with: Start) -> None:
    # Section 3.14.2.2.2: zero may not become more; then it is no DISCONNECT, and the will stays.
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will")
        client = await broker.client("c1", will=Will(topic="will"))
        await client.send(wire.disconnect(properties={"session_expiry_interval": 1}))
        await client.refused(Reason.PROTOCOL_ERROR)
        await watcher.message("will", b"gone")
        again = await broker.client("c1", clean_start=False)
        assert not again.connack.session_present


async def test_disconnect_may_prolong_a_session(broker_with: Start) -> None:
    async with broker_with() as broker:
        first = await broker.client("c1", properties={"session_expiry_interval": 1})
        await first.disconnect(properties={"session_expiry_interval": 60})
        later = await broker.client(
            "later",
            will=Will(topic="mark", properties={"will_delay_interval": 3600}),
            properties={"session_expiry_interval": 2},
        )
        watcher = await broker.client("watcher")
        await watcher.subscribe("mark")
        await later.aclose()
        await watcher.message("mark", b"gone")
        assert (await broker.client("c1", clean_start=False)).connack.session_present


async def test_the_session_outlives_its_interval_while_connected(broker_with: Start) -> None:
    # [MQTT-4.1.0-1] [v3.1.1 MQTT-4.1.0-2]: the interval counts from the end of the connection.
    async with broker_with() as broker:
        client = await broker.client("c1", properties={"session_expiry_interval": 1})
        watcher = await broker.client("watcher")
        await client.subscribe(("t", 1))
        await watcher.subscribe("mark")
        later = await broker.client(
            "later",
            will=Will(topic="mark", properties={"will_delay_interval": 3600}),
            properties={"session_expiry_interval": 2},
        )
        await later.aclose()
        await watcher.message("mark", b"gone")
        await watcher.publish("t", b"x", qos=1)
        await client.message("t", b"x")
        await client.disconnect()
        assert (await broker.client("c1", clean_start=False)).connack.session_present


async def test_keep_alive_is_never_cut_short(broker_with: Start) -> None:
    # [MQTT-3.1.2-22] [v3.1.1 MQTT-3.1.2-24]: begun at every part of a second, as the broker counts.
    async with broker_with() as broker:

        async def silent(n: int) -> float:
            begin = time.monotonic()
            client = await broker.client(f"c{n}", wire.VERSIONS[n % 3], keep_alive=1)
            await client.refused(Reason.KEEP_ALIVE_TIMEOUT)
            return time.monotonic() - begin

        tasks = []
        other = await broker.client("other")
        for n in range(20):
            tasks.append(asyncio.create_task(silent(n)))
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                await other.quiet()
        assert min([await task for task in tasks]) >= 1.5


@pytest.mark.parametrize("version", BOTH)
async def test_every_other_client_is_served_on(broker_with: Start, version: int) -> None:
    # [MQTT-4.13.1-1] [MQTT-4.13.2-1] [v3.1.1 MQTT-4.8.0-1]: the connection that broke it, no other.
    async with broker_with() as broker:
        client, other = await broker.client("c1", version), await broker.client("c2", version)
        await other.subscribe("t")
        await client.send(wire.packet(Type.PINGRESP, 0), wire.publish("t", version=version))
        await client.refused(Reason.PROTOCOL_ERROR)
        await other.quiet()
