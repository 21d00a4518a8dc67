"""Keep Alive and the deadline for CONNECT (sections 3.1.2.10 and 3.12)."""

from __future__ import annotations

import asyncio
import time

from support import wire
from support.broker import Start
from support.wire import Reason, Type, Will


async def test_silent_clients_are_disconnected(broker_with: Start) -> None:
    async with broker_with() as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("will/+")
        before = time.monotonic()
        clients = [
            await broker.client(f"c{version}", version, keep_alive=1, will=Will(topic="will/x"))
            for version in wire.VERSIONS
        ]
        for client in clients:
            await client.refused(Reason.KEEP_ALIVE_TIMEOUT)
            await watcher.message("will/x", b"gone")
        assert time.monotonic() - before > 1  # never before one and a half times Keep Alive


async def test_any_packet_keeps_it_alive(broker_with: Start) -> None:
    async with broker_with() as broker:
        # A silent client that may be silent for longer is the clock for the one that talks.
        client = await broker.client("c1", keep_alive=1)
        silent = await broker.client("silent", keep_alive=2)
        waiting = asyncio.create_task(silent.refused(Reason.KEEP_ALIVE_TIMEOUT))
        while not waiting.done():
            await client.publish("t", qos=1)
        await waiting
        await client.quiet()


async def test_zero_means_never(broker_with: Start) -> None:
    async with broker_with() as broker:
        forever = await broker.client("forever", keep_alive=0)
        other = await broker.client("other", keep_alive=1)
        await other.refused(Reason.KEEP_ALIVE_TIMEOUT)
        await forever.quiet()


async def test_keep_alive_of_the_server(broker_with: Start) -> None:
    async with broker_with("mqtt.server_keepalive = 1") as broker:
        client = await broker.client("c1", keep_alive=0)
        assert client.connack.properties["server_keep_alive"] == 1
        await client.refused(Reason.KEEP_ALIVE_TIMEOUT)


async def test_connect_has_a_deadline(broker_with: Start) -> None:
    async with broker_with("mqtt.idle_timeout = 1s") as broker:
        beginnings = [b"", b"\x10", b"\x10\x80\x20abc", wire.connect("c1")[:-1]]
        clients = [await broker.open() for _ in beginnings]
        for client, sent in zip(clients, beginnings, strict=True):
            await client.send(sent)
        for client in clients:
            await client.closed()


async def test_dripping_connect_does_not_extend_the_deadline(broker_with: Start) -> None:
    async with broker_with("mqtt.idle_timeout = 1s") as broker:
        client, other = await broker.open(), await broker.client("other")
        closed = asyncio.create_task(client.closed())
        sent = 0
        for byte in wire.connect("c1", username="u" * 60_000):
            if closed.done():
                break
            await client.send(bytes([byte]))
            await other.quiet()  # a turn of the broker for each byte
            sent += 1
        await closed
        assert sent < 60_000


async def test_ping_is_answered(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1")
        await client.send(wire.PINGREQ * 3)
        for _ in range(3):
            await client.expect(Type.PINGRESP)
