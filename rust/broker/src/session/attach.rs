//! From an accepted CONNECT to a session: a new one, or the one the client left (section 3.1.2.4).

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::Arc,
};

use vallum_mqtt::packet::{ConnAck, ConnAckProperties, QoS, ReasonCode, Version};
use vallum_policy::{decision::AuthenticatedClient, profile::Profile};

use super::{Session, SessionRef, state::Will};
use crate::{
    config::MqttConfig,
    connection::{
        Phase, V5State,
        alias::OutgoingAliases,
        auth::{Enhanced, Proof},
        disconnect::Close,
    },
    event::Event,
    event_loop::{EventLoop, Flow},
    presence::Arrival,
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
#[allow(clippy::struct_excessive_bools, reason = "as the packet has them")]
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
    /// Aliases the client takes for topics of messages to it.
    pub(crate) topic_alias_maximum: u16,
    /// It asks for Response Information.
    pub(crate) response_information: bool,
    /// It wants no reason strings.
    pub(crate) no_problem_information: bool,
    /// It came in by enhanced authentication.
    pub(crate) proof: Option<Box<Proof>>,
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
        let moved = existing.is_some_and(|old| self.belongs_to_another(old, &accepted.client));
        let fresh = accepted.wishes.clean_start || moved;
        if let Some(old) = existing
            && let Some(old_slot) = self.session_mut(old).and_then(|s| s.connection)
        {
            self.close(old_slot, Close::TakenOver { for_good: fresh });
        }
        let resumed = match existing {
            Some(old) if fresh => {
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
        let told = self.hears_of_connects().then(|| {
            let client = Arc::clone(&accepted.client);
            (client, Arrival::from(&accepted.wishes))
        });
        if !self.go_online(slot, session, accepted, resumed.is_some()) {
            return Flow::Closed;
        }
        if resumed.is_some() {
            self.tell_groups(session, true);
            self.resume(session);
        }
        if let Some((client, arrival)) = told {
            self.tell_connected(slot, &client, arrival);
        }
        if !self.shared.auto_subscriptions.is_empty() {
            self.auto_subscribe(slot, session);
        }
        Flow::Continue
    }

    /// Whether a session was made by somebody else than `client`: at another mount point or, in hardened,
    /// under another user name or certificate. What waits in it is not for this client: the session ends.
    fn belongs_to_another(&mut self, session: SessionRef, client: &AuthenticatedClient) -> bool {
        let hardened = self.pipeline.profile() == Profile::Hardened;
        // A user name that is a token is another one each time.
        let named = hardened && !self.pipeline.username_is_secret();
        self.session_mut(session).is_some_and(|session| {
            let (owner, other) = (&session.client.info, &client.info);
            session.client.mountpoint != client.mountpoint
                || (named && owner.username != other.username)
                || (hardened && owner.cert_common_name != other.cert_common_name)
        })
    }

    /// Bind connection and session together and say so; `false` if the connection is closed instead.
    fn go_online(
        &mut self,
        slot: u32,
        reference: SessionRef,
        accepted: Accepted,
        present: bool,
    ) -> bool {
        let zone = self.zone_of(slot);
        let mqtt = self.mqtt_in(zone);
        let window = accepted.wishes.receive_maximum.min(mqtt.max_inflight);
        let keep_alive = mqtt.server_keepalive.unwrap_or(accepted.wishes.keep_alive);
        let patience = f64::from(keep_alive) * mqtt.keepalive_multiplier;
        let aliases = accepted
            .wishes
            .topic_alias_maximum
            .min(mqtt.max_topic_alias_out);
        let retry_interval = mqtt.retry_interval;
        let expire_at = accepted.client.expire_at;
        let client_id = Arc::clone(&accepted.client.info.client_id);
        let Some(session) = self.session_mut(reference) else {
            return false;
        };
        session.client = Arc::clone(&accepted.client);
        session.connection = Some(slot);
        session.expiry_interval = accepted.wishes.expiry_interval;
        session.window = window;
        session.zone = zone;
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return false;
        };
        connection.phase = Phase::Online(reference.slot);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "65,535 x 65,535 at most, and 1"
        )]
        {
            // Packets are noted to the second: one more keeps us from closing before the time is up.
            connection.patience = if keep_alive == 0 {
                0
            } else {
                patience.ceil() as u32 + 1
            };
        }
        if aliases > 0 || accepted.wishes.no_problem_information || accepted.wishes.proof.is_some()
        {
            let proof = accepted.wishes.proof.as_ref();
            connection.v5 = Some(Box::new(V5State {
                incoming: None,
                outgoing: (aliases > 0).then(|| Box::new(OutgoingAliases::new(aliases))),
                enhanced: proof.map(|proof| Box::new(Enhanced::new(proof.method.clone()))),
                no_problem_information: accepted.wishes.no_problem_information,
            }));
        }
        let entry = (slot, connection.generation);
        let retry = retry_interval
            .filter(|_| connection.version != Version::V5)
            .map(|after| self.now.saturating_add(after));
        if let Some(first) = connection.dead_at().into_iter().chain(retry).min() {
            self.watch(first, entry);
        }
        self.metrics().client_connected.add(1);
        if !self.send_connack(slot, &accepted, &client_id, present) {
            self.close(slot, Close::PeerGone);
            return false;
        }
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
        true
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
    /// Where that exceeds the client's Maximum Packet Size, what is merely good to know is left out.
    /// `false` if there is no room even for what the client must know: nothing may be sent then
    /// [MQTT-3.1.2-24], and a connection without CONNACK cannot go on.
    fn send_connack(
        &mut self,
        slot: u32,
        accepted: &Accepted,
        client_id: &str,
        present: bool,
    ) -> bool {
        let Some(connection) = self.connections.get(slot as usize) else {
            return false;
        };
        let (version, limit) = (connection.version, connection.max_packet_out as usize);
        let mut bytes = self.pool.take();
        let mqtt = self.mqtt_of(slot);
        let mut ack = ConnAck::new(ReasonCode::Success, present);
        if version == Version::V5 {
            must_know(mqtt, &mut ack.properties, accepted, client_id);
            good_to_know(mqtt, &mut ack.properties, accepted);
        }
        let mut fits = ack.encode(version, &mut bytes).is_ok() && bytes.len() <= limit;
        if !fits {
            bytes.clear();
            ack.properties = ConnAckProperties::default();
            must_know(mqtt, &mut ack.properties, accepted, client_id);
            fits = ack.encode(version, &mut bytes).is_ok() && bytes.len() <= limit;
        }
        if fits && let Some(connection) = self.connections.get_mut(slot as usize) {
            let out = connection.out.buffer(&mut self.pool);
            out.extend_from_slice(&bytes);
        }
        self.pool.give(bytes);
        self.mark_dirty(slot);
        fits
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

/// Properties without which the client would go by wrong values.
fn must_know<'a>(
    mqtt: &MqttConfig,
    properties: &mut ConnAckProperties<'a>,
    accepted: &'a Accepted,
    client_id: &'a str,
) {
    let wishes = &accepted.wishes;
    if wishes.expiry_interval != wishes.expiry_requested {
        properties.session_expiry_interval = Some(wishes.expiry_interval);
    }
    if wishes.assigned {
        properties.assigned_client_identifier = Some(client_id);
    }
    properties.server_keep_alive = mqtt.server_keepalive;
    if let Some(proof) = &wishes.proof {
        properties.authentication_method = Some(&proof.method); // [MQTT-4.12.0-5]
        properties.authentication_data = proof.data.as_deref();
    }
}

/// Properties that say what the broker accepts; it enforces them anyway.
fn good_to_know<'a>(
    mqtt: &'a MqttConfig,
    properties: &mut ConnAckProperties<'a>,
    accepted: &Accepted,
) {
    if accepted.wishes.response_information && !mqtt.response_information.is_empty() {
        properties.response_information = Some(&mqtt.response_information);
    }
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
