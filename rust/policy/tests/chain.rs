//! The chain around its authenticators: tables of `spec/authentication.md` section 2, merging of section 3,
//! attributes of `spec/expressions.md` section 8, and what compiling refuses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Map, Value, json};
use support::{Peer, cinfo_stage, compile, connect, external_stage, jwt_stage, policy, progress};
use vallum_policy::{
    acl::{Action, Preset, Request},
    decision::{ConnectResult, Decision, Grant, StepResult},
    pipeline::{ExternalVerdict, PolicyConfig, Progress, Suspended},
    token::{
        Algorithm,
        mint::{SigningKey, mint},
    },
};

const NOW: u64 = 1_800_000_000;

fn token(claims: &Value) -> String {
    mint(
        Algorithm::Hs256,
        &Map::new(),
        claims,
        &SigningKey::Secret(b"s"),
    )
    .unwrap()
}

fn outcome(decision: &Decision) -> (bool, String, u8) {
    (
        decision.is_allowed(),
        decision.decided_by.to_string(),
        decision.reason_code,
    )
}

fn disabled(mut stage: Value) -> Value {
    stage["enable"] = false.into();
    stage
}

fn with_precondition(mut stage: Value, precondition: &str) -> Value {
    stage["precondition"] = precondition.into();
    stage
}

#[test]
fn who_gets_in_when_nobody_decides() {
    let never = || cinfo_stage("is_empty(clientid)", "allow");
    let unbound = || with_precondition(cinfo_stage("true", "allow"), "nosuch");
    let unmet = || with_precondition(cinfo_stage("true", "allow"), "clientid");
    for (chain, legacy, hardened) in [
        (
            json!(null),
            (true, "no_authenticator", 0),
            (false, "no_authenticator", 0x87),
        ),
        (
            json!([]),
            (true, "no_authenticator", 0),
            (false, "no_authenticator", 0x87),
        ),
        (
            json!([disabled(jwt_stage("s"))]),
            (true, "no_authenticator", 0),
            (false, "no_authenticator", 0x87),
        ),
        (
            json!([never()]),
            (false, "no_match", 0x87),
            (false, "no_match", 0x87),
        ),
        (
            json!([unmet()]),
            (false, "no_match", 0x87),
            (false, "no_match", 0x87),
        ),
        (
            json!([unbound()]),
            (false, "no_match", 0x87),
            (false, "cinfo", 0x87),
        ),
        (
            json!([disabled(never()), cinfo_stage("true", "allow")]),
            (true, "cinfo", 0),
            (true, "cinfo", 0),
        ),
    ] {
        let chain = if chain == json!([disabled(never()), cinfo_stage("true", "allow")]) {
            let mut renamed = chain;
            renamed[0]["id"] = "other".into();
            renamed
        } else {
            chain
        };
        for (profile, expected) in [("legacy", legacy), ("hardened", hardened)] {
            let pipeline = compile(&policy(profile, chain.clone())).unwrap();
            let (allow, by, code) = outcome(&connect(&pipeline, &Peer::new("c1", None), NOW));
            assert_eq!((allow, by.as_str(), code), expected, "{profile} {chain}");
        }
    }
}

#[test]
fn ignore_backend_failures_softens_hardened() {
    let mut config = policy("hardened", json!([jwt_stage("s"), external_stage("x", 1)]));
    config["authentication"]["ignore_backend_failures"] = true.into();
    let peer = Peer::new("c1", Some("not a token"));
    let pipeline = compile(&config).unwrap();
    assert!(matches!(
        progress(&pipeline, &peer, Duration::ZERO),
        Progress::External(_)
    ));
}

#[test]
fn listeners_choose_their_chain() {
    let mut config = policy("hardened", json!([cinfo_stage("true", "deny")]));
    config["authentication"]["listeners"] = json!({
        "tcp:own": {"enable_authn": "true", "chain": [cinfo_stage("true", "allow")]},
        "tcp:empty": {"enable_authn": "true", "chain": []},
        "tcp:off": {"enable_authn": "false", "chain": null},
        "tcp:disabled": {"enable_authn": "true", "chain": [disabled(cinfo_stage("true", "allow"))]},
        "tcp:quick": {"enable_authn": "quick_deny_anonymous", "chain": [cinfo_stage("true", "allow")]},
    });
    let pipeline = compile(&config).unwrap();
    let at = |listener, username| {
        let peer = Peer {
            username,
            listener,
            ..Peer::new("c1", None)
        };
        let (allow, by, code) = outcome(&connect(&pipeline, &peer, NOW));
        (allow, by, code)
    };
    let is = |allow, by: &str, code| (allow, by.to_owned(), code);
    assert_eq!(at("tcp:unnamed", None), is(false, "cinfo", 0x86));
    assert_eq!(at("tcp:own", None), is(true, "cinfo", 0));
    assert_eq!(at("tcp:empty", None), is(false, "cinfo", 0x86));
    assert_eq!(at("tcp:off", None), is(true, "enable_authn", 0));
    assert_eq!(
        at("tcp:disabled", None),
        is(false, "no_authenticator", 0x87)
    );
    assert_eq!(
        at("tcp:quick", None),
        is(false, "quick_deny_anonymous", 0x87)
    );
    assert_eq!(
        at("tcp:quick", Some("")),
        is(false, "quick_deny_anonymous", 0x87)
    );
    assert_eq!(at("tcp:quick", Some("u")), is(true, "cinfo", 0));
}

#[test]
fn enhanced_authentication_switches_native_authenticators_off() {
    let chain = json!([cinfo_stage("true", "allow"), jwt_stage("s")]);
    for (profile, code) in [("legacy", 0x87), ("hardened", 0x8C)] {
        let pipeline = compile(&policy(profile, chain.clone())).unwrap();
        let good = token(&json!({}));
        let peer = Peer {
            auth_method: Some("SCRAM-SHA-256"),
            ..Peer::new("c1", Some(&good))
        };
        let decision = connect(&pipeline, &peer, NOW);
        assert_eq!(outcome(&decision), (false, "no_match".to_owned(), code));
        assert!(
            decision
                .steps
                .iter()
                .take(2)
                .all(|step| step.result == StepResult::Ignore)
        );
    }
}

#[test]
fn a_check_that_errs_fails_towards_refusal_when_hardened() {
    for (result, legacy, hardened) in [
        ("deny", (true, "next", 0), (false, "cinfo", 0x86)),
        ("allow", (true, "next", 0), (true, "next", 0)),
        ("ignore", (true, "next", 0), (true, "next", 0)),
    ] {
        let mut next = cinfo_stage("true", "allow");
        next["id"] = "next".into();
        let chain = json!([
            cinfo_stage("str_eq(cert_common_name, clientid)", result),
            next
        ]);
        for (profile, expected) in [("legacy", legacy), ("hardened", hardened)] {
            let pipeline = compile(&policy(profile, chain.clone())).unwrap();
            let decision = connect(&pipeline, &Peer::new("c1", None), NOW);
            let (allow, by, code) = outcome(&decision);
            assert_eq!((allow, by.as_str(), code), expected, "{profile} {result}");
            assert_eq!(decision.steps[0].reason, Some("expression_error"));
            assert!(
                decision.steps[0]
                    .detail
                    .as_ref()
                    .unwrap()
                    .contains("cert_common_name")
            );
        }
    }
}

#[test]
fn the_grant_is_merged_into_the_client() {
    let mut config = policy("hardened", json!([jwt_stage("s")]));
    config["client_attrs_init"] = json!([
        {"expression": "clientid", "set_as_attr": "a"},
        {"expression": "'init'", "set_as_attr": "b"},
        {"expression": "client_attrs.b", "set_as_attr": "c"},
        {"expression": "user_property.site", "set_as_attr": "d"},
        {"expression": "unescape('x\\ny')", "set_as_attr": "e"},
        {"expression": "peerhost", "set_as_attr": "f"},
        {"expression": "''", "set_as_attr": "b"},
    ]);
    let pipeline = compile(&config).unwrap();
    let claims = json!({
        "client_attrs": {"a": "token"}, "clientid_override": "c9", "is_superuser": true,
        "acl": {"pub": ["x"]}, "exp": NOW + 5,
    });
    let password = token(&claims);
    let peer = Peer {
        user_properties: &[("site", "1"), ("site", "2")],
        ..Peer::new("c1", Some(&password))
    };
    let client = connect(&pipeline, &peer, NOW).client;
    let attributes: Vec<(&str, &str)> = client
        .info
        .client_attrs
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(
        attributes,
        [
            ("a", "token"),
            ("b", "init"),
            ("d", "2"),
            ("f", "127.0.0.1")
        ]
    );
    assert_eq!(&*client.info.client_id, "c9");
    assert!(client.info.is_superuser);
    assert_eq!(client.expire_at, Some(NOW + 5));
    let request = Request {
        action: Action::Subscribe,
        qos: 0,
        topic: "any",
    };
    let verdict = pipeline.authorize(&client, &request, Duration::from_secs(NOW));
    assert_eq!(
        (verdict.allow, verdict.decided_by.to_string()),
        (true, "superuser".to_owned())
    );
}

#[test]
fn client_ids_are_replaced_in_order() {
    let mut config = policy("hardened", json!([cinfo_stage("true", "allow")]));
    config["use_username_as_clientid"] = true.into();
    config["clientid_override"] = "concat('x-', clientid)".into();
    let pipeline = compile(&config).unwrap();
    let id = |username| {
        let peer = Peer {
            username,
            ..Peer::new("c1", None)
        };
        let decision = connect(&pipeline, &peer, NOW);
        (
            decision.reason_code,
            decision.client.info.client_id.to_string(),
        )
    };
    assert_eq!(id(Some("u1")), (0, "x-u1".to_owned()));
    assert_eq!(id(None), (0, "x-c1".to_owned()));
    assert_eq!(id(Some("")).0, 0x85);
    for kept in ["nosuch", "''", "unescape('a\\x0')"] {
        config["clientid_override"] = kept.into();
        let pipeline = compile(&config).unwrap();
        let decision = connect(&pipeline, &Peer::new("c1", None), NOW);
        assert_eq!(&*decision.client.info.client_id, "c1", "{kept}");
    }
}

#[test]
fn zones_have_identities_of_their_own() {
    let mut config = policy("hardened", json!([cinfo_stage("true", "allow")]));
    config["clientid_override"] = "concat('x-', clientid)".into();
    config["zones"] = json!({"named": {
        "use_username_as_clientid": true, "client_attrs_init": [], "clientid_override": null,
    }});
    let pipeline = compile(&config).unwrap();
    let id = |zone| {
        let peer = Peer {
            username: Some("u1"),
            zone,
            ..Peer::new("c1", None)
        };
        let decision = connect(&pipeline, &peer, NOW);
        decision.client.info.client_id.to_string()
    };
    assert_eq!(id("named"), "u1");
    assert_eq!(id("default"), "x-c1");
    assert_eq!(id("other"), "x-c1");
}

#[test]
fn presets_come_before_sources() {
    let mut config = policy("hardened", json!([jwt_stage("s")]));
    config["authorization"]["sources"] = json!([{
        "type": "file", "enable": true, "precondition": "str_eq(action, 'publish')",
        "path": "acl.conf", "text": "{allow, all, all, [\"f/#\"]}.",
    }]);
    let pipeline = compile(&config).unwrap();
    let ask = |acl: Value, action, topic: &str, at: u64| {
        let password = token(&json!({"acl": acl, "exp": NOW + 60}));
        let client = connect(&pipeline, &Peer::new("c1", Some(&password)), NOW).client;
        let request = Request {
            action,
            qos: 0,
            topic,
        };
        let verdict = pipeline.authorize(&client, &request, Duration::from_secs(at));
        (verdict.allow, verdict.decided_by.to_string())
    };
    let publish = Action::Publish { retain: false };
    let list = || json!([{"permission": "deny", "action": "all", "topic": "f/secret"}]);
    let is = |allow, by: &str| (allow, by.to_owned());
    assert_eq!(ask(list(), publish, "f/secret", NOW), is(false, "preset"));
    assert_eq!(ask(list(), publish, "f/x", NOW), is(true, "file[1]"));
    assert_eq!(
        ask(list(), Action::Subscribe, "f/x", NOW),
        is(false, "no_match")
    );
    assert_eq!(ask(list(), publish, "f/x", NOW + 60), is(true, "file[1]"));
    assert_eq!(ask(list(), publish, "f/x", NOW + 61), is(false, "preset"));
    assert_eq!(
        ask(json!({"pub": ["p"]}), publish, "p", NOW),
        is(true, "preset")
    );
    assert_eq!(
        ask(json!({"pub": ["p"]}), publish, "f/x", NOW),
        is(false, "preset")
    );
    assert_eq!(
        ask(list(), publish, "$delayed/5", NOW),
        is(false, "bad_topic")
    );
}

mod external {
    use super::*;

    fn suspended(chain: Value) -> Box<Suspended> {
        let pipeline = compile(&policy("hardened", chain)).unwrap();
        let peer = Peer {
            username: Some("u1"),
            ..Peer::new("c1", Some("pw"))
        };
        match progress(&pipeline, &peer, Duration::ZERO) {
            Progress::External(suspended) => suspended,
            Progress::Decided(decision) => panic!("decided: {:?}", decision.steps),
        }
        // The pipeline ends here: a suspended connect needs nothing of it.
    }

    fn decided(progress: Progress) -> Decision {
        match progress {
            Progress::Decided(decision) => decision,
            Progress::External(suspended) => panic!("suspended at {}", suspended.handle()),
        }
    }

    #[test]
    fn waits_with_everything_it_needs_and_goes_on() {
        let mut later = cinfo_stage("str_eq(password, 'pw')", "allow");
        later["id"] = "later".into();
        let chain = json!([
            cinfo_stage("false", "deny"),
            external_stage("http", 7),
            external_stage("sql", 8),
            later
        ]);
        let first = suspended(chain);
        assert_eq!(first.handle(), 7);
        assert_eq!(first.password(), Some(&b"pw"[..]));
        assert_eq!(first.client().username.as_deref(), Some("u1"));
        assert!(!format!("{first:?}").contains("pw"));
        let ignore = || ExternalVerdict::Ignore {
            reason: "user_not_found".to_owned(),
        };
        let Progress::External(second) = first.resume(ignore(), Duration::ZERO) else {
            panic!("the second external authenticator was not asked");
        };
        assert_eq!(second.handle(), 8);
        let decision = decided(second.resume(ignore(), Duration::ZERO));
        assert_eq!(outcome(&decision), (true, "later".to_owned(), 0));
        assert_eq!(decision.steps[1].reason, Some("user_not_found"));
    }

    #[test]
    fn its_verdict_is_final_or_not() {
        let chain = || json!([external_stage("http", 7)]);
        let text = |reason: &str| reason.to_owned();
        let error = ExternalVerdict::Error {
            reason: text("backend_timeout"),
        };
        let decision = decided(suspended(chain()).resume(error, Duration::ZERO));
        assert_eq!(outcome(&decision), (false, "http".to_owned(), 0x87));
        assert_eq!(decision.reason, Some("backend_timeout"));

        let deny = ExternalVerdict::Deny {
            reason_code: 0x86,
            reason: text("on holiday"),
        };
        let decision = decided(suspended(chain()).resume(deny, Duration::ZERO));
        assert_eq!(outcome(&decision), (false, "http".to_owned(), 0x86));
        assert_eq!(
            (decision.reason, decision.detail.as_deref()),
            (Some("policy"), Some("on holiday"))
        );

        let no_refusal = ExternalVerdict::Deny {
            reason_code: 0,
            reason: text("x"),
        };
        let decision = decided(suspended(chain()).resume(no_refusal, Duration::ZERO));
        assert_eq!(
            (decision.result, decision.reason_code),
            (ConnectResult::Deny, 0x87)
        );

        let grant = Grant {
            client_attrs: [("ok".into(), "1".into()), ("no way".into(), "2".into())].into(),
            acl: Some(Preset::from_json(&json!([]), None).unwrap().into()),
            ..Grant::default()
        };
        let ok = ExternalVerdict::Ok(Box::new(grant));
        let decision = decided(suspended(chain()).resume(ok, Duration::ZERO));
        assert!(decision.is_allowed());
        assert_eq!(decision.client.info.client_attrs.len(), 1);
        assert!(decision.client.preset.is_some());
    }
}

#[test]
fn keys_that_are_not_there_yet_admit_nobody() {
    let mut stage = jwt_stage("s");
    stage["key"] = json!({"kind": "jwks", "endpoint": "http://127.0.0.1/"});
    let pipeline = compile(&policy("hardened", json!([stage]))).unwrap();
    let decision = connect(&pipeline, &Peer::new("c1", Some(&token(&json!({})))), NOW);
    assert_eq!(outcome(&decision), (false, "jwt".to_owned(), 0x87));
    assert_eq!(decision.reason, Some("keys_unavailable"));
}

#[test]
fn every_fault_is_reported_with_its_path() {
    let mut bad_secret = jwt_stage("s");
    bad_secret["key"]["secret_base64"] = "%%%".into();
    bad_secret["verify_claims"] = json!([["exp", "1"]]);
    let mut empty_secret = jwt_stage("");
    empty_secret["id"] = "jwt2".into();
    let mut no_checks = cinfo_stage("true", "deny");
    no_checks["checks"] = json!([]);
    let chain = json!([
        bad_secret,
        empty_secret,
        no_checks,
        with_precondition(cinfo_stage("(", "deny"), "1 1"),
    ]);
    let mut config = policy("hardened", chain);
    config["version"] = 2.into();
    config["client_attrs_init"] = json!([{"expression": "a b", "set_as_attr": "_x"}]);
    config["clientid_override"] = "".into();
    config["zones"] = json!({"z": {
        "use_username_as_clientid": false, "clientid_override": "(",
        "client_attrs_init": [{"expression": "(", "set_as_attr": "x"}],
    }});
    config["authorization"]["sources"] = json!([{
        "type": "file", "enable": true, "precondition": null, "path": "etc/acl.conf", "text": "{allow, all}",
    }]);
    config["authentication"]["listeners"] = json!({
        "ssl:a": {"enable_authn": "true", "chain": [cinfo_stage("+", "allow")]},
    });
    let faults = compile(&config).unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "version",
            "mqtt.client_attrs_init[0].set_as_attr",
            "mqtt.client_attrs_init[0].expression",
            "mqtt.clientid_override",
            "zones.z.mqtt.client_attrs_init[0].expression",
            "zones.z.mqtt.clientid_override",
            "authentication[0].secret",
            "authentication[0].verify_claims[0]",
            "authentication[1].secret",
            "authentication[2].checks",
            "authentication[3]",
            "authentication[3].precondition",
            "authentication[3].checks[0].is_match[0]",
            "listeners.ssl.a.authentication[0].checks[0].is_match[0]",
            "authorization.sources[0].path",
        ]
    );
    assert!(
        faults.last().unwrap().problem.starts_with("etc/acl.conf:"),
        "{faults:?}"
    );
}

#[test]
fn the_format_is_strict_and_never_shows_secrets() {
    let good = policy("hardened", json!([jwt_stage("hunter2")]));
    let parsed = PolicyConfig::from_json(&good.to_string()).unwrap();
    let shown = format!("{parsed:?} {:?}", compile(&good).unwrap());
    assert!(
        shown.contains("******") && !shown.contains("aHVudGVyMg"),
        "{shown}"
    );
    for (pointer, value) in [
        ("/profile", json!("soft")),
        ("/use_username_as_clientid", json!(null)),
        ("/authentication/chain/0/enable", json!("yes")),
        ("/authentication/chain/0/mechanism", json!("scram")),
        ("/authentication/chain/0/from", json!("clientid")),
        ("/authentication/chain/0/key/kind", json!("none")),
        ("/authorization/no_match", json!("maybe")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(
            PolicyConfig::from_json(&bad.to_string()).is_err(),
            "{pointer}"
        );
    }
    for pointer in [
        "",
        "/authentication",
        "/authorization",
        "/authentication/chain/0",
        "/authentication/chain/0/key",
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(pointer).unwrap()["more"] = 1.into();
        assert!(
            PolicyConfig::from_json(&bad.to_string()).is_err(),
            "{pointer}"
        );
    }
}

#[test]
fn an_authenticator_of_a_method_is_asked_about_that_method_alone() {
    let mut scram = external_stage("scram", 3);
    scram["auth_method"] = json!("SCRAM-SHA-256");
    let chain = json!([external_stage("scripted", 1), scram]);
    let pipeline = compile(&policy("hardened", chain)).unwrap();
    for (method, handle) in [(None, 1), (Some("SCRAM-SHA-256"), 3)] {
        let peer = Peer {
            auth_method: method,
            ..Peer::new("c1", None)
        };
        match progress(&pipeline, &peer, Duration::from_secs(NOW)) {
            Progress::External(suspended) => assert_eq!(suspended.handle(), handle),
            Progress::Decided(decision) => panic!("{decision:?}"),
        }
    }
    let peer = Peer {
        auth_method: Some("scram-sha-256"),
        ..Peer::new("c1", None)
    };
    let decision = connect(&pipeline, &peer, NOW);
    assert_eq!(outcome(&decision), (false, "no_match".to_owned(), 0x8C));
}
