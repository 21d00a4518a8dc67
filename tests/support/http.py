"""An HTTP server for what a broker fetches: answers by path, requests noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class WebServer:
    """Where it is, what it answers, what it was asked."""

    port: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    """Bodies by path; another path is a 404."""
    asked: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """Paths, in order, each once it was answered."""

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        await reader.readexactly(int(fields.get("content-length", 0)))
        path = head.split(" ")[1]
        body = self.answers.get(path)
        status = "200 OK" if body is not None else "404 Not Found"
        answer = body or b""
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n\r\n".encode())
        writer.write(answer)
        writer.close()
        await writer.wait_closed()
        self.asked.put_nowait(path)


@asynccontextmanager
async def web_server(**answers: bytes) -> AsyncIterator[WebServer]:
    """Serve `/NAME` for each of the answers."""
    web = WebServer(answers={f"/{name}": body for name, body in answers.items()})
    server = await asyncio.start_server(web._serve, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    async with server:
        yield web
