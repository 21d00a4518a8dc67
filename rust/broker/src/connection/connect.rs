//! CONNECT: from the packet to a decision (section 3.1). What follows one that is accepted stands in
//! [`crate::session::attach`].

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::Arc,
    time::Duration,
};

use vallum_mqtt::{
    packet::{ConnAck, Connect, DecodeError, FixedHeader, ReasonCode, Version},
    topic::has_control_characters,
};
use vallum_policy::{
    decision::{self, Decision, StepResult},
    pipeline::{ConnectRequest, Progress},
};

use super::{Phase, disconnect::Close};
use crate::{
    event::{Event, Refusal},
    event_loop::{EventLoop, Flow},
    session::{
        attach::{Accepted, Wishes},
        state::{NEVER, Will},
    },
};

/// A CONNECT that waits for an authenticator outside the data plane. Its connection is not read
/// meanwhile, so order is kept; `mqtt.idle_timeout` ends the wait.
pub struct Parked {
    suspended: Box<vallum_policy::pipeline::Suspended>,
    wishes: Wishes,
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
                client_id: client_id.into(),
                username: connect.user_name.map(Into::into),
                reason_code,
                reason: reason.to_owned(),
                stage: "packet_check".to_owned(),
            };
            return self.refuse_connect(slot, refused);
        }
        let wishes = self.wishes(&connect);
        match self.ask(slot, &connect, client_id) {
            Some(progress) => self.proceed(slot, progress, wishes),
            None => Flow::Closed,
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
    fn ask(&self, slot: u32, connect: &Connect<'_>, client_id: &str) -> Option<Progress> {
        let connection = self.connections.get(slot as usize)?;
        let listener = self
            .shared
            .listeners
            .get(usize::from(connection.listener))?;
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
            Progress::External(suspended) => self.park(slot, suspended, wishes),
        }
    }

    /// Let the connection wait for an authenticator outside the data plane.
    fn park(
        &mut self,
        slot: u32,
        suspended: Box<vallum_policy::pipeline::Suspended>,
        wishes: Wishes,
    ) -> Flow {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return Flow::Closed;
        };
        let event = Event::authenticate(
            (self.index, slot, connection.generation),
            connection.peer,
            &suspended,
        );
        connection.phase = Phase::AwaitVerdict;
        connection.parked = Some(Box::new(Parked { suspended, wishes }));
        self.shared.events.push(event);
        Flow::Park
    }

    /// The verdict a connection waits for came.
    pub(crate) fn on_verdict(
        &mut self,
        slot: u32,
        verdict: vallum_policy::pipeline::ExternalVerdict,
        now: Duration,
    ) -> Flow {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return Flow::Closed;
        };
        let Some(parked) = connection.parked.take() else {
            return Flow::Continue;
        };
        connection.phase = Phase::AwaitConnect;
        self.peer_is_sending = true; // nothing was read meanwhile, so nobody knows
        let Parked { suspended, wishes } = *parked;
        self.proceed(slot, suspended.resume(verdict, now), wishes)
    }

    /// What the client asks of its session, free of the packet.
    fn wishes(&self, connect: &Connect<'_>) -> Wishes {
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
            assigned: connect.client_id.is_empty(),
        }
    }

    /// Refuse with CONNACK and close (section 3.2.2.2); one line for the log.
    pub(crate) fn refuse_connect(&mut self, slot: u32, refused: Refused) -> Flow {
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
        let admitted = self
            .shared
            .throttle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .admit(&refusal.client_id, &refusal.reason, u64::from(self.now));
        if let Some(suppressed) = admitted {
            refusal.suppressed = suppressed;
            if !self.shared.events.push(Event::Refused(Box::new(refusal))) {
                self.metrics().events_dropped.add(1);
            }
        }
    }
}

/// What refused, and why. Where nobody accepted, the last authenticator that had something against
/// the client says more than the end of the chain does.
fn refusing_step(decision: &Decision) -> (&str, &str) {
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
