"""Options of sockets, clients that take nothing, and how fast connections may come."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
from structlog.testing import capture_logs
from support import deadline, wire
from support.broker import OPEN, RunningBroker, Start
from support.client import Client

SLOW = "listeners.tcp.default.tcp_options { send_timeout = 1s, sndbuf = 4KB %s }\n"


def broker_socket(client: Client) -> socket.socket:
    """The broker's end of a connection: it is in this process too, and found by its peer."""
    mine = client._writer.get_extra_info("sockname")
    for entry in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{entry}").startswith("socket:"):
                continue
            found = socket.socket(fileno=os.dup(int(entry)))
        except OSError:
            continue
        try:
            if found.getpeername() == mine and found.getsockname()[1] != mine[1]:
                return found
        except OSError:
            pass
        found.close()
    raise AssertionError("no such socket")


@pytest.mark.parametrize(
    ("options", "level", "option", "expected"),
    [
        ("", socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        ("nodelay = false", socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),
        ("", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0),
        ('keepalive = "240,30,5"', socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        ('keepalive = "240,30,5"', socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 240),
        ('keepalive = "240,30,5"', socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30),
        ('keepalive = "240,30,5"', socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5),
        ("sndbuf = 32KB", socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * 32 * 1024),  # as Linux counts
        ("recbuf = 32KB", socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * 32 * 1024),
    ],
)
async def test_options(
    broker_with: Start, options: str, level: int, option: int, expected: int
) -> None:
    text = f"listeners.tcp.default.tcp_options {{ {options} }}"
    async with broker_with(text) as broker:
        with broker_socket(await broker.client("c")) as found:
            assert found.getsockopt(level, option) == expected


async def test_options_change_with_a_reload(broker_with: Start) -> None:
    async with broker_with() as broker:
        broker.broker.reload(OPEN + "listeners.tcp.default.tcp_options.nodelay = false")
        with broker_socket(await broker.client("c")) as found:
            assert not found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# -- clients that take nothing ----------------------------------------------------------------


def plug(port: int, client_id: str) -> socket.socket:
    """A client with room for little, for which more is to come than fits."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(deadline.SECONDS)
    client.connect(("127.0.0.1", port))
    client.sendall(wire.connect(client_id) + wire.subscribe(1, ["stuff"]))
    said = b""
    while b"\x90" not in said:  # SUBACK
        said += client.recv(100)
    return client


async def stuff(broker: RunningBroker) -> None:
    publisher = await broker.client("publisher")
    for _ in range(20):
        await publisher.publish("stuff", b"x" * 40_000, qos=1)
    await publisher.disconnect()


async def timed_out(broker: RunningBroker, number: int) -> None:
    """Wait until so many connections were closed for it."""
    witness = await broker.client("witness")
    async with asyncio.timeout(deadline.SECONDS):
        while broker.broker.statistics()["connections.send_timeout"] < number:
            await witness.quiet()
    await witness.aclose()


async def test_a_client_that_takes_nothing_is_closed(broker_with: Start) -> None:
    async with broker_with(SLOW % "") as broker:
        lively = await broker.client("lively")
        with plug(broker.port, "c1"), plug(broker.port, "c2"):
            await stuff(broker)
            await timed_out(broker, 2)
        await lively.quiet()
        assert broker.broker.statistics()["connections.send_timeout"] == 2


@pytest.mark.parametrize("more", [", send_timeout_close = false", ", send_timeout = 1h"])
async def test_unless_it_may(broker_with: Start, more: str) -> None:
    """A client of another listener that is closed shows that the time has passed."""
    hasty = """
    listeners.tcp.hasty { bind = "127.0.0.1:0", enable_authn = false
                          tcp_options { send_timeout = 1s, sndbuf = 4KB } }
    """
    async with broker_with(SLOW % more + hasty) as broker:
        with plug(broker.port, "patient"), plug(broker.port_of("tcp:hasty"), "hasty"):
            await stuff(broker)
            await timed_out(broker, 1)
            await timed_out(broker, 1)
            assert broker.broker.statistics()["connections.send_timeout"] == 1
            assert broker.broker.disconnect("patient")


async def test_a_slow_client_is_not_closed(broker_with: Start) -> None:
    """One that takes a little now and then goes on, however long that lasts."""
    async with broker_with(SLOW % "") as broker:
        with plug(broker.port, "slow") as slow, plug(broker.port, "stuck"):
            await stuff(broker)
            while broker.broker.statistics()["connections.send_timeout"] == 0:
                assert slow.recv(500), "it was closed"
                await asyncio.sleep(0.005)  # what slow means here; nothing waits for it
            assert slow.recv(500)
            assert broker.broker.statistics()["connections.send_timeout"] == 1


# -- how fast connections come ----------------------------------------------------------------

FAST = 'listeners.tcp.default { max_conn_rate = "%s" %s }\n'


async def outcomes(broker: RunningBroker, connections: int) -> int:
    """How many of so many connections are served."""
    served = 0
    for number in range(connections):
        client = await broker.open()
        try:
            await client.connect(f"c{number}")
            served += 1
        except ConnectionError:
            pass
        await client.aclose()
    return served


@pytest.mark.parametrize(
    ("rate", "burst", "served"),
    [
        ("3/1h", "", 3),
        ("3/1h", ', max_conn_burst = "4/1h"', 7),
        ("1000/s", "", 20),
        ("infinity", "", 20),
    ],
)
async def test_connections_over_the_rate_are_closed(
    broker_with: Start, rate: str, burst: str, served: int
) -> None:
    with capture_logs() as lines:
        async with broker_with(FAST % (rate, burst)) as broker:
            assert await outcomes(broker, 20) == served
            statistics = broker.broker.statistics()
            assert statistics["connections.rate_limited"] == 20 - served
            assert statistics["connections.accepted"] == served
    reasons = [(line["stage"], line["reason"]) for line in lines]
    assert reasons == ([("max_conn_rate", "connection_rate_exceeded")] if served < 20 else [])


async def test_the_rate_is_the_listeners_own(broker_with: Start) -> None:
    other = 'listeners.tcp.other { bind = "127.0.0.1:0", enable_authn = false }\n'
    async with broker_with(FAST % ("1/1h", "") + other) as broker:
        assert await outcomes(broker, 3) == 1
        await broker.client("c", at="tcp:other")
