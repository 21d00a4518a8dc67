//! CONNECT: from the packet to a session (section 3.1).

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::Arc,
};

use vallum_mqtt::{
    packet::{ConnAck, Connect, DecodeError, FixedHeader, QoS, ReasonCode, Version},
    topic::has_control_characters,
};
use vallum_policy::{
    decision::{AuthenticatedClient, Decision},
    pipeline::{ConnectRequest, Progress},
};

use super::{Phase, V5State, disconnect::Close};
use crate::{
    event::{Event, Refusal},
    event_loop::{EventLoop, Flow},
    session::{
        Session, SessionRef,
        inflight::Resend,
        state::{NEVER, Will},
    },
};

/// Credentials that expire within this time get their timer at once; later ones with the next second,
/// if the connection is still there. So a storm of short connections never wakes the control plane.
const URGENT_EXPIRY_SECONDS: u64 = 3;

/// A CONNECT that the pipeline let in: all that is needed to go on, here or on another loop.
pub(crate) struct Accepted {
    client: Arc<AuthenticatedClient>,
    clean_start: bool,
    expiry_interval: u32,
    /// The interval the client asked for, to be told when it gets another one.
    expiry_requested: u32,
    keep_alive: u16,
    will: Option<Box<Will>>,
    receive_maximum: u16,
    /// The broker chose the client identifier.
    assigned: bool,
}

/// A CONNECT that is answered with a refusal: reason code, reason identifier, what decided.
struct Refused<'a> {
    client_id: &'a str,
    username: Option<&'a str>,
    reason_code: ReasonCode,
    reason: String,
    stage: String,
}

impl EventLoop {
    /// The first packet.
    pub(crate) fn on_connect(&mut self, slot: u32, header: FixedHeader, body: &[u8]) -> Flow {
        let connect = match Connect::decode(&header, body) {
            Ok(connect) => connect,
            Err(error) => return self.on_bad_connect(slot, &error),
        };
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return Flow::Closed;
        };
        connection.version = connect.version;
        if connect.version == Version::V5 {
            connection.max_packet_out = connect
                .properties
                .maximum_packet_size
                .map_or(u32::MAX, NonZeroU32::get);
        }
        let assigned_id;
        let client_id = if connect.client_id.is_empty() && may_assign(&connect) {
            assigned_id = assign_client_id();
            assigned_id.as_str()
        } else {
            connect.client_id
        };
        if let Some((reason_code, reason)) = self.check(&connect, client_id) {
            let refused = Refused {
                client_id,
                username: connect.user_name,
                reason_code,
                reason: reason.to_owned(),
                stage: "packet_check".to_owned(),
            };
            return self.refuse_connect(slot, &refused);
        }
        match self.decide(slot, &connect, client_id) {
            Ok(decision) => {
                let accepted = self.accept_client(&connect, decision);
                self.attach(slot, accepted)
            }
            Err(refused) => self.refuse_connect(slot, &refused),
        }
    }

    /// Answer a CONNECT that could not be decoded, if its version is known [MQTT-3.1.2-1].
    fn on_bad_connect(&mut self, slot: u32, error: &DecodeError) -> Flow {
        self.metrics().packets_malformed.add(1);
        let reason = error.reason();
        if reason == ReasonCode::UnsupportedProtocolVersion {
            self.send(slot, |_, out| {
                ConnAck::new(reason, false).encode(Version::V311, out)
            });
        }
        self.close(slot, Close::PeerGone);
        Flow::Closed
    }

    /// Checks that need no rule: identifier, will, limits (`spec/hardening.md` section 6).
    fn check(&self, connect: &Connect<'_>, client_id: &str) -> Option<(ReasonCode, &'static str)> {
        let mqtt = &self.shared.config.mqtt;
        if client_id.is_empty() {
            return Some((ReasonCode::ClientIdentifierNotValid, "client_id_required"));
        }
        if client_id.len() > mqtt.max_clientid_len {
            return Some((ReasonCode::ClientIdentifierNotValid, "client_id_too_long"));
        }
        if mqtt.strict_mode
            && (has_control_characters(client_id)
                || connect.user_name.is_some_and(has_control_characters))
        {
            return Some((ReasonCode::ClientIdentifierNotValid, "control_characters"));
        }
        if let Some(will) = &connect.will {
            if will.qos.as_u8() > mqtt.max_qos_allowed {
                return Some((ReasonCode::QoSNotSupported, "will_qos_not_supported"));
            }
            if will.retain && !mqtt.retain_available {
                return Some((ReasonCode::RetainNotSupported, "will_retain_not_supported"));
            }
        }
        None
    }

    /// Ask the pipeline.
    fn decide<'a>(
        &self,
        slot: u32,
        connect: &Connect<'a>,
        client_id: &'a str,
    ) -> Result<Decision, Refused<'a>> {
        let refused = |reason_code, stage: String, reason: &str| Refused {
            client_id,
            username: connect.user_name,
            reason_code,
            reason: reason.to_owned(),
            stage,
        };
        let unknown = || {
            refused(
                ReasonCode::UnspecifiedError,
                "broker".to_owned(),
                "internal",
            )
        };
        let connection = self.connections.get(slot as usize).ok_or_else(unknown)?;
        let listener = self
            .shared
            .listeners
            .get(usize::from(connection.listener))
            .ok_or_else(unknown)?;
        let user_properties: Vec<_> = connect.properties.user_properties.iter().collect();
        let request = ConnectRequest {
            client_id,
            username: connect.user_name,
            password: connect.password,
            peer_host: Some(connection.peer.ip().to_canonical()),
            proto_ver: connect.version.level(),
            listener: &listener.id,
            zone: &listener.zone,
            cert_common_name: None,
            cert_subject: None,
            auth_method: connect.properties.authentication_method,
            auth_data: connect.properties.authentication_data,
            user_properties: &user_properties,
            client_attrs: None,
            is_superuser: false,
        };
        match self.pipeline.connect(&request, self.unix_now()) {
            Progress::Decided(decision) if decision.is_allowed() => Ok(decision),
            Progress::Decided(decision) => {
                let code =
                    ReasonCode::from_u8(decision.reason_code).unwrap_or(ReasonCode::NotAuthorized);
                let stage = decision.decided_by.to_string();
                Err(refused(code, stage, decision.reason.unwrap_or("denied")))
            }
            // No configuration of this version holds a stage decided outside the loop.
            Progress::External(_) => Err(refused(
                ReasonCode::NotAuthorized,
                "external".to_owned(),
                "backend_unreachable",
            )),
        }
    }

    /// What the rest of the way needs, free of the packet.
    fn accept_client(&self, connect: &Connect<'_>, decision: Decision) -> Accepted {
        let mqtt = &self.shared.config.mqtt;
        let expiry_requested = connect.properties.session_expiry_interval.unwrap_or(0);
        let expiry_interval = if connect.version == Version::V5 {
            expiry_requested.min(mqtt.max_session_expiry_interval.unwrap_or(NEVER))
        } else if connect.clean_start {
            0
        } else {
            mqtt.session_expiry_interval
        };
        let will = connect.will.as_ref().map(|will| {
            Box::new(Will {
                topic: will.topic.into(),
                properties: forwardable(will),
                payload: will.payload.into(),
                qos: will.qos,
                retain: will.retain,
                delay: will.properties.will_delay_interval.unwrap_or(0),
                message_expiry: will.properties.message_expiry_interval,
            })
        });
        Accepted {
            client: Arc::new(decision.client),
            clean_start: connect.clean_start,
            expiry_interval,
            expiry_requested,
            keep_alive: connect.keep_alive,
            will,
            receive_maximum: connect
                .properties
                .receive_maximum
                .map_or(u16::MAX, NonZeroU16::get),
            assigned: connect.client_id.is_empty(),
        }
    }

    /// Refuse with CONNACK and close (section 3.2.2.2); one line for the log.
    fn refuse_connect(&mut self, slot: u32, refused: &Refused<'_>) -> Flow {
        self.metrics().client_refused.add(1);
        self.send(slot, |version, out| {
            ConnAck::new(refused.reason_code, false).encode(version, out)
        });
        let peer = self
            .connections
            .get(slot as usize)
            .map(|c| (c.peer, c.listener));
        self.report(Refusal {
            action: "connect",
            client_id: refused.client_id.into(),
            username: refused.username.map(Into::into),
            peer: peer.map(|(peer, _)| peer),
            listener: self.listener_id(peer.map_or(0, |(_, listener)| listener)),
            stage: refused.stage.clone(),
            reason: refused.reason.clone(),
            reason_code: refused.reason_code.as_u8(),
            topic: None,
            suppressed: 0,
        });
        self.close(slot, Close::PeerGone);
        Flow::Closed
    }

    /// Name of a listener.
    pub(crate) fn listener_id(&self, listener: u16) -> Arc<str> {
        self.shared
            .listeners
            .get(usize::from(listener))
            .map_or_else(|| Arc::from(""), |info| Arc::clone(&info.id))
    }

    /// Hand a refusal to the log, unless one like it was written a moment ago.
    pub(crate) fn report(&mut self, mut refusal: Refusal) {
        if self.pipeline.username_is_secret() {
            refusal.username = None;
            if self.pipeline.uses_username_as_client_id() {
                refusal.client_id = "******".into();
            }
        }
        let key = (refusal.client_id.as_ref(), refusal.reason.as_str());
        if let Some(suppressed) = self.throttle.admit(key.0, key.1, u64::from(self.now)) {
            refusal.suppressed = suppressed;
            if !self.shared.events.push(Event::Refused(Box::new(refusal))) {
                self.metrics().events_dropped.add(1);
            }
        }
    }

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
            && let Some(old_slot) = self.session_mut(old).and_then(|s| s.connection)
        {
            self.close(
                old_slot,
                Close::TakenOver {
                    for_good: accepted.clean_start,
                },
            );
        }
        let resumed = match existing {
            Some(old) if accepted.clean_start => {
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
            self.resume(slot, session);
        }
        Flow::Continue
    }

    /// Bind connection and session together and say so.
    fn go_online(&mut self, slot: u32, reference: SessionRef, accepted: Accepted, present: bool) {
        let window = accepted
            .receive_maximum
            .min(self.shared.config.mqtt.max_inflight);
        let expire_at = accepted.client.expire_at;
        let client_id = Arc::clone(&accepted.client.info.client_id);
        let Some(session) = self.session_mut(reference) else {
            return;
        };
        session.client = Arc::clone(&accepted.client);
        session.connection = Some(slot);
        session.expiry_interval = accepted.expiry_interval;
        session.window = window;
        let keep_alive = self
            .shared
            .config
            .mqtt
            .server_keepalive
            .unwrap_or(accepted.keep_alive);
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
            session.will = accepted.will;
        }
        if let Some(expire_at) = expire_at {
            if expire_at <= self.unix_now().as_secs() + URGENT_EXPIRY_SECONDS {
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
    fn send_connack(&mut self, slot: u32, accepted: &Accepted, client_id: &str, present: bool) {
        let mqtt = self.shared.config.mqtt.clone();
        self.send(slot, |version, out| {
            let mut ack = ConnAck::new(ReasonCode::Success, present);
            if version == Version::V5 {
                let properties = &mut ack.properties;
                if accepted.expiry_interval != accepted.expiry_requested {
                    properties.session_expiry_interval = Some(accepted.expiry_interval);
                }
                properties.receive_maximum = mqtt.max_awaiting_rel.and_then(NonZeroU16::new);
                if mqtt.max_qos_allowed < QoS::ExactlyOnce.as_u8() {
                    properties.maximum_qos = QoS::from_u8(mqtt.max_qos_allowed);
                }
                if !mqtt.retain_available {
                    properties.retain_available = Some(false);
                }
                properties.maximum_packet_size = NonZeroU32::new(mqtt.max_packet_size);
                if accepted.assigned {
                    properties.assigned_client_identifier = Some(client_id);
                }
                if mqtt.max_topic_alias > 0 {
                    properties.topic_alias_maximum = Some(mqtt.max_topic_alias);
                }
                if !mqtt.wildcard_subscription {
                    properties.wildcard_subscription_available = Some(false);
                }
                properties.shared_subscription_available = Some(false);
                properties.server_keep_alive = mqtt.server_keepalive;
            }
            ack.encode(version, out)
        });
    }

    /// Send again what was under way, then what waited [MQTT-4.4.0-1].
    fn resume(&mut self, slot: u32, reference: SessionRef) {
        let Some(window) = self.session_mut(reference).and_then(|s| s.inflight.take()) else {
            self.pump(reference.slot);
            return;
        };
        for item in window.resend() {
            match item {
                Resend::Publish(id, delivery) => self.write_kept(slot, delivery, Some(id), true),
                Resend::PubRel(id) => self.send_pubrel(slot, id),
            }
        }
        if let Some(session) = self.session_mut(reference) {
            session.inflight = Some(window);
        }
        self.pump(reference.slot);
    }
}

/// Whether the broker may choose an identifier: always in 5.0, in 3.1.1 with a clean session
/// [v3.1.1 MQTT-3.1.3-8], never in 3.1.
fn may_assign(connect: &Connect<'_>) -> bool {
    match connect.version {
        Version::V5 => true,
        Version::V311 => connect.clean_start,
        Version::V31 => false,
    }
}

/// A will's properties as its message passes them on.
fn forwardable(will: &vallum_mqtt::packet::Will<'_>) -> Box<[u8]> {
    let mut bytes = Vec::new();
    // Lengths were checked when they were read: they fit when they are written.
    if will.properties.write_forwardable(&mut bytes).is_err() {
        bytes.clear();
    }
    bytes.into()
}

/// A client identifier nobody can guess.
fn assign_client_id() -> String {
    use std::fmt::Write as _;

    let mut random = [0u8; 12];
    // Without randomness a fixed name would let clients take each other over: an empty one is refused.
    if getrandom::fill(&mut random).is_err() {
        return String::new();
    }
    random.iter().fold(String::from("vallum-"), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}
