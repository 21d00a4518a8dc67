//! `$SYS` messages: what the control plane has to say about the broker, and who comes and goes
//! (`spec/management.md` section 8.4).
//!
//! Messages about clients are made only while somebody subscribes to something under `$SYS`. They hold
//! no attributes of the client in hardened: those may come from its token.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Map, Value, json};
use vallum_mqtt::packet::{QoS, RetainHandling, Version};
use vallum_policy::{decision::AuthenticatedClient, profile::Profile};

use crate::{
    command::SystemMessage,
    connection::{Connection, disconnect::Close},
    event_loop::{EventLoop, Outgoing},
    listener::Endpoint,
    router::SubscriptionOptions,
    session::{SessionRef, attach::Wishes},
};

/// What is said about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Connected,
    Disconnected,
    Subscribed,
    Unsubscribed,
}

impl Presence {
    fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

/// Where a client is connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) version: Version,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: u16,
}

impl From<&Connection> for Place {
    fn from(connection: &Connection) -> Self {
        Self {
            version: connection.version,
            peer: connection.peer,
            listener: connection.listener,
        }
    }
}

/// What a CONNECT said that a message about it tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    keep_alive: u16,
    clean_start: bool,
    expiry_interval: u32,
    receive_maximum: u16,
}

impl From<&Wishes> for Arrival {
    fn from(wishes: &Wishes) -> Self {
        Self {
            keep_alive: wishes.keep_alive,
            clean_start: wishes.clean_start,
            expiry_interval: wishes.expiry_interval,
            receive_maximum: wishes.receive_maximum,
        }
    }
}

impl EventLoop {
    /// Publish what the control plane says about the broker.
    pub(crate) fn publish_system(&mut self, messages: &[SystemMessage]) {
        for message in messages {
            let mut outgoing = Outgoing::new(
                &message.topic,
                &[],
                message.payload.as_bytes(),
                QoS::AtMostOnce,
                message.retain,
            );
            outgoing.expires_at = message
                .expiry_interval
                .map(|seconds| self.now.saturating_add(seconds));
            self.publish(&mut outgoing);
            self.recycle(outgoing);
        }
    }

    /// Whether somebody may want to hear about clients.
    fn is_heard(&self, presence: Presence) -> bool {
        let wanted = &self.shared.config.sys_topics;
        let enabled = match presence {
            Presence::Connected => wanted.client_connected,
            Presence::Disconnected => wanted.client_disconnected,
            Presence::Subscribed => wanted.client_subscribed,
            Presence::Unsubscribed => wanted.client_unsubscribed,
        };
        enabled && self.shared.router.system_subscriptions() > 0
    }

    /// Whether somebody may want to hear that a client came online.
    pub(crate) fn hears_of_connects(&self) -> bool {
        self.is_heard(Presence::Connected)
    }

    /// A client came online.
    pub(crate) fn tell_connected(&mut self, slot: u32, client: &AuthenticatedClient, how: Arrival) {
        if let Some(place) = self.connections.get(slot as usize).map(Place::from) {
            let now = milliseconds(self.unix_now);
            let details = json!({
                "connected_at": now,
                "keepalive": how.keep_alive,
                "clean_start": how.clean_start,
                "expiry_interval": how.expiry_interval,
                "receive_maximum": how.receive_maximum,
            });
            self.tell(Presence::Connected, Some(place), client, details);
        }
    }

    /// Whether somebody may want to hear that a client went offline.
    pub(crate) fn hears_of_disconnects(&self) -> bool {
        self.is_heard(Presence::Disconnected)
    }

    /// A client went offline.
    pub(crate) fn tell_disconnected(
        &mut self,
        place: Place,
        client: &AuthenticatedClient,
        cause: Close,
    ) {
        let now = milliseconds(self.unix_now);
        let details = json!({"reason": reason_of(cause), "disconnected_at": now});
        self.tell(Presence::Disconnected, Some(place), client, details);
    }

    /// Whether somebody may want to hear that a client subscribed.
    pub(crate) fn hears_of_subscriptions(&self) -> bool {
        self.is_heard(Presence::Subscribed)
    }

    /// A client subscribed.
    pub(crate) fn tell_subscribed(
        &mut self,
        session: SessionRef,
        filter: &str,
        options: SubscriptionOptions,
        retain_handling: RetainHandling,
    ) {
        if let Some(client) = self.session_mut(session).map(|s| s.client.clone()) {
            let details = json!({"topic": filter, "subopts": {
                "qos": options.qos.as_u8(),
                "nl": u8::from(options.no_local),
                "rap": u8::from(options.retain_as_published),
                "rh": retain_handling as u8,
            }});
            self.tell(Presence::Subscribed, None, &client, details);
        }
    }

    /// Whether somebody may want to hear that a client ended a subscription.
    pub(crate) fn hears_of_unsubscriptions(&self) -> bool {
        self.is_heard(Presence::Unsubscribed)
    }

    /// A client ended a subscription.
    pub(crate) fn tell_unsubscribed(&mut self, session: SessionRef, filter: &str) {
        if let Some(client) = self.session_mut(session).map(|s| s.client.clone()) {
            let details = json!({"topic": filter});
            self.tell(Presence::Unsubscribed, None, &client, details);
        }
    }

    fn tell(
        &mut self,
        presence: Presence,
        place: Option<Place>,
        client: &AuthenticatedClient,
        details: Value,
    ) {
        let info = &client.info;
        let mut client_id: &str = &info.client_id;
        let mut username = info.username.as_deref();
        if self.pipeline.username_is_secret() {
            username = None;
            if self.pipeline.uses_username_as_client_id() {
                client_id = "******";
            }
        }
        let mut about = Map::new();
        about.insert("clientid".into(), client_id.into());
        about.insert("username".into(), username.into());
        about.insert("protocol".into(), "mqtt".into());
        about.insert("ts".into(), milliseconds(self.unix_now).into());
        if let Some(place) = place {
            let name = if place.version == Version::V31 {
                "MQIsdp"
            } else {
                "MQTT"
            };
            about.insert("proto_name".into(), name.into());
            about.insert("proto_ver".into(), place.version.level().into());
            let host = place.peer.ip().to_canonical().to_string();
            about.insert("ipaddress".into(), host.into());
            if let Endpoint::Tcp(address) = &self.listener(place.listener).endpoint {
                about.insert("sockport".into(), address.port().into());
            }
            if self.pipeline.profile() == Profile::Legacy {
                about.insert("client_attrs".into(), json!(info.client_attrs));
            }
        }
        if let Value::Object(details) = details {
            about.extend(details);
        }
        let payload = Value::Object(about).to_string();
        // A client identifier may hold what a topic name must not.
        let level = client_id.replace(['+', '#'], "_");
        let prefix = &self.shared.config.sys_topics.prefix;
        let topic = format!("{prefix}clients/{level}/{}", presence.word());
        let mut outgoing = Outgoing::new(&topic, &[], payload.as_bytes(), QoS::AtMostOnce, false);
        self.publish(&mut outgoing);
        self.recycle(outgoing);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The reference's word for the end of a connection, or else the name of the reason code.
fn reason_of(cause: Close) -> &'static str {
    use vallum_mqtt::packet::ReasonCode;

    match cause {
        Close::PeerGone | Close::Transport | Close::Handshake => "tcp_closed",
        Close::Refused | Close::CredentialsExpired => "not_authorized",
        Close::Client { .. } => "normal",
        Close::ConnectTimeout => "idle_timeout",
        Close::TakenOver { for_good: true } => "discarded",
        Close::TakenOver { for_good: false } => "takenover",
        Close::Server(ReasonCode::KeepAliveTimeout) => "keepalive_timeout",
        Close::Server(ReasonCode::AdministrativeAction) => "kicked",
        Close::Server(reason) => reason.name(),
    }
}
