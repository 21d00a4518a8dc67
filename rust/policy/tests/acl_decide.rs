//! What rules decide: where the profiles differ, presets, rows, topics of packets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod acl_support;

use acl_support::{PUBLISH, ask, client};
use serde_json::json;
use vallum_policy::{
    acl::{
        Action, Expiry, FailReason, Outcome, Preset, PresetVerdict, RawOptions, Request, RuleSet,
        RuleSource, RuleVerdict, Settings, Stage, TemplateAllow, UnwrapError, decide_staged,
        unwrap_topic,
    },
    profile::Profile,
};

#[test]
fn profiles_read_some_topics_differently() {
    for (topic, asked, hardened, legacy) in [
        ("${$}x", "$x", true, false),
        ("${$}x", "${$}x", false, true),
        ("${$}/${clientid}", "$/c1", true, true),
        (
            "${peerhost}/${client_attrs.a}/${clientid}",
            "${peerhost}/A/c1",
            true,
            false,
        ),
        (
            "${peerhost}/${client_attrs.a}/${clientid}",
            "${peerhost}/${client_attrs.a}/c1",
            false,
            true,
        ),
        (
            "${peerhost}/${client_attrs.a}",
            "${peerhost}/${client_attrs.a}",
            false,
            true,
        ),
        ("${.clientid}", "c1", true, true),
        ("u/${username}", "u/undefined", false, true),
    ] {
        let text = format!("{{allow, all, all, [\"{topic}\"]}}.");
        for (profile, expect) in [(Profile::Hardened, hardened), (Profile::Legacy, legacy)] {
            let verdict = ask(&text, profile, PUBLISH, asked);
            let allowed = matches!(verdict, RuleVerdict::Allow { .. });
            assert_eq!(allowed, expect, "{topic} {asked} {profile:?}: {verdict:?}");
        }
    }
}

#[test]
fn hardened_fails_closed() {
    let failed = |reason| RuleVerdict::Failed { rule: 0, reason };
    let missing = failed(FailReason::MissingValue);
    for (text, asked, hardened, ignoring) in [
        (
            "{allow, all, all, [\"${username}\"]}.\n{allow, all}.",
            "x",
            missing,
            1,
        ),
        (
            "{deny, all, all, [\"${cert_common_name}\"]}.\n{allow, all}.",
            "x",
            missing,
            1,
        ),
        (
            "{deny, all, all, [\"${client_attrs.x.y}\"]}.\n{allow, all}.",
            "x",
            missing,
            1,
        ),
        (
            "{allow, all, all, [\"x\", \"${username}\"]}.",
            "x",
            RuleVerdict::Allow { rule: 0 },
            0,
        ),
    ] {
        let rules = RuleSet::parse(text).unwrap();
        let request = Request {
            action: PUBLISH,
            qos: 0,
            topic: asked,
        };
        let mut settings = Settings::default();
        assert_eq!(
            rules.decide(&settings, &client(None), &request),
            hardened,
            "{text}"
        );
        assert_eq!(
            rules
                .decide(&settings, &client(Some("")), &request)
                .is_failed(),
            hardened.is_failed() && !text.contains("username")
        );
        settings.ignore_backend_failures = true;
        let verdict = rules.decide(&settings, &client(None), &request);
        assert_eq!(verdict, RuleVerdict::Allow { rule: ignoring }, "{text}");
    }
}

#[test]
fn values_with_wildcards_need_permission() {
    let rules = RuleSet::parse("{allow, all, all, [\"t/${username}\", \"x\"]}.").unwrap();
    let request = Request {
        action: PUBLISH,
        qos: 0,
        topic: "t/a/b",
    };
    let client = client(Some("a/b"));
    let mut settings = Settings::default();
    let forbidden = RuleVerdict::Failed {
        rule: 0,
        reason: FailReason::ForbiddenCharacter,
    };
    assert_eq!(rules.decide(&settings, &client, &request), forbidden);
    settings.ignore_backend_failures = true;
    assert_eq!(
        rules.decide(&settings, &client, &request),
        RuleVerdict::NoMatch
    );
    settings.template_allow = TemplateAllow {
        slash: true,
        ..TemplateAllow::default()
    };
    assert_eq!(
        rules.decide(&settings, &client, &request),
        RuleVerdict::Allow { rule: 0 }
    );
    // In legacy the whole rule falls away, its other topics too.
    let legacy = Settings {
        profile: Profile::Legacy,
        ..Settings::default()
    };
    let request = Request {
        topic: "x",
        ..request
    };
    assert_eq!(
        rules.decide(&legacy, &client, &request),
        RuleVerdict::NoMatch
    );
}

#[test]
fn a_search_given_up_does_not_open_a_door() {
    let runaway = format!("{}!", "a".repeat(40));
    let client = client(Some(&runaway));
    let request = Request {
        action: PUBLISH,
        qos: 0,
        topic: "t",
    };
    let verdict = |text: &str, profile| {
        let settings = Settings {
            profile,
            ..Settings::default()
        };
        RuleSet::parse(text)
            .unwrap()
            .decide(&settings, &client, &request)
    };
    let deny = "{deny, {user, {re, \"^(a+)+$\"}}, all, all}.";
    let failed = RuleVerdict::Failed {
        rule: 0,
        reason: FailReason::RegexLimit,
    };
    assert_eq!(verdict(deny, Profile::Hardened), failed);
    assert_eq!(verdict(deny, Profile::Legacy), RuleVerdict::NoMatch);
    let elsewhere = "{deny, {user, {re, \"^(a+)+$\"}}, all, [\"u\"]}.";
    assert_eq!(verdict(elsewhere, Profile::Hardened), RuleVerdict::NoMatch);
    let allow = "{allow, {user, {re, \"^(a+)+$\"}}, all, all}.";
    assert_eq!(verdict(allow, Profile::Hardened), RuleVerdict::NoMatch);
    let decided = "{deny, {'or', [{user, {re, \"^(a+)+$\"}}, {client, c1}]}, all, all}.";
    assert_eq!(
        verdict(decided, Profile::Hardened),
        RuleVerdict::Deny { rule: 0 }
    );
}

#[test]
fn hardened_subscriptions_are_sets() {
    let subscribe = |text: &str, asked: &str| {
        Outcome::from(ask(text, Profile::Hardened, Action::Subscribe, asked))
    };
    for (deny, asked, expect) in [
        ("\"a/b\"", "a/+", Outcome::Deny),
        ("\"a/b\"", "+/+/c", Outcome::Allow),
        ("\"a/+/c\"", "a/b/#", Outcome::Deny),
        ("{eq, \"a/b\"}", "a/#", Outcome::Deny),
        ("{eq, \"#\"}", "#", Outcome::Deny),
        ("{eq, \"#\"}", "a/#", Outcome::Allow),
        ("\"$SYS/#\"", "#", Outcome::Allow),
        ("\"$SYS/#\"", "$SYS/+", Outcome::Deny),
        ("\"t/${clientid}\"", "t/+", Outcome::Deny),
    ] {
        let text = format!("{{deny, all, subscribe, [{deny}]}}.\n{{allow, all}}.");
        assert_eq!(subscribe(&text, asked), expect, "{deny} {asked}");
    }
}

#[test]
fn presets_expire() {
    let settings = |profile| Settings {
        profile,
        ..Settings::default()
    };
    let request = Request {
        action: PUBLISH,
        qos: 0,
        topic: "a",
    };
    let at = |exp, profile, now| {
        let preset = Preset::from_json(&json!({"pub": ["a"]}), Expiry::from_json(Some(&exp)));
        preset
            .unwrap()
            .decide(&settings(profile), &client(None), &request, now)
    };
    let allow = PresetVerdict::Rules(RuleVerdict::Allow { rule: 0 });
    for (exp, now, hardened, legacy) in [
        (json!(null), 9, allow, allow),
        (json!(10), 10, allow, allow),
        (
            json!(10),
            11,
            PresetVerdict::Expired,
            PresetVerdict::Expired,
        ),
        (json!(10.9), 10, allow, PresetVerdict::Expired),
        (
            json!(10.9),
            11,
            PresetVerdict::Expired,
            PresetVerdict::Expired,
        ),
        (
            json!("10"),
            1,
            PresetVerdict::Expired,
            PresetVerdict::Expired,
        ),
        (json!(u64::MAX), 1, allow, allow),
        (json!(1e300), 1, allow, PresetVerdict::Expired),
    ] {
        assert_eq!(at(exp.clone(), Profile::Hardened, now), hardened, "{exp}");
        assert_eq!(at(exp.clone(), Profile::Legacy, now), legacy, "{exp}");
    }
}

#[test]
fn a_broken_preset_object_fails_when_asked() {
    let request = Request {
        action: PUBLISH,
        qos: 0,
        topic: "a",
    };
    for claim in [
        json!({"pub": "a"}),
        json!({"sub": [1]}),
        json!({"all": null}),
    ] {
        let preset = Preset::from_json(&claim, None).unwrap();
        let verdict = |settings: &Settings| preset.decide(settings, &client(None), &request, 0);
        let mut settings = Settings::default();
        let failed = RuleVerdict::Failed {
            rule: 0,
            reason: FailReason::MalformedPreset,
        };
        assert_eq!(verdict(&settings), PresetVerdict::Rules(failed));
        settings.profile = Profile::Legacy;
        assert_eq!(
            verdict(&settings),
            PresetVerdict::Rules(RuleVerdict::NoMatch)
        );
    }
    assert!(Preset::from_json(&json!("a"), None).is_err());
}

#[test]
fn rows_are_checked() {
    let one = |row: serde_json::Value| RuleSet::from_rows(&[row], RawOptions::default());
    for (extra, value, reason) in [
        ("qos", json!("0, 2"), "invalid_qos"),
        ("qos", json!(3), "invalid_qos"),
        ("qos", json!(""), "invalid_qos"),
        ("qos", json!(1.0), "invalid_qos"),
        ("retain", json!("yes"), "invalid_retain"),
        ("retain", json!(2), "invalid_retain"),
        ("ipaddr", json!(null), "invalid_ipaddr"),
        ("ipaddr", json!("localhost"), "invalid_ipaddr"),
        ("zone", json!(""), "invalid_zone"),
        ("zone_re", json!("("), "invalid_zone_re"),
        ("listener", json!(1), "invalid_listener"),
        ("username_re", json!(""), "invalid_username_re"),
        ("topic", json!(1), "missing_topic_or_topics"),
    ] {
        let mut row = json!({"permission": "allow", "action": "pub", "topic": "a"});
        row[extra] = value;
        assert_eq!(one(row.clone()).unwrap_err().reason, reason, "{row}");
    }
    assert_eq!(one(json!([])).unwrap_err().reason, "invalid_rule");
    let row =
        json!({"permission": "allow", "action": "sub", "topic": "a", "retain": 9, "ipaddr": null});
    assert!(one(row.clone()).is_err());
    assert!(
        RuleSet::from_rows(
            &[row],
            RawOptions {
                null_is_absent: true
            }
        )
        .is_ok()
    );
}

#[test]
fn unwraps_topics_of_packets() {
    for (topic, publish, subscribe) in [
        ("a", Ok("a"), Ok("a")),
        ("$share/g/a/#", Ok("$share/g/a/#"), Ok("a/#")),
        ("$queue/a", Ok("$queue/a"), Ok("a")),
        ("$exclusive/a", Ok("$exclusive/a"), Ok("a")),
        ("$delayed/1/$delayed/x/a", Ok("a"), Ok("a")),
        (
            "$share/g/$delayed/1/a",
            Ok("$share/g/$delayed/1/a"),
            Ok("a"),
        ),
        (
            "$delayed/1",
            Err(UnwrapError::Delayed),
            Err(UnwrapError::Delayed),
        ),
        (
            "$delayed/1/$delayed/2",
            Err(UnwrapError::Delayed),
            Err(UnwrapError::Delayed),
        ),
        ("$delayed", Ok("$delayed"), Ok("$delayed")),
    ] {
        assert_eq!(unwrap_topic(PUBLISH, topic), publish, "{topic}");
        assert_eq!(unwrap_topic(Action::Subscribe, topic), subscribe, "{topic}");
    }
    assert!(matches!(
        unwrap_topic(Action::Subscribe, "$share/g"),
        Err(UnwrapError::Filter(_))
    ));
    assert!(matches!(
        unwrap_topic(Action::Subscribe, "a#"),
        Err(UnwrapError::Filter(_))
    ));

    let rules = RuleSet::parse("{allow, all}.").unwrap();
    let request = Request {
        action: PUBLISH,
        qos: 0,
        topic: "$delayed/1",
    };
    let source = RuleSource::Rules(&rules);
    let settings = Settings::default();
    for (stage, expect) in [
        (Stage::Rule, Outcome::Allow),
        (Stage::Packet, Outcome::Deny),
        (Stage::Pipeline, Outcome::Deny),
    ] {
        assert_eq!(
            decide_staged(source, stage, &settings, &client(None), &request),
            expect
        );
    }
}
