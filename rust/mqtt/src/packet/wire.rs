//! Bytes in and out: a reader that never runs past its end, and the writing of the basic types
//! (section 1.5).

use std::num::NonZeroU16;

use super::error::{DecodeError, EncodeError};
use super::header::{MAX_REMAINING_LENGTH, PacketType, parse_varint};

/// Reads fields from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Everything that is left.
    pub(super) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn take(
        &mut self,
        len: usize,
        field: &'static str,
    ) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated { field })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(super) fn varint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let (value, size) = parse_varint(self.rest)?.ok_or(DecodeError::Truncated { field })?;
        self.take(size, field)?;
        Ok(value)
    }

    /// Binary Data: a two-byte length and that many bytes.
    pub(super) fn binary(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.u16(field)?;
        self.take(usize::from(len), field)
    }

    /// A UTF-8 Encoded String: no ill-formed sequence, no surrogate, no U+0000.
    pub(super) fn string(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let bytes = self.binary(field)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::BadString { field })?;
        if bytes.contains(&0) {
            return Err(DecodeError::BadString { field });
        }
        Ok(text)
    }

    pub(super) fn packet_id(&mut self) -> Result<NonZeroU16, DecodeError> {
        NonZeroU16::new(self.u16("packet identifier")?).ok_or(DecodeError::PacketIdZero)
    }

    /// Nothing may follow the last field.
    pub(super) fn finish(&self, packet: PacketType) -> Result<(), DecodeError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes { packet })
        }
    }
}

/// Bytes a Variable Byte Integer takes.
pub(super) fn varint_size(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// `value` is at most [`MAX_REMAINING_LENGTH`].
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(0x80 | low_byte(value));
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: u32) -> u8 {
    (value & 0x7f) as u8
}

pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_binary(
    out: &mut Vec<u8>,
    bytes: &[u8],
    field: &'static str,
) -> Result<(), EncodeError> {
    let len = u16::try_from(bytes.len()).map_err(|_| EncodeError::TooLong { field })?;
    put_u16(out, len);
    out.extend_from_slice(bytes);
    Ok(())
}

pub(super) fn put_string(
    out: &mut Vec<u8>,
    text: &str,
    field: &'static str,
) -> Result<(), EncodeError> {
    put_binary(out, text.as_bytes(), field)
}

/// Append a whole packet: first byte, length, and what `body` writes. `out` is as before on error.
pub(super) fn put_packet(
    out: &mut Vec<u8>,
    first_byte: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.push(first_byte);
    let result = put_sized(out, body);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Append what `body` writes with its length in front.
///
/// One byte is kept free for the length, so that only what is longer than 127 bytes moves.
pub(super) fn put_sized(
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let at = out.len();
    out.push(0);
    body(out)?;
    let len = out.len() - at - 1;
    let len = u32::try_from(len)
        .ok()
        .filter(|len| *len <= MAX_REMAINING_LENGTH)
        .ok_or(EncodeError::PacketTooLong)?;
    let mut size = Vec::new();
    if let (0..=0x7f, Some(byte)) = (len, out.get_mut(at)) {
        *byte = low_byte(len);
    } else {
        put_varint(&mut size, len);
        out.splice(at..=at, size);
    }
    Ok(())
}
