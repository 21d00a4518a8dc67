//! New connections.

use std::{io, mem, sync::Arc, time::Instant};

use mio::{Interest, Token};

use super::{EventLoop, listeners::Listening, token_of};
use crate::{
    connection::{Connection, Phase},
    listener::rate::Admission,
    shared::Inbound,
    transport::{Transport, socket::Socket, tls::Tls, websocket::WebSocket},
};

/// Connections accepted in one go before other sockets get their turn.
const ACCEPT_SLICE: usize = 256;

impl EventLoop {
    /// Accept what waits at the listener with this index.
    pub(super) fn accept_at(&mut self, index: usize) {
        let is = |each: &Listening| usize::from(each.index) == index;
        if let Some(n) = self.listeners.iter().position(is) {
            self.accept(n);
        }
    }

    /// Accept what waits at listener `n` of this loop and spread it over the loops.
    fn accept(&mut self, n: usize) {
        for _ in 0..ACCEPT_SLICE {
            let Some(listening) = self.listeners.get_mut(n) else {
                return;
            };
            let info_index = listening.index;
            let (stream, peer) = match listening.acceptor.accept() {
                Ok(accepted) => accepted,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) if self.listener(info_index).is_stopped() => return,
                Err(_) => {
                    // Descriptors ran out. Trying again at once would only burn CPU.
                    self.metrics().accept_failed.add(1);
                    self.accept_again = true;
                    return;
                }
            };
            if let Some(rate) = &mut listening.rate {
                match rate.admit(Instant::now()) {
                    Admission::Taken => {}
                    refused => {
                        drop(stream);
                        self.refuse_over_rate(info_index, peer, refused);
                        continue;
                    }
                }
            }
            let info = self.listener(info_index);
            // Before anything is read: behind proxies the socket's peer must be one of them, and the
            // rules judge the address its header announces.
            let admitted = match &info.proxies {
                Some(proxies) => proxies.contain(peer.ip()),
                None => info.access.admit(peer.ip()),
            };
            if !admitted {
                self.refuse_address(info_index, peer);
                continue;
            }
            if !info.take_place() {
                self.metrics().connections_refused.add(1);
                continue;
            }
            self.metrics().connections_accepted.add(1);
            let phase = if info.proxies.is_some() {
                Phase::AwaitProxyHeader
            } else {
                Phase::AwaitConnect
            };
            let socket = match &info.tls {
                Some(tls) => Socket::Tls(Box::new(Tls::new(stream, Arc::clone(tls)))),
                None => Socket::Plain(stream),
            };
            let transport = match &info.websocket {
                Some(config) => {
                    Transport::WebSocket(Box::new(WebSocket::new(socket, Arc::clone(config))))
                }
                None => Transport::Direct(socket),
            };
            let connection = Connection::new(transport, peer, info_index, phase, self.now);
            let target = self.next_loop % self.outbound.len();
            self.next_loop = target + 1;
            if target == usize::from(self.index) {
                self.adopt(connection);
            } else if let Some(batch) = self.outbound.get_mut(target) {
                batch.push(Inbound::Accepted(connection));
            }
        }
        // The listener is edge-triggered and more may wait: arm it anew, so that the next turn sees it.
        if let Some(listening) = self.listeners.get_mut(n) {
            let token = Token(super::FIRST_LISTENER + usize::from(listening.index));
            let _ =
                self.poll
                    .registry()
                    .reregister(&mut listening.acceptor, token, Interest::READABLE);
        }
    }

    /// Try again where descriptors had run out.
    pub(super) fn accept_again(&mut self) {
        if mem::take(&mut self.accept_again) {
            for n in 0..self.listeners.len() {
                self.accept(n);
            }
        }
    }

    /// Make `connection` one of this loop's; gives its slot.
    pub(super) fn adopt(&mut self, mut connection: Connection) -> Option<u32> {
        connection.generation = self.next_generation();
        connection.last_packet = self.now;
        let generation = connection.generation;
        let listener = connection.listener;
        if self.listener(listener).is_stopped() {
            self.forget_listener_slot(listener);
            return None;
        }
        let Ok(slot) = u32::try_from(self.connections.vacant_key()) else {
            self.forget_listener_slot(listener);
            return None;
        };
        // Interest in writing is added only when a socket takes no more: a fresh one would report at
        // once that it is writable, and cost a turn.
        let token = token_of(slot, generation);
        let registry = self.poll.registry();
        if registry
            .register(connection.transport.tcp(), token, Interest::READABLE)
            .is_err()
        {
            self.forget_listener_slot(listener);
            return None;
        }
        let patience = self.patience_for_connect(&connection);
        self.connections.insert(connection);
        if let Some(patience) = patience {
            self.watch(self.now.saturating_add(patience), (slot, generation));
        }
        Some(slot)
    }

    /// One connection less at its listener.
    pub(crate) fn forget_listener_slot(&self, listener: u16) {
        self.listener(listener).give_place();
    }
}

/// Milliseconds as whole seconds, rounded up.
pub(super) fn seconds_up(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds.div_ceil(1000)).unwrap_or(u32::MAX)
}
