//! Lingering close: what we say last reaches a peer that is still sending.
//!
//! A socket that is closed while bytes of its peer are unread, or on their way, is answered for by the
//! system with a reset, and a reset can destroy what the peer has not read yet: our CONNACK, our
//! DISCONNECT. So our side is shut down first, what still comes is thrown away, and the socket is closed
//! once the peer has closed its side. Such a socket is no connection any more: it has no session, counts
//! for no limit, and there are few of them, for a short time.

use std::net::Shutdown;

use super::EventLoop;
use crate::connection::{Connection, Phase};

/// Seconds a peer has to take note and close.
pub(super) const LINGER_SECONDS: u32 = 3;
/// Bytes thrown away before the peer is cut off: about what two full socket buffers hold.
const LINGER_BYTES: u32 = 8 * 1024 * 1024;
/// Sockets of one loop that may linger at a time; further ones are closed at once.
const MAX_LINGERING: usize = 256;

impl EventLoop {
    /// Whether one more socket may linger.
    pub(crate) fn may_linger(&self) -> bool {
        self.lingering < MAX_LINGERING && !self.stopping
    }

    /// Go on with the socket of a connection that has ended and whose output is all written.
    pub(crate) fn linger(&mut self, slot: u32) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        let shut = connection.transport.tcp().shutdown(Shutdown::Write);
        if shut.is_err() {
            self.connections.try_remove(slot as usize); // the peer is gone already
            return;
        }
        connection.phase = Phase::Lingering(LINGER_BYTES);
        connection.last_packet = now;
        connection.parked = None;
        connection.v5 = None;
        let entry = (slot, connection.generation);
        self.lingering += 1;
        self.metrics().lingered.add(1);
        self.metrics().lingering.set(self.lingering as u64);
        self.watch(now.saturating_add(LINGER_SECONDS), entry);
        self.read_later(slot); // the event for what is unread now may have come and gone
    }

    /// Throw away what a lingering peer sent; `left` is what it may still send, in bytes.
    pub(super) fn discard(&mut self, slot: u32, left: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        match connection.discard(&mut self.read_buffer) {
            Some(n) if n < left as usize => {
                #[allow(clippy::cast_possible_truncation, reason = "less than `left`")]
                {
                    connection.phase = Phase::Lingering(left - n as u32);
                }
                if n == self.read_buffer.len() {
                    self.read_later(slot);
                }
            }
            _ => self.stop_lingering(slot),
        }
    }

    /// Close a socket that lingers.
    pub(crate) fn stop_lingering(&mut self, slot: u32) {
        if self.connections.try_remove(slot as usize).is_some() {
            self.lingering -= 1;
            self.metrics().lingering.set(self.lingering as u64);
        }
    }
}

impl Connection {
    /// One read past the transport's own framing; gives the bytes thrown away, `None` at the end.
    fn discard(&mut self, scratch: &mut [u8]) -> Option<usize> {
        use std::io::{ErrorKind, Read as _};

        match self.transport.tcp().read(scratch) {
            Ok(0) => None,
            Ok(n) => Some(n),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Some(0),
            Err(_) => None,
        }
    }
}
