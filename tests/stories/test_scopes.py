"""Story 2: the scopes of a token decide about topics."""

from __future__ import annotations

import time

import pytest
from article import EXAMPLES, STORY_2, token
from paho.mqtt.enums import MQTTProtocolVersion
from structlog.testing import capture_logs
from support import paho, wire
from support.broker import Start
from support.paho import paho_client
from support.wire import Reason, Type, Will

import vallum

READER = token(scp="read openid foobar")
OTHER = token(scp="openid foobar")

SCOPES = [
    pytest.param("read openid foobar", True, id="first"),
    pytest.param("openid read foobar", True, id="between"),
    pytest.param("openid foobar read", True, id="last"),
    pytest.param("read", True, id="alone"),
    pytest.param("openid\tread", True, id="after-a-tab"),
    pytest.param("openid foobar", False, id="without"),
    pytest.param("readonly openid", False, id="longer-word"),
    pytest.param("thread", False, id="end-of-a-word"),
    pytest.param("READ", False, id="other-case"),
    pytest.param("", False, id="empty"),
    pytest.param(None, False, id="no-claim"),
]


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize(("scope", "granted"), SCOPES)
async def test_subscribe(
    broker_with: Start, version: int, scope: str | None, granted: bool
) -> None:
    async with broker_with(STORY_2, base="", base_dir=EXAMPLES) as broker:
        client = await broker.client("c1", version, username="u", password=token(scp=scope))
        expected = 1 if granted else (Reason.NOT_AUTHORIZED if version == wire.V5 else 0x80)
        assert await client.subscribe(("myorg/read/#", 1)) == [expected]


FILTERS = [
    ("myorg/read/#", True),
    ("myorg/read/a/+", True),
    ("myorg/read", True),
    ("myorg/#", False),
    ("myorg/+/#", False),
    ("myorg/+", False),
    ("myorg/write/#", False),
    ("#", False),
    ("other", False),
    ("$share/g/myorg/write/#", False),
]


@pytest.mark.parametrize(("topic", "granted"), FILTERS)
async def test_the_scope_covers_its_branch_only(
    broker_with: Start, topic: str, granted: bool
) -> None:
    async with broker_with(STORY_2, base="", base_dir=EXAMPLES) as broker:
        client = await broker.client("c1", username="u", password=READER)
        assert await client.subscribe(topic) == [0 if granted else Reason.NOT_AUTHORIZED]


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_publish(broker_with: Start, version: int, qos: int) -> None:
    async with broker_with(STORY_2, base="", base_dir=EXAMPLES) as broker:
        reader = await broker.client("reader", username="u", password=READER)
        await reader.subscribe(("myorg/read/#", 2))
        client = await broker.client("c1", version, username="u", password=OTHER)
        code = await client.publish("other", b"denied", qos=qos)
        # Versions before 5 cannot say no: the message is acknowledged and goes nowhere.
        assert code == (Reason.NOT_AUTHORIZED if version == wire.V5 and qos else 0)
        assert await client.publish("myorg/read/x", b"passed on", qos=qos) == 0
        await reader.message("myorg/read/x", b"passed on", qos=qos)
        await reader.quiet()


@pytest.mark.parametrize("version", [paho.V311, paho.V5])
async def test_paho(broker_with: Start, version: MQTTProtocolVersion) -> None:
    async with (
        broker_with(STORY_2, base="", base_dir=EXAMPLES) as broker,
        paho_client("reader", version, username="u", password=READER) as reader,
        paho_client("other", version, username="u", password=OTHER) as other,
    ):
        assert await reader.connect(broker.port) == "Success"
        assert await other.connect(broker.port) == "Success"
        assert await reader.subscribe("myorg/read/#", 1) == "Granted QoS 1"
        refused = (await other.subscribe("myorg/read/#", 1)).value
        assert refused == (Reason.NOT_AUTHORIZED if version is paho.V5 else 0x80)
        assert not (await other.publish("myorg/read/x", b"x", 1)).is_failure
        assert (await reader.message()).topic == "myorg/read/x"
        denied = await other.publish("other", b"x", 1)
        assert denied.value == (Reason.NOT_AUTHORIZED if version is paho.V5 else 0)


async def test_refusals_are_logged_once(broker_with: Start) -> None:
    with capture_logs() as logs:
        async with broker_with(STORY_2, base="", base_dir=EXAMPLES) as broker:
            client = await broker.client("c1", username="u", password=OTHER)
            await client.subscribe("myorg/read/#")
            await client.subscribe("myorg/read/#")
            await client.publish("other", b"x", qos=1)
            await client.publish("other", b"x", qos=1)
    refusals = [line for line in logs if line["event"] == "refused"]
    # Without the attribute the first rule cannot be read, and hardened does not read on.
    assert [(line["action"], line["topic"], line["stage"]) for line in refusals] == [
        ("subscribe", "myorg/read/#", "file[1]"),
        ("publish", "other", "file[3]"),
    ]
    assert OTHER not in str(logs)


async def test_the_pipeline_says_the_same() -> None:
    pipeline = vallum.Pipeline.from_hocon(STORY_2, base_dir=EXAMPLES)
    reader = vallum.Client(clientid="c1", username="u", password=READER)
    decision = await pipeline.connect(reader)
    assert decision.result == "allow"
    assert decision.client_attrs == {"jwt_scp": "read"}
    verdict = await pipeline.authorize(decision, "subscribe", "myorg/read/#", qos=1)
    assert (verdict.result, verdict.decided_by) == ("allow", "file[1]")
    verdict = await pipeline.authorize(decision, "publish", "myorg/x")
    assert (verdict.result, verdict.decided_by) == ("allow", "file[2]")
    verdict = await pipeline.authorize(decision, "publish", "other")
    assert (verdict.result, verdict.decided_by) == ("deny", "file[3]")


async def test_disconnected_when_the_token_expires(broker_with: Start) -> None:
    async with broker_with(STORY_2, base="", base_dir=EXAMPLES) as broker:
        watcher = await broker.client("watcher", username="u", password=READER)
        await watcher.subscribe("myorg/read/#")
        exp = int(time.time()) + 2
        clients = {}
        for version in wire.VERSIONS:
            clients[version] = await broker.client(
                f"c{version}",
                version,
                username="u",
                password=token(scp="read", exp=exp),
                will=Will(topic=f"myorg/read/{version}"),
            )
        allowed = await broker.client(
            "c1",
            username="u",
            password=token(scp="read", exp=exp),
            will=Will(topic="other"),
        )
        for client in (*clients.values(), allowed):
            await client.refused(Reason.NOT_AUTHORIZED)
        assert time.time() >= exp
        wills = {(await watcher.expect(Type.PUBLISH)).topic for _ in clients}
        assert wills == {f"myorg/read/{version}" for version in wire.VERSIONS}
        await watcher.quiet()
