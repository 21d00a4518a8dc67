"""What every attack is judged by: it is refused, and others are served on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support import wire
from support.broker import RunningBroker, Start
from support.client import Client
from support.wire import Type


@asynccontextmanager
async def survives(broker_with: Start, text: str = "") -> AsyncIterator[RunningBroker]:
    """A broker that must serve an innocent client before and after the attack."""
    async with broker_with(text) as broker:
        innocent = await broker.client("innocent")
        await innocent.subscribe(("innocent", 1))
        yield broker
        async with asyncio.timeout(10):
            await innocent.send(wire.publish("innocent", b"x", qos=1, packet_id=1))
            assert {(await innocent.receive()).type for _ in range(2)} == {
                Type.PUBACK,
                Type.PUBLISH,
            }


async def malformed(client: Client, *reasons: int) -> None:
    """The connection ends; version 5 hears one of these reasons."""
    if client.version == wire.V5 and client.connack.properties:
        packet = await client.expect(Type.DISCONNECT)
        assert packet.reason in reasons, packet
    await client.closed()
