"""Random doings of several clients, here and at Mosquitto: do subscribers get the same?

    python fuzz/differential.py [--minutes 5] [--seed N]

Each round plays the same script, made from a seed, to a Vallum with one event loop and to a private
Mosquitto: clients connect (3.1.1 or 5.0, clean or not, with a will or not), subscribe, unsubscribe,
publish with every QoS, retained or not, leave with or without a word, and come back. After each
step every connected client is read until it is quiet.

Compared after each step: CONNACK's session present, the codes of SUBACK, and for each client the
set of messages with topic, payload and RETAIN. Not compared: how often a message comes that matches
several filters, and with which QoS (Mosquitto sends one, not with the highest); in what order
retained messages come.

Exit status: 0 no difference, 1 a difference (its seed and step are shown), 2 Mosquitto is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support import wire
from support.broker import broker_with
from support.client import Client
from support.wire import Type, Will

CLIENTS = ("ann", "bob", "cid", "dan")
LEVELS = ("a", "b", "c", "")
STEPS = 40
Step = tuple[str, str, dict[str, Any]]
"""What, who, with what."""


# -- the script ----------------------------------------------------------------------------------


def script(seed: int) -> list[Step]:
    """What happens, in order: only what the client can do where it stands."""
    dice = random.Random(seed)  # noqa: S311
    versions = {name: dice.choice([wire.V311, wire.V5]) for name in CLIENTS}
    online: dict[str, bool] = {}  # whether there is a will
    steps: list[Step] = []
    for number in range(STEPS):
        name = dice.choice(CLIENTS)
        doing = "connect"
        if name in online:
            # Mosquitto drops the will of a session that is taken over and goes on.
            doing = dice.choices(
                ["publish", "subscribe", "unsubscribe", "leave", "vanish", "connect"],
                [10, 7, 2, 1, 1, 0 if online[name] else 1],
            )[0]
        details = DETAILS[doing](dice, versions[name], number)
        if doing in ("leave", "vanish"):
            del online[name]
        elif doing == "connect":
            online[name] = details["will"] is not None
        steps.append((doing, name, details))
    return steps


def connecting(dice: random.Random, version: int, number: int) -> dict[str, Any]:
    will = None
    if dice.random() < 0.4:
        will = Will(
            topic=topic(dice),
            payload=b"will %d" % number,
            qos=dice.randrange(3),
            retain=dice.random() < 0.3,
        )
    fields: dict[str, Any] = {"clean_start": dice.random() < 0.4, "will": will, "keep_alive": 0}
    if version == wire.V5:
        fields["properties"] = {"session_expiry_interval": dice.choice([0, 1000])}
    return {"version": version, **fields}


def topic(dice: random.Random) -> str:
    return "/".join(dice.choices(LEVELS, k=dice.randint(1, 3))) or "a"


def topic_filter(dice: random.Random) -> str:
    levels = dice.choices([*LEVELS, "+", "+"], k=dice.randint(1, 3))
    if dice.random() < 0.25:
        levels[-1] = "#"
    return "/".join(levels) or "+"


def subscribing(dice: random.Random, version: int, number: int) -> dict[str, Any]:
    def one() -> tuple[str, int]:
        text, options = topic_filter(dice), dice.randrange(3)
        if version == wire.V5:
            # The same for a filter each time: Mosquitto does not replace these.
            fixed = zlib.crc32(text.encode())
            options = wire.options(
                options,
                no_local=fixed % 5 == 0,
                retain_as_published=fixed % 3 == 0,
                retain_handling=dice.randrange(3),
            )
        return (text, options)

    return {"filters": [one() for _ in range(dice.randint(1, 3))]}


def publishing(dice: random.Random, version: int, number: int) -> dict[str, Any]:
    payload = b"" if dice.random() < 0.1 else b"%d" % number * dice.choice([1, 1, 3000])
    retain = dice.random() < 0.3
    return {"topic": topic(dice), "payload": payload, "qos": dice.randrange(3), "retain": retain}


DETAILS = {
    "publish": publishing,
    "subscribe": subscribing,
    "unsubscribe": lambda dice, *_: {"filter": topic_filter(dice)},
    "leave": lambda *_: {},
    "vanish": lambda *_: {},
    "connect": connecting,
}


# -- playing it ----------------------------------------------------------------------------------


class Player:
    """Plays a script to one broker."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.online: dict[str, Client] = {}

    async def play(self, step: Step) -> dict[str, Any]:
        """Do it; gives what there is to compare."""
        doing, name, with_ = step
        seen: dict[str, Any] = {}
        if doing == "connect":
            old = self.online.pop(name, None)
            client = await Client.open(self.port, with_["version"])
            fields = {key: value for key, value in with_.items() if key != "version"}
            await client.connect(name, **fields)
            seen["present"] = client.connack.session_present
            self.online[name] = client
            if old is not None:
                await old.aclose()
            return {**seen, **await self.read_all()}
        client = self.online[name]
        if doing == "publish":
            packet_id = 1 if with_["qos"] else None
            packet = wire.publish(version=client.version, packet_id=packet_id, **with_)
            await client.send(packet)
        elif doing == "subscribe":
            await client.send(wire.subscribe(2, with_["filters"], version=client.version))
        elif doing == "unsubscribe":
            await client.send(wire.unsubscribe(3, [with_["filter"]], version=client.version))
        else:
            del self.online[name]
            if doing == "leave":
                await client.send(wire.disconnect(version=client.version))
                await client.aclose()
            else:
                await client.abort()
            await asyncio.sleep(0.02)  # nobody says when a broker has noticed
        return {**seen, **await self.read_all()}

    async def read_all(self) -> dict[str, Any]:
        """Read every client until none gets anything more."""
        seen: dict[str, Any] = {}
        again = True
        while again:
            again = False
            for name, client in self.online.items():
                again |= await self.read(client, seen.setdefault(name, {}))
        return {name: got for name, got in seen.items() if got}

    async def read(self, client: Client, seen: dict[Any, Any]) -> bool:
        """Read up to the answer to a ping; gives whether there was something else."""
        await client.send(wire.PINGREQ)
        some = False
        while (packet := await client.receive()).type is not Type.PINGRESP:
            some = True
            if packet.type is Type.PUBLISH:
                key = (packet.topic, packet.payload[:8], len(packet.payload), packet.retain)
                seen.setdefault("messages", set()).add(key)
                if packet.packet_id is not None:
                    answer = Type.PUBACK if packet.qos == 1 else Type.PUBREC
                    await client.send(wire.ack(answer, packet.packet_id))
            elif packet.type is Type.PUBREL and packet.packet_id is not None:
                await client.send(wire.ack(Type.PUBCOMP, packet.packet_id))
            elif packet.type is Type.PUBREC and packet.packet_id is not None:
                if packet.reason < wire.Reason.UNSPECIFIED_ERROR:
                    await client.send(wire.ack(Type.PUBREL, packet.packet_id))
            elif packet.type is Type.SUBACK:
                seen["suback"] = packet.reasons
        return some

    async def close(self) -> None:
        for client in self.online.values():
            await client.abort()


@asynccontextmanager
async def mosquitto() -> AsyncIterator[int]:
    """A private Mosquitto; its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        process = await asyncio.create_subprocess_exec(
            program, "-c", str(config), stderr=subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(10):
                while True:
                    try:
                        (await asyncio.open_connection("127.0.0.1", port))[1].close()
                        break
                    except OSError:
                        await asyncio.sleep(0.02)
            yield port
        finally:
            process.terminate()
            await process.wait()


async def compare(seed: int) -> str:
    """Play one script to both; gives the first difference, or nothing."""
    async with broker_with("mqtt.mqueue_store_qos0 = false") as ours, mosquitto() as theirs:
        players = Player(ours.port), Player(theirs)
        try:
            for number, step in enumerate(script(seed)):
                here, there = [await player.play(step) for player in players]
                if here != there:
                    return f"seed {seed}, step {number}: {step}\n  ours  {here}\n  theirs {there}"
        finally:
            for player in players:
                await player.close()
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    options = parser.parse_args()
    if not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()):
        print("differential: mosquitto is not installed", file=sys.stderr)
        return 2
    seed, differences = options.seed, 0
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end and differences < 5:
        found = asyncio.run(compare(seed))
        if found:
            differences += 1
            print(found, flush=True)
        seed += 1
    print(f"{seed - options.seed} rounds of {STEPS} steps, {differences} differences")
    return int(differences > 0)


if __name__ == "__main__":
    raise SystemExit(main())
