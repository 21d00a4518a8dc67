//! From a token as the client sent it to payload bytes that a key of ours vouches for
//! (`spec/authentication.md` section 19.2, step 4).

use super::{KeySource, header, key::SignatureCheck, segment};

/// The longest token looked at, in bytes; longer ones are not decoded at all. MQTT strings and binary
/// data end one byte earlier, so this limits only tokens handed in by a program.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// Room for the largest signature, RSA with 8,192 bits, rounded up to whole base64 quanta.
const SIGNATURE_ROOM: usize = 1032;

/// Encoded signatures up to this length, all of HMAC, Ed25519 and P-384, need no large room cleared.
const SHORT_SIGNATURE: usize = 128;

/// Why a token gave no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenFault {
    /// There are no keys to verify with.
    KeysUnavailable,
    /// Not three base64url segments with a JSON header, or too long.
    NotAJwt,
    /// The header's `alg` is absent, unknown, or not one the key allows.
    AlgNotAllowed,
    /// No key verifies the signature.
    BadSignature,
    /// The payload is not a JSON object in UTF-8.
    BadPayload,
}

impl TokenFault {
    /// The reason identifier of decision records (`spec/management.md` section 9.3).
    pub const fn reason(self) -> &'static str {
        match self {
            Self::KeysUnavailable => "keys_unavailable",
            Self::NotAJwt => "not_a_jwt",
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::BadSignature => "bad_signature",
            Self::BadPayload => "bad_payload",
        }
    }
}

/// The segments of a token and what the signature covers.
pub(super) struct Segments<'t> {
    pub(super) header: &'t [u8],
    pub(super) payload: &'t [u8],
    pub(super) signature: &'t [u8],
    signed: &'t [u8],
}

impl<'t> Segments<'t> {
    /// Split a token at its dots; there must be exactly two.
    pub(super) fn split(token: &'t [u8]) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        // Segments are ASCII, and texts are searched faster than bytes.
        let mut parts = std::str::from_utf8(token)
            .ok()?
            .split('.')
            .map(str::as_bytes);
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let signed = token.get(..header.len() + 1 + payload.len())?;
        Some(Self {
            header,
            payload,
            signature,
            signed,
        })
    }
}

/// The decoded payload of `token`, once one of `keys` verified it.
pub(super) fn verify(token: &[u8], keys: &KeySource) -> Result<Vec<u8>, TokenFault> {
    if !keys.is_available() {
        return Err(TokenFault::KeysUnavailable);
    }
    let segments = Segments::split(token).ok_or(TokenFault::NotAJwt)?;
    let algorithm = header::algorithm(segments.header)?;
    let (mut short, mut long);
    let room: &mut [u8] = if segments.signature.len() <= SHORT_SIGNATURE {
        short = [0; SHORT_SIGNATURE];
        &mut short
    } else {
        long = [0; SIGNATURE_ROOM];
        &mut long
    };
    // Too long for the room is too long for any key: a bad signature like any other.
    let signature =
        segment::decode_into(segments.signature, room).ok_or(TokenFault::BadSignature)?;
    match keys.check(algorithm, segments.signed, signature) {
        SignatureCheck::Good => segment::decode(segments.payload).ok_or(TokenFault::BadPayload),
        SignatureCheck::Bad => Err(TokenFault::BadSignature),
        SignatureCheck::AlgorithmNotAllowed => Err(TokenFault::AlgNotAllowed),
        SignatureCheck::KeysUnavailable => Err(TokenFault::KeysUnavailable),
    }
}
