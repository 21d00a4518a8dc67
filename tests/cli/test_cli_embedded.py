"""`vallum run` without a file: safe as it stands, and what it prints works."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import stat
from pathlib import Path

import pytest
from command import COMMAND, PATIENCE, Serving, Vallum
from support.paho import paho_client

from vallum import embedded, jwt
from vallum.errors import ConfigError

BAD_USER_NAME_OR_PASSWORD = 0x86

needs_mosquitto = pytest.mark.skipif(
    not (shutil.which("mosquitto_pub") and shutil.which("mosquitto_sub")),
    reason="the printed commands are those of mosquitto-clients, which is not installed",
)


async def printed(broker: Serving, program: str) -> list[str]:
    """A command the broker printed."""
    return shlex.split(await broker.out.find(lambda line: line.strip().startswith(program)))


async def run(command: list[str], vallum: Vallum) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=vallum.env, cwd=vallum.directory
    )


async def demonstrate(broker: Serving, vallum: Vallum) -> None:
    """Paste what was printed: the subscriber gets what the publisher sends."""
    subscribe = await printed(broker, "mosquitto_sub")
    publish = await printed(broker, "mosquitto_pub")
    subscriber = await run(subscribe, vallum)
    assert subscriber.stdout is not None
    line = asyncio.ensure_future(subscriber.stdout.readline())
    try:
        async with asyncio.timeout(PATIENCE):
            while not line.done():  # the subscription may come after the first messages
                publisher = await run(publish, vallum)
                await publisher.communicate()
                assert publisher.returncode == 0
                await asyncio.wait([line], timeout=0.1)
            assert await line == b"demo/hello hello\n"
    finally:
        line.cancel()
        subscriber.kill()
        await subscriber.communicate()


@needs_mosquitto
async def test_printed_commands_work(vallum: Vallum) -> None:
    async with vallum.serving() as broker:
        port = await broker.port()
        assert f"-p {port}" in shlex.join(await printed(broker, "mosquitto_sub"))
        await demonstrate(broker, vallum)


@needs_mosquitto
async def test_printed_commands_work_for_anonymous_clients(vallum: Vallum) -> None:
    async with vallum.serving("--anonymous") as broker:
        assert "-P" not in await printed(broker, "mosquitto_sub")
        await demonstrate(broker, vallum)
        assert not vallum.data_dir.exists()


async def test_tells_that_anonymous_is_open(vallum: Vallum) -> None:
    async with vallum.serving("--anonymous") as broker, paho_client("anybody") as client:
        assert await client.connect(await broker.port()) == "Success"
        assert (await client.subscribe("some/#")).value == 0
        assert (await client.subscribe("$SYS/#")).value == 0x87
        await broker.err.with_text("warning: --anonymous: everybody")


@pytest.mark.parametrize("bind", ["0.0.0.0:0", '"[::]:0"'])
def test_anonymous_stays_on_loopback(vallum: Vallum, bind: str) -> None:
    ended = vallum("run", "--anonymous", VALLUM_LISTENERS__TCP__DEFAULT__BIND=bind)
    assert ended.code == 2
    assert "loopback" in ended.err


async def test_nobody_gets_in_without_a_token(vallum: Vallum) -> None:
    async with vallum.serving() as broker, paho_client("nobody") as client:
        code = await client.connect(await broker.port())
        assert code.value == BAD_USER_NAME_OR_PASSWORD
        await broker.err.with_text("clientid=nobody", "stage=jwt", "reason=no_token")


async def test_token_is_for_one_client_id(vallum: Vallum) -> None:
    async with vallum.serving() as broker:
        port = await broker.port()
        minted = vallum("token", "mint", "--sub", "mine").out.strip()
        async with paho_client("mine", username="u", password=minted) as client:
            assert await client.connect(port) == "Success"
        async with paho_client("another", username="u", password=minted) as client:
            code = await client.connect(port)
            assert code.value == BAD_USER_NAME_OR_PASSWORD


async def test_printed_mint_and_explain_work(vallum: Vallum) -> None:
    async with vallum.serving() as broker:
        mint = await printed(broker, "vallum token mint")
        explain = await broker.out.find(lambda line: "vallum explain" in line)
    token = vallum(*mint[1:]).out.strip()
    assert jwt.inspect(token)[1]["sub"] == "my-client"
    installed = f'vallum() {{ {shlex.join(COMMAND)} "$@"; }}\n'
    process = await asyncio.create_subprocess_shell(
        installed + explain, stdout=asyncio.subprocess.PIPE, env=vallum.env
    )
    out, _ = await process.communicate()
    assert "claim_mismatch" in out.decode()
    assert process.returncode == 1


async def test_commands_in_json(vallum: Vallum) -> None:
    async with vallum.serving("--json") as broker:
        commands = json.loads(await broker.out.with_text('"commands"'))
        assert commands["subscribe"].startswith("mosquitto_sub -h 127.0.0.1 -p ")
        assert commands["publish"].startswith("mosquitto_pub ")
        assert set(commands) == {"event", "subscribe", "publish", "mint", "explain"}


async def test_secret_is_kept(vallum: Vallum) -> None:
    secrets = []
    for _ in range(2):
        async with vallum.serving() as broker:
            await broker.port()
            secrets.append((vallum.data_dir / "jwt.secret").read_text())
            broker.send(signal.SIGTERM)
            assert await broker.ended() == 0
            assert secrets[-1].strip() not in "\n".join(broker.out.seen + broker.err.seen)
    assert secrets[0] == secrets[1]
    assert len(secrets[0]) > 40
    assert os.listdir(vallum.data_dir) == ["jwt.secret"]
    assert stat.S_IMODE(vallum.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((vallum.data_dir / "jwt.secret").stat().st_mode) == 0o600


def test_data_dir_can_be_chosen(vallum: Vallum, tmp_path: Path) -> None:
    other = tmp_path / 'else "where'
    embedded.ensure_secret(other)
    ended = vallum("explain", "connect", "--data-dir", other, "--clientid", "c", "--json")
    assert ended.code == 1
    assert ended.answer["reason"] == "no_token"


def test_secret_that_others_could_read_is_refused(vallum: Vallum) -> None:
    file = embedded.ensure_secret(vallum.data_dir)
    file.chmod(0o640)
    ended = vallum("run")
    assert ended.code == 2
    assert re.search(r"jwt\.secret: .*0640", ended.err)
    assert ended.out == ""


def _shared_directory(data_dir: Path) -> None:
    data_dir.chmod(0o777)


def _link(data_dir: Path) -> None:
    file = data_dir / "jwt.secret"
    file.rename(data_dir / "elsewhere")
    file.symlink_to(data_dir / "elsewhere")


def _pipe(data_dir: Path) -> None:
    (data_dir / "jwt.secret").unlink()
    os.mkfifo(data_dir / "jwt.secret", 0o600)


def _empty(data_dir: Path) -> None:
    (data_dir / "jwt.secret").write_text("\n")


def _missing(data_dir: Path) -> None:
    (data_dir / "jwt.secret").unlink()


@pytest.mark.parametrize("spoil", [_shared_directory, _link, _pipe, _empty, _missing])
def test_untrustworthy_secret_is_not_read(tmp_path: Path, spoil: object) -> None:
    data_dir = tmp_path / "data"
    embedded.ensure_secret(data_dir)
    embedded.read_secret(data_dir)
    spoil(data_dir)  # type: ignore[operator]
    with pytest.raises(ConfigError):
        embedded.read_secret(data_dir)


def test_secret_made_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    first = embedded.ensure_secret(data_dir).read_text()
    monkeypatch.setattr(Path, "exists", lambda _path: False)  # as the other process sees it
    assert embedded.ensure_secret(data_dir).read_text() == first
    assert os.listdir(data_dir) == ["jwt.secret"]


def test_data_dir_that_cannot_be_made(vallum: Vallum) -> None:
    vallum.write("file", "")
    ended = vallum("run", "--data-dir", "file/data")
    assert ended.code == 2
    assert "data directory" in ended.err
    assert "Traceback" not in ended.err


def test_default_data_dir_follows_xdg() -> None:
    assert embedded.default_data_dir({"XDG_DATA_HOME": "/x"}) == Path("/x/vallum")
    home = Path("~/.local/share/vallum").expanduser()
    assert embedded.default_data_dir({}) == home
    assert embedded.default_data_dir({"XDG_DATA_HOME": "relative"}) == home


def test_queues_are_long_enough_for_load_generators() -> None:
    for config in (embedded.draft(), embedded.anonymous_config()):
        assert config.mqtt.max_mqueue_len == 100_000
        assert config.mqtt.max_inflight == 1000
