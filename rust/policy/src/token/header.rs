//! Which algorithm a token claims. Nothing else of the header is looked at: `kid`, `jku`, `x5u`, `jwk`,
//! `crit`, `typ` and `cty` are never trusted and never fetched.

use std::{fmt, sync::LazyLock};

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{Algorithm, TokenFault, segment};

/// Headers as the common libraries write them, already encoded, so that most tokens need no JSON here.
static COMMON: LazyLock<Vec<(String, Algorithm)>> = LazyLock::new(|| {
    let encoded = |text: String, algorithm| (segment::encode(text.as_bytes()), algorithm);
    Algorithm::ALL
        .into_iter()
        .flat_map(|algorithm| {
            [
                encoded(format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#), algorithm),
                encoded(format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#), algorithm),
                encoded(format!(r#"{{"alg":"{algorithm}"}}"#), algorithm),
            ]
        })
        .collect()
});

/// The algorithm named by an encoded header segment.
pub(super) fn algorithm(encoded: &[u8]) -> Result<Algorithm, TokenFault> {
    if let Some((_, known)) = COMMON.iter().find(|(text, _)| text.as_bytes() == encoded) {
        return Ok(*known);
    }
    let json = segment::decode(encoded).ok_or(TokenFault::NotAJwt)?;
    let text = std::str::from_utf8(&json).map_err(|_| TokenFault::NotAJwt)?;
    let header: Header = serde_json::from_str(text).map_err(|_| TokenFault::NotAJwt)?;
    match header.algorithm {
        Alg::Known(algorithm) => Ok(algorithm),
        Alg::Unusable => Err(TokenFault::AlgNotAllowed),
    }
}

struct Header {
    algorithm: Alg,
}

enum Alg {
    Known(Algorithm),
    /// Absent, not a text, or not an algorithm of ours.
    Unusable,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;

        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JOSE header")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut algorithm = None;
                while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    if name != "alg" {
                        map.next_value::<IgnoredAny>()?;
                    } else if algorithm.is_some() {
                        // Header members must be unique (RFC 7515 section 4).
                        return Err(A::Error::duplicate_field("alg"));
                    } else {
                        algorithm = Some(alg_of(&map.next_value::<serde_json::Value>()?));
                    }
                }
                Ok(Header {
                    algorithm: algorithm.unwrap_or(Alg::Unusable),
                })
            }
        }

        deserializer.deserialize_map(HeaderVisitor)
    }
}

fn alg_of(value: &serde_json::Value) -> Alg {
    value
        .as_str()
        .and_then(Algorithm::from_name)
        .map_or(Alg::Unusable, Alg::Known)
}
