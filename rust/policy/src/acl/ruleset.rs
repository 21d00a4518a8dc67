//! Ordered rules: the first that matches decides.

use serde_json::Value;

use super::{
    compile,
    decide::{Context, Request, RuleVerdict, Settings},
    error::{AclError, Position, Reason, Warning, WarningKind},
    raw::{self, RawError, RawOptions},
    rule::{Permission, Rule, RuleTruth},
    terms::Reader,
};
use crate::client::ClientInfo;

/// Largest `acl.conf` accepted, in bytes.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// Compiled rules in order. Immutable: replacing rules means building another set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    rules: Box<[Rule]>,
    warnings: Box<[Warning]>,
}

impl RuleSet {
    /// Compiles the text of an `acl.conf`. One fault rejects the whole text; an empty text is
    /// fine and matches nothing. A byte order mark and either line end are accepted.
    pub fn parse(text: &str) -> Result<Self, AclError> {
        if text.len() > MAX_FILE_BYTES {
            let problem = format!("the file is longer than {MAX_FILE_BYTES} bytes");
            return Err(Position::START.error(Reason::Unreadable, problem));
        }
        let mut reader = Reader::new(text);
        let (mut rules, mut warnings) = (Vec::new(), Vec::new());
        let mut catch_all: Option<u32> = None;
        while let Some(sentence) = reader.sentence()? {
            let rule = compile::rule(&sentence, &mut warnings)?;
            if let Some(line) = catch_all.take() {
                let problem = format!("never reached: the rule of line {line} matches everything");
                warnings.push(sentence.term.at.warning(WarningKind::Unreachable, problem));
            } else if compile::is_catch_all(&rule) {
                catch_all = Some(rule.line);
            }
            rules.push(rule);
        }
        warnings.extend(reader.into_warnings());
        warnings.sort_by_key(|warning| (warning.line, warning.column));
        Ok(Self {
            rules: rules.into(),
            warnings: warnings.into(),
        })
    }

    /// As [`RuleSet::parse`] for the bytes of a file: UTF-8, unless a comment in the first two
    /// lines says `coding: latin-1`.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, AclError> {
        if bytes.len() <= MAX_FILE_BYTES && says_latin1(bytes) {
            let text: String = bytes.iter().copied().map(char::from).collect();
            return Self::parse(&text);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => {
                let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let good = str::from_utf8(good).unwrap_or_default();
                let last_line = good.rsplit('\n').next().unwrap_or_default();
                let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
                let at = Position {
                    line: count(good.matches('\n').count()),
                    column: count(last_line.chars().count()),
                };
                Err(at.error(
                    Reason::Unreadable,
                    "not UTF-8; save the file as UTF-8, or put \"%% coding: latin-1\" on its first line",
                ))
            }
        }
    }

    /// Compiles rows or JSON documents (section 8) in order. One bad row rejects them all.
    pub fn from_rows(rows: &[Value], options: RawOptions) -> Result<Self, RawError> {
        let mut warnings = Vec::new();
        let rules = rows
            .iter()
            .enumerate()
            .map(|(index, row)| raw::compile(index, row, options, &mut warnings))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            rules,
            warnings: warnings.into(),
        })
    }

    /// Rules that were compiled elsewhere.
    pub(super) fn from_rules(rules: Vec<Rule>) -> Self {
        Self {
            rules: rules.into(),
            warnings: Box::default(),
        }
    }

    /// Asks the rules in order; the first whose action, condition and topics match decides.
    ///
    /// `request.topic` must be a valid name or filter. Allocates nothing but, once per thread, a
    /// buffer for topics with placeholders.
    pub fn decide(
        &self,
        settings: &Settings,
        client: &ClientInfo,
        request: &Request<'_>,
    ) -> RuleVerdict {
        let context = Context {
            settings,
            client,
            request,
        };
        for (index, rule) in self.rules.iter().enumerate() {
            match rule.test(&context) {
                RuleTruth::No => {}
                RuleTruth::Yes => {
                    return match rule.permission {
                        Permission::Allow => RuleVerdict::Allow { rule: index },
                        Permission::Deny => RuleVerdict::Deny { rule: index },
                    };
                }
                RuleTruth::Failed(_) if settings.ignore_backend_failures => {}
                RuleTruth::Failed(reason) => {
                    return RuleVerdict::Failed {
                        rule: index,
                        reason,
                    };
                }
            }
        }
        RuleVerdict::NoMatch
    }

    /// The rule a verdict names.
    pub fn rule(&self, index: usize) -> Option<&Rule> {
        self.rules.get(index)
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What was accepted but is probably not meant, sorted by place.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// Whether a comment in the first two lines declares Latin-1, as `coding: latin-1` or
/// `coding=latin-1` in any case.
fn says_latin1(bytes: &[u8]) -> bool {
    bytes.split(|&b| b == b'\n').take(2).any(|line| {
        let line = String::from_utf8_lossy(line.get(..line.len().min(512)).unwrap_or_default());
        let line = line.to_ascii_lowercase();
        let Some(comment) = line.split_once('%').map(|(_, comment)| comment) else {
            return false;
        };
        let Some((_, coding)) = comment.split_once("coding") else {
            return false;
        };
        coding
            .strip_prefix([':', '='])
            .is_some_and(|name| name.trim_start().starts_with("latin-1"))
    })
}
