"""The roots of a configuration: ours, those that mean nothing here, and those that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from vallum.config.hocon import Node, ObjectNode, ScalarNode
from vallum.config.hocon.source import Report
from vallum.config.paths import parse

OURS = (
    "authentication",
    "authentication_settings",
    "authorization",
    "auto_subscribe",
    "broker",
    "crl_cache",
    "dashboard",
    "listeners",
    "log",
    "mqtt",
    "node",
    "retainer",
    "rewrite",
    "security_profile",
    "zones",
)
"""Roots this version acts on."""

WITHOUT_EFFECT = frozenset(
    {
        "actions",
        "ai",
        "alarm",
        "api_key",
        "banned",
        "bridges",
        "cluster",
        "conn_congestion",
        "connectors",
        "delayed",
        "durable_sessions",
        "durable_storage",
        "event_message",
        "exhook",
        "file_transfer",
        "flapping_detect",
        "force_gc",
        "force_shutdown",
        "gateway",
        "license",
        "limiter",
        "message_queue",
        "message_transformation",
        "mq",
        "multi_tenancy",
        "opentelemetry",
        "overload_protection",
        "plugins",
        "prometheus",
        "psk_authentication",
        "rpc",
        "rule_engine",
        "schema_registry",
        "schema_validation",
        "session_persistence",
        "slow_subs",
        "sources",
        "stats",
        "statsd",
        "streams",
        "sys_topics",
        "sysmon",
        "telemetry",
        "topic_metrics",
        "trace",
    }
)
"""Roots of the reference that are accepted, with one warning that names those found."""

REFUSED = {
    "banned.bootstrap_file": "",
    "flapping_detect.enable": False,
    "multi_tenancy.allow_only_managed_namespaces": False,
    "multi_tenancy.post_auth_tns_expression": "",
    "psk_authentication.enable": False,
}
"""Protections that would silently be missing: any value but this one is a fault."""


def check(tree: ObjectNode, report: Report) -> None:
    """Report roots that are unknown, without effect, or refused."""
    idle = [name for name in tree.fields if name in WITHOUT_EFFECT]
    for name in tree.fields:
        if name not in WITHOUT_EFFECT and name not in OURS:
            close = get_close_matches(name, [*OURS, *sorted(WITHOUT_EFFECT)], 1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            report.fault(f"unknown root{hint}", tree.key_origins.get(name), name)
    for name, used in (("broker", "shared_subscription_group"), ("node", "data_dir")):
        idle += [f"{name}.{key}" for key in _keys_of(tree, name) if key != used]
    if idle:
        first = tree.key_origins.get(idle[0].split(".")[0])
        report.warn(f"without effect in this version: {', '.join(idle)}", first)
    for path, harmless in REFUSED.items():
        _check_refused(tree, path, harmless, report)
    zones = tree.fields.get("zones")
    for name in zones.fields if isinstance(zones, ObjectNode) else ():
        _check_refused(tree, f"zones.{name}.flapping_detect.enable", False, report)


def _keys_of(tree: ObjectNode, root: str) -> Iterator[str]:
    node = tree.fields.get(root)
    if isinstance(node, ObjectNode):
        yield from node.fields


def _check_refused(tree: ObjectNode, path: str, harmless: object, report: Report) -> None:
    *above, key = (str(step) for step in parse(path))
    node: Node | None = tree
    for step in above:
        node = node.fields.get(step) if isinstance(node, ObjectNode) else None
    if not isinstance(node, ObjectNode) or key not in node.fields:
        return
    value = node.fields[key]
    if isinstance(value, ScalarNode) and value.value in (harmless, None, str(harmless).lower()):
        return
    problem = "not available in this version; without it the protection would silently be missing"
    report.fault(problem, node.key_origins.get(key, value.origin), path)
