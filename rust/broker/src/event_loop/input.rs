//! Bytes to packets.
//!
//! One read brings what the socket has into the loop's shared buffer; every complete packet in it is
//! handled in place, without a copy. Only the beginning of an incomplete packet is kept with the
//! connection, as it arrives: never memory for a length that was merely announced.

use std::{io, mem};

use mio::event::Event;
use vallum_mqtt::packet::{FixedHeader, ReasonCode};

use super::{EventLoop, READ_SLICE};
use crate::{
    connection::{Phase, disconnect::Close},
    session::attach::Accepted,
    transport::{Transport, socket::Socket},
};

/// Largest CONNECT, in bytes: all a client gets before it is known. Room for identifier, user name,
/// a token of 64 KiB and a will.
const MAX_CONNECT_BYTES: usize = 256 * 1024;

/// What handling one packet led to.
pub(crate) enum Flow {
    /// Go on with the next packet.
    Continue,
    /// The connection is closed.
    Closed,
    /// The connection waits for a verdict; keep what follows.
    Park,
    /// The connection's session lives on another loop.
    HandOver(u16, Box<Accepted>),
}

impl EventLoop {
    /// A socket has something to say.
    pub(super) fn on_socket(&mut self, slot: u32, event: &Event) {
        if event.is_writable()
            && let Some(connection) = self.connections.get_mut(slot as usize)
            && connection.out.blocked
        {
            connection.out.blocked = false;
            self.mark_dirty(slot);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(slot, event.is_read_closed() || event.is_error());
        }
    }

    /// Read on where the last read filled the buffer.
    pub(super) fn read_again(&mut self) {
        for _ in 0..self.ready.len().min(READ_SLICE) {
            if self.fanouts.is_full() {
                return;
            }
            let Some((slot, generation)) = self.ready.pop_front() else {
                return;
            };
            if let Some(connection) = self.connections.get_mut(slot as usize)
                && connection.generation == generation
            {
                connection.readable = false;
                self.guarded(slot, |this| this.read(slot, false));
            }
        }
    }

    /// Come back to `slot` in the next turn.
    pub(super) fn read_later(&mut self, slot: u32) {
        if let Some(connection) = self.connections.get_mut(slot as usize)
            && !connection.readable
        {
            connection.readable = true;
            self.ready.push_back((slot, connection.generation));
        }
    }

    /// One read. `ending` says the peer closed its side, so a short read has brought the last bytes.
    pub(super) fn read(&mut self, slot: u32, ending: bool) {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        let phase = connection.phase;
        let plain = matches!(connection.transport, Transport::Direct(Socket::Plain(_)));
        if let Phase::Lingering(left) = phase {
            return self.discard(slot, left);
        }
        if phase == Phase::AwaitVerdict || connection.held {
            connection.missed = true;
            return; // resumed by the verdict, or by whatever it waits for
        }
        if self.congested || self.fanouts.is_full() {
            connection.missed = true;
            self.read_later(slot);
            return;
        }
        if !plain && !self.may_shake_hands(slot, ending) {
            return; // its turn comes
        }
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        let again = mem::take(&mut connection.missed);
        let mut buffer = mem::take(&mut self.read_buffer);
        let result = connection.transport.read(&mut buffer);
        match result {
            Ok(0) => self.peer_gone(slot),
            Ok(n) => {
                let full = n == buffer.len();
                self.peer_is_sending = full;
                self.metrics().bytes_received.add(n as u64);
                let data = buffer.get_mut(..n).unwrap_or_default();
                let alive = if phase == Phase::AwaitProxyHeader {
                    self.take_proxy_header(slot, data)
                } else if plain {
                    self.take_in(slot, data)
                } else {
                    self.unwrap(slot, data)
                };
                if alive && (full || again) {
                    self.read_later(slot);
                } else if alive && ending {
                    self.end_of_input(slot);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                if ending {
                    self.read_later(slot);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => self.read_later(slot),
            Err(_) => self.peer_gone(slot),
        }
        self.read_buffer = buffer;
    }

    /// The peer has closed its side and all it sent has been read; some of it may have to wait.
    pub(super) fn end_of_input(&mut self, slot: u32) {
        match self.connections.get_mut(slot as usize) {
            Some(connection) if connection.held => connection.missed = true,
            _ => self.peer_gone(slot),
        }
    }

    /// Handle what came over the transport; `false` if the connection is gone.
    pub(super) fn unwrap(&mut self, slot: u32, data: &mut [u8]) -> bool {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return false;
        };
        if connection.transport.tls().is_some() {
            self.decrypt(slot, data)
        } else {
            self.unframe(slot, data)
        }
    }

    /// Handle what came in clear; `false` if the connection is gone.
    pub(super) fn unframe(&mut self, slot: u32, data: &mut [u8]) -> bool {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return false;
        };
        let socket = match &mut connection.transport {
            Transport::Direct(_) => return self.take_in(slot, data),
            Transport::WebSocket(socket) => socket,
        };
        let taken = socket.take_in(data);
        if socket.wants_write() && !taken.ends {
            self.mark_dirty(slot);
        }
        let mqtt = data.get(taken.mqtt).unwrap_or_default();
        let alive = mqtt.is_empty() || self.take_in(slot, mqtt);
        if alive && taken.ends {
            let cause = if taken.refused {
                Close::Transport
            } else {
                Close::PeerGone
            };
            self.close(slot, cause);
        }
        alive && !taken.ends
    }

    /// Handle `data` after what the connection had left; `false` if the connection is gone.
    fn take_in(&mut self, slot: u32, data: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return false;
        };
        if connection.tail.is_empty() {
            return self.handle(slot, data);
        }
        connection.tail.extend_from_slice(data);
        self.handle_tail(slot)
    }

    /// Handle what the connection had left, once it can be complete.
    pub(crate) fn handle_tail(&mut self, slot: u32) -> bool {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return false;
        };
        if connection.tail.len() < connection.needed as usize || connection.tail.is_empty() {
            return true;
        }
        let held = mem::take(&mut connection.tail);
        let alive = self.handle(slot, &held);
        self.pool.give(held);
        alive
    }

    /// Handle every complete packet in `data`, keep the rest; `false` if the connection is gone.
    fn handle(&mut self, slot: u32, data: &[u8]) -> bool {
        let mut rest = data;
        if self.speaks_something_else(slot, rest) {
            self.refuse_packet(slot, ReasonCode::ProtocolError);
            return false;
        }
        loop {
            let (header, header_bytes) = match FixedHeader::parse(rest) {
                Ok(Some(parsed)) => parsed,
                Ok(None) => return self.keep(slot, rest, rest.len() + 1),
                Err(error) => {
                    self.refuse_packet(slot, error.reason());
                    return false;
                }
            };
            if header.padded && self.forbids_padding(slot) {
                self.refuse_packet(slot, ReasonCode::MalformedPacket);
                return false;
            }
            let size = header_bytes + header.remaining_length as usize;
            if size > self.packet_limit(slot) {
                self.refuse_packet(slot, ReasonCode::PacketTooLarge);
                return false;
            }
            let (Some(frame), Some(after)) = (rest.get(..size), rest.get(size..)) else {
                return self.keep(slot, rest, size);
            };
            let body = frame.get(header_bytes..).unwrap_or_default();
            self.metrics().packets_received.add(1);
            self.peer_is_sending |= !after.is_empty();
            match self.on_packet(slot, header, body) {
                Flow::Continue => rest = after,
                Flow::Closed => return false,
                Flow::Park => {
                    self.keep(slot, after, 1);
                    return true;
                }
                Flow::HandOver(loop_index, accepted) => {
                    self.keep(slot, after, 1);
                    self.hand_over(slot, loop_index, *accepted);
                    return false;
                }
            }
            if rest.is_empty() {
                return true;
            }
            if self.fanouts.is_full() {
                self.keep(slot, rest, 1);
                self.yield_turn(slot);
                return true;
            }
        }
    }

    /// Whether what a new connection begins with cannot be a CONNECT: HTTP, TLS, any other packet. It
    /// is closed at the first byte, not when as much has come as that byte seems to announce.
    fn speaks_something_else(&self, slot: u32, data: &[u8]) -> bool {
        const CONNECT: u8 = 0x10;
        let new = self
            .connections
            .get(slot as usize)
            .is_some_and(|c| c.phase == Phase::AwaitConnect);
        new && data.first().is_some_and(|first| *first != CONNECT)
    }

    /// Whether a length must have its shortest form: in MQTT 5.0 [MQTT-1.5.5-1], and in the versions
    /// before if `mqtt.strict_mode` is on. Of a CONNECT only its decoder knows the version.
    fn forbids_padding(&self, slot: u32) -> bool {
        let phase = self.connections.get(slot as usize).map(|c| c.phase);
        phase != Some(Phase::AwaitConnect)
            && (self.version_of(slot).is_v5() || self.mqtt_of(slot).strict_mode)
    }

    /// Keep the beginning of a packet; always `true`.
    fn keep(&mut self, slot: u32, rest: &[u8], needed: usize) -> bool {
        if !rest.is_empty()
            && let Some(connection) = self.connections.get_mut(slot as usize)
        {
            if connection.tail.capacity() == 0 {
                connection.tail = self.pool.take();
            }
            connection.tail.extend_from_slice(rest);
            connection.needed = u32::try_from(needed).unwrap_or(u32::MAX);
        }
        true
    }

    /// Largest packet `slot` may send now, in bytes.
    fn packet_limit(&self, slot: u32) -> usize {
        let limit = self.mqtt_of(slot).max_packet_size as usize;
        match self.connections.get(slot as usize).map(|c| c.phase) {
            Some(Phase::Online(_)) => limit,
            _ => limit.min(MAX_CONNECT_BYTES),
        }
    }
}
