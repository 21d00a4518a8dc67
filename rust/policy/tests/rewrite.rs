//! Topic rewriting: which rule counts, what it makes of a topic, and what does not compile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{Peer, compile, connect, policy};
use vallum_policy::{client::ClientInfo, pipeline::Pipeline};

fn rule(action: &str, source: &str, re: &str, destination: &str) -> Value {
    json!({"action": action, "source_topic": source, "re": re, "dest_topic": destination})
}

fn with(profile: &str, rules: &[Value]) -> Value {
    let mut policy = policy(profile, json!([]));
    policy["rewrite"] = json!(rules);
    policy
}

fn pipeline(rules: &[Value]) -> Pipeline {
    compile(&with("hardened", rules)).unwrap()
}

fn client(client_id: &str, username: Option<&str>) -> ClientInfo {
    let pipeline = compile(&policy("legacy", json!([]))).unwrap();
    let peer = Peer {
        username,
        ..Peer::new(client_id, None)
    };
    connect(&pipeline, &peer, 1_800_000_000).client.info
}

fn published(pipeline: &Pipeline, topic: &str) -> Option<String> {
    pipeline.rewrite_publish(&client("c1", Some("u")), topic)
}

#[test]
fn groups_of_the_expression_and_the_client() {
    let pipeline = pipeline(&[
        rule("all", "x/#", "^x/y/(.+)$", "x/y/z/$1"),
        rule(
            "publish",
            "two/#",
            "^two/([^/]+)/([^/]+)$",
            "$2-$1/$2$$/$10",
        ),
        rule("all", "me/#", "^me/(.*)$", "c/${clientid}/${username}/$1"),
    ]);
    assert_eq!(
        published(&pipeline, "x/y/1/2").as_deref(),
        Some("x/y/z/1/2")
    );
    assert_eq!(published(&pipeline, "x/1").as_deref(), None);
    assert_eq!(published(&pipeline, "z").as_deref(), None);
    assert_eq!(
        published(&pipeline, "two/a/b").as_deref(),
        Some("b-a/b$$/a0")
    );
    assert_eq!(published(&pipeline, "me/t").as_deref(), Some("c/c1/u/t"));
}

#[test]
fn the_last_rule_whose_source_matches_counts() {
    let rules = [
        rule("all", "y/+/z/#", "^y/(.+)/z/(.+)$", "y/z/$2"),
        rule("all", "x/#", "^x/y/(.+)$", "z/y/x/$1"),
        rule("all", "x/y/+", "^x/y/(\\d+)$", "z/y/$1"),
    ];
    let pipeline = pipeline(&rules);
    // Its expression is not found: the topic stays, though an earlier rule would have fitted.
    assert_eq!(published(&pipeline, "x/y/z"), None);
    assert_eq!(published(&pipeline, "x/y/2").as_deref(), Some("z/y/2"));
    assert_eq!(
        published(&pipeline, "x/y/a/b").as_deref(),
        Some("z/y/x/a/b")
    );
    assert_eq!(published(&pipeline, "y/a/z/b").as_deref(), Some("y/z/b"));
}

#[test]
fn actions_and_prefixes() {
    let pipeline = pipeline(&[
        rule("publish", "p/#", "^p/(.+)$", "published/$1"),
        rule("subscribe", "s/#", "^s/(.+)$", "subscribed/$1"),
    ]);
    let me = client("c1", None);
    let subscribed = |filter: &str| pipeline.rewrite_subscribe(&me, filter);
    assert_eq!(published(&pipeline, "p/1").as_deref(), Some("published/1"));
    assert_eq!(published(&pipeline, "s/1"), None);
    assert_eq!(subscribed("p/1"), None);
    for (asked, given) in [
        ("s/+/#", "subscribed/+/#"),
        ("$share/g/s/1", "$share/g/subscribed/1"),
        ("$queue/s/1", "$queue/subscribed/1"),
        ("$exclusive/s/1", "$exclusive/subscribed/1"),
    ] {
        assert_eq!(subscribed(asked).as_deref(), Some(given), "{asked}");
    }
    assert_eq!(subscribed("s/#/1"), None); // not a filter
    assert!(pipeline.rewrites_publish() && pipeline.rewrites_subscribe());
    let none = self::pipeline(&[]);
    assert!(!none.rewrites_publish() && !none.rewrites_subscribe());
}

#[test]
fn values_are_not_looked_at_again_and_add_no_level() {
    let rules = [rule("all", "t/#", "^t/(.+)$", "${clientid}/${username}/$1")];
    let hardened = pipeline(&rules);
    let rewrite = |pipeline: &Pipeline, id: &str, user: Option<&str>| {
        pipeline.rewrite_publish(&client(id, user), "t/1")
    };
    assert_eq!(
        rewrite(&hardened, "$1", Some("${clientid}")).as_deref(),
        Some("$1/${clientid}/1")
    );
    for (id, user) in [("a/b", "u"), ("c", "#"), ("+", "u")] {
        assert_eq!(rewrite(&hardened, id, Some(user)), None, "{id} {user}");
    }
    assert_eq!(rewrite(&hardened, "c", None), None);
    let mut allowing = with("hardened", &rules);
    allowing["authorization"]["topic_template_allow"]["slash"] = json!(true);
    let allowing = compile(&allowing).unwrap();
    assert_eq!(
        rewrite(&allowing, "a/b", Some("u")).as_deref(),
        Some("a/b/u/1")
    );
    let legacy = compile(&with("legacy", &rules)).unwrap();
    assert_eq!(
        rewrite(&legacy, "a/b", None).as_deref(),
        Some("a/b/${username}/1")
    );
}

#[test]
fn faults_name_the_rule() {
    let faults = compile(&with(
        "hardened",
        &[
            rule("all", "x/#/y", "(", "a"),
            rule("publish", "x", "x", "a/+"),
            rule("subscribe", "x", "x", "a/#/b"),
            rule("all", "x", "(x)", "$2"),
            rule("all", "x", "x", "${peerhost}"),
            rule("subscribe", "x/+", "x", "a/#"),
        ],
    ))
    .unwrap_err();
    let mut paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "rewrite[0].re",
            "rewrite[0].source_topic",
            "rewrite[1].dest_topic",
            "rewrite[2].dest_topic",
            "rewrite[3].dest_topic",
            "rewrite[4].dest_topic",
        ]
    );
}
