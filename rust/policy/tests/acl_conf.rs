//! The text of an `acl.conf`: what is rejected and where, what is noted, what is understood.

#![allow(clippy::unwrap_used, reason = "tests")]

mod acl_support;

use acl_support::{PUBLISH, ask};
use vallum_policy::{
    acl::{MAX_FILE_BYTES, Reason, RuleSet, RuleVerdict},
    profile::Profile,
};

/// Behind `#` the reason; then lines of place, text with `\n` for line ends, part of the advice.
const REJECTED: &str = r#"
# bad_acl_file_content
1:13 | {allow, all} | write "." behind
2:1 | {allow, all}\n{deny, all}. | line 1 is not closed
1:13 | {allow, all}.{deny, all}. | write a blank
3:13 | \n\n{allow, all publish}. | expected "," or "}", found publish
1:9 | {allow, All}. | write all
1:16 | {allow, {user, Bob}, all, all}. | write "Bob"
1:10 | {allow, {and, []}, all, all}. | write 'and'
1:16 | {allow, {user, “bob”}, all, all}. | typographic quote
1:16 | {allow, {user, ‘bob’}, all, all}. | typographic quote
1:16 | {allow, {user, "bob}, all, all}. | not closed
1:25 | {allow, all, all, ["a", ]}. | a "," too many
1:20 | {allow, all, all, [#]}. | write topics as
1:23 | {allow, all, all, ["a"}. | expected "," or "]"
1:24 | {allow, all, all, ["a"]. {deny, all}. | found "."
1:9 | {allow, .\n}. | missing
1:16 | {allow, {user, 1.5}, all, all}. | whole decimal
1:18 | {allow, {user, <<"é">>}, all, all}. | /utf8
1:14 | {allow, all} = x. | no meaning
1:17 | {allow, {user, "\x{110000}"}, all, all}. | \x41
# invalid_authorization_rule
1:1 | allow. | expected a rule
1:1 | [{allow, all}]. | expected a rule
1:1 | {permit, all}. | two parts
1:1 | {"allow", all}. | two parts
1:1 | {allow, all, publish}. | this one has 3
1:16 | {allow, {user, 5}, all, all}. | double quotes
1:18 | {allow, {ipaddr, "localhost"}, all, all}. | no IP address
1:18 | {allow, {ipaddr, <<"::1">>}, all, all}. | double quotes
1:19 | {allow, {ipaddrs, "::1"}, all, all}. | list of addresses
1:19 | {allow, all, all, "a/#"}. | write ["a/#"]
1:20 | {allow, all, all, [all]}. | write all without
1:20 | {allow, all, all, [t]}. | in double quotes: "t"
# invalid_authorization_permission
1:2 | {permit, all, all, all}. | allow or deny
# invalid_authorization_action
1:14 | {allow, all, write, all}. | expected publish
1:24 | {allow, all, {publish, 1}, all}. | list of options
# invalid_authorization_qos
1:31 | {allow, all, {publish, [{qos, all}]}, all}. | 0, 1, 2
1:25 | {allow, all, {publish, [qos]}, all}. | 0, 1, 2
1:35 | {allow, all, {publish, [{qos, [0, 99999999999999999999]}]}, all}. |
# invalid_authorization_retain
1:34 | {allow, all, {publish, [{retain, 1}]}, all}. | true, false or all
# invalid_client_match_condition
1:9 | {allow, {'not', all}, all, all}. | there is no 'not'
1:9 | {allow, {user}, all, all}. | expected all
1:17 | {allow, {'and', all}, all, all}. | list of conditions
1:28 | {allow, {security_profile, x}, all, all}. | legacy or hardened
# invalid_re_pattern
1:21 | {allow, {user, {re, "("}}, all, all}. | username
"#;

/// Lines of place, kind, text with `\n` for line ends.
const NOTED: &str = r#"
1:20 auth_template_invalid {allow, all, all, ["${peerhost}"]}.
1:20 auth_template_invalid {allow, all, all, ["${ clientid }"]}.
1:20 auth_template_invalid {allow, all, all, ["${client_attrs}"]}.
1:20 auth_template_invalid {allow, all, all, ["${client_attrs.x.y}"]}.
1:20 auth_template_invalid {allow, all, all, ["a/%c"]}.
1:23 odd_escape {allow, {user, {re, "^\d+$"}}, all, all}.
1:22 odd_escape {allow, {user, {re, "\w"}}, all, all}.
1:20 misplaced_wildcard {allow, all, all, ["a/#/b"]}.
1:20 misplaced_wildcard {allow, all, all, ["a+"]}.
1:20 misplaced_wildcard {allow, all, all, ["${clientid}+"]}.
1:20 prefix_never_matches {allow, all, all, ["$share/g/a"]}.
1:27 option_ignored {allow, all, {subscribe, [{retain, true}]}, all}.
1:21 option_ignored {allow, all, {all, [{ttl, 1}]}, all}.
2:1 unreachable_rule {allow, all}.\n{deny, {user, x}, all, all}.
"#;

fn allows(text: &str, topic: &str) -> bool {
    matches!(
        ask(text, Profile::Hardened, PUBLISH, topic),
        RuleVerdict::Allow { .. }
    )
}

#[test]
fn rejects_with_place_and_advice() {
    let mut reason = "";
    for row in REJECTED.trim().lines() {
        if let Some(name) = row.strip_prefix("# ") {
            reason = name;
            continue;
        }
        let mut cells = row.split(" | ");
        let mut cell = || cells.next().unwrap_or_default();
        let (place, text, advice) = (cell(), cell().replace("\\n", "\n"), cell());
        let error = RuleSet::parse(&text).unwrap_err();
        assert_eq!(
            format!("{}:{}", error.line, error.column),
            place,
            "{row}: {error}"
        );
        assert_eq!(error.reason.name(), reason, "{row}: {error}");
        assert!(error.problem.contains(advice), "{row}: {error}");
        let place = format!("line {}, column {}: ", error.line, error.column);
        assert!(error.to_string().starts_with(&place));
    }
}

#[test]
fn notes_what_is_probably_not_meant() {
    for row in NOTED.trim().lines() {
        let mut cells = row.splitn(3, ' ');
        let mut cell = || cells.next().unwrap();
        let (place, kind, text) = (cell(), cell(), cell().replace("\\n", "\n"));
        let rules = RuleSet::parse(&text).unwrap();
        let show =
            |w: &vallum_policy::acl::Warning| format!("{}:{} {}", w.line, w.column, w.kind.name());
        let found: Vec<_> = rules.warnings().iter().map(show).collect();
        assert_eq!(found, [format!("{place} {kind}")], "{text}");
    }
    let clean =
        r##"{allow, {user, {re, "^\\d+$"}}, all, ["a/+/#", "${clientid}/${$}", {eq, "#"}]}."##;
    assert!(RuleSet::parse(clean).unwrap().warnings().is_empty());
}

#[test]
fn bounds_nesting_and_size() {
    let nested = |n: usize| {
        format!(
            "{{allow, {}all{}, all, all}}.",
            "{'or', [".repeat(n),
            "]}".repeat(n)
        )
    };
    assert!(RuleSet::parse(&nested(30)).is_ok());
    let error = RuleSet::parse(&nested(100_000)).unwrap_err();
    assert!(error.problem.contains("nested deeper"), "{error}");
    let error = RuleSet::parse(&" ".repeat(MAX_FILE_BYTES + 1)).unwrap_err();
    assert_eq!(error.reason, Reason::Unreadable);
}

#[test]
fn reads_every_encoding_meant() {
    for text in [
        "",
        "\u{feff}",
        "%",
        "%% nothing",
        " \r\n\t",
        "\u{feff}% x\r\n",
    ] {
        assert!(RuleSet::parse(text).unwrap().is_empty(), "{text:?}");
        assert!(RuleSet::parse_bytes(text.as_bytes()).unwrap().is_empty());
    }
    assert!(allows("\u{feff}{allow, all, all,\r\n  [\"t\"]}.\r\n", "t"));

    let latin1 = b"%% -*- coding: latin-1 -*-\n{allow, all, all, [\"\xe9\"]}.";
    let rules = RuleSet::parse_bytes(latin1).unwrap();
    assert_eq!(
        rules.rule(0).unwrap().source(),
        "{allow, all, all, [\"é\"]}"
    );

    let error = RuleSet::parse_bytes(b"{allow, all}.\n%% \xc3\xa9\xff").unwrap_err();
    assert_eq!(
        (error.line, error.column, error.reason),
        (2, 5, Reason::Unreadable)
    );
}

#[test]
fn understands_every_spelling() {
    for topic in [
        r#""t/a""#,
        r#""t" "/a""#,
        "[$t, $/, 97]",
        r#"<<"t/a">>"#,
        r#"<<"t/", "a"/utf8>>"#,
        r#"<<116, 47, "a">>"#,
        r#""\x74/\141""#,
        r#""\x{74}/a""#,
        "{eq, 't/a'}",
        r#""eq t/a""#,
    ] {
        assert!(
            allows(&format!("{{allow, all, all, [{topic}]}}."), "t/a"),
            "{topic}"
        );
    }
    assert!(allows(
        "{allow, {clientid, c1}, {publish, [{qos, +0}]}, [\"t\"]}.",
        "t"
    ));
    assert!(allows(
        "{allow, {zone, [$d, $e, $f, $a, $u, $l, $t]}, all, all}.",
        "t"
    ));
    assert!(allows("{allow, all, {publish, \"\"}, all}.", "t"));
    assert!(!allows("{allow, all, {publish, [{qos, []}]}, all}.", "t"));
    assert!(!allows("{allow, all, all, \"\"}.", "t"));
    assert!(!allows("{allow, all, {publish, [retain]}, all}.", "t"));
    assert!(allows(
        "{allow, all, {publish, [{retain, false}, {retain, true}]}, all}.",
        "t"
    ));
    assert!(!allows("{allow, {'or', []}, all, all}.", "t"));
    assert!(allows("{allow, {'and', []}, all, all}.", "t"));
    assert!(allows("{allow, {security_profile, hardened}}.", "t"));
}

#[test]
fn remembers_where_rules_stand() {
    let rules = RuleSet::parse("% one\n{deny, {user, x},\n all, all}.\n {allow, all} .").unwrap();
    assert_eq!(rules.len(), 2);
    assert_eq!(rules.rule(0).unwrap().line(), 2);
    assert_eq!(
        rules.rule(0).unwrap().source(),
        "{deny, {user, x},\n all, all}"
    );
    assert_eq!(rules.rule(1).unwrap().to_string(), "{allow, all}");
    assert_eq!(rules.rule(2), None);
}
