"""A WebSocket by hand: the request as it is given, frames one by one."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from support import deadline

REQUEST = (
    "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n"
)
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame from the broker."""

    opcode: int
    payload: bytes


class WebSocket:
    """A connection, asked for with these further header fields; `head` is what came back."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        self._reader, self._writer, self.head = reader, writer, head

    @classmethod
    async def open(cls, port: int, *fields: str, first: bytes = b"") -> WebSocket:
        """Send a request, and `first` behind it in the same write."""
        async with asyncio.timeout(deadline.SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            more = "".join(f"{field}\r\n" for field in fields)
            writer.write(f"{REQUEST}{more}\r\n".encode() + first)
            return cls(reader, writer, await reader.readuntil(b"\r\n\r\n"))

    @property
    def status(self) -> int:
        """Status of the answer."""
        return int(self.head.split()[1])

    def send(self, payload: bytes, opcode: int = BINARY) -> None:
        """Send one frame, masked with zeros."""
        self._writer.write(frame(payload, opcode))

    async def receive(self) -> Frame:
        """Read the next frame.

        Raises:
            ConnectionError: the broker closed the connection.
        """
        async with asyncio.timeout(deadline.SECONDS):
            try:
                first, length = await self._reader.readexactly(2)
                if length == 126:
                    length = int.from_bytes(await self._reader.readexactly(2))
                return Frame(first & 0x0F, await self._reader.readexactly(length))
            except asyncio.IncompleteReadError:
                raise ConnectionError("closed by the broker") from None

    async def aclose(self) -> None:
        """Close without a word."""
        self._writer.close()
        async with asyncio.timeout(deadline.SECONDS):
            with contextlib.suppress(ConnectionError):  # the broker was first
                await self._writer.wait_closed()


def frame(payload: bytes, opcode: int = BINARY) -> bytes:
    """A frame from a client, masked with zeros."""
    assert len(payload) < 126
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload
