//! New connections.

use std::{
    io, mem,
    sync::{Arc, atomic::Ordering},
};

use mio::{Interest, Token};

use super::{EventLoop, token_of};
use crate::{
    connection::{Connection, Phase},
    shared::Inbound,
    transport::{Transport, socket::Socket, tls::Tls, websocket::WebSocket},
};

/// Connections accepted in one go before other sockets get their turn.
const ACCEPT_SLICE: usize = 256;

impl EventLoop {
    /// Accept what waits at listener `n` of this loop and spread it over the loops.
    pub(super) fn accept(&mut self, n: usize) {
        for _ in 0..ACCEPT_SLICE {
            let Some((info_index, listener)) = self.listeners.get(n) else {
                return;
            };
            let info_index = *info_index;
            let (stream, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => {
                    // Descriptors ran out. Trying again at once would only burn CPU.
                    self.metrics().accept_failed.add(1);
                    self.accept_again = true;
                    return;
                }
            };
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
            if info.connections.fetch_add(1, Ordering::Relaxed) >= info.max_connections {
                info.connections.fetch_sub(1, Ordering::Relaxed);
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
        if let Some((_, listener)) = self.listeners.get_mut(n) {
            let token = Token(super::FIRST_LISTENER + n);
            let _ = self
                .poll
                .registry()
                .reregister(listener, token, Interest::READABLE);
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
        self.listener(listener)
            .connections
            .fetch_sub(1, Ordering::Relaxed);
    }
}

/// Milliseconds as whole seconds, rounded up.
pub(super) fn seconds_up(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds.div_ceil(1000)).unwrap_or(u32::MAX)
}
