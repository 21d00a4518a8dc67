"""Unix socket listeners: the file, who may connect, and what clients are taken for."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support import deadline, wire
from support.broker import OPEN, Start, acl
from support.wire import Reason

from vallum import BrokerError, ConfigError
from vallum.config import load

AT = "unix:local"


def local(path: Path, more: str = "") -> str:
    return f'listeners.unix.local {{ path = "{path}", enable_authn = false\n{more} }}\n'


@pytest.mark.parametrize("version", [wire.V31, wire.V311, wire.V5])
@pytest.mark.parametrize("loops", [1, 2])
async def test_serves(broker_with: Start, tmp_path: Path, version: int, loops: int) -> None:
    path = tmp_path / "s"
    async with broker_with(local(path), loops=loops) as broker:
        assert str(broker.broker.listeners[AT]) == f"{AT} {path}"
        client = await broker.client("c1", version, at=AT)
        other = await broker.client("c2", version)
        await client.subscribe(("t", 2))
        await other.subscribe(("t", 2))
        large = b"x" * 500_000
        await client.send(wire.publish("t", large, version=version))
        for each in (client, other):
            await each.message("t", large)
        again = await broker.client("c1", version, at=AT)
        await client.refused(Reason.SESSION_TAKEN_OVER)
        await again.quiet()
        if version == wire.V5:
            await again.disconnect()


@pytest.mark.skipif(
    shutil.which("mosquitto_pub") is None, reason="mosquitto-clients is not installed"
)
async def test_other_clients_reach_it(broker_with: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with broker_with(local(path)) as broker:
        client = await broker.client("c1")
        await client.subscribe("t")
        command = ["mosquitto_pub", "--unix", str(path), "-t", "t", "-m", "hello"]
        process = await asyncio.create_subprocess_exec(*command)
        await client.message("t", b"hello")
        async with asyncio.timeout(deadline.SECONDS):
            assert await process.wait() == 0


@pytest.mark.parametrize("mode", ["0600", "0660", "666"])
async def test_mode_and_removal(broker_with: Start, tmp_path: Path, mode: str) -> None:
    path = tmp_path / "s"
    async with broker_with(local(path, f'mode = "{mode}"')) as broker:
        status = path.stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == int(mode, 8)
        client = await broker.client("c", at=AT)
        broker.broker.stop_listener(AT)
        await client.refused(Reason.ADMINISTRATIVE_ACTION)
        assert not path.exists()
        broker.broker.start_listener(AT)
        broker.broker.restart_listener(AT)
        await broker.client("c", at=AT)
        other = tmp_path / "other"
        broker.broker.reload(OPEN + local(other))
        assert (path.exists(), other.exists()) == (False, True)
    assert not other.exists()


async def test_a_socket_left_behind_is_replaced(broker_with: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    async with broker_with(local(path)) as broker:
        await broker.client("c", at=AT)


async def test_what_is_not_ours_stays(broker_with: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with broker_with() as broker:
        path.write_text("precious")
        with pytest.raises(BrokerError, match=rf"{AT} cannot listen on {path}.*no socket"):
            broker.broker.reload(OPEN + local(path))
        assert path.read_text() == "precious"
        path.unlink()
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(BrokerError, match="no socket"):
            broker.broker.reload(OPEN + local(path))
        path.unlink()
        with socket.socket(socket.AF_UNIX) as alive:
            alive.bind(str(path))
            alive.listen(0)
            for _ in range(3):  # the queue is full then, and that is an answer too
                with pytest.raises(BrokerError, match="another process listens on it"):
                    broker.broker.reload(OPEN + local(path))
        with pytest.raises(BrokerError, match="No such file or directory"):
            broker.broker.reload(OPEN + local(tmp_path / "gone" / "s"))


async def test_a_file_in_its_place_is_not_removed(broker_with: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with broker_with(local(path)) as broker:
        path.unlink()
        path.write_text("another")
        broker.broker.stop_listener(AT)
        assert path.read_text() == "another"


async def test_clients_come_from_this_machine(broker_with: Start, tmp_path: Path) -> None:
    """Rules about 127.0.0.1 hold for them, and the log says so."""
    rules = '{allow, {ipaddr, "127.0.0.1"}, all, ["t"]}. {deny, all}.'
    with capture_logs() as lines:
        async with broker_with(local(tmp_path / "s") + acl(rules)) as broker:
            client = await broker.client("c", at=AT)
            assert await client.subscribe("t", "no") == [0, Reason.NOT_AUTHORIZED]
    [line] = [line for line in lines if line["event"] == "refused"]
    assert (line["listener"], line["peer"]) == (AT, "127.0.0.1:0")


async def test_limits_and_mount_points(broker_with: Start, tmp_path: Path) -> None:
    more = 'max_connections = 1, mountpoint = "m/"'
    async with broker_with(local(tmp_path / "s", more)) as broker:
        client = await broker.client("c", at=AT)
        second = await broker.open(at=AT)
        await second.closed()
        plain = await broker.client("p")
        await plain.subscribe("#")
        await client.send(wire.publish("t", b"x"))
        await plain.message("m/t", b"x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "listeners.unix.x.path: required"),
        ("{ path = s, bind = 1 }", "listeners.unix.x.bind: cannot be used here: a Unix socket has"),
        ("{ path = s, access_rules = [] }", "listeners.unix.x.access_rules: cannot be used here"),
        ("{ path = s, proxy_protocol = true }", "listeners.unix.x.proxy_protocol: cannot be used"),
        ("{ path = s, mode = 660 }", "must be permission bits in octal, in quotes"),
        ('{ path = s, mode = "0888" }', "must be permission bits in octal, in quotes"),
        (f"{{ path = {'x' * 200} }}", "longer than the 107 bytes"),
        ("{ path = s }, listeners.unix.y { path = s }", "/s is taken by unix:x"),
    ],
)
def test_faults(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text=f"listeners.unix.x {text}", env={})
    assert problem in str(caught.value)


def test_paths_start_at_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "v.conf"
    file.write_text("listeners.unix.x.path = run/s")
    assert load(file, env={}).listeners.unix["x"].path == os.path.join(tmp_path, "run", "s")
