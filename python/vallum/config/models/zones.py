"""`zones.NAME` (spec/management.md section 3): options of the clients of some listeners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from vallum.config.models.mqtt import Mqtt
from vallum.config.models.section import Section


class Zone(Section):
    """`zones.NAME`: what holds for clients of the listeners that name it, instead of the roots."""

    mqtt: Mqtt = Field(default_factory=Mqtt)
    """Options of the root `mqtt`. One that a zone does not set is as in the root."""
    conn_congestion: dict[str, Any] | None = None
    """As the root."""
    durable_sessions: dict[str, Any] | None = None
    """As the root."""
    flapping_detect: dict[str, Any] | None = None
    """As the root."""
    force_gc: dict[str, Any] | None = None
    """As the root."""
    force_shutdown: dict[str, Any] | None = None
    """As the root."""
    overload_protection: dict[str, Any] | None = None
    """As the root."""
    stats: dict[str, Any] | None = None
    """As the root."""


def over(root: Mapping[str, Any], zone: Any) -> Any:
    """The data of a zone with what it does not set taken from the root `mqtt`.

    Objects merge, anything else replaces, as in HOCON. Values are not looked at here: what is no
    object stays what it is, for the model to refuse.
    """
    if not isinstance(zone, dict):
        return zone
    own = zone.get("mqtt", {})
    if not isinstance(own, dict):
        return zone
    base = dict(root)
    for old, new in (  # two names of one option: the zone's own must win under either
        ("keepalive_backoff", "keepalive_multiplier"),
        ("keepalive_multiplier", "keepalive_backoff"),
    ):
        if old in own:
            base.pop(new, None)
    return {**zone, "mqtt": _merged(base, own)}


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = _merged(below, value)
        merged[key] = value
    return merged
