//! Tokens against an HMAC key and an ES256 key: nothing panics, nothing unsigned is believed, and signed
//! claims give what a plain reading of them says.
//!
//! Input: `r` and a token; `h`, `e` or `c` and a payload, to be signed with the HMAC key, with the ES256
//! key, or with the text of the ES256 public key as an HMAC secret.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use vallum_fuzz::clients;
use vallum_policy::{
    acl::Settings,
    decision::{Answer, Grant},
    token::{
        Credentials, JwtAuthenticator, KeySource, VerifyKey,
        authenticator::{JwtOptions, OnMissing, TokenField},
        mint::inspect,
    },
};

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"fuzz";

/// A fresh ES256 key, so that no input can hold its signature, and an authenticator for each key.
struct World {
    pair: EcdsaKeyPair,
    public_pem: String,
    hmac: JwtAuthenticator,
    es256: JwtAuthenticator,
    /// The HMAC key, from the user name, with claims that must have certain values.
    strict: JwtAuthenticator,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let body = BASE64_STANDARD.encode(der.as_ref());
    let public_pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    let claims = [("aud", "svc"), ("sub", "x-${clientid}")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let hmac = || VerifyKey::hmac(SECRET).unwrap();
    World {
        hmac: authenticator(TokenField::Password, hmac(), &[]),
        es256: authenticator(
            TokenField::Password,
            VerifyKey::from_public_pem(&public_pem).unwrap(),
            &[],
        ),
        strict: authenticator(TokenField::Username, hmac(), &claims),
        pair,
        public_pem,
    }
});

fn authenticator(
    from: TokenField,
    key: VerifyKey,
    verify_claims: &[(String, String)],
) -> JwtAuthenticator {
    JwtAuthenticator::new(JwtOptions {
        from,
        keys: KeySource::Fixed(key),
        verify_claims,
        acl_claim_name: "acl",
        disconnect_after_expire: true,
        on_missing_jwt: OnMissing::Deny,
    })
    .unwrap()
}

/// What the authenticator says to the client `c1` with this token.
fn ask(authenticator: &JwtAuthenticator, token: &[u8]) -> Answer {
    let client = Credentials {
        client_id: "c1",
        username: std::str::from_utf8(token).ok(),
        password: Some(token),
        enhanced: false,
    };
    authenticator.authenticate(&client, NOW)
}

/// Whether the token's signature was found good: only then are claims looked at.
fn is_believed(answer: &Answer) -> bool {
    match answer {
        Answer::Ok(_) | Answer::Deny(..) => true,
        Answer::Ignore(_) | Answer::Failure(_) => false,
    }
}

/// `alg.payload.signature`, the segments encoded.
fn signed(algorithm: &str, payload: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(format!("{{\"alg\":\"{algorithm}\"}}").as_bytes());
    let token = format!("{header}.{}", encode(payload));
    let signature = sign(token.as_bytes());
    format!("{token}.{}", encode(&signature))
}

fn mac(hash: hmac::Algorithm, secret: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hash, secret), text)
        .as_ref()
        .to_vec()
}

/// A token that is believed carries a MAC of its first two segments.
fn check_raw(token: &[u8]) {
    let answer = ask(&WORLD.hmac, token);
    let _ = inspect(token);
    assert!(
        !is_believed(&ask(&WORLD.es256, token)),
        "a forged ES256 signature"
    );
    assert!(!matches!(ask(&WORLD.strict, token), Answer::Ok(_)) || is_believed(&answer));
    if is_believed(&answer) {
        let text = std::str::from_utf8(token).unwrap();
        let (text, signature) = text.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD
            .decode(signature.trim_end_matches('='))
            .unwrap();
        let hashes = [hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512];
        let good = hashes.map(|hash| mac(hash, SECRET, text.as_bytes()) == signature);
        assert!(good.contains(&true), "{text}");
        assert_eq!(text.matches('.').count(), 1);
    }
}

/// A time claim in seconds.
fn date(claims: &Map<String, Value>, name: &str) -> Option<f64> {
    match claims.get(name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a clock, and float casts that saturate"
)]
fn check_grant(grant: &Grant, claims: &Map<String, Value>) {
    for (name, claim) in claims {
        let is_date = matches!(claim, Value::Number(_) | Value::String(_));
        assert!(is_date || (name != "exp" && name != "nbf"), "{claims:?}");
    }
    let exp = date(claims, "exp");
    assert!(
        exp.is_none_or(|exp| exp > NOW as f64),
        "expired: {claims:?}"
    );
    assert!(
        date(claims, "nbf").is_none_or(|nbf| nbf <= NOW as f64),
        "early: {claims:?}"
    );
    // Exact as far as `i64` goes, past that the nearest float.
    let whole = claims.get("exp").and_then(|claim| match claim {
        Value::String(text) => text.parse::<i64>().ok(),
        claim => claim.as_i64(),
    });
    let whole = whole.and_then(|seconds| u64::try_from(seconds).ok());
    assert_eq!(grant.expire_at, whole.or(exp.map(|exp| exp as u64)));
    let superuser = claims.get("is_superuser").is_some_and(|claim| match claim {
        Value::Bool(flag) => *flag,
        Value::String(text) => text == "true" || text.parse::<i64>().is_ok_and(|n| n >= 1),
        claim => claim.as_i64().is_some_and(|n| n >= 1),
    });
    assert_eq!(grant.is_superuser, superuser, "{claims:?}");
    let client_id = claims.get("clientid_override").and_then(Value::as_str);
    assert_eq!(
        grant.client_id_override.as_deref(),
        client_id.filter(|id| !id.is_empty())
    );
    assert_eq!(grant.acl.is_some(), claims.contains_key("acl"));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(
        grant
            .client_attrs
            .keys()
            .all(|name| !name.is_empty() && name.chars().all(plain))
    );
    if let Some(acl) = &grant.acl {
        assert_eq!(Some(acl.raw()), claims.get("acl"));
        let client = clients::client("c1", None, None, Some("A"));
        let now = i64::try_from(NOW).unwrap();
        for request in clients::requests("t/x") {
            acl.decide(&Settings::default(), &client, &request, now);
        }
    }
}

/// Signed claims: the same answer whichever key signed, and grants only from what stands in them.
fn check_claims(payload: &[u8], token: &str, authenticator: &JwtAuthenticator) {
    let answer = ask(authenticator, token.as_bytes());
    let claims = serde_json::from_slice::<Value>(payload);
    if let Ok(claims) = &claims {
        match (&answer, claims.as_object()) {
            (Answer::Ok(grant), Some(claims)) => check_grant(grant, claims),
            (answer, None) => assert!(matches!(answer, Answer::Failure(_)), "{answer:?}"),
            _ => {}
        }
    }
    let strict = ask(&WORLD.strict, token.as_bytes());
    if let (Answer::Ok(_), Ok(claims)) = (&strict, &claims) {
        assert!(matches!(answer, Answer::Ok(_)));
        assert_eq!(claims["sub"], "x-c1");
        let audience = &claims["aud"];
        assert!(audience == "svc" || audience.as_array().unwrap().contains(&"svc".into()));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind {
        b'h' => {
            let token = signed("HS256", rest, |text| mac(hmac::HMAC_SHA256, SECRET, text));
            check_claims(rest, &token, &WORLD.hmac);
            assert!(!is_believed(&ask(&WORLD.es256, token.as_bytes())));
        }
        b'e' => {
            let sign = |text: &[u8]| WORLD.pair.sign(&SystemRandom::new(), text).unwrap();
            let token = signed("ES256", rest, |text| sign(text).as_ref().to_vec());
            check_claims(rest, &token, &WORLD.es256);
            assert!(!is_believed(&ask(&WORLD.hmac, token.as_bytes())));
        }
        b'c' => {
            for algorithm in ["HS256", "ES256"] {
                let secret = WORLD.public_pem.as_bytes();
                let token = signed(algorithm, rest, |text| mac(hmac::HMAC_SHA256, secret, text));
                assert!(!is_believed(&ask(&WORLD.es256, token.as_bytes())));
            }
        }
        _ => check_raw(rest),
    }
});
