//! One connection to the broker: bytes that came and bytes that wait to go.

use std::{
    io::{self, Read as _, Write as _},
    net::SocketAddr,
};

use mio::{Interest, Registry, Token, net::TcpStream};

/// Bytes one read may bring.
pub(crate) const READ_BYTES: usize = 256 * 1024;

pub(crate) struct Link {
    stream: TcpStream,
    established: bool,
    /// What came and is not used yet.
    pub(crate) input: Vec<u8>,
    /// What waits to be written.
    pub(crate) output: Vec<u8>,
}

impl Link {
    /// Begin to connect.
    pub(crate) fn open(registry: &Registry, token: usize, to: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(to)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, Token(token), both)?;
        Ok(Self {
            stream,
            established: false,
            input: Vec::new(),
            output: Vec::new(),
        })
    }

    /// Write what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.established {
            return Ok(());
        }
        let mut written = 0;
        while written < self.output.len() {
            match self.stream.write(&self.output[written..]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.drain(..written);
        Ok(())
    }

    /// The socket takes bytes, for the first time or again.
    pub(crate) fn on_writable(&mut self) -> io::Result<()> {
        if !self.established {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            match self.stream.peer_addr() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error),
            }
            self.stream.set_nodelay(true)?;
            self.established = true;
        }
        self.flush()
    }

    /// Read all there is into `input`; an end of the stream is an error.
    pub(crate) fn on_readable(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(io::Error::other("the broker closed the connection")),
                Ok(n) => {
                    self.input.extend_from_slice(&scratch[..n]);
                    if n < scratch.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
