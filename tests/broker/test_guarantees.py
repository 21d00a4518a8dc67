"""At least once and exactly once, while clients break off and come back at any moment."""

from __future__ import annotations

import asyncio
import random

import pytest
from support import wire
from support.broker import RunningBroker, Start
from support.client import Client
from support.wire import Type

KEEP = {"session_expiry_interval": 60}
MESSAGES = 150


class Subscriber:
    """A client that keeps the session state the standard asks for, and breaks off at random."""

    def __init__(self, broker: RunningBroker, name: str, qos: int, seed: int) -> None:
        self.broker, self.name, self.qos = broker, name, qos
        self.noise = random.Random(seed)  # noqa: S311
        self.received: list[int] = []
        self.incomplete: set[int] = set()
        """Identifiers of QoS 2 messages that were taken and not yet released."""

    async def connect(self) -> Client:
        return await self.broker.client(self.name, clean_start=False, properties=KEEP)

    async def run(self, ready: asyncio.Event) -> None:
        client = await self.connect()
        await client.subscribe(("t", self.qos))
        ready.set()
        while not self.received or self.received[-1] != MESSAGES - 1:
            answer = self.take(await client.receive())
            # The connection breaks before the answer, after it, or not at all.
            chance = self.noise.random()
            if chance > 0.15:
                await client.send(answer)
            if chance < 0.3:
                await client.abort()
                client = await self.connect()
                assert client.connack.session_present
        await client.abort()

    def take(self, packet: wire.Packet) -> bytes:
        """Note what came; gives the answer."""
        id = packet.packet_id
        assert id is not None
        if packet.type is Type.PUBREL:
            self.incomplete.discard(id)
            return wire.ack(Type.PUBCOMP, id)
        assert packet.type is Type.PUBLISH, packet
        if id not in self.incomplete:
            self.received.append(int(packet.payload))
        if self.qos == 1:
            return wire.ack(Type.PUBACK, id)
        self.incomplete.add(id)
        return wire.ack(Type.PUBREC, id)


class Publisher:
    """A client that sends each message until it is acknowledged, over as many connections."""

    def __init__(self, broker: RunningBroker, qos: int, seed: int) -> None:
        self.broker, self.qos = broker, qos
        self.noise = random.Random(seed)  # noqa: S311

    async def connect(self) -> Client:
        return await self.broker.client("publisher", clean_start=False, properties=KEEP)

    async def run(self) -> None:
        client = await self.connect()
        for n in range(MESSAGES):
            id, dup, steps = n % 7 + 1, False, [Type.PUBACK]
            if self.qos == 2:
                steps = [Type.PUBREC, Type.PUBCOMP]
            while steps:
                if steps[0] is Type.PUBCOMP:
                    await client.send(wire.ack(Type.PUBREL, id))
                else:
                    await client.send(
                        wire.publish("t", b"%d" % n, qos=self.qos, packet_id=id, dup=dup)
                    )
                dup = True
                if self.noise.random() < 0.1:
                    await client.abort()
                    client = await self.connect()
                    continue
                await client.expect(steps.pop(0), packet_id=id)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loops", [1, 2])
@pytest.mark.parametrize("qos", [1, 2])
async def test_nothing_is_lost(broker_with: Start, qos: int, loops: int, seed: int) -> None:
    async with broker_with("mqtt { max_inflight = 5, max_mqueue_len = 0 }", loops=loops) as broker:
        subscribers = [Subscriber(broker, f"c{n}", qos, seed * 10 + n) for n in range(3)]
        ready = [asyncio.Event() for _ in subscribers]
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for subscriber, event in zip(subscribers, ready, strict=True):
                group.create_task(subscriber.run(event))
            for event in ready:
                await event.wait()
            group.create_task(Publisher(broker, qos, seed).run())
    for subscriber in subscribers:
        if qos == 2:
            assert subscriber.received == list(range(MESSAGES))
        else:
            # Repetitions are allowed, gaps and a wrong order of the first copies are not.
            assert list(dict.fromkeys(subscriber.received)) == list(range(MESSAGES))
