//! Rules that an authenticator gives a client at login (`spec/authorization.md` section 9).

use std::fmt;

use serde_json::{Map, Value};

use super::{
    condition::Condition,
    decide::{FailReason, Request, RuleVerdict, Settings},
    error::Warning,
    raw::{RawError, RawOptions},
    rule::{ActionMatch, Permission, Rule},
    ruleset::RuleSet,
    topic::{TopicPattern, Topics},
};
use crate::{client::ClientInfo, profile::Profile};

/// Keys of the object form and the action each is for, in the order they are tried.
const KEYS: [(&str, &str); 3] = [("pub", "publish"), ("sub", "subscribe"), ("all", "all")];

/// When a preset ends, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Through this second, which still counts.
    At(i64),
    /// The number had a fraction, here rounded down. Hardened takes it so; legacy takes a preset
    /// with such an expiry as always expired, as the reference does.
    Rounded(i64),
    /// Not a number: expired always.
    Unusable,
}

impl Expiry {
    /// The expiry a claim gives; `None` when there is none or it is null.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a float beyond i64 saturates, as meant"
    )]
    pub fn from_json(value: Option<&Value>) -> Option<Self> {
        Some(match value? {
            Value::Null => return None,
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(seconds), _) => Self::At(seconds),
                (None, _) if number.is_u64() => Self::At(i64::MAX),
                (None, Some(seconds)) => Self::Rounded(seconds.floor() as i64),
                (None, None) => Self::Unusable,
            },
            _ => Self::Unusable,
        })
    }

    /// Whether it is over at `now_unix_seconds`.
    pub fn is_past(self, profile: Profile, now_unix_seconds: i64) -> bool {
        match (self, profile) {
            (Self::At(last), _) | (Self::Rounded(last), Profile::Hardened) => {
                last < now_unix_seconds
            }
            (Self::Rounded(_), Profile::Legacy) | (Self::Unusable, _) => true,
        }
    }
}

/// Rules of one client, compiled at login.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    form: Form,
    expire_at: Option<Expiry>,
    claim: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// `{"pub": [..], "sub": [..], "all": [..]}`: what is not listed is denied.
    Object(RuleSet),
    /// An object that holds something else than lists of topics: fails when asked.
    BrokenObject,
    /// Raw rules in order: what none matches goes to the next source.
    List(RuleSet),
}

/// A preset was rejected, and with it the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresetError {
    /// Neither an object nor a list.
    NotObjectNorList,
    /// A rule of the list form.
    Rule(RawError),
}

impl PresetError {
    /// The reference's identifier, for example `invalid_qos`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotObjectNorList => "invalid_acl",
            Self::Rule(error) => error.reason,
        }
    }
}

impl fmt::Display for PresetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotObjectNorList => f.write_str(
                "expected {\"pub\": [..], \"sub\": [..], \"all\": [..]} or a list of rules",
            ),
            Self::Rule(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PresetError {}

/// The answer of a preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresetVerdict {
    /// What its rules say. In the object form the rules are, in order, those of `pub`, `sub` and
    /// `all` as far as the object has them.
    Rules(RuleVerdict),
    /// **Deny**: the preset is over.
    Expired,
    /// **Deny**: the object form has no topic for the request.
    NotListed,
}

impl Preset {
    /// Compiles a claim. An object is not rejected for what is in it: a fault there comes up when
    /// the preset is asked, as [`FailReason::MalformedPreset`].
    pub fn from_json(claim: &Value, expire_at: Option<Expiry>) -> Result<Self, PresetError> {
        let form = match claim {
            Value::Object(lists) => match object_rules(lists) {
                Some(rules) => Form::Object(RuleSet::from_rules(rules)),
                None => Form::BrokenObject,
            },
            Value::Array(rows) => RuleSet::from_rows(rows, RawOptions::default())
                .map(Form::List)
                .map_err(PresetError::Rule)?,
            _ => return Err(PresetError::NotObjectNorList),
        };
        Ok(Self {
            form,
            expire_at,
            claim: claim.clone(),
        })
    }

    /// Decides at `now_unix_seconds`; an expired preset denies whatever is asked.
    pub fn decide(
        &self,
        settings: &Settings,
        client: &ClientInfo,
        request: &Request<'_>,
        now_unix_seconds: i64,
    ) -> PresetVerdict {
        if self.is_expired(settings.profile, now_unix_seconds) {
            return PresetVerdict::Expired;
        }
        match &self.form {
            Form::List(rules) => PresetVerdict::Rules(rules.decide(settings, client, request)),
            Form::Object(rules) => match rules.decide(settings, client, request) {
                RuleVerdict::NoMatch => PresetVerdict::NotListed,
                verdict => PresetVerdict::Rules(verdict),
            },
            Form::BrokenObject => PresetVerdict::Rules(
                if settings.profile == Profile::Legacy || settings.ignore_backend_failures {
                    RuleVerdict::NoMatch
                } else {
                    RuleVerdict::Failed {
                        rule: 0,
                        reason: FailReason::MalformedPreset,
                    }
                },
            ),
        }
    }

    /// Whether the preset is over at `now_unix_seconds`.
    pub fn is_expired(&self, profile: Profile, now_unix_seconds: i64) -> bool {
        self.expire_at
            .is_some_and(|expiry| expiry.is_past(profile, now_unix_seconds))
    }

    /// When it ends: verdicts must not be kept longer.
    pub fn expire_at(&self) -> Option<Expiry> {
        self.expire_at
    }

    /// The claim as decoded.
    pub fn raw(&self) -> &Value {
        &self.claim
    }

    /// What was accepted but is probably not meant.
    pub fn warnings(&self) -> &[Warning] {
        match &self.form {
            Form::Object(rules) | Form::List(rules) => rules.warnings(),
            Form::BrokenObject => &[],
        }
    }
}

/// One rule for each key present; `None` if one of them is not a list of texts.
fn object_rules(lists: &Map<String, Value>) -> Option<Vec<Rule>> {
    let mut rules = Vec::new();
    for (key, action) in KEYS {
        let Some(value) = lists.get(key) else {
            continue;
        };
        let topics = value
            .as_array()?
            .iter()
            .map(|topic| Some(TopicPattern::compile(topic.as_str()?, |_, _| {})))
            .collect::<Option<_>>()?;
        rules.push(Rule {
            permission: Permission::Allow,
            action: ActionMatch::named(action)?,
            condition: Condition::All,
            topics: Topics::Any(topics),
            line: 0,
            source: Box::default(),
        });
    }
    Some(rules)
}
