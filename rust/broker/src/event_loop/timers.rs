//! Connect deadlines and keep-alive, to the second.

use std::mem;

use vallum_mqtt::packet::ReasonCode;

use super::{EventLoop, accept::seconds_up, linger::LINGER_SECONDS, wheel::Entry};
use crate::{
    connection::{Connection, Phase, disconnect::Close},
    transport::tls::failure,
};

impl EventLoop {
    /// Look at a connection in broker second `at`.
    pub(crate) fn watch(&mut self, at: u32, entry: Entry) {
        self.wheel.insert(at, entry);
    }

    /// Look at what is due.
    pub(super) fn tick(&mut self) {
        if self.wheel.at() >= self.now {
            return;
        }
        self.accept_again();
        for session in mem::take(&mut self.unarmed) {
            self.arm_expiry(session);
        }
        let mut due = Vec::new();
        self.wheel.advance(self.now, |entry| due.push(entry));
        for entry in due {
            self.look_at(entry);
        }
    }

    /// Seconds a connection has, from accept, for the next of what must come before it is a client: its
    /// PROXY header, its TLS handshake, its CONNECT.
    pub(super) fn patience_for_connect(&self, connection: &Connection) -> Option<u32> {
        let listener = self.listener(connection.listener);
        let idle_timeout = self.mqtt_in(listener.zone).idle_timeout_ms.map(seconds_up);
        let sooner = if connection.phase == Phase::AwaitProxyHeader {
            listener.proxies.as_ref().map(|proxies| proxies.timeout_ms)
        } else if connection.transport.shaking_hands().is_some() {
            listener.tls.as_ref().map(|tls| tls.handshake_timeout_ms())
        } else {
            None
        };
        sooner.map(seconds_up).into_iter().chain(idle_timeout).min()
    }

    fn look_at(&mut self, (slot, generation): Entry) {
        let now = self.now;
        let Some(connection) = self.connections.get(slot as usize) else {
            return;
        };
        if connection.generation != generation {
            return;
        }
        match connection.phase {
            // Counted from accept, or from the complete CONNECT: one that drips in extends nothing.
            Phase::AwaitProxyHeader
            | Phase::AwaitConnect
            | Phase::AwaitVerdict
            | Phase::AwaitAuth => {
                let Some(patience) = self.patience_for_connect(connection) else {
                    return;
                };
                let dead_at = connection.last_packet.saturating_add(patience);
                if now >= dead_at {
                    if connection.phase == Phase::AwaitProxyHeader {
                        self.refuse_proxy_header(slot, "proxy_header_timeout");
                    } else if connection.transport.shaking_hands().is_some() {
                        self.refuse_handshake(slot, &failure::timeout(), Close::PeerGone);
                    } else {
                        self.close(slot, Close::ConnectTimeout);
                    }
                } else {
                    self.watch(dead_at, (slot, generation));
                }
            }
            Phase::Online(session) => {
                // While nobody listens to it, its silence says nothing.
                let heard = if connection.held {
                    now
                } else {
                    connection.last_packet
                };
                let dead_at =
                    (connection.patience > 0).then(|| heard.saturating_add(connection.patience));
                if dead_at.is_some_and(|dead_at| now >= dead_at) {
                    self.close(slot, Close::Server(ReasonCode::KeepAliveTimeout));
                    return;
                }
                let retry_at = self.retry(slot, session);
                if let Some(next) = dead_at.into_iter().chain(retry_at).min() {
                    self.watch(next, (slot, generation));
                }
            }
            Phase::Lingering(_) => {
                let until = connection.last_packet.saturating_add(LINGER_SECONDS);
                if now >= until {
                    self.stop_lingering(slot);
                } else {
                    self.watch(until, (slot, generation));
                }
            }
        }
    }
}
