"""`auto_subscribe`, `rewrite`, `delayed`: what the broker makes of topics on its own account."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from vallum.config.models.section import Section, problem
from vallum.config.models.types import IndexList, Int, Text

MAX_AUTO_SUBSCRIPTIONS = 20
"""As in the reference."""

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_.]+)\}")
_AUTO_SUBSCRIBE = ("clientid", "username", "host", "port")


class AutoSubscription(Section):
    """`auto_subscribe.topics[]`: a subscription that every client gets when it connects."""

    topic: Text = Field(min_length=1)
    """The filter, with `${clientid}`, `${username}`, `${host}` and `${port}` of the client."""
    qos: Int = Field(default=0, ge=0, le=2)
    """Highest QoS of messages."""
    rh: Int = Field(default=0, ge=0, le=2)
    """Retained messages: 0 always, 1 if the subscription is new, 2 never."""
    rap: Int = Field(default=0, ge=0, le=1)
    """1: messages keep their RETAIN flag."""
    nl: Int = Field(default=0, ge=0, le=1)
    """1: the client does not get its own messages."""

    @field_validator("topic", mode="after")
    @classmethod
    def _known(cls, value: str) -> str:
        for name in _PLACEHOLDER.findall(value):
            if name not in _AUTO_SUBSCRIBE:
                known = ", ".join(f"${{{each}}}" for each in _AUTO_SUBSCRIBE)
                raise problem(f"unknown variable ${{{name[:60]}}}; there are {known}")
        return value


class AutoSubscribe(Section):
    """`auto_subscribe`: subscriptions that clients need not make."""

    topics: Annotated[
        tuple[AutoSubscription, ...], IndexList, Field(max_length=MAX_AUTO_SUBSCRIPTIONS)
    ] = ()
    """At most 20. In hardened a client gets those it may make itself."""


class Rewrite(Section):
    """`rewrite[]`: another topic in place of the one a client names."""

    action: Literal["publish", "subscribe", "all"]
    """Which packets: `publish` also means wills, `subscribe` also UNSUBSCRIBE."""
    source_topic: Text
    """A filter. The last rule whose filter matches counts, and no other."""
    re: Text
    """Regular expression; if it is not found in the topic, the topic stays."""
    dest_topic: Text
    """The new topic, with `$1` to `$9` for the groups of `re`, `${clientid}` and `${username}`."""


class RewriteRoot(Section):
    """The root `rewrite`, which is an array."""

    rewrite: Annotated[tuple[Rewrite, ...], IndexList] = ()
    """Rules."""
