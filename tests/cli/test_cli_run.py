"""`vallum run` with a configuration file: start, stop, reload, log."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from command import RULES, SECRET, SECURED, Vallum
from support import token
from support.paho import paho_client

NOT_AUTHORIZED, SERVER_SHUTTING_DOWN = 0x87, 0x8B


def credentials(client_id: str, secret: str = SECRET, lifetime: int = 3600) -> dict[str, str]:
    claims = {"sub": client_id, "exp": int(time.time()) + lifetime}
    return {"username": "u", "password": token.mint(claims, secret)}


def fields(line: str) -> dict[str, str]:
    """The `key=value` pairs of a log line."""
    return dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))


# -- start ------------------------------------------------------------------------------------


async def test_says_where_every_listener_accepts(vallum: Vallum) -> None:
    more = 'listeners.tcp.second.bind = "127.0.0.1:0"\n'
    vallum.write("two.conf", SECURED + more)
    async with vallum.serving("-c", "two.conf") as broker:
        for name in ("default", "second"):
            line = await broker.out.with_text(f"listening tcp:{name} ")
            assert re.fullmatch(rf"listening tcp:{name} 127\.0\.0\.1:\d+", line)
            with socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2]))):
                pass  # accepted


async def test_says_it_in_json(vallum: Vallum) -> None:
    async with vallum.serving("-c", "secured.conf", "--json") as broker:
        line = json.loads(await broker.out.with_text("listening"))
        assert line["event"] == "listening"
        assert (line["id"], line["host"]) == ("tcp:default", "127.0.0.1")
        assert line["port"] > 0


def test_faults_of_the_file(vallum: Vallum) -> None:
    vallum.write("bad.conf", "mqtt.max_inflight = 0\nmqtt {\n  max_inflihgt = 1\n}\n")
    ended = vallum("run", "-c", "bad.conf")
    assert ended.code == 2
    assert ended.out == ""
    first, second = ended.err.splitlines()
    assert first.startswith("bad.conf:1:1: mqtt.max_inflight: ")
    assert second.startswith("bad.conf:3:3: mqtt.max_inflihgt: ")


def test_faults_that_only_compiling_finds(vallum: Vallum) -> None:
    vallum.write("acl.conf", "{allow, all, everything}.\n")
    ended = vallum("run", "-c", "secured.conf")
    assert ended.code == 2
    assert "secured.conf:7:" in ended.err
    assert "acl.conf:" in ended.err


def test_missing_file(vallum: Vallum) -> None:
    ended = vallum("run", "-c", "none.conf")
    assert ended.code == 2
    assert "none.conf" in ended.err


def test_port_in_use(vallum: Vallum) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = vallum("run", "-c", "secured.conf", VALLUM_LISTENERS__TCP__DEFAULT__BIND=bind)
    assert ended.code == 2
    assert ended.out == ""
    assert f"listener tcp:default cannot listen on {bind}: Address already in use" in ended.err
    assert "Traceback" not in ended.err


async def test_warnings_come_once(vallum: Vallum) -> None:
    vallum.write("warned.conf", SECURED + "mqtt.keepalive_check_interval = 20s\n")
    async with vallum.serving("-c", "warned.conf") as broker:
        await broker.port()
        broker.send(signal.SIGTERM)
        assert await broker.ended() == 0
        [line] = [line for line in broker.err.seen if "keepalive_check_interval" in line]
        assert line.startswith("warning: warned.conf:8:1: ")


async def test_warnings_are_json_where_the_log_is(vallum: Vallum) -> None:
    vallum.write("warned.conf", SECURED + "mqtt.keepalive_check_interval = 20s\n")
    async with vallum.serving("-c", "warned.conf", "--log-format", "json") as broker:
        line = json.loads(await broker.err.with_text("keepalive_check_interval"))
        assert line["level"] == "warning"
        assert line["origin"] == "warned.conf:8:1"


def test_anonymous_is_not_for_a_file(vallum: Vallum) -> None:
    ended = vallum("run", "-c", "secured.conf", "--anonymous")
    assert ended.code == 2
    assert "--anonymous" in ended.err


async def test_as_many_connections_as_the_system_allows(vallum: Vallum) -> None:
    async with vallum.serving("-c", "secured.conf") as broker:
        await broker.port()
        limits = await asyncio.to_thread(Path(f"/proc/{broker.process.pid}/limits").read_text)
        [line] = [line for line in limits.splitlines() if line.startswith("Max open files")]
        soft, hard = line.split()[3:5]
        assert soft == hard


# -- stop -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stops_and_tells_clients(vallum: Vallum, number: signal.Signals) -> None:
    async with (
        vallum.serving("-c", "secured.conf") as broker,
        paho_client("c1", **credentials("c1")) as client,
    ):
        assert await client.connect(await broker.port()) == "Success"
        broker.send(number)
        code = await client.event("disconnect")
        assert code.value == SERVER_SHUTTING_DOWN
        assert await broker.ended() == 0
        assert broker.err.seen == []


ENDLESS_STOP = """
import asyncio
from vallum.broker import Broker
async def stop(broker):
    print("stopping", flush=True)
    await asyncio.Event().wait()
Broker.stop = stop
"""


async def test_told_twice_it_does_not_wait(vallum: Vallum) -> None:
    async with vallum.serving("-c", "secured.conf", patch=ENDLESS_STOP) as broker:
        await broker.port()
        broker.send(signal.SIGTERM)
        await broker.out.with_text("stopping")
        broker.send(signal.SIGTERM)
        assert await broker.ended() == -signal.SIGTERM


FAILED_LOOP = """
from vallum import _core, broker
class Core:
    def __init__(self, *args):
        self.core = _core.Broker(*args)
    def __getattr__(self, name):
        return getattr(self.core, name)
    def drain_events(self):
        self.core.drain_events()
        return [{"event": "loop_failed", "index": 0, "error": "out of luck"}]
broker._core = type("module", (), {"Broker": Core})
"""


async def test_ends_when_an_event_loop_does(vallum: Vallum) -> None:
    async with vallum.serving("-c", "secured.conf", patch=FAILED_LOOP) as broker:
        port = await broker.port()
        async with paho_client("c1") as client:  # refused, which is an event to drain
            await client.connect(port)
        assert await broker.ended() == 1
        await broker.err.with_text("loop_failed", 'error="out of luck"')
        await broker.err.with_text("vallum: an event loop of the broker ended")


async def test_fault_of_ours_while_reloading_does_not_stop_it(vallum: Vallum) -> None:
    patch = """
from vallum.broker import Broker
def reload(broker, config):
    raise RuntimeError("a bug")
Broker.reload = reload
"""
    async with vallum.serving("-c", "secured.conf", patch=patch) as broker:
        port = await broker.port()
        broker.send(signal.SIGHUP)
        await broker.err.with_text("reload_failed")
        await broker.err.with_text("RuntimeError: a bug")
        async with paho_client("c1", **credentials("c1")) as client:
            assert await client.connect(port) == "Success"


async def test_serves_on_when_nobody_reads_its_answers(vallum: Vallum) -> None:
    async with vallum.serving("-c", "secured.conf") as broker:
        port = await broker.port()
        broker.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        broker.send(signal.SIGHUP)  # says `reloaded` to nobody
        async with paho_client("c1", **credentials("c1")) as client:
            assert await client.connect(port) == "Success"
        broker.send(signal.SIGTERM)
        assert await broker.ended() == 0


# -- reload -----------------------------------------------------------------------------------


async def test_reload_puts_new_rules_in_force(vallum: Vallum) -> None:
    async with (
        vallum.serving("-c", "secured.conf") as broker,
        paho_client("c1", **credentials("c1")) as client,
    ):
        await client.connect(await broker.port())
        assert (await client.subscribe("closed/a")).value == NOT_AUTHORIZED
        vallum.write("acl.conf", '{allow, all, subscribe, ["closed/#"]}.\n')
        broker.send(signal.SIGHUP)
        assert await broker.out.with_text("reloaded") == "reloaded secured.conf"
        assert (await client.subscribe("closed/a")).value == 0
        assert [line for line in broker.err.seen if "refused" not in line] == []


async def test_bad_reload_changes_nothing_and_names_every_fault(vallum: Vallum) -> None:
    async with (
        vallum.serving("-c", "secured.conf") as broker,
        paho_client("c1", **credentials("c1")) as client,
    ):
        await client.connect(await broker.port())
        bad = "authorization.no_match = perhaps\nmqtt.max_inflight = 0\n"
        vallum.write("secured.conf", SECURED.replace("path =", "pahth =") + bad)
        broker.send(signal.SIGHUP)
        await broker.err.with_text("reload_refused")
        await broker.err.with_text("secured.conf:7:", "authorization.sources[0]")
        await broker.err.with_text("secured.conf:8:1: authorization.no_match")
        await broker.err.with_text("secured.conf:9:1: mqtt.max_inflight")
        assert (await client.subscribe("open/c1/x")).value == 0
        assert (await client.subscribe("closed/x")).value == NOT_AUTHORIZED

        vallum.write("secured.conf", SECURED)
        vallum.write("acl.conf", RULES.replace("open", "other"))
        broker.send(signal.SIGHUP)
        await broker.out.with_text("reloaded")
        assert (await client.subscribe("open/c1/y")).value == NOT_AUTHORIZED


async def test_reload_names_what_needs_a_restart(vallum: Vallum) -> None:
    async with vallum.serving("-c", "secured.conf") as broker:
        await broker.port()
        vallum.write("secured.conf", SECURED + "mqtt.max_inflight = 7\n")
        broker.send(signal.SIGHUP)
        await broker.out.with_text("reloaded")
        line = await broker.err.with_text("restart_needed")
        assert fields(line)["roots"] == "mqtt"


# -- the log ----------------------------------------------------------------------------------


async def test_refused_connect_is_one_line_without_secrets(vallum: Vallum) -> None:
    forged = credentials("c1", secret="another secret of somebody else")
    async with (
        vallum.serving("-c", "secured.conf") as broker,
        paho_client("c1", **forged) as client,
    ):
        code = await client.connect(await broker.port())
        assert code.value == NOT_AUTHORIZED
        line = fields(await broker.err.with_text("refused"))
        assert line["clientid"] == "c1"
        assert line["stage"] == "jwt"
        assert line["reason"] == "bad_signature"
        assert line["listener"] == "tcp:default"
        broker.send(signal.SIGTERM)
        await broker.ended()
        log = "\n".join(broker.err.seen)
        assert "\x1b" not in log
        for segment in forged["password"].split("."):
            assert segment not in log
        assert SECRET not in log


async def test_refused_topics_name_the_rule_and_the_topic(vallum: Vallum) -> None:
    async with (
        vallum.serving("-c", "secured.conf") as broker,
        paho_client("c1", **credentials("c1")) as client,
    ):
        await client.connect(await broker.port())
        assert (await client.publish("closed/a", b"", 1)).value == NOT_AUTHORIZED
        line = fields(await broker.err.with_text("action=publish"))
        assert line["topic"] == "closed/a"
        assert line["stage"] == "file[1]"
        assert line["clientid"] == "c1"
        assert (await client.subscribe("elsewhere/#")).value == NOT_AUTHORIZED
        line = fields(await broker.err.with_text("action=subscribe"))
        assert line["topic"] == "elsewhere/#"
        assert line["stage"] == "no_match"
        assert line["reason"] == "no_rule_matched"


@pytest.mark.parametrize("by", ["option", "configuration"])
async def test_log_in_json(vallum: Vallum, by: str) -> None:
    options = ["--log-format", "json"] if by == "option" else []
    text = "" if by == "option" else "log.console.formatter = json\n"
    vallum.write("json.conf", SECURED + text)
    async with (
        vallum.serving("-c", "json.conf", *options) as broker,
        paho_client("c1") as client,
    ):
        await client.connect(await broker.port())
        line = json.loads(await broker.err.with_text('"refused"'))
        assert line["event"] == "refused"
        assert line["level"] == "warning"
        assert (line["clientid"], line["stage"], line["reason"]) == ("c1", "jwt", "no_token")
        broker.send(signal.SIGTERM)
        await broker.ended()
        assert all(json.loads(line) for line in broker.err.seen)


async def test_token_in_the_user_name_is_not_logged(vallum: Vallum) -> None:
    vallum.write(
        "username.conf", SECURED.replace("mechanism = jwt", "mechanism = jwt, from = username")
    )
    password = credentials("c1", secret="another secret of somebody else")["password"]
    async with (
        vallum.serving("-c", "username.conf") as broker,
        paho_client("c1", username=password, password="") as client,
    ):
        await client.connect(await broker.port())
        await broker.err.with_text("refused", "clientid=c1", "bad_signature")
        broker.send(signal.SIGTERM)
        await broker.ended()
        for segment in password.split("."):
            assert segment not in "\n".join(broker.err.seen)


async def test_hostile_client_id_cannot_forge_a_line(vallum: Vallum) -> None:
    client_id = "x reason=none\u202ey"
    async with vallum.serving("-c", "secured.conf") as broker, paho_client(client_id) as client:
        await client.connect(await broker.port())
        line = await broker.err.with_text("refused")
        assert fields(line)["reason"] == "no_token"
        assert fields(line)["clientid"] == '"x reason=none\\u202ey"'
