//! What stands between a connection and its socket.
//!
//! A closed set, told apart by one branch: plain TCP costs a match and nothing else, other transports
//! keep their state in one box. All of them are state machines fed with what the socket brought; none
//! blocks, and "not now" is [`io::ErrorKind::WouldBlock`].

pub mod proxy;
pub mod websocket;

use std::io::{self, Read as _, Write};

use mio::net::TcpStream;

use self::websocket::WebSocket;

/// The way to a peer.
#[derive(Debug)]
pub enum Transport {
    /// MQTT right on a TCP socket.
    Tcp(TcpStream),
    /// MQTT in a WebSocket.
    WebSocket(Box<WebSocket>),
}

impl Transport {
    /// The socket, to be registered with a poll.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::WebSocket(socket) => socket.socket(),
        }
    }

    /// One read of what the peer sent, as it stands on the wire.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket().read(buffer)
    }

    /// Write what the transport itself has to say: a response, a pong.
    pub(crate) fn write_own(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) => Ok(()),
            Self::WebSocket(socket) => socket.write_own(),
        }
    }

    /// Broker second in which it is to be closed if nothing is read until then, whatever MQTT says.
    pub(crate) fn idle_until(&self) -> Option<u32> {
        match self {
            Self::Tcp(_) => None,
            Self::WebSocket(socket) => Some(socket.idle_until()),
        }
    }

    /// Say goodbye in the transport's own way, as far as the socket takes it; `going_away` if the whole
    /// broker stops.
    pub(crate) fn finish(&mut self, going_away: bool) {
        match self {
            Self::Tcp(_) => {}
            Self::WebSocket(socket) => socket.finish(going_away),
        }
    }
}

/// MQTT bytes to the peer. A write that takes less than it was given means that the socket is full.
impl Write for Transport {
    fn write(&mut self, mqtt: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(mqtt),
            Self::WebSocket(socket) => socket.write(mqtt),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
