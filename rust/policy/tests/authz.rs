//! The authorization cases (`tests/data/authz.json`) in both profiles, and what must hold for any
//! rules and any request.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use vallum_mqtt::topic::matches;
use vallum_policy::{
    acl::{
        Action, Expiry, Outcome, Preset, Request, RuleSet, RuleSource, RuleVerdict, Settings,
        Stage, TemplateAllow, decide_staged,
    },
    client::ClientInfo,
    profile::Profile,
};

/// The moment at which presets are asked.
const NOW: i64 = 1_700_000_000;

#[derive(Deserialize)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    acl_conf: Option<String>,
    preset: Option<PresetCase>,
    client: ClientCase,
    action: ActionCase,
    topic: String,
    stage: Option<String>,
    profile: Option<Profile>,
    #[serde(default)]
    ignore_backend_failures: bool,
    topic_template_allow: Option<AllowCase>,
    expect: String,
    expect_strict: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct PresetCase {
    rules: Value,
    expire_offset: Option<i64>,
}

#[derive(Deserialize)]
struct ClientCase {
    clientid: String,
    username: Option<String>,
    peerhost: Option<String>,
    zone: String,
    listener: String,
    client_attrs: std::collections::BTreeMap<String, String>,
    cert_common_name: Option<String>,
    #[serde(default)]
    is_superuser: bool,
}

#[derive(Deserialize)]
struct ActionCase {
    r#type: String,
    qos: u8,
    #[serde(default)]
    retain: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct AllowCase {
    plus: bool,
    hash: bool,
    slash: bool,
}

/// Cases that hardened answers otherwise than the reference does in legacy, and why
/// (`spec/authorization.md` sections 7 and 13).
const HARDENED_DIFFERENCES: &[(&str, &str, &[&str])] = &[
    (
        "the rule is for the legacy profile only",
        "nomatch",
        &[
            "default-legacy: publish anything",
            "default: publish to $SYS is not covered by the deny",
        ],
    ),
    (
        "a deny of some of the names asked for denies the filter",
        "deny",
        &["sub a/# vs deny a/b then allow all: passes"],
    ),
    (
        "a filter is allowed only as a subset",
        "nomatch",
        &["sub a/# vs rule a/+: the # is taken for one level"],
    ),
    (
        "a placeholder without a value denies",
        "deny",
        &[
            "placeholder missing attr is not an empty string",
            "placeholder missing attr: next filter of the rule still tried (legacy)",
            "placeholder absent cert_common_name (no TLS)",
        ],
    ),
    (
        "a value that adds a level or a wildcard denies",
        "deny",
        &[
            "placeholder value with + is refused",
            "placeholder value with # is refused",
            "placeholder value with / is refused",
        ],
    ),
];

fn table() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/authz.json");
    let table: Table = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    table.cases
}

fn client(case: &ClientCase) -> ClientInfo {
    let text = |text: &Option<String>| text.as_deref().map(Into::into);
    ClientInfo {
        client_id: case.clientid.as_str().into(),
        username: text(&case.username),
        peer_host: case.peerhost.as_deref().map(|peer| peer.parse().unwrap()),
        zone: case.zone.as_str().into(),
        listener: case.listener.as_str().into(),
        cert_common_name: text(&case.cert_common_name),
        client_attrs: case
            .client_attrs
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
        is_superuser: case.is_superuser,
    }
}

/// `allow`, `deny`, `nomatch`, or the reason of a rejection behind `error:`.
fn run(case: &Case, profile: Profile) -> String {
    let allow = case.topic_template_allow.unwrap_or_default();
    let settings = Settings {
        profile,
        ignore_backend_failures: case.ignore_backend_failures,
        template_allow: TemplateAllow {
            plus: allow.plus,
            hash: allow.hash,
            slash: allow.slash,
        },
    };
    let request = Request {
        action: match case.action.r#type.as_str() {
            "publish" => Action::Publish {
                retain: case.action.retain,
            },
            "subscribe" => Action::Subscribe,
            other => panic!("{other}"),
        },
        qos: case.action.qos,
        topic: &case.topic,
    };
    let stage = match case.stage.as_deref() {
        None => Stage::Rule,
        Some("packet") => Stage::Packet,
        Some("pipeline") => Stage::Pipeline,
        Some(other) => panic!("{other}"),
    };
    let client = client(&case.client);
    let outcome = |source| {
        decide_staged(source, stage, &settings, &client, &request)
            .name()
            .into()
    };
    match (&case.acl_conf, &case.preset) {
        (Some(text), None) => match RuleSet::parse(text) {
            Ok(rules) => outcome(RuleSource::Rules(&rules)),
            Err(error) => format!("error:{}", error.reason.name()),
        },
        (None, Some(preset)) => {
            let expire_at = preset.expire_offset.map(|offset| Expiry::At(NOW + offset));
            match Preset::from_json(&preset.rules, expire_at) {
                Ok(preset) => outcome(RuleSource::Preset(&preset, NOW)),
                Err(error) => format!("error:{}", error.reason()),
            }
        }
        _ => panic!("{}: neither rules nor preset", case.name),
    }
}

fn expected(case: &Case) -> String {
    match &case.error {
        Some(reason) => format!("error:{reason}"),
        None => case.expect.clone(),
    }
}

#[test]
fn cases_in_their_own_profile() {
    let cases = table();
    assert_eq!(cases.len(), 180);
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let profile = case.profile.unwrap_or(Profile::Legacy);
            let (got, wanted) = (run(case, profile), expected(case));
            (got != wanted).then(|| format!("{}: {got}, not {wanted}", case.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn cases_in_hardened() {
    let cases = table();
    for (_, _, names) in HARDENED_DIFFERENCES {
        for name in *names {
            assert!(
                cases.iter().any(|case| case.name == *name),
                "no case {name}"
            );
        }
    }
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let difference = HARDENED_DIFFERENCES
                .iter()
                .find(|(_, _, names)| names.contains(&&*case.name));
            let wanted =
                difference.map_or_else(|| expected(case), |(_, result, _)| (*result).into());
            let got = run(case, Profile::Hardened);
            if let Some(strict) = &case.expect_strict {
                assert_eq!(*strict, wanted, "{}", case.name);
            }
            (got != wanted).then(|| format!("{}: {got}, not {wanted}", case.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn hardened_never_allows_more_than_legacy() {
    for case in table() {
        if run(&case, Profile::Hardened) == "allow" {
            assert_eq!(run(&case, Profile::Legacy), "allow", "{}", case.name);
        }
    }
}

fn plain_client() -> ClientInfo {
    ClientInfo {
        client_id: Arc::from("c1"),
        username: Some("a".into()),
        peer_host: Some("127.0.0.1".parse().unwrap()),
        zone: Arc::from("default"),
        listener: Arc::from("tcp:default"),
        cert_common_name: None,
        client_attrs: [("role".into(), "b".into())].into(),
        is_superuser: false,
    }
}

fn decide(text: &str, profile: Profile, action: Action, topic: &str) -> RuleVerdict {
    let settings = Settings {
        profile,
        ..Settings::default()
    };
    let request = Request {
        action,
        qos: 0,
        topic,
    };
    RuleSet::parse(text)
        .unwrap()
        .decide(&settings, &plain_client(), &request)
}

fn level() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]",
        1 => Just(String::new()),
        1 => Just("$s".to_owned()),
        1 => Just("c1".to_owned()),
    ]
}

fn filter() -> impl Strategy<Value = String> {
    let words = prop::collection::vec(prop_oneof![3 => level(), 2 => Just("+".to_owned())], 1..4);
    (words, any::<bool>()).prop_map(|(mut words, rest)| {
        if rest {
            "#".clone_into(words.last_mut().unwrap());
        }
        words.join("/")
    })
}

/// A Topic Name has at least one character [MQTT-4.7.3-1].
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(level(), 1..4).prop_map(|levels| match levels.join("/") {
        empty if empty.is_empty() => "/".to_owned(),
        name => name,
    })
}

fn rule_topic() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => filter().prop_map(|filter| format!("{filter:?}")),
        // Names only: a rule that allows `{eq, "+"}` allows just that filter, none of its names.
        1 => name().prop_map(|name| format!("{{eq, {name:?}}}")),
        1 => Just("\"${clientid}/#\"".to_owned()),
        1 => Just("\"+/${username}\"".to_owned()),
    ]
}

fn rules() -> impl Strategy<Value = String> {
    let permission = prop_oneof![Just("allow"), Just("deny")];
    let action = prop_oneof![3 => Just("subscribe"), 1 => Just("all"), 1 => Just("publish")];
    let topics = prop::collection::vec(rule_topic(), 0..3);
    let rule = (permission, action, topics).prop_map(|(permission, action, topics)| {
        format!(
            "{{{permission}, all, {action}, [{}]}}.\n",
            topics.join(", ")
        )
    });
    prop::collection::vec(rule, 0..6).prop_map(|rules| rules.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// What a client may subscribe to with wildcards it may subscribe to name by name: no filter
    /// walks round a deny, none reaches beyond an allow.
    #[test]
    fn an_allowed_filter_delivers_only_allowed_names(
        rules in rules(), filter in filter(), names in prop::collection::vec(name(), 20),
    ) {
        let verdict = |asked: &str| decide(&rules, Profile::Hardened, Action::Subscribe, asked);
        if matches!(verdict(&filter), RuleVerdict::Allow { .. }) {
            for name in names.iter().filter(|name| matches(&filter, name)) {
                let verdict = verdict(name);
                prop_assert!(matches!(verdict, RuleVerdict::Allow { .. }), "{name}: {verdict:?}");
            }
        }
    }

    /// The profiles only differ on subscriptions, as long as every value is there.
    #[test]
    fn profiles_agree_on_names(rules in rules(), name in name()) {
        for action in [Action::Publish { retain: false }, Action::Subscribe] {
            prop_assert_eq!(
                decide(&rules, Profile::Hardened, action, &name),
                decide(&rules, Profile::Legacy, action, &name)
            );
        }
    }

    /// Whatever the values are, a topic with one reaches one level and no other client's.
    #[test]
    fn a_value_stays_in_its_level(value in ".{0,12}", name in "t/[a-c/]{0,6}/x") {
        let rules = RuleSet::parse("{allow, all, publish, [\"t/${username}/x\"]}.").unwrap();
        let client = ClientInfo { username: Some(value.clone().into()), ..plain_client() };
        let request = Request { action: Action::Publish { retain: false }, qos: 0, topic: &name };
        for profile in [Profile::Hardened, Profile::Legacy] {
            let settings = Settings { profile, ..Settings::default() };
            if let RuleVerdict::Allow { .. } = rules.decide(&settings, &client, &request) {
                prop_assert_eq!(&name, &format!("t/{value}/x"));
                prop_assert!(!value.contains(['+', '#', '/']));
            }
        }
    }

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = RuleSet::parse(&text);
    }

    #[test]
    fn any_bytes_are_answered(bytes in any::<Vec<u8>>()) {
        let _ = RuleSet::parse_bytes(&bytes);
    }

    /// Text made of the words of the language gets further than random text.
    #[test]
    fn any_words_are_answered(words in prop::collection::vec(word(), 0..40)) {
        let text = words.concat();
        if let Ok(rules) = RuleSet::parse(&text) {
            for profile in [Profile::Hardened, Profile::Legacy] {
                let settings = Settings { profile, ..Settings::default() };
                for topic in ["", "a/b", "#", "$SYS/+", "a+/#/"] {
                    let request = Request { action: Action::Subscribe, qos: 9, topic };
                    let _ = rules.decide(&settings, &plain_client(), &request);
                }
            }
        }
    }

    #[test]
    fn any_claim_is_answered(claim in claim(), topic in any::<String>()) {
        if let Ok(preset) = Preset::from_json(&claim, Expiry::from_json(Some(&claim))) {
            let request = Request { action: Action::Subscribe, qos: 0, topic: &topic };
            for profile in [Profile::Hardened, Profile::Legacy] {
                let settings = Settings { profile, ..Settings::default() };
                let source = RuleSource::Preset(&preset, NOW);
                let outcome =
                    decide_staged(source, Stage::Packet, &settings, &plain_client(), &request);
                prop_assert!(["allow", "deny", "nomatch"].contains(&outcome.name()));
            }
            prop_assert_eq!(preset.raw(), &claim);
        }
    }

    #[test]
    fn any_topic_is_unwrapped(topic in "(\\$share/|\\$queue/|\\$delayed/|\\$exclusive/|[a$/+#0-9é]){0,8}") {
        let rules = RuleSet::parse("{allow, all}.").unwrap();
        for action in [Action::Publish { retain: true }, Action::Subscribe] {
            let request = Request { action, qos: 0, topic: &topic };
            let outcome = decide_staged(
                RuleSource::Rules(&rules), Stage::Pipeline, &Settings::default(), &plain_client(), &request,
            );
            prop_assert_ne!(outcome, Outcome::NoMatch);
        }
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ".",
        ".\n",
        " ",
        "\n",
        "%",
        "allow",
        "deny",
        "all",
        "publish",
        "subscribe",
        "user",
        "client_attr",
        "ipaddr",
        "ipaddrs",
        "'and'",
        "'or'",
        "eq",
        "re",
        "qos",
        "retain",
        "\"a/${clientid}\"",
        "\"#\"",
        "\"10.0.0.0/8\"",
        "\"",
        "'",
        "<<",
        ">>",
        "/utf8",
        "$a",
        "\\x{",
        "-",
        "1",
        "99999999999999999999",
        "{allow, all}.\n",
        "{allow, all, publish, [",
        "é",
        "“",
        "All",
        "\u{feff}",
        "\r\n",
        "{{{{{{{{{{{{{{{{",
        "[[[[[[[[[[[[[[[[[",
    ])
}

fn claim() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "allow",
            "deny",
            "pub",
            "sub",
            "all",
            "a/#",
            "0,1",
            "10.0.0.0/8"
        ])
        .prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "pub",
        "sub",
        "all",
        "permission",
        "action",
        "topic",
        "topics",
        "qos",
        "retain",
        "ipaddr",
        "username_re",
        "zone",
        "x",
    ]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..6).prop_map(|map| {
                Value::Object(
                    map.into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}
