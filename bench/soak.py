"""Does anything grow or get lost over time? `python bench/soak.py --minutes 30`.

Method: a broker in a process of its own, two event loops, and every kind of load of `soak_load.py`
at once: numbered messages of each QoS with subscribers that vanish, a storm of connects, retained
messages, shared subscriptions, wills, take-overs, slow readers, WebSocket, malformed input. Each
load checks loss, repetition and order itself.

Resident memory, descriptors and the gauges of the broker's tables are taken every second. After a
warm-up of a fifth of the time, the median of the last third of the samples may not exceed that of
the first third by more than 10 % and a little. When all clients have gone, nothing of theirs may
remain.

Prints a report in JSON. Exit status: 0 all is well, 1 something was lost or grew, 2 it did not run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from soak_load import LOADS, Load

CONFIG = """
listeners.tcp.default { bind = "127.0.0.1:0", enable_authn = false }
listeners.ws.default { bind = "127.0.0.1:0", enable_authn = false }
authorization { no_match = allow, sources = [] }
mqtt { max_awaiting_rel = 1000, session_expiry_interval = 1s }
"""
GAUGES = (
    "sessions.count",
    "subscriptions.count",
    "subscriptions.shared.count",
    "retained.count",
    "retained.bytes",
    "delayed.count",
    "connections.lingering",
)
SLACK = {"rss": 8 * 2**20, "retained.bytes": 600_000, "descriptors": 30}
"""What a sample may grow by, whatever it was; others by 60: clients of the loads come and go."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return 0
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # sockets closed on us on purpose
    report = asyncio.run(soak(options.minutes * 60, options.seed))
    print(json.dumps(report, indent=2))
    return 1 if report["faults"] else 0


# -- the broker's process ------------------------------------------------------------------------


async def serve() -> None:
    """Run a broker; write its ports, then its statistics each second, until its input ends."""
    from vallum import Broker
    from vallum.config import load

    async with Broker(load(text=CONFIG, base_dir=".", env={}), loops=2) as broker:
        ports = [broker.listeners[name].port for name in ("tcp:default", "ws:default")]
        print(json.dumps(ports), flush=True)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
        while not ended.is_set():
            print(json.dumps({**broker.statistics(), **process_now()}), flush=True)
            try:
                async with asyncio.timeout(1):
                    await ended.wait()
            except TimeoutError:
                pass


def process_now() -> dict[str, int]:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return {"rss": pages * os.sysconf("SC_PAGESIZE"), "descriptors": descriptors}


# -- the load ------------------------------------------------------------------------------------


async def soak(seconds: float, seed: int) -> dict[str, object]:
    """Load a broker for so long; gives the report."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "--serve",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        limit=2**20,
    )
    assert process.stdout is not None  # noqa: S101
    assert process.stdin is not None  # noqa: S101
    tcp, web = json.loads(await process.stdout.readline())
    samples: list[dict[str, int]] = []
    faults: list[str] = []

    async def sampling() -> None:
        while line := await process.stdout.readline():
            if line.startswith(b"{"):
                samples.append({"at": int(time.monotonic()), **json.loads(line)})

    sampler = asyncio.create_task(sampling())
    loads = [kind(tcp, web, seed + n) for n, kind in enumerate(LOADS)]
    began = time.monotonic()

    async def guard(load: Load) -> None:
        try:
            await load.run()
        except Exception as error:
            at = round(time.monotonic() - began)
            faults.append(f"{type(load).__name__} after {at} s: {type(error).__name__}: {error}")

    tasks = [asyncio.create_task(guard(load)) for load in loads]
    await asyncio.wait(tasks, timeout=seconds)
    under_load = len(samples)
    for load in loads:
        load.stop.set()
    _, late = await asyncio.wait(tasks, timeout=60)
    faults += [f"{load} did not end" for load in late]
    await asyncio.sleep(8)  # sockets that linger, sessions that are swept
    process.stdin.close()
    await process.wait()
    await sampler
    faults += growth(samples[:under_load])
    faults += remains(samples[-1])
    return {
        "minutes": round(seconds / 60, 1),
        "faults": faults,
        "did": {type(load).__name__: dict(load.did) for load in loads},
        "first": samples[0],
        "under load": trend(samples[:under_load]),
        "last": samples[-1],
    }


def trend(samples: list[dict[str, int]]) -> dict[str, tuple[float, float]]:
    """Medians of the first and of the last third after the warm-up."""
    settled = samples[len(samples) // 5 :]
    third = max(len(settled) // 3, 1)
    names = (*GAUGES, "rss", "descriptors")
    return {
        name: (
            statistics.median(sample[name] for sample in settled[:third]),
            statistics.median(sample[name] for sample in settled[-third:]),
        )
        for name in names
    }


def growth(samples: list[dict[str, int]]) -> list[str]:
    if len(samples) < 30:
        return ["too few samples to tell"]
    return [
        f"{name} grew from {first:.0f} to {last:.0f}"
        for name, (first, last) in trend(samples).items()
        if last > first * 1.1 + SLACK.get(name, 60)
    ]


def remains(last: dict[str, int]) -> list[str]:
    """What is left though everybody has gone; retained messages may be."""
    gone = ("sessions.count", "subscriptions.count", "delayed.count", "connections.lingering")
    faults = [f"{last[name]} left in {name}" for name in gone if last[name]]
    for name in ("broker.panics", "events.dropped"):
        if last[name]:
            faults.append(f"{name} is {last[name]}")
    online = last["client.connected"] - last["client.disconnected"]
    return [*faults, f"{online} clients are still connected"] if online else faults


if __name__ == "__main__":
    raise SystemExit(main())
