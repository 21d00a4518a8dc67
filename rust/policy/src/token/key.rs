//! Verification keys. A key fixes the algorithms it may be used with (RFC 8725 section 3.1): an HMAC key
//! never answers for a token that claims `RS256`, and `none` exists nowhere.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rsa::PublicEncryptingKey,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
    },
};
use jsonwebtoken::DecodingKey;

/// A JWS algorithm this crate verifies (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's own")]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

impl Algorithm {
    /// Every algorithm, the common ones first.
    pub const ALL: [Self; 13] = [
        Self::Hs256,
        Self::Rs256,
        Self::Es256,
        Self::EdDsa,
        Self::Hs384,
        Self::Hs512,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es384,
        Self::Es512,
    ];

    /// The `alg` header value; names are case-sensitive (RFC 7515 section 4.1.1).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name, if it is one we know. `none` is not.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why key material cannot be used. Always the operator's doing; never shows the material.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFault {
    /// An empty HMAC secret: anyone could sign with it.
    EmptySecret,
    /// Not a PEM with one RSA, EC or Ed25519 key.
    NotAPublicKey,
    /// An RSA modulus under 2,048 or over 8,192 bits (RFC 7518 section 3.3).
    RsaSize,
    /// An EC key on a curve other than P-256, P-384, P-521.
    UnknownCurve,
    /// The algorithm does not fit the key.
    AlgorithmMismatch,
    /// A private key was expected, in PKCS#8 (or PKCS#1 for RSA) PEM form.
    NotAPrivateKey,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptySecret => "the secret is empty",
            Self::NotAPublicKey => "not a PEM public key (RSA, EC or Ed25519)",
            Self::RsaSize => "RSA keys must have 2048 to 8192 bits",
            Self::UnknownCurve => "EC keys must be on P-256, P-384 or P-521",
            Self::AlgorithmMismatch => "the algorithm does not fit the key",
            Self::NotAPrivateKey => "not a PEM private key (PKCS#8; PKCS#1 for RSA)",
        })
    }
}

impl std::error::Error for KeyFault {}

/// One key, prepared once (HMAC key schedule, parsed public key) for every algorithm it allows.
pub struct VerifyKey {
    prepared: Vec<(Algorithm, Prepared)>,
}

enum Prepared {
    /// Boxed: with its schedule it is twenty times the size of the other.
    Hmac(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl VerifyKey {
    /// A key for HS256, HS384 and HS512 (`algorithm = hmac-based`). No minimum length but one byte.
    pub fn hmac(secret: &[u8]) -> Result<Self, KeyFault> {
        if secret.is_empty() {
            return Err(KeyFault::EmptySecret);
        }
        let prepared = [
            (Algorithm::Hs256, hmac::HMAC_SHA256),
            (Algorithm::Hs384, hmac::HMAC_SHA384),
            (Algorithm::Hs512, hmac::HMAC_SHA512),
        ];
        Ok(Self {
            prepared: prepared
                .into_iter()
                .map(|(name, hash)| (name, Prepared::Hmac(Box::new(hmac::Key::new(hash, secret)))))
                .collect(),
        })
    }

    /// The public key in a PEM text: RSA gives RS* and PS*, P-256 ES256, P-384 ES384, P-521 ES512,
    /// Ed25519 `EdDSA`. A private key is refused.
    pub fn from_public_pem(pem: &str) -> Result<Self, KeyFault> {
        let pem = pem.trim_start().as_bytes();
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            return Self::rsa(key_bytes(&key)?);
        }
        if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            return Self::elliptic(key_bytes(&key)?);
        }
        let key = DecodingKey::from_ed_pem(pem).map_err(|_| KeyFault::NotAPublicKey)?;
        Self::single(Algorithm::EdDsa, &ED25519, key_bytes(&key)?)
    }

    fn rsa(der: &[u8]) -> Result<Self, KeyFault> {
        let algorithms: [(Algorithm, &'static dyn VerificationAlgorithm); 6] = [
            (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
            (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
            (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
            (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
            (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
        ];
        let mut prepared = Vec::with_capacity(algorithms.len());
        for (name, algorithm) in algorithms {
            let key = ParsedPublicKey::new(algorithm, der).map_err(|_| KeyFault::NotAPublicKey)?;
            prepared.push((name, Prepared::Public(key)));
        }
        if let Some((_, Prepared::Public(key))) = prepared.first() {
            let spki: PublicKeyX509Der<'_> = key.as_der().map_err(|_| KeyFault::NotAPublicKey)?;
            let size = PublicEncryptingKey::from_der(spki.as_ref())
                .map_err(|_| KeyFault::RsaSize)?
                .key_size_bits();
            if !(2048..=8192).contains(&size) {
                return Err(KeyFault::RsaSize);
            }
        }
        Ok(Self { prepared })
    }

    /// `point`: the uncompressed point, whose length tells the curve.
    fn elliptic(point: &[u8]) -> Result<Self, KeyFault> {
        match point.len() {
            65 => Self::single(Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, point),
            97 => Self::single(Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, point),
            133 => Self::single(Algorithm::Es512, &ECDSA_P521_SHA512_FIXED, point),
            _ => Err(KeyFault::UnknownCurve),
        }
    }

    fn single(
        name: Algorithm,
        algorithm: &'static dyn VerificationAlgorithm,
        bytes: &[u8],
    ) -> Result<Self, KeyFault> {
        let key = ParsedPublicKey::new(algorithm, bytes).map_err(|_| KeyFault::NotAPublicKey)?;
        Ok(Self {
            prepared: vec![(name, Prepared::Public(key))],
        })
    }

    /// Whether the key may be used with `algorithm` at all.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.prepared.iter().any(|(name, _)| *name == algorithm)
    }

    /// Whether `signature` is this key's signature of `signed` by `algorithm`; MACs are compared in
    /// constant time. `false` also when the key does not allow the algorithm.
    pub fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.prepared.iter().any(|(name, key)| {
            *name == algorithm
                && match key {
                    Prepared::Hmac(key) => hmac::verify(key, signed, signature).is_ok(),
                    Prepared::Public(key) => key.verify_sig(signed, signature).is_ok(),
                }
        })
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyKey(******)")
    }
}

fn key_bytes(key: &DecodingKey) -> Result<&[u8], KeyFault> {
    key.try_get_as_bytes().map_err(|_| KeyFault::NotAPublicKey)
}

/// Several keys tried one after the other; `kid` is not a filter (`spec/authentication.md` section 24, 8).
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyKey>,
}

impl KeySet {
    /// A set of those keys, tried in that order.
    pub fn new(keys: Vec<VerifyKey>) -> Self {
        Self { keys }
    }
}

/// A place for a key set that is fetched and replaced while the broker runs (JWKS). Empty until the
/// first fetch, and again when the keys were dropped.
#[derive(Debug, Default)]
pub struct KeySlot(RwLock<Option<Arc<KeySet>>>);

impl KeySlot {
    /// Replace the keys for every later verification; `None` drops them.
    pub fn replace(&self, keys: Option<Arc<KeySet>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn current(&self) -> Option<Arc<KeySet>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Where an authenticator takes its keys from.
#[derive(Debug)]
pub enum KeySource {
    /// One key from the configuration.
    Fixed(VerifyKey),
    /// Keys that come and go.
    Slot(Arc<KeySlot>),
}

/// Outcome of a signature check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureCheck {
    Good,
    Bad,
    AlgorithmNotAllowed,
    KeysUnavailable,
}

impl KeySource {
    /// Whether there are keys at all; a slot is empty before the first fetch.
    pub(crate) fn is_available(&self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Slot(slot) => slot.current().is_some(),
        }
    }

    pub(crate) fn check(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> SignatureCheck {
        match self {
            Self::Fixed(key) => check_all(std::slice::from_ref(key), algorithm, signed, signature),
            Self::Slot(slot) => slot
                .current()
                .map_or(SignatureCheck::KeysUnavailable, |set| {
                    check_all(&set.keys, algorithm, signed, signature)
                }),
        }
    }
}

fn check_all(
    keys: &[VerifyKey],
    algorithm: Algorithm,
    signed: &[u8],
    signature: &[u8],
) -> SignatureCheck {
    if keys
        .iter()
        .any(|key| key.verifies(algorithm, signed, signature))
    {
        SignatureCheck::Good
    } else if keys.iter().any(|key| key.allows(algorithm)) {
        SignatureCheck::Bad
    } else {
        SignatureCheck::AlgorithmNotAllowed
    }
}
