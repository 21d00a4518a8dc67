//! The recipes for tokens in `tests/data/authn_jwt.json` (its `how` explains them).

use std::collections::HashMap;

use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value, json};

use super::{Pair, der, generate};

pub struct Table {
    pub keys: HashMap<String, Pair>,
    pub cases: Vec<Value>,
}

impl Table {
    pub fn load() -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/data/authn_jwt.json"
        );
        let table: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        Self {
            keys: generate(&table["keys"]),
            cases: table["cases"].as_array().unwrap().clone(),
        }
    }

    /// Texts with `@` and times expanded, everywhere.
    pub fn expand(&self, value: &Value, token: &str) -> Value {
        match value {
            Value::String(text) => self.expand_text(text, token),
            Value::Array(items) => items.iter().map(|item| self.expand(item, token)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.expand(value, token)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    fn expand_text(&self, text: &str, token: &str) -> Value {
        let Some(rest) = text.strip_prefix('@') else {
            return time(text).unwrap_or_else(|| text.into());
        };
        let (kind, argument) = rest.split_once(':').unwrap_or((rest, ""));
        match kind {
            "token" => token.into(),
            "pem" => self.keys[argument].public.as_str().into(),
            "b64" => BASE64_STANDARD.encode(argument).into(),
            "b64hex" => BASE64_STANDARD.encode(unhex(argument)).into(),
            "repeat" => {
                let (character, count) = argument.split_once(':').unwrap();
                character.repeat(count.parse().unwrap()).into()
            }
            "nest" => {
                let depth = argument.parse().unwrap();
                format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth)).into()
            }
            "jwks_url" | "attacker_url" => "http://127.0.0.1:9/".into(),
            other => panic!("unknown expansion {other}"),
        }
    }

    pub fn token(&self, case: &Value, now: u64) -> String {
        let Some(sign_with) = case["sign_with"].as_str() else {
            return String::new();
        };
        let minted = MintTime(now);
        let mut header = json!({"alg": case["header_alg"], "typ": "JWT"});
        lay_over(&mut header, &minted.set(&self.expand(&case["header"], "")));
        let mut claims = minted.set(&self.expand(&case["claims"], ""));
        let payload = match (
            case["raw_payload"].as_str(),
            case["raw_payload_hex"].as_str(),
        ) {
            (Some(text), _) => self
                .expand_text(text, "")
                .as_str()
                .unwrap()
                .as_bytes()
                .to_vec(),
            (_, Some(hex)) => unhex(hex),
            _ => claims.to_string().into_bytes(),
        };
        let algorithm = case["sign_alg"]
            .as_str()
            .or(case["header_alg"].as_str())
            .unwrap();
        let sign = |signed: &str| self.sign(algorithm, sign_with, signed);
        let mut parts = [encode(header.to_string()), encode(payload), String::new()];
        parts[2] = sign(&format!("{}.{}", parts[0], parts[1]));
        let mut token = parts.join(".");
        for mutation in case["mutate"].as_array().unwrap_or(&vec![]) {
            if let Some(members) = mutation["replace_claims"].as_object() {
                claims = minted.set(&self.expand(&members.clone().into(), ""));
                parts[1] = encode(claims.to_string());
                token = parts.join(".");
            } else if mutation["replace_header"].is_object() {
                lay_over(&mut header, &mutation["replace_header"]);
                parts[0] = encode(header.to_string());
                token = parts.join(".");
            } else {
                token = mutate(mutation.as_str().unwrap(), &parts, &sign);
            }
        }
        token
    }

    fn sign(&self, algorithm: &str, with: &str, signed: &str) -> String {
        let (kind, argument) = with.split_once(':').unwrap_or((with, ""));
        let secret = match kind {
            "none" => return String::new(),
            "key" => {
                // Sign the two segments as they are: mint's own header and claims are thrown away.
                let pem = &self.keys[argument].private;
                return sign_with_pem(algorithm, pem, signed);
            }
            "secret" => argument.as_bytes().to_vec(),
            "secrethex" => unhex(argument),
            "pem-as-secret" => self.keys[argument].public.clone().into_bytes(),
            "pem-stripped-as-secret" => self.keys[argument].public.trim_end().as_bytes().to_vec(),
            "der-as-secret" => der(&self.keys[argument].public),
            other => panic!("unknown sign_with {other}"),
        };
        let hash = match algorithm {
            "HS384" => hmac::HMAC_SHA384,
            "HS512" => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        encode(hmac::sign(&hmac::Key::new(hash, &secret), signed.as_bytes()).as_ref())
    }
}

fn sign_with_pem(algorithm: &str, pem: &str, signed: &str) -> String {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair},
    };
    use jsonwebtoken::{Algorithm as Jws, EncodingKey, crypto};
    let (bytes, message) = (pem.as_bytes(), signed.as_bytes());
    if algorithm == "ES512" {
        let der = der(pem);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_FIXED_SIGNING, &der).unwrap();
        return encode(pair.sign(&SystemRandom::new(), message).unwrap().as_ref());
    }
    let jws: Jws = algorithm.parse().unwrap();
    let key = match algorithm.get(..2) {
        Some("ES") => EncodingKey::from_ec_pem(bytes),
        Some("Ed") => EncodingKey::from_ed_pem(bytes),
        _ => EncodingKey::from_rsa_pem(bytes),
    };
    crypto::sign(message, &key.unwrap(), jws).unwrap()
}

fn mutate(name: &str, parts: &[String; 3], sign: &dyn Fn(&str) -> String) -> String {
    let [header, payload, signature] = parts;
    let token = parts.join(".");
    let signature_bytes = || BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    match name {
        "drop_sig_segment" => format!("{header}.{payload}"),
        "empty_sig" => format!("{header}.{payload}."),
        "append_segment" => format!("{token}.e30"),
        "suffix_newline" => format!("{token}\n"),
        "prefix_space" => format!(" {token}"),
        "prefix_bearer" => format!("Bearer {token}"),
        "flip_sig_byte" => {
            let mut bytes = signature_bytes();
            *bytes.last_mut().unwrap() ^= 1;
            format!("{header}.{payload}.{}", encode(bytes))
        }
        "truncate_sig_16" => format!("{header}.{payload}.{}", encode(&signature_bytes()[..16])),
        "pad_sig" => format!(
            "{header}.{payload}.{}",
            BASE64_URL_SAFE.encode(signature_bytes())
        ),
        "raw_header_notjson" => {
            let signed = format!("{}.{payload}", encode("notjson"));
            format!("{signed}.{}", sign(&signed))
        }
        other => panic!("unknown mutation {other}"),
    }
}

/// Times are expanded to markers first, as the mint time is not known everywhere.
pub struct MintTime(pub u64);

impl MintTime {
    pub fn set(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.set(item)).collect(),
            Value::Object(members) if members.contains_key("$time") => {
                let offset = members["$offset"].as_f64().unwrap();
                #[allow(clippy::cast_precision_loss, reason = "a clock")]
                let float = self.0 as f64 + offset;
                #[allow(clippy::cast_possible_truncation, reason = "a clock")]
                let whole = float as i64;
                match members["$time"].as_str().unwrap() {
                    "int" => whole.into(),
                    "float" => float.into(),
                    "str" => whole.to_string().into(),
                    _ => float.to_string().into(),
                }
            }
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.set(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }
}

pub fn time(text: &str) -> Option<Value> {
    let (kind, rest) = match text.split_once(':') {
        Some((kind @ ("float" | "str" | "strf"), rest)) => (kind, rest),
        _ => ("int", text),
    };
    let offset: f64 = rest.strip_prefix("now")?.parse().ok()?;
    Some(json!({"$time": kind, "$offset": offset}))
}

fn lay_over(object: &mut Value, members: &Value) {
    for (name, value) in members.as_object().unwrap_or(&Map::new()) {
        let object = object.as_object_mut().unwrap();
        match value {
            Value::Null => object.remove(name),
            value => object.insert(name.clone(), value.clone()),
        };
    }
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}
