//! Random texts and numbers, from the system's secure generator (section 5.8).

use aws_lc_rs::rand;

use super::super::limits::MAX_WIDTH;
use super::{Args, Builtin, ErrorCode, Outcome, Scope, Value};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("rand_str", 1, 1, rand_str),
    Builtin::new("rand_int", 1, 1, rand_int),
];

/// Letters first, so that a prefix of this is the alphabet of a first character.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LETTERS: usize = 52;

fn rand_str<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let length = usize::try_from(args.integer(0, ErrorCode::BadArg)?);
    let length = length
        .ok()
        .filter(|length| (1..=MAX_WIDTH).contains(length));
    let length = length.ok_or(ErrorCode::BadArg)?;
    let mut text = Vec::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        fill(&mut bytes)?;
        for byte in bytes {
            // Six bits name 64 characters: those past the alphabet are thrown away, not folded.
            let index = usize::from(byte & 63);
            let choices = if text.is_empty() {
                LETTERS
            } else {
                ALPHABET.len()
            };
            if let Some(character) = ALPHABET.get(index).filter(|_| index < choices)
                && text.len() < length
            {
                text.push(*character);
            }
        }
    }
    Ok(Value::owned(text))
}

/// From 1 to the argument. 128 random bits over a 64-bit range leave no bias worth the name.
fn rand_int<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let limit = u64::try_from(args.integer(0, ErrorCode::BadArg)?);
    let limit = limit
        .ok()
        .filter(|limit| *limit > 0)
        .ok_or(ErrorCode::BadArg)?;
    let mut bytes = [0_u8; 16];
    fill(&mut bytes)?;
    Ok(Value::integer(
        u128::from_le_bytes(bytes) % u128::from(limit) + 1,
    ))
}

fn fill(bytes: &mut [u8]) -> Result<(), ErrorCode> {
    rand::fill(bytes).map_err(|_| ErrorCode::Exception)
}
