//! What stands between a connection and its socket.
//!
//! A closed set, told apart by one branch: plain TCP costs a match and nothing else, other transports
//! keep their state in one box. All of them are state machines fed with what the socket brought; none
//! blocks, and "not now" is [`io::ErrorKind::WouldBlock`].
//!
//! - [`socket`]: plain or in TLS.   - [`websocket`]: frames on top of either.
//! - [`tls`]: TLS.                  - [`proxy`]: the header that may come before all of them.

pub mod proxy;
pub mod socket;
pub mod tls;
pub mod websocket;

use std::io::{self, IoSlice, Read as _, Write};

use mio::net::TcpStream;

use self::{socket::Socket, tls::Tls, websocket::WebSocket};

/// The way to a peer.
#[derive(Debug)]
pub enum Transport {
    /// MQTT right on the socket.
    Direct(Socket),
    /// MQTT in a WebSocket.
    WebSocket(Box<WebSocket>),
}

impl Transport {
    fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Direct(socket) => socket,
            Self::WebSocket(websocket) => websocket.socket(),
        }
    }

    /// The TCP socket, to be registered with a poll.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        self.socket().tcp()
    }

    /// The TLS connection, if it is one.
    pub(crate) fn tls(&mut self) -> Option<&mut Tls> {
        self.socket().tls()
    }

    /// The TLS connection whose handshake is not over yet, if it is one.
    pub(crate) fn shaking_hands(&self) -> Option<&Tls> {
        let socket = match self {
            Self::Direct(socket) => socket,
            Self::WebSocket(websocket) => websocket.socket_ref(),
        };
        match socket {
            Socket::Tls(tls) if tls.is_shaking_hands() => Some(tls),
            _ => None,
        }
    }

    /// One read of what the peer sent, as it stands on the wire.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp().read(buffer)
    }

    /// Write what the transport itself has to say: a handshake, a response, a pong.
    pub(crate) fn write_own(&mut self) -> io::Result<()> {
        match self {
            Self::Direct(socket) => socket.write_own(),
            Self::WebSocket(websocket) => websocket.write_own(),
        }
    }

    /// Whether it has last words of its own, whatever MQTT says.
    pub(crate) fn says_goodbye(&self) -> bool {
        matches!(self, Self::WebSocket(_) | Self::Direct(Socket::Tls(_)))
    }

    /// Say goodbye in the transport's own way, as far as the socket takes it.
    pub(crate) fn finish(&mut self) {
        match self {
            Self::Direct(socket) => socket.finish(),
            Self::WebSocket(websocket) => websocket.finish(),
        }
    }
}

/// MQTT bytes to the peer. A write that takes less than it was given means that the socket is full.
impl Write for Transport {
    fn write(&mut self, mqtt: &[u8]) -> io::Result<usize> {
        match self {
            Self::Direct(socket) => socket.write(mqtt),
            Self::WebSocket(websocket) => websocket.write(mqtt),
        }
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Self::Direct(Socket::Plain(stream)) = self {
            return stream.write_vectored(parts);
        }
        let mut taken = 0;
        for part in parts {
            match self.write(part) {
                Ok(n) => {
                    taken += n;
                    if n < part.len() {
                        break;
                    }
                }
                Err(_) if taken > 0 => break, // the next call meets it again
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
