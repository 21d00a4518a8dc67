//! The options of a zone.

use std::collections::HashMap;

use serde::Deserialize;
use vallum_mqtt::{packet::QoS, topic::filter_covers};

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
