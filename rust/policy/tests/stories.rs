//! The two user stories of the article, from its own texts to the outcomes it promises, with tokens that
//! are really signed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use serde_json::{Map, Value, json};
use support::{Peer, cinfo_stage, compile, connect, jwt_stage, policy};
use vallum_policy::{
    acl::{Action, Request},
    decision::{Decision, Stage, StepResult, Verdict},
    expr::undouble_regex_classes,
    pipeline::Pipeline,
    token::{
        Algorithm,
        mint::{SigningKey, mint},
    },
};

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "jwtpassfortest1";
const SUB: &str = "urn:test:unitid:1001010-1000010:clientid:test";
const UNIT: &str = "1001010-1000010";

fn token(claims: &Value) -> String {
    signed_with(SECRET, claims)
}

fn signed_with(secret: &str, claims: &Value) -> String {
    mint(
        Algorithm::Hs256,
        &Map::new(),
        claims,
        &SigningKey::Secret(secret.as_bytes()),
    )
    .unwrap()
}

mod story_1_the_client_id_must_be_the_tokens {
    use super::*;

    fn pipeline(profile: &str) -> Pipeline {
        let check = "str_neq(nth(4, tokens(jwt_value(password, 'sub'), ':')), clientid)";
        let mut jwt = jwt_stage(SECRET);
        if profile == "legacy" {
            jwt["on_missing_jwt"] = "ignore".into();
        }
        compile(&policy(profile, json!([cinfo_stage(check, "deny"), jwt]))).unwrap()
    }

    fn decide(profile: &str, client_id: &str, password: Option<&str>) -> Decision {
        connect(&pipeline(profile), &Peer::new(client_id, password), NOW)
    }

    /// Profile-independent outcomes: the decision, and who made it.
    fn assert_refused(decision: &Decision, by: &str, code: u8, reason: &str) {
        assert!(!decision.is_allowed(), "{:?}", decision.steps);
        assert_eq!(decision.decided_by, by);
        assert_eq!(decision.reason_code, code);
        assert_eq!(decision.reason, Some(reason));
    }

    #[test]
    fn the_right_one_gets_in_until_the_token_ends() {
        let good = token(&json!({"sub": SUB, "exp": NOW + 60}));
        for profile in ["hardened", "legacy"] {
            let decision = decide(profile, UNIT, Some(&good));
            assert!(decision.is_allowed());
            assert_eq!(decision.decided_by, "jwt");
            assert_eq!(decision.reason_code, 0);
            assert_eq!(decision.client.expire_at, Some(NOW + 60));
            let steps: Vec<(&str, StepResult)> = decision
                .steps
                .iter()
                .map(|step| (&*step.name, step.result))
                .collect();
            assert_eq!(
                steps,
                [("cinfo", StepResult::Ignore), ("jwt", StepResult::Ok)]
            );
        }
    }

    #[test]
    fn any_other_one_is_refused_by_cinfo() {
        let good = token(&json!({"sub": SUB, "exp": NOW + 60}));
        let short = token(&json!({"sub": "urn:test:unitid", "exp": NOW + 60}));
        for profile in ["hardened", "legacy"] {
            assert_refused(
                &decide(profile, "test", Some(&good)),
                "cinfo",
                0x86,
                "check_matched",
            );
            assert_refused(
                &decide(profile, UNIT, Some(&short)),
                "cinfo",
                0x86,
                "check_matched",
            );
        }
    }

    #[test]
    fn a_forged_signature_passes_cinfo_and_fails_at_jwt() {
        let forged = signed_with("guess", &json!({"sub": SUB, "exp": NOW + 60}));
        assert_refused(
            &decide("hardened", UNIT, Some(&forged)),
            "jwt",
            0x87,
            "bad_signature",
        );
        let legacy = decide("legacy", UNIT, Some(&forged));
        assert_refused(&legacy, "no_match", 0x87, "no_authenticator_accepted");
        let jwt = legacy.steps.iter().find(|step| step.name == "jwt").unwrap();
        assert_eq!(
            (jwt.result, jwt.reason),
            (StepResult::Ignore, Some("bad_signature"))
        );
    }

    #[test]
    fn an_expired_token_is_refused_by_jwt() {
        let expired = token(&json!({"sub": SUB, "exp": NOW}));
        for profile in ["hardened", "legacy"] {
            assert_refused(
                &decide(profile, UNIT, Some(&expired)),
                "jwt",
                0x86,
                "expired",
            );
        }
    }

    #[test]
    fn a_valid_token_without_sub_gets_nobody_in_when_hardened() {
        let anonymous = token(&json!({"exp": NOW + 60}));
        let decision = decide("hardened", "anybody", Some(&anonymous));
        assert_refused(&decision, "cinfo", 0x86, "expression_error");
        let detail = decision.detail.unwrap();
        assert!(
            detail.contains("tokens"),
            "{detail} does not name the function"
        );
        // The reference skips the check, and so does the profile that follows it.
        assert!(decide("legacy", "anybody", Some(&anonymous)).is_allowed());
    }

    #[test]
    fn no_token_and_no_jwt() {
        assert_refused(
            &decide("hardened", UNIT, None),
            "cinfo",
            0x86,
            "expression_error",
        );
        assert_refused(
            &decide("hardened", UNIT, Some("x")),
            "cinfo",
            0x86,
            "expression_error",
        );
        for password in [None, Some("x")] {
            let legacy = decide("legacy", UNIT, password);
            assert_refused(&legacy, "no_match", 0x87, "no_authenticator_accepted");
        }
    }
}

mod story_2_scopes_become_permissions {
    use super::*;

    const RULES: &str = r#"
        {allow, all, subscribe, ["myorg/${client_attrs.jwt_scp}/#"]}.
        {allow, all, publish, ["myorg/#"]}.
        {deny, all}. % the last rule as safety guard
    "#;

    fn pipeline(profile: &str) -> Pipeline {
        let printed = r"nth(2, regex_extract(jwt_value(password, 'scp'), '(^|\\s)(read)(\\s|$)'))";
        let meant = undouble_regex_classes(printed);
        let mut config = policy(profile, json!([jwt_stage(SECRET)]));
        config["client_attrs_init"] = json!([{"expression": meant, "set_as_attr": "jwt_scp"}]);
        config["authorization"]["sources"] = json!([{
            "type": "file", "enable": true, "precondition": null, "path": "acl.conf", "text": RULES,
        }]);
        compile(&config).unwrap()
    }

    fn client(pipeline: &Pipeline, scope: &str) -> Decision {
        let password = token(&json!({"sub": "c1", "scp": scope, "exp": NOW + 60}));
        let decision = connect(pipeline, &Peer::new("c1", Some(&password)), NOW);
        assert!(decision.is_allowed(), "{:?}", decision.steps);
        decision
    }

    fn ask(pipeline: &Pipeline, client: &Decision, action: Action, topic: &str) -> Verdict {
        let request = Request {
            action,
            qos: 0,
            topic,
        };
        let now = std::time::Duration::from_secs(NOW);
        let verdict = pipeline.authorize(&client.client, &request, now);
        let (traced, steps) = pipeline.authorize_traced(&client.client, &request, now);
        assert_eq!(verdict, traced);
        assert!(!steps.is_empty());
        verdict
    }

    const PUBLISH: Action = Action::Publish { retain: false };

    #[test]
    fn the_scope_becomes_an_attribute() {
        let pipeline = pipeline("hardened");
        for (scope, attribute) in [
            ("read", Some("read")),
            ("read openid foobar", Some("read")),
            ("openid read", Some("read")),
            ("write", None),
            ("readonly", None),
            ("", None),
        ] {
            let decision = client(&pipeline, scope);
            let attributes = &decision.client.info.client_attrs;
            assert_eq!(
                attributes.get("jwt_scp").map(AsRef::as_ref),
                attribute,
                "{scope}"
            );
            assert_eq!(decision.steps[0].stage, Stage::ClientAttrsInit);
            assert_eq!(decision.steps[0].name, "jwt_scp");
        }
    }

    #[test]
    fn with_the_scope_its_branch_may_be_subscribed() {
        for profile in ["hardened", "legacy"] {
            let pipeline = pipeline(profile);
            let reader = client(&pipeline, "read openid foobar");
            let verdict = ask(&pipeline, &reader, Action::Subscribe, "myorg/read/#");
            assert!(verdict.allow);
            assert_eq!(verdict.decided_by.to_string(), "file[1]");
            let shared = ask(
                &pipeline,
                &reader,
                Action::Subscribe,
                "$share/g/myorg/read/x",
            );
            assert!(shared.allow);
            for other in ["myorg/write/#", "myorg/#", "#"] {
                let verdict = ask(&pipeline, &reader, Action::Subscribe, other);
                assert!(!verdict.allow, "{other}");
                assert_eq!(verdict.decided_by.to_string(), "file[3]");
            }
        }
    }

    #[test]
    fn without_the_scope_it_may_not() {
        let legacy = pipeline("legacy");
        let verdict = ask(
            &legacy,
            &client(&legacy, "write"),
            Action::Subscribe,
            "myorg/read/#",
        );
        assert!(!verdict.allow);
        assert_eq!(verdict.decided_by.to_string(), "file[3]");
        // Hardened stops at the rule whose placeholder has no value.
        let hardened = pipeline("hardened");
        let verdict = ask(
            &hardened,
            &client(&hardened, "write"),
            Action::Subscribe,
            "myorg/read/#",
        );
        assert!(!verdict.allow);
        assert_eq!(verdict.decided_by.to_string(), "file[1]");
    }

    #[test]
    fn publishing_is_for_everybody_below_the_organisation() {
        for profile in ["hardened", "legacy"] {
            let pipeline = pipeline(profile);
            for scope in ["read", "write"] {
                let client = client(&pipeline, scope);
                let inside = ask(&pipeline, &client, PUBLISH, "myorg/x");
                assert!(inside.allow);
                assert_eq!(inside.decided_by.to_string(), "file[2]");
                let outside = ask(&pipeline, &client, PUBLISH, "other");
                assert!(!outside.allow);
                assert_eq!(outside.decided_by.to_string(), "file[3]");
            }
        }
    }
}
