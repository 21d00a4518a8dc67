//! What several test files share: fresh key pairs, and a policy configuration to fill in.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::needless_pass_by_value,
    reason = "each test file uses its own part; json! gives values"
)]

pub mod jwt_cases;

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
        ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use vallum_policy::{
    decision::Decision,
    pipeline::{CompileFault, ConnectRequest, Pipeline, PolicyConfig, Progress},
};

/// A key pair in PEM form.
pub struct Pair {
    pub private: String,
    pub public: String,
}

/// Fresh pairs by name, as the `keys` table of a case file wants them.
pub fn generate(table: &Value) -> HashMap<String, Pair> {
    let rng = SystemRandom::new();
    let pair = |kind: &Value| {
        let (private, public) = match kind["crv"].as_str() {
            None => {
                let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let private: Pkcs8V1Der<'_> = key.as_der().unwrap();
                let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
                (private.as_ref().to_vec(), public.as_ref().to_vec())
            }
            Some("Ed25519") => {
                let document = Ed25519KeyPair::generate_pkcs8(&rng).unwrap();
                let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
                let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
                (document.as_ref().to_vec(), public.as_ref().to_vec())
            }
            Some(curve) => {
                let algorithm = match curve {
                    "P-256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
                    "P-384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
                    "P-521" => &ECDSA_P521_SHA512_FIXED_SIGNING,
                    other => panic!("unknown curve {other}"),
                };
                let document = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).unwrap();
                let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
                let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
                (document.as_ref().to_vec(), public.as_ref().to_vec())
            }
        };
        Pair {
            private: pem("PRIVATE KEY", &private),
            public: pem("PUBLIC KEY", &public),
        }
    };
    let keys = table.as_object().unwrap();
    keys.iter()
        .map(|(name, kind)| (name.clone(), pair(kind)))
        .collect()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// The DER inside a PEM.
pub fn der(pem: &str) -> Vec<u8> {
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    BASE64_STANDARD.decode(body).unwrap()
}

/// A configuration with that chain, everything else at rest.
pub fn policy(profile: &str, chain: Value) -> Value {
    json!({
        "version": 1,
        "profile": profile,
        "use_username_as_clientid": false,
        "client_attrs_init": [],
        "clientid_override": null,
        "zones": {},
        "rewrite": [],
        "authentication": {"ignore_backend_failures": false, "chain": chain, "listeners": {}},
        "authorization": {
            "no_match": "deny",
            "deny_action": "ignore",
            "ignore_backend_failures": false,
            "topic_template_allow": {"plus": false, "hash": false, "slash": false},
            "sources": [],
        },
    })
}

/// A jwt stage with an HMAC secret and default options.
pub fn jwt_stage(secret: &str) -> Value {
    json!({
        "mechanism": "jwt", "id": "jwt", "enable": true, "precondition": null, "from": "password",
        "key": {"kind": "hmac", "secret_base64": BASE64_STANDARD.encode(secret)},
        "verify_claims": [], "acl_claim_name": "acl", "disconnect_after_expire": true,
        "on_missing_jwt": "deny",
    })
}

/// A cinfo stage with one check.
pub fn cinfo_stage(expression: &str, result: &str) -> Value {
    json!({
        "mechanism": "cinfo", "id": "cinfo", "enable": true, "precondition": null,
        "checks": [{"is_match": [expression], "result": result}],
    })
}

pub fn external_stage(id: &str, handle: u32) -> Value {
    json!({
        "mechanism": "external", "id": id, "enable": true, "precondition": null, "handle": handle,
        "auth_method": null,
    })
}

pub fn compile(config: &Value) -> Result<Pipeline, Vec<CompileFault>> {
    Pipeline::compile(&PolicyConfig::from_json(&config.to_string()).unwrap())
}

/// What a test's client presents.
pub struct Peer<'a> {
    pub client_id: &'a str,
    pub username: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    pub listener: &'a str,
    pub zone: &'a str,
    pub auth_method: Option<&'a str>,
    pub cert_common_name: Option<&'a str>,
    pub user_properties: &'a [(&'a str, &'a str)],
}

impl<'a> Peer<'a> {
    pub fn new(client_id: &'a str, password: Option<&'a str>) -> Self {
        Self {
            client_id,
            username: None,
            password: password.map(str::as_bytes),
            listener: "tcp:default",
            zone: "default",
            auth_method: None,
            cert_common_name: None,
            user_properties: &[],
        }
    }
}

pub fn progress(pipeline: &Pipeline, peer: &Peer<'_>, now: Duration) -> Progress {
    let (listener, zone) = (Arc::from(peer.listener), Arc::from(peer.zone));
    let request = ConnectRequest {
        client_id: peer.client_id,
        username: peer.username,
        password: peer.password,
        peer_host: Some(IpAddr::from([127, 0, 0, 1])),
        proto_ver: 5,
        listener: &listener,
        zone: &zone,
        cert_common_name: peer.cert_common_name,
        cert_subject: None,
        tls: None,
        auth_method: peer.auth_method,
        auth_data: None,
        user_properties: peer.user_properties,
        client_attrs: None,
        is_superuser: false,
    };
    pipeline.connect(&request, now)
}

pub fn connect(pipeline: &Pipeline, peer: &Peer<'_>, now: u64) -> Decision {
    match progress(pipeline, peer, Duration::from_secs(now)) {
        Progress::Decided(decision) => decision,
        Progress::External(suspended) => panic!("suspended at {}", suspended.handle()),
    }
}
