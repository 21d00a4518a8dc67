"""The table of packets, `tests/data/codec_vectors.json`, sent to a broker as it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import wire
from support.broker import Start
from support.wire import Type

TABLE = Path(__file__).parents[1] / "data" / "codec_vectors.json"


def frames(data: bytes) -> bool | None:
    """Whether `data` is one whole packet; None if its length cannot be read."""
    length = 0
    for at, byte in enumerate(data[1:5]):
        length |= (byte & 0x7F) << 7 * at
        if not byte & 0x80:
            return len(data) == 2 + at + length
    return None


def vectors(valid: bool) -> list[Any]:
    """Whole packets that a client may send, or may not."""
    return [
        pytest.param(vector, id=f"{vector['id']}:{vector['name']}"[:60])
        for vector in json.loads(TABLE.read_text())["vectors"]
        if vector["direction"] != "s2c"
        and vector["valid"] is valid
        # Packets that are cut off are waited for: tests/broker/test_hostile.py.
        and frames(bytes.fromhex(vector["hex"])) is not False
    ]


@pytest.mark.parametrize("vector", vectors(valid=False))
async def test_refused(broker_with: Start, vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    async with broker_with() as broker:
        client = await broker.open(vector["version"])
        if data[0] >> 4 != Type.CONNECT:
            await client.connect("c1")
        await client.send(data)
        try:
            answer = await client.receive()
        except ConnectionError:
            return
        if answer.type in (Type.SUBACK, Type.UNSUBACK):
            # A bad filter may be answered by itself (section 3.9.3).
            assert any(code >= wire.Reason.UNSPECIFIED_ERROR for code in answer.reasons), answer
            return
        assert answer.type in (Type.CONNACK, Type.DISCONNECT)
        assert answer.reason != 0
        if "close_codes" in vector:
            assert f"0x{answer.reason:02x}" in vector["close_codes"]
        await client.closed()


SMALLEST = 5
"""Bytes of a CONNACK without properties."""

ENDS = {Type.CONNECT, Type.DISCONNECT, Type.AUTH}
"""Packets after which the connection is not served on, or that have no place in one."""


@pytest.mark.parametrize("vector", vectors(valid=True))
async def test_accepted(broker_with: Start, vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    type = Type(data[0] >> 4)
    async with broker_with() as broker:
        client = await broker.open(vector["version"])
        if type is Type.CONNECT:
            await client.send(data)
            limit = vector["fields"].get("properties", {}).get("maximum_packet_size", SMALLEST)
            if limit < SMALLEST:
                await client.closed()  # nothing may be sent, a CONNACK neither [MQTT-3.1.2-24]
            else:
                await client.expect(Type.CONNACK)
            return
        await client.connect("c1", properties={"session_expiry_interval": 60})
        if type in ENDS:
            await client.send(data)
            if type is Type.AUTH:
                await client.expect(Type.DISCONNECT, reason=wire.Reason.PROTOCOL_ERROR)
            await client.closed()
            return
        alias = vector["fields"].get("properties", {}).get("topic_alias")
        if alias is not None:
            await client.send(wire.publish("t", properties={"topic_alias": alias}))
        await client.send(data, wire.PINGREQ)
        while (await client.receive()).type is not Type.PINGRESP:
            pass
