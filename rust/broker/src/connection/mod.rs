//! One network connection: its socket, the bytes on their way in and out, where it stands.
//!
//! An idle connection owns no buffer: incoming bytes are kept only while a packet is incomplete,
//! outgoing ones only while the socket does not take them.

pub(crate) mod acks;
pub mod alias;
pub(crate) mod auth;
mod certificate;
pub(crate) mod connect;
pub(crate) mod disconnect;
pub mod outbox;
pub(crate) mod publish;
pub(crate) mod subscribe;
mod v5;

use std::net::SocketAddr;

use vallum_mqtt::packet::{FixedHeader, PINGRESP, PacketType, ReasonCode, Version};

pub use connect::Parked;
pub use outbox::{BufferPool, Flushed, Outbox};
pub use v5::V5State;

use crate::{
    event_loop::{EventLoop, Flow},
    transport::Transport,
};

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its PROXY protocol header is still due; nothing else has been read.
    AwaitProxyHeader,
    /// Its CONNECT is still due.
    AwaitConnect,
    /// Its CONNECT waits for a verdict from outside the loop; nothing is read meanwhile.
    AwaitVerdict,
    /// Its next step of enhanced authentication is due, before CONNACK.
    AwaitAuth,
    /// It carries the session in this slot.
    Online(u32),
    /// It has ended; its socket is read for so many bytes more, so that its last words arrive.
    Lingering(u32),
}

/// A connection.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one fact; sets of flags would hide them"
)]
pub struct Connection {
    /// The socket and what it is wrapped in.
    pub transport: Transport,
    /// Address and port of the peer.
    pub peer: SocketAddr,
    /// Tells users of the same slot apart.
    pub generation: u32,
    /// Index of its listener.
    pub listener: u16,
    /// Where it stands.
    pub phase: Phase,
    /// Protocol version; 3.1.1 until CONNECT says otherwise.
    pub version: Version,
    /// It stands in the loop's list of connections with output.
    pub dirty: bool,
    /// It stands in the loop's list of connections with more to read.
    pub readable: bool,
    /// The loop asked to be told when the socket is writable.
    pub watches_write: bool,
    /// It waits for what it published to be delivered, or for its next turn: it is not read.
    pub held: bool,
    /// Something came that was not looked at: it is to be read until nothing comes.
    pub missed: bool,
    /// Seconds of silence after which it is dead; 0 is never.
    pub patience: u32,
    /// Broker second of the last packet.
    pub last_packet: u32,
    /// The client's Maximum Packet Size.
    pub max_packet_out: u32,
    /// The beginning of a packet that is not complete yet.
    pub tail: Vec<u8>,
    /// Bytes `tail` must hold before the next packet can be complete.
    pub needed: u32,
    /// Bytes on their way out.
    pub out: Outbox,
    /// Its CONNECT, while that waits for a verdict.
    pub parked: Option<Box<Parked>>,
    /// MQTT 5 state, if it has any.
    pub v5: Option<Box<V5State>>,
}

/// An idle connection is this and a socket: its size is what a hundred thousand of them cost. (A debug
/// build of mio keeps more with a socket.)
#[cfg(not(debug_assertions))]
const _: () = assert!(size_of::<Connection>() <= 160);

impl Connection {
    /// A fresh connection; the loop that adopts it gives it its generation.
    pub fn new(
        transport: Transport,
        peer: SocketAddr,
        listener: u16,
        phase: Phase,
        now: u32,
    ) -> Self {
        Self {
            transport,
            peer,
            generation: 0,
            listener,
            phase,
            version: Version::V311,
            dirty: false,
            readable: false,
            watches_write: false,
            held: false,
            missed: false,
            patience: 0,
            last_packet: now,
            max_packet_out: u32::MAX,
            tail: Vec::new(),
            needed: 0,
            out: Outbox::default(),
            parked: None,
            v5: None,
        }
    }
}

impl EventLoop {
    /// Handle one packet. The file that holds the handler is named after the packet.
    pub(crate) fn on_packet(&mut self, slot: u32, header: FixedHeader, body: &[u8]) -> Flow {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return Flow::Closed;
        };
        let session = match connection.phase {
            Phase::Online(session) => session,
            Phase::AwaitVerdict | Phase::AwaitProxyHeader => return Flow::Park,
            // It does not count as a sign of life: one deadline holds for the whole exchange.
            Phase::AwaitAuth => return self.on_exchange(slot, header, body),
            Phase::Lingering(_) => return Flow::Closed,
            Phase::AwaitConnect if header.packet_type == PacketType::Connect => {
                connection.last_packet = now;
                return self.on_connect(slot, header, body);
            }
            // The first packet must be a CONNECT [MQTT-3.1.0-1].
            Phase::AwaitConnect => return self.refuse_packet(slot, ReasonCode::ProtocolError),
        };
        connection.last_packet = now;
        match header.packet_type {
            PacketType::Publish => self.on_publish(slot, session, header, body),
            PacketType::PubAck => self.on_puback(slot, session, header, body),
            PacketType::PubRec => self.on_pubrec(slot, session, header, body),
            PacketType::PubRel => self.on_pubrel(slot, session, header, body),
            PacketType::PubComp => self.on_pubcomp(slot, session, header, body),
            PacketType::Subscribe => self.on_subscribe(slot, session, header, body),
            PacketType::Unsubscribe => self.on_unsubscribe(slot, session, header, body),
            PacketType::PingReq => self.on_pingreq(slot, header, body),
            PacketType::Disconnect => self.on_disconnect(slot, session, header, body),
            PacketType::Auth => self.on_auth(slot, session, header, body),
            // A second CONNECT [MQTT-3.1.0-2], and what only a server sends.
            PacketType::Connect
            | PacketType::ConnAck
            | PacketType::SubAck
            | PacketType::UnsubAck
            | PacketType::PingResp => self.refuse_packet(slot, ReasonCode::ProtocolError),
        }
    }

    /// PINGREQ (section 3.12).
    fn on_pingreq(&mut self, slot: u32, header: FixedHeader, body: &[u8]) -> Flow {
        let version = self.version_of(slot);
        if let Err(error) = vallum_mqtt::packet::Packet::decode(version, &header, body) {
            return self.refuse_packet(slot, error.reason());
        }
        self.send(slot, |_, out| {
            out.extend_from_slice(&PINGRESP);
            Ok(())
        });
        Flow::Continue
    }
}
