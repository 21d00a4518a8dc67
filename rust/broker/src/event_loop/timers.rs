//! Connect deadlines and keep-alive, to the second.

use std::mem;

use vallum_mqtt::packet::ReasonCode;

use super::{EventLoop, accept::seconds_up, wheel::Entry};
use crate::connection::{Connection, Phase, disconnect::Close};

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

    /// Seconds a connection has for what must come before it is a client: its PROXY header, its CONNECT.
    pub(super) fn patience_for_connect(&self, connection: &Connection) -> Option<u32> {
        let listener = self.listener(connection.listener);
        let idle_timeout = self.mqtt_in(listener.zone).idle_timeout_ms.map(seconds_up);
        if connection.phase != Phase::AwaitProxyHeader {
            return idle_timeout;
        }
        let proxies = listener.proxies.as_ref();
        let header = proxies.map(|proxies| seconds_up(proxies.timeout_ms));
        header.into_iter().chain(idle_timeout).min()
    }

    fn look_at(&mut self, (slot, generation): Entry) {
        let now = self.now;
        let Some(connection) = self.connections.get(slot as usize) else {
            return;
        };
        if connection.generation != generation || !self.look_at_stalled(slot, generation) {
            return;
        }
        let Some(connection) = self.connections.get(slot as usize) else {
            return;
        };
        match connection.phase {
            // Counted from accept, or from the complete CONNECT: one that drips in extends nothing.
            Phase::AwaitProxyHeader | Phase::AwaitConnect | Phase::AwaitVerdict => {
                let Some(patience) = self.patience_for_connect(connection) else {
                    return;
                };
                let dead_at = connection.last_packet.saturating_add(patience);
                if now >= dead_at {
                    if connection.phase == Phase::AwaitProxyHeader {
                        self.refuse_proxy_header(slot, "proxy_header_timeout");
                    } else {
                        self.close(slot, Close::ConnectTimeout);
                    }
                } else {
                    self.watch(dead_at, (slot, generation));
                }
            }
            Phase::Online(_) => match connection.dead_at() {
                Some(dead_at) if now >= dead_at => {
                    self.close(slot, Close::Server(ReasonCode::KeepAliveTimeout));
                }
                Some(dead_at) => self.watch(dead_at, (slot, generation)),
                None => {}
            },
        }
    }
}
