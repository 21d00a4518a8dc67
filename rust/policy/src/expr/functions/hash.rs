//! Hashes, and mapping texts and numbers to a range (section 5.8).

use aws_lc_rs::digest::{self, Algorithm};
use blake2::{Blake2b512, Blake2s256};
use md5::{Digest, Md5};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};

use super::{Args, Builtin, ErrorCode, Outcome, Scope, Value, encoding::lower_hex};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("hash", 2, 2, hash),
    Builtin::new("hash_to_range", 3, 3, hash_to_range),
    Builtin::new("map_to_range", 3, 3, map_to_range),
];

fn hash<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let name = args.text(0)?;
    let run = algorithm(&name).ok_or(ErrorCode::UnknownHashAlgorithm)?;
    Ok(run(&args.text(1)?))
}

/// Names as in the reference, case sensitive.
fn algorithm(name: &[u8]) -> Option<fn(&[u8]) -> Value<'static>> {
    Some(match name {
        b"md5" => rust_crypto::<Md5>,
        b"sha" | b"sha1" => |data| aws(&digest::SHA1_FOR_LEGACY_USE_ONLY, data),
        b"sha224" => |data| aws(&digest::SHA224, data),
        b"sha256" => |data| aws(&digest::SHA256, data),
        b"sha384" => |data| aws(&digest::SHA384, data),
        b"sha512" => |data| aws(&digest::SHA512, data),
        b"sha3_224" => rust_crypto::<Sha3_224>,
        b"sha3_256" => rust_crypto::<Sha3_256>,
        b"sha3_384" => rust_crypto::<Sha3_384>,
        b"sha3_512" => rust_crypto::<Sha3_512>,
        b"blake2b" => rust_crypto::<Blake2b512>,
        b"blake2s" => rust_crypto::<Blake2s256>,
        _ => return None,
    })
}

fn aws(algorithm: &'static Algorithm, data: &[u8]) -> Value<'static> {
    lower_hex(digest::digest(algorithm, data).as_ref())
}

fn rust_crypto<D: Digest>(data: &[u8]) -> Value<'static> {
    lower_hex(&D::digest(data))
}

/// A number from Min to Max that depends evenly on a text.
fn hash_to_range<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = match args.text(0) {
        Ok(text) if !text.is_empty() => text,
        _ => return Err(ErrorCode::BadArg),
    };
    let (min, size) = range(args)?;
    let hash = digest::digest(&digest::SHA256, &text);
    Ok(Value::Integer(min + remainder(hash.as_ref(), size)))
}

/// As the reference: a negative number keeps its sign and so can fall below Min.
fn map_to_range<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let value = args.take(0);
    let (min, size) = range(args)?;
    match value {
        Value::Integer(value) => Ok(Value::Integer(min + value % size)),
        Value::Text(text) if !text.is_empty() => Ok(Value::Integer(min + remainder(&text, size))),
        _ => Err(ErrorCode::BadArg),
    }
}

/// Min, and the number of integers from Min to Max. Bounds are 64-bit, so that nothing overflows.
fn range(args: &mut Args<'_>) -> Result<(i128, i128), ErrorCode> {
    let mut bound = |index| {
        let bound = i64::try_from(args.integer(index, ErrorCode::BadArg)?);
        bound.map(i128::from).map_err(|_| ErrorCode::BadArg)
    };
    let (min, max) = (bound(1)?, bound(2)?);
    if min > max {
        return Err(ErrorCode::BadArg);
    }
    Ok((min, max - min + 1))
}

/// The big-endian unsigned integer `bytes` modulo `size`, which is at most 2^64.
fn remainder(bytes: &[u8], size: i128) -> i128 {
    bytes
        .iter()
        .fold(0, |rest, byte| (rest * 256 + i128::from(*byte)) % size)
}
