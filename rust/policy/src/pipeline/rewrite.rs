//! Topic rewriting (the root `rewrite`): another topic in place of the one a client named.
//!
//! As in the reference the last rule whose `source_topic` matches is the one that counts, whether or not
//! its expression is found: then the topic stays as it is. Values are copied once and never looked at
//! again; the reference replaces one after the other, so that a client named `$1` is expanded too.

use vallum_mqtt::topic::{FilterScope, TopicFilter, TopicName, filter::has_wildcard, matches};

use super::{compile::Faults, config::RewriteAction, config::RewriteConfig};
use crate::{
    acl::TemplateAllow,
    client::ClientInfo,
    profile::Profile,
    regex::{Captures, Regex},
    template::{Part, Template},
};

/// Most rules: each publish and subscribe may be held against all of them.
const MAX_RULES: usize = 1000;
/// Longest result, in bytes: more no packet can carry.
const MAX_TOPIC_BYTES: usize = 65_535;

/// All rules, the one that counts first.
#[derive(Debug, Default)]
pub(super) struct Rewriter {
    publish: Vec<Rule>,
    subscribe: Vec<Rule>,
    allow: TemplateAllow,
    profile: Profile,
}

#[derive(Clone, Debug)]
struct Rule {
    source: Box<str>,
    expression: Regex,
    destination: Vec<Piece>,
}

/// A piece of a destination.
#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    /// What a group of the expression found.
    Group(usize),
    ClientId,
    UserName,
}

impl Rewriter {
    pub(super) fn compile(
        profile: Profile,
        allow: TemplateAllow,
        rules: &[RewriteConfig],
        faults: &mut Faults,
    ) -> Self {
        let mut rewriter = Self {
            allow,
            profile,
            ..Self::default()
        };
        if rules.len() > MAX_RULES {
            faults.add("rewrite", format!("at most {MAX_RULES} rules"));
            return rewriter;
        }
        for (index, config) in rules.iter().enumerate().rev() {
            let path = format!("rewrite[{index}]");
            let Some(rule) = Rule::compile(&path, profile, config, faults) else {
                continue;
            };
            if config.action != RewriteAction::Subscribe {
                rewriter.publish.push(rule.clone());
            }
            if config.action != RewriteAction::Publish {
                rewriter.subscribe.push(rule);
            }
        }
        rewriter
    }

    pub(super) fn rewrites_publish(&self) -> bool {
        !self.publish.is_empty()
    }

    pub(super) fn rewrites_subscribe(&self) -> bool {
        !self.subscribe.is_empty()
    }

    pub(super) fn publish(&self, client: &ClientInfo, topic: &str) -> Option<String> {
        self.rewrite(&self.publish, client, topic)
    }

    /// The prefix of a shared or exclusive subscription stays as it is.
    pub(super) fn subscribe(&self, client: &ClientInfo, filter: &str) -> Option<String> {
        let inner = FilterScope::parse(filter).ok()?.filter();
        let prefix = filter.get(..filter.len() - inner.len())?;
        let rewritten = self.rewrite(&self.subscribe, client, inner)?;
        Some(format!("{prefix}{rewritten}"))
    }

    fn rewrite(&self, rules: &[Rule], client: &ClientInfo, topic: &str) -> Option<String> {
        let rule = rules.iter().find(|rule| matches(&rule.source, topic))?;
        let captures = rule.expression.captures(topic.as_bytes())?;
        let mut result = String::new();
        for piece in &rule.destination {
            match piece {
                Piece::Text(text) => result.push_str(text),
                Piece::Group(index) => result.push_str(group(&captures, *index)?),
                Piece::ClientId => {
                    self.put(&mut result, "${clientid}", Some(&client.client_id))?;
                }
                Piece::UserName => {
                    self.put(&mut result, "${username}", client.username.as_deref())?;
                }
            }
            if result.len() > MAX_TOPIC_BYTES {
                return None;
            }
        }
        Some(result)
    }

    /// Append a value of the client. One that is missing, or that would change what the topic means, is
    /// no value in hardened: the topic stays as it is.
    fn put(&self, result: &mut String, source: &str, value: Option<&str>) -> Option<()> {
        match (value.filter(|value| !value.is_empty()), self.profile) {
            (Some(value), Profile::Hardened) if !self.allow.permits(value) => return None,
            (Some(value), _) => result.push_str(value),
            (None, Profile::Hardened) => return None,
            (None, Profile::Legacy) => result.push_str(source),
        }
        Some(())
    }
}

fn group<'s>(captures: &Captures<'s>, index: usize) -> Option<&'s str> {
    // A group that took no part is empty. `.` is one byte: it may cut a character in two.
    std::str::from_utf8(captures.get(index).unwrap_or_default()).ok()
}

impl Rule {
    fn compile(
        path: &str,
        profile: Profile,
        config: &RewriteConfig,
        faults: &mut Faults,
    ) -> Option<Self> {
        if let Err(problem) = TopicFilter::parse(&config.source_topic) {
            faults.add(format!("{path}.source_topic"), problem);
        }
        let destination = format!("{path}.dest_topic");
        let plain = config.dest_topic.replace(['$', '{', '}'], "x");
        let checked = if config.action == RewriteAction::Subscribe {
            TopicFilter::parse(&plain).map(drop)
        } else if has_wildcard(&config.dest_topic) {
            faults.add(
                &destination,
                "cannot_use_wildcard_for_destination_topic: a message has a topic name",
            );
            Ok(())
        } else {
            TopicName::parse(&plain).map(drop)
        };
        if let Err(problem) = checked {
            faults.add(&destination, problem);
        }
        let expression = Regex::compile(&config.re)
            .map_err(|problem| faults.add(format!("{path}.re"), problem))
            .ok()?;
        let mut unknown = Vec::new();
        let template = Template::parse(
            &config.dest_topic,
            |name| match name {
                "clientid" => Some(Piece::ClientId),
                "username" => Some(Piece::UserName),
                _ => None,
            },
            &mut unknown,
        );
        if let (Some(source), Profile::Hardened) = (unknown.first(), profile) {
            faults.add(
                &destination,
                format!("unknown placeholder {source}: there are ${{clientid}} and ${{username}}"),
            );
        }
        let mut pieces = Vec::new();
        for part in template.parts() {
            match part {
                Part::Value(piece) => pieces.push(piece.clone()),
                Part::Text(text) => groups(text, &mut pieces),
            }
        }
        let named = pieces.iter().filter_map(|piece| match piece {
            Piece::Group(index) => Some(*index),
            _ => None,
        });
        let there = expression.group_count();
        if let Some(index) = named.max().filter(|index| *index > there) {
            faults.add(
                &destination,
                format!("${index} is named, but re has {there} groups"),
            );
        }
        Some(Self {
            source: config.source_topic.as_str().into(),
            expression,
            destination: pieces,
        })
    }
}

/// Split text at `$1` to `$9`.
fn groups(text: &str, pieces: &mut Vec<Piece>) {
    let mut rest = text;
    let mut run = String::new();
    while let Some((before, after)) = rest.split_once('$') {
        run.push_str(before);
        let digit = after.chars().next().and_then(|first| first.to_digit(10));
        rest = after;
        if let Some(index) = digit.filter(|digit| *digit > 0) {
            if !run.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut run).into()));
            }
            pieces.push(Piece::Group(index as usize));
            rest = after.get(1..).unwrap_or_default();
        } else {
            run.push('$');
        }
    }
    run.push_str(rest);
    if !run.is_empty() {
        pieces.push(Piece::Text(run.into()));
    }
}
