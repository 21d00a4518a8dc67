"""A client for tests: whole packets in and out, or any bytes at all; every wait has a deadline."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from support import deadline, wire
from support.wire import Filter, Packet, Type


class Client:
    """A TCP connection that speaks one version of MQTT. Made by `connected` or `open`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: int
    ) -> None:
        self._reader, self._writer, self.version = reader, writer, version
        self._ids = itertools.cycle(range(1, 65_536))
        self.connack: Packet = Packet(type=Type.CONNACK)

    @classmethod
    async def open(cls, port: int, version: int = wire.V5) -> Client:
        """Open a connection and send nothing."""
        async with asyncio.timeout(deadline.SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return cls(reader, writer, version)

    @property
    def local_port(self) -> int:
        """The port the broker sees."""
        port: int = self._writer.get_extra_info("sockname")[1]
        return port

    @classmethod
    async def open_unix(cls, path: str, version: int = wire.V5) -> Client:
        """Open a connection to a Unix socket and send nothing."""
        async with asyncio.timeout(deadline.SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
        return cls(reader, writer, version)

    async def aclose(self) -> None:
        """Close without a DISCONNECT."""
        self._writer.close()
        try:
            async with asyncio.timeout(deadline.SECONDS):
                await self._writer.wait_closed()
        except (ConnectionError, BrokenPipeError):
            pass  # the broker was first

    async def abort(self) -> None:
        """Reset the connection."""
        self._writer.transport.abort()
        await self.aclose()

    async def send(self, *packets: bytes) -> None:
        """Send bytes in one write."""
        self._writer.write(b"".join(packets))
        try:
            async with asyncio.timeout(deadline.SECONDS):
                await self._writer.drain()
        except ConnectionError:
            pass  # what the broker said before is still to be read

    async def raw(self, count: int) -> bytes:
        """Read this many bytes, whatever they are."""
        async with asyncio.timeout(deadline.SECONDS):
            return await self._reader.readexactly(count)

    async def receive(self) -> Packet:
        """Read the next packet.

        Raises:
            ConnectionError: the broker closed the connection.
            TimeoutError: nothing came.
        """
        async with asyncio.timeout(deadline.SECONDS):
            try:
                first = (await self._reader.readexactly(1))[0]
                length, shift = 0, 0
                while True:
                    byte = (await self._reader.readexactly(1))[0]
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if not byte & 0x80:
                        break
                body = await self._reader.readexactly(length)
            except asyncio.IncompleteReadError:
                raise ConnectionError("closed by the broker") from None
        return wire.decode(self.version, first, body)

    async def expect(self, type: Type, **fields: Any) -> Packet:
        """Read the next packet, which must be this one."""
        packet = await self.receive()
        assert packet.type is type, packet
        for name, value in fields.items():
            assert getattr(packet, name) == value, packet
        return packet

    async def closed(self) -> None:
        """Wait until the broker closes the connection; nothing may come before that."""
        async with asyncio.timeout(deadline.SECONDS):
            try:
                rest = await self._reader.read()
            except ConnectionError:
                rest = b""
        assert rest == b"", rest.hex()

    async def refused(self, reason: int) -> None:
        """Wait for the DISCONNECT with this reason that version 5 is due, and for the close."""
        if self.version == wire.V5:
            await self.expect(Type.DISCONNECT, reason=reason)
        await self.closed()

    async def quiet(self) -> None:
        """Make sure that nothing waits to be read: the answer to a PINGREQ comes first.

        This holds where everything runs on one event loop, as it does unless a test asks for more.
        """
        await self.send(wire.PINGREQ)
        await self.expect(Type.PINGRESP)

    async def connect(self, client_id: str | bytes = "", **fields: Any) -> Packet:
        """CONNECT; gives the CONNACK whatever it says."""
        await self.send(wire.connect(client_id, version=self.version, **fields))
        self.connack = await self.expect(Type.CONNACK)
        return self.connack

    async def publish(
        self, topic: str, payload: bytes = b"", *, qos: int = 0, **fields: Any
    ) -> int:
        """PUBLISH and see it acknowledged to the end; gives the reason code of the first answer."""
        packet_id = next(self._ids) if qos else None
        await self.send(
            wire.publish(
                topic, payload, version=self.version, qos=qos, packet_id=packet_id, **fields
            )
        )
        if packet_id is None:
            await self.quiet()
            return 0
        if qos == 1:
            return (await self.expect(Type.PUBACK, packet_id=packet_id)).reason
        reason = (await self.expect(Type.PUBREC, packet_id=packet_id)).reason
        if reason < wire.Reason.UNSPECIFIED_ERROR:
            await self.send(wire.ack(Type.PUBREL, packet_id))
            await self.expect(Type.PUBCOMP, packet_id=packet_id, reason=0)
        return reason

    async def subscribe(self, *filters: Filter, **fields: Any) -> list[int]:
        """SUBSCRIBE; gives the codes. The next packet must be the SUBACK."""
        packet_id = next(self._ids)
        await self.send(wire.subscribe(packet_id, filters, version=self.version, **fields))
        return list((await self.expect(Type.SUBACK, packet_id=packet_id)).reasons)

    async def unsubscribe(self, *filters: str) -> list[int]:
        """UNSUBSCRIBE; gives the codes, none for 3.x."""
        packet_id = next(self._ids)
        await self.send(wire.unsubscribe(packet_id, filters, version=self.version))
        return list((await self.expect(Type.UNSUBACK, packet_id=packet_id)).reasons)

    async def message(self, topic: str, payload: bytes, **fields: Any) -> Packet:
        """Read the next packet, a PUBLISH with this topic and payload, and acknowledge it."""
        packet = await self.expect(Type.PUBLISH, topic=topic, payload=payload, **fields)
        if packet.packet_id is not None:
            await self.acknowledge(packet)
        return packet

    async def acknowledge(self, packet: Packet) -> None:
        """Acknowledge a PUBLISH to the end."""
        assert packet.packet_id is not None
        if packet.qos == 1:
            await self.send(wire.ack(Type.PUBACK, packet.packet_id))
        else:
            await self.send(wire.ack(Type.PUBREC, packet.packet_id))
            await self.expect(Type.PUBREL, packet_id=packet.packet_id, reason=0)
            await self.send(wire.ack(Type.PUBCOMP, packet.packet_id))

    async def disconnect(self, reason: int = 0, **fields: Any) -> None:
        """DISCONNECT, and wait until the broker closed."""
        await self.send(wire.disconnect(reason, version=self.version, **fields))
        await self.closed()
        await self.aclose()
