"""Do others wait while one message goes to 100,000 subscriptions? `python bench/fanout.py`.

Method: 10,000 connections subscribe to ten filters each that all match one topic, and read whatever
comes. A publisher sends messages of QoS 1 to that topic, the next one as soon as the last was
acknowledged. Meanwhile a bystander sends PINGREQ after PINGREQ and waits for each answer. The
broker is on one core, with one event loop; subscribers, publisher and bystander share the others.

Reported for a small and a large payload: the bystander's median, p99 and worst wait, in
milliseconds, idle and under load; messages acknowledged, deliveries a second, and the broker's
resident memory before and at its highest.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import select
import socket
import statistics
import struct
import time
from multiprocessing.synchronize import Event

import ours
from broker import Running

CONNECTIONS, FILTERS = 10_000, 10
TOPIC = b"a/a/a/a"
PINGREQ = b"\xc0\x00"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="of load, for each payload")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    cpus = sorted(os.sched_getaffinity(0))
    report = {}
    for payload in (64, 16_384):
        with Running(ours.open_to_all(), cpus[-1]) as broker:
            report[f"{payload} bytes"] = measure(broker, options, payload)
    print(json.dumps(report, indent=2))
    return 0


def measure(broker: Running, options: argparse.Namespace, payload: int) -> dict[str, float]:
    ready, stop = multiprocessing.Event(), multiprocessing.Event()
    count = multiprocessing.Value("q", 0)
    readers = multiprocessing.Process(
        target=read, args=(broker.port, options.connections, ready, stop, count), daemon=True
    )
    readers.start()
    if not ready.wait(120):
        raise RuntimeError("the subscribers did not connect")
    before = resident(broker.pid)
    bystander = connect(broker.port, b"bystander")
    idle = pings(bystander, time.monotonic() + 2)
    acknowledged = multiprocessing.Value("q", 0)
    publisher = multiprocessing.Process(
        target=publish, args=(broker.port, payload, stop, acknowledged), daemon=True
    )
    bytes_before = count.value
    publisher.start()
    began = time.monotonic()
    waits, highest = [], 0
    while time.monotonic() < began + options.seconds:
        waits += pings(bystander, time.monotonic() + 0.25)
        highest = max(highest, resident(broker.pid))
    took = time.monotonic() - began
    delivered = (count.value - bytes_before) / (2 + 2 + len(TOPIC) + payload)
    stop.set()
    publisher.join(10)
    readers.join(10)
    return {
        "idle p50 ms": at(idle, 50),
        "idle p99 ms": at(idle, 99),
        "p50 ms": at(waits, 50),
        "p99 ms": at(waits, 99),
        "worst ms": round(max(waits) * 1000, 2),
        "pings": len(waits),
        "messages acknowledged": acknowledged.value,
        "deliveries a second": round(delivered / took),
        "MiB before": round(before / 2**20, 1),
        "MiB at most": round(highest / 2**20, 1),
    }


def at(waits: list[float], percent: int) -> float:
    """A percentile, in milliseconds."""
    return round(statistics.quantiles(waits, n=100)[percent - 1] * 1000, 3)


def pings(bystander: socket.socket, until: float) -> list[float]:
    waits = []
    while (began := time.monotonic()) < until:
        bystander.sendall(PINGREQ)
        answer = bystander.recv(2)
        if answer != b"\xd0\x00":
            raise RuntimeError(f"no PINGRESP: {answer!r}")
        waits.append(time.monotonic() - began)
    return waits


def publish(port: int, payload: int, stop: Event, acknowledged: object) -> None:
    link = connect(port, b"publisher")
    body = struct.pack(">H", len(TOPIC)) + TOPIC + b"\x00\x01" + bytes(payload)
    packet = b"\x32" + length(len(body)) + body
    while not stop.is_set():
        link.sendall(packet)
        if link.recv(4) != b"\x40\x02\x00\x01":
            raise RuntimeError("no PUBACK")
        acknowledged.value += 1  # type: ignore[attr-defined]


def read(port: int, connections: int, ready: Event, stop: Event, count: object) -> None:
    """Connect, subscribe, throw away what comes."""
    poll = select.epoll()
    links = {}
    filters = ["/".join("+" if n >> bit & 1 else "a" for bit in range(4)) for n in range(FILTERS)]
    body = b"\x00\x01" + b"".join(struct.pack(">H", len(f)) + f.encode() + b"\x00" for f in filters)
    subscribe = b"\x82" + length(len(body)) + body
    for n in range(connections):
        link = connect(port, b"r%d" % n)
        link.sendall(subscribe)
        link.recv(4 + FILTERS, socket.MSG_WAITALL)
        link.setblocking(False)
        poll.register(link, select.EPOLLIN)
        links[link.fileno()] = link
    ready.set()
    scratch = bytearray(1 << 20)
    while not stop.is_set():
        for fileno, _ in poll.poll(0.2, 512):
            count.value += links[fileno].recv_into(scratch)  # type: ignore[attr-defined]


def connect(port: int, client_id: bytes) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack(">H", len(client_id)) + client_id
    link.sendall(b"\x10" + length(len(body)) + body)
    if link.recv(4) != b"\x20\x02\x00\x00":
        raise RuntimeError("refused")
    return link


def length(n: int) -> bytes:
    """A Remaining Length."""
    out = b""
    while True:
        n, byte = n >> 7, n & 0x7F
        out += bytes([byte | (0x80 if n else 0)])
        if not n:
            return out


def resident(pid: int) -> int:
    """Resident memory of a process and those below it, in bytes."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    raise SystemExit(main())
