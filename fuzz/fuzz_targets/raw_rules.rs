//! Rules from JSON: rows and presets of any shape compile or are refused, and the object form of a preset
//! allows exactly what its lists match.
//!
//! Input, separated by U+0000: JSON, then topic, client id, user name, common name, attribute `a`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use vallum_fuzz::{clients, topics};
use vallum_policy::{
    acl::{
        Action, Expiry, Outcome, Permission, Preset, PresetVerdict, RawOptions, Request, RuleSet,
        RuleSource, RuleVerdict, Settings, Stage, decide_staged,
    },
    client::ClientInfo,
    profile::Profile,
};

const NOW: i64 = 1_800_000_000;

/// Whether the lists for publishing hold the topic; `None` if the form is broken or has placeholders.
fn model(lists: &Map<String, Value>, topic: &str) -> Option<bool> {
    let mut found = false;
    for key in ["pub", "sub", "all"] {
        for listed in lists.get(key).map_or(Some(&vec![]), Value::as_array)? {
            let listed = listed.as_str().filter(|text| !text.contains("${"))?;
            let matched = match listed.strip_prefix("eq ") {
                Some(exact) => exact == topic,
                None => topics::matches(listed, topic),
            };
            found |= matched && key != "sub";
        }
    }
    Some(found)
}

fn check_preset(claim: &Value, preset: &Preset, client: &ClientInfo, request: &Request<'_>) {
    assert_eq!(preset.raw(), claim);
    for settings in clients::settings() {
        let verdict = preset.decide(&settings, client, request, NOW);
        assert_eq!(preset.decide(&settings, client, request, NOW), verdict);
        let expired = preset.is_expired(settings.profile, NOW);
        assert_eq!(verdict == PresetVerdict::Expired, expired);
        let publishes = matches!(request.action, Action::Publish { .. });
        if expired || !publishes || !topics::is_name(request.topic) {
            continue;
        }
        if let Some(allowed) = claim
            .as_object()
            .and_then(|lists| model(lists, request.topic))
        {
            let outcome = if allowed {
                Outcome::Allow
            } else {
                Outcome::Deny
            };
            assert_eq!(
                Outcome::from(verdict),
                outcome,
                "{claim} {request:?} {settings:?}"
            );
        }
    }
}

fn check_rows(rules: &RuleSet, client: &ClientInfo, request: &Request<'_>) {
    for settings in clients::settings() {
        let permission = |rule| rules.rule(rule).map(vallum_policy::acl::Rule::permission);
        match rules.decide(&settings, client, request) {
            RuleVerdict::Allow { rule } => assert_eq!(permission(rule), Some(Permission::Allow)),
            RuleVerdict::Deny { rule } => assert_eq!(permission(rule), Some(Permission::Deny)),
            RuleVerdict::Failed { rule, .. } => {
                assert!(permission(rule).is_some());
                assert!(settings.profile == Profile::Hardened && !settings.ignore_backend_failures);
            }
            RuleVerdict::NoMatch => {}
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let parts: Vec<&[u8]> = data.splitn(6, |byte| *byte == 0).collect();
    let field = |at: usize| {
        parts
            .get(at)
            .and_then(|part| std::str::from_utf8(part).ok())
    };
    let Ok(claim) = serde_json::from_slice::<Value>(parts.first().copied().unwrap_or_default())
    else {
        return;
    };
    let topic = field(1).unwrap_or("a/b");
    let client = clients::client(field(2).unwrap_or("c1"), field(3), field(4), field(5));

    let preset = Preset::from_json(&claim, Expiry::from_json(claim.get("exp")));
    assert_eq!(
        preset.is_ok(),
        match &claim {
            Value::Object(_) => true,
            Value::Array(rows) => RuleSet::from_rows(rows, RawOptions::default()).is_ok(),
            _ => false,
        }
    );
    match &preset {
        Ok(preset) => {
            for request in clients::requests(topic) {
                check_preset(&claim, preset, &client, &request);
                for stage in [Stage::Packet, Stage::Pipeline] {
                    let source = RuleSource::Preset(preset, NOW);
                    decide_staged(source, stage, &Settings::default(), &client, &request);
                }
            }
        }
        Err(error) => assert!(!error.reason().is_empty() && !error.to_string().is_empty()),
    }

    let rows = claim
        .as_array()
        .map_or(std::slice::from_ref(&claim), Vec::as_slice);
    let strict = RuleSet::from_rows(rows, RawOptions::default());
    let lenient = RuleSet::from_rows(
        rows,
        RawOptions {
            null_is_absent: true,
        },
    );
    match (&strict, &lenient) {
        (Ok(strict), Ok(lenient)) => assert_eq!(strict, lenient),
        (Ok(_), Err(error)) => panic!("{error}: refused where null is absent"),
        _ => {}
    }
    if let Ok(rules) = lenient {
        assert_eq!(rules.len(), rows.len());
        for request in clients::requests(topic) {
            check_rows(&rules, &client, &request);
        }
    }
});
