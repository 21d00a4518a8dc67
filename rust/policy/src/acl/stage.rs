//! From the topic of a packet to the topic of a rule, and the whole decision of one source.

use vallum_mqtt::topic::{FilterScope, TopicError, strip_delayed};

use super::{
    decide::{Action, Request, RuleVerdict, Settings},
    preset::{Preset, PresetVerdict},
    ruleset::RuleSet,
};
use crate::client::ClientInfo;

/// The topic of a packet has a prefix that is not followed by what it needs: **deny**.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwrapError {
    /// `$delayed/...` without an interval and a topic.
    Delayed,
    /// Not a filter that can be subscribed to.
    Filter(TopicError),
}

impl UnwrapError {
    /// Identifier for logs and decision records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delayed => "invalid_delayed_topic_format",
            Self::Filter(_) => "topic_filter_invalid",
        }
    }
}

/// The topic that rules are asked about: of a filter `$share/group/`, `$queue/` or `$exclusive/` is
/// taken off; of names and filters every `$delayed/interval/` (sections 2 and 4).
///
/// The interval is not looked at.
pub fn unwrap_topic(action: Action, topic: &str) -> Result<&str, UnwrapError> {
    let mut rest = match action {
        Action::Publish { .. } => topic,
        Action::Subscribe => FilterScope::parse(topic)
            .map_err(UnwrapError::Filter)?
            .filter(),
    };
    while let Some((_interval, inner)) = strip_delayed(rest).map_err(|_| UnwrapError::Delayed)? {
        rest = inner;
    }
    Ok(rest)
}

/// How much of a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The topic is as rules get it.
    Rule,
    /// The topic is as in the packet, and is unwrapped first.
    Packet,
    /// As `Packet`, and superusers are allowed everything.
    Pipeline,
}

/// Rules to ask.
#[derive(Clone, Copy, Debug)]
pub enum RuleSource<'a> {
    /// Rules of a file or of rows.
    Rules(&'a RuleSet),
    /// A preset, asked at this time in Unix seconds.
    Preset(&'a Preset, i64),
}

/// What a source says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// The next source is asked.
    NoMatch,
}

impl Outcome {
    /// `allow`, `deny` or `nomatch`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::NoMatch => "nomatch",
        }
    }
}

impl From<RuleVerdict> for Outcome {
    fn from(verdict: RuleVerdict) -> Self {
        match verdict {
            RuleVerdict::Allow { .. } => Self::Allow,
            RuleVerdict::Deny { .. } | RuleVerdict::Failed { .. } => Self::Deny,
            RuleVerdict::NoMatch => Self::NoMatch,
        }
    }
}

impl From<PresetVerdict> for Outcome {
    fn from(verdict: PresetVerdict) -> Self {
        match verdict {
            PresetVerdict::Rules(verdict) => verdict.into(),
            PresetVerdict::Expired | PresetVerdict::NotListed => Self::Deny,
        }
    }
}

/// Asks one source, doing as much around it as `stage` says.
///
/// A superuser is allowed before anything but the form of the topic is looked at, a preset's expiry
/// included.
pub fn decide_staged(
    source: RuleSource<'_>,
    stage: Stage,
    settings: &Settings,
    client: &ClientInfo,
    request: &Request<'_>,
) -> Outcome {
    let topic = match stage {
        Stage::Rule => request.topic,
        Stage::Packet | Stage::Pipeline => match unwrap_topic(request.action, request.topic) {
            Ok(topic) => topic,
            Err(_) => return Outcome::Deny,
        },
    };
    if stage == Stage::Pipeline && client.is_superuser {
        return Outcome::Allow;
    }
    let request = Request { topic, ..*request };
    match source {
        RuleSource::Rules(rules) => rules.decide(settings, client, &request).into(),
        RuleSource::Preset(preset, now) => preset.decide(settings, client, &request, now).into(),
    }
}
