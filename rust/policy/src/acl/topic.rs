//! The last part of a rule: topics, with placeholders and without.

use std::cell::RefCell;

use vallum_mqtt::topic::{
    filter::{check_filter, has_wildcard},
    filter_covers, filters_overlap, matches, reference_matches,
};

use super::{
    decide::{Action, Context, FailReason},
    error::WarningKind,
    rule::Permission,
};
use crate::{
    client::ClientInfo,
    template::{Part, Piece, Template, pieces},
};

/// What the reference inserts for an absent user name (section 7).
const LEGACY_ABSENT_USERNAME: &str = "undefined";

/// Capacity above which the render buffer of a thread is given back, in bytes: a topic has at
/// most 65,535.
const KEEP_BUFFER_BYTES: usize = 128 * 1024;

thread_local! {
    /// Where topics with placeholders are rendered.
    static RENDERED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The topics of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Topics {
    /// Every topic, those with `$` too.
    All,
    /// Any of these.
    Any(Box<[TopicPattern]>),
}

/// A topic of a rule. The two profiles read some texts differently (section 13, 5).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TopicPattern {
    hardened: Pattern,
    /// Where it differs.
    legacy: Option<Box<Pattern>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Pattern {
    /// `{eq, T}`: this text, no wildcards, no placeholders.
    Exactly(Box<str>),
    Filter(Box<str>),
    Rendered(Template<Variable>),
}

/// A placeholder that topics may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    ClientId,
    Username,
    CertCommonName,
    Zone,
    Attribute(Box<str>),
}

/// The answer of the topics of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicTruth {
    No,
    Yes,
    /// A topic could not be rendered (hardened).
    Failed(FailReason),
}

/// The answer of one topic.
enum One {
    No,
    Yes,
    /// Legacy: the rule as a whole does not match.
    EndOfRule,
    Failed(FailReason),
}

impl Topics {
    pub(super) fn test(&self, context: &Context<'_>, permission: Permission) -> TopicTruth {
        let patterns = match self {
            Self::All => return TopicTruth::Yes,
            Self::Any(patterns) => patterns,
        };
        for pattern in patterns {
            match pattern.test(context, permission) {
                One::No => {}
                One::Yes => return TopicTruth::Yes,
                One::EndOfRule => return TopicTruth::No,
                One::Failed(reason) => return TopicTruth::Failed(reason),
            }
        }
        TopicTruth::No
    }
}

impl TopicPattern {
    /// `{eq, text}`.
    pub(super) fn exactly(text: &str) -> Self {
        Self {
            hardened: Pattern::Exactly(text.into()),
            legacy: None,
        }
    }

    /// Compiles a topic as written; `eq ` in front makes it an exact one. Oddities go to `warn`.
    pub(super) fn compile(text: &str, mut warn: impl FnMut(WarningKind, String)) -> Self {
        if let Some(exact) = text.strip_prefix("eq ") {
            return Self::exactly(exact);
        }
        for prefix in ["$share/", "$queue/", "$exclusive/", "$delayed/"] {
            if text.starts_with(prefix) {
                let problem = format!(
                    "{prefix} is taken off before rules are asked: this topic never matches; \
                     name the topic behind it"
                );
                warn(WarningKind::Prefix, problem);
            }
        }
        if !text.contains("${") {
            warn_filter(text, &mut warn);
            return Self {
                hardened: Pattern::Filter(text.into()),
                legacy: None,
            };
        }
        let mut unknown = Vec::new();
        let template = Template::parse(text, Variable::parse, &mut unknown);
        for source in &unknown {
            let problem = format!(
                "{source} is no placeholder of topics and stays as text; there are ${{clientid}}, \
                 ${{username}}, ${{cert_common_name}}, ${{zone}} and ${{client_attrs.NAME}}"
            );
            warn(WarningKind::UnknownPlaceholder, problem);
        }
        warn_template(text, &template, &mut warn);
        let hardened = match template.as_text() {
            Some(text) => Pattern::Filter(text.into()),
            None => Pattern::Rendered(template),
        };
        let legacy = legacy_pattern(text, !unknown.is_empty());
        let legacy = (legacy != hardened).then(|| Box::new(legacy));
        Self { hardened, legacy }
    }

    fn test(&self, context: &Context<'_>, permission: Permission) -> One {
        let pattern = match &self.legacy {
            Some(legacy) if !context.hardened() => legacy,
            _ => &self.hardened,
        };
        let found = match pattern {
            Pattern::Exactly(text) => is_exactly(text, context, permission),
            Pattern::Filter(filter) => meets(filter, context, permission),
            Pattern::Rendered(template) => return rendered(template, context, permission),
        };
        if found { One::Yes } else { One::No }
    }
}

/// How the reference reads a template: beside a placeholder it does not know, attributes are
/// text as well; `${$}` is only undone beside a placeholder it does know (section 7, quirks).
fn legacy_pattern(text: &str, has_unknown: bool) -> Pattern {
    let resolve = |name: &str| {
        Variable::parse(name)
            .filter(|variable| !(has_unknown && matches!(variable, Variable::Attribute(_))))
    };
    let template = Template::parse(text, resolve, &mut Vec::new());
    if template.as_text().is_some() {
        Pattern::Filter(text.into())
    } else {
        Pattern::Rendered(template)
    }
}

/// Does the request fall under `filter`?
///
/// Publishing: the name matches. Subscribing, legacy: as the reference has it. Subscribing,
/// hardened: what is asked for is a set of names, so a rule allows it only if it allows all of
/// them, and denies it if it denies one of them (section 13, 1).
fn meets(filter: &str, context: &Context<'_>, permission: Permission) -> bool {
    let asked = context.request.topic;
    match (context.request.action, context.hardened(), permission) {
        (Action::Publish { .. }, _, _) => matches(filter, asked),
        (Action::Subscribe, false, _) => reference_matches(filter, asked),
        (Action::Subscribe, true, Permission::Allow) => filter_covers(filter, asked),
        (Action::Subscribe, true, Permission::Deny) => filters_overlap(filter, asked),
    }
}

/// An exact topic is compared as text. Where it is one name, denying it in hardened also denies
/// the filters that would deliver it; `{eq, "#"}` denies just the filter `#`.
fn is_exactly(text: &str, context: &Context<'_>, permission: Permission) -> bool {
    *text == *context.request.topic
        || (context.hardened()
            && permission == Permission::Deny
            && context.request.action == Action::Subscribe
            && !has_wildcard(text)
            && filters_overlap(text, context.request.topic))
}

fn rendered(template: &Template<Variable>, context: &Context<'_>, permission: Permission) -> One {
    let hardened = context.hardened();
    let mut missing = false;
    for variable in template.values() {
        match variable.value(context.client, hardened) {
            // Missing and forbidden values together: legacy refuses before it looks at the rest.
            Some(value) if context.settings.template_allow.permits(value) => {}
            Some(_) if hardened => return One::Failed(FailReason::ForbiddenCharacter),
            Some(_) => return One::EndOfRule,
            None if hardened => return One::Failed(FailReason::MissingValue),
            None => missing = true,
        }
    }
    if missing {
        return One::No;
    }
    let found = RENDERED.with_borrow_mut(|buffer| {
        buffer.clear();
        let value = |variable: &Variable| variable.value(context.client, hardened).ok_or(());
        let whole = template.render(buffer, value).is_ok();
        let found = whole && meets(buffer, context, permission);
        if buffer.capacity() > KEEP_BUFFER_BYTES {
            *buffer = String::new();
        }
        found
    });
    if found { One::Yes } else { One::No }
}

impl Variable {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "clientid" => Self::ClientId,
            "username" => Self::Username,
            "cert_common_name" => Self::CertCommonName,
            "zone" => Self::Zone,
            _ => {
                let attribute = name.strip_prefix("client_attrs.")?;
                if attribute.is_empty() {
                    return None;
                }
                Self::Attribute(attribute.into())
            }
        })
    }

    /// The client's value. A dot in an attribute's name means descent into a nested map, and
    /// attributes are texts, so such a name never has a value.
    fn value<'c>(&self, client: &'c ClientInfo, hardened: bool) -> Option<&'c str> {
        match self {
            Self::ClientId => Some(&client.client_id),
            Self::Username if hardened => client.username.as_deref(),
            Self::Username => Some(client.username.as_deref().unwrap_or(LEGACY_ABSENT_USERNAME)),
            Self::CertCommonName => client.cert_common_name.as_deref(),
            Self::Zone => Some(&client.zone),
            Self::Attribute(name) if name.contains('.') => None,
            Self::Attribute(name) => client.client_attrs.get(name).map(AsRef::as_ref),
        }
    }
}

fn warn_filter(filter: &str, warn: &mut impl FnMut(WarningKind, String)) {
    if has_wildcard(filter) && check_filter(filter).is_err() {
        let problem = format!(
            "{filter:?} is no valid filter and matches nothing: \"+\" stands for one whole level, \
             \"#\" for the rest and only at the end"
        );
        warn(WarningKind::Wildcard, problem);
    }
    if ["%c", "%u"].iter().any(|old| filter.contains(old)) {
        let problem = "%c and %u are no placeholders; write ${clientid} and ${username}";
        warn(WarningKind::UnknownPlaceholder, problem.to_owned());
    }
}

fn warn_template(
    source: &str,
    template: &Template<Variable>,
    warn: &mut impl FnMut(WarningKind, String),
) {
    if pieces(source).any(|piece| matches!(piece, Piece::Text(text) if text.contains("${"))) {
        let problem = "\"${\" without a name and \"}\" behind it stays as text";
        warn(WarningKind::UnknownPlaceholder, problem.to_owned());
    }
    let mut sample = String::new();
    for part in template.parts() {
        match part {
            Part::Text(text) => sample.push_str(text),
            Part::Value(Variable::Attribute(name)) if name.contains('.') => {
                let problem = format!(
                    "the attribute {name:?} can have no value: a dot descends into a nested map"
                );
                warn(WarningKind::UnknownPlaceholder, problem);
                sample.push('x');
            }
            Part::Value(_) => sample.push('x'),
        }
    }
    warn_filter(&sample, warn);
}
