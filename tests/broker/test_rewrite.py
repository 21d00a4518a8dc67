"""Topic rewriting (the root `rewrite`)."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import LOOPBACK, OPEN, Start, acl
from support.wire import Reason, Type, Will

from vallum import ConfigError, Pipeline
from vallum.config import load

RULES = """
rewrite = [
  { action = all, source_topic = "x/#", re = "^x/y/(.+)$", dest_topic = "z/$1" }
  { action = publish, source_topic = "from/#", re = "^from/(.+)$", dest_topic = "$1/${clientid}" }
  { action = subscribe, source_topic = "mine/#", re = "^mine/(.+)$"
    dest_topic = "u/${username}/$1" }
  { action = publish, source_topic = "later/#", re = "^later/(.+)$", dest_topic = "$delayed/1/$1" }
]
"""


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_publish_and_subscribe(broker_with: Start, version: int) -> None:
    async with broker_with(RULES) as broker:
        client = await broker.client("c", version=version, username="u")
        sender = await broker.client("s", version=version)
        await client.subscribe("x/y/#", ("mine/a", 1), "t/s")
        for asked, effective in (("x/y/1", "z/1"), ("u/u/a", "u/u/a"), ("from/t", "t/s")):
            await sender.publish(asked, asked.encode(), qos=1)
            await client.message(effective, asked.encode())
        await sender.publish("x/1", b"no", qos=1)  # the expression is not found in it
        await client.quiet()
        await client.unsubscribe("x/y/#", "mine/a")
        await sender.publish("x/y/1", b"gone", qos=1)
        await sender.publish("u/u/a", b"gone", qos=1)
        await client.quiet()


async def test_shared_subscriptions_keep_their_prefix(broker_with: Start) -> None:
    async with broker_with(RULES) as broker:
        one, two = await broker.client("1"), await broker.client("2")
        for client in (one, two):
            assert await client.subscribe("$share/g/x/y/1") == [0]
        sender = await broker.client("s")
        for _ in range(2):
            await sender.publish("x/y/1", b"x")
        for client in (one, two):
            await client.message("z/1", b"x")
            assert await client.unsubscribe("$share/g/x/y/1") == [0]


async def test_aliases_wills_retained_and_delayed(broker_with: Start) -> None:
    async with broker_with(RULES) as broker:
        client = await broker.client("c")
        await client.subscribe(("#", wire.options(retain_as_published=True)))
        sender = await broker.client("s", will=Will(topic="x/y/will", retain=True))
        alias = {"topic_alias": 1}
        await sender.send(wire.publish("x/y/1", b"1", properties=alias))
        await sender.send(wire.publish("", b"2", properties=alias))
        await client.message("z/1", b"1")
        await client.message("z/1", b"2")
        await sender.publish("later/t", b"3", qos=1)
        await client.message("t", b"3")
        await sender.abort()
        await client.message("z/will", b"gone", retain=True)
        late = await broker.client("late")
        await late.subscribe("z/#")
        await late.message("z/will", b"gone", retain=True)


REWRITTEN = '{allow, all, all, ["z/#"]}. {deny, all}.'
ASKED = '{allow, all, all, ["x/#"]}. {deny, all}.'
CLOSED = LOOPBACK + "listeners.tcp.default.enable_authn = false\n"


@pytest.mark.parametrize(
    ("profile", "rules", "allowed"),
    [
        ("hardened", REWRITTEN, True),
        ("hardened", ASKED, False),
        ("legacy", REWRITTEN, False),  # the reference asks before it rewrites
        ("legacy", ASKED, True),
    ],
)
async def test_what_the_rules_see(
    broker_with: Start, profile: str, rules: str, allowed: bool
) -> None:
    base = CLOSED + acl(rules) + f"security_profile = {profile}\n"
    async with broker_with(RULES, base=base) as broker:
        client = await broker.client("c", will=Will(topic="x/y/will"))
        code = 0 if allowed else Reason.NOT_AUTHORIZED
        assert await client.subscribe("x/y/1") == [code]
        published = Reason.SUCCESS if allowed else Reason.NOT_AUTHORIZED
        await client.send(wire.publish("x/y/1", b"1", qos=1, packet_id=7))
        packet = await client.receive()
        if packet.type is Type.PUBLISH:
            packet = await client.receive()
        assert (packet.type, packet.reason) == (Type.PUBACK, published)
        await client.abort()
        await broker.client("c")  # the old connection is gone by now
        assert broker.broker.statistics()["messages.will.denied"] == (not allowed)


async def test_explained_by_the_effective_topic() -> None:
    pipeline = Pipeline.from_hocon(CLOSED + acl(REWRITTEN) + RULES)
    from vallum import Client

    decision = await pipeline.connect(Client(clientid="c"))
    for topic, result in (("x/y/1", "allow"), ("x/1", "deny")):
        verdict = await pipeline.authorize(decision, "publish", topic)
        assert verdict.result == result


async def test_a_result_that_is_no_topic_is_refused(broker_with: Start) -> None:
    text = """
    rewrite = [{ action = publish, source_topic = "t/#", re = "^t/(.*)$", dest_topic = "$1" }]
    """
    async with broker_with(text) as broker:
        client = await broker.client("c")
        await client.send(wire.publish("t/", b"x"))
        await client.refused(Reason.TOPIC_NAME_INVALID)


async def test_reload(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.client("c")
        assert await client.subscribe("z/1") == [0]
        assert await client.publish("x/y/1", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS
        assert broker.broker.reload(load(text=OPEN + RULES, env={})) == []
        await client.send(wire.publish("x/y/1", b"x"))
        await client.message("z/1", b"x")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ('re = "("', r"<text>:2:.*rewrite\[0\].re"),
        ('re = x, dest_topic = "a/#"', r"<text>:2:.*rewrite\[0\].dest_topic: cannot_use_wildcard"),
        ('re = x, dest_topic = "a/$1"', r"rewrite\[0\].dest_topic: .*re has 0 groups"),
        ('re = x, source_topic = "a/#/b"', r"rewrite\[0\].source_topic"),
        ("re = x, action = delete", r"rewrite\[0\].action"),
        ("re = x, to = y", r"rewrite\[0\].to: unknown key"),
    ],
)
def test_faults(rule: str, problem: str) -> None:
    text = f"""
    rewrite = [{{ action = all, source_topic = a, dest_topic = b, {rule} }}]
    """
    with pytest.raises(ConfigError, match=problem):
        Pipeline(load(text=text, env={}))
