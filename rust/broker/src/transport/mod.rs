//! What stands between a connection and its socket.
//!
//! A closed set, told apart by one branch: plain TCP costs a match and nothing else, other transports
//! keep their state in one box. All of them are state machines fed with what the socket brought; none
//! blocks, and "not now" is [`io::ErrorKind::WouldBlock`].

pub mod proxy;

use std::io::{self, Read as _, Write};

use mio::net::TcpStream;

/// The way to a peer.
#[derive(Debug)]
pub enum Transport {
    /// MQTT right on a TCP socket.
    Tcp(TcpStream),
}

impl Transport {
    /// The socket, to be registered with a poll.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Tcp(stream) => stream,
        }
    }

    /// One read of what the peer sent, as it stands on the wire.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket().read(buffer)
    }
}

/// MQTT bytes to the peer. A write that takes less than it was given means that the socket is full.
impl Write for Transport {
    fn write(&mut self, mqtt: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(mqtt),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
