"""A broker that runs out of file descriptors."""

from __future__ import annotations

import asyncio

from command import Vallum
from support import wire
from support.client import Client
from support.wire import Type

LIMIT = 64
FEW = f"import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))"
OPEN = """
listeners.tcp.default { bind = "127.0.0.1:0", enable_authn = false }
authorization { no_match = allow, sources = [] }
"""


async def test_serves_on_and_accepts_again(vallum: Vallum) -> None:
    vallum.write("open.conf", OPEN)
    async with vallum.serving("-c", "open.conf", patch=FEW) as broker:
        port = await broker.port()
        client = await Client.open(port)
        await client.connect("first")
        # More than there are descriptors: the system accepts them, the broker cannot.
        crowd = [await Client.open(port) for _ in range(LIMIT + 16)]
        late = await Client.open(port)
        waiting = asyncio.create_task(late.connect("late"))
        await client.subscribe(("t", 1))
        await client.send(wire.publish("t", b"x"))
        await client.message("t", b"x")
        assert not waiting.done()
        for each in crowd:
            await each.abort()
        assert (await waiting).type is Type.CONNACK
        assert late.connack.reason == 0
        await client.quiet()
        for each in (client, late):
            await each.aclose()
