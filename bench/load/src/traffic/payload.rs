//! What a message carries: who sent it, the how-manieth it is, when; then a pattern of its number.

/// Publisher, sequence number and time of sending.
pub(crate) const HEADER_BYTES: usize = 4 + 8 + 8;

/// Makes and checks payloads of one size.
pub(super) struct Payloads {
    size: usize,
    /// Every pattern is a stretch of this one, from the low byte of the sequence number on.
    pattern: Vec<u8>,
}

/// What a payload says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) publisher: usize,
    pub(super) sequence: u64,
    /// Nanoseconds since the generator's own beginning.
    pub(super) sent: u64,
}

impl Payloads {
    #[allow(clippy::cast_possible_truncation, reason = "a pattern of bytes")]
    pub(super) fn new(size: usize) -> Self {
        let pattern = (0..size as u64 + 256)
            .map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
            .collect();
        Self { size, pattern }
    }

    #[allow(clippy::cast_possible_truncation, reason = "publishers are few")]
    pub(super) fn append(&self, out: &mut Vec<u8>, stamp: &Stamp) {
        out.extend_from_slice(&(stamp.publisher as u32).to_be_bytes());
        out.extend_from_slice(&stamp.sequence.to_be_bytes());
        out.extend_from_slice(&stamp.sent.to_be_bytes());
        out.extend_from_slice(self.pattern_of(stamp.sequence));
    }

    /// What `payload` says, if it is whole and as it was made.
    pub(super) fn read(&self, payload: &[u8]) -> Option<Stamp> {
        let (publisher, rest) = payload.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (sent, rest) = rest.split_first_chunk::<8>()?;
        let stamp = Stamp {
            publisher: u32::from_be_bytes(*publisher) as usize,
            sequence: u64::from_be_bytes(*sequence),
            sent: u64::from_be_bytes(*sent),
        };
        (rest == self.pattern_of(stamp.sequence)).then_some(stamp)
    }

    fn pattern_of(&self, sequence: u64) -> &[u8] {
        let start = (sequence & 0xFF) as usize;
        &self.pattern[start..start + self.size - HEADER_BYTES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_is_noticed() {
        let payloads = Payloads::new(64);
        let stamp = Stamp {
            publisher: 3,
            sequence: 511,
            sent: 9,
        };
        let mut bytes = Vec::new();
        payloads.append(&mut bytes, &stamp);
        assert_eq!(bytes.len(), 64);
        assert_eq!(payloads.read(&bytes), Some(stamp));
        assert_eq!(payloads.read(&bytes[..63]), None);
        bytes[63] ^= 1;
        assert_eq!(payloads.read(&bytes), None);
    }
}
