//! What is asked of rules and what they answer.

use crate::{client::ClientInfo, profile::Profile};

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Publish to a Topic Name.
    Publish {
        /// The RETAIN flag of the packet.
        retain: bool,
    },
    /// Subscribe to a Topic Filter.
    Subscribe,
}

/// A question to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is to be done.
    pub action: Action,
    /// Quality of service of the packet, or asked for.
    pub qos: u8,
    /// Topic Name or Topic Filter, without `$share` and the like; see
    /// [`unwrap_topic`](super::unwrap_topic).
    pub topic: &'a str,
}

/// How doubtful cases are decided; compiled once from the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The security profile.
    pub profile: Profile,
    /// `authorization.ignore_backend_failures`: what fails in hardened is skipped, not denied.
    pub ignore_backend_failures: bool,
    /// `authorization.topic_template_allow`.
    pub template_allow: TemplateAllow,
}

/// Characters that values inserted into topics may have though they change what the topic means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TemplateAllow {
    /// `+`
    pub plus: bool,
    /// `#`
    pub hash: bool,
    /// `/`
    pub slash: bool,
}

impl TemplateAllow {
    /// Whether `value` may be inserted.
    pub(crate) fn permits(self, value: &str) -> bool {
        value.bytes().all(|byte| match byte {
            b'+' => self.plus,
            b'#' => self.hash,
            b'/' => self.slash,
            _ => true,
        })
    }
}

/// The answer of a list of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleVerdict {
    /// The first rule that matched allows.
    Allow {
        /// Its index, from 0.
        rule: usize,
    },
    /// The first rule that matched denies.
    Deny {
        /// Its index, from 0.
        rule: usize,
    },
    /// No rule matched: the next source is asked.
    NoMatch,
    /// A rule could not be decided, in hardened without `ignore_backend_failures`: **deny**.
    Failed {
        /// Its index, from 0.
        rule: usize,
        /// Why.
        reason: FailReason,
    },
}

impl RuleVerdict {
    /// Whether the rules could not be decided, which is a deny.
    pub fn is_failed(self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// Why a rule could not be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailReason {
    /// A placeholder of its topic has no value for this client.
    MissingValue,
    /// A value for its topic has a character that `topic_template_allow` does not permit.
    ForbiddenCharacter,
    /// A regular expression of a deny rule was given up at its limit.
    RegexLimit,
    /// The object form of a preset is not made of lists of topics.
    MalformedPreset,
}

impl FailReason {
    /// Identifier for logs and decision records.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingValue => "placeholder_missing_value",
            Self::ForbiddenCharacter => "placeholder_forbidden_character",
            Self::RegexLimit => "regex_limit_reached",
            Self::MalformedPreset => "malformed_preset",
        }
    }
}

/// All that evaluating a rule needs; borrowed, so building one costs nothing.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    pub(super) client: &'a ClientInfo,
    pub(super) request: &'a Request<'a>,
}

impl Context<'_> {
    pub(super) fn hardened(&self) -> bool {
        self.settings.profile == Profile::Hardened
    }
}
