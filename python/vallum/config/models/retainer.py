"""`retainer` (spec/management.md section 3.3): retained messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from vallum.config.models.section import Section, problem
from vallum.config.models.types import (
    Bool,
    Bytesize,
    Duration,
    DurationOrDisabled,
    NonNegativeInt,
    RateLimit,
)


class RetainerBackend(Section):
    """`retainer.backend`: where they are kept."""

    type: Literal["built_in_database"] = "built_in_database"
    """The only type."""
    storage_type: Literal["ram", "disc"] = "ram"
    """Memory, or disk too."""
    max_retained_messages: NonNegativeInt = 0
    """Messages kept; 0: without bound."""
    max_retained_bytes: Bytesize = 1024 * 1024 * 1024
    """Bytes of their topics, properties and payloads; 0: without bound."""
    index_specs: Any = None
    """Means nothing here."""
    enable: Bool = True
    """Must be true: it is the only one."""

    @model_validator(mode="after")
    def _enabled(self) -> RetainerBackend:
        if not self.enable:
            raise problem("no_enabled_backend: it is the only one", "enable")
        return self


class Retainer(Section):
    """`retainer`: how many retained messages are kept, and for how long."""

    enable: Bool = True
    """Whether messages are retained."""
    msg_expiry_interval: Duration = timedelta(0)
    """How long; 0: for ever."""
    msg_expiry_interval_override: DurationOrDisabled = None
    """The most a message is kept, whatever it says itself. None: as long as it says."""
    allow_never_expire: Bool = True
    """Whether `msg_expiry_interval_override` leaves out messages that would stay for ever."""
    msg_clear_interval: Duration = timedelta(0)
    """Time between sweeps that take out what has expired; 0: it stays until its topic is used
    again, and is not sent."""
    max_payload_size: Bytesize = 1024 * 1024
    """Bytes of the largest payload retained."""
    stop_publish_clear_msg: Bool = False
    """Whether the empty message that clears a topic is kept from subscribers."""
    delivery_rate: RateLimit = Field(
        default=None, validation_alias=AliasChoices("delivery_rate", "deliver_rate")
    )
    """Messages sent to new subscriptions, of all clients together; the rest waits. (In EMQX 1000/s
    unless written.)"""
    max_publish_rate: RateLimit = None
    """Messages retained. What is above it is delivered and not retained, so it is not limited
    unless written. (In EMQX 1000/s.)"""
    backend: RetainerBackend = Field(default_factory=RetainerBackend)
    """Where they are kept."""
