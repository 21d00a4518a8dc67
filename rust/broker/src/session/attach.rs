//! From an accepted CONNECT to a session: a new one, or the one the client left (section 3.1.2.4).

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::Arc,
};

use vallum_mqtt::packet::{ConnAck, ConnAckProperties, QoS, ReasonCode, Version};
use vallum_policy::{decision::AuthenticatedClient, profile::Profile};

use super::{Session, SessionRef, state::Will};
use crate::{
    connection::{Phase, V5State, connect::Refused, disconnect::Close},
    event::Event,
    event_loop::{EventLoop, Flow},
};

/// Credentials that expire within this time get their timer at once; later ones with the next second,
/// if the connection is still there. So a storm of short connections never wakes the control plane.
const URGENT_EXPIRY_SECONDS: u64 = 3;

/// A CONNECT that the pipeline let in: all that is needed to go on, here or on another loop.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) client: Arc<AuthenticatedClient>,
    pub(crate) wishes: Wishes,
}

/// What a CONNECT asks of its session.
#[derive(Debug)]
pub(crate) struct Wishes {
    pub(crate) clean_start: bool,
    /// Seconds the session is to outlive the connection, as granted.
    pub(crate) expiry_interval: u32,
    /// The interval the client asked for, to be told when it gets another one.
    pub(crate) expiry_requested: u32,
    pub(crate) keep_alive: u16,
    pub(crate) will: Option<Box<Will>>,
    pub(crate) receive_maximum: u16,
    /// The broker chose the client identifier.
    pub(crate) assigned: bool,
}

impl EventLoop {
    /// Give the connection its session: a new one, or the one the client left (section 3.1.2.4).
    pub(crate) fn attach(&mut self, slot: u32, accepted: Accepted) -> Flow {
        let client_id = Arc::clone(&accepted.client.info.client_id);
        let existing = match self.shared.registry.find(&client_id) {
            Some(owner) if owner.loop_index != self.index => {
                return Flow::HandOver(owner.loop_index, Box::new(accepted));
            }
            found => found,
        };
        if let Some(old) = existing
            && self.belongs_to_another(old, &accepted.client)
        {
            let info = &accepted.client.info;
            let refused = Refused {
                client_id: Arc::clone(&info.client_id),
                username: info.username.clone(),
                reason_code: ReasonCode::ClientIdentifierNotValid,
                reason: "session_of_another_identity".to_owned(),
                stage: "session".to_owned(),
            };
            return self.refuse_connect(slot, refused);
        }
        if let Some(old) = existing
            && let Some(old_slot) = self.session_mut(old).and_then(|s| s.connection)
        {
            self.close(
                old_slot,
                Close::TakenOver {
                    for_good: accepted.wishes.clean_start,
                },
            );
        }
        let resumed = match existing {
            Some(old) if accepted.wishes.clean_start => {
                self.end_session(old);
                None
            }
            Some(old) => self.session_mut(old).is_some().then_some(old),
            None => None,
        };
        let session = if let Some(old) = resumed {
            old
        } else {
            let generation = self.next_generation();
            let session = Session::new(Arc::clone(&accepted.client));
            let slot = self.insert_session(generation, session);
            let reference = SessionRef {
                loop_index: self.index,
                slot,
                generation,
            };
            if let Err(owner) = self.shared.registry.claim(&client_id, reference) {
                // Another loop was quicker.
                self.sessions.try_remove(slot as usize);
                return Flow::HandOver(owner.loop_index, Box::new(accepted));
            }
            reference
        };
        self.go_online(slot, session, accepted, resumed.is_some());
        if resumed.is_some() {
            self.tell_groups(session, true);
            self.resume(session);
        }
        Flow::Continue
    }

    /// Whether a session was made by somebody else than `client`: another user name, or another
    /// certificate. In hardened nobody may then take it over, end it, or get what waits in it.
    fn belongs_to_another(&mut self, session: SessionRef, client: &AuthenticatedClient) -> bool {
        if self.pipeline.profile() != Profile::Hardened {
            return false;
        }
        self.session_mut(session).is_some_and(|session| {
            let (owner, other) = (&session.client.info, &client.info);
            owner.username != other.username || owner.cert_common_name != other.cert_common_name
        })
    }

    /// Bind connection and session together and say so.
    fn go_online(&mut self, slot: u32, reference: SessionRef, accepted: Accepted, present: bool) {
        let window = accepted
            .wishes
            .receive_maximum
            .min(self.shared.config.mqtt.max_inflight);
        let expire_at = accepted.client.expire_at;
        let client_id = Arc::clone(&accepted.client.info.client_id);
        let Some(session) = self.session_mut(reference) else {
            return;
        };
        session.client = Arc::clone(&accepted.client);
        session.connection = Some(slot);
        session.expiry_interval = accepted.wishes.expiry_interval;
        session.window = window;
        let keep_alive = self
            .shared
            .config
            .mqtt
            .server_keepalive
            .unwrap_or(accepted.wishes.keep_alive);
        let patience = f64::from(keep_alive) * self.shared.config.mqtt.keepalive_multiplier;
        let now = self.now;
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        connection.phase = Phase::Online(reference.slot);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "65,535 x 65,535 at most"
        )]
        {
            connection.patience = patience.ceil() as u32;
        }
        if connection.version == Version::V5 {
            connection.v5 = Some(Box::<V5State>::default());
        }
        if connection.patience > 0 {
            let entry = (slot, connection.generation);
            let at = now.saturating_add(connection.patience);
            self.watch(at, entry);
        }
        self.metrics().client_connected.add(1);
        self.send_connack(slot, &accepted, &client_id, present);
        if let Some(session) = self.session_mut(reference) {
            session.will = accepted.wishes.will;
        }
        if let Some(expire_at) = expire_at {
            if expire_at <= self.unix_now.as_secs() + URGENT_EXPIRY_SECONDS {
                self.arm_expiry(reference);
            } else {
                self.unarmed.push(reference);
            }
        }
    }

    /// Have the control plane end the connection when its credentials expire.
    pub(crate) fn arm_expiry(&mut self, reference: SessionRef) {
        let Some(session) = self.session_mut(reference) else {
            return;
        };
        let Some(expire_at) = session.client.expire_at else {
            return;
        };
        session.has_timer = true;
        let client_id = Arc::clone(&session.client.info.client_id);
        self.shared.events.push(Event::SessionOpened {
            session: reference,
            client_id,
            expire_at,
        });
    }

    /// CONNACK with what differs from the defaults (section 3.2.2.3).
    ///
    /// Where that exceeds the client's Maximum Packet Size, what is merely good to know is left out
    /// [MQTT-3.1.2-24]. The bare CONNACK is sent whatever the limit: one that leaves no room for it
    /// would forbid every answer.
    fn send_connack(&mut self, slot: u32, accepted: &Accepted, client_id: &str, present: bool) {
        let Some(connection) = self.connections.get(slot as usize) else {
            return;
        };
        let (version, limit) = (connection.version, connection.max_packet_out as usize);
        let mut ack = ConnAck::new(ReasonCode::Success, present);
        if version == Version::V5 {
            self.must_know(&mut ack.properties, accepted, client_id);
            self.good_to_know(&mut ack.properties);
        }
        let mut bytes = self.pool.take();
        let mut fits = ack.encode(version, &mut bytes).is_ok() && bytes.len() <= limit;
        if !fits {
            bytes.clear();
            ack.properties = ConnAckProperties::default();
            self.must_know(&mut ack.properties, accepted, client_id);
            fits = ack.encode(version, &mut bytes).is_ok() && bytes.len() <= limit;
        }
        if !fits {
            bytes.clear();
            let _ = ConnAck::new(ReasonCode::Success, present).encode(version, &mut bytes);
        }
        if let Some(connection) = self.connections.get_mut(slot as usize) {
            let out = connection.out.buffer(&mut self.pool);
            out.extend_from_slice(&bytes);
        }
        self.pool.give(bytes);
        self.mark_dirty(slot);
    }

    /// Properties without which the client would go by wrong values.
    fn must_know<'a>(
        &self,
        properties: &mut ConnAckProperties<'a>,
        accepted: &Accepted,
        client_id: &'a str,
    ) {
        let wishes = &accepted.wishes;
        if wishes.expiry_interval != wishes.expiry_requested {
            properties.session_expiry_interval = Some(wishes.expiry_interval);
        }
        if wishes.assigned {
            properties.assigned_client_identifier = Some(client_id);
        }
        properties.server_keep_alive = self.shared.config.mqtt.server_keepalive;
    }

    /// Properties that say what the broker accepts; it enforces them anyway.
    fn good_to_know(&self, properties: &mut ConnAckProperties<'_>) {
        let mqtt = &self.shared.config.mqtt;
        properties.receive_maximum = mqtt.max_awaiting_rel.and_then(NonZeroU16::new);
        if mqtt.max_qos_allowed < QoS::ExactlyOnce.as_u8() {
            properties.maximum_qos = QoS::from_u8(mqtt.max_qos_allowed);
        }
        if !mqtt.retain_available {
            properties.retain_available = Some(false);
        }
        properties.maximum_packet_size = NonZeroU32::new(mqtt.max_packet_size);
        if mqtt.max_topic_alias > 0 {
            properties.topic_alias_maximum = Some(mqtt.max_topic_alias);
        }
        if !mqtt.wildcard_subscription {
            properties.wildcard_subscription_available = Some(false);
        }
        if !mqtt.shared_subscription {
            properties.shared_subscription_available = Some(false);
        }
    }

    /// Send again what was under way, then what waited [MQTT-4.4.0-1].
    fn resume(&mut self, reference: SessionRef) {
        if let Some(session) = self.session_mut(reference)
            && let Some(window) = session.inflight.as_deref_mut()
        {
            window.begin_resend();
        }
        self.pump(reference.slot);
    }
}
