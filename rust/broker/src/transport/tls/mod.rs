//! TLS, by OpenSSL.
//!
//! - here: one connection, fed with bytes.   - [`wire`]: the memory it reads from and writes to.
//! - [`context`]: what connections of a listener have in common, from its options.
//! - [`material`]: files to certificates and keys.   - [`ciphers`]: names of cipher suites.
//! - [`listener`]: the context in force, replaced while connections go on.
//! - [`verification`]: what is asked of client certificates.   - [`stapling`]: OCSP.
//! - [`identity`]: who a certificate says its owner is.   - [`failure`]: why a handshake failed.
//!
//! OpenSSL never sees the socket. It is given what one read brought, and what it wants to say goes out
//! with what MQTT has to say. Nothing is set up for a connection before its first byte has come.

mod ciphers;
mod context;
pub mod failure;
pub mod identity;
pub mod listener;
mod material;
pub mod stapling;
mod verification;
mod wire;

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use mio::net::TcpStream;
use openssl::{
    error::ErrorStack,
    ssl::{ErrorCode, Ssl, SslRef, SslStream},
};

use self::{failure::Failure, listener::TlsListener, wire::Wire};

/// Encrypted bytes that may wait for a socket that is full; MQTT bytes wait in the outbox.
const MAX_WAITING: usize = 64 * 1024;
/// MQTT bytes that are encrypted in one go: four records.
const CHUNK: usize = 64 * 1024;
/// Bytes of the largest record in clear (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;
/// A header and a payload up to this size together are put into one record.
const SMALL: usize = 1024;

/// A TLS connection, or what is to become one.
#[derive(Debug)]
pub struct Tls {
    tcp: TcpStream,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// Nothing has come yet.
    Silent(Arc<TlsListener>),
    /// The handshake is under way.
    Handshake(SslStream<Wire>),
    /// It is a TLS connection.
    Open(SslStream<Wire>),
    /// It failed; the alert that says so may still have to be sent.
    Failed(Option<SslStream<Wire>>),
}

/// What a read came to.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Bytes in clear, from the start of the buffer.
    pub(crate) clear: usize,
    /// The handshake ended with this read.
    pub(crate) opened: bool,
    /// The peer says no more.
    pub(crate) ends: bool,
}

impl Tls {
    /// A connection whose first byte is due.
    pub(crate) fn new(tcp: TcpStream, listener: Arc<TlsListener>) -> Self {
        Self {
            tcp,
            stage: Stage::Silent(listener),
        }
    }

    /// The TCP socket.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Whether the handshake is still to come or under way.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        matches!(self.stage, Stage::Silent(_) | Stage::Handshake(_))
    }

    /// Whether the handshake is under way.
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self.stage, Stage::Handshake(_))
    }

    /// What was agreed on, once it was.
    pub(crate) fn session(&self) -> Option<&SslRef> {
        match &self.stage {
            Stage::Open(stream) => Some(stream.ssl()),
            _ => None,
        }
    }

    /// Whether something waits to be sent.
    pub(crate) fn wants_write(&mut self) -> bool {
        self.stream().is_some_and(|s| s.get_ref().waiting() > 0)
    }

    /// Take in what was read, and put what it holds in clear into `clear`, which grows as needed.
    pub(crate) fn take_in(&mut self, bytes: &[u8], clear: &mut Vec<u8>) -> Result<Taken, Failure> {
        // Errors of a connection are collected by thread: none may be left of another's.
        drop(ErrorStack::get());
        if let Stage::Silent(listener) = &self.stage {
            if let Some(failure) = failure::of_first_byte(bytes) {
                self.stage = Stage::Failed(None);
                return Err(failure);
            }
            let stream = Ssl::new(&listener.context())
                .and_then(|mut ssl| {
                    ssl.set_accept_state();
                    SslStream::new(ssl, Wire::default())
                })
                .map_err(|error| failure::of_stack(&error))?;
            self.stage = Stage::Handshake(stream);
        }
        let Some(stream) = self.stream() else {
            return Ok(Taken::default());
        };
        stream.get_mut().feed(bytes);
        let result = self.advance(clear);
        if let Some(stream) = self.stream() {
            stream.get_mut().rest();
        }
        result
    }

    /// Use up what was fed.
    fn advance(&mut self, clear: &mut Vec<u8>) -> Result<Taken, Failure> {
        let mut taken = Taken::default();
        if let Stage::Handshake(stream) = &mut self.stage {
            match stream.do_handshake() {
                Ok(()) => taken.opened = true,
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(taken),
                Err(error) => {
                    let failure = failure::of(&error, stream.ssl());
                    self.fail();
                    return Err(failure);
                }
            }
            self.open();
        }
        let Stage::Open(stream) = &mut self.stage else {
            return Ok(taken);
        };
        loop {
            if clear.len() < taken.clear + RECORD {
                clear.resize(taken.clear + RECORD, 0);
            }
            let room = clear.get_mut(taken.clear..).unwrap_or_default();
            match stream.ssl_read(room) {
                Ok(n) => taken.clear += n,
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(taken),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    taken.ends = true;
                    return Ok(taken);
                }
                Err(error) => {
                    let failure = failure::of(&error, stream.ssl());
                    self.fail();
                    return Err(failure);
                }
            }
        }
    }

    /// Write bytes in clear; fewer than given means that the socket is full.
    pub(crate) fn write(&mut self, clear: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while let Some(rest) = clear.get(taken..).filter(|rest| !rest.is_empty()) {
            match self.make_room() {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && taken > 0 => return Ok(taken),
                Err(e) => return Err(e),
            }
            taken += self.encrypt(rest.get(..CHUNK).unwrap_or(rest))?;
        }
        self.send_or_keep()?;
        Ok(taken)
    }

    /// Write a header and what it is the header of.
    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let size = slices.iter().map(|slice| slice.len()).sum();
        let mut small = [0; SMALL];
        if let Some(together) = small.get_mut(..size) {
            let mut at = 0;
            for slice in slices {
                if let Some(place) = together.get_mut(at..at + slice.len()) {
                    place.copy_from_slice(slice);
                }
                at += slice.len();
            }
            return self.write(together);
        }
        self.make_room()?;
        let mut taken = 0;
        for slice in slices {
            taken += self.encrypt(slice.get(..CHUNK).unwrap_or(slice))?;
            if slice.len() > CHUNK {
                break;
            }
        }
        self.send_or_keep()?;
        Ok(taken)
    }

    /// Send what waits, if that is all that may.
    fn make_room(&mut self) -> io::Result<()> {
        match self.stream() {
            Some(stream) if stream.get_ref().waiting() >= MAX_WAITING => self.write_own(),
            _ => Ok(()),
        }
    }

    fn encrypt(&mut self, clear: &[u8]) -> io::Result<usize> {
        match &mut self.stage {
            Stage::Open(stream) => stream.ssl_write(clear).map_err(|_| broken()),
            _ => Err(broken()),
        }
    }

    /// Send what waits; what the socket does not take now goes with the next write.
    fn send_or_keep(&mut self) -> io::Result<()> {
        match self.write_own() {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => Err(e),
            _ => Ok(()),
        }
    }

    /// Send what is encrypted.
    pub(crate) fn write_own(&mut self) -> io::Result<()> {
        match &mut self.stage {
            Stage::Handshake(stream) | Stage::Open(stream) | Stage::Failed(Some(stream)) => {
                stream.get_mut().send(&mut self.tcp)
            }
            Stage::Silent(_) | Stage::Failed(None) => Ok(()),
        }
    }

    /// The last words of a connection that is closed now: `close_notify`, or the alert that a failure
    /// left (RFC 8446 section 6.1).
    pub(crate) fn finish(&mut self) {
        if let Stage::Open(stream) = &mut self.stage {
            let _ = stream.shutdown(); // the connection is gone either way
        }
        let _ = self.write_own();
    }

    fn stream(&mut self) -> Option<&mut SslStream<Wire>> {
        match &mut self.stage {
            Stage::Handshake(stream) | Stage::Open(stream) => Some(stream),
            Stage::Failed(stream) => stream.as_mut(),
            Stage::Silent(_) => None,
        }
    }

    fn open(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Failed(None)) {
            Stage::Handshake(stream) => Stage::Open(stream),
            other => other,
        };
    }

    fn fail(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Failed(None)) {
            Stage::Handshake(stream) | Stage::Open(stream) => Stage::Failed(Some(stream)),
            other => other,
        };
    }
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
