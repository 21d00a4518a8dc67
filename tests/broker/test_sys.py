"""What the broker says below `$SYS` (spec/management.md section 8.4)."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import pytest
from support import wire
from support.broker import LOOPBACK, OPEN, RunningBroker, Start
from support.client import Client
from support.wire import Reason, Type

from vallum import ConfigError, __version__
from vallum.config import load

NODE = "$SYS/brokers/vallum@127.0.0.1"
QUICK = "sys_topics { sys_msg_interval = 1s, sys_heartbeat_interval = 1s }\n"
EVENTS = (
    "sys_topics.sys_event_messages { client_subscribed = true, client_unsubscribed = true }\n"
    "sys_topics { sys_msg_interval = disabled, sys_heartbeat_interval = disabled }\n"
)


async def watcher(broker: RunningBroker, *filters: str) -> Client:
    client = await broker.client("watcher")
    assert await client.subscribe(*filters) == [0] * len(filters)
    return client


async def test_what_is_kept(broker_with: Start) -> None:
    async with broker_with('node.name = "b@host"') as broker:
        client = await watcher(broker, "$SYS/#")
        seen = {}
        for _ in range(3):
            packet = await client.expect(Type.PUBLISH, retain=True, qos=0)
            seen[packet.topic] = packet.payload
            assert 3590 < packet.properties["message_expiry_interval"] <= 3600
        assert seen == {
            "$SYS/brokers": b"b@host",
            "$SYS/brokers/b@host/version": __version__.encode(),
            "$SYS/brokers/b@host/sysdescr": b"Vallum",
        }
        await client.quiet()


async def test_heartbeat(broker_with: Start) -> None:
    async with broker_with(QUICK, loops=2) as broker:
        began = time.monotonic()
        client = await watcher(broker, f"{NODE}/uptime", f"{NODE}/datetime")
        first = await client.expect(Type.PUBLISH, topic=f"{NODE}/uptime", retain=False)
        date = await client.expect(Type.PUBLISH, topic=f"{NODE}/datetime", retain=False)
        again = await client.expect(Type.PUBLISH, topic=f"{NODE}/uptime")
        assert 0 < int(first.payload) < int(again.payload)
        assert int(again.payload) <= (time.monotonic() - began + 60) * 1000
        when = datetime.fromisoformat(date.payload.decode())
        assert abs(when.timestamp() - time.time()) < 60


async def test_stats_and_metrics(broker_with: Start) -> None:
    async with broker_with(QUICK) as broker:
        client = await watcher(broker, f"{NODE}/stats/#", f"{NODE}/metrics/#")
        seen: dict[str, int] = {}
        wanted = set(broker.broker.statistics())
        while len(seen) < len(wanted):
            packet = await client.expect(Type.PUBLISH, retain=False)
            seen[packet.topic.removeprefix(f"{NODE}/")] = int(packet.payload)
        assert seen["stats/sessions/count"] == 1
        assert seen["stats/subscriptions/count"] == 2
        assert seen["metrics/client/connected"] == 1
        assert seen["metrics/messages/dropped/no_subscribers"] == 0
        assert {name.split("/", 1)[1].replace("/", ".") for name in seen} == wanted


async def test_nothing_is_made_that_nobody_can_get(broker_with: Start) -> None:
    async with broker_with(QUICK) as broker:
        client = await broker.client("c")
        for filter in ("#", "+/#", "+/brokers/#", "$SYSTEM/#"):
            assert await client.subscribe(filter) == [0]
        assert broker.broker.system_subscriptions() == 0
        for filter in ("$SYS/x/#", "$share/g/$SYS/x"):
            await client.subscribe(filter)
        assert broker.broker.system_subscriptions() == 2
        await client.unsubscribe("$share/g/$SYS/x")
        assert broker.broker.system_subscriptions() == 1
        await client.disconnect()
        await broker.client("c")  # the session of the first has ended by now
        assert broker.broker.system_subscriptions() == 0


async def test_disabled(broker_with: Start) -> None:
    text = """
    sys_topics { sys_msg_interval = disabled, sys_heartbeat_interval = disabled
                 sys_event_messages { client_connected = false, client_disconnected = false } }
    """
    async with broker_with(text) as broker:
        client = await watcher(broker, "$SYS/#")
        await (await broker.client("other")).disconnect()
        await client.quiet()


async def event(client: Client, client_id: str, word: str) -> dict[str, Any]:
    packet = await client.expect(Type.PUBLISH, qos=0, retain=False)
    assert packet.topic == f"{NODE}/clients/{client_id}/{word}"
    found: dict[str, Any] = json.loads(packet.payload)
    assert abs(found.pop("ts") - time.time() * 1000) < 60_000
    assert found.pop("clientid") == client_id
    assert found.pop("protocol") == "mqtt"
    return found


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("loops", [1, 2])
async def test_clients(broker_with: Start, version: int, loops: int) -> None:
    async with broker_with(EVENTS, loops=loops) as broker:
        watching = await watcher(broker, f"{NODE}/clients/#")
        await event(watching, "watcher", "subscribed")
        client = await broker.client("c", version=version, username="u", keep_alive=77)
        came = await event(watching, "c", "connected")
        assert abs(came.pop("connected_at") - time.time() * 1000) < 60_000
        about = {
            "username": "u",
            "ipaddress": "127.0.0.1",
            "sockport": broker.port,
            "proto_name": "MQIsdp" if version == wire.V31 else "MQTT",
            "proto_ver": version,
        }
        details = {"keepalive": 77, "clean_start": True, "expiry_interval": 0}
        assert came == about | details | {"receive_maximum": 65535}
        await client.subscribe(("a/b", 1))
        options = {"qos": 1, "nl": 0, "rap": 0, "rh": 0}
        expected = {"username": "u", "topic": "a/b", "subopts": options}
        assert await event(watching, "c", "subscribed") == expected
        await client.unsubscribe("a/b", "never")
        expected = {"username": "u", "topic": "a/b"}
        assert await event(watching, "c", "unsubscribed") == expected
        await client.disconnect()
        gone = await event(watching, "c", "disconnected")
        assert abs(gone.pop("disconnected_at") - time.time() * 1000) < 60_000
        assert gone == about | {"reason": "normal"}


async def test_why_they_went(broker_with: Start) -> None:
    async with broker_with(EVENTS) as broker:
        watching = await watcher(broker, f"{NODE}/clients/+/disconnected")
        await (await broker.client("1")).abort()
        assert (await event(watching, "1", "disconnected"))["reason"] == "tcp_closed"
        await broker.client("2")
        assert broker.broker.disconnect("2")
        assert (await event(watching, "2", "disconnected"))["reason"] == "kicked"
        for clean, reason in ((True, "discarded"), (False, "takenover")):
            await broker.client("3", properties={"session_expiry_interval": 60})
            await broker.client("3", clean_start=clean)
            assert (await event(watching, "3", "disconnected"))["reason"] == reason
            assert broker.broker.disconnect("3")
            await event(watching, "3", "disconnected")
        client = await broker.client("4")
        await client.send(wire.auth(0x19))
        assert (await event(watching, "4", "disconnected"))["reason"] == "protocol_error"


async def test_a_client_may_watch_itself(broker_with: Start) -> None:
    async with broker_with(EVENTS) as broker:
        client = await broker.client("c", properties={"session_expiry_interval": 60})
        await client.subscribe(f"{NODE}/clients/c/+")
        assert (await event(client, "c", "subscribed"))["topic"].endswith("/clients/c/+")
        await client.abort()
        client = await broker.client("c", clean_start=False)
        # It was away when it went: the message waited for it like any other.
        assert (await event(client, "c", "disconnected"))["reason"] in ("tcp_closed", "takenover")
        await event(client, "c", "connected")


async def test_identifiers_that_are_no_level(broker_with: Start) -> None:
    async with broker_with(EVENTS) as broker:
        watching = await watcher(broker, f"{NODE}/clients/#")
        await watching.expect(Type.PUBLISH)
        await broker.client('a/#"+\\')
        topic = f'{NODE}/clients/a/_"_\\/connected'
        packet = await watching.expect(Type.PUBLISH, topic=topic)
        assert json.loads(packet.payload)["clientid"] == 'a/#"+\\'


TOKENS = (
    LOOPBACK
    + """
    mqtt.client_attrs_init = [{ expression = username, set_as_attr = secret }]
    mqtt.use_username_as_clientid = true
    listeners.tcp.default.enable_authn = false
    authentication = [{ mechanism = jwt, algorithm = hmac-based, secret = s, from = username }]
    authorization { no_match = allow, sources = [] }
    """
)


@pytest.mark.parametrize(("profile", "attributes"), [("hardened", False), ("legacy", True)])
async def test_no_secret_is_told(broker_with: Start, profile: str, attributes: bool) -> None:
    base = OPEN + "mqtt.client_attrs_init = [{ expression = username, set_as_attr = site }]\n"
    async with broker_with(EVENTS + f"security_profile = {profile}", base=base) as broker:
        watching = await watcher(broker, f"{NODE}/clients/+/connected")
        await broker.client("c", username="eu")
        told = await event(watching, "c", "connected")
        assert ("client_attrs" in told) == attributes
    async with broker_with(EVENTS, base=TOKENS) as broker:
        watching = await broker.client("watcher")
        await watching.subscribe(f"{NODE}/clients/+/connected")
        await broker.client("c", username="a-token")
        packet = await watching.expect(Type.PUBLISH)
        assert b"a-token" not in packet.payload
        assert "a-token" not in packet.topic


async def test_who_may_watch_and_who_may_forge(broker_with: Start) -> None:
    base = LOOPBACK + "listeners.tcp.default.enable_authn = false\n"
    async with broker_with("", base=base) as broker:  # the default rules
        client = await broker.client("c")
        assert await client.subscribe("$SYS/#") == [Reason.NOT_AUTHORIZED]
        assert await client.publish(f"{NODE}/version", b"9", qos=1) == Reason.NOT_AUTHORIZED
        dashboard = await broker.client("d", username="dashboard")
        assert await dashboard.subscribe("$SYS/#") == [0]


async def test_they_take_nobodys_room(broker_with: Start) -> None:
    async with broker_with("retainer.backend.max_retained_messages = 2") as broker:
        client = await broker.client("c")
        for topic in ("a", "b", "c"):
            await client.publish(topic, b"x", retain=True)
        assert broker.broker.statistics()["retained.count"] == 2


async def test_intervals_change_with_a_reload(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await watcher(broker, f"{NODE}/uptime")
        assert broker.broker.reload(load(text=OPEN + QUICK, env={})) == []
        await client.expect(Type.PUBLISH, topic=f"{NODE}/uptime")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sys_topics.sys_msg_interval = 10ms", "sys_topics.sys_msg_interval: must be at least 1s"),
        ("sys_topics.sys_event_messages.client_gone = true", "unknown key"),
        ('node.name = "a/b"', "node.name"),
    ],
)
def test_faults(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(text=text, env={})
