//! The data plane's configuration: one versioned document, checked and complete.
//!
//! It is written by the Python side, which owns names, defaults and error messages. Nothing here has
//! a default: a missing member is an error of ours, not of the operator (`docs/design.md` section 3).

use std::{collections::HashMap, fmt, net::SocketAddr};

use serde::Deserialize;
use vallum_mqtt::{packet::QoS, topic::filter_covers};

use crate::router::SharedPolicies;

/// Everything the data plane needs to start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// Version of this document; [`BrokerConfig::VERSION`].
    pub version: u32,
    /// Number of event loops; 0 means one per core this process may use.
    pub loops: usize,
    /// Listeners to open.
    pub listeners: Vec<ListenerConfig>,
    /// Zones; the first is `default`, and a listener names its own by index.
    pub zones: Vec<ZoneConfig>,
    /// Bytes that may wait for one slow connection before deliveries to it are dropped or queued.
    pub max_outbox_bytes: usize,
    /// How the groups of shared subscriptions share out their messages where they do not say it.
    pub shared_subscription: SharedPolicy,
    /// The `retainer` root.
    pub retainer: RetainerConfig,
    /// The `broker` root.
    pub broker: BrokerRootConfig,
    /// Subscriptions that every client gets.
    pub auto_subscribe: Vec<AutoSubscriptionConfig>,
    /// The `delayed` root.
    pub delayed: DelayedConfig,
    /// What is said about clients under `$SYS`.
    pub sys_topics: SysTopicsConfig,
}

impl BrokerConfig {
    /// The document version this build reads.
    pub const VERSION: u32 = 1;

    /// How the groups of shared subscriptions share out their messages.
    pub(crate) fn shared_policies(&self) -> SharedPolicies {
        SharedPolicies {
            default: self.shared_subscription,
            groups: self.broker.shared_subscription_group.clone(),
        }
    }
}

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

/// The `ssl_options` of a listener. Files are PEM, named by absolute paths, read at start and again
/// when certificates are reloaded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one member per documented option"
)]
pub struct TlsConfig {
    /// The first is what a client gets that names no server, or one nobody serves.
    pub certificates: Vec<CertificateConfig>,
    /// Certificates of those who may issue client certificates.
    pub cacertfile: Option<String>,
    /// Whether clients are asked for a certificate, and those they present are checked.
    pub verify_peer: bool,
    /// Whether a client without one is refused.
    pub fail_if_no_peer_cert: bool,
    /// Most intermediate certificates between a client's and an anchor.
    pub depth: u32,
    /// Which certificates of `cacertfile` are anchors though somebody else issued them.
    pub partial_chain: PartialChain,
    /// Extended key usages a client certificate must name, all of them.
    pub ext_key_usage: Vec<KeyUsage>,
    /// Oldest version spoken.
    pub min_version: TlsVersion,
    /// Newest version spoken.
    pub max_version: TlsVersion,
    /// Cipher suites by the names OpenSSL gives them, best first; empty: OpenSSL's own choice.
    pub ciphers: Vec<String>,
    /// Whether that order counts rather than the client's.
    pub honor_cipher_order: bool,
    /// Parameters for DHE suites; `None`: there are none of these suites.
    pub dhfile: Option<String>,
    /// Milliseconds from accept to the end of the handshake.
    pub handshake_timeout_ms: u64,
    /// Whether clients get tickets to resume their sessions with; the broker keeps nothing.
    pub session_tickets: bool,
    /// Whether TLS 1.2 sessions are kept here, to be resumed by their identifiers.
    pub reuse_sessions: bool,
    /// Revocation lists are asked about every client certificate; `None`: they are not.
    pub crl: Option<CrlConfig>,
    /// A proof that the certificate is not revoked is sent along; `None`: it is not.
    pub ocsp: Option<OcspConfig>,
}

/// A certificate of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// Names of servers it is for, the first label perhaps `*`; not asked of the first certificate.
    pub server_names: Vec<String>,
    /// The certificate and the intermediate ones behind it.
    pub certfile: String,
    /// Its private key.
    pub keyfile: String,
    /// What the key is encrypted with.
    pub password: Option<Secret>,
}

/// A text that no log may show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("******")
    }
}

/// Versions of TLS there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "tlsv1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "tlsv1.3")]
    Tls13,
}

/// `partial_chain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartialChain {
    /// Only self-signed certificates are anchors.
    No,
    /// The last one is, too.
    Last,
    /// The last two are, too.
    LastTwo,
}

/// Extended key usages (RFC 5280 section 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names of the standard")]
pub enum KeyUsage {
    ClientAuth,
    ServerAuth,
    CodeSigning,
    EmailProtection,
    TimeStamping,
    OcspSigning,
}

/// Revocation lists of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrlConfig {
    /// Lists as files, PEM.
    pub files: Vec<String>,
    /// Most addresses of lists that are asked for at a time.
    pub capacity: usize,
}

/// OCSP stapling of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcspConfig {
    /// Certificate of whoever issued ours.
    pub issuer_pem: String,
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

/// A zone: the options of the clients of some listeners.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneConfig {
    /// Its name.
    pub name: String,
    /// The `mqtt` root, with what `zones.NAME.mqtt` says instead.
    pub mqtt: MqttConfig,
}

/// The `mqtt` root, as far as the data plane acts on it (`spec/management.md` section 3.1).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one member per documented option"
)]
pub struct MqttConfig {
    /// Milliseconds from accept to a complete CONNECT; `None` waits for ever.
    pub idle_timeout_ms: Option<u64>,
    /// Largest packet accepted, in bytes, fixed header included.
    pub max_packet_size: u32,
    /// Longest Client Identifier accepted, in bytes.
    pub max_clientid_len: usize,
    /// Most levels in a topic name or filter.
    pub max_topic_levels: usize,
    /// Largest Topic Alias a client may use; 0 turns aliases off.
    pub max_topic_alias: u16,
    /// Most aliases given to topics of messages to one client; 0 gives none.
    pub max_topic_alias_out: u16,
    /// What a client gets that asks for Response Information; empty: nothing.
    pub response_information: String,
    /// Highest `QoS` granted or accepted.
    pub max_qos_allowed: u8,
    /// Whether retained messages are accepted.
    pub retain_available: bool,
    /// Whether filters may hold wildcards.
    pub wildcard_subscription: bool,
    /// Whether filters may begin with `$share/GROUP/` or `$queue/`.
    pub shared_subscription: bool,
    /// Whether filters may begin with `$exclusive/`.
    pub exclusive_subscription: bool,
    /// The first that fits caps the `QoS` a subscription is granted.
    pub subscription_max_qos_rules: Vec<MaxQosRule>,
    /// Seconds that replace the client's Keep Alive; `None` keeps the client's.
    pub server_keepalive: Option<u16>,
    /// A client is dead after this many times its Keep Alive.
    pub keepalive_multiplier: f64,
    /// Session expiry of a 3.x client with a persistent session, in seconds.
    pub session_expiry_interval: u32,
    /// Cap on a v5 client's Session Expiry Interval, in seconds; `None` is no cap.
    pub max_session_expiry_interval: Option<u32>,
    /// Cap on a message's life in seconds; `None` is no cap.
    pub message_expiry_interval: Option<u32>,
    /// Most incoming `QoS` 2 messages awaiting PUBREL; `None` is the protocol's own limit.
    pub max_awaiting_rel: Option<u16>,
    /// Seconds an incoming `QoS` 2 exchange may wait for its PUBREL.
    pub await_rel_timeout: u32,
    /// Most unacknowledged deliveries of a session.
    pub max_inflight: u16,
    /// Most messages waiting behind the inflight window; 0 is unlimited.
    pub max_mqueue_len: usize,
    /// Priorities of topics in the queue; `None`: all are alike.
    pub mqueue_priorities: Option<HashMap<String, u8>>,
    /// Priority of the topics that are not listed.
    pub mqueue_default_priority: DefaultPriority,
    /// Seconds after which a message that is not acknowledged is sent again to a client of MQTT 3.x that
    /// is online; `None`: never.
    pub retry_interval: Option<u32>,
    /// Whether `QoS` 0 messages wait in the queue of an offline session.
    pub mqueue_store_qos0: bool,
    /// Most filters in one SUBSCRIBE or UNSUBSCRIBE.
    pub max_filters_per_packet: usize,
    /// Most subscriptions of a session; `None` is no limit.
    pub max_subscriptions: Option<usize>,
    /// Whether deliveries take the subscription's `QoS` even when the message's is lower.
    pub upgrade_qos: bool,
    /// No-local emulation for 3.x clients.
    pub ignore_loop_deliver: bool,
    /// Whether identifiers and topics with control characters are refused.
    pub strict_mode: bool,
    /// The part of a client's certificate that is its user name; `None`: it says its own.
    pub peer_cert_as_username: Option<CertificateField>,
    /// The part of a client's certificate that is its identifier; `None`: it says its own.
    pub peer_cert_as_clientid: Option<CertificateField>,
}

/// `mqtt.peer_cert_as_username`, `mqtt.peer_cert_as_clientid` (`spec/authentication.md` section 21.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateField {
    /// Common Name.
    Cn,
    /// The subject, as text.
    Dn,
    /// The certificate in base64: as bytes it is no text, and MQTT wants one.
    Crt,
    /// The same.
    Pem,
    /// MD5 of the certificate, in hexadecimal.
    Md5,
}

impl MqttConfig {
    /// `QoS` of a delivery: the lower of the two [MQTT-3.8.4-8], or the higher with `upgrade_qos`.
    pub fn delivery_qos(&self, published: QoS, granted: QoS) -> QoS {
        if self.upgrade_qos {
            published.max(granted)
        } else {
            published.min(granted)
        }
    }

    /// Priority of a topic in the queue; 0 is the lowest.
    pub fn priority_of(&self, topic: &str) -> u16 {
        /// One above the highest that can be given.
        const HIGHEST: u16 = 256;
        let Some(priorities) = &self.mqueue_priorities else {
            return 0;
        };
        match (priorities.get(topic), self.mqueue_default_priority) {
            (Some(priority), _) => u16::from(*priority),
            (None, DefaultPriority::Lowest) => 0,
            (None, DefaultPriority::Highest) => HIGHEST,
        }
    }

    /// Highest `QoS` that a subscription to `filter` is granted.
    pub fn max_qos_of(&self, filter: &str) -> QoS {
        let rules = &self.subscription_max_qos_rules;
        let rule = rules.iter().find(|rule| rule.is_for(filter));
        let most = rule.map_or(self.max_qos_allowed, |r| r.qos.min(self.max_qos_allowed));
        QoS::from_u8(most).unwrap_or(QoS::ExactlyOnce)
    }
}

/// `mqtt.mqueue_default_priority`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultPriority {
    /// Before all others.
    Highest,
    /// After all others.
    Lowest,
}

/// The `broker` root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerRootConfig {
    /// What holds for a group instead of [`BrokerConfig::shared_subscription`], by its name.
    pub shared_subscription_group: HashMap<String, SharedPolicy>,
}

/// How a group shares out its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedPolicy {
    /// Which member gets a message.
    pub strategy: SharedStrategy,
    /// Which member `sticky` begins with.
    pub initial_sticky_pick: InitialPick,
}

/// Which member of a group gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedStrategy {
    /// Any.
    Random,
    /// In turn, counted for each publisher.
    RoundRobin,
    /// In turn, counted for the group.
    RoundRobinPerGroup,
    /// Always the same for a publisher, until it goes.
    Sticky,
    /// One on this node.
    Local,
    /// By client identifier of the publisher.
    #[serde(rename = "hash_clientid")]
    HashClientId,
    /// By topic name.
    HashTopic,
}

/// Which member `sticky` begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitialPick {
    /// Any.
    Random,
    /// One on this node.
    Local,
    /// By client identifier of the publisher.
    #[serde(rename = "hash_clientid")]
    HashClientId,
    /// By topic name.
    HashTopic,
}

/// One of `mqtt.subscription_max_qos_rules`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxQosRule {
    /// A filter that covers those it is for; `None` if `equals` says which.
    pub matches: Option<String>,
    /// The one filter it is for.
    pub equals: Option<String>,
    /// Highest `QoS` granted.
    pub qos: u8,
}

impl MaxQosRule {
    fn is_for(&self, filter: &str) -> bool {
        self.equals.as_deref() == Some(filter)
            || self
                .matches
                .as_deref()
                .is_some_and(|wider| filter_covers(wider, filter))
    }
}

/// The `sys_topics` root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one member per documented option"
)]
pub struct SysTopicsConfig {
    /// `$SYS/brokers/NODE/`.
    pub prefix: String,
    /// The broker's own retained topics, which count for no limit.
    pub retained: Vec<String>,
    /// Say who connects.
    pub client_connected: bool,
    /// Say who disconnects.
    pub client_disconnected: bool,
    /// Say who subscribes to what.
    pub client_subscribed: bool,
    /// Say who ends a subscription.
    pub client_unsubscribed: bool,
}

/// One of `auto_subscribe.topics`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoSubscriptionConfig {
    /// The filter, with `${clientid}`, `${username}`, `${host}` and `${port}`.
    pub topic: String,
    /// Highest `QoS` of deliveries.
    pub qos: u8,
    /// Own messages are not sent back.
    pub no_local: bool,
    /// The RETAIN flag is passed on.
    pub retain_as_published: bool,
    /// When retained messages are sent: 0 always, 1 if the subscription is new, 2 never.
    pub retain_handling: u8,
}

/// The `retainer` root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetainerConfig {
    /// Whether messages are retained at all.
    pub enable: bool,
    /// Largest payload retained, in bytes.
    pub max_payload_size: usize,
    /// Most retained messages; 0 is unlimited.
    pub max_retained_messages: usize,
    /// Most bytes of topics, properties and payloads; 0 is unlimited.
    pub max_retained_bytes: usize,
    /// Life of a retained message in milliseconds; 0 is for ever.
    pub msg_expiry_interval_ms: u64,
    /// Most milliseconds a retained message lives, whatever it says itself; `None` is no cap.
    pub msg_expiry_interval_override_ms: Option<u64>,
    /// Whether that cap leaves out messages that would live for ever.
    pub allow_never_expire: bool,
    /// Whether the empty message that clears a retained one is kept from subscribers.
    pub stop_publish_clear_msg: bool,
    /// Most retained messages sent to new subscriptions; `None` is no limit.
    pub delivery_rate: Option<RateConfig>,
    /// Most messages retained; those above it are delivered and not kept. `None` is no limit.
    pub max_publish_rate: Option<RateConfig>,
}

/// The `delayed` root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelayedConfig {
    /// Whether `$delayed/SECONDS/` in front of a topic means anything.
    pub enable: bool,
    /// Most messages held at a time.
    pub max_delayed_messages: usize,
}
