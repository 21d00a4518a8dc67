"""Options that are read and checked, and do nothing in this version.

Setting one to something else than its default gives a warning (`NOT_YET`), or a fault where running
without it would let somebody in, or break what it is for (`REFUSED`). So nothing is ignored in
silence. A test holds these tables against what the documents of `compiled` carry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import AliasChoices

from vallum.config.hocon import ObjectNode
from vallum.config.hocon.source import Report
from vallum.config.models import Section
from vallum.config.paths import Step, dotted, find, locate

_LIMITS = "rate limits are not enforced yet"
_FORWARDED = "HTTP headers are believed from nobody: use proxy_protocol"
_IDLE = "it means nothing to this broker"
_RENEGOTIATION = "renegotiation is never allowed"
_ROOT = "the root of this name does nothing yet"
_GROUPS = "groups have members of all zones: set it in the root mqtt"
_CACHE = "verdicts and answers are not cached: every decision is made afresh"

NOT_YET: dict[str, str] = {
    "authentication_settings.node_cache": _CACHE,
    "authorization.builtin_record_count_refresh_interval": "there is no built-in database yet",
    "authorization.cache": _CACHE,
    "authorization.node_cache": _CACHE,
    "dashboard": "API and dashboard are not served yet",
    "listeners.*.*.acceptors": _IDLE,
    "listeners.*.*.allow_log_packet_data_from": "packets are never logged",
    "listeners.*.*.bytes_burst": _LIMITS,
    "listeners.*.*.bytes_rate": _LIMITS,
    "listeners.*.*.delivery_bytes_burst": _LIMITS,
    "listeners.*.*.delivery_bytes_rate": _LIMITS,
    "listeners.*.*.delivery_messages_burst": _LIMITS,
    "listeners.*.*.delivery_messages_rate": _LIMITS,
    "listeners.*.*.max_conn_burst": _LIMITS,
    "listeners.*.*.max_conn_rate": _LIMITS,
    "listeners.*.*.messages_burst": _LIMITS,
    "listeners.*.*.messages_rate": _LIMITS,
    "listeners.*.*.parse_unit": _IDLE,
    "listeners.*.*.ssl_options.client_renegotiation": _RENEGOTIATION,
    "listeners.*.*.ssl_options.gc_after_handshake": _IDLE,
    "listeners.*.*.ssl_options.hibernate_after": _IDLE,
    "listeners.*.*.ssl_options.log_level": "a failed handshake is one line of the log",
    "listeners.*.*.ssl_options.secure_renegotiate": _RENEGOTIATION,
    "listeners.*.*.subscribes_burst": _LIMITS,
    "listeners.*.*.subscribes_rate": _LIMITS,
    "listeners.*.*.tcp_backend": _IDLE,
    "listeners.*.*.tcp_options.active_n": _IDLE,
    "listeners.*.*.tcp_options.buffer": "buffers are shared by all connections",
    "listeners.*.*.tcp_options.high_watermark": "the bound of unsent bytes is fixed",
    "listeners.*.*.tcp_options.keepalive": "MQTT's own Keep Alive is what counts",
    "listeners.*.*.tcp_options.nodelay": "it is always on",
    "listeners.*.*.tcp_options.nolinger": _IDLE,
    "listeners.*.*.tcp_options.recbuf": "the system chooses",
    "listeners.*.*.tcp_options.reuseaddr": "it is always on",
    "listeners.*.*.tcp_options.send_timeout": "a slow reader never blocks a writer here",
    "listeners.*.*.tcp_options.send_timeout_close": "a slow reader never blocks a writer here",
    "listeners.*.*.tcp_options.sndbuf": "the system chooses",
    "listeners.*.*.websocket.compress": "frames are never compressed",
    "listeners.*.*.websocket.deflate_opts": "frames are never compressed",
    "listeners.*.*.websocket.idle_timeout": "MQTT's own Keep Alive is what counts",
    "listeners.*.*.websocket.mqtt_piggyback": "a frame may always hold several packets",
    "listeners.*.*.websocket.proxy_address_header": _FORWARDED,
    "listeners.*.*.websocket.proxy_port_header": _FORWARDED,
    "listeners.*.*.websocket.validate_utf8": "text frames are always refused",
    "log.audit": "there is no audit log yet",
    "log.console.payload_encode": "payloads are never logged",
    "log.console.time_offset": "times are in UTC",
    "log.file": "lines go to standard error only",
    "log.throttling": "a refusal is written once a minute for each client and reason",
    "mqtt.keepalive_check_interval": "Keep Alive is watched all the time",
    "mqtt.limiter": _LIMITS,
    "mqtt.subscription_message_filter": "messages are not filtered by content yet",
    "retainer.allow_never_expire": "msg_expiry_interval alone decides",
    "retainer.backend.storage_type": "retained messages are kept in memory",
    "retainer.delivery_rate": _LIMITS,
    "retainer.max_publish_rate": _LIMITS,
    "retainer.msg_clear_interval": "expired messages go when they are met",
    "retainer.msg_expiry_interval_override": "the message and msg_expiry_interval decide",
    "zones.*.conn_congestion": _ROOT,
    "zones.*.durable_sessions": _ROOT,
    "zones.*.flapping_detect": _ROOT,
    "zones.*.force_gc": _ROOT,
    "zones.*.force_shutdown": _ROOT,
    "zones.*.mqtt.shared_subscription_initial_sticky_pick": _GROUPS,
    "zones.*.mqtt.shared_subscription_strategy": _GROUPS,
    "zones.*.overload_protection": _ROOT,
    "zones.*.stats": _ROOT,
}
"""Path (`*` stands for any key) to why it does nothing. What is said of `mqtt` holds in zones."""

REFUSED: dict[str, str] = {
    "authorization.include_mountpoint": "mountpoints are",
    "listeners.*.*.mountpoint": "mountpoints are",
    "listeners.*.*.ssl_options.managed_certs": "managed certificates are (see sni_certificates)",
    "mqtt.namespace_as_mountpoint": "mountpoints are",
}
"""Path to what is not available; any value but the default is a fault."""


Models = Mapping[str, Section | Mapping[str, Section]]
"""Models by root; of `zones`, one by name."""


def check(tree: ObjectNode, models: Models, report: Report) -> None:
    """Warn of what does nothing; refuse what must not be ignored. One warning for each option."""
    for pattern, reason in NOT_YET.items():
        places = _changed(tree, models, pattern)
        if places:
            shown = ", ".join(dotted(place) for place in places)
            report.warn(f"no effect in this version: {reason}", locate(tree, places[0]), shown)
    for pattern, what in REFUSED.items():
        for place in _changed(tree, models, pattern):
            problem = f"{what} not available in this version; without it this would not be safe"
            report.fault(problem, locate(tree, place), dotted(place))


def _changed(tree: ObjectNode, models: Models, pattern: str) -> list[tuple[Step, ...]]:
    """Paths the text sets to something else than the default."""
    patterns = [pattern, f"zones.*.{pattern}"] if pattern.startswith("mqtt.") else [pattern]
    places = [place for each in patterns for place in find(tree, each.split("."))]
    return [place for place in places if _differs(models, [*place])]


def _differs(models: Models, path: Sequence[Step]) -> bool:
    value: Any = models.get(str(path[0]))
    default: Any = None
    if value is not None and len(path) == 1:
        return bool(value != type(value)())
    for step in path[1:]:
        if isinstance(value, Section):
            name = _field_of(type(value), str(step))
            if name is None:
                return False
            default = type(value).model_fields[name].get_default(call_default_factory=True)
            value = getattr(value, name)
        elif isinstance(value, Mapping):
            value, default = value.get(str(step)), None
        else:
            return False
    return bool(value != default)


def _field_of(model: type[Section], key: str) -> str | None:
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        known = alias.choices if isinstance(alias, AliasChoices) else [alias or name, name]
        if key in known:
            return name
    return None
