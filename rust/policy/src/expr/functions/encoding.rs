//! Hexadecimal and base64 (section 5.7).

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::{self, Alphabet},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{Args, Builtin, ErrorCode, Outcome, Scope, Value, args::string};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("bin2hexstr", 1, 1, |args, _| {
        args.string(0).map(|bytes| hex(&bytes, UPPER))
    }),
    Builtin::new("hexstr2bin", 1, 1, hexstr2bin),
    Builtin::new("int2hexstr", 1, 1, int2hexstr),
    Builtin::new("base64_encode", 1, 3, base64_encode),
    Builtin::new("base64_decode", 1, 3, base64_decode),
];

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

/// Lower-case hexadecimal digits, as hashes are written.
pub(super) fn lower_hex<'a>(bytes: &[u8]) -> Value<'a> {
    hex(bytes, LOWER)
}

fn hex<'a>(bytes: &[u8], digits: &[u8; 16]) -> Value<'a> {
    let digit = |value: u8| digits.get(usize::from(value)).copied().unwrap_or(b'0');
    Value::owned(
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
            .collect(),
    )
}

/// Digits of either case; of an odd number the first stands alone.
fn hexstr2bin<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.string(0)?;
    let nibble = |digit: &u8| {
        let value = char::from(*digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok());
        value.ok_or(ErrorCode::Exception)
    };
    let (first, pairs) = text.split_at(text.len() % 2);
    let mut bytes = Vec::with_capacity(text.len().div_ceil(2));
    for digit in first {
        bytes.push(nibble(digit)?);
    }
    for pair in pairs.chunks_exact(2) {
        let byte = pair
            .iter()
            .try_fold(0_u8, |byte, digit| Ok((byte << 4) | nibble(digit)?))?;
        bytes.push(byte);
    }
    Ok(Value::owned(bytes))
}

fn int2hexstr<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let value = args.integer(0, ErrorCode::Exception)?;
    let sign = if value < 0 { "-" } else { "" };
    Ok(Value::owned(
        format!("{sign}{:X}", value.unsigned_abs()).into_bytes(),
    ))
}

/// Bits past the last whole byte are not looked at, as in the reference.
const fn engine(alphabet: &Alphabet, padded: bool) -> GeneralPurpose {
    let padding = if padded {
        DecodePaddingMode::RequireCanonical
    } else {
        DecodePaddingMode::Indifferent
    };
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(padded)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(padding);
    GeneralPurpose::new(alphabet, config)
}

const STANDARD: GeneralPurpose = engine(&alphabet::STANDARD, true);
const STANDARD_UNPADDED: GeneralPurpose = engine(&alphabet::STANDARD, false);
const URL_SAFE: GeneralPurpose = engine(&alphabet::URL_SAFE, true);
const URL_SAFE_UNPADDED: GeneralPurpose = engine(&alphabet::URL_SAFE, false);

/// The variant that the options after the first argument ask for; unknown words change nothing.
fn variant(args: &mut Args<'_>) -> Result<&'static GeneralPurpose, ErrorCode> {
    let mut padded = true;
    let mut url_safe = false;
    for index in 1..args.len() {
        match &*string(args.take(index))? {
            b"no_padding" => padded = false,
            b"urlsafe" => url_safe = true,
            _ => {}
        }
    }
    Ok(match (url_safe, padded) {
        (false, true) => &STANDARD,
        (false, false) => &STANDARD_UNPADDED,
        (true, true) => &URL_SAFE,
        (true, false) => &URL_SAFE_UNPADDED,
    })
}

fn base64_encode<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let bytes = args.string(0)?;
    Ok(Value::owned(variant(args)?.encode(&*bytes).into_bytes()))
}

fn base64_decode<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.string(0)?;
    decode(variant(args)?, &text)
        .map(Value::owned)
        .ok_or(ErrorCode::Exception)
}

/// Decodes the part of a token: base64url, padding optional, white space skipped.
pub(super) fn decode_base64url(text: &[u8]) -> Option<Vec<u8>> {
    decode(&URL_SAFE_UNPADDED, text)
}

fn decode(engine: &GeneralPurpose, text: &[u8]) -> Option<Vec<u8>> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let text = if text.iter().any(is_blank) {
        Cow::Owned(
            text.iter()
                .copied()
                .filter(|byte| !is_blank(byte))
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    };
    engine.decode(&*text).ok()
}
