//! Prefixes that say how to subscribe or publish, in front of the filter or name meant.
//!
//! `$share/group/filter` is MQTT section 4.8.2; `$queue/filter`, `$exclusive/filter` and
//! `$delayed/seconds/name` are as in EMQX (spec/authorization.md sections 2 and 4).

use super::filter::{check_filter, has_wildcard};
use super::name::{TopicError, check_name};

/// The group name that stands for `$queue/...` subscriptions, as EMQX shows it.
pub const QUEUE_GROUP: &str = "$queue";

/// The longest delay of `$delayed/N/...` in seconds, as EMQX has it (about 49.7 days).
pub const MAX_DELAY_SECONDS: u32 = 4_294_967;

/// A shared subscription taken apart: `$share/group/filter`, or `$queue/filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharedFilter<'a> {
    /// The share name; [`QUEUE_GROUP`] for `$queue/...`.
    pub group: &'a str,
    /// What the group subscribes to; a valid filter.
    pub filter: &'a str,
}

impl<'a> SharedFilter<'a> {
    /// `None` if the text has neither prefix; an error if it has one and the rest is wrong.
    pub fn parse(text: &'a str) -> Result<Option<Self>, TopicError> {
        if let Some(rest) = after_prefix(text, "$share") {
            let (group, filter) = rest.split_once('/').ok_or(TopicError::NothingAfterPrefix)?;
            if group.is_empty() || has_wildcard(group) {
                return Err(TopicError::BadShareName); // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
            }
            check_rest(filter)?;
            return Ok(Some(Self { group, filter }));
        }
        if let Some(filter) = after_prefix(text, "$queue") {
            check_rest(filter)?;
            return Ok(Some(Self {
                group: QUEUE_GROUP,
                filter,
            }));
        }
        Ok(None)
    }
}

/// Whom else a subscription concerns, and the filter meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterScope<'a> {
    /// An ordinary subscription.
    Plain(&'a str),
    /// `$share/...` or `$queue/...`: each message goes to one member of the group.
    Shared(SharedFilter<'a>),
    /// `$exclusive/filter`: at most one subscriber at a time.
    Exclusive(&'a str),
}

impl<'a> FilterScope<'a> {
    /// Check the whole text of a filter as a SUBSCRIBE has it, and take its prefix off.
    pub fn parse(text: &'a str) -> Result<Self, TopicError> {
        if !text.starts_with('$') {
            check_filter(text)?;
            return Ok(Self::Plain(text));
        }
        if let Some(shared) = SharedFilter::parse(text)? {
            return Ok(Self::Shared(shared));
        }
        if let Some(filter) = after_prefix(text, "$exclusive") {
            check_rest(filter)?;
            return Ok(Self::Exclusive(filter));
        }
        check_filter(text)?;
        Ok(Self::Plain(text))
    }

    /// The filter without its prefix: what is matched against names and against rules.
    pub fn filter(self) -> &'a str {
        match self {
            Self::Plain(filter) | Self::Exclusive(filter) => filter,
            Self::Shared(shared) => shared.filter,
        }
    }
}

/// A delayed publish taken apart: `$delayed/seconds/topic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delayed<'a> {
    /// How long to hold the message back; at most [`MAX_DELAY_SECONDS`].
    pub seconds: u32,
    /// Where it then goes; a valid name.
    pub topic: &'a str,
}

impl<'a> Delayed<'a> {
    /// `None` if the text has no such prefix; an error if it has and the rest is wrong.
    pub fn parse(text: &'a str) -> Result<Option<Self>, TopicError> {
        let Some((digits, topic)) = strip_delayed(text)? else {
            return Ok(None);
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TopicError::BadDelay);
        }
        let seconds = digits.parse().map_err(|_| TopicError::BadDelay)?;
        if seconds > MAX_DELAY_SECONDS {
            return Err(TopicError::BadDelay);
        }
        check_name(topic)?;
        Ok(Some(Self { seconds, topic }))
    }
}

/// Split `$delayed/<interval>/<rest>` into interval and rest without judging either.
///
/// `None` without the prefix; [`TopicError::NothingAfterPrefix`] when no second `/` follows. The
/// check of rules works on the rest and does not look at the interval.
pub fn strip_delayed(text: &str) -> Result<Option<(&str, &str)>, TopicError> {
    let Some(rest) = after_prefix(text, "$delayed") else {
        return Ok(None);
    };
    rest.split_once('/')
        .map(Some)
        .ok_or(TopicError::NothingAfterPrefix)
}

/// What follows `prefix/`. The bare prefix without a `/` is an ordinary topic.
fn after_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.strip_prefix(prefix)?.strip_prefix('/')
}

fn check_rest(filter: &str) -> Result<(), TopicError> {
    if filter.is_empty() {
        Err(TopicError::NothingAfterPrefix)
    } else {
        check_filter(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared<'a>(group: &'a str, filter: &'a str) -> FilterScope<'a> {
        FilterScope::Shared(SharedFilter { group, filter })
    }

    #[test]
    fn scopes() {
        for (text, expect) in [
            ("a/b", Ok(FilterScope::Plain("a/b"))),
            ("$SYS/#", Ok(FilterScope::Plain("$SYS/#"))),
            ("$share/g/a/+", Ok(shared("g", "a/+"))),
            ("$share/g//a", Ok(shared("g", "/a"))),
            ("$queue/a/#", Ok(shared(QUEUE_GROUP, "a/#"))),
            ("$exclusive/a", Ok(FilterScope::Exclusive("a"))),
            ("$sharex/g/a", Ok(FilterScope::Plain("$sharex/g/a"))),
            ("$share", Ok(FilterScope::Plain("$share"))),
            ("$share/g", Err(TopicError::NothingAfterPrefix)),
            ("$share/g/", Err(TopicError::NothingAfterPrefix)),
            ("$share//a", Err(TopicError::BadShareName)),
            ("$share/+/a", Err(TopicError::BadShareName)),
            ("$share/g#/a", Err(TopicError::BadShareName)),
            ("$share/g/a/#/b", Err(TopicError::BadMultiLevel)),
            ("$queue/", Err(TopicError::NothingAfterPrefix)),
            ("$exclusive/", Err(TopicError::NothingAfterPrefix)),
            ("", Err(TopicError::Empty)),
        ] {
            assert_eq!(FilterScope::parse(text), expect, "{text:?}");
        }
    }

    #[test]
    fn delays() {
        let some = |seconds, topic| Ok(Some(Delayed { seconds, topic }));
        for (text, expect) in [
            ("a", Ok(None)),
            ("$delayed/5/a/b", some(5, "a/b")),
            ("$delayed/4294967/a", some(MAX_DELAY_SECONDS, "a")),
            ("$delayed/4294968/a", Err(TopicError::BadDelay)),
            ("$delayed/99999999999999999999/a", Err(TopicError::BadDelay)),
            ("$delayed/+5/a", Err(TopicError::BadDelay)),
            ("$delayed//a", Err(TopicError::BadDelay)),
            ("$delayed/5/", Err(TopicError::Empty)),
            ("$delayed/5", Err(TopicError::NothingAfterPrefix)),
        ] {
            assert_eq!(Delayed::parse(text), expect, "{text:?}");
        }
        assert_eq!(strip_delayed("$delayed/x/y/z"), Ok(Some(("x", "y/z"))));
    }
}
