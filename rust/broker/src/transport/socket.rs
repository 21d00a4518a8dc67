//! A socket, in clear or in TLS: what both transports stand on.

use std::io::{self, IoSlice, Write};

use mio::net::TcpStream;

use super::tls::Tls;

/// The way bytes go out.
#[derive(Debug)]
pub enum Socket {
    /// As they are.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<Tls>),
}

impl Socket {
    /// The TCP socket below, to be read from and registered with a poll.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.tcp(),
        }
    }

    /// The TLS connection, if it is one.
    pub(crate) fn tls(&mut self) -> Option<&mut Tls> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls),
        }
    }

    /// Write what TLS itself has to say, and what it has encrypted and the socket did not take.
    pub(crate) fn write_own(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.write_own(),
        }
    }

    /// Say goodbye, as far as the socket takes it.
    pub(crate) fn finish(&mut self) {
        match self {
            Self::Plain(_) => {}
            Self::Tls(tls) => tls.finish(),
        }
    }
}

/// Fewer bytes than given means that the socket is full.
impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write_vectored(slices),
            Self::Tls(tls) => tls.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
