//! MQTT over a WebSocket (MQTT section 6, RFC 6455).
//!
//! - [`handshake`]: the HTTP request.   - [`frames`]: frames from the client.
//! - here: frames to the client, and where the connection stands.
//!
//! Frames are written here rather than by a library: those there are put whole messages together in
//! buffers of their own, while MQTT wants a stream of bytes [MQTT-6.0.0-4] and an idle connection must
//! own no buffer. `httparse` reads the request.
//!
//! What waits for the socket in one turn goes out as one binary frame, its header and the MQTT bytes in
//! one call, without a copy.

pub mod frames;
pub mod handshake;

use std::{
    io::{self, IoSlice, Write as _},
    sync::Arc,
};

use self::{
    frames::{CloseCode, Unframer},
    handshake::Answer,
};
use super::socket::Socket;
use crate::config::WebSocketConfig;

const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;

/// Longest header of a frame from us: it is not masked.
const MAX_HEADER_BYTES: usize = 10;

/// A WebSocket, or what is to become one.
#[derive(Debug)]
pub struct WebSocket {
    socket: Socket,
    config: Arc<WebSocketConfig>,
    stage: Stage,
    unframer: Unframer,
    /// Header of the frame being written, and its bytes that are still to go.
    header: [u8; MAX_HEADER_BYTES],
    header_left: u8,
    /// MQTT bytes the frame being written still lacks.
    frame_left: u64,
    /// Bytes that go out before the next frame: the response, a pong, a close frame.
    own: Vec<u8>,
    /// The last ping, to be answered once `own` is out.
    ping: Option<Vec<u8>>,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// The request is due; what came of it.
    Request(Vec<u8>),
    /// It is a WebSocket.
    Open,
    /// Nothing more is read. `Some`: a close frame is the last that is written.
    Ended(Option<CloseCode>),
}

/// What a read came to.
#[derive(Debug, Default)]
pub struct Taken {
    /// Where the MQTT bytes lie in what was given.
    pub mqtt: std::ops::Range<usize>,
    /// The connection ends after them.
    pub ends: bool,
    /// It ends because of what the client sent; a close frame says so.
    pub refused: bool,
}

impl WebSocket {
    /// A connection whose request is due.
    pub fn new(socket: Socket, config: Arc<WebSocketConfig>) -> Self {
        let limit = config.max_frame_size.unwrap_or(u64::MAX);
        Self {
            socket,
            config,
            stage: Stage::Request(Vec::new()),
            unframer: Unframer::new(limit),
            header: [0; MAX_HEADER_BYTES],
            header_left: 0,
            frame_left: 0,
            own: Vec::new(),
            ping: None,
        }
    }

    /// What it stands on.
    pub(crate) fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// What it stands on, to be looked at.
    pub(crate) fn socket_ref(&self) -> &Socket {
        &self.socket
    }

    /// Whether something of its own waits to be written.
    pub(crate) fn wants_write(&self) -> bool {
        !self.own.is_empty() || self.ping.is_some()
    }

    /// Take in what was read.
    pub(crate) fn take_in(&mut self, bytes: &mut [u8]) -> Taken {
        match &mut self.stage {
            Stage::Request(held) if held.is_empty() => {
                match handshake::judge(bytes, &self.config) {
                    None => {
                        held.extend_from_slice(bytes);
                        Taken::default()
                    }
                    Some(answer) => self.answer(answer, bytes),
                }
            }
            Stage::Request(held) => {
                let before = held.len();
                held.extend_from_slice(bytes);
                match handshake::judge(held, &self.config) {
                    None => Taken::default(),
                    // The request began in an earlier read, so its end lies in this one.
                    Some(Answer::Accepted(response, size)) => {
                        let size = size.saturating_sub(before);
                        self.answer(Answer::Accepted(response, size), bytes)
                    }
                    Some(refused) => self.answer(refused, bytes),
                }
            }
            Stage::Open => self.unframe(bytes, 0),
            Stage::Ended(_) => Taken {
                ends: true,
                ..Taken::default()
            },
        }
    }

    /// Answer the request, which ends in `bytes`; what follows it is frames.
    fn answer(&mut self, answer: Answer, bytes: &mut [u8]) -> Taken {
        match answer {
            Answer::Accepted(response, size) => {
                self.own = response;
                self.stage = Stage::Open;
                self.unframe(bytes, size)
            }
            Answer::Refused(response) => {
                self.own = response.to_vec();
                self.stage = Stage::Ended(None);
                Taken {
                    ends: true,
                    ..Taken::default()
                }
            }
        }
    }

    fn unframe(&mut self, bytes: &mut [u8], from: usize) -> Taken {
        let done = self
            .unframer
            .unframe(bytes.get_mut(from..).unwrap_or_default());
        if done.ping.is_some() {
            self.ping = done.ping;
        }
        if let Some(code) = done.close {
            self.stage = Stage::Ended(Some(code));
            self.ping = None;
        }
        Taken {
            mqtt: from..from + done.mqtt,
            ends: done.close.is_some(),
            refused: done.close.is_some_and(|code| code != CloseCode::Normal),
        }
    }

    /// Write what is our own, and what the socket still has.
    pub(crate) fn write_own(&mut self) -> io::Result<()> {
        self.write_between_frames()?;
        self.socket.write_own()
    }

    /// Write what is our own, unless a frame is half written.
    fn write_between_frames(&mut self) -> io::Result<()> {
        if self.frame_left > 0 || self.header_left > 0 {
            return Ok(());
        }
        loop {
            if self.own.is_empty() {
                let Some(ping) = self.ping.take() else {
                    return Ok(());
                };
                let length = u8::try_from(ping.len()).unwrap_or_default(); // at most 125
                self.own.extend_from_slice(&[PONG, length]);
                self.own.extend_from_slice(&ping);
            }
            while !self.own.is_empty() {
                match self.socket.write(&self.own) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => {
                        self.own.drain(..n);
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            self.own = Vec::new();
        }
    }

    /// Write MQTT bytes as frames; fewer than given means that the socket is full.
    pub(crate) fn write(&mut self, mqtt: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while let Some(rest) = mqtt.get(taken..).filter(|rest| !rest.is_empty()) {
            match self.write_some(rest) {
                Ok(n) => taken += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && taken > 0 => return Ok(taken),
                Err(e) => return Err(e),
            }
        }
        Ok(taken)
    }

    /// One call to the socket; gives the MQTT bytes it took.
    fn write_some(&mut self, rest: &[u8]) -> io::Result<usize> {
        self.write_between_frames()?;
        if self.frame_left == 0 && self.header_left == 0 {
            self.begin_frame(rest.len() as u64);
        }
        let size = usize::try_from(self.frame_left).map_or(rest.len(), |n| n.min(rest.len()));
        let payload = rest.get(..size).unwrap_or_default();
        let header_at = MAX_HEADER_BYTES - usize::from(self.header_left);
        let header = self.header.get(header_at..).unwrap_or_default();
        let written = if header.is_empty() {
            self.socket.write(payload)?
        } else {
            self.socket
                .write_vectored(&[IoSlice::new(header), IoSlice::new(payload)])?
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let of_header = written.min(header.len());
        self.header_left -= u8::try_from(of_header).unwrap_or_default(); // at most 10
        let of_payload = written - of_header;
        self.frame_left -= of_payload as u64;
        if self.header_left > 0 {
            return Err(io::ErrorKind::WouldBlock.into()); // not even the header went out
        }
        Ok(of_payload)
    }

    /// Put the header of a binary frame at the end of its place.
    fn begin_frame(&mut self, length: u64) {
        let mut header = [0; MAX_HEADER_BYTES];
        let size: u8 = if let Ok(short) = u8::try_from(length)
            && short < 126
        {
            header[8..].copy_from_slice(&[BINARY, short]);
            2
        } else if let Ok(medium) = u16::try_from(length) {
            header[6..8].copy_from_slice(&[BINARY, 126]);
            header[8..].copy_from_slice(&medium.to_be_bytes());
            4
        } else {
            header[..2].copy_from_slice(&[BINARY, 127]);
            header[2..].copy_from_slice(&length.to_be_bytes());
            10
        };
        self.header = header;
        self.header_left = size;
        self.frame_left = length;
    }

    /// The last words of a connection that is closed now, as far as the socket takes them.
    pub(crate) fn finish(&mut self) {
        let code = match self.stage {
            Stage::Open => Some(CloseCode::Normal),
            Stage::Ended(code) => code,
            Stage::Request(_) => None,
        };
        self.stage = Stage::Ended(None);
        self.ping = None;
        if let Some(code) = code {
            let [high, low] = (code as u16).to_be_bytes();
            self.own.extend_from_slice(&[CLOSE, 2, high, low]);
        }
        let _ = self.write_own(); // the connection is gone either way
        self.socket.finish();
    }
}
