"""What the soak does to the broker: one class a kind of client, each of which checks what it gets.

A load runs until it is told to stop and counts what it did. A check that fails raises `Broken`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import socket
import struct
import sys
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support import wire
from support.client import Client
from support.wire import Type, Will

KEEP = {"session_expiry_interval": 30}


class Broken(Exception):
    """The broker lost, repeated or reordered something, or did not answer."""


class Load(ABC):
    """One kind of client. `run` is started once and ends soon after `stop` is set."""

    def __init__(self, port: int, web: int, seed: int) -> None:
        self.port, self.web = port, web
        self.noise = random.Random(seed)  # noqa: S311
        self.stop = asyncio.Event()
        self.did: Counter[str] = Counter()

    async def client(self, client_id: str, version: int = wire.V5, **fields: object) -> Client:
        """A connected client.

        Raises:
            Broken: the broker refuses it.
        """
        client = await Client.open(self.port, version)
        await client.connect(client_id, **{"keep_alive": 0, **fields})
        if client.connack.reason:
            raise Broken(f"{client_id}: {client.connack}")
        return client

    @abstractmethod
    async def run(self) -> None:
        """Do it until told to stop.

        Raises:
            Broken: something is not as it must be.
        """


class Rounds(Load):
    """One that does the same again and again."""

    async def run(self) -> None:
        while not self.stop.is_set():
            await self.round()

    @abstractmethod
    async def round(self) -> None:
        """Do it once.

        Raises:
            Broken: something is not as it must be.
        """


class Sequence(Load):
    """Numbered messages to a subscriber that leaves without a word now and then."""

    qos = 0

    async def run(self) -> None:
        name, topic = f"sequence-{self.qos}", f"sequence/{self.qos}"
        publisher = await self.client(f"{name}-out")
        subscriber = await self.client(f"{name}-in", clean_start=False, properties=KEEP)
        await subscriber.subscribe((topic, self.qos))
        number = 0
        while not self.stop.is_set():
            burst = range(number, number + self.noise.randint(1, 20))
            number = burst.stop
            for n in burst:
                await publisher.publish(topic, b"%d" % n, qos=self.qos)
            await self.read(subscriber, topic, burst)
            if self.qos and self.noise.random() < 0.1:
                await subscriber.abort()
                for n in (offline := range(number, number + 10)):
                    await publisher.publish(topic, b"%d" % n, qos=self.qos)
                number = offline.stop
                subscriber = await self.client(f"{name}-in", clean_start=False, properties=KEEP)
                if not subscriber.connack.session_present:
                    raise Broken(f"{name}: the session is gone")
                await self.read(subscriber, topic, offline)
            self.did["messages"] = number
        await subscriber.disconnect(properties={"session_expiry_interval": 0})
        await publisher.disconnect()

    async def read(self, subscriber: Client, topic: str, numbers: range) -> None:
        expected, open_ids = iter(numbers), len(numbers) if self.qos == 2 else 0
        left = len(numbers)
        while left or open_ids:
            packet = await subscriber.receive()
            if packet.type is Type.PUBREL and packet.packet_id is not None:
                await subscriber.send(wire.ack(Type.PUBCOMP, packet.packet_id))
                open_ids -= 1
                continue
            n = next(expected, -1)
            if (packet.type, packet.topic, packet.payload) != (Type.PUBLISH, topic, b"%d" % n):
                raise Broken(f"{topic}: {packet} instead of {n}")
            left -= 1
            if packet.packet_id is not None:
                answer = Type.PUBACK if packet.qos == 1 else Type.PUBREC
                await subscriber.send(wire.ack(answer, packet.packet_id))


class Sequence1(Sequence):
    """The same with QoS 1."""

    qos = 1


class Sequence2(Sequence):
    """The same with QoS 2."""

    qos = 2


class Storm(Rounds):
    """Clients that come and go at once."""

    async def round(self) -> None:
        for _ in range(50):
            version = self.noise.choice(wire.VERSIONS)
            client = await self.client(f"storm-{self.noise.randrange(1000)}", version)
            if self.noise.random() < 0.5:
                await client.subscribe(f"storm/{self.noise.randrange(50)}/#")
            await (client.disconnect() if self.noise.random() < 0.5 else client.abort())
            self.did["connects"] += 1


class Retained(Rounds):
    """Retained messages that replace each other; a new subscriber gets the last of each."""

    async def round(self) -> None:
        publisher = await self.client("retained-out")
        payload = os.urandom(self.noise.choice([10, 100, 5000]))
        for n in range(100):
            await publisher.publish(f"retained/{n}", payload, qos=1, retain=True)
        reader = await self.client("retained-in")
        await reader.subscribe(("retained/#", 1))
        topics = set()
        for _ in range(100):
            packet = await reader.expect(Type.PUBLISH)
            if packet.payload != payload or not packet.retain:
                raise Broken(f"{packet.topic}: an old message")
            await reader.acknowledge(packet)
            topics.add(packet.topic)
        if len(topics) != 100:
            raise Broken("retained messages twice")
        await reader.disconnect()
        await publisher.disconnect()
        self.did["replays"] += 1


class Shared(Rounds):
    """A group of members that changes: each message goes to one of them."""

    async def round(self) -> None:
        members = [await self.client(f"shared-{n}") for n in range(3)]
        for member in members:
            await member.subscribe(("$share/soak/shared", 1))
        publisher = await self.client("shared-out")
        for n in range(90):
            await publisher.publish("shared", b"%d" % n, qos=1)
        got: list[int] = []
        complete = asyncio.Event()

        async def read(member: Client) -> None:
            while True:
                packet = await member.expect(Type.PUBLISH)
                await member.acknowledge(packet)
                got.append(int(packet.payload))
                if len(got) == 90:
                    complete.set()

        readers = [asyncio.create_task(read(member)) for member in members]
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                await complete.wait()
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        if sorted(got) != list(range(90)):
            raise Broken(f"shared: {sorted(got)}")
        for client in (*members, publisher):
            await client.disconnect()
        self.did["messages"] += 90


class Wills(Rounds):
    """Clients that vanish: each will is heard once."""

    async def round(self) -> None:
        watcher = await self.client("will-watcher")
        await watcher.subscribe(("will", 2))
        for n in range(20):
            will = Will(topic="will", payload=b"%d" % n, qos=n % 3)
            client = await self.client(f"will-{n}", will=will)
            await client.abort()
            await watcher.message("will", b"%d" % n)
        await watcher.quiet()
        await watcher.disconnect()
        self.did["wills"] += 20


class TakeOvers(Rounds):
    """One client id from many connections; the old one is told."""

    async def round(self) -> None:
        old = await self.client("taken", clean_start=False, properties=KEEP)
        await old.subscribe(("taken", 1))
        for _ in range(20):
            new = await self.client("taken", clean_start=False, properties=KEEP)
            packet = await old.expect(Type.DISCONNECT)
            if packet.reason != wire.Reason.SESSION_TAKEN_OVER or not new.connack.session_present:
                raise Broken(f"take-over: {packet}")
            await old.aclose()
            await new.publish("other", b"x", qos=2)
            old = new
            self.did["take-overs"] += 1
        await old.disconnect(properties={"session_expiry_interval": 0})


class SlowReader(Rounds):
    """A subscriber that never reads while much is published; others are not held up."""

    async def round(self) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", self.port))
        hello = wire.connect("slow", keep_alive=0) + wire.subscribe(1, [("slow", 0), ("slow/1", 1)])
        await loop.sock_sendall(sock, hello)
        fast = await self.client("slow-fast")
        await fast.subscribe(("slow", 0))
        publisher = await self.client("slow-out")
        for _ in range(100):
            await publisher.send(wire.publish("slow", bytes(50_000)))
            await fast.message("slow", bytes(50_000))
            await publisher.publish("slow/1", bytes(1000), qos=1)
        sock.close()
        await fast.disconnect()
        await publisher.disconnect()
        self.did["rounds"] += 1


class Web(Rounds):
    """MQTT over WebSocket, frames of every size, pieces included."""

    async def round(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.web)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
        )
        async with asyncio.timeout(30):
            await reader.readuntil(b"\r\n\r\n")
            payload = os.urandom(self.noise.choice([1, 200, 70_000]))
            stream = b"".join(
                (
                    wire.connect("web", version=wire.V311),
                    wire.subscribe(1, ["web"], version=wire.V311),
                    wire.publish("web", payload, version=wire.V311),
                )
            )
            while stream:
                size = self.noise.choice([1, 100, 100_000])
                writer.write(masked(stream[:size]))
                stream = stream[size:]
            mqtt = b""
            while not mqtt.endswith(payload):
                mqtt += await frame(reader)
            writer.write(masked(b"\x03\xe8", opcode=8))
            await reader.read()
        writer.close()
        self.did["connections"] += 1


def masked(payload: bytes, opcode: int = 2) -> bytes:
    """A frame from a client."""
    if len(payload) < 126:
        size = bytes([0x80 | len(payload)])
    elif len(payload) < 65_536:
        size = b"\xfe" + struct.pack(">H", len(payload))
    else:
        size = b"\xff" + struct.pack(">Q", len(payload))
    return bytes([0x80 | opcode]) + size + bytes(4) + payload  # a mask of zeros


async def frame(reader: asyncio.StreamReader) -> bytes:
    """The payload of a frame from the broker."""
    _, size = await reader.readexactly(2)
    if size == 126:
        size = struct.unpack(">H", await reader.readexactly(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", await reader.readexactly(8))[0]
    return await reader.readexactly(size)


class Malformed(Rounds):
    """Noise: random bytes, packets with a few bytes changed, packets cut short."""

    async def round(self) -> None:
        for _ in range(20):
            version = self.noise.choice(wire.VERSIONS)
            client = await Client.open(self.port, version)
            packets = [
                wire.connect("noise", version=version, will=Will(topic="noise/will")),
                wire.publish("noise/t", b"x" * 50, version=version, qos=1, packet_id=1),
                wire.subscribe(1, [("noise/#", 1), ("noise/+", 2)], version=version),
                wire.unsubscribe(1, ["noise/#"], version=version),
                wire.ack(Type.PUBREL, 1),
                self.noise.randbytes(self.noise.randrange(1, 200)),
            ]
            for packet in (
                self.noise.choices(packets, k=8) if self.noise.random() < 0.5 else packets
            ):
                broken = bytearray(packet)
                for _ in range(self.noise.randrange(3)):
                    broken[self.noise.randrange(len(broken))] = self.noise.randrange(256)
                await client.send(bytes(broken[: self.noise.randrange(1, 500)]))
            await client.abort()
            self.did["connections"] += 1


LOADS: list[type[Load]] = [
    Sequence,
    Sequence1,
    Sequence2,
    Storm,
    Retained,
    Shared,
    Wills,
    TakeOvers,
    SlowReader,
    Web,
    Malformed,
]
