//! The data plane's configuration: one versioned document, checked and complete.
//!
//! It is written by the Python side, which owns names, defaults and error messages. Nothing here has
//! a default: a missing member is an error of ours, not of the operator (`docs/design.md` section 3).
//!
//! - `listener`, `tls`: one listener.  - `mqtt`: the options of a zone.
//! - `shared`: how groups share out.   What is small stands here.

mod listener;
mod mqtt;
mod shared;
mod tls;

use std::collections::HashMap;

use serde::Deserialize;

pub use self::{
    listener::{
        Bind, ForwardedConfig, ListenerConfig, OriginConfig, ProxyConfig, RateConfig, SocketConfig,
        UnixBind, WebSocketConfig,
    },
    mqtt::{CertificateField, DefaultPriority, MaxQosRule, MqttConfig},
    shared::{InitialPick, SharedPolicy, SharedStrategy},
    tls::{
        CertificateConfig, CrlConfig, KeyUsage, OcspConfig, PartialChain, Secret, TlsConfig,
        TlsVersion,
    },
};
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

/// A zone: the options of the clients of some listeners.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneConfig {
    /// Its name.
    pub name: String,
    /// The `mqtt` root, with what `zones.NAME.mqtt` says instead.
    pub mqtt: MqttConfig,
}

/// The `broker` root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerRootConfig {
    /// What holds for a group instead of [`BrokerConfig::shared_subscription`], by its name.
    pub shared_subscription_group: HashMap<String, SharedPolicy>,
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
