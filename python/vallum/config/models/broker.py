"""`broker`: inner workings of the reference; only strategies of groups mean anything here."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from vallum.config.models.mqtt import InitialStickyPick, SharedStrategy
from vallum.config.models.section import Section
from vallum.config.models.types import Name


class SharedGroup(Section):
    """`broker.shared_subscription_group.NAME`: a group with a strategy of its own."""

    strategy: SharedStrategy = "random"
    """Which member of the group gets a message."""
    initial_sticky_pick: InitialStickyPick = "random"
    """Which member a `sticky` group starts with."""


class BrokerRoot(Section):
    """`broker`: keys other than `shared_subscription_group` are accepted and mean nothing."""

    model_config = ConfigDict(extra="ignore")

    shared_subscription_group: dict[Name, SharedGroup] = Field(default_factory=dict)
    """Groups, by name, that have a strategy of their own."""
