"""`mqtt` (spec/management.md section 3.1): limits and behaviour of the protocol."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from vallum.config.models.section import Section, problem
from vallum.config.models.types import (
    Bool,
    Burst,
    Bytesize,
    Duration,
    DurationOrInfinity,
    Expression,
    IndexList,
    Int,
    IntOrInfinity,
    Name,
    OnOff,
    PositiveIntOrInfinity,
    RateLimit,
    Text,
    Timeout,
    TimeoutOrInfinity,
)

MAX_PACKET_BYTES = 268_435_455
"""The largest Remaining Length there is [MQTT-1.5.5-1]; `256MB` is read as this."""

CertField = Literal["disabled", "cn", "dn", "crt", "pem", "md5"]
SharedStrategy = Literal[
    "random",
    "round_robin",
    "round_robin_per_group",
    "sticky",
    "local",
    "hash_topic",
    "hash_clientid",
]

InitialStickyPick = Literal["random", "local", "hash_topic", "hash_clientid"]


class ClientAttribute(Section):
    """`client_attrs_init[]`: one attribute computed from the CONNECT."""

    expression: Expression = Field(min_length=1)
    """What the attribute is set to; not set when it is empty or fails."""
    set_as_attr: Name
    """Name of the attribute."""


class TopicRule(Section):
    """`subscription_max_qos_rules[].topic`: which subscriptions a rule is for."""

    matches: Text | None = None
    """A topic filter that covers the subscription."""
    equals: Text | None = None
    """Exactly this filter."""

    @model_validator(mode="after")
    def _one(self) -> TopicRule:
        if (self.matches is None) == (self.equals is None):
            raise problem("write either 'matches' or 'equals'")
        return self


class MaxQosRule(Section):
    """`subscription_max_qos_rules[]`: caps the QoS of some subscriptions."""

    topic: TopicRule
    """Which subscriptions."""
    qos: Int = Field(ge=0, le=2)
    """The most they are granted."""


class ZoneLimiter(Section):
    """`mqtt.limiter`: rates shared by all clients of the zone; absent means without limit."""

    max_conn_rate: RateLimit = None
    """New connections."""
    max_conn_burst: Burst = None
    """Connections above the rate, once an interval."""
    messages_rate: RateLimit = None
    """Messages received."""
    messages_burst: Burst = None
    """Messages above the rate."""
    bytes_rate: RateLimit = None
    """Payload bytes received."""
    bytes_burst: Burst = None
    """Bytes above the rate."""


def _unless_disabled(value: Any) -> Any:
    return None if value == "disabled" else value


class Mqtt(Section):
    """`mqtt`: what clients may do, and for how long things are kept."""

    idle_timeout: TimeoutOrInfinity = timedelta(seconds=15)
    """Time a client has from the TCP connection to its CONNECT."""
    max_packet_size: Bytesize = 1024 * 1024
    """Bytes of the largest packet accepted."""
    max_clientid_len: Int = Field(default=65535, ge=23, le=65535)
    """Bytes of the longest client identifier."""
    max_topic_levels: Int = Field(default=128, ge=1, le=65535)
    """Levels of the deepest topic."""
    max_topic_alias: Int = Field(default=65535, ge=0, le=65535)
    """Topic aliases a client may use."""
    max_topic_alias_out: Int = Field(default=65535, ge=0, le=65535)
    """Topic aliases used towards an MQTT 5 client that takes some; 0: none."""
    retain_available: Bool = True
    """Whether messages may be retained."""
    wildcard_subscription: Bool = True
    """Whether filters may hold `+` and `#`."""
    shared_subscription: Bool = True
    """Whether `$share/GROUP/FILTER` may be subscribed to."""
    exclusive_subscription: Bool = False
    """Whether `$exclusive/TOPIC` may be subscribed to, by one client at a time."""
    shared_subscription_strategy: SharedStrategy = "round_robin"
    """Which member of a group gets a message."""
    shared_subscription_initial_sticky_pick: InitialStickyPick = "random"
    """Which member a `sticky` group starts with."""
    subscription_message_filter: OnOff = "disable"
    """Filters on the content of messages."""
    ignore_loop_deliver: Bool = False
    """Whether MQTT 3.1.1 clients get no messages of their own."""
    strict_mode: Bool = True
    """Refuse what could be overlooked: control characters, in 3.x lengths longer than needed."""
    response_information: Text = ""
    """Prefix given to clients that ask for Response Information."""
    server_keepalive: Annotated[
        Annotated[Int, Field(ge=1, le=65535)] | None, BeforeValidator(_unless_disabled)
    ] = None
    """Keep Alive in seconds that the server imposes."""
    keepalive_multiplier: float = Field(default=1.5, ge=1, le=65535)
    """Keep Alive times this without a packet ends the connection."""
    keepalive_check_interval: Timeout = timedelta(seconds=30)
    """How often Keep Alive is looked at."""
    retry_interval: TimeoutOrInfinity = None
    """Time after which an unacknowledged message is sent again to a client of MQTT 3.1 or 3.1.1; it
    may take up to twice as long. MQTT 5 forbids that. None: only after reconnecting."""
    use_username_as_clientid: Bool = False
    """Whether the user name replaces the client identifier."""
    peer_cert_as_username: CertField = "disabled"
    """Part of the client certificate that becomes the user name."""
    peer_cert_as_clientid: CertField = "disabled"
    """Part of the client certificate that becomes the client identifier."""
    client_attrs_init: Annotated[tuple[ClientAttribute, ...], IndexList] = ()
    """Client attributes computed from the CONNECT."""
    clientid_override: Annotated[
        Annotated[Expression, Field(min_length=1)] | None, BeforeValidator(_unless_disabled)
    ] = None
    """What the client identifier is replaced by; None: nothing."""
    namespace_as_mountpoint: Bool = False
    """Whether a client's namespace (its attribute `tns`), followed by `/`, is put in front of its
    topics, where its listener has no `mountpoint`."""
    session_expiry_interval: Duration = timedelta(hours=2)
    """How long the session of an MQTT 3.1.1 client is kept after it left."""
    max_session_expiry_interval: DurationOrInfinity = None
    """The most an MQTT 5 client gets."""
    message_expiry_interval: DurationOrInfinity = None
    """How long messages are kept at most."""
    max_awaiting_rel: IntOrInfinity = 100
    """QoS 2 messages of a client that wait for its PUBREL."""
    await_rel_timeout: Timeout = timedelta(seconds=300)
    """How long they wait."""
    max_qos_allowed: Int = Field(default=2, ge=0, le=2)
    """Highest QoS."""
    subscription_max_qos_rules: Annotated[tuple[MaxQosRule, ...], IndexList] = ()
    """The first that fits caps the QoS granted."""
    mqueue_priorities: Annotated[
        dict[str, Annotated[Int, Field(ge=1, le=255)]] | None, BeforeValidator(_unless_disabled)
    ] = None
    """Topic name (no filter) to the priority of its messages in the queue: the highest is sent
    first, and at `max_mqueue_len` the oldest of the lowest is dropped. None: all are alike."""
    mqueue_default_priority: Literal["highest", "lowest"] = "lowest"
    """Priority of topics not listed."""
    mqueue_store_qos0: Bool = True
    """Whether QoS 0 messages are queued for a client that cannot take them now."""
    max_mqueue_len: IntOrInfinity = 1000
    """Messages queued for a client; 0 and infinity: without bound."""
    max_inflight: Int = Field(default=32, ge=1, le=65535)
    """QoS 1 and 2 messages sent and not yet acknowledged."""
    max_filters_per_packet: Int = Field(default=10_000, ge=1, le=268_435_455)
    """Filters of one SUBSCRIBE or UNSUBSCRIBE. Those beyond are refused with 0x97; an UNSUBSCRIBE
    with more ends the connection."""
    max_subscriptions: PositiveIntOrInfinity = None
    """Subscriptions of one client."""
    upgrade_qos: Bool = False
    """Whether a message is sent with the QoS of the subscription when that is higher."""
    limiter: ZoneLimiter = Field(default_factory=ZoneLimiter)
    """Rates shared by all clients."""

    @field_validator("max_packet_size", mode="after")
    @classmethod
    def _packet_size(cls, value: int) -> int:
        if value == MAX_PACKET_BYTES + 1:
            return MAX_PACKET_BYTES
        if not 1 <= value <= MAX_PACKET_BYTES:
            raise problem(f"must be between 1 and {MAX_PACKET_BYTES} bytes")
        return value

    @field_validator("mqueue_priorities", mode="after")
    @classmethod
    def _topic_names(cls, value: dict[str, int] | None) -> dict[str, int] | None:
        for topic in value or ():
            if not topic or "+" in topic.split("/") or "#" in topic.split("/"):
                raise problem("a topic name, not a filter: wildcards match nothing here", topic)
        return value

    @model_validator(mode="before")
    @classmethod
    def _backoff(cls, data: Any, info: ValidationInfo) -> Any:
        """`keepalive_backoff` is the old name of half of `keepalive_multiplier`."""
        if isinstance(data, dict) and "keepalive_backoff" in data:
            data = dict(data)
            old = data.pop("keepalive_backoff")
            if not isinstance(old, int | float) or isinstance(old, bool) or not 0.5 <= old <= 32767:
                raise problem("must be a number of at least 0.5", "keepalive_backoff")
            data.setdefault("keepalive_multiplier", old * 2)
        return data
