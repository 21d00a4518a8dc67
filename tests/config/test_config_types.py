"""Single values (spec/management.md section 1.4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from vallum.config.models import types
from vallum.config.models.listeners import Listener, TcpOptions
from vallum.config.models.mqtt import Mqtt


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("1h30m", 5_400_000),
        ("1.5h", 5_400_000),
        ("1F", 14 * 86_400_000),
        ("2w", 14 * 86_400_000),
        ("10MS", 10),
        (0, 0),
        (15, 15),
        ("15", 15),
    ],
)
def test_duration(value: Any, ms: int) -> None:
    assert types.parse_duration(value) == timedelta(milliseconds=ms)


@pytest.mark.parametrize(
    "value", ["1h 30m", "-1s", "", "h", "1x", "1hour", True, 1.5, None, "9" * 99]
)
def test_not_a_duration(value: Any) -> None:
    with pytest.raises(PydanticCustomError):
        types.parse_duration(value)


def test_seconds_round_up() -> None:
    assert types.parse_duration("1500ms", unit_ms=1000) == timedelta(seconds=2)
    assert types.parse_duration(5, unit_ms=1000) == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("value", "size"), [(10, 10), ("10", 10), ("10B", 10), ("1kb", 1024), (" 1MB", 1 << 20)]
)
def test_bytesize(value: Any, size: int) -> None:
    assert types.parse_bytesize(value) == size


@pytest.mark.parametrize("value", ["1Mb", "1.5MB", "1TB", "", -1, True, 1.5, "9" * 18 + "GB"])
def test_not_a_bytesize(value: Any) -> None:
    with pytest.raises(PydanticCustomError):
        types.parse_bytesize(value)


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        (1883, None, 1883),
        (":1883", None, 1883),
        ("127.0.0.1:1883", "127.0.0.1", 1883),
        ("localhost:0", "127.0.0.1", 0),
        ("[::1]:1883", "::1", 1883),
        ("::1:1883", "::1", 1883),
        (":::1883", "::", 1883),
        (" 0.0.0.0 : 1 ", "0.0.0.0", 1),  # noqa: S104 - only read
    ],
)
def test_ip_port(value: Any, host: str | None, port: int) -> None:
    assert types.parse_ip_port(value) == types.IpPort(host, port)


@pytest.mark.parametrize(
    "value", ["1.2.3:1", "x:1", "1.2.3.4", "1.2.3.4:65536", "1.2.3.4:-1", True, -1]
)
def test_not_an_ip_port(value: Any) -> None:
    with pytest.raises(PydanticCustomError):
        types.parse_ip_port(value)


def test_bind_without_address() -> None:
    assert types.IpPort(None, 1).resolved(loopback=True) == "127.0.0.1:1"
    assert types.IpPort(None, 1).resolved(loopback=False) == "0.0.0.0:1"
    assert types.IpPort("::1", 1).resolved(loopback=False) == "[::1]:1"


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1000/s", types.Rate(1000, timedelta(seconds=1))),
        ("10MB/10s", types.Rate(10 << 20, timedelta(seconds=10))),
        ("5", types.Rate(5, timedelta(seconds=1))),
        ("1KB/M", types.Rate(1024, timedelta(minutes=1))),
        ("infinity", None),
    ],
)
def test_rate(text: str, rate: types.Rate | None) -> None:
    assert Listener.check({"messages_rate": text}).messages_rate == rate


@pytest.mark.parametrize(
    "data",
    [
        {"messages_rate": "0/s"},
        {"messages_rate": "1/0s"},
        {"messages_burst": "infinity"},
        {"messages_rate": "1/x"},
        {"access_rules": ["allow 1.2.3"]},
        {"access_rules": ["permit all"]},
        {"enable_authn": "yes"},
        {"enable": "on"},
        {"max_connections": 0},
    ],
)
def test_refused_listener_values(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        Listener.check(data)


def test_listener_values() -> None:
    listener = Listener.check(
        {"access_rules": "allow  10.0.0.0/8, deny all", "enabled": "false", "enable_authn": False}
    )
    assert listener.access_rules == ("allow 10.0.0.0/8", "deny all")
    assert (listener.enable, listener.enable_authn) == (False, "false")
    assert TcpOptions.check({"keepalive": "240,30,5"}).keepalive == (240, 30, 5)


def test_mqtt_values() -> None:
    mqtt = Mqtt.check(
        {
            "max_packet_size": "256MB",
            "keepalive_backoff": 0.75,
            "idle_timeout": "infinity",
            "max_awaiting_rel": "infinity",
            "server_keepalive": "disabled",
            "clientid_override": "disabled",
            "mqueue_priorities": {"a/b": 5},
            "max_qos_allowed": "1",
            "client_attrs_init": {"1": {"expression": "username", "set_as_attr": "tns"}},
        }
    )
    assert (mqtt.max_packet_size, mqtt.keepalive_multiplier) == (268_435_455, 1.5)
    assert (mqtt.idle_timeout, mqtt.max_awaiting_rel, mqtt.clientid_override) == (None, None, None)
    assert (mqtt.mqueue_priorities, mqtt.max_qos_allowed) == ({"a/b": 5}, 1)
    assert mqtt.client_attrs_init[0].set_as_attr == "tns"


@pytest.mark.parametrize(
    "data",
    [
        {"max_packet_size": 0},
        {"max_packet_size": "257MB"},
        {"max_clientid_len": 22},
        {"max_topic_levels": True},
        {"idle_timeout": "50d"},
        {"max_inflight": 65536},
        {"mqueue_priorities": {"a": 0}},
        {"keepalive_multiplier": 0.5},
        {"keepalive_backoff": "x"},
        {"subscription_max_qos_rules": [{"topic": {}, "qos": 1}]},
        {"clientid_override": ""},
        {"max_mqueue_len": 10**30},
    ],
)
def test_refused_mqtt_values(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        Mqtt.check(data)


def test_models_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Mqtt().max_inflight = 1  # type: ignore[misc] - that is what is tested
