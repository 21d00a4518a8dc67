//! base64url of one token segment (RFC 7515 section 2). Padding is tolerated; every other character
//! outside the alphabet is fatal, and so are non-zero spare bits, which no encoder writes.

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of a segment.
pub(super) fn decode(segment: &[u8]) -> Option<Vec<u8>> {
    BASE64URL.decode(segment).ok()
}

/// The bytes of a segment, written to the front of `buffer`; `None` also when they do not fit.
pub(super) fn decode_into<'b>(segment: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let written = BASE64URL.decode_slice(segment, buffer).ok()?;
    buffer.get(..written)
}

/// The segment for some bytes, without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64URL.encode(bytes)
}
