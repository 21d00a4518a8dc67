//! Frames from a client, taken off in place (RFC 6455 section 5).
//!
//! MQTT does not care where frames begin and end [MQTT-6.0.0-4], so no frame is ever put together: what
//! a read brought is unmasked where it lies, headers and control frames are squeezed out, and what is
//! left is handled as if it had come over TCP. A frame that announces 2^62 bytes costs as much as one
//! that announces none.

/// Payload of the longest control frame (section 5.5).
const MAX_CONTROL_BYTES: usize = 125;
/// Two bytes, an extended length, a mask.
const MAX_HEADER_BYTES: usize = 14;

/// Why we end the connection (section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// Nothing is wrong.
    Normal = 1000,
    /// The broker stops.
    GoingAway = 1001,
    /// The frames broke the protocol.
    ProtocolError = 1002,
    /// A text frame [MQTT-6.0.0-1].
    UnsupportedData = 1003,
    /// A close frame whose text is not UTF-8.
    InvalidData = 1007,
    /// A message larger than `max_frame_size`.
    TooBig = 1009,
}

/// What one piece of input came to.
#[derive(Debug, Default)]
pub struct Unframed {
    /// MQTT bytes, at the front of what was given.
    pub mqtt: usize,
    /// The last ping that wants an answer (one is enough, section 5.5.3).
    pub ping: Option<Vec<u8>>,
    /// The connection ends here.
    pub close: Option<CloseCode>,
}

/// The frame the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Ping,
    Pong,
    Close,
}

/// Where in the stream of frames we are. It owns memory only while a control frame is incomplete.
#[derive(Debug)]
pub struct Unframer {
    header: [u8; MAX_HEADER_BYTES],
    header_len: u8,
    /// Payload bytes of the current frame still to come; the header is due once they are 0.
    left: u64,
    mask: [u8; 4],
    kind: Kind,
    /// The message is not over: a continuation is due.
    fragmented: bool,
    /// The current data frame is the last of its message.
    last: bool,
    /// Bytes of the message so far, as its headers announced them.
    message: u64,
    limit: u64,
    control: Vec<u8>,
}

impl Unframer {
    /// At the beginning of a stream; `limit` is the largest message in bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            header: [0; MAX_HEADER_BYTES],
            header_len: 0,
            left: 0,
            mask: [0; 4],
            kind: Kind::Data,
            fragmented: false,
            last: true,
            message: 0,
            limit,
            control: Vec::new(),
        }
    }

    /// Take the frames off `bytes`: its front holds the MQTT bytes afterwards.
    pub fn unframe(&mut self, bytes: &mut [u8]) -> Unframed {
        let mut done = Unframed::default();
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            if self.left == 0 {
                match self.take_header(rest) {
                    Ok((taken, false)) => at += taken,
                    Ok((taken, true)) => {
                        at += taken;
                        if self.left == 0 && self.end_frame(&mut done) {
                            return done;
                        }
                    }
                    Err(code) => {
                        done.close = Some(code);
                        return done;
                    }
                }
                continue;
            }
            let size = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
            let Some(payload) = rest.get_mut(..size) else {
                return done;
            };
            unmask(payload, &mut self.mask);
            if self.kind == Kind::Data {
                bytes.copy_within(at..at + size, done.mqtt);
                done.mqtt += size;
            } else {
                self.control.extend_from_slice(payload);
            }
            at += size;
            self.left -= size as u64;
            if self.left == 0 && self.end_frame(&mut done) {
                return done;
            }
        }
        done
    }

    /// Take header bytes; gives how many, and whether the header is complete.
    fn take_header(&mut self, bytes: &[u8]) -> Result<(usize, bool), CloseCode> {
        let mut taken = 0;
        for byte in bytes {
            if let Some(place) = self.header.get_mut(usize::from(self.header_len)) {
                *place = *byte;
            }
            self.header_len += 1;
            taken += 1;
            let [first, second, ..] = self.header;
            if self.header_len == 2 {
                // Judged at once: what follows is not waited for.
                self.judge(first, second)?;
            }
            let extended = match second & 0x7f {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            if self.header_len >= 2 && usize::from(self.header_len) == 6 + extended {
                self.begin_frame(first, second, extended)?;
                self.header_len = 0;
                return Ok((taken, true));
            }
        }
        Ok((taken, false))
    }

    /// The two bytes every header has.
    fn judge(&self, first: u8, second: u8) -> Result<(), CloseCode> {
        let (last, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
        let masked = second & 0x80 != 0;
        if reserved != 0 || !masked {
            return Err(CloseCode::ProtocolError); // no extension was agreed on; sections 5.1, 5.2
        }
        match opcode {
            0 if self.fragmented => Ok(()),
            2 if !self.fragmented => Ok(()),
            1 if !self.fragmented => Err(CloseCode::UnsupportedData),
            8..=10 if last && usize::from(second & 0x7f) <= MAX_CONTROL_BYTES => Ok(()),
            _ => Err(CloseCode::ProtocolError),
        }
    }

    /// The header is complete.
    fn begin_frame(&mut self, first: u8, second: u8, extended: usize) -> Result<(), CloseCode> {
        let number = self.header.get(2..2 + extended).unwrap_or_default();
        let long = number.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let length = match extended {
            0 => u64::from(second & 0x7f),
            2 if long < 126 => return Err(CloseCode::ProtocolError), // the shortest form, section 5.2
            8 if !(1 << 16..1 << 63).contains(&long) => return Err(CloseCode::ProtocolError),
            _ => long,
        };
        for (to, from) in self
            .mask
            .iter_mut()
            .zip(self.header.iter().skip(2 + extended))
        {
            *to = *from;
        }
        self.kind = match first & 0x0f {
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            _ => Kind::Data,
        };
        self.left = length;
        if self.kind == Kind::Data {
            let before = if self.fragmented { self.message } else { 0 };
            self.message = before.saturating_add(length);
            if self.message > self.limit {
                return Err(CloseCode::TooBig);
            }
            self.last = first & 0x80 != 0;
            self.fragmented = !self.last;
        }
        Ok(())
    }

    /// A frame is complete; `true` if it ends the connection.
    fn end_frame(&mut self, done: &mut Unframed) -> bool {
        match self.kind {
            Kind::Data => {}
            Kind::Pong => self.control = Vec::new(),
            Kind::Ping => done.ping = Some(std::mem::take(&mut self.control)),
            Kind::Close => done.close = Some(answer_to_close(&self.control)),
        }
        done.close.is_some()
    }
}

/// The code a close frame is answered with (sections 5.5.1 and 7.4).
fn answer_to_close(payload: &[u8]) -> CloseCode {
    let Some((code, text)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            CloseCode::Normal
        } else {
            CloseCode::ProtocolError
        };
    };
    match u16::from_be_bytes(*code) {
        1000..=1003 | 1007..=1014 | 3000..=4999 if std::str::from_utf8(text).is_ok() => {
            CloseCode::Normal
        }
        1000..=1003 | 1007..=1014 | 3000..=4999 => CloseCode::InvalidData,
        _ => CloseCode::ProtocolError,
    }
}

/// Unmask in place, and turn `mask` to where the next byte starts (section 5.3).
fn unmask(payload: &mut [u8], mask: &mut [u8; 4]) {
    let wide = u64::from_ne_bytes({
        let [a, b, c, d] = *mask;
        [a, b, c, d, a, b, c, d]
    });
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Some(eight) = chunk.first_chunk_mut::<8>() {
            *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
        }
    }
    let rest = chunks.into_remainder();
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    mask.rotate_left(rest.len() % 4);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            n if n < 126 => out.push(0x80 | u8::try_from(n).unwrap()),
            n if n < 1 << 16 => {
                out.push(0xfe);
                out.extend(u16::try_from(n).unwrap().to_be_bytes());
            }
            n => {
                out.push(0xff);
                out.extend((n as u64).to_be_bytes());
            }
        }
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        out
    }

    /// MQTT bytes, pings and the close code of `wire`, given in pieces of `chunk` bytes.
    fn run(wire: &[u8], chunk: usize, limit: u64) -> (Vec<u8>, Vec<Vec<u8>>, Option<CloseCode>) {
        let mut unframer = Unframer::new(limit);
        let (mut mqtt, mut pings) = (Vec::new(), Vec::new());
        for piece in wire.chunks(chunk) {
            let mut piece = piece.to_vec();
            let done = unframer.unframe(&mut piece);
            mqtt.extend_from_slice(piece.get(..done.mqtt).unwrap());
            pings.extend(done.ping);
            if done.close.is_some() {
                return (mqtt, pings, done.close);
            }
        }
        (mqtt, pings, None)
    }

    fn closes(wire: &[u8]) -> Option<CloseCode> {
        let whole = run(wire, wire.len(), 1000).2;
        assert_eq!(run(wire, 1, 1000).2, whole);
        whole
    }

    const KEY: [u8; 4] = [1, 2, 3, 4];

    #[test]
    fn what_breaks_the_protocol() {
        use CloseCode::{InvalidData, Normal, ProtocolError, TooBig, UnsupportedData};

        let begun = frame(0x02, KEY, b"a");
        for (wire, code) in [
            (frame(0x81, KEY, b"text"), UnsupportedData),
            (vec![0x82, 0x01, b'x'], ProtocolError), // not masked
            (frame(0x80, KEY, b"x"), ProtocolError), // nothing to continue
            (
                [begun.as_slice(), &frame(0x82, KEY, b"x")].concat(),
                ProtocolError,
            ),
            (frame(0xc2, KEY, b"x"), ProtocolError), // a reserved bit
            (frame(0x83, KEY, b"x"), ProtocolError), // a reserved opcode
            (frame(0x8b, KEY, b"x"), ProtocolError),
            (frame(0x09, KEY, b"x"), ProtocolError), // a ping in fragments
            (frame(0x89, KEY, &[0; 126]), ProtocolError),
            (
                [&[0x82, 0xfe, 0, 125], KEY.as_slice()].concat(),
                ProtocolError,
            ), // not the shortest
            (
                [&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255], KEY.as_slice()].concat(),
                ProtocolError,
            ),
            (
                [&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], KEY.as_slice()].concat(),
                ProtocolError,
            ),
            (
                [&[0x82, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0], KEY.as_slice()].concat(),
                TooBig,
            ),
            (frame(0x82, KEY, &[0; 1001]), TooBig),
            (
                [frame(0x02, KEY, &[0; 999]), frame(0x80, KEY, b"xx")].concat(),
                TooBig,
            ),
            (frame(0x88, KEY, b""), Normal),
            (frame(0x88, KEY, b"\x03\xe8bye"), Normal),
            (frame(0x88, KEY, b"\x03"), ProtocolError),
            (frame(0x88, KEY, b"\x03\xed"), ProtocolError), // 1005 is never sent
            (frame(0x88, KEY, b"\x03\xe8\xff"), InvalidData),
        ] {
            assert_eq!(closes(&wire), Some(code), "{wire:x?}");
        }
    }

    #[test]
    fn control_frames_may_stand_between_fragments() {
        let wire = [
            frame(0x02, KEY, b"ab"),
            frame(0x89, [9; 4], b"ping"),
            frame(0x8a, KEY, b"pong"),
            frame(0x00, KEY, b""),
            frame(0x80, [7; 4], b"cd"),
            frame(0x82, KEY, b"ef"),
        ]
        .concat();
        for chunk in [1, 2, 3, wire.len()] {
            let (mqtt, pings, close) = run(&wire, chunk, 4);
            assert_eq!((mqtt.as_slice(), close), (b"abcdef".as_slice(), None));
            assert_eq!(pings, [b"ping"]);
        }
    }

    proptest! {
        /// However frames are cut and reads split them, the same MQTT bytes come out.
        #[test]
        fn any_cut(parts in proptest::collection::vec((any::<[u8; 4]>(),
                       proptest::collection::vec(any::<u8>(), 0..300)), 1..8),
                   chunk in 1..200usize) {
            let mut wire = Vec::new();
            let mut expected = Vec::new();
            for (n, (mask, payload)) in parts.iter().enumerate() {
                let opcode = if n == 0 { 0x02 } else { 0x00 };
                let last = if n + 1 == parts.len() { 0x80 } else { 0 };
                wire.extend(frame(opcode | last, *mask, payload));
                expected.extend_from_slice(payload);
            }
            let (mqtt, _, close) = run(&wire, chunk, u64::MAX);
            prop_assert_eq!((mqtt, close), (expected, None));
        }

        /// Nothing a peer sends panics or grows.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400), chunk in 1..50usize) {
            let (mqtt, _, _) = run(&bytes, chunk, 1 << 20);
            prop_assert!(mqtt.len() <= bytes.len());
        }
    }
}
