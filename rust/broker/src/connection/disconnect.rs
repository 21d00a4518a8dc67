//! DISCONNECT, and every other way a connection ends (sections 3.14 and 4.13).

use std::{sync::Arc, time::Duration};

use vallum_mqtt::packet::{Disconnect, FixedHeader, PacketType, ReasonCode, Version};

use super::{Connection, Phase};
use crate::{
    event::Event,
    event_loop::{EventLoop, Flow},
    presence::Place,
    session::{Session, SessionRef, state::NEVER},
};

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// The peer closed or reset it, or it never became a client.
    PeerGone,
    /// The client said DISCONNECT; `with_will` unless its reason was a normal disconnection.
    Client { with_will: bool },
    /// Its CONNECT was refused, and it was told so.
    Refused,
    /// What it sent broke its transport, and the transport says so.
    Transport,
    /// Its TLS handshake failed, and it was told so.
    Handshake,
    /// No CONNECT within `mqtt.idle_timeout`.
    ConnectTimeout,
    /// We end it; a v5 client is told why.
    Server(ReasonCode),
    /// Another connection of the same client identifier; `for_good` if its session ends too.
    TakenOver { for_good: bool },
    /// `exp` of the token, or whatever the authenticator said.
    CredentialsExpired,
}

impl Close {
    /// What a v5 client is told.
    fn reason(self) -> Option<ReasonCode> {
        match self {
            Self::PeerGone
            | Self::Refused
            | Self::Transport
            | Self::Handshake
            | Self::Client { .. }
            | Self::ConnectTimeout => None,
            Self::Server(reason) => Some(reason),
            Self::TakenOver { .. } => Some(ReasonCode::SessionTakenOver),
            Self::CredentialsExpired => Some(ReasonCode::NotAuthorized),
        }
    }

    /// Whether last words were said to a peer that may still be sending.
    fn may_cut_off(self, connection: &Connection, peer_is_sending: bool) -> bool {
        match self {
            Self::PeerGone
            | Self::Client { .. }
            | Self::ConnectTimeout
            | Self::Server(ReasonCode::KeepAliveTimeout) => false,
            Self::Refused => peer_is_sending,
            // The client may send its CONNECT before it knows that it is refused.
            Self::Handshake => true,
            Self::Transport => matches!(connection.phase, Phase::Online(_)),
            Self::Server(_) | Self::TakenOver { .. } | Self::CredentialsExpired => {
                matches!(connection.phase, Phase::Online(_))
                    && (connection.version == Version::V5 || connection.transport.says_goodbye())
            }
        }
    }
}

impl EventLoop {
    /// A DISCONNECT.
    pub(crate) fn on_disconnect(
        &mut self,
        slot: u32,
        session_slot: u32,
        header: FixedHeader,
        body: &[u8],
    ) -> Flow {
        let disconnect = match Disconnect::decode(self.version_of(slot), &header, body) {
            Ok(disconnect) => disconnect,
            Err(error) => return self.refuse_packet(slot, error.reason()),
        };
        if !disconnect.reason.client_may_send(PacketType::Disconnect) {
            return self.refuse_packet(slot, ReasonCode::ProtocolError); // section 3.14.2.1
        }
        let cap = self.mqtt_of(slot).max_session_expiry_interval;
        if let Some(interval) = disconnect.properties.session_expiry_interval
            && let Some(entry) = self.sessions.get_mut(session_slot as usize)
        {
            if entry.session.expiry_interval == 0 && interval != 0 {
                // A session that ends with its connection cannot be prolonged [MQTT-3.1.2-23].
                return self.refuse_packet(slot, ReasonCode::ProtocolError);
            }
            entry.session.expiry_interval = interval.min(cap.unwrap_or(NEVER));
        }
        // Only a normal disconnection deletes the Will [MQTT-3.14.4-3] [MQTT-3.1.2-10].
        let with_will = disconnect.reason != ReasonCode::Success;
        self.close(slot, Close::Client { with_will });
        Flow::Closed
    }

    /// End a connection over a packet that broke the protocol (section 4.13).
    pub(crate) fn refuse_packet(&mut self, slot: u32, reason: ReasonCode) -> Flow {
        self.metrics().packets_malformed.add(1);
        let phase = self.connections.get(slot as usize).map(|c| c.phase);
        if let Some(Phase::Online(_)) = phase {
            self.close(slot, Close::Server(reason));
        } else {
            self.close(slot, Close::PeerGone);
        }
        Flow::Closed
    }

    /// End a connection: say why, write what is left, close, and see to its session.
    pub(crate) fn close(&mut self, slot: u32, cause: Close) {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        if let Phase::Lingering(_) = connection.phase {
            return self.stop_lingering(slot);
        }
        if let (Some(reason), Version::V5, Phase::Online(_)) =
            (cause.reason(), connection.version, connection.phase)
        {
            let limit = connection.max_packet_out as usize;
            let out = connection.out.buffer(&mut self.pool);
            let before = out.len();
            let encoded = Disconnect::new(reason).encode(Version::V5, out);
            if encoded.is_err() || out.len() - before > limit {
                out.truncate(before);
            }
        }
        let mut sent = 0;
        if !connection.out.is_empty() && !connection.out.blocked {
            (_, sent) = connection
                .out
                .flush(&mut connection.transport, &mut self.pool);
        }
        connection.transport.finish(self.stopping);
        let exchanging = connection.is_in_exchange().then_some(connection.generation);
        if connection.tail.capacity() > 0 {
            self.pool.give(std::mem::take(&mut connection.tail));
        }
        let (phase, listener) = (connection.phase, connection.listener);
        let stalled = connection.watches_write;
        let place = Place::from(&*connection);
        let lingers =
            connection.out.is_empty() && cause.may_cut_off(connection, self.peer_is_sending);
        self.metrics().bytes_sent.add(sent as u64);
        self.forget_listener_slot(listener);
        if stalled {
            self.forget_stalled(slot);
        }
        if let Some(generation) = exchanging {
            self.end_exchange(slot, generation);
        }
        if lingers && self.may_linger() {
            self.linger(slot);
        } else {
            self.connections.try_remove(slot as usize);
        }
        if let Phase::Online(session_slot) = phase {
            self.metrics().client_disconnected.add(1);
            if let Some(reference) = self.session_ref(session_slot) {
                let client = if self.hears_of_disconnects() {
                    self.session_mut(reference).map(|s| s.client.clone())
                } else {
                    None
                };
                self.go_offline(reference, cause);
                if let Some(client) = client {
                    self.tell_disconnected(place, &client, cause);
                }
            }
        }
    }

    /// What a session does when its connection is gone (section 4.1).
    fn go_offline(&mut self, reference: SessionRef, cause: Close) {
        let Some(session) = self.session_mut(reference) else {
            return;
        };
        session.connection = None;
        session.stalled_replays = None;
        session.pending_replays = 0;
        session.offline_epoch = session.offline_epoch.wrapping_add(1);
        self.tell_groups(reference, false);
        let Some(session) = self.session_mut(reference) else {
            return;
        };
        let for_good = match cause {
            Close::TakenOver { for_good } => for_good || session.expiry_interval == 0,
            _ => session.expiry_interval == 0,
        };
        let will_is_due = match &session.will {
            Some(will) => for_good || will.delay == 0,
            None => false,
        };
        if cause == (Close::Client { with_will: false }) {
            session.will = None; // [MQTT-3.14.4-3] [v3.1.1 MQTT-3.14.4-3]
        } else if will_is_due && let Some(will) = session.will.take() {
            let client = Arc::clone(&session.client);
            let at = match (cause, client.expire_at) {
                // A will is not blocked by the very expiry that caused it.
                (Close::CredentialsExpired, Some(expire_at)) => Duration::from_secs(expire_at),
                _ => self.unix_now,
            };
            self.publish_will(reference, &client, &will, at);
        }
        if for_good {
            self.end_session(reference);
        } else {
            self.report_closed(reference);
        }
    }

    /// Tell the control plane which timers an offline session needs.
    fn report_closed(&mut self, reference: SessionRef) {
        let Some(session) = self.session_mut(reference) else {
            return;
        };
        let expiry_interval = (session.expiry_interval != NEVER).then_some(session.expiry_interval);
        let will_delay = session.will.as_ref().map(|will| will.delay);
        session.has_timer = true;
        let event = Event::SessionClosed {
            session: reference,
            client_id: Arc::clone(&session.client.info.client_id),
            offline_epoch: session.offline_epoch,
            expiry_interval,
            will_delay,
        };
        self.shared.events.push(event);
    }

    /// A session is over: forget it and all that belongs to it.
    pub(crate) fn end_session(&mut self, reference: SessionRef) {
        let Some(session) = self.session_mut(reference) else {
            return;
        };
        if let Some(slot) = session.connection {
            self.close(slot, Close::TakenOver { for_good: true });
            return; // closing ends the session
        }
        // A delayed will is due at the latest when the session ends [MQTT-3.1.2-8].
        if let Some(will) = session.will.take() {
            let client = Arc::clone(&session.client);
            self.publish_will(reference, &client, &will, self.unix_now);
        }
        let Some(entry) = self.sessions.try_remove(reference.slot as usize) else {
            return;
        };
        let Session {
            client,
            subscriptions,
            has_timer,
            offline_epoch,
            has_shared,
            inflight,
            queue,
            ..
        } = entry.session;
        self.forget_subscriptions(reference, subscriptions);
        self.shared
            .registry
            .release(&client.info.client_id, reference);
        if has_shared && !self.stopping {
            self.pass_on(inflight, queue);
        }
        if has_timer {
            self.shared.events.push(Event::SessionClosed {
                session: reference,
                client_id: Arc::clone(&client.info.client_id),
                offline_epoch,
                expiry_interval: Some(0),
                will_delay: None,
            });
        }
    }
}
