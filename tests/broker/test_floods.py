"""Repetition, floods and slowness: none of it holds others up, or grows without bound."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest
from support import wire
from support.attack import survives
from support.broker import Start
from support.wire import Reason, Type, Will

MANY = [f"t/{n}" for n in range(50_000)]


async def test_subscribe_with_very_many_filters(broker_with: Start) -> None:
    text = "mqtt { max_subscriptions = 1000, max_filters_per_packet = 50000 }"
    async with survives(broker_with, text) as broker:
        client = await broker.client("c1")
        codes = await client.subscribe(*MANY)
        assert codes == [0] * 1000 + [Reason.QUOTA_EXCEEDED] * 49_000
        codes = await client.unsubscribe(*MANY)
        assert codes == [0] * 1000 + [Reason.NO_SUBSCRIPTION_EXISTED] * 49_000


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_filters_of_one_packet_have_a_limit(broker_with: Start, version: int) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1", version)
        refused = Reason.QUOTA_EXCEEDED if version == wire.V5 else Reason.UNSPECIFIED_ERROR
        assert await client.subscribe(*MANY) == [0] * 10_000 + [refused] * 40_000
        assert broker.broker.statistics()["subscriptions.count"] == 10_001  # one is the innocent's
        await client.send(wire.unsubscribe(1, MANY, version=version))
        await client.refused(Reason.QUOTA_EXCEEDED)


async def test_very_many_subscriptions_end_with_their_session(broker_with: Start) -> None:
    async with survives(broker_with, "mqtt.exclusive_subscription = true") as broker:
        client = await broker.client("c1")
        exclusive = "$exclusive/only"
        for start in range(0, 50_000, 10_000):
            await client.subscribe(*MANY[start : start + 10_000])
        await client.subscribe("$share/g/t/1", exclusive)
        other = await broker.client("other")
        assert await other.subscribe(exclusive) == [Reason.QUOTA_EXCEEDED]
        await client.disconnect()
        assert await other.subscribe(exclusive) == [0]  # at once, whatever else is to be forgotten
        async with asyncio.timeout(10):
            while broker.broker.statistics()["subscriptions.count"] > 2:
                await other.quiet()


async def test_same_id_without_pubrel(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("t")
        client = await broker.client("c1")
        for _ in range(20):
            await client.send(wire.publish("t", b"x", qos=2, packet_id=1, dup=True) * 1000)
            for _ in range(1000):
                await client.expect(Type.PUBREC, packet_id=1)
        await watcher.message("t", b"x")
        await watcher.quiet()


async def test_new_ids_without_pubrel(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        client = await broker.client("c1")
        maximum = client.connack.properties["receive_maximum"]
        for n in range(1, maximum + 2):
            await client.send(wire.publish("t", qos=2, packet_id=n))
        for n in range(1, maximum + 1):
            await client.expect(Type.PUBREC, packet_id=n)
        await client.refused(Reason.RECEIVE_MAXIMUM_EXCEEDED)


async def test_take_over_in_a_loop_under_load(broker_with: Start) -> None:
    async with survives(broker_with) as broker, asyncio.TaskGroup() as group:

        async def churn(seed: int) -> None:
            noise = random.Random(seed)  # noqa: S311
            for _ in range(25):
                client = await broker.open()
                await client.send(
                    wire.connect(
                        "victim",
                        clean_start=noise.random() < 0.5,
                        properties={"session_expiry_interval": noise.choice([0, 60])},
                        will=Will(topic="churn/will", qos=1),
                    ),
                    wire.subscribe(1, [("churn/#", noise.randrange(3))]),
                    *[wire.publish(f"churn/{n}", b"x", qos=1, packet_id=n) for n in range(1, 20)],
                    wire.unsubscribe(2, ["churn/#"]),
                )
                if noise.random() < 0.3:
                    await client.abort()

        for seed in range(6):
            group.create_task(churn(seed))


async def test_slow_reader_holds_nobody_up(broker_with: Start) -> None:
    text = "mqtt { max_mqueue_len = 100 }"
    async with survives(broker_with, text) as broker:
        # A small window, so that the socket is full soon.
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", broker.port))
        hello = wire.connect("slow", keep_alive=0) + wire.subscribe(1, [("zero", 0), ("one", 1)])
        await asyncio.get_running_loop().sock_sendall(sock, hello)
        fast, publisher = await broker.client("fast"), await broker.client("publisher")
        await fast.subscribe(("zero", 0), ("one", 1))
        payload = bytes(50_000)
        for topic, qos in (("zero", 0), ("one", 1)):
            for _ in range(400):
                await publisher.send(
                    wire.publish(topic, payload, qos=qos, packet_id=1 if qos else None)
                )
                if qos:
                    await publisher.expect(Type.PUBACK)
                await fast.message(topic, payload)
        statistics = broker.broker.statistics()
        assert statistics["delivery.dropped.slow_consumer"] > 0
        assert statistics["delivery.dropped.queue_full"] > 0
        sock.close()


async def test_reader_that_stops_is_ended_by_keep_alive(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        watcher, publisher = await broker.client("watcher"), await broker.client("publisher")
        await watcher.subscribe("will")
        slow = await broker.client("slow", keep_alive=1, will=Will(topic="will"))
        await slow.subscribe("t")
        for _ in range(200):
            await publisher.send(wire.publish("t", bytes(50_000)))
        await watcher.message("will", b"gone")


async def test_retained_flood_and_a_reader_that_stops(broker_with: Start) -> None:
    async with survives(broker_with) as broker:
        publisher = await broker.client("publisher")
        for n in range(5000):
            await publisher.send(wire.publish(f"t/{n}", bytes(2000), retain=True))
        await publisher.quiet()
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port, limit=1024)
        writer.write(wire.connect("slow") + wire.subscribe(1, [("t/#", 0), ("t/+", 1)]))
        await publisher.publish("other", b"x", qos=1)
        other = await broker.client("other")
        await other.subscribe("t/7")
        await other.message("t/7", bytes(2000))
        writer.transport.abort()
        del reader


@pytest.mark.parametrize("seed", range(20))
async def test_noise_after_connect(broker_with: Start, seed: int) -> None:
    noise = random.Random(seed)  # noqa: S311
    async with survives(broker_with) as broker:
        for n in range(20):
            version = noise.choice(wire.VERSIONS)
            client = await broker.open(version)
            await client.send(wire.connect(f"c{n}", version=version))
            await client.expect(Type.CONNACK)
            packets = [
                wire.publish("t", b"x" * 50, version=version, qos=1, packet_id=1),
                wire.subscribe(1, [("t/#", 1), ("a/+", 2)], version=version),
                wire.unsubscribe(1, ["t/#"], version=version),
                wire.ack(Type.PUBREL, 1),
                wire.disconnect(4, version=version),
            ]
            for packet in noise.choices(packets, k=5):
                broken = bytearray(packet)
                for _ in range(noise.randrange(4)):
                    broken[noise.randrange(len(broken))] = noise.randrange(256)
                await client.send(bytes(broken))
            await client.abort()
