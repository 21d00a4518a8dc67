//! Listeners that come and go while the loop runs.

use std::time::Instant;

use mio::{Interest, Token};
use vallum_mqtt::packet::ReasonCode;

use super::{EventLoop, FIRST_LISTENER};
use crate::{
    connection::{Phase, disconnect::Close},
    event::Event,
    listener::{acceptor::Acceptor, rate::ConnectionRate},
};

/// Connections of stopped listeners that are closed in one turn.
const CLOSE_SLICE: usize = 256;
/// Connections that are looked at for that in one turn.
const LOOK_SLICE: usize = 16_384;

/// A listener this loop accepts for.
pub(super) struct Listening {
    /// Its place in the table.
    pub(super) index: u16,
    pub(super) acceptor: Acceptor,
    pub(super) rate: Option<ConnectionRate>,
}

impl EventLoop {
    /// Take up the listeners and zones in force.
    pub(super) fn take_up_table(&mut self) {
        let version = self.shared.table_version();
        if self.table_version != version {
            self.table_version = version;
            self.table = self.shared.table();
        }
    }

    /// Accept for the listener of this index from now on.
    pub(super) fn listen(&mut self, index: u16, mut acceptor: Acceptor) {
        let token = Token(FIRST_LISTENER + usize::from(index));
        let registry = self.poll.registry();
        if let Err(error) = registry.register(&mut acceptor, token, Interest::READABLE) {
            let error = format!("cannot accept for {}: {error}", self.listener(index).id);
            let index = self.index;
            self.shared.events.push(Event::LoopFailed { index, error });
            return;
        }
        let rate = self.listener(index).rate;
        let rate = rate.map(|(rate, burst)| ConnectionRate::new(rate, burst, Instant::now()));
        self.listeners.push(Listening {
            index,
            acceptor,
            rate,
        });
    }

    /// Accept for it no longer.
    pub(super) fn unlisten(&mut self, index: u16) {
        let registry = self.poll.registry();
        self.listeners.retain_mut(|each| {
            if each.index == index {
                // The control plane may hold the same socket, which would stay in the poll.
                let _ = registry.deregister(&mut each.acceptor);
            }
            each.index != index
        });
        self.listener(index).retire();
    }

    /// Some listener was stopped: look through all connections, from the first.
    pub(super) fn begin_to_close_stopped(&mut self) {
        self.closing = Some(0);
    }

    /// Close connections of stopped listeners, a slice a turn.
    pub(super) fn close_stopped(&mut self) {
        let Some(from) = self.closing else { return };
        let to = from.saturating_add(LOOK_SLICE);
        let mut closed = 0;
        for slot in from..to.min(self.connections.capacity()) {
            let connection = self.connections.get(slot);
            let stopped = connection.is_some_and(|c| {
                !matches!(c.phase, Phase::Lingering(_)) && self.listener(c.listener).is_stopped()
            });
            if stopped && let Ok(slot) = u32::try_from(slot) {
                self.close(slot, Close::Server(ReasonCode::AdministrativeAction));
                closed += 1;
                if closed == CLOSE_SLICE {
                    self.closing = Some(slot as usize + 1);
                    return;
                }
            }
        }
        self.closing = (to < self.connections.capacity()).then_some(to);
    }
}
