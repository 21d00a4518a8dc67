//! Making and reading tokens for tools and tests (`vallum token mint`, `vallum token inspect`).

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair},
};
use jsonwebtoken::EncodingKey;
use serde_json::{Map, Value};

use super::{
    Algorithm, KeyFault, segment,
    verify::{Segments, TokenFault},
};

/// What to sign with.
pub enum SigningKey<'k> {
    /// A shared secret, for HS256, HS384 and HS512.
    Secret(&'k [u8]),
    /// A private key in PEM form, for the others.
    PrivatePem(&'k str),
}

/// Sign `claims` with `alg` in the header, beside `typ: JWT` and the members of `extra_header` (which
/// win, except over `alg`).
pub fn mint(
    algorithm: Algorithm,
    extra_header: &Map<String, Value>,
    claims: &Value,
    key: &SigningKey<'_>,
) -> Result<String, KeyFault> {
    let mut header = Map::new();
    header.insert("typ".to_owned(), "JWT".into());
    header.extend(extra_header.clone());
    header.insert("alg".to_owned(), algorithm.as_str().into());
    let header = segment::encode(Value::Object(header).to_string().as_bytes());
    let mut token = format!(
        "{header}.{}",
        segment::encode(claims.to_string().as_bytes())
    );
    let signature = sign(algorithm, token.as_bytes(), key)?;
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

/// A token's header and claims as they stand there. **Nothing is verified.**
pub fn inspect(token: &[u8]) -> Result<(Value, Value), TokenFault> {
    let segments = Segments::split(token).ok_or(TokenFault::NotAJwt)?;
    let json = |segment: &[u8], fault| {
        let bytes = segment::decode(segment).ok_or(fault)?;
        serde_json::from_slice::<Value>(&bytes)
            .ok()
            .filter(Value::is_object)
            .ok_or(fault)
    };
    let header = json(segments.header, TokenFault::NotAJwt)?;
    let claims = json(segments.payload, TokenFault::BadPayload)?;
    segment::decode(segments.signature).ok_or(TokenFault::NotAJwt)?;
    Ok((header, claims))
}

fn sign(algorithm: Algorithm, message: &[u8], key: &SigningKey<'_>) -> Result<String, KeyFault> {
    match (algorithm, key) {
        (Algorithm::Hs256, SigningKey::Secret(key)) => mac(hmac::HMAC_SHA256, message, key),
        (Algorithm::Hs384, SigningKey::Secret(key)) => mac(hmac::HMAC_SHA384, message, key),
        (Algorithm::Hs512, SigningKey::Secret(key)) => mac(hmac::HMAC_SHA512, message, key),
        (Algorithm::Es512, SigningKey::PrivatePem(pem)) => sign_p521(message, pem),
        (_, SigningKey::PrivatePem(pem)) => sign_with_pem(algorithm, message, pem),
        _ => Err(KeyFault::AlgorithmMismatch),
    }
}

fn mac(hash: hmac::Algorithm, message: &[u8], secret: &[u8]) -> Result<String, KeyFault> {
    if secret.is_empty() {
        return Err(KeyFault::EmptySecret);
    }
    let tag = hmac::sign(&hmac::Key::new(hash, secret), message);
    Ok(segment::encode(tag.as_ref()))
}

/// P-521, which jsonwebtoken lacks.
fn sign_p521(message: &[u8], pem: &str) -> Result<String, KeyFault> {
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(|_| KeyFault::NotAPrivateKey)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_FIXED_SIGNING, key.as_bytes())
        .map_err(|_| KeyFault::AlgorithmMismatch)?;
    let signature = pair
        .sign(&SystemRandom::new(), message)
        .map_err(|_| KeyFault::AlgorithmMismatch)?;
    Ok(segment::encode(signature.as_ref()))
}

fn sign_with_pem(algorithm: Algorithm, message: &[u8], pem: &str) -> Result<String, KeyFault> {
    use jsonwebtoken::Algorithm as Jws;
    let pem = pem.as_bytes();
    let (key, jws) = match algorithm {
        Algorithm::Rs256 => (EncodingKey::from_rsa_pem(pem), Jws::RS256),
        Algorithm::Rs384 => (EncodingKey::from_rsa_pem(pem), Jws::RS384),
        Algorithm::Rs512 => (EncodingKey::from_rsa_pem(pem), Jws::RS512),
        Algorithm::Ps256 => (EncodingKey::from_rsa_pem(pem), Jws::PS256),
        Algorithm::Ps384 => (EncodingKey::from_rsa_pem(pem), Jws::PS384),
        Algorithm::Ps512 => (EncodingKey::from_rsa_pem(pem), Jws::PS512),
        Algorithm::Es256 => (EncodingKey::from_ec_pem(pem), Jws::ES256),
        Algorithm::Es384 => (EncodingKey::from_ec_pem(pem), Jws::ES384),
        Algorithm::EdDsa => (EncodingKey::from_ed_pem(pem), Jws::EdDSA),
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 | Algorithm::Es512 => {
            return Err(KeyFault::AlgorithmMismatch);
        }
    };
    let key = key.map_err(|_| KeyFault::NotAPrivateKey)?;
    jsonwebtoken::crypto::sign(message, &key, jws).map_err(|_| KeyFault::AlgorithmMismatch)
}
