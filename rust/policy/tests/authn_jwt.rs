//! The table of JWT authenticator cases (`tests/data/authn_jwt.json`), in both profiles.
//!
//! A case's configuration is translated as the configuration layer does it: members it does not know are
//! handed on, so that they are refused here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test over a table of our own"
)]

mod support;

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use support::{
    Peer, connect,
    jwt_cases::{MintTime, Table, encode, time},
    policy,
};
use vallum_policy::{
    decision::{Decision, Stage, StepResult},
    pipeline::{Pipeline, PolicyConfig},
    token::{
        Algorithm,
        mint::{SigningKey, inspect, mint},
    },
};

const NOW: u64 = 1_800_000_000;

/// A `jwt` authenticator as configured to the stage that the pipeline takes.
fn stage(config: &Value, profile: &str) -> Result<Value, String> {
    let mut rest = config.as_object().unwrap().clone();
    let mut take = |name: &str| rest.remove(name).filter(|value| !value.is_null());
    let use_jwks = take("use_jwks").is_some_and(|flag| flag == true);
    let algorithm = take("algorithm");
    let base64 = take("secret_base64_encoded").is_some_and(|flag| flag == true);
    let key = if use_jwks {
        json!({"kind": "jwks", "endpoint": take("endpoint")})
    } else if let Some(pem) = take("public_key") {
        json!({"kind": "public_key", "pem": pem})
    } else if algorithm == Some("hmac-based".into()) {
        let secret = take("secret").ok_or("no secret")?;
        let secret = secret.as_str().unwrap();
        let encoded = if base64 {
            secret.to_owned()
        } else {
            BASE64_STANDARD.encode(secret)
        };
        json!({"kind": "hmac", "secret_base64": encoded})
    } else {
        return Err("no key".to_owned());
    };
    let verify_claims = match take("verify_claims") {
        None => json!([]),
        Some(Value::Object(map)) => map
            .into_iter()
            .map(|(name, value)| json!([name, value]))
            .collect(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|entry| json!([entry["name"], entry["value"]]))
            .collect(),
        Some(other) => other,
    };
    let on_missing = if profile == "hardened" {
        "deny"
    } else {
        "ignore"
    };
    let mut stage = json!({
        "mechanism": "jwt", "id": "jwt", "precondition": null,
        "enable": take("enable").unwrap_or(true.into()),
        "from": take("from").unwrap_or("password".into()),
        "key": key, "verify_claims": verify_claims,
        "acl_claim_name": take("acl_claim_name").unwrap_or("acl".into()),
        "disconnect_after_expire": take("disconnect_after_expire").unwrap_or(true.into()),
        "on_missing_jwt": take("on_missing_jwt").unwrap_or(on_missing.into()),
    });
    stage.as_object_mut().unwrap().extend(rest);
    Ok(stage)
}

fn pipeline(config: &Value, profile: &str) -> Result<Pipeline, String> {
    let config = policy(profile, json!([stage(config, profile)?]));
    let config = PolicyConfig::from_json(&config.to_string()).map_err(|error| error.to_string())?;
    Pipeline::compile(&config).map_err(|faults| format!("{faults:?}"))
}

/// The authenticator's own answer, from the record.
fn answer(decision: &Decision) -> (&'static str, &'static str) {
    let step = decision
        .steps
        .iter()
        .find(|step| step.stage == Stage::Authenticator)
        .unwrap();
    assert_eq!(step.name, "jwt");
    let result = step.result.as_str();
    let reason = match (step.result, decision.reason_code) {
        (StepResult::Deny, 0x86) => "bad_username_or_password",
        (StepResult::Deny, 0x87) => "not_authorized",
        _ => "",
    };
    (result, reason)
}

fn check(table: &Table, case: &Value, profile: &str) -> Result<(), String> {
    let offset = case["now_offset"].as_u64().unwrap_or(0);
    let minted = MintTime(NOW - offset);
    let token = table.token(case, NOW - offset);
    let config = table.expand(&case["config"], &token);
    let also: Vec<&str> = case["also_accept"].as_array().map_or(vec![], |list| {
        list.iter().filter_map(Value::as_str).collect()
    });
    let mut expect = case["expect"].as_str().unwrap();
    let compiled = pipeline(&config, profile);
    if expect.starts_with("config") {
        let got = if compiled.is_ok() {
            "config_ok"
        } else {
            "config_error"
        };
        return same("result", got, expect)
            .or_else(|fault| also.contains(&got).then_some(()).ok_or(fault));
    }
    let compiled = compiled?;
    let mut expect_reason = case["expect_reason"].as_str();
    let enhanced = case["client"]["auth_method"].as_str();
    if profile == "hardened" && case["profile"].is_null() {
        if let Some(hardened) = case["expect_hardened"].as_str() {
            (expect, expect_reason) = (hardened, case["expect_hardened_reason"].as_str());
        } else if expect == "ignore" && enhanced.is_none() {
            let absent = !case["client"][case["config"]["from"].as_str().unwrap_or("password")]
                .is_string()
                && case["client"].get("password").is_some_and(Value::is_null);
            let reason = if absent {
                "bad_username_or_password"
            } else {
                "not_authorized"
            };
            (expect, expect_reason) = ("deny", Some(reason));
        }
    }
    let mut client = json!({"clientid": "c1", "username": "u1", "password": "@token"});
    for (name, value) in case["client"].as_object().unwrap_or(&Map::new()) {
        client[name] = value.clone();
    }
    let client = table.expand(&client, &token);
    let client_id = client["clientid"].as_str().unwrap();
    let peer = Peer {
        username: client["username"].as_str(),
        auth_method: enhanced,
        ..Peer::new(client_id, client["password"].as_str())
    };
    let decision = connect(&compiled, &peer, NOW);
    let (result, reason) = answer(&decision);
    if result != expect && also.contains(&result) {
        return Ok(());
    }
    same("result", result, expect)?;
    if let Some(expected) = expect_reason {
        same("reason", reason, expected)?;
    }
    if expect == "ok" {
        granted(case, &minted, &decision, client_id)?;
    }
    let record = format!("{:?}", decision.steps);
    if token.len() > 20 && record.contains(&token) {
        return Err("the record shows the token".to_owned());
    }
    Ok(())
}

fn granted(
    case: &Value,
    minted: &MintTime,
    decision: &Decision,
    client_id: &str,
) -> Result<(), String> {
    let client = &decision.client;
    let expected = |name: &str| case.get(name).cloned();
    if let Some(flag) = expected("expect_superuser") {
        same("superuser", &json!(client.info.is_superuser), &flag)?;
    }
    if let Some(attributes) = expected("expect_client_attrs") {
        same(
            "client_attrs",
            &json!(client.info.client_attrs),
            &attributes,
        )?;
    }
    if let Some(id) = expected("expect_clientid_override") {
        let id = id.as_str().unwrap_or(client_id);
        same("clientid", &*client.info.client_id, id)?;
    }
    if let Some(acl) = expected("expect_acl") {
        let got = client.preset.as_ref().map(|preset| preset.raw().clone());
        same("acl", &json!(got), &acl)?;
    }
    if let Some(at) = expected("expect_expire_at") {
        let at = at
            .as_str()
            .and_then(time)
            .map_or(at, |marker| minted.set(&marker));
        same("expire_at", &json!(client.expire_at), &at)?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(
    what: &str,
    got: &T,
    expected: &T,
) -> Result<(), String> {
    if got == expected {
        Ok(())
    } else {
        Err(format!("{what}: got {got:?}, expected {expected:?}"))
    }
}

#[test]
fn every_case_in_both_profiles() {
    let table = Table::load();
    let mut failed = Vec::new();
    let mut count = 0;
    for case in &table.cases {
        let needs_fetching = case["config"]["use_jwks"] == true
            && (!case["expect"].as_str().unwrap().starts_with("config")
                && case["jwks"] != "unreachable"
                || case["config"]["headers"].is_object());
        if needs_fetching {
            continue; // the keys are fetched by Python
        }
        let both = ["legacy", "hardened"];
        let only = case["profile"].as_str();
        for profile in both
            .into_iter()
            .filter(|profile| only.is_none_or(|only| only == *profile))
        {
            count += 1;
            if let Err(fault) = check(&table, case, profile) {
                failed.push(format!(
                    "{} [{profile}]: {fault}",
                    case["name"].as_str().unwrap()
                ));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {count} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(count > 200, "only {count} cases were run");
}

#[test]
fn minted_tokens_are_verified_and_read_back() {
    let table = Table::load();
    let claims = json!({"sub": "dev1", "exp": NOW + 60});
    let header = json!({"kid": "k1"});
    let header = header.as_object().unwrap();
    for algorithm in Algorithm::ALL {
        let name = match algorithm.as_str() {
            "ES256" => "ec256_a",
            "ES384" => "ec384_a",
            "ES512" => "ec521_a",
            "EdDSA" => "ed_a",
            _ => "rsa_a",
        };
        let (key, config) = if algorithm.as_str().starts_with("HS") {
            (
                SigningKey::Secret(b"s"),
                json!({"algorithm": "hmac-based", "secret": "s"}),
            )
        } else {
            let pair = &table.keys[name];
            (
                SigningKey::PrivatePem(&pair.private),
                json!({"public_key": pair.public}),
            )
        };
        let token = mint(algorithm, header, &claims, &key).unwrap();
        let decision = connect(
            &pipeline(&config, "hardened").unwrap(),
            &Peer::new("c1", Some(&token)),
            NOW,
        );
        assert!(decision.is_allowed(), "{algorithm}: {:?}", decision.steps);
        let (shown_header, shown_claims) = inspect(token.as_bytes()).unwrap();
        assert_eq!(shown_header["kid"], "k1");
        assert_eq!(shown_header["alg"], algorithm.as_str());
        assert_eq!(shown_claims, claims);
    }
    let rsa = SigningKey::PrivatePem(&table.keys["rsa_a"].private);
    assert!(mint(Algorithm::Hs256, header, &claims, &rsa).is_err());
    assert!(mint(Algorithm::Es256, header, &claims, &rsa).is_err());
    assert!(mint(Algorithm::Rs256, header, &claims, &SigningKey::Secret(b"s")).is_err());
}

#[test]
fn the_reason_is_named() {
    let secret =
        json!({"algorithm": "hmac-based", "secret": "s", "verify_claims": {"sub": "${clientid}"}});
    let pipeline = pipeline(&secret, "hardened").unwrap();
    let sign = |header: &str, payload: &str| {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"s");
        format!(
            "{signed}.{}",
            encode(hmac::sign(&key, signed.as_bytes()).as_ref())
        )
    };
    let hs256 = r#"{"alg":"HS256"}"#;
    let good = sign(hs256, r#"{"sub":"c1"}"#);
    let long = format!("{good}{}", "A".repeat(70_000));
    for (token, reason) in [
        (None, Some("no_token")),
        (Some(""), Some("not_a_jwt")),
        (Some("a.b"), Some("not_a_jwt")),
        (Some(".."), Some("not_a_jwt")),
        (Some(long.as_str()), Some("not_a_jwt")),
        (
            Some(&sign(r#"{"alg":"none"}"#, "{}")),
            Some("alg_not_allowed"),
        ),
        (
            Some(&sign(r#"{"alg":"hs256"}"#, "{}")),
            Some("alg_not_allowed"),
        ),
        (
            Some(&sign(r#"{"alg":["HS256"]}"#, "{}")),
            Some("alg_not_allowed"),
        ),
        (
            Some(&sign(r#"{"alg":"RS256"}"#, "{}")),
            Some("alg_not_allowed"),
        ),
        (
            Some(&sign(r#"{"alg":"HS256","alg":"HS256"}"#, "{}")),
            Some("not_a_jwt"),
        ),
        (
            Some(&sign(r#"{"alg":"HS384"}"#, "{}")),
            Some("bad_signature"),
        ),
        (Some(&sign(hs256, "[1]")), Some("bad_payload")),
        (
            Some(&sign(hs256, r#"{"sub":"c1","exp":5}"#)),
            Some("expired"),
        ),
        (
            Some(&sign(hs256, r#"{"sub":"c1","nbf":99999999999}"#)),
            Some("not_yet_valid"),
        ),
        (
            Some(&sign(hs256, r#"{"sub":"c2"}"#)),
            Some("claim_mismatch"),
        ),
        (
            Some(&sign(hs256, r#"{"sub":"c1","exp":"soon"}"#)),
            Some("claim_mismatch"),
        ),
        (
            Some(&sign(hs256, r#"{"sub":"c1","acl":[{}]}"#)),
            Some("bad_acl"),
        ),
        (
            Some(&sign(hs256, r#"{"sub":"c1","acl":"x"}"#)),
            Some("bad_acl"),
        ),
        (
            Some(&sign(hs256, r#"{"sub":"c1","client_attrs":{"a":1}}"#)),
            Some("bad_client_attrs"),
        ),
        (
            Some(&sign(
                r#"{"alg":"HS256","kid":7,"crit":["x"],"jku":"http://x/"}"#,
                r#"{"sub":"c1"}"#,
            )),
            None,
        ),
        (Some(&good), None),
    ] {
        let decision = connect(&pipeline, &Peer::new("c1", token), NOW);
        assert_eq!(decision.reason, reason, "{token:?}");
        assert_eq!(decision.decided_by, "jwt");
    }
}

#[test]
fn a_deadline_with_a_fraction_is_rounded_down() {
    let pipeline = pipeline(
        &json!({"algorithm": "hmac-based", "secret": "s"}),
        "hardened",
    )
    .unwrap();
    #[allow(clippy::cast_precision_loss, reason = "a clock")]
    let claims = json!({"exp": NOW as f64 + 60.75});
    let token = mint(
        Algorithm::Hs256,
        &Map::new(),
        &claims,
        &SigningKey::Secret(b"s"),
    )
    .unwrap();
    let decision = connect(&pipeline, &Peer::new("c1", Some(&token)), NOW);
    assert_eq!(decision.client.expire_at, Some(NOW + 60));
}

#[test]
fn claims_that_can_never_match_are_configuration_errors() {
    for claims in [
        json!([["exp", "1"]]),
        json!([["nbf", "1"]]),
        json!([["a", "1"], ["a", "2"]]),
        json!([["", "x"]]),
    ] {
        let mut stage = support::jwt_stage("s");
        stage["verify_claims"] = claims.clone();
        let faults = support::compile(&policy("legacy", json!([stage]))).unwrap_err();
        assert!(
            faults[0]
                .path
                .starts_with("authentication[0].verify_claims["),
            "{claims}"
        );
    }
}
