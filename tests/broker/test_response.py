"""Response Information, reason strings, and clients that want neither."""

from __future__ import annotations

from typing import Any

import pytest
from support import wire
from support.broker import Start
from support.wire import Reason, Type


@pytest.mark.parametrize(
    ("text", "asked", "given"),
    [
        ("", 1, None),
        ('mqtt.response_information = "replies/"', 1, "replies/"),
        ('mqtt.response_information = "replies/"', 0, None),
        ('mqtt.response_information = "replies/"', None, None),
    ],
)
async def test_response_information(
    broker_with: Start, text: str, asked: int | None, given: str | None
) -> None:
    properties = {} if asked is None else {"request_response_information": asked}
    async with broker_with(text) as broker:
        client = await broker.client("c", properties=properties)
        assert client.connack.properties.get("response_information") == given


REFUSED_FILTERS = [
    ("mqtt.max_subscriptions = 1", "b", Reason.QUOTA_EXCEEDED, "too many subscriptions"),
    ("mqtt.max_topic_levels = 2", "a/b/c", Reason.TOPIC_FILTER_INVALID, "too many levels"),
    ("", "$exclusive/a", Reason.TOPIC_FILTER_INVALID, "exclusive subscriptions are not available"),
    ("", "a\x01", Reason.TOPIC_FILTER_INVALID, "control characters"),
]


@pytest.mark.parametrize("problem_information", [None, 1, 0])
@pytest.mark.parametrize(("text", "filter", "reason", "why"), REFUSED_FILTERS)
async def test_why_a_filter_is_refused(
    broker_with: Start,
    text: str,
    filter: str,
    reason: int,
    why: str,
    problem_information: int | None,
) -> None:
    asked: dict[str, Any] = {}
    if problem_information is not None:
        asked["request_problem_information"] = problem_information
    async with broker_with(text) as broker:
        client = await broker.client("c", properties=asked)
        assert await client.subscribe("a") == [0]
        await client.send(wire.subscribe(9, [filter]))
        suback = await client.expect(Type.SUBACK, packet_id=9, reasons=[reason])
        expected = {} if problem_information == 0 else {"reason_string": why}
        assert suback.properties == expected
        old = await broker.client("d", version=wire.V311)
        assert await old.subscribe("a", filter) == [0, 0x80]


async def test_a_reason_string_that_does_not_fit_is_left_out(broker_with: Start) -> None:
    async with broker_with("mqtt.max_topic_levels = 2") as broker:
        client = await broker.client("c", properties={"maximum_packet_size": 16})
        await client.send(wire.subscribe(9, ["a/b/c"]))
        suback = await client.expect(Type.SUBACK, reasons=[Reason.TOPIC_FILTER_INVALID])
        assert suback.properties == {}


async def test_why_a_connect_is_refused(broker_with: Start) -> None:
    async with broker_with("mqtt.max_clientid_len = 23") as broker:
        client = await broker.open()
        await client.connect("x" * 24)
        assert client.connack.reason == Reason.CLIENT_IDENTIFIER_NOT_VALID
        assert client.connack.properties == {"reason_string": "client_id_too_long"}
        await client.closed()
        client = await broker.open()
        await client.connect("x" * 24, properties={"maximum_packet_size": 20})
        assert client.connack.properties == {}


async def test_what_the_pipeline_refuses_is_not_explained(broker_with: Start) -> None:
    # It would help to guess.
    async with broker_with("listeners.tcp.default.enable_authn = true") as broker:
        client = await broker.open()
        await client.connect("c")
        assert (client.connack.reason, client.connack.properties) == (Reason.NOT_AUTHORIZED, {})
