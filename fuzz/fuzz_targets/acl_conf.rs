//! An `acl.conf` and what it decides: parsing never panics, accepted rules are read back from what they
//! show, and what hardened lets a client subscribe to holds nothing that the rules keep from it.
//!
//! Input, separated by U+0000: the file, then topic, client id, user name, common name, attribute `a`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vallum_fuzz::{clients, topics};
use vallum_policy::{
    acl::{
        Action, Permission, Request, RuleSet, RuleSource, RuleVerdict, Settings, Stage,
        decide_staged, unwrap_topic,
    },
    client::ClientInfo,
    profile::Profile,
};

/// Rules shown one after the other are the same rules.
fn check_display(rules: &RuleSet) -> RuleSet {
    let shown = |rules: &RuleSet| -> Vec<String> {
        let rules = (0..rules.len()).filter_map(|index| rules.rule(index));
        rules.map(ToString::to_string).collect()
    };
    let texts = shown(rules);
    let file: String = texts
        .iter()
        .flat_map(|text| [text.as_str(), ".\n"])
        .collect();
    let again = RuleSet::parse(&file).unwrap_or_else(|error| panic!("{error}: {texts:?}"));
    assert_eq!(shown(&again), texts);
    assert_eq!(again.warnings().len(), rules.warnings().len(), "{texts:?}");
    again
}

/// A Topic Name that `filter` matches.
fn sample(filter: &str) -> String {
    let levels = filter.split('/').map(|level| match level {
        "+" => "x",
        "#" => "x/y",
        text => text,
    });
    levels.collect::<Vec<_>>().join("/")
}

fn check_verdict(rules: &RuleSet, settings: Settings, verdict: RuleVerdict) {
    match verdict {
        RuleVerdict::Allow { rule } => {
            assert_eq!(rules.rule(rule).unwrap().permission(), Permission::Allow);
        }
        RuleVerdict::Deny { rule } => {
            assert_eq!(rules.rule(rule).unwrap().permission(), Permission::Deny);
        }
        RuleVerdict::Failed { rule, .. } => {
            assert!(rules.rule(rule).is_some());
            assert!(settings.profile == Profile::Hardened && !settings.ignore_backend_failures);
        }
        RuleVerdict::NoMatch => {}
    }
}

fn ask(rules: &RuleSet, again: &RuleSet, client: &ClientInfo, request: &Request<'_>, exact: bool) {
    for settings in clients::settings() {
        let verdict = rules.decide(&settings, client, request);
        check_verdict(rules, settings, verdict);
        assert_eq!(again.decide(&settings, client, request), verdict);
        // A filter that is allowed is a set of names that are allowed; `{eq, ..}` allows a text.
        if settings.profile == Profile::Hardened
            && request.action == Action::Subscribe
            && !exact
            && matches!(verdict, RuleVerdict::Allow { .. })
        {
            let topic = sample(request.topic);
            let one = Request {
                topic: &topic,
                ..*request
            };
            let verdict = rules.decide(&settings, client, &one);
            assert!(
                matches!(verdict, RuleVerdict::Allow { .. }),
                "{topic:?} is in {request:?}"
            );
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let parts: Vec<&[u8]> = data.splitn(6, |byte| *byte == 0).collect();
    let file = parts.first().copied().unwrap_or_default();
    if let Err(error) = RuleSet::parse_bytes(file) {
        let _ = (error.to_string(), error.reason.name());
    }
    let Ok(text) = std::str::from_utf8(file) else {
        return;
    };
    let rules = match RuleSet::parse(text) {
        Ok(rules) => rules,
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1, "{error}");
            return;
        }
    };
    let again = check_display(&rules);
    let field = |at: usize| {
        parts
            .get(at)
            .and_then(|part| std::str::from_utf8(part).ok())
    };
    let topic = field(1).unwrap_or("a/b");
    let client = clients::client(field(2).unwrap_or("c1"), field(3), field(4), field(5));
    let exact = text.contains("eq");
    for request in clients::requests(topic) {
        for stage in [Stage::Packet, Stage::Pipeline] {
            let source = RuleSource::Rules(&rules);
            let _ = decide_staged(source, stage, &Settings::default(), &client, &request);
        }
        let Ok(topic) = unwrap_topic(request.action, request.topic) else {
            continue;
        };
        let valid = match request.action {
            Action::Subscribe => topics::is_filter(topic),
            Action::Publish { .. } => topics::is_name(topic),
        };
        let request = Request { topic, ..request };
        if valid {
            ask(&rules, &again, &client, &request, exact);
        } else {
            rules.decide(&Settings::default(), &client, &request);
        }
    }
});
