//! One listener, but for TLS.

use std::{fmt, net::SocketAddr};

use serde::Deserialize;

use super::TlsConfig;

/// One `listeners.TYPE.NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// `type:name`, for example `tcp:default`.
    pub id: String,
    /// Where to listen.
    pub bind: Bind,
    /// Most connections at a time; `None` is no limit.
    pub max_connections: Option<usize>,
    /// Index of its zone in [`BrokerConfig::zones`].
    pub zone: u16,
    /// Length of the accept queue asked of the system.
    pub backlog: i32,
    /// Options of its sockets.
    pub socket: SocketConfig,
    /// Seconds after which a client that takes nothing of what waits for it is closed; `None` is never.
    pub send_timeout: Option<u32>,
    /// New connections in a time; `None` is no limit.
    pub max_conn_rate: Option<RateConfig>,
    /// New connections above the rate; `None` is none.
    pub max_conn_burst: Option<RateConfig>,
    /// Who may connect, `allow|deny all|ADDRESS|CIDR` each: the first that fits decides.
    pub access_rules: Vec<String>,
    /// The PROXY protocol; `None`: no header is read, and none is believed.
    pub proxy_protocol: Option<ProxyConfig>,
    /// MQTT comes in a WebSocket; `None`: right on the socket.
    pub websocket: Option<WebSocketConfig>,
    /// All of it comes in TLS; `None`: in clear.
    pub tls: Option<TlsConfig>,
}

/// Options of a listener's sockets. Connections inherit them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketConfig {
    /// `TCP_NODELAY`.
    pub nodelay: bool,
    /// Seconds until the first TCP keep-alive probe and between probes, and how many stay unanswered;
    /// `None`: no probes.
    pub keepalive: Option<(u32, u32, u32)>,
    /// `SO_SNDBUF` in bytes; `None`: as the system likes.
    pub sndbuf: Option<u32>,
    /// `SO_RCVBUF` in bytes; `None`: as the system likes.
    pub recbuf: Option<u32>,
}

/// So many in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateConfig {
    /// How many.
    pub amount: u32,
    /// In how many milliseconds.
    pub per_ms: u64,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Bind {
    /// An address and a port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A file.
    Unix(UnixBind),
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(bind) => f.write_str(&bind.path),
        }
    }
}

/// The file of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnixBind {
    /// Absolute path.
    pub path: String,
    /// Who may connect: permission bits of the file.
    pub mode: u32,
}

/// The PROXY protocol of a listener: a header is due on every connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {
    /// Milliseconds from accept to the complete header.
    pub timeout_ms: u64,
    /// Addresses and blocks of the proxies. Nobody else may connect.
    pub trusted: Vec<String>,
}

/// The `websocket` object of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSocketConfig {
    /// Path of the request.
    pub path: String,
    /// Largest message in bytes, all its frames together; `None` is no limit.
    pub max_frame_size: Option<u64>,
    /// Whether a client must offer a subprotocol we know.
    pub fail_if_no_subprotocol: bool,
    /// Subprotocols we know.
    pub subprotocols: Vec<String>,
    /// Which pages may connect; `None`: all.
    pub origins: Option<OriginConfig>,
    /// Headers that announce the client's address; `None`: none is believed.
    pub forwarded: Option<ForwardedConfig>,
    /// Seconds without anything from the client after which the connection is closed.
    pub idle_timeout: u32,
    /// Whether each packet to the client has a frame of its own.
    pub one_packet_a_frame: bool,
}

/// Headers that announce the client's address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardedConfig {
    /// The one with addresses, such as `x-forwarded-for`.
    pub address_header: String,
    /// The one with the port, such as `x-forwarded-port`.
    pub port_header: String,
    /// Addresses and blocks of the proxies that are believed.
    pub trusted: Vec<String>,
}

/// The Origin check of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginConfig {
    /// Whether a request may come without one.
    pub allow_absence: bool,
    /// Origins that may connect.
    pub allowed: Vec<String>,
}
