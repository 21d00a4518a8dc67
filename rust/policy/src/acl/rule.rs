//! A compiled rule.

use std::fmt;

use super::{
    condition::{Condition, Truth},
    decide::{Action, Context, FailReason, Request},
    topic::{TopicTruth, Topics},
};

/// What a rule does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Allow the request.
    Allow,
    /// Deny the request.
    Deny,
}

/// A rule: it decides if its action, then its condition, then its topics all match.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub(super) permission: Permission,
    pub(super) action: ActionMatch,
    pub(super) condition: Condition,
    pub(super) topics: Topics,
    pub(super) line: u32,
    pub(super) source: Box<str>,
}

/// Which requests a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ActionMatch {
    pub(super) publish: bool,
    pub(super) subscribe: bool,
    pub(super) qos: QosSet,
    /// The retain flag a publish must have; `None`: either.
    pub(super) retain: Option<bool>,
}

/// A set of qualities of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QosSet(u8);

/// The answer of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleTruth {
    No,
    Yes,
    Failed(FailReason),
}

impl Rule {
    /// What the rule does when it matches.
    pub fn permission(&self) -> Permission {
        self.permission
    }

    /// Line of the text on which the rule starts, from 1; 0 for rules that came without a text.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The rule as written, without the dot; empty for rules that came without a text.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn test(&self, context: &Context<'_>) -> RuleTruth {
        if !self.action.includes(context.request) {
            return RuleTruth::No;
        }
        let condition = self.condition.test(context);
        if condition == Truth::No {
            return RuleTruth::No;
        }
        // A search given up is no match, so a rule that allows is passed over. One that denies
        // would be walked round by it, which hardened does not let happen.
        let unknown = condition == Truth::Unknown;
        if unknown && (self.permission == Permission::Allow || !context.hardened()) {
            return RuleTruth::No;
        }
        match self.topics.test(context, self.permission) {
            TopicTruth::No => RuleTruth::No,
            TopicTruth::Yes if unknown => RuleTruth::Failed(FailReason::RegexLimit),
            TopicTruth::Yes => RuleTruth::Yes,
            TopicTruth::Failed(reason) => RuleTruth::Failed(reason),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl ActionMatch {
    /// Publish and subscribe, whatever the quality of service and the retain flag.
    pub(super) const ALL: Self = Self {
        publish: true,
        subscribe: true,
        qos: QosSet::ALL,
        retain: None,
    };

    /// The action a text names, with the words of `acl.conf`.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (publish, subscribe) = match name {
            "publish" => (true, false),
            "subscribe" => (false, true),
            "all" => (true, true),
            _ => return None,
        };
        Some(Self {
            publish,
            subscribe,
            ..Self::ALL
        })
    }

    fn includes(self, request: &Request<'_>) -> bool {
        let named = match request.action {
            Action::Publish { retain } => {
                self.publish && self.retain.is_none_or(|wanted| wanted == retain)
            }
            Action::Subscribe => self.subscribe,
        };
        named && self.qos.contains(request.qos)
    }
}

impl QosSet {
    pub(super) const ALL: Self = Self(0b111);
    pub(super) const NONE: Self = Self(0);

    /// The set with `qos` added; `None` if there is no such quality of service.
    pub(super) fn with(self, qos: i64) -> Option<Self> {
        match qos {
            0..=2 => Some(Self(self.0 | 1 << qos)),
            _ => None,
        }
    }

    fn contains(self, qos: u8) -> bool {
        qos <= 2 && self.0 & (1 << qos) != 0
    }
}
