"""How many system calls does a message cost? `python bench/syscalls.py`.

Method: one publisher, one subscriber, QoS 0, payloads of 64 bytes, MQTT 3.1.1, one event loop.
`sparse`: the next message is sent when the last was received. `burst`: 512 messages in a write, the
next write when all were received. `strace -f -c` counts the calls of the broker's process while the
messages flow; what an idle broker does in the same time is not subtracted.

Exit status: 0, 1 where a budget is missed (4 calls a message sparse, 0.05 in a burst), 2 without
strace.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ours
from broker import Running
from fanout import connect, length

BUDGETS = {"sparse": 4.0, "burst": 0.05}
SIZES = {"sparse": (1, 3000), "burst": (512, 200)}
"""Messages of a write, and writes."""


def main() -> int:
    if shutil.which("strace") is None:
        print("syscalls: strace is not installed", file=sys.stderr)
        return 2
    report = {name: measure(*SIZES[name]) for name in BUDGETS}
    print(json.dumps(report, indent=2))
    return int(any(report[name]["calls a message"] > most for name, most in BUDGETS.items()))


def measure(messages: int, writes: int) -> dict[str, object]:
    """Calls by name and a message."""
    with Running(ours.open_to_all(), 0) as broker, tempfile.TemporaryDirectory() as directory:
        reader, writer = connect(broker.port, b"reader"), connect(broker.port, b"writer")
        body = b"\x00\x01\x00\x01t\x00"
        reader.sendall(b"\x82" + length(len(body)) + body)
        reader.recv(5, socket.MSG_WAITALL)
        packet = struct.pack(">BBH", 0x30, 67, 1) + b"t" + bytes(64)
        exchange(reader, writer, packet, 50)
        output = Path(directory) / "strace"
        tracer = subprocess.Popen(
            ["strace", "-f", "-c", "-o", str(output), "-p", str(broker.pid)],
            stderr=subprocess.PIPE,
            text=True,
        )
        if tracer.stderr is None or "attached" not in tracer.stderr.readline():
            raise RuntimeError("strace could not attach")
        time.sleep(0.5)  # to every thread
        for _ in range(writes):
            exchange(reader, writer, packet, messages)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        calls = {
            found[2]: int(found[1])
            for line in output.read_text(encoding="utf-8").splitlines()
            if (found := re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line))
        }
        calls.pop("total", None)
        total = messages * writes
        return {"calls a message": round(sum(calls.values()) / total, 3), "calls": calls}


def exchange(reader: socket.socket, writer: socket.socket, packet: bytes, messages: int) -> None:
    """Publish so many and wait until they have arrived."""
    writer.sendall(packet * messages)
    left = len(packet) * messages
    while left:
        left -= len(reader.recv(min(left, 1 << 20)))


if __name__ == "__main__":
    raise SystemExit(main())
