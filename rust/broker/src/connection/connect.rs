//! CONNECT: from the packet to a decision (section 3.1). What follows one that is accepted stands in
//! [`crate::session::attach`].

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::Arc,
    time::Duration,
};

use vallum_mqtt::{
    packet::{ConnAck, Connect, DecodeError, FixedHeader, PacketType, ReasonCode, Version},
    topic::has_control_characters,
};
use vallum_policy::{
    decision::{self, Decision, StepResult},
    pipeline::{ConnectRequest, ExternalVerdict, Progress},
};

use super::{
    Phase,
    auth::{Proof, Step, step_of},
    certificate::part_of,
    disconnect::Close,
};
use crate::{
    command::Reply,
    config::MqttConfig,
    event::{Event, Refusal},
    event_loop::{EventLoop, Flow},
    session::{
        attach::{Accepted, Wishes},
        state::{NEVER, Will},
    },
    transport::tls::identity::Peer,
};

/// A CONNECT that waits for an authenticator outside the data plane. Its connection is not read
/// meanwhile, so order is kept; `mqtt.idle_timeout` ends the wait.
pub struct Parked {
    pub(super) suspended: Box<vallum_policy::pipeline::Suspended>,
    wishes: Wishes,
    /// Steps of the client so far, in enhanced authentication.
    pub(super) rounds: u8,
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parked") // it holds a password
    }
}

/// A CONNECT that is answered with a refusal: reason code, reason identifier, what decided.
pub(crate) struct Refused {
    pub(crate) client_id: Arc<str>,
    pub(crate) username: Option<Box<str>>,
    pub(crate) reason_code: ReasonCode,
    pub(crate) reason: String,
    pub(crate) stage: String,
}

impl EventLoop {
    /// The first packet.
    pub(crate) fn on_connect(&mut self, slot: u32, header: FixedHeader, body: &[u8]) -> Flow {
        let mut connect = match Connect::decode(&header, body) {
            Ok(connect) => connect,
            Err(error) => return self.on_bad_connect(slot, &error, body),
        };
        if header.padded && self.mqtt_of(slot).strict_mode {
            return self.refuse_packet(slot, ReasonCode::MalformedPacket);
        }
        let peer = match self.tls_peer(slot) {
            Ok(peer) => peer,
            Err(bad) => return self.refuse_certificate(slot, bad),
        };
        // What the certificate says beats what the client says (`spec/authentication.md` section 21.3).
        let has_own_id = !connect.client_id.is_empty();
        let mqtt = self.mqtt_of(slot);
        let username = part_of(peer.as_deref(), mqtt.peer_cert_as_username);
        let certified_id = part_of(peer.as_deref(), mqtt.peer_cert_as_clientid);
        if let Some(username) = &username {
            connect.user_name = Some(username);
        }
        if let Some(client_id) = &certified_id {
            connect.client_id = client_id;
        }
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
        if let Some((reason_code, reason)) = check(self.mqtt_of(slot), &connect, client_id) {
            let refused = Refused {
                client_id: client_id.into(),
                username: connect.user_name.map(Into::into),
                reason_code,
                reason: reason.to_owned(),
                stage: "packet_check".to_owned(),
            };
            return self.refuse_connect(slot, refused);
        }
        let wishes = wishes(self.mqtt_of(slot), &connect, !has_own_id);
        match self.ask(slot, &connect, client_id, peer.as_deref()) {
            Some(progress) => self.proceed(slot, progress, wishes),
            None => Flow::Closed,
        }
    }

    /// Answer a CONNECT that could not be decoded: of a version that is not spoken here
    /// [MQTT-3.1.2-1] [MQTT-3.1.2-2], or of MQTT 5.0 (section 4.13.1). The versions before want the
    /// connection closed without a word [v3.1.1 MQTT-3.1.4-1].
    fn on_bad_connect(&mut self, slot: u32, error: &DecodeError, body: &[u8]) -> Flow {
        const V5_BEGINS: &[u8] = b"\x00\x04MQTT\x05";
        self.metrics().packets_malformed.add(1);
        let reason = error.reason();
        let version = if reason == ReasonCode::UnsupportedProtocolVersion {
            Some(Version::V311)
        } else if body.starts_with(V5_BEGINS) && reason.is_allowed_in(PacketType::ConnAck) {
            Some(Version::V5)
        } else {
            None
        };
        let mut cause = Close::PeerGone;
        if let Some(version) = version {
            self.send(slot, |_, out| {
                ConnAck::new(reason, false).encode(version, out)
            });
            cause = Close::Refused;
        }
        self.close(slot, cause);
        Flow::Closed
    }

    /// Ask the pipeline.
    fn ask(
        &self,
        slot: u32,
        connect: &Connect<'_>,
        client_id: &str,
        peer: Option<&Peer>,
    ) -> Option<Progress> {
        let connection = self.connections.get(slot as usize)?;
        let listener = self.listener(connection.listener);
        let certificate = peer.and_then(|peer| peer.certificate.as_ref());
        let user_properties: Vec<_> = connect.properties.user_properties.iter().collect();
        let request = ConnectRequest {
            client_id,
            username: connect.user_name,
            password: connect.password,
            peer_host: Some(connection.peer.ip().to_canonical()),
            proto_ver: connect.version.level(),
            listener: &listener.id,
            zone: &self.zone(listener.zone).name,
            cert_common_name: certificate.and_then(|c| c.common_name.as_deref()),
            cert_subject: certificate.map(|c| c.subject.as_str()),
            tls: peer.map(|peer| &peer.details),
            auth_method: connect.properties.authentication_method,
            auth_data: connect.properties.authentication_data,
            user_properties: &user_properties,
            client_attrs: None,
            is_superuser: false,
        };
        Some(self.pipeline.connect(&request, self.unix_now))
    }

    /// Go on with what the pipeline said, now or after a verdict from outside.
    fn proceed(&mut self, slot: u32, progress: Progress, wishes: Wishes) -> Flow {
        match progress {
            Progress::Decided(decision) if decision.is_allowed() => {
                let client = Arc::new(decision.client);
                self.attach(slot, Accepted { client, wishes })
            }
            Progress::Decided(decision) => {
                let (stage, reason) = refusing_step(&decision);
                let refused = Refused {
                    stage: stage.to_owned(),
                    reason: reason.to_owned(),
                    reason_code: ReasonCode::from_u8(decision.reason_code)
                        .unwrap_or(ReasonCode::NotAuthorized),
                    client_id: decision.client.info.client_id,
                    username: decision.client.info.username,
                };
                self.refuse_connect(slot, refused)
            }
            Progress::External(suspended) => self.park(slot, suspended, wishes, 1),
        }
    }

    /// Let the connection wait for an authenticator outside the data plane.
    fn park(
        &mut self,
        slot: u32,
        suspended: Box<vallum_policy::pipeline::Suspended>,
        wishes: Wishes,
        rounds: u8,
    ) -> Flow {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return Flow::Closed;
        };
        let event = Event::authenticate(
            (self.index, slot, connection.generation),
            connection.peer,
            &suspended,
            false,
        );
        connection.phase = Phase::AwaitVerdict;
        connection.parked = Some(Box::new(Parked {
            suspended,
            wishes,
            rounds,
        }));
        self.shared.events.push(event);
        Flow::Park
    }

    /// The answer a connection waits for came; one that nobody waits for does nothing.
    pub(crate) fn on_reply(&mut self, slot: u32, reply: Reply, now: Duration) -> Flow {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return Flow::Closed;
        };
        if let Phase::Online(_) = connection.phase {
            return self.on_reply_online(slot, reply, now);
        }
        if connection.phase != Phase::AwaitVerdict {
            return Flow::Park;
        }
        let Some(mut parked) = connection.parked.take() else {
            return Flow::Park;
        };
        self.peer_is_sending = true; // nothing was read meanwhile, so nobody knows
        let generation = connection.generation;
        let method = parked.suspended.auth_method().map(Box::<str>::from);
        let goes_on = matches!(reply, Reply::Continue { .. });
        match step_of(reply, method.is_some().then_some(parked.rounds)) {
            Step::Challenge(data) => {
                connection.phase = Phase::AwaitAuth;
                connection.parked = Some(parked);
                let method = method.unwrap_or_default();
                let reason = ReasonCode::ContinueAuthentication;
                self.send_auth(slot, reason, &method, data.as_deref());
                Flow::Continue
            }
            Step::Decide(verdict, data) => {
                connection.phase = Phase::AwaitConnect;
                if goes_on {
                    self.end_exchange(slot, generation);
                }
                if let (ExternalVerdict::Ok(_), Some(method)) = (&verdict, method) {
                    parked.wishes.proof = Some(Box::new(Proof { method, data }));
                }
                let Parked {
                    suspended, wishes, ..
                } = *parked;
                self.proceed(slot, suspended.resume(verdict, now), wishes)
            }
        }
    }

    /// Refuse with CONNACK and close (section 3.2.2.2); one line for the log.
    pub(crate) fn refuse_connect(&mut self, slot: u32, refused: Refused) -> Flow {
        self.metrics().client_refused.add(1);
        let limit = self
            .connections
            .get(slot as usize)
            .map_or(0, |connection| connection.max_packet_out as usize);
        let mut ack = ConnAck::new(refused.reason_code, false);
        // What the packet itself is wrong about helps whoever sent it. Why the pipeline refused is for
        // the log alone: it would help to guess.
        if refused.stage == "packet_check" && refused.reason.len() + 16 <= limit {
            ack.properties.reason_string = Some(&refused.reason);
        }
        self.send(slot, |version, out| ack.encode(version, out));
        let peer = self
            .connections
            .get(slot as usize)
            .map(|c| (c.peer, c.listener));
        self.report(Refusal {
            action: "connect",
            client_id: refused.client_id,
            username: refused.username,
            peer: peer.map(|(peer, _)| peer),
            listener: self.listener_id(peer.map_or(0, |(_, listener)| listener)),
            stage: refused.stage,
            reason: refused.reason,
            reason_code: refused.reason_code.as_u8(),
            topic: None,
            suppressed: 0,
        });
        self.close(slot, Close::Refused);
        Flow::Closed
    }

    /// Name of a listener.
    pub(crate) fn listener_id(&self, listener: u16) -> Arc<str> {
        Arc::clone(&self.listener(listener).id)
    }

    /// Hand a refusal to the log, unless one like it was written a moment ago.
    pub(crate) fn report(&mut self, mut refusal: Refusal) {
        if self.pipeline.username_is_secret() {
            refusal.username = None;
            if self.pipeline.uses_username_as_client_id() {
                refusal.client_id = "******".into();
            }
        }
        if let Some(suppressed) = self.admit_line(&refusal.client_id, &refusal.reason) {
            refusal.suppressed = suppressed;
            self.push_line(Event::Refused(Box::new(refusal)));
        }
    }

    /// `Some(n)` if a line about this is due, with `n` alike kept back since the last one.
    pub(crate) fn admit_line(&self, who: &str, reason: &str) -> Option<u32> {
        self.shared
            .throttle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .admit(who, reason, u64::from(self.now))
    }

    /// Hand on an event that is lost when the control plane does not keep up.
    pub(crate) fn push_line(&self, event: Event) {
        if !self.shared.events.push(event) {
            self.metrics().events_dropped.add(1);
        }
    }
}

/// Checks that need no rule: identifier, will, limits (`spec/hardening.md` section 6).
fn check(
    mqtt: &MqttConfig,
    connect: &Connect<'_>,
    client_id: &str,
) -> Option<(ReasonCode, &'static str)> {
    if client_id.is_empty() {
        return Some((ReasonCode::ClientIdentifierNotValid, "client_id_required"));
    }
    // Its own limit is no reason to refuse what the broker assigned [MQTT-3.1.3-6].
    if connect.client_id.len() > mqtt.max_clientid_len {
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

/// What the client asks of its session, free of the packet.
fn wishes(mqtt: &MqttConfig, connect: &Connect<'_>, assigned: bool) -> Wishes {
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
    Wishes {
        clean_start: connect.clean_start,
        expiry_interval,
        expiry_requested,
        keep_alive: connect.keep_alive,
        will,
        receive_maximum: connect
            .properties
            .receive_maximum
            .map_or(u16::MAX, NonZeroU16::get),
        assigned,
        topic_alias_maximum: connect.properties.topic_alias_maximum.unwrap_or(0),
        response_information: connect.properties.request_response_information == Some(true),
        no_problem_information: connect.properties.request_problem_information == Some(false),
        proof: None,
    }
}

/// What refused, and why. Where nobody accepted, the last authenticator that had something against
/// the client says more than the end of the chain does.
pub(super) fn refusing_step(decision: &Decision) -> (&str, &str) {
    let undecided = *decision.decided_by == *"no_match";
    let objection =
        decision.steps.iter().rev().find(|step| {
            step.stage == decision::Stage::Authenticator && step.result != StepResult::Ok
        });
    match objection {
        Some(step) if undecided && step.reason.is_some() => {
            (&step.name, step.reason.unwrap_or("denied"))
        }
        _ => (&decision.decided_by, decision.reason.unwrap_or("denied")),
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
