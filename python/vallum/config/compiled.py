"""The two documents that cross to Rust, once, as JSON; no other side fills in a default.

`policy_document` is read by `rust/policy/src/pipeline/config.rs`, `broker_document` by
`rust/broker/src/config`. Both refuse unknown and missing members, so the keys are listed here
and held against those files by a test. Units: `_ms` milliseconds, other times seconds (rounded up),
sizes bytes; null is "no bound" or "none".

broker:    version, loops, listeners[], zones[name, mqtt] (`default` first), max_outbox_bytes,
           shared_subscription{strategy, initial_sticky_pick}, retainer, broker
listeners: id, bind (address, or {path, mode} of a Unix socket), max_connections,
           zone (index), backlog,
           socket{nodelay, keepalive[idle, interval, probes], sndbuf, recbuf},
           send_timeout (null: never), max_conn_rate{amount, per_ms} (null: no limit),
           max_conn_burst{amount, per_ms} (null: none), access_rules[],
           proxy_protocol{timeout_ms, trusted[]} (null: off),
           websocket{path, max_frame_size, fail_if_no_subprotocol, subprotocols[],
           origins{allow_absence, allowed[]} (null: not looked at),
           forwarded{address_header, port_header, trusted[]} (null: believed from nobody),
           idle_timeout, one_packet_a_frame} (null: plain TCP),
           tls{...} (null: in clear): `server_tls.document`
mqtt:      idle_timeout_ms, max_packet_size, max_clientid_len, max_topic_levels, max_topic_alias,
           max_topic_alias_out, response_information, max_qos_allowed, retain_available,
           wildcard_subscription, shared_subscription,
           exclusive_subscription, subscription_max_qos_rules[matches, equals, qos],
           server_keepalive, keepalive_multiplier, session_expiry_interval,
           max_session_expiry_interval, message_expiry_interval, max_awaiting_rel,
           await_rel_timeout, max_inflight, max_mqueue_len (0: no bound), mqueue_store_qos0,
           mqueue_priorities{TOPIC}, mqueue_default_priority, retry_interval,
           max_filters_per_packet, max_subscriptions, upgrade_qos, ignore_loop_deliver,
           strict_mode,
           peer_cert_as_username, peer_cert_as_clientid
retainer:  enable, max_payload_size, max_retained_messages, max_retained_bytes (0: no bound),
           msg_expiry_interval_ms (0: for ever), msg_expiry_interval_override_ms,
           allow_never_expire, stop_publish_clear_msg, delivery_rate{amount, per_ms},
           max_publish_rate (like that)
root:      auto_subscribe[topic, qos, no_local, retain_as_published, retain_handling]
           delayed{enable, max_delayed_messages}
           sys_topics{prefix, retained[], client_connected, client_disconnected,
           client_subscribed, client_unsubscribed}
           broker{shared_subscription_group{NAME{strategy, initial_sticky_pick}}}

policy:    version, profile, use_username_as_clientid, client_attrs_init[expression, set_as_attr],
           clientid_override, namespace_as_mountpoint, zones{NAME{these four}} (all but `default`),
           authentication[ignore_backend_failures, chain, listeners{enable_authn, chain,
           mountpoint}],
           authorization[no_match, deny_action, ignore_backend_failures,
           include_mountpoint, topic_template_allow{plus, hash, slash},
           sources[type, enable, precondition, path, text]],
           rewrite[action, source_topic, re, dest_topic]
cinfo:     mechanism, id, enable, precondition, checks[is_match[], result]
jwt:       mechanism, id, enable, precondition, from, key, verify_claims[[name, template]],
           acl_claim_name, disconnect_after_expire, on_missing_jwt
external:  mechanism, id, enable, precondition, handle, auth_method
key:       kind = hmac, secret_base64 | kind = public_key, pem | kind = jwks, endpoint
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from vallum.config import server_tls
from vallum.config.hocon import ObjectNode, Origin
from vallum.config.load import Config
from vallum.config.models import (
    AnyAuthenticator,
    AuthenticationRoot,
    Cinfo,
    Context,
    JwtHmac,
    JwtJwks,
    JwtPublicKey,
    Listener,
    Mqtt,
    Profile,
    UnixListener,
    WsListener,
    authenticator_id,
    bind_of,
)
from vallum.config.models.listeners import TcpOptions, WebSocket
from vallum.config.models.types import Rate
from vallum.config.translate import faults_of
from vallum.errors import ConfigError, Fault

VERSION = 1
"""Of both documents."""
MAX_OUTBOX_BYTES = 1024 * 1024
"""Bytes that may wait for one slow connection (the reference's `high_watermark`); deliveries beyond
that are queued or dropped."""
MAX_DELAYED_MESSAGES = 100_000
"""Delayed messages held at a time if the configuration names no bound."""
_LOOPBACK = ("127.0.0.0/8", "::1")
_EVERYBODY = ("0.0.0.0/0", "::/0")
_U32_MAX = 2**32 - 1
_U16_MAX = 2**16 - 1
_MAX_BACKLOG = _MAX_BUFFER = 2**31 - 1


def policy_document(config: Config, methods: Sequence[str] = ()) -> dict[str, Any]:
    """Who may connect and what they may do. It holds secrets: never log it.

    Each of `methods` becomes a stage at the end of every chain. Its place there does not matter: no
    other stage decides about clients that use a method.

    Raises:
        ConfigError: a secret's file has become unreadable since the configuration was loaded.
    """
    authorization = config.authorization
    return {
        "version": VERSION,
        "profile": config.profile,
        **_identity(config.zones["default"].mqtt),
        "zones": {
            name: _identity(zone.mqtt) for name, zone in config.zones.items() if name != "default"
        },
        "authentication": {
            "ignore_backend_failures": config.authentication_settings.ignore_backend_failures,
            "chain": _chain(config.authentication, config.profile, methods),
            "listeners": {
                f"{kind}:{name}": {
                    "enable_authn": listener.enable_authn,
                    "chain": _chain(listener.authentication, config.profile, methods)
                    if listener.authentication
                    else None,
                    "mountpoint": listener.mountpoint,
                }
                for kind, name, listener in config.enabled_listeners()
            },
        },
        "rewrite": [
            {
                "action": rule.action,
                "source_topic": rule.source_topic,
                "re": rule.re,
                "dest_topic": rule.dest_topic,
            }
            for rule in config.rewrite
        ],
        "authorization": {
            "no_match": authorization.no_match,
            "deny_action": authorization.deny_action,
            "ignore_backend_failures": authorization.ignore_backend_failures,
            "include_mountpoint": authorization.include_mountpoint,
            "topic_template_allow": {
                "plus": authorization.topic_template_allow.plus,
                "hash": authorization.topic_template_allow.hash,
                "slash": authorization.topic_template_allow.slash,
            },
            "sources": [
                {
                    "type": source.type,
                    "enable": source.enable,
                    "precondition": source.precondition or None,
                    "path": source.shown,
                    "text": source.rules or "",
                }
                for source in authorization.sources
            ],
        },
    }


def _identity(mqtt: Mqtt) -> dict[str, Any]:
    """Who the clients of a zone are taken for."""
    return {
        "use_username_as_clientid": mqtt.use_username_as_clientid,
        "client_attrs_init": [
            {"expression": entry.expression, "set_as_attr": entry.set_as_attr}
            for entry in mqtt.client_attrs_init
        ],
        "clientid_override": mqtt.clientid_override,
        "namespace_as_mountpoint": mqtt.namespace_as_mountpoint,
    }


def _chain(
    chain: tuple[AnyAuthenticator, ...], profile: Profile, methods: Sequence[str]
) -> list[dict[str, Any]] | None:
    stages = [_stage(stage, profile) for stage in chain]
    stages += [_external(method, handle) for handle, method in enumerate(methods)]
    return stages or None


def _external(method: str, handle: int) -> dict[str, Any]:
    return {
        "mechanism": "external",
        "id": f"enhanced:{method}",
        "enable": True,
        "precondition": None,
        "handle": handle,
        "auth_method": method,
    }


def _stage(stage: AnyAuthenticator, profile: Profile) -> dict[str, Any]:
    head: dict[str, Any] = {
        "mechanism": stage.mechanism,
        "id": authenticator_id(stage),
        "enable": stage.enable,
        "precondition": stage.precondition or None,
    }
    if isinstance(stage, Cinfo):
        checks = [{"is_match": [*each.is_match], "result": each.result} for each in stage.checks]
        return {**head, "checks": checks}
    return {
        **head,
        "from": stage.from_,
        "key": _key(stage),
        "verify_claims": [[name, template] for name, template in stage.verify_claims],
        "acl_claim_name": stage.acl_claim_name,
        "disconnect_after_expire": stage.disconnect_after_expire,
        "on_missing_jwt": stage.on_missing_jwt or ("deny" if profile == "hardened" else "ignore"),
    }


def _key(stage: JwtHmac | JwtPublicKey | JwtJwks) -> dict[str, str]:
    if isinstance(stage, JwtHmac):
        try:
            key = stage.key()
        except (OSError, ValueError) as error:  # its file changed after it was checked
            raise ConfigError.of("authentication.secret", str(error)) from error
        return {"kind": "hmac", "secret_base64": base64.b64encode(key).decode("ascii")}
    if isinstance(stage, JwtPublicKey):
        return {"kind": "public_key", "pem": stage.public_key}
    return {"kind": "jwks", "endpoint": stage.endpoint}


def jwt_stage(
    config: Mapping[str, Any], profile: Profile = "hardened", context: Context | None = None
) -> dict[str, Any]:
    """The `jwt` stage of one authenticator given as an object, for `vallum.jwt`.

    `mechanism` may be left out. The paths of faults start at the object itself.

    Raises:
        ConfigError: with every fault that was found.
    """
    context = context or Context(profile)
    data = {"authentication": [{"mechanism": "jwt", **config}]}
    try:
        root = AuthenticationRoot.check(data, context)
    except ValidationError as error:
        tree = ObjectNode({}, Origin())
        found = faults_of(error, data, tree, context)
        raise ConfigError(
            Fault(fault.path.removeprefix("authentication[0]").removeprefix("."), fault.problem)
            for fault in found
        ) from None
    stage = root.authentication[0]
    if isinstance(stage, Cinfo):
        raise ConfigError.of("mechanism", "must be jwt")
    return _stage(stage, profile)


def broker_document(config: Config, *, loops: int = 0) -> dict[str, Any]:
    """What the data plane needs to start; `loops` 0 means one event loop per core.

    It may hold passwords of keys: never log it.

    Raises:
        ConfigError: a secret's file has become unreadable since the configuration was loaded.
    """
    mqtt, retainer = config.mqtt, config.retainer
    events = config.sys_topics.sys_event_messages
    zones = [*config.zones]
    return {
        "version": VERSION,
        "loops": loops,
        "listeners": [
            {
                "id": f"{kind}:{name}",
                "bind": bind,
                "max_connections": listener.max_connections,
                "zone": zones.index(listener.zone),
                "backlog": min(listener.tcp_options.backlog, _MAX_BACKLOG),
                "socket": _socket(listener.tcp_options),
                "send_timeout": _send_timeout(listener.tcp_options),
                "max_conn_rate": _rate(listener.max_conn_rate),
                "max_conn_burst": _rate(listener.max_conn_burst),
                "access_rules": [_access_rule(rule) for rule in listener.access_rules],
                "proxy_protocol": _proxy_protocol(listener, config.profile),
                "websocket": _websocket(listener, config.profile),
                "tls": _tls(listener, config),
            }
            for kind, name, listener in config.enabled_listeners()
            if (bind := _bind(kind, name, listener, config.profile)) is not None
        ],
        "zones": [{"name": name, "mqtt": _mqtt(zone.mqtt)} for name, zone in config.zones.items()],
        "max_outbox_bytes": MAX_OUTBOX_BYTES,
        "shared_subscription": {
            "strategy": mqtt.shared_subscription_strategy,
            "initial_sticky_pick": mqtt.shared_subscription_initial_sticky_pick,
        },
        "retainer": {
            "enable": retainer.enable,
            "max_payload_size": retainer.max_payload_size,
            "max_retained_messages": retainer.backend.max_retained_messages,
            "max_retained_bytes": retainer.backend.max_retained_bytes,
            "msg_expiry_interval_ms": _ms(retainer.msg_expiry_interval),
            "msg_expiry_interval_override_ms": _optional_ms(retainer.msg_expiry_interval_override),
            "allow_never_expire": retainer.allow_never_expire,
            "stop_publish_clear_msg": retainer.stop_publish_clear_msg,
            "delivery_rate": _rate(retainer.delivery_rate),
            "max_publish_rate": _rate(retainer.max_publish_rate),
        },
        "delayed": {
            "enable": config.delayed.enable,
            "max_delayed_messages": config.delayed.max_delayed_messages or MAX_DELAYED_MESSAGES,
        },
        "sys_topics": {
            "prefix": f"$SYS/brokers/{config.node.name}/",
            "retained": [
                "$SYS/brokers",
                *(f"$SYS/brokers/{config.node.name}/{each}" for each in ("version", "sysdescr")),
            ],
            "client_connected": events.client_connected,
            "client_disconnected": events.client_disconnected,
            "client_subscribed": events.client_subscribed,
            "client_unsubscribed": events.client_unsubscribed,
        },
        "auto_subscribe": [
            {
                "topic": each.topic,
                "qos": each.qos,
                "no_local": each.nl == 1,
                "retain_as_published": each.rap == 1,
                "retain_handling": each.rh,
            }
            for each in config.auto_subscribe.topics
        ],
        "broker": {
            "shared_subscription_group": {
                name: {"strategy": group.strategy, "initial_sticky_pick": group.initial_sticky_pick}
                for name, group in config.broker.shared_subscription_group.items()
            },
        },
    }


def _mqtt(mqtt: Mqtt) -> dict[str, Any]:
    return {
        "idle_timeout_ms": None if mqtt.idle_timeout is None else _ms(mqtt.idle_timeout),
        "max_packet_size": mqtt.max_packet_size,
        "max_clientid_len": mqtt.max_clientid_len,
        "max_topic_levels": mqtt.max_topic_levels,
        "max_topic_alias": mqtt.max_topic_alias,
        "max_topic_alias_out": mqtt.max_topic_alias_out,
        "response_information": mqtt.response_information,
        "max_qos_allowed": mqtt.max_qos_allowed,
        "retain_available": mqtt.retain_available,
        "wildcard_subscription": mqtt.wildcard_subscription,
        "shared_subscription": mqtt.shared_subscription,
        "exclusive_subscription": mqtt.exclusive_subscription,
        "subscription_max_qos_rules": [
            {"matches": rule.topic.matches, "equals": rule.topic.equals, "qos": rule.qos}
            for rule in mqtt.subscription_max_qos_rules
        ],
        "server_keepalive": mqtt.server_keepalive,
        "keepalive_multiplier": float(mqtt.keepalive_multiplier),
        "session_expiry_interval": _seconds(mqtt.session_expiry_interval),
        "max_session_expiry_interval": _seconds(mqtt.max_session_expiry_interval),
        "message_expiry_interval": _seconds(mqtt.message_expiry_interval),
        "max_awaiting_rel": _at_most(mqtt.max_awaiting_rel, _U16_MAX),
        "await_rel_timeout": _seconds(mqtt.await_rel_timeout),
        "max_inflight": mqtt.max_inflight,
        "max_mqueue_len": mqtt.max_mqueue_len or 0,
        "mqueue_priorities": mqtt.mqueue_priorities,
        "mqueue_default_priority": mqtt.mqueue_default_priority,
        "mqueue_store_qos0": mqtt.mqueue_store_qos0,
        "retry_interval": _seconds(mqtt.retry_interval) or None,
        "max_filters_per_packet": mqtt.max_filters_per_packet,
        "max_subscriptions": mqtt.max_subscriptions,
        "upgrade_qos": mqtt.upgrade_qos,
        "ignore_loop_deliver": mqtt.ignore_loop_deliver,
        "strict_mode": mqtt.strict_mode,
        "peer_cert_as_username": _unless_disabled(mqtt.peer_cert_as_username),
        "peer_cert_as_clientid": _unless_disabled(mqtt.peer_cert_as_clientid),
    }


def _bind(
    kind: str, name: str, listener: Listener, profile: Profile
) -> str | dict[str, str | int] | None:
    if isinstance(listener, UnixListener):
        return {"path": listener.path, "mode": int(listener.mode, 8)}
    bind = bind_of(kind, name, listener)
    return None if bind is None else bind.resolved(loopback=profile == "hardened")


def _socket(options: TcpOptions) -> dict[str, Any]:
    return {
        "nodelay": options.nodelay,
        "keepalive": options.keepalive and [*options.keepalive],
        "sndbuf": _at_most(options.sndbuf, _MAX_BUFFER),
        "recbuf": _at_most(options.recbuf, _MAX_BUFFER),
    }


def _send_timeout(options: TcpOptions) -> int | None:
    return max(_seconds(options.send_timeout) or 0, 1) if options.send_timeout_close else None


def _rate(rate: Rate | None) -> dict[str, int] | None:
    if rate is None:
        return None
    return {"amount": min(rate.amount, _U32_MAX), "per_ms": _ms(rate.per)}


def _access_rule(rule: str) -> str:
    verb, who = rule.split(" ")
    return rule if who == "all" else f"{verb} {_network(who)}"


def _network(text: str) -> str:
    """A block as Rust reads it: with a prefix length, whatever way it was written."""
    return str(ipaddress.ip_network(text, strict=False))


def _proxy_protocol(listener: Listener, profile: Profile) -> dict[str, Any] | None:
    if not listener.proxy_protocol:
        return None
    trusted = listener.proxy_protocol_trusted
    if trusted is None:
        trusted = _LOOPBACK if profile == "hardened" else _EVERYBODY
    return {
        "timeout_ms": _ms(listener.proxy_protocol_timeout),
        "trusted": [_network(block) for block in trusted],
    }


def _websocket(listener: Listener, profile: Profile) -> dict[str, Any] | None:
    if not isinstance(listener, WsListener):
        return None
    options = listener.websocket
    return {
        "path": options.mqtt_path,
        "max_frame_size": options.max_frame_size,
        "fail_if_no_subprotocol": options.fail_if_no_subprotocol,
        "subprotocols": [*options.supported_subprotocols],
        "origins": {
            "allow_absence": options.allow_origin_absence,
            "allowed": [*options.check_origins],
        }
        if options.check_origin_enable
        else None,
        "forwarded": _forwarded(options, profile),
        "idle_timeout": _seconds(options.idle_timeout),
        "one_packet_a_frame": options.mqtt_piggyback == "single",
    }


def _forwarded(options: WebSocket, profile: Profile) -> dict[str, Any] | None:
    trusted = options.proxy_headers_trusted
    if trusted is None:
        trusted = () if profile == "hardened" else _EVERYBODY
    if not trusted:
        return None
    return {
        "address_header": options.proxy_address_header,
        "port_header": options.proxy_port_header,
        "trusted": [_network(block) for block in trusted],
    }


def _tls(listener: Listener, config: Config) -> dict[str, Any] | None:
    options = server_tls.options_of(listener)
    if options is None:
        return None
    try:
        return server_tls.document(options, config.crl_cache.capacity)
    except (OSError, ValueError) as error:  # its file changed after it was checked
        raise ConfigError.of("listeners", str(error)) from error


def _unless_disabled(value: str) -> str | None:
    return None if value == "disabled" else value


def _ms(value: timedelta) -> int:
    return value // timedelta(milliseconds=1)


def _optional_ms(value: timedelta | None) -> int | None:
    return None if value is None else _ms(value)


def _seconds(value: timedelta | None) -> int | None:
    """Whole seconds, rounded up; more than a 32-bit field holds means its largest value."""
    return None if value is None else min(-(-value // timedelta(seconds=1)), _U32_MAX)


def _at_most(value: int | None, most: int) -> int | None:
    return None if value is None else min(value, most)
