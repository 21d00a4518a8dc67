//! Connections in TLS: handshakes in their turn, bytes from encrypted to clear.

use std::{collections::VecDeque, mem};

use openssl::ssl::SslRef;

use super::EventLoop;
use crate::{
    connection::disconnect::Close,
    event::{Event, HandshakeFailure},
    transport::tls::{
        Tls,
        failure::{self, Failure},
    },
};

/// Reads in one turn that may hold a step of a handshake. Such a step is up to a millisecond of work,
/// so with more, clients that are connected would wait for those that want to be.
const HANDSHAKE_SLICE: usize = 4;

/// Which handshakes go on in which turn.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    /// Reads that were taken in this turn.
    taken: usize,
    /// Connections that wait for a later one, by slot and generation, and whether their peer closed its
    /// side.
    waiting: VecDeque<(u32, u32, bool)>,
}

impl Handshakes {
    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl EventLoop {
    /// Whether `slot` may be read in this turn: not if a handshake is under way there and this turn has
    /// had enough of them. Then its turn comes.
    pub(super) fn may_shake_hands(&mut self, slot: u32, ending: bool) -> bool {
        let Some(connection) = self.connections.get(slot as usize) else {
            return false;
        };
        if connection.transport.shaking_hands().is_none() {
            return true;
        }
        if self.handshakes.taken < HANDSHAKE_SLICE {
            self.handshakes.taken += 1;
            return true;
        }
        let waiting = (slot, connection.generation, ending);
        self.handshakes.waiting.push_back(waiting);
        false
    }

    /// Go on with those that waited, first come, first served.
    pub(super) fn shake_hands_again(&mut self) {
        self.handshakes.taken = 0;
        for _ in 0..HANDSHAKE_SLICE {
            let Some((slot, generation, ending)) = self.handshakes.waiting.pop_front() else {
                return;
            };
            let is_same = |c: &crate::connection::Connection| c.generation == generation;
            if self.connections.get(slot as usize).is_some_and(is_same) {
                self.guarded(slot, |this| this.read(slot, ending));
            }
        }
    }

    /// Handle encrypted bytes; `false` if the connection is gone.
    pub(super) fn decrypt(&mut self, slot: u32, data: &[u8]) -> bool {
        let mut clear = mem::take(&mut self.clear);
        let Some(tls) = self
            .connections
            .get_mut(slot as usize)
            .and_then(|connection| connection.transport.tls())
        else {
            self.clear = clear;
            return false;
        };
        let was_open = !tls.is_shaking_hands();
        let result = tls.take_in(data, &mut clear);
        let has_output = tls.wants_write();
        let resumed = tls.session().is_some_and(SslRef::session_reused);
        let alive = match result {
            Ok(taken) => {
                if taken.opened {
                    self.metrics().tls_handshakes.add(1);
                    self.metrics().tls_resumed.add(u64::from(resumed));
                }
                if has_output {
                    self.mark_dirty(slot);
                }
                let mqtt = clear.get_mut(..taken.clear).unwrap_or_default();
                let alive = mqtt.is_empty() || self.unframe(slot, mqtt);
                if alive && taken.ends {
                    self.end_of_input(slot);
                }
                alive && !taken.ends
            }
            Err(_) if was_open => {
                self.close(slot, Close::Transport);
                false
            }
            Err(failure) => {
                let cause = if has_output {
                    Close::Handshake
                } else {
                    Close::PeerGone
                };
                self.refuse_handshake(slot, &failure, cause);
                false
            }
        };
        self.clear = clear;
        alive
    }

    /// The peer closed the connection. In the middle of a handshake that says something too.
    pub(super) fn peer_gone(&mut self, slot: u32) {
        let gave_up = self.connections.get(slot as usize).is_some_and(|c| {
            let tls = c.transport.shaking_hands();
            tls.is_some_and(Tls::has_begun)
        });
        if gave_up {
            self.refuse_handshake(slot, &failure::gave_up(), Close::PeerGone);
        } else {
            self.close(slot, Close::PeerGone);
        }
    }

    /// Close a connection that did not get past TLS, and say why.
    pub(super) fn refuse_handshake(&mut self, slot: u32, failure: &Failure, cause: Close) {
        self.metrics().tls_failed.add(1);
        if let Some(connection) = self.connections.get(slot as usize) {
            let (peer, listener) = (connection.peer, connection.listener);
            let id = self.listener_id(listener);
            if let Some(suppressed) = self.admit_line(&id, failure.reason) {
                self.push_line(Event::HandshakeFailed(Box::new(HandshakeFailure {
                    listener: id,
                    peer,
                    failure: failure.clone(),
                    suppressed,
                })));
            }
            self.ask_for_lists(listener);
        }
        self.close(slot, cause);
    }

    /// Have the revocation lists fetched that a verification missed.
    fn ask_for_lists(&mut self, listener: u16) {
        let Some(info) = self.table.listeners.get(usize::from(listener)) else {
            return;
        };
        let addresses = info.tls.as_ref().map(|tls| tls.take_wanted_lists());
        if let Some(addresses) = addresses.filter(|addresses| !addresses.is_empty()) {
            let listener = std::sync::Arc::clone(&info.id);
            self.push_line(Event::ListsWanted {
                listener,
                addresses,
            });
        }
    }
}
