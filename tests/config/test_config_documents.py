"""The documents for Rust have exactly the members that Rust reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from vallum.config import broker_document, load, policy_document, server_tls
from vallum.config.hocon import plain, read_text
from vallum.config.hocon.source import Report
from vallum.config.models import (
    Context,
    Listener,
    Listeners,
    Mqtt,
    Retainer,
    ServerTls,
    TcpListener,
    WsListener,
    Zone,
)
from vallum.config.models.listeners import WebSocket
from vallum.config.not_yet import NOT_YET
from vallum.config.translate import keys_of

ROOT = Path(__file__).parents[2]
CONFIG = """
zones.z { mqtt { max_inflight = 7, use_username_as_clientid = true }, force_gc {} }
mqtt { client_attrs_init = [{ expression = username, set_as_attr = tns }], max_awaiting_rel = 99999
       max_session_expiry_interval = 1500ms, max_mqueue_len = infinity
       subscription_max_qos_rules = [{ topic.equals = a, qos = 1 }] }
broker.shared_subscription_group.g.strategy = sticky
retainer.delivery_rate = 10/500ms
auto_subscribe.topics = [{ topic = "a/${clientid}", qos = 1, nl = 1 }]
rewrite = [{ action = all, source_topic = "x/#", re = "^x/(.+)$", dest_topic = "y/$1" }]
listeners.tcp { default.bind = 1884
                b { bind = "[::1]:0", enable_authn = quick_deny_anonymous, zone = z
                    authentication { mechanism = jwt, use_jwks = true, endpoint = "https://x/y" } }
                c { bind = 1885, enable = false } }
listeners.ws.default.enable = false
authentication = [
  { mechanism = cinfo, precondition = "true", checks = [{ is_match = "true", result = deny }] }
  { mechanism = jwt, algorithm = hmac-based, secret = x, verify_claims { aud = a } }
]
"""


def members(pattern: str, struct: str) -> set[str]:
    """The fields of a Rust struct, as serde names them."""
    text = "\n".join(path.read_text() for path in sorted(ROOT.glob(pattern)))
    body = re.search(rf"pub struct {struct} \{{(.*?)^\}}", text, re.DOTALL | re.MULTILINE)
    assert body is not None, struct
    return set(re.findall(r"^    pub (\w+):", body[1], re.MULTILINE))


BROKER = "rust/broker/src/config/*.rs"
POLICY = "rust/policy/src/pipeline/config.rs"


@pytest.fixture(name="broker")
def _broker() -> dict[str, Any]:
    return broker_document(load(text=CONFIG, env={}), loops=2)


@pytest.fixture(name="policy")
def _policy() -> dict[str, Any]:
    return policy_document(load(text=CONFIG, env={}))


def test_broker_members(broker: dict[str, Any]) -> None:
    assert set(broker) == members(BROKER, "BrokerConfig")
    assert set(broker["listeners"][0]) == members(BROKER, "ListenerConfig")
    assert set(broker["zones"][0]) == members(BROKER, "ZoneConfig")
    assert set(broker["zones"][0]["mqtt"]) == members(BROKER, "MqttConfig")
    assert set(broker["shared_subscription"]) == members(BROKER, "SharedPolicy")
    assert set(broker["retainer"]) == members(BROKER, "RetainerConfig")
    assert set(broker["broker"]) == members(BROKER, "BrokerRootConfig")
    assert set(broker["delayed"]) == members(BROKER, "DelayedConfig")
    assert set(broker["retainer"]["delivery_rate"]) == members(BROKER, "RateConfig")
    assert set(broker["sys_topics"]) == members(BROKER, "SysTopicsConfig")
    [auto] = broker["auto_subscribe"]
    assert set(auto) == members(BROKER, "AutoSubscriptionConfig")
    [group] = broker["broker"]["shared_subscription_group"].values()
    assert set(group) == members(BROKER, "SharedPolicy")
    [rule] = broker["zones"][0]["mqtt"]["subscription_max_qos_rules"]
    assert set(rule) == members(BROKER, "MaxQosRule")


def test_policy_members(policy: dict[str, Any]) -> None:
    authentication, authorization = policy["authentication"], policy["authorization"]
    cinfo, jwt = authentication["chain"]
    assert set(policy) == members(POLICY, "PolicyConfig")
    assert set(policy["zones"]["z"]) == members(POLICY, "ZoneConfig")
    assert set(policy["client_attrs_init"][0]) == members(POLICY, "AttributeInit")
    assert set(authentication) == members(POLICY, "AuthenticationConfig")
    assert set(authentication["listeners"]["tcp:b"]) == members(POLICY, "ListenerConfig")
    assert set(cinfo) - {"mechanism"} == members(POLICY, "CinfoConfig")
    assert set(cinfo["checks"][0]) == members(POLICY, "CheckConfig")
    assert set(jwt) - {"mechanism"} == members(POLICY, "JwtConfig")
    assert set(policy["rewrite"][0]) == members(POLICY, "RewriteConfig")
    assert set(authorization) == members(POLICY, "AuthorizationConfig")
    assert set(authorization["topic_template_allow"]) == members(POLICY, "TopicTemplateAllow")
    assert set(authorization["sources"][0]) - {"type"} == members(POLICY, "FileSourceConfig")


def test_broker_values(broker: dict[str, Any]) -> None:
    assert broker["listeners"] == [
        {
            "id": "tcp:default",
            "bind": "127.0.0.1:1884",
            "max_connections": None,
            "zone": 0,
            "backlog": 1024,
            "socket": {"nodelay": True, "keepalive": None, "sndbuf": None, "recbuf": None},
            "send_timeout": 15,
            "max_conn_rate": None,
            "max_conn_burst": None,
            "access_rules": ["allow all"],
            "proxy_protocol": None,
            "websocket": None,
            "tls": None,
        },
        {
            "id": "tcp:b",
            "bind": "[::1]:0",
            "max_connections": None,
            "zone": 1,
            "backlog": 1024,
            "socket": {"nodelay": True, "keepalive": None, "sndbuf": None, "recbuf": None},
            "send_timeout": 15,
            "max_conn_rate": None,
            "max_conn_burst": None,
            "access_rules": ["allow all"],
            "proxy_protocol": None,
            "websocket": None,
            "tls": None,
        },
    ]
    assert [zone["name"] for zone in broker["zones"]] == ["default", "z"]
    mqtt, own = (zone["mqtt"] for zone in broker["zones"])
    assert (mqtt["max_inflight"], own["max_inflight"]) == (32, 7)
    assert {**own, "max_inflight": 32} == mqtt
    assert (mqtt["idle_timeout_ms"], mqtt["session_expiry_interval"]) == (15_000, 7200)
    assert (mqtt["max_session_expiry_interval"], mqtt["max_awaiting_rel"]) == (2, 65535)
    assert (mqtt["max_mqueue_len"], mqtt["message_expiry_interval"]) == (0, None)


WEB = load(
    text="""
    listeners.tcp.default.enable = false
    listeners.ws.default { websocket { max_frame_size = 1MB, check_origin_enable = true
                                        proxy_headers_trusted = "10.0.0.0/8" } }
    """,
    env={},
)


def test_websocket() -> None:
    [listener] = broker_document(WEB)["listeners"]
    assert (listener["id"], listener["bind"]) == ("ws:default", "127.0.0.1:8083")
    assert set(listener) == members(BROKER, "ListenerConfig")
    websocket = listener["websocket"]
    assert set(websocket) == members(BROKER, "WebSocketConfig")
    assert set(websocket["origins"]) == members(BROKER, "OriginConfig")
    assert set(websocket["forwarded"]) == members(BROKER, "ForwardedConfig")
    assert websocket["path"] == "/mqtt"
    assert websocket["max_frame_size"] == 1024 * 1024
    assert websocket["subprotocols"] == ["mqtt", "mqtt-v3", "mqtt-v3.1.1", "mqtt-v5"]


TLS_TEXT = """
    enable_crl_check = true, verify = verify_peer, partial_chain = two_cacerts_from_cacertfile
    versions = [tlsv1.2], ciphers = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384, x"
    crlfile = a.crl, password = secret, session_tickets = stateless, handshake_timeout = 1500ms
    ocsp { enable_ocsp_stapling = true, responder_url = "http://x", issuer_pem = i.pem }
    sni_certificates = [{ server_names = "a, b", certfile = c.pem, keyfile = "${EMQX_ETC_DIR}/k" }]
"""
TLS = server_tls.document(
    ServerTls.check(
        plain(read_text(TLS_TEXT, Report(), Path())), Context("hardened", Path("/etc/v"))
    ),
    7,
)


def test_tls() -> None:
    assert set(TLS) == members(BROKER, "TlsConfig")
    assert {key for each in TLS["certificates"] for key in each} == members(
        BROKER, "CertificateConfig"
    )
    assert set(TLS["crl"]) == members(BROKER, "CrlConfig")
    assert set(TLS["ocsp"]) == members(BROKER, "OcspConfig")
    main, other = TLS["certificates"]
    assert (main["certfile"], main["password"]) == ("/etc/v/certs/cert.pem", "secret")
    assert other["server_names"] == ["a", "b"]
    assert (other["certfile"], other["keyfile"]) == ("/etc/v/c.pem", "/etc/v/k")
    assert TLS["cacertfile"] == "/etc/v/certs/cacert.pem"
    assert (TLS["min_version"], TLS["max_version"]) == ("tlsv1.2", "tlsv1.2")
    assert TLS["ciphers"] == ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "x"]
    assert (TLS["handshake_timeout_ms"], TLS["partial_chain"]) == (1500, "last_two")
    assert TLS["crl"] == {"files": ["/etc/v/a.crl"], "capacity": 7}


LEGACY = {"EMQX_SECURITY_PROFILE": "legacy"}


@pytest.mark.parametrize(
    ("env", "text", "trusted"),
    [
        ({}, "", ["127.0.0.0/8", "::1/128"]),
        (LEGACY, "", ["0.0.0.0/0", "::/0"]),
        ({}, 'proxy_protocol_trusted = "10.1.2.3/255.255.0.0, ::1"', ["10.1.0.0/16", "::1/128"]),
        ({}, "proxy_protocol_trusted = []", []),
    ],
)
def test_proxies(env: dict[str, str], text: str, trusted: list[str]) -> None:
    config = load(text=f"listeners.tcp.default {{ proxy_protocol = true, {text} }}", env=env)
    [listener] = broker_document(config)["listeners"]
    assert listener["proxy_protocol"] == {"timeout_ms": 3000, "trusted": trusted}


def test_sockets_and_rates() -> None:
    text = """
    listeners.tcp.default { max_conn_rate = "100/10s", max_conn_burst = "7/1m"
      tcp_options { nodelay = false, keepalive = "240,30,5", sndbuf = 64KB, recbuf = 32KB
                    send_timeout = 100ms } }
    listeners.tcp.b { bind = 1, tcp_options.send_timeout_close = false }
    """
    config = load(text=text, env={})
    assert not [warning for warning in config.warnings if "no effect" in warning.problem]
    first, second = broker_document(config)["listeners"]
    assert first["socket"] == {
        "nodelay": False,
        "keepalive": [240, 30, 5],
        "sndbuf": 65536,
        "recbuf": 32768,
    }
    assert set(first["socket"]) == members(BROKER, "SocketConfig")
    assert first["max_conn_rate"] == {"amount": 100, "per_ms": 10_000}
    assert first["max_conn_burst"] == {"amount": 7, "per_ms": 60_000}
    assert set(first["max_conn_rate"]) == members(BROKER, "RateConfig")
    assert (first["send_timeout"], second["send_timeout"]) == (1, None)


def test_access_rules() -> None:
    text = 'listeners.tcp.default.access_rules = ["deny 10.1.2.3/255.0.0.0, allow ::1", "deny all"]'
    [listener] = broker_document(load(text=text, env={}))["listeners"]
    assert listener["access_rules"] == ["deny 10.0.0.0/8", "allow ::1/128", "deny all"]


def test_policy_values(policy: dict[str, Any]) -> None:
    listeners = policy["authentication"]["listeners"]
    assert set(listeners) == {"tcp:default", "tcp:b"}
    assert listeners["tcp:default"] == {
        "enable_authn": "true",
        "chain": None,
        "mountpoint": "",
    }
    assert listeners["tcp:b"]["enable_authn"] == "quick_deny_anonymous"
    assert listeners["tcp:b"]["chain"][0]["key"] == {"kind": "jwks", "endpoint": "https://x/y"}
    assert not policy["use_username_as_clientid"]
    assert policy["zones"]["z"]["use_username_as_clientid"]
    assert policy["zones"]["z"]["client_attrs_init"] == policy["client_attrs_init"]
    assert policy["authentication"]["chain"][1]["verify_claims"] == [["aud", "a"]]


def test_documents_are_json(policy: dict[str, Any], broker: dict[str, Any]) -> None:
    assert json.loads(json.dumps(policy)) == policy
    assert json.loads(json.dumps(broker)) == broker


def test_no_listener_named() -> None:
    [listener] = broker_document(load(text="", env={"EMQX_SECURITY_PROFILE": "legacy"}))[
        "listeners"
    ]
    assert (listener["id"], listener["bind"]) == ("tcp:default", "127.0.0.1:1883")
    off = load(text="listeners.tcp.default.enable = false", env={})
    assert broker_document(off)["listeners"] == []


# -- nothing is ignored in silence ------------------------------------------------------------

POLICY_KEYS = {
    "use_username_as_clientid",
    "client_attrs_init",
    "clientid_override",
    "namespace_as_mountpoint",
}
SHARED_KEYS = {"shared_subscription_strategy", "shared_subscription_initial_sticky_pick"}
"""Of all zones alike."""
LISTENER_KEYS = {
    "enable",
    "enabled",
    "bind",
    "enable_authn",
    "authentication",
    "mountpoint",
    "proxy_protocol_timeout",
    "proxy_protocol_trusted",
}
TLS_KEYS = {
    "managed_certs",  # refused
    "certfile",
    "keyfile",
    "password",
    "sni_certificates",
    "verify",
    "verify_peer_ext_key_usage",
    "versions",
    "enable_crl_check",
    "crlfile",
}
WEBSOCKET_KEYS = {
    "mqtt_path",
    "supported_subprotocols",
    "check_origin_enable",
    "allow_origin_absence",
    "check_origins",
    "proxy_address_header",
    "proxy_port_header",
    "proxy_headers_trusted",
    "mqtt_piggyback",
}


def idle(prefix: str) -> set[str]:
    return {path.removeprefix(prefix).split(".")[0] for path in NOT_YET if path.startswith(prefix)}


def carried(document: dict[str, Any]) -> set[str]:
    return {key.removesuffix("_ms") for key in document}


def test_every_option_has_an_effect_or_is_listed(broker: dict[str, Any]) -> None:
    mqtt = keys_of(Mqtt)
    in_zone = carried(broker["zones"][0]["mqtt"]) | POLICY_KEYS
    assert mqtt - in_zone - SHARED_KEYS == idle("mqtt.")
    assert {path.split(".")[-1] for path in NOT_YET if path.startswith("zones.*.mqtt.")} == {
        *SHARED_KEYS
    }
    assert keys_of(Zone) - {"mqtt"} == idle("zones.*.") - {"mqtt"}
    plain, web = broker["listeners"][0], broker_document(WEB)["listeners"][0]
    tls = keys_of(ServerTls) - carried(TLS) - TLS_KEYS
    assert tls == idle("listeners.*.*.ssl_options.")
    listener = keys_of(TcpListener) - carried(plain) - LISTENER_KEYS
    assert keys_of(WsListener) - carried(web) - LISTENER_KEYS <= idle("listeners.*.*.")
    websocket = keys_of(WebSocket) - carried(web["websocket"]) - WEBSOCKET_KEYS
    assert websocket == idle("listeners.*.*.websocket.")
    assert listener == idle("listeners.*.*.") - {"websocket", "ssl_options"}
    elsewhere = {"deliver_rate", "msg_clear_interval"}  # a second name; a timer in Python
    retainer = keys_of(Retainer) - carried(broker["retainer"]) - elsewhere
    assert retainer == idle("retainer.")


@pytest.mark.parametrize("path", [*NOT_YET])
def test_listed_options_exist(path: str) -> None:
    kind = {"ssl_options": "ssl", "websocket": "ws"}.get([*path.split("."), "", "", ""][3], "tcp")
    steps = path.replace("*.*", f"{kind}.default").replace("zones.*", "zones.default").split(".")
    known: Any = load(
        text="listeners { tcp.default {}, ws.default {}, ssl.default { enable = false } }", env={}
    )
    for step in steps:
        known = known[step] if isinstance(known, dict) else getattr(known, step)


def test_listeners_are_told_by_type() -> None:
    assert set(keys_of(Listeners)) == {"tcp", "ssl", "ws", "wss", "unix"}
    assert keys_of(Listener) < keys_of(TcpListener)
