//! AUTH: enhanced authentication, at CONNECT and again while online (section 4.12).
//!
//! The exchange itself is an authenticator's outside the data plane. Here stand who may send what when,
//! and the bounds: rounds, and before CONNACK `mqtt.idle_timeout` for all of them together.

use std::{sync::Arc, time::Duration};

use vallum_mqtt::packet::{
    Auth, AuthProperties, DecodeError, FixedHeader, Packet, PacketType, ReasonCode, Version,
};
use vallum_policy::{
    decision::Decision,
    pipeline::{ExternalVerdict, Progress, Renewal, Suspended},
};

use super::{Connection, Phase, connect::Refused, disconnect::Close};
use crate::{
    command::Reply,
    event::{Event, Refusal},
    event_loop::{EventLoop, Flow},
    session::SessionRef,
};

/// Most steps of a client in one exchange, its CONNECT or AUTH 0x19 included. SCRAM takes two, Kerberos
/// three or four; a client that is asked for more is refused with 0x87.
const MAX_ROUNDS: u8 = 16;

/// What a client that came in by enhanced authentication showed last.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) method: Box<str>,
    /// The authenticator's last word to the client. Secret.
    pub(crate) data: Option<Box<[u8]>>,
}

/// Enhanced authentication of a connection that is online.
#[derive(Debug)]
pub struct Enhanced {
    /// The method of its CONNECT, which is that of every exchange from then on [MQTT-4.12.1-1].
    method: Box<str>,
    /// It authenticates anew.
    exchange: Option<Exchange>,
}

#[derive(Debug)]
struct Exchange {
    suspended: Box<Suspended>,
    rounds: u8,
    /// The authenticator's turn; else the client's.
    asking: bool,
}

impl Enhanced {
    /// Authenticated by `method`, and nothing under way.
    pub(crate) fn new(method: Box<str>) -> Self {
        Self {
            method,
            exchange: None,
        }
    }
}

impl Connection {
    /// Whether an authenticator waits for this client, or it for the authenticator.
    pub(super) fn is_in_exchange(&self) -> bool {
        let connecting = self
            .parked
            .as_ref()
            .is_some_and(|parked| parked.suspended.auth_method().is_some());
        let online = self.v5.as_ref().and_then(|v5| v5.enhanced.as_ref());
        connecting || online.is_some_and(|enhanced| enhanced.exchange.is_some())
    }
}

/// What an authenticator's answer asks for.
pub(crate) enum Step {
    /// Go on with the chain; the data is for the client if it gets in.
    Decide(ExternalVerdict, Option<Box<[u8]>>),
    /// Send that to the client and wait.
    Challenge(Option<Box<[u8]>>),
}

/// Judge an answer in an exchange with `rounds` steps of the client; `None`: no exchange, as the CONNECT
/// had no method.
pub(crate) fn step_of(reply: Reply, rounds: Option<u8>) -> Step {
    let too_long = |data: &Option<Box<[u8]>>| {
        data.as_ref()
            .is_some_and(|data| data.len() > usize::from(u16::MAX))
    };
    let failed = |reason: &str| {
        let reason = reason.to_owned();
        Step::Decide(ExternalVerdict::Error { reason }, None)
    };
    match (reply, rounds) {
        (Reply::Decided { data, .. } | Reply::Continue { data }, _) if too_long(&data) => {
            failed("the authentication data exceeds 65535 bytes")
        }
        (Reply::Decided { verdict, data }, _) => Step::Decide(verdict, data),
        (Reply::Continue { .. }, None) => failed("there is no exchange to go on with"),
        (Reply::Continue { .. }, Some(rounds)) if rounds >= MAX_ROUNDS => {
            let verdict = ExternalVerdict::Deny {
                reason_code: ReasonCode::NotAuthorized.as_u8(),
                reason: "too_many_rounds".to_owned(),
            };
            Step::Decide(verdict, None)
        }
        (Reply::Continue { data }, Some(_)) => Step::Challenge(data),
    }
}

impl EventLoop {
    /// Send AUTH.
    pub(super) fn send_auth(
        &mut self,
        slot: u32,
        reason: ReasonCode,
        method: &str,
        data: Option<&[u8]>,
    ) {
        let auth = Auth {
            reason,
            properties: AuthProperties {
                authentication_method: Some(method),
                authentication_data: data,
                ..AuthProperties::default()
            },
        };
        self.send(slot, |version, out| auth.encode(version, out));
    }

    /// A packet between CONNECT and CONNACK: the client's next step, or the end
    /// [MQTT-3.1.2-30].
    pub(crate) fn on_exchange(&mut self, slot: u32, header: FixedHeader, body: &[u8]) -> Flow {
        match header.packet_type {
            PacketType::Auth => {}
            PacketType::Disconnect => {
                self.close(slot, Close::PeerGone);
                return Flow::Closed;
            }
            _ => return self.refuse_exchange(slot, ReasonCode::ProtocolError),
        }
        let auth = match decode(self.version_of(slot), header, body) {
            Ok(auth) => auth,
            Err(error) => {
                self.metrics().packets_malformed.add(1);
                return self.refuse_exchange(slot, error.reason());
            }
        };
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return Flow::Closed;
        };
        let Some(parked) = connection.parked.as_deref_mut() else {
            return self.refuse_exchange(slot, ReasonCode::ProtocolError);
        };
        if auth.properties.authentication_method != parked.suspended.auth_method() {
            return self.refuse_exchange(slot, ReasonCode::BadAuthenticationMethod);
        }
        if auth.reason != ReasonCode::ContinueAuthentication {
            return self.refuse_exchange(slot, ReasonCode::ProtocolError);
        }
        parked.rounds += 1;
        parked
            .suspended
            .next_round(auth.properties.authentication_data);
        connection.phase = Phase::AwaitVerdict;
        let at = (self.index, slot, connection.generation);
        let question = Event::authenticate(at, connection.peer, &parked.suspended, false);
        self.shared.events.push(question);
        Flow::Park
    }

    /// The first exchange ends in a CONNACK that says what the client did wrong.
    fn refuse_exchange(&mut self, slot: u32, reason_code: ReasonCode) -> Flow {
        let client = self
            .connections
            .get(slot as usize)
            .and_then(|connection| connection.parked.as_ref())
            .map(|parked| parked.suspended.client());
        let refused = Refused {
            client_id: client.map_or_else(|| "".into(), |client| client.client_id.clone()),
            username: client.and_then(|client| client.username.clone()),
            reason_code,
            reason: reason_code.name().to_owned(),
            stage: "packet_check".to_owned(),
        };
        self.refuse_connect(slot, refused)
    }

    /// Tell the authenticator that an exchange is over which it wanted to go on with.
    pub(super) fn end_exchange(&self, slot: u32, generation: u32) {
        self.shared.events.push(Event::ExchangeEnded {
            connection: (self.index, slot, generation),
        });
    }

    /// An AUTH of a client that is online: it authenticates anew (section 4.12.1).
    pub(crate) fn on_auth(
        &mut self,
        slot: u32,
        session_slot: u32,
        header: FixedHeader,
        body: &[u8],
    ) -> Flow {
        let auth = match decode(self.version_of(slot), header, body) {
            Ok(auth) => auth,
            Err(error) => return self.refuse_packet(slot, error.reason()),
        };
        let method = auth.properties.authentication_method;
        let data = auth.properties.authentication_data;
        // Its names were found good when it connected.
        let peer = self.tls_peer(slot).ok().flatten();
        let Some(enhanced) = self.enhanced(slot) else {
            return self.refuse_packet(slot, ReasonCode::ProtocolError);
        };
        if method != Some(&*enhanced.method) {
            return self.refuse_packet(slot, ReasonCode::BadAuthenticationMethod);
        }
        match (auth.reason, &mut enhanced.exchange) {
            (ReasonCode::ReAuthenticate, None) => {
                let Some(entry) = self.sessions.get(session_slot as usize) else {
                    return Flow::Closed;
                };
                let client = Arc::clone(&entry.session.client);
                let certificate = peer.as_ref().and_then(|peer| peer.certificate.as_ref());
                let renewal = Renewal {
                    auth_method: method.unwrap_or_default(),
                    auth_data: data,
                    cert_subject: certificate.map(|c| c.subject.as_str()),
                    tls: peer.as_ref().map(|peer| &peer.details),
                };
                let progress = self
                    .pipeline
                    .reauthenticate(&client.info, &renewal, self.unix_now);
                self.go_on_authenticating(slot, progress, 1, None)
            }
            (ReasonCode::ContinueAuthentication, Some(exchange)) if !exchange.asking => {
                exchange.rounds += 1;
                exchange.asking = true;
                exchange.suspended.next_round(data);
                self.ask_again(slot);
                Flow::Continue
            }
            _ => self.refuse_packet(slot, ReasonCode::ProtocolError),
        }
    }

    fn enhanced(&mut self, slot: u32) -> Option<&mut Enhanced> {
        let connection = self.connections.get_mut(slot as usize)?;
        connection.v5.as_mut()?.enhanced.as_deref_mut()
    }

    /// Ask the authenticator about a client that is online.
    fn ask_again(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot as usize) else {
            return;
        };
        let enhanced = connection.v5.as_ref().and_then(|v5| v5.enhanced.as_ref());
        if let Some(exchange) = enhanced.and_then(|enhanced| enhanced.exchange.as_ref()) {
            let at = (self.index, slot, connection.generation);
            let question = Event::authenticate(at, connection.peer, &exchange.suspended, true);
            self.shared.events.push(question);
        }
    }

    /// The answer about a client that is online; one that nobody waits for does nothing.
    pub(super) fn on_reply_online(&mut self, slot: u32, reply: Reply, now: Duration) -> Flow {
        let Some(enhanced) = self.enhanced(slot) else {
            return Flow::Continue;
        };
        let Some(mut exchange) = enhanced.exchange.take_if(|exchange| exchange.asking) else {
            return Flow::Continue;
        };
        let goes_on = matches!(reply, Reply::Continue { .. });
        match step_of(reply, Some(exchange.rounds)) {
            Step::Challenge(data) => {
                exchange.asking = false;
                enhanced.exchange = Some(exchange);
                let method = enhanced.method.clone();
                self.send_auth(
                    slot,
                    ReasonCode::ContinueAuthentication,
                    &method,
                    data.as_deref(),
                );
                Flow::Continue
            }
            Step::Decide(verdict, data) => {
                if goes_on && let Some(connection) = self.connections.get(slot as usize) {
                    self.end_exchange(slot, connection.generation);
                }
                let rounds = exchange.rounds;
                let progress = exchange.suspended.resume(verdict, now);
                self.go_on_authenticating(slot, progress, rounds, data.as_deref())
            }
        }
    }

    /// Go on with what the pipeline said about a client that is online.
    fn go_on_authenticating(
        &mut self,
        slot: u32,
        progress: Progress,
        rounds: u8,
        data: Option<&[u8]>,
    ) -> Flow {
        let Some(Phase::Online(session_slot)) =
            self.connections.get(slot as usize).map(|c| c.phase)
        else {
            return Flow::Closed;
        };
        let Some(reference) = self.session_ref(session_slot) else {
            return Flow::Closed;
        };
        match progress {
            Progress::External(suspended) => {
                if let Some(enhanced) = self.enhanced(slot) {
                    enhanced.exchange = Some(Exchange {
                        suspended,
                        rounds,
                        asking: true,
                    });
                }
                self.ask_again(slot);
                Flow::Continue
            }
            Progress::Decided(decision) if decision.is_allowed() => {
                self.renew(slot, reference, decision, data)
            }
            Progress::Decided(decision) => {
                let (stage, reason) = super::connect::refusing_step(&decision);
                let (stage, reason) = (stage.to_owned(), reason.to_owned());
                self.refuse_renewal(slot, &decision, stage, reason)
            }
        }
    }

    /// The client showed again who it is: its rights are the new ones, its identity is the old one.
    fn renew(
        &mut self,
        slot: u32,
        reference: SessionRef,
        decision: Decision,
        data: Option<&[u8]>,
    ) -> Flow {
        let Some(session) = self.session_mut(reference) else {
            return Flow::Closed;
        };
        let old = &session.client.info;
        let new = &decision.client.info;
        if old.client_id != new.client_id || old.username != new.username {
            let stage = decision.decided_by.to_string();
            return self.refuse_renewal(slot, &decision, stage, "identity_changed".to_owned());
        }
        session.client = Arc::new(decision.client);
        let expires = session.client.expire_at.is_some();
        let Some(enhanced) = self.enhanced(slot) else {
            return Flow::Closed;
        };
        let method = enhanced.method.clone();
        self.send_auth(slot, ReasonCode::Success, &method, data);
        if expires {
            self.arm_expiry(reference); // a timer for the old time finds another one and does nothing
        }
        Flow::Continue
    }

    /// DISCONNECT [MQTT-4.12.1-2], and one line for the log.
    fn refuse_renewal(
        &mut self,
        slot: u32,
        decision: &Decision,
        stage: String,
        reason: String,
    ) -> Flow {
        let code = ReasonCode::from_u8(decision.reason_code)
            .filter(|code| code.is_failure() && code.is_allowed_in(PacketType::Disconnect))
            .unwrap_or(ReasonCode::NotAuthorized);
        let info = &decision.client.info;
        self.report(Refusal {
            action: "reauthenticate",
            client_id: info.client_id.clone(),
            username: info.username.clone(),
            peer: self.connections.get(slot as usize).map(|c| c.peer),
            listener: info.listener.clone(),
            stage,
            reason,
            reason_code: code.as_u8(),
            topic: None,
            suppressed: 0,
        });
        self.close(slot, Close::Server(code));
        Flow::Closed
    }
}

/// Read an AUTH that a client may send.
fn decode(version: Version, header: FixedHeader, body: &[u8]) -> Result<Auth<'_>, DecodeError> {
    let auth = Auth::decode(version, &header, body)?;
    Packet::Auth(auth).check_from_client()?;
    Ok(auth)
}
