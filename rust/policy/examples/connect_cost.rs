//! What does deciding a CONNECT cost? The article's first story, accepted: cinfo check, HS256 token.
//!
//! `cargo run --release -p vallum-policy --example connect_cost` prints the median and the 99th percentile
//! of a batch, in nanoseconds a decision, on one thread. The answer is asserted before it is timed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for people"
)]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Map, json};
use vallum_policy::{
    pipeline::{ConnectRequest, Pipeline, PolicyConfig, Progress},
    token::{
        Algorithm,
        mint::{SigningKey, mint},
    },
};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const BATCHES: usize = 200;
const PER_BATCH: u32 = 1_000;

fn main() {
    let cinfo = json!({
        "mechanism": "cinfo", "id": "cinfo", "enable": true, "precondition": null,
        "checks": [{
            "is_match": ["str_neq(nth(4, tokens(jwt_value(password, 'sub'), ':')), clientid)"],
            "result": "deny",
        }],
    });
    let jwt = json!({
        "mechanism": "jwt", "id": "jwt", "enable": true, "precondition": null, "from": "password",
        "key": {"kind": "hmac", "secret_base64": "and0cGFzc2ZvcnRlc3Qx"},
        "verify_claims": [], "acl_claim_name": "acl", "disconnect_after_expire": true,
        "on_missing_jwt": "deny",
    });
    let scope = json!({
        "expression": r"nth(2, regex_extract(jwt_value(password, 'scp'), '(^|\s)(read)(\s|$)'))",
        "set_as_attr": "jwt_scp",
    });
    measure("jwt alone", &pipeline(&json!([jwt]), &json!([])));
    measure(
        "cinfo + jwt (story 1)",
        &pipeline(&json!([cinfo, jwt]), &json!([])),
    );
    measure(
        "attribute + cinfo + jwt",
        &pipeline(&json!([cinfo, jwt]), &json!([scope])),
    );
}

fn pipeline(chain: &serde_json::Value, attributes: &serde_json::Value) -> Pipeline {
    let config = json!({
        "version": 1, "profile": "hardened", "use_username_as_clientid": false,
        "client_attrs_init": attributes, "clientid_override": null, "zones": {}, "rewrite": [],
        "authentication": {"ignore_backend_failures": false, "chain": chain, "listeners": {}},
        "authorization": {
            "no_match": "deny", "deny_action": "ignore", "ignore_backend_failures": false,
            "topic_template_allow": {"plus": false, "hash": false, "slash": false}, "sources": [],
        },
    });
    Pipeline::compile(&PolicyConfig::from_json(&config.to_string()).unwrap()).unwrap()
}

fn measure(question: &str, pipeline: &Pipeline) {
    let claims = json!({
        "sub": "urn:test:unitid:1001010-1000010:clientid:test", "scp": "read openid foobar",
        "iat": NOW.as_secs(), "exp": NOW.as_secs() + 3600,
    });
    let token = mint(
        Algorithm::Hs256,
        &Map::new(),
        &claims,
        &SigningKey::Secret(b"jwtpassfortest1"),
    )
    .unwrap();
    let (listener, zone): (Arc<str>, Arc<str>) = ("tcp:default".into(), "default".into());
    let request = ConnectRequest {
        client_id: "1001010-1000010",
        username: None,
        password: Some(token.as_bytes()),
        peer_host: None,
        proto_ver: 4,
        listener: &listener,
        zone: &zone,
        cert_common_name: None,
        cert_subject: None,
        tls: None,
        auth_method: None,
        auth_data: None,
        user_properties: &[],
        client_attrs: None,
        is_superuser: false,
    };
    let accepted =
        |progress| matches!(progress, Progress::Decided(decision) if decision.is_allowed());
    assert!(accepted(pipeline.connect(&request, NOW)));
    let mut batches: Vec<u128> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..PER_BATCH {
                black_box(pipeline.connect(black_box(&request), NOW));
            }
            start.elapsed().as_nanos() / u128::from(PER_BATCH)
        })
        .collect();
    batches.sort_unstable();
    let at = |part: usize| {
        batches
            .get(BATCHES * part / 100)
            .copied()
            .unwrap_or_default()
    };
    println!("{question}: median {} ns, p99 {} ns", at(50), at(99));
}
