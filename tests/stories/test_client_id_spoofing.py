"""Story 1: the client id must be the one the token names, which is asked before the signature."""

from __future__ import annotations

import time

import pytest
from article import CLIENT_ID, STORY_1, SUBJECT, token
from paho.mqtt.enums import MQTTProtocolVersion
from structlog.testing import capture_logs
from support import paho
from support.broker import Start
from support.paho import paho_client
from support.token import segment

import vallum

BAD_USER_NAME_OR_PASSWORD, NOT_AUTHORIZED = 0x86, 0x87


def forged(**claims: object) -> str:
    """The right payload under another signature."""
    header, payload, _ = token(**claims).split(".")
    return f"{header}.{payload}.{segment(bytes(32))}"


REFUSED = [
    pytest.param("test", token(), 0x86, "cinfo", id="other-client-id"),
    pytest.param("1001010", token(), 0x86, "cinfo", id="part-of-the-client-id"),
    pytest.param("other", forged(), 0x86, "cinfo", id="other-client-id-and-forged"),
    pytest.param(CLIENT_ID, forged(), 0x87, "jwt", id="forged"),
    pytest.param(CLIENT_ID, token(secret="guess"), 0x87, "jwt", id="other-secret"),
    pytest.param(CLIENT_ID, token(exp=1_600_000_000), 0x86, "jwt", id="expired"),
    pytest.param(CLIENT_ID, token(nbf=4_000_000_000), 0x86, "jwt", id="not-yet-valid"),
    pytest.param(CLIENT_ID, token(sub=None), 0x86, "cinfo", id="no-subject"),
    pytest.param(CLIENT_ID, token(sub="urn:test:unitid"), 0x86, "cinfo", id="short-subject"),
    pytest.param(CLIENT_ID, token(sub=17), 0x86, "cinfo", id="subject-is-a-number"),
    pytest.param(CLIENT_ID, "not-a-token", 0x86, "cinfo", id="no-token"),
    pytest.param(CLIENT_ID, None, 0x86, "cinfo", id="no-password"),
]

V3_CODES = {BAD_USER_NAME_OR_PASSWORD: 4, NOT_AUTHORIZED: 5}


@pytest.mark.parametrize("version", paho.VERSIONS)
async def test_the_right_client_gets_in(broker_with: Start, version: MQTTProtocolVersion) -> None:
    async with (
        broker_with(STORY_1, base="") as broker,
        paho_client(CLIENT_ID, version, username="u", password=token()) as client,
    ):
        assert await client.connect(broker.port) == "Success"


@pytest.mark.parametrize(("client_id", "password", "code", "stage"), REFUSED)
@pytest.mark.parametrize("version", [3, 4, 5])
async def test_refused(
    broker_with: Start, version: int, client_id: str, password: str | None, code: int, stage: str
) -> None:
    with capture_logs() as logs:
        async with broker_with(STORY_1, base="") as broker:
            client = await broker.open(version)
            await client.connect(client_id, username="u", password=password)
            assert client.connack.reason == (code if version == 5 else V3_CODES[code])
            await client.closed()
    refusals = [line for line in logs if line["event"] == "refused"]
    assert [(line["action"], line["stage"]) for line in refusals] == [("connect", stage)]
    assert password is None or password not in str(refusals)


@pytest.mark.parametrize(("client_id", "password", "code", "stage"), REFUSED)
async def test_the_pipeline_says_the_same(
    client_id: str, password: str | None, code: int, stage: str
) -> None:
    pipeline = vallum.Pipeline.from_hocon(STORY_1)
    client = vallum.Client(clientid=client_id, username="u", password=password)
    decision = await pipeline.connect(client)
    assert (decision.result, decision.decided_by) == ("deny", stage)
    assert decision.reason_code == code


@pytest.mark.parametrize("version", [paho.V311, paho.V5])
async def test_paho_is_told(broker_with: Start, version: MQTTProtocolVersion) -> None:
    async with broker_with(STORY_1, base="") as broker:
        async with paho_client("test", version, username="u", password=token()) as client:
            assert await client.connect(broker.port) == "Bad user name or password"
        async with paho_client(CLIENT_ID, version, username="u", password=forged()) as client:
            assert await client.connect(broker.port) == "Not authorized"


async def test_the_record_says_why() -> None:
    pipeline = vallum.Pipeline.from_hocon(STORY_1)

    async def steps(client_id: str, password: str) -> tuple[str, list[tuple[str, str]]]:
        client = vallum.Client(clientid=client_id, username="u", password=password)
        decision = await pipeline.connect(client)
        told = [(step["name"], step["result"]) for step in decision.steps]
        return str(decision.reason), [step for step in told if step[0] in ("cinfo", "jwt")]

    assert await steps(CLIENT_ID, forged()) == (
        "bad_signature",
        [("cinfo", "ignore"), ("jwt", "deny")],
    )
    assert (await steps("test", token()))[1] == [("cinfo", "deny")]
    reason, _ = await steps(CLIENT_ID, token(sub=None))
    assert reason == "expression_error"
    reason, _ = await steps(CLIENT_ID, token(exp=1_600_000_000))
    assert reason == "expired"


async def test_a_token_without_subject_gets_no_id_from_the_broker(broker_with: Start) -> None:
    # The id that would be assigned must not make the check pass either.
    async with broker_with(STORY_1, base="") as broker:
        client = await broker.open()
        await client.connect("", username="u", password=token(sub=None))
        assert client.connack.reason == BAD_USER_NAME_OR_PASSWORD
        await client.closed()


async def test_the_subject_is_read_as_the_article_says() -> None:
    expression = "nth(4, tokens(jwt_value(password, 'sub'), ':'))"
    assert vallum.expr.evaluate(expression, {"password": token()}) == CLIENT_ID
    assert SUBJECT.split(":")[3] == CLIENT_ID


async def test_disconnected_when_the_token_expires(broker_with: Start) -> None:
    text = "authorization { no_match = allow, sources = [] }"
    async with broker_with(STORY_1 + text, base="") as broker:
        watcher_token = token(sub="urn:test:unitid:watcher:clientid:test")
        watcher = await broker.client("watcher", username="u", password=watcher_token)
        await watcher.subscribe("will")
        exp = int(time.time()) + 2
        async with paho_client(CLIENT_ID, username="u", password=token(exp=exp)) as client:
            client.mqtt.will_set("will", b"expired")
            assert await client.connect(broker.port) == "Success"
            assert (await client.event("disconnect")).value == NOT_AUTHORIZED
            # Never before `exp`: how soon after it is not a question of what is right.
            assert time.time() >= exp
            await watcher.message("will", b"expired")
