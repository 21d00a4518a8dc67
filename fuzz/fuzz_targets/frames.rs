//! A stream of packets that arrives in pieces has the packets of one that arrives whole.
//!
//! Input: the number of sizes, the sizes of the pieces (used in turn), the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vallum_mqtt::packet::{DecodeError, FixedHeader};

/// The packets at the front of a stream and how the rest stands.
#[derive(Debug, PartialEq)]
struct Framed {
    packets: Vec<(FixedHeader, Vec<u8>)>,
    /// Bytes of a packet that is not all there; `None` behind an error.
    pending: Option<Vec<u8>>,
    error: Option<DecodeError>,
}

/// Takes whole packets off the front of `tail`, as a connection does after each read.
fn take_packets(
    tail: &mut Vec<u8>,
    packets: &mut Vec<(FixedHeader, Vec<u8>)>,
) -> Result<(), DecodeError> {
    while let Some((header, size)) = FixedHeader::parse(tail)? {
        let end = size + header.remaining_length as usize;
        if tail.len() < end {
            break;
        }
        packets.push((header, tail[size..end].to_vec()));
        tail.drain(..end);
    }
    Ok(())
}

fn frame<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Framed {
    let (mut tail, mut packets) = (Vec::new(), Vec::new());
    for piece in pieces {
        tail.extend_from_slice(piece);
        if let Err(error) = take_packets(&mut tail, &mut packets) {
            return Framed {
                packets,
                pending: None,
                error: Some(error),
            };
        }
    }
    Framed {
        packets,
        pending: Some(tail),
        error: None,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let (sizes, stream) = rest.split_at(rest.len().min(usize::from(count % 16)));
    let whole = frame([stream].into_iter());

    let mut left = stream;
    let mut sizes = sizes.iter().cycle().map(|size| usize::from(*size) + 1);
    let pieces = std::iter::from_fn(|| {
        let size = sizes.next().unwrap_or(1).min(left.len());
        let (piece, later) = left.split_at(size);
        left = later;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(frame(pieces), whole);

    // A header that is known stays what it is when more arrives.
    let mut known = None;
    for end in 0..=stream.len().min(8) {
        let parsed = FixedHeader::parse(&stream[..end]);
        match &known {
            Some(known) => assert_eq!(&parsed, known),
            None if parsed != Ok(None) => known = Some(parsed),
            None => {}
        }
    }
});
