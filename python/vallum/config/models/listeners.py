"""`listeners.TYPE.NAME` (spec/management.md section 3.2)."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from vallum.config.models.authentication import Chain
from vallum.config.models.section import Section, problem
from vallum.config.models.tls import ServerTls
from vallum.config.models.types import (
    BindAddress,
    Bool,
    Burst,
    Bytesize,
    BytesizeOrInfinity,
    CommaList,
    Duration,
    IndexList,
    Int,
    IpPort,
    Name,
    PositiveInt,
    PositiveIntOrInfinity,
    RateLimit,
    Text,
    Timeout,
    comma_list,
)

DEFAULT_PORTS = {"tcp": 1883, "ssl": 8883, "ws": 8083, "wss": 8084}
"""Where the listener called `default` of each type binds when it does not say."""

_RULE = re.compile(r"(allow|deny)\s+(\S+)")


def _authn(value: Any) -> Any:
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


EnableAuthn = Annotated[Literal["true", "false", "quick_deny_anonymous"], BeforeValidator(_authn)]


def _access_rules(value: Any) -> Any:
    rules = [value] if isinstance(value, str) else value
    if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
        raise problem('must be an array of texts like "allow 10.0.0.0/8"')
    single = [rule.strip() for line in rules for rule in line.split(",")]
    bad = [rule for rule in single if not _is_access_rule(rule)]
    if bad:
        raise problem(f"invalid_rule(s): {', '.join(bad)[:100]}")
    return tuple(re.sub(r"\s+", " ", rule) for rule in single)


def _is_access_rule(rule: str) -> bool:
    found = _RULE.fullmatch(rule)
    if found is None:
        return False
    if found[2] == "all":
        return True
    try:
        ipaddress.ip_network(found[2], strict=False)
    except ValueError:
        return False
    return True


def _proxies(value: Any) -> Any:
    blocks = comma_list(value)
    for block in blocks:
        try:
            ipaddress.ip_network(block, strict=False)
        except ValueError:
            raise problem(f"not an address or CIDR block: {block[:50]!r}") from None
    return blocks


def _keepalive(value: Any) -> Any:
    if value == "none":
        return None
    parts = value.split(",") if isinstance(value, str) else []
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise problem('must be none or "IDLE,INTERVAL,PROBES", for example "240,30,5"')
    numbers = tuple(int(part) for part in parts)
    if not all(1 <= number <= most for number, most in zip(numbers, (72000, 750, 90), strict=True)):
        raise problem("out of range: idle 1..72000, interval 1..750, probes 1..90")
    return numbers


class TcpOptions(Section):
    """`tcp_options`: of the sockets of a listener."""

    active_n: PositiveInt = 10
    """Packets taken from the socket at once."""
    backlog: PositiveInt = 1024
    """Connections the kernel keeps until they are accepted."""
    send_timeout: Duration = timedelta(seconds=15)
    """How long a write may block."""
    send_timeout_close: Bool = True
    """Whether the connection is closed then."""
    buffer: Bytesize = 4096
    """Bytes of the user-space buffer."""
    recbuf: Bytesize | None = None
    """SO_RCVBUF; None: as the kernel likes."""
    sndbuf: Bytesize | None = None
    """SO_SNDBUF; None: as the kernel likes."""
    high_watermark: Bytesize = 1024 * 1024
    """Unsent bytes from which a connection counts as congested."""
    nodelay: Bool = True
    """TCP_NODELAY."""
    nolinger: Bool = False
    """Close with a reset."""
    reuseaddr: Bool = True
    """SO_REUSEADDR."""
    keepalive: Annotated[tuple[int, int, int] | None, BeforeValidator(_keepalive)] = None
    """Idle and interval seconds and number of TCP keep-alive probes."""


class DeflateOptions(Section):
    """`websocket.deflate_opts`: of compression."""

    level: Literal["none", "default", "best_compression", "best_speed"] = "default"
    """Effort."""
    mem_level: Int = Field(default=8, ge=1, le=9)
    """Memory."""
    strategy: Literal["default", "filtered", "huffman_only", "rle"] = "default"
    """Of zlib."""
    server_context_takeover: Literal["takeover", "no_takeover"] = "takeover"
    """Keep the server's window between messages."""
    client_context_takeover: Literal["takeover", "no_takeover"] = "takeover"
    """Keep the client's window between messages."""
    server_max_window_bits: Int = Field(default=15, ge=8, le=15)
    """Size of the server's window."""
    client_max_window_bits: Int = Field(default=15, ge=8, le=15)
    """Size of the client's window."""


class WebSocket(Section):
    """`websocket`: of `ws` and `wss` listeners."""

    mqtt_path: Text = "/mqtt"
    """Path of the upgrade request."""
    mqtt_piggyback: Literal["single", "multiple"] = "multiple"
    """Whether a frame may hold several packets."""
    compress: Bool = False
    """permessage-deflate."""
    idle_timeout: Duration = timedelta(seconds=7200)
    """Time without a frame after which the connection is closed."""
    max_frame_size: BytesizeOrInfinity = None
    """Bytes of the largest frame."""
    fail_if_no_subprotocol: Bool = True
    """Refuse clients that name no subprotocol."""
    supported_subprotocols: CommaList = ("mqtt", "mqtt-v3", "mqtt-v3.1.1", "mqtt-v5")
    """Subprotocols accepted."""
    check_origin_enable: Bool = False
    """Whether the Origin header is looked at."""
    allow_origin_absence: Bool = True
    """Whether it may be missing then."""
    check_origins: CommaList = ("http://localhost:18083", "http://127.0.0.1:18083")
    """Origins accepted then."""
    proxy_address_header: Text = "x-forwarded-for"
    """Header with the client's address."""
    proxy_port_header: Text = "x-forwarded-port"
    """Header with the client's port."""
    validate_utf8: Bool = True
    """Whether text frames are checked."""
    deflate_opts: DeflateOptions = Field(default_factory=DeflateOptions)
    """Compression."""


class Listener(Section):
    """What listeners of all types have."""

    enable: Bool = Field(default=True, validation_alias=AliasChoices("enable", "enabled"))
    """Whether it starts."""
    bind: BindAddress | None = None
    """Where it listens. Required, but for listeners called `default`. Without an address: loopback
    in the hardened profile, every interface in legacy."""
    acceptors: PositiveInt = 16
    """Processes that accept."""
    max_connections: PositiveIntOrInfinity = None
    """Connections at a time."""
    mountpoint: Text = ""
    """Text put in front of the topics of its clients; may hold `${clientid}` and the like."""
    zone: Name = "default"
    """Zone its clients belong to."""
    enable_authn: EnableAuthn = "true"
    """Whether its clients are authenticated; `quick_deny_anonymous` first refuses those without a
    user name."""
    authentication: Chain = ()
    """A chain of its own, used instead of the global one."""
    access_rules: Annotated[tuple[str, ...], BeforeValidator(_access_rules), IndexList] = (
        "allow all",
    )
    """Peer addresses let in: `allow|deny CIDR|all`, the first that fits decides."""
    proxy_protocol: Bool = False
    """Whether a PROXY protocol header comes first."""
    proxy_protocol_timeout: Timeout = timedelta(seconds=3)
    """How long it may take."""
    proxy_protocol_trusted: Annotated[tuple[str, ...] | None, BeforeValidator(_proxies)] = None
    """Proxies, as addresses and CIDR blocks: with `proxy_protocol`, nobody else may connect. None:
    loopback in the hardened profile, everybody in legacy. `access_rules` then judge the address the
    proxy announces."""
    allow_log_packet_data_from: CommaList = ()
    """Peers whose packets may be logged."""
    max_conn_rate: RateLimit = None
    """New connections of this listener."""
    max_conn_burst: Burst = None
    """Connections above that rate."""
    messages_rate: RateLimit = None
    """Messages from each client."""
    messages_burst: Burst = None
    """Messages above that rate."""
    bytes_rate: RateLimit = None
    """Payload bytes from each client."""
    bytes_burst: Burst = None
    """Bytes above that rate."""
    delivery_messages_rate: RateLimit = None
    """Messages to each client."""
    delivery_messages_burst: Burst = None
    """Messages above that rate."""
    delivery_bytes_rate: RateLimit = None
    """Payload bytes to each client."""
    delivery_bytes_burst: Burst = None
    """Bytes above that rate."""
    subscribes_rate: RateLimit = None
    """SUBSCRIBE packets of each client."""
    subscribes_burst: Burst = None
    """Packets above that rate."""
    tcp_options: TcpOptions = Field(default_factory=TcpOptions)
    """Of its sockets."""


class TcpListener(Listener):
    """`listeners.tcp.NAME`: plain TCP."""

    tcp_backend: Literal["socket", "gen_tcp"] = "socket"
    """Means nothing here."""
    parse_unit: Literal["frame", "chunk"] = "frame"
    """Means nothing here."""


class SslListener(Listener):
    """`listeners.ssl.NAME`: TLS."""

    parse_unit: Literal["frame", "chunk"] = "frame"
    """Means nothing here."""
    ssl_options: ServerTls = Field(default_factory=dict, validate_default=True)
    """Certificates and versions."""


class WsListener(Listener):
    """`listeners.ws.NAME`: WebSocket."""

    websocket: WebSocket = Field(default_factory=WebSocket)
    """The upgrade and frames."""


class WssListener(WsListener):
    """`listeners.wss.NAME`: WebSocket over TLS."""

    ssl_options: ServerTls = Field(default_factory=dict, validate_default=True)
    """Certificates and versions."""


class Listeners(Section):
    """`listeners`: by type, then by name."""

    tcp: dict[str, TcpListener] = Field(default_factory=dict)
    """Plain TCP."""
    ssl: dict[str, SslListener] = Field(default_factory=dict)
    """TLS."""
    ws: dict[str, WsListener] = Field(default_factory=dict)
    """WebSocket."""
    wss: dict[str, WssListener] = Field(default_factory=dict)
    """WebSocket over TLS."""

    def items(self) -> list[tuple[str, str, Listener]]:
        """All listeners as (type, name, listener), in written order within a type."""
        return [
            (kind, name, listener)
            for kind in DEFAULT_PORTS
            for name, listener in getattr(self, kind).items()
        ]


def bind_of(kind: str, name: str, listener: Listener) -> IpPort | None:
    """Where a listener binds, its default included; None if it must say and does not."""
    if listener.bind is not None:
        return listener.bind
    return IpPort(None, DEFAULT_PORTS[kind]) if name == "default" else None
