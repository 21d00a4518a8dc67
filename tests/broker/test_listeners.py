"""Listeners that come, change and go while the broker runs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support import wire
from support.broker import OPEN, Start
from support.client import Client
from support.wire import Reason

from vallum import BrokerError, ConfigError
from vallum.broker import Listener
from vallum.config import load

KEEP = {"session_expiry_interval": 600}


def listener(name: str, port: int = 0, more: str = "") -> str:
    return f"""
    listeners.tcp.{name} {{ bind = "127.0.0.1:{port}", enable_authn = false
                            {more} }}
    """


def free_port() -> int:
    """A port nobody listens on; the system does not give it to others soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def refuses(port: int) -> None:
    """Nobody listens there any more."""
    with pytest.raises(ConnectionRefusedError):
        await Client.open(port)


@pytest.mark.parametrize("loops", [1, 2])
async def test_added_and_removed(broker_with: Start, loops: int) -> None:
    async with broker_with(loops=loops) as running:
        broker = running.broker
        stays = await running.client("stays")
        assert broker.reload(OPEN + listener("b")) == []
        assert list(broker.listeners) == ["tcp:default", "tcp:b"]
        port = running.port_of("tcp:b")
        there = [await running.client(f"c{n}", at="tcp:b") for n in range(6)]
        old = await running.client("old", wire.V311, at="tcp:b")
        waits = await running.open(at="tcp:b")
        assert broker.reload(OPEN) == []
        assert list(broker.listeners) == ["tcp:default"]
        await refuses(port)
        for client in there:
            await client.refused(Reason.ADMINISTRATIVE_ACTION)
        await old.closed()
        await waits.closed()
        await stays.publish("t", b"x", qos=1)
        # The address can be had again at once.
        broker.reload(OPEN + listener("again", port))
        await running.client("c", at="tcp:again")


async def test_sessions_outlive_their_listener(broker_with: Start) -> None:
    async with broker_with(listener("b")) as running:
        client = await running.client("c", at="tcp:b", properties=KEEP)
        await client.subscribe("t")
        running.broker.reload(OPEN)
        await client.refused(Reason.ADMINISTRATIVE_ACTION)
        client = await running.client("c", clean_start=False, properties=KEEP)
        assert client.connack.session_present


async def test_other_options_are_for_new_connections(broker_with: Start) -> None:
    zones = "\nzones { a.mqtt.max_topic_levels = 2, b.mqtt.max_topic_levels = 3 }\n"
    first, second = (listener("b", 0, f"zone = {zone}, max_connections = 2") for zone in "ab")
    async with broker_with(zones + first) as running:
        port = running.port_of("tcp:b")
        before = await running.client("before", at="tcp:b")
        running.broker.reload(OPEN + zones + second)
        assert running.port_of("tcp:b") == port
        after = await running.client("after", at="tcp:b")
        third = await running.open(at="tcp:b")
        await third.closed()  # those from before count
        for client, most in ((before, 2), (after, 3)):
            await client.publish("/".join("x" * most), b"", qos=1)
            await client.send(wire.publish("/".join("x" * (most + 1)), b"", qos=1, packet_id=9))
            await client.refused(Reason.TOPIC_NAME_INVALID)
        for name in ("one", "two"):
            await running.client(name, at="tcp:b")
        third = await running.open(at="tcp:b")
        await third.closed()


async def test_connections_from_before_a_change_end_with_the_listener(broker_with: Start) -> None:
    async with broker_with(listener("b")) as running:
        clients = []
        for number in range(3):
            clients.append(await running.client(f"c{number}", at="tcp:b"))
            running.broker.reload(OPEN + listener("b", 0, f"max_connections = {50 + number}"))
        running.broker.stop_listener("tcp:b")
        for client in clients:
            await client.refused(Reason.ADMINISTRATIVE_ACTION)


async def test_new_zones_and_mount_points(broker_with: Start) -> None:
    async with broker_with() as running:
        more = listener("b", 0, 'zone = new, mountpoint = "m/"')
        zone = "\nzones.new.mqtt.max_packet_size = 300\n"
        assert running.broker.reload(OPEN + more + zone) == []
        client = await running.client("c", at="tcp:b")
        assert client.connack.properties["maximum_packet_size"] == 300
        plain = await running.client("p")
        await client.subscribe("t")
        await plain.publish("m/t", b"x")
        await client.message("t", b"x")
        changed = running.broker.reload(OPEN + more + zone.replace("300", "400"))
        assert changed == ["zones.new"]
        client = await running.client("d", at="tcp:b")
        assert client.connack.properties["maximum_packet_size"] == 300


async def test_another_address_is_a_restart(broker_with: Start) -> None:
    port = free_port()
    async with broker_with(listener("b")) as running:
        old = running.port_of("tcp:b")
        client = await running.client("c", at="tcp:b")
        running.broker.reload(OPEN + listener("b", port))
        assert running.port_of("tcp:b") == port
        await client.refused(Reason.ADMINISTRATIVE_ACTION)
        await refuses(old)
        await running.client("c", at="tcp:b")


async def test_addresses_are_exchanged(broker_with: Start) -> None:
    one, two = free_port(), free_port()
    first = listener("a", one, 'mountpoint = "a/"') + listener("b", two, 'mountpoint = "b/"')
    second = listener("a", two, 'mountpoint = "a/"') + listener("b", one, 'mountpoint = "b/"')
    async with broker_with(first) as running:
        clients = [await running.client(name, at=f"tcp:{name}") for name in ("a", "b")]
        running.broker.reload(OPEN + second)
        assert (running.port_of("tcp:a"), running.port_of("tcp:b")) == (two, one)
        for client in clients:
            await client.refused(Reason.ADMINISTRATIVE_ACTION)
        plain = await running.client("p")
        for name in ("a", "b"):
            client = await running.client(name, at=f"tcp:{name}")
            await client.subscribe("t")
            await plain.publish(f"{name}/t", b"x")
            await client.message("t", b"x")


async def test_a_reload_that_fails_changes_nothing(broker_with: Start) -> None:
    async with broker_with(listener("b")) as running:
        broker = running.broker
        before, config = dict(broker.listeners), broker.config
        client = await running.client("c", at="tcp:b")
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            worse = OPEN.replace("no_match = allow", "no_match = deny")
            text = worse + listener("new") + listener("taken", taken)
            with pytest.raises(BrokerError, match=rf"tcp:taken .*127.0.0.1:{taken}.*in use"):
                broker.reload(text)
        with pytest.raises(ConfigError, match="no zone 'nowhere'"):
            broker.reload(OPEN + listener("b", 0, "zone = nowhere"))
        with pytest.raises(ConfigError, match="mountpoint"):
            broker.reload(OPEN + listener("b", 0, 'mountpoint = "+"'))
        assert (broker.listeners, broker.config) == (before, config)
        assert await client.publish("t", b"x", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS
        await running.client("d", at="tcp:b")


async def test_stop_and_start(broker_with: Start) -> None:
    off = listener("off", 0, "enable = false")
    async with broker_with(listener("b") + off) as running:
        broker = running.broker
        assert list(broker.listeners) == ["tcp:default", "tcp:b"]
        port = running.port_of("tcp:b")
        client = await running.client("c", at="tcp:b")
        broker.stop_listener("tcp:b")
        broker.stop_listener("tcp:b")
        await client.refused(Reason.ADMINISTRATIVE_ACTION)
        await refuses(port)
        for id in ("tcp:b", "tcp:off"):
            started = broker.start_listener(id)
            assert isinstance(started, Listener)
            assert broker.start_listener(id) == started == broker.listeners[id]
            await running.client("c", at=id)
        broker.reload(OPEN + listener("b") + off)  # as it is written again
        assert list(broker.listeners) == ["tcp:default", "tcp:b"]
        broker.stop_listener("tcp:default")
        broker.reload(OPEN + listener("b"))
        assert list(broker.listeners) == ["tcp:default", "tcp:b"]


async def test_restart(broker_with: Start) -> None:
    async with broker_with(listener("b", 0, "max_connections = 1")) as running:
        broker = running.broker
        other = await running.client("other")
        before = broker.listeners["tcp:b"]
        for _ in range(3):
            client = await running.client("c", at="tcp:b")
            assert broker.restart_listener("tcp:b") == before
            await client.refused(Reason.ADMINISTRATIVE_ACTION)
        await other.quiet()
        broker.stop_listener("tcp:b")
        broker.restart_listener("tcp:b")
        await running.client("c", at="tcp:b")


async def test_places_are_used_again(broker_with: Start) -> None:
    """Many changes do not use up whatever listeners are counted by."""
    async with broker_with(listener("b")) as running:
        for _ in range(5000):
            running.broker.restart_listener("tcp:b")
        await running.client("c", at="tcp:b")


async def test_unknown_listeners(broker_with: Start) -> None:
    async with broker_with("listeners.ssl.x { bind = 0, enable = false }") as running:
        for act in (running.broker.start_listener, running.broker.stop_listener):
            with pytest.raises(BrokerError, match="no listener 'tcp:nothing'"):
                act("tcp:nothing")
        with pytest.raises(BrokerError, match="no listener 'x'"):
            running.broker.restart_listener("x")
        assert list(running.broker.listeners) == ["tcp:default"]


async def test_reload_from_a_file(broker_with: Start, tmp_path: Path) -> None:
    file = tmp_path / "v.conf"
    file.write_text(OPEN + listener("b"))
    async with broker_with() as running:
        assert running.broker.reload(file) == []
        await running.client("c", at="tcp:b")
        running.broker.reload(load(text=OPEN, env={}))
        assert list(running.broker.listeners) == ["tcp:default"]


async def test_a_session_of_another_loop_is_not_handed_to_a_stopped_listener(
    broker_with: Start,
) -> None:
    """Connections that are on their way from loop to loop when their listener stops end too."""
    async with broker_with(listener("b"), loops=2) as running:
        for _ in range(20):
            clients = [await running.open(at="tcp:b") for _ in range(8)]
            for number, client in enumerate(clients):
                await client.send(wire.connect(f"c{number}"))
            running.broker.stop_listener("tcp:b")
            running.broker.start_listener("tcp:b")
            for client in clients:
                while True:
                    try:
                        await client.receive()
                    except ConnectionError:
                        break
        assert running.broker.statistics()["sessions.count"] == 0
