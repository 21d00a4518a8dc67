//! Clients that take nothing of what waits for them (`tcp_options.send_timeout`).
//!
//! Only connections whose socket is full are known here, so the others neither pay nor grow for it.

use std::collections::HashMap;

use super::EventLoop;
use crate::connection::disconnect::Close;

/// Connections whose sockets are full, or were not long ago, by slot. Each is looked at once in a timeout,
/// however often its socket fills meanwhile.
#[derive(Debug, Default)]
pub(super) struct Stalled(HashMap<u32, Since>);

#[derive(Debug)]
struct Since {
    generation: u32,
    /// Broker second in which the socket last took something; `None`: it has room.
    second: Option<u32>,
}

/// The second in which `timeout` has passed for sure: the one it began in had begun already.
fn due(second: u32, timeout: u32) -> u32 {
    second.saturating_add(timeout).saturating_add(1)
}

impl EventLoop {
    /// The socket of `slot` is full; it took `bytes` before that.
    pub(super) fn socket_is_full(&mut self, slot: u32, bytes: usize) {
        let Some(connection) = self.connections.get(slot as usize) else {
            return;
        };
        let Some(timeout) = self.listener(connection.listener).send_timeout else {
            return;
        };
        let (generation, second) = (connection.generation, self.now);
        let known = self.stalled.0.get_mut(&slot);
        match known.filter(|since| since.generation == generation) {
            Some(since) if bytes > 0 || since.second.is_none() => since.second = Some(second),
            Some(_) => {}
            None => {
                let since = Since {
                    generation,
                    second: Some(second),
                };
                self.stalled.0.insert(slot, since);
                self.watch(due(second, timeout), (slot, generation));
            }
        }
    }

    /// Everything that waited for the socket of `slot` is out.
    pub(super) fn socket_has_room(&mut self, slot: u32) {
        if let Some(since) = self.stalled.0.get_mut(&slot) {
            since.second = None;
        }
    }

    /// The connection in `slot` is gone.
    pub(crate) fn forget_stalled(&mut self, slot: u32) {
        self.stalled.0.remove(&slot);
    }

    /// Close the connection in `slot` if its client has taken nothing for too long; `false` then.
    pub(super) fn look_at_stalled(&mut self, slot: u32, generation: u32) -> bool {
        let Some(since) = self.stalled.0.get(&slot) else {
            return true;
        };
        let connection = self.connections.get(slot as usize);
        let timeout = connection.and_then(|c| self.listener(c.listener).send_timeout);
        let Some(timeout) = timeout.filter(|_| since.generation == generation) else {
            return true;
        };
        let Some(second) = since.second else {
            self.forget_stalled(slot);
            return true;
        };
        let closes_at = due(second, timeout);
        if self.now < closes_at {
            self.watch(closes_at, (slot, generation));
            return true;
        }
        self.metrics().send_timeout.add(1);
        self.close(slot, Close::PeerGone);
        false
    }
}
