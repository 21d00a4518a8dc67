"""Subscriptions that every client gets (the root `auto_subscribe`)."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import LOOPBACK, Start, acl
from support.wire import Type

from vallum import ConfigError
from vallum.config import load

TWO = """
auto_subscribe.topics = [
  { topic = "all" }
  { topic = "c/${clientid}/${username}/${host}", qos = 2, rap = 1, nl = 1 }
]
"""


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize("loops", [1, 2])
async def test_every_client_gets_them(broker_with: Start, version: int, loops: int) -> None:
    async with broker_with(TWO, loops=loops) as broker:
        client = await broker.client("me", version=version, username="u")
        sender = await broker.client("sender")
        assert await sender.unsubscribe("all") == [0]  # they are like its own: it may end them
        assert await sender.publish("all", b"1", qos=1) == 0
        assert await sender.publish("c/me/u/127.0.0.1", b"2", qos=2, retain=True) == 0
        await client.message("all", b"1", qos=0)
        await client.message("c/me/u/127.0.0.1", b"2", qos=2, retain=True)
        await client.send(wire.publish("c/me/u/127.0.0.1", b"own", version=version))
        await client.quiet()
        await client.unsubscribe("all")
        assert await sender.publish("all", b"3", qos=1) == wire.Reason.NO_MATCHING_SUBSCRIBERS


async def test_port(broker_with: Start) -> None:
    async with broker_with('auto_subscribe.topics = [{ topic = "p/${port}" }]') as broker:
        client, sender = await broker.client("c"), await broker.client("sender")
        await sender.publish(f"p/{client.local_port}", b"x")
        await client.message(f"p/{client.local_port}", b"x")


@pytest.mark.parametrize(("rh", "kept"), [(0, 2), (1, 1), (2, 0)])
async def test_retained_messages(broker_with: Start, rh: int, kept: int) -> None:
    text = f'auto_subscribe.topics = [{{ topic = "kept", rh = {rh} }}]'
    async with broker_with(text) as broker:
        sender = await broker.client("sender")
        await sender.unsubscribe("kept")
        await sender.publish("kept", b"x", retain=True)
        seen = 0
        for _ in range(2):
            client = await broker.client(
                "c", clean_start=False, properties={"session_expiry_interval": 60}
            )
            await client.send(wire.PINGREQ)
            while (packet := await client.receive()).type is Type.PUBLISH:
                seen += packet.retain
            await client.disconnect()
        assert seen == kept


RULES = '{allow, all, all, ["all"]}. {deny, all}.'
CLOSED = LOOPBACK + "listeners.tcp.default.enable_authn = false\n"


@pytest.mark.parametrize(("profile", "got"), [("hardened", False), ("legacy", True)])
async def test_rules_hold_in_hardened(broker_with: Start, profile: str, got: bool) -> None:
    base = CLOSED + acl(RULES) + f"security_profile = {profile}\n"
    async with broker_with(TWO, base=base) as broker:
        client = await broker.client("me", username="u")
        assert broker.broker.statistics()["subscriptions.count"] == 1 + got
        assert broker.broker.statistics()["packets.subscribe.auth_error"] == (not got)
        await client.quiet()


@pytest.mark.parametrize(
    ("client_id", "username"), [("#", "u"), ("+", "u"), ("a/b", "u"), ("me", None), ("me", "x/#")]
)
async def test_no_value_may_widen_them(
    broker_with: Start, client_id: str, username: str | None
) -> None:
    async with broker_with(TWO) as broker:
        await broker.client(client_id, username=username)
        assert broker.broker.statistics()["subscriptions.count"] == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[{ topic = "a/${peer}" }]', r"auto_subscribe.topics\[0\].topic: unknown variable"),
        ("[{ qos = 1 }]", r"auto_subscribe.topics\[0\].topic: required"),
        ("[{ topic = a, qos = 3 }]", r"auto_subscribe.topics\[0\].qos"),
        (f"[{', '.join(['{ topic = a }'] * 21)}]", "auto_subscribe.topics"),
    ],
)
def test_faults(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(text=f"auto_subscribe.topics = {text}", env={})
