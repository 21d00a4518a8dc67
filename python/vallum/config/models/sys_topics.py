"""`sys_topics` (spec/management.md sections 3.6 and 8.4): what the broker says about itself."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, field_validator

from vallum.config.models.section import Section, problem
from vallum.config.models.types import Bool, DurationOrDisabled


class SysEventMessages(Section):
    """`sys_topics.sys_event_messages`: messages about clients, below `clients/CLIENTID/`."""

    client_connected: Bool = True
    """Who connects: `connected`."""
    client_disconnected: Bool = True
    """Who disconnects, and why: `disconnected`."""
    client_subscribed: Bool = False
    """Who subscribes to what: `subscribed`."""
    client_unsubscribed: Bool = False
    """Who ends a subscription: `unsubscribed`."""


class SysTopics(Section):
    """`sys_topics`: messages below `$SYS/brokers/NODE/`."""

    sys_msg_interval: DurationOrDisabled = timedelta(minutes=1)
    """Time between `stats/...` and `metrics/...`; `$SYS/brokers`, `version` and `sysdescr` are kept
    for those who subscribe later. None: no such messages."""
    sys_heartbeat_interval: DurationOrDisabled = timedelta(seconds=30)
    """Time between `uptime` and `datetime`. None: no such messages."""
    sys_event_messages: SysEventMessages = Field(default_factory=SysEventMessages)
    """Messages about clients."""

    @field_validator("sys_msg_interval", "sys_heartbeat_interval", mode="after")
    @classmethod
    def _at_least(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value < timedelta(seconds=1):
            raise problem("must be at least 1s, or disabled")
        return value
