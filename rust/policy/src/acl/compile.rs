//! Terms to rules (`spec/authorization.md` section 5).

use super::{
    cidr::Cidr,
    condition::{Condition, TextMatch},
    error::{AclError, Reason, Warning, WarningKind},
    rule::{ActionMatch, Permission, QosSet, Rule},
    terms::{Kind, Sentence, Term},
    topic::{TopicPattern, Topics},
};
use crate::{profile::Profile, regex::Regex};

const FORMS: &str = "{allow, CLIENTS, ACTION, TOPICS}, {deny, CLIENTS, ACTION, TOPICS}, {allow, all} \
                     or {deny, all}";

/// Compiles one term of the file.
pub(super) fn rule(sentence: &Sentence<'_>, warnings: &mut Vec<Warning>) -> Result<Rule, AclError> {
    let term = &sentence.term;
    let finish = |permission, condition, action, topics| Rule {
        permission,
        action,
        condition,
        topics,
        line: term.at.line,
        source: sentence.source.into(),
    };
    match term.tuple() {
        Some([permission_term, clients]) => {
            let parts = permission(permission_term).zip(short_condition(clients));
            let (permission, condition) = parts.ok_or_else(|| {
                term.at.error(Reason::Rule, format!("a rule of two parts is {{allow, all}} or {{deny, all}}; otherwise write {FORMS}"))
            })?;
            Ok(finish(permission, condition, ActionMatch::ALL, Topics::All))
        }
        Some([permission_term, clients, action_term, topics_term]) => {
            let permission = permission(permission_term).ok_or_else(|| {
                permission_term
                    .at
                    .error(Reason::Permission, "a rule starts with allow or deny")
            })?;
            let condition = condition(clients, warnings)?;
            let action = action(action_term, warnings)?;
            let topics = topics(topics_term, warnings)?;
            Ok(finish(permission, condition, action, topics))
        }
        Some(parts) => Err(term.at.error(
            Reason::Rule,
            format!(
                "a rule has two or four parts, this one has {}; write {FORMS}",
                parts.len()
            ),
        )),
        None => Err(term
            .at
            .error(Reason::Rule, format!("expected a rule: {FORMS}"))),
    }
}

/// Whether the rule matches every request of every client in both profiles.
pub(super) fn is_catch_all(rule: &Rule) -> bool {
    rule.condition == Condition::All
        && rule.action == ActionMatch::ALL
        && rule.topics == Topics::All
}

fn permission(term: &Term) -> Option<Permission> {
    match term.atom()? {
        "allow" => Some(Permission::Allow),
        "deny" => Some(Permission::Deny),
        _ => None,
    }
}

/// What may stand in a rule of two parts.
fn short_condition(term: &Term) -> Option<Condition> {
    if term.atom() == Some("all") {
        return Some(Condition::All);
    }
    match term.tuple()? {
        [name, profile_term] if name.atom() == Some("security_profile") => {
            profile(profile_term).map(Condition::Profile)
        }
        _ => None,
    }
}

fn profile(term: &Term) -> Option<Profile> {
    match term.atom()? {
        "legacy" => Some(Profile::Legacy),
        "hardened" => Some(Profile::Hardened),
        _ => None,
    }
}

fn condition(term: &Term, warnings: &mut Vec<Warning>) -> Result<Condition, AclError> {
    if term.atom() == Some("all") {
        return Ok(Condition::All);
    }
    let name = term
        .tuple()
        .and_then(|parts| parts.first())
        .and_then(Term::atom);
    let (Some(name), Some(parts)) = (name, term.tuple()) else {
        return Err(unknown_condition(term));
    };
    match (name, parts) {
        ("user" | "username", [_, value]) => text_match(value, "username").map(Condition::Username),
        ("client" | "clientid", [_, value]) => {
            text_match(value, "clientid").map(Condition::ClientId)
        }
        ("zone", [_, value]) => text_match(value, "zone").map(Condition::Zone),
        ("listener", [_, value]) => text_match(value, "listener").map(Condition::Listener),
        ("client_attr", [_, attribute, value]) => {
            let attribute = required_text(attribute, "the name of an attribute")?;
            let wanted = text_match(value, "client_attr")?;
            Ok(Condition::Attribute(attribute.into(), wanted))
        }
        ("ipaddr", [_, address]) => Ok(Condition::Peer([cidr(address)?].into())),
        ("ipaddrs", [_, addresses]) => {
            let addresses = addresses.list().ok_or_else(|| {
                let problem = "expected a list of addresses, such as [\"10.0.0.0/8\", \"::1\"]";
                addresses.at.error(Reason::Rule, problem)
            })?;
            addresses
                .iter()
                .map(cidr)
                .collect::<Result<_, _>>()
                .map(Condition::Peer)
        }
        ("security_profile", [_, value]) => {
            profile(value).map(Condition::Profile).ok_or_else(|| {
                value.at.error(
                    Reason::Condition,
                    "a security profile is legacy or hardened",
                )
            })
        }
        ("and", [_, list]) => conditions(list, warnings).map(Condition::And),
        ("or", [_, list]) => conditions(list, warnings).map(Condition::Or),
        _ => Err(unknown_condition(term)),
    }
}

fn unknown_condition(term: &Term) -> AclError {
    let advice = match &term.kind {
        Kind::Tuple(parts) if parts.first().and_then(Term::atom) == Some("not") => {
            "there is no 'not'; put a rule with the opposite permission in front"
        }
        _ => {
            "expected all, {user, \"NAME\"}, {client, \"ID\"}, {client_attr, \"NAME\", \"VALUE\"}, \
             {zone, \"NAME\"}, {listener, \"TYPE:NAME\"}, {ipaddr, \"ADDRESS\"}, {ipaddrs, [...]}, \
             {security_profile, NAME}, {'and', [...]} or {'or', [...]}"
        }
    };
    term.at.error(Reason::Condition, advice)
}

fn conditions(term: &Term, warnings: &mut Vec<Warning>) -> Result<Box<[Condition]>, AclError> {
    let list = term.list().ok_or_else(|| {
        term.at
            .error(Reason::Condition, "expected a list of conditions")
    })?;
    list.iter().map(|term| condition(term, warnings)).collect()
}

/// A text, or `{re, text}`.
fn text_match(term: &Term, field: &str) -> Result<TextMatch, AclError> {
    if let Some([name, pattern]) = term.tuple()
        && name.atom() == Some("re")
    {
        let text = required_text(pattern, "a regular expression")?;
        let regex = Regex::compile(&text).map_err(|error| {
            let problem = format!("the regular expression for {field} does not compile: {error}");
            pattern.at.error(Reason::Regex, problem)
        })?;
        return Ok(TextMatch::Search(Box::new(regex)));
    }
    required_text(term, "text in double quotes or {re, \"PATTERN\"}")
        .map(|text| TextMatch::Equal(text.into()))
}

fn required_text(term: &Term, what: &str) -> Result<String, AclError> {
    term.text()
        .ok_or_else(|| term.at.error(Reason::Rule, format!("expected {what}")))
}

fn cidr(term: &Term) -> Result<Cidr, AclError> {
    let text = term.string().ok_or_else(|| {
        term.at.error(
            Reason::Rule,
            "expected an address in double quotes, such as \"10.0.0.0/8\"",
        )
    })?;
    Cidr::parse(&text).map_err(|problem| term.at.error(Reason::Rule, problem))
}

fn action(term: &Term, warnings: &mut Vec<Warning>) -> Result<ActionMatch, AclError> {
    let (name, options) = match term.tuple() {
        Some([name, options]) => (name, Some(options)),
        Some(_) | None => (term, None),
    };
    let error = |term: &Term, problem: &str| term.at.error(Reason::Action, problem);
    let mut action = name.atom().and_then(ActionMatch::named).ok_or_else(|| {
        error(
            name,
            "expected publish, subscribe, all, or one of them with options: {publish, [{qos, 1}]}",
        )
    })?;
    if let Some(options) = options {
        let list = options.list().ok_or_else(|| {
            error(
                options,
                "expected a list of options, such as [{qos, [0, 1]}]",
            )
        })?;
        apply_options(&mut action, list, warnings)?;
    }
    Ok(action)
}

/// Several `qos` add up; the first `retain` counts, and only where the rule is for publishing.
fn apply_options(
    action: &mut ActionMatch,
    options: &[Term],
    warnings: &mut Vec<Warning>,
) -> Result<(), AclError> {
    let mut qos: Option<QosSet> = None;
    let mut retain_seen = false;
    for option in options {
        let (name, value) = match (option.atom(), option.tuple()) {
            (Some(name), _) => (name, None),
            (None, Some([name, value])) => (name.atom().unwrap_or_default(), Some(value)),
            _ => ("", None),
        };
        let mut ignored = |problem: &str| {
            warnings.push(option.at.warning(WarningKind::Option, problem));
        };
        match name {
            "qos" => qos = Some(add_qos(qos.unwrap_or(QosSet::NONE), option, value)?),
            "retain" if !action.publish => ignored("retain has no effect on subscribing"),
            "retain" if retain_seen => ignored("only the first retain counts"),
            "retain" => {
                retain_seen = true;
                action.retain = retain(option, value)?;
            }
            _ => ignored("unknown option; there are {qos, ...} and {retain, ...}"),
        }
    }
    if let Some(qos) = qos {
        action.qos = qos;
    }
    Ok(())
}

fn add_qos(set: QosSet, option: &Term, value: Option<&Term>) -> Result<QosSet, AclError> {
    let values = match value {
        Some(value) => value.list().unwrap_or(std::slice::from_ref(value)),
        None => std::slice::from_ref(option),
    };
    values.iter().try_fold(set, |set, value| {
        match value.kind {
            Kind::Integer(qos) => set.with(qos),
            _ => None,
        }
        .ok_or_else(|| {
            value
                .at
                .error(Reason::Qos, "expected 0, 1, 2 or a list of them")
        })
    })
}

fn retain(option: &Term, value: Option<&Term>) -> Result<Option<bool>, AclError> {
    let at = value.map_or(option.at, |value| value.at);
    // A lone `retain` is short for `{retain, true}`.
    match value.map_or(Some("true"), Term::atom) {
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some("all") => Ok(None),
        _ => Err(at.error(Reason::Retain, "retain is true, false or all")),
    }
}

fn topics(term: &Term, warnings: &mut Vec<Warning>) -> Result<Topics, AclError> {
    if term.atom() == Some("all") {
        return Ok(Topics::All);
    }
    let list = term.list().ok_or_else(|| {
        let problem = match term.string_or_binary() {
            Some(text) => format!("topics are a list: write [{text:?}]"),
            None => "expected all or a list of topics, such as [\"a/#\"]".to_owned(),
        };
        term.at.error(Reason::Rule, problem)
    })?;
    list.iter()
        .map(|term| topic(term, warnings))
        .collect::<Result<_, _>>()
        .map(Topics::Any)
}

fn topic(term: &Term, warnings: &mut Vec<Warning>) -> Result<TopicPattern, AclError> {
    if let Some([name, text]) = term.tuple()
        && name.atom() == Some("eq")
    {
        return required_text(text, "a topic").map(|text| TopicPattern::exactly(&text));
    }
    let text = term.string_or_binary().ok_or_else(|| {
        let problem = match term.atom() {
            Some("all") => "for all topics write all without [ and ]".to_owned(),
            Some(name) => format!("a topic is written in double quotes: {name:?}"),
            None => "expected a topic: \"a/#\" or {eq, \"a/#\"}".to_owned(),
        };
        term.at.error(Reason::Rule, problem)
    })?;
    Ok(TopicPattern::compile(&text, |kind, problem| {
        warnings.push(term.at.warning(kind, problem));
    }))
}
