//! Why a text was rejected, and what is odd about one that was not.

use std::fmt;

/// A place in a text; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    pub(super) fn error(self, reason: Reason, problem: impl Into<String>) -> AclError {
        AclError {
            line: self.line,
            column: self.column,
            problem: problem.into(),
            reason,
        }
    }

    pub(super) fn syntax(self, problem: impl Into<String>) -> AclError {
        self.error(Reason::BadContent, problem)
    }

    pub(super) fn warning(self, kind: WarningKind, problem: impl Into<String>) -> Warning {
        Warning {
            line: self.line,
            column: self.column,
            problem: problem.into(),
            kind,
        }
    }
}

/// An `acl.conf` was rejected, as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclError {
    /// Line of the fault, from 1.
    pub line: u32,
    /// Character of the line, from 1.
    pub column: u32,
    /// What was expected, or what to write instead.
    pub problem: String,
    /// The kind of fault, under the name the reference logs.
    pub reason: Reason,
}

impl fmt::Display for AclError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.problem
        )
    }
}

impl std::error::Error for AclError {}

/// Kinds of faults in an `acl.conf` (`spec/authorization.md` section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The text cannot be read: wrong encoding, or too large.
    Unreadable,
    /// The text is not a sequence of terms.
    BadContent,
    /// Neither `allow` nor `deny`.
    Permission,
    /// Not the form of a rule, or a part of a kind it cannot have.
    Rule,
    /// Not an action.
    Action,
    /// A quality of service outside 0, 1, 2.
    Qos,
    /// A retain option other than `true`, `false`, `all`.
    Retain,
    /// Not a condition on clients.
    Condition,
    /// A regular expression does not compile.
    Regex,
}

impl Reason {
    /// The reference's identifier.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "failed_to_read_acl_file",
            Self::BadContent => "bad_acl_file_content",
            Self::Permission => "invalid_authorization_permission",
            Self::Rule => "invalid_authorization_rule",
            Self::Action => "invalid_authorization_action",
            Self::Qos => "invalid_authorization_qos",
            Self::Retain => "invalid_authorization_retain",
            Self::Condition => "invalid_client_match_condition",
            Self::Regex => "invalid_re_pattern",
        }
    }
}

/// Something accepted that probably does not do what its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Line, from 1; 0 where rules came without a text.
    pub line: u32,
    /// Character of the line, from 1; 0 where rules came without a text.
    pub column: u32,
    /// What will happen, and what to write instead.
    pub problem: String,
    /// The kind of oddity.
    pub kind: WarningKind,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.problem
        )
    }
}

/// Kinds of [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// A placeholder that topics do not have stays as text.
    UnknownPlaceholder,
    /// An escape in a string does not give the regular expression it looks like.
    Escape,
    /// A wildcard stands where it is none, so the topic matches nothing.
    Wildcard,
    /// A topic names a prefix that is taken off before rules are asked.
    Prefix,
    /// An option has no effect.
    Option,
    /// A rule that cannot be reached.
    Unreachable,
}

impl WarningKind {
    /// Identifier for logs and `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownPlaceholder => "auth_template_invalid",
            Self::Escape => "odd_escape",
            Self::Wildcard => "misplaced_wildcard",
            Self::Prefix => "prefix_never_matches",
            Self::Option => "option_ignored",
            Self::Unreachable => "unreachable_rule",
        }
    }
}
