//! Decision records: what was decided, by whom, and the steps that led there
//! (`spec/management.md` section 9.3).
//!
//! Records never hold a secret: no token, no password, no key, and claims only as far as an operator
//! configured a check for them.

use std::{borrow::Cow, fmt, ops::Deref, sync::Arc};

use crate::{
    acl::Preset,
    client::{Attributes, ClientInfo},
};

/// MQTT 5 reason codes a connect decision may carry (MQTT 5 section 3.2.2.2); the caller turns them into
/// the return codes of older versions (`spec/authentication.md` section 22.1).
pub mod reason_code {
    /// Accepted.
    pub const SUCCESS: u8 = 0x00;
    /// Client Identifier not valid.
    pub const CLIENT_IDENTIFIER_NOT_VALID: u8 = 0x85;
    /// Bad User Name or Password.
    pub const BAD_USER_NAME_OR_PASSWORD: u8 = 0x86;
    /// Not authorized.
    pub const NOT_AUTHORIZED: u8 = 0x87;
    /// Bad authentication method.
    pub const BAD_AUTHENTICATION_METHOD: u8 = 0x8C;
}

/// A name in a record: known at compile time, or shared with the compiled pipeline.
#[derive(Clone)]
pub enum Name {
    /// A fixed name, such as `jwt`.
    Static(&'static str),
    /// A configured name, such as an attribute or `password_based:http`.
    Shared(Arc<str>),
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Static(name) => name,
            Self::Shared(name) => name,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

/// The part of the pipeline a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The listener's `enable_authn`.
    Listener,
    /// `mqtt.use_username_as_clientid`.
    UseUsernameAsClientId,
    /// One entry of `mqtt.client_attrs_init`; the name is the attribute's.
    ClientAttrsInit,
    /// `mqtt.clientid_override`, or the override of an authenticator.
    ClientIdOverride,
    /// The precondition of an authenticator or source; the name is its id.
    Precondition,
    /// An authenticator; the name is its id.
    Authenticator,
    /// What holds when nothing else decided.
    Default,
    /// The client's ACL preset.
    AclPreset,
    /// An authorization source; the name is its type.
    Source,
}

impl Stage {
    /// The identifier in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::UseUsernameAsClientId => "use_username_as_clientid",
            Self::ClientAttrsInit => "client_attrs_init",
            Self::ClientIdOverride => "clientid_override",
            Self::Precondition => "precondition",
            Self::Authenticator => "authenticator",
            Self::Default => "default",
            Self::AclPreset => "acl_preset",
            Self::Source => "source",
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepResult {
    /// Accepted, or done.
    Ok,
    /// Refused.
    Deny,
    /// Not its business.
    Ignore,
    /// Could not be done; what follows depends on the profile.
    Error,
    /// Not asked, or without effect.
    Skipped,
    /// No rule matched.
    NoMatch,
}

impl StepResult {
    /// The identifier in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Deny => "deny",
            Self::Ignore => "ignore",
            Self::Error => "error",
            Self::Skipped => "skipped",
            Self::NoMatch => "nomatch",
        }
    }
}

/// One step on the way to a decision.
#[derive(Clone, Debug)]
pub struct Step {
    /// The part of the pipeline.
    pub stage: Stage,
    /// Which one of its kind.
    pub name: Name,
    /// How it ended.
    pub result: StepResult,
    /// A stable reason identifier, where there is more to say than the result.
    pub reason: Option<&'static str>,
    /// For people: names of claims, functions, variables; never a secret.
    pub detail: Option<Box<str>>,
}

impl Step {
    /// A step with nothing to explain.
    pub(crate) fn new(stage: Stage, name: Name, result: StepResult) -> Self {
        Self {
            stage,
            name,
            result,
            reason: None,
            detail: None,
        }
    }

    /// A step that says why.
    pub(crate) fn because(stage: Stage, name: Name, result: StepResult, why: Why) -> Self {
        Self {
            stage,
            name,
            result,
            reason: Some(why.reason),
            detail: why.detail,
        }
    }
}

/// Why an authenticator did not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// A stable reason identifier.
    pub reason: &'static str,
    /// For people; never a secret.
    pub detail: Option<Box<str>>,
}

impl Why {
    /// A reason that says it all.
    pub const fn new(reason: &'static str) -> Self {
        Self {
            reason,
            detail: None,
        }
    }

    /// A reason with particulars.
    pub fn with(reason: &'static str, detail: impl Into<Box<str>>) -> Self {
        Self {
            reason,
            detail: Some(detail.into()),
        }
    }
}

/// What an authenticator gives the client it accepts (`spec/authentication.md` section 3.1).
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// Skips all authorization.
    pub is_superuser: bool,
    /// Laid over the attributes from `client_attrs_init`.
    pub client_attrs: Attributes,
    /// Becomes the client id; never empty.
    pub client_id_override: Option<Box<str>>,
    /// Rules that are asked before the configured sources.
    pub acl: Option<Arc<Preset>>,
    /// When the connection has to end, in Unix seconds.
    pub expire_at: Option<u64>,
}

/// An authenticator's answer (`spec/authentication.md` section 2.4).
#[derive(Clone, Debug)]
pub enum Answer {
    /// Accepted; no other authenticator is asked.
    Ok(Box<Grant>),
    /// Refused with that reason code; no other authenticator is asked.
    Deny(u8, Why),
    /// Not mine; the next authenticator is asked.
    Ignore(Why),
    /// Could not decide. [`Answer::settle`] turns it into one of the others.
    Failure(Why),
}

impl Answer {
    /// Decide a failure: passed over where `failures_are_ignored`, else denied as not authorized
    /// (`spec/authentication.md` section 2.3).
    #[must_use]
    pub fn settle(self, failures_are_ignored: bool) -> Self {
        match self {
            Self::Failure(why) if failures_are_ignored => Self::Ignore(why),
            Self::Failure(why) => Self::Deny(reason_code::NOT_AUTHORIZED, why),
            settled => settled,
        }
    }
}

/// Whether a client gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectResult {
    /// The client is accepted.
    Allow,
    /// The client is refused.
    Deny,
}

impl ConnectResult {
    /// The identifier in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// The decision on one CONNECT.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whether the client gets in.
    pub result: ConnectResult,
    /// Why not; none when it does.
    pub reason: Option<&'static str>,
    /// More about the reason, for people; never a secret.
    pub detail: Option<Box<str>>,
    /// MQTT 5 reason code for CONNACK.
    pub reason_code: u8,
    /// An authenticator id, or `no_authenticator`, `no_match`, `enable_authn`, `quick_deny_anonymous`,
    /// `use_username_as_clientid`.
    pub decided_by: Name,
    /// The client as it is now known: for a refused one as far as the pipeline got.
    pub client: AuthenticatedClient,
    /// What happened, in order.
    pub steps: Vec<Step>,
}

impl Decision {
    /// Whether the client gets in.
    pub fn is_allowed(&self) -> bool {
        self.result == ConnectResult::Allow
    }
}

/// A client after authentication: what authorization needs to know about it.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    /// Identity and attributes.
    pub info: ClientInfo,
    /// Rules from the authenticator, asked before the configured sources.
    pub preset: Option<Arc<Preset>>,
    /// When the connection has to end, in Unix seconds.
    pub expire_at: Option<u64>,
}

/// Which rule or setting decided an authorization request. Rules are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecidedBy {
    /// The client is a superuser.
    Superuser,
    /// The client's ACL preset; rule 0 stands for the preset as a whole (no entry matched, expired).
    Preset {
        /// The rule that matched, or 0.
        rule: u32,
    },
    /// The ACL file.
    File {
        /// Position of the source among the configured ones, from 0.
        source: u16,
        /// The rule that matched.
        rule: u32,
    },
    /// The preset could not be evaluated, and the profile refuses then.
    PresetFailed,
    /// The ACL file could not be evaluated, and the profile refuses then.
    FileFailed {
        /// Position of the source among the configured ones, from 0.
        source: u16,
        /// The rule at fault, or 0.
        rule: u32,
    },
    /// The topic is not one that can be asked for, such as `$delayed/x`.
    BadTopic,
    /// No rule matched: `authorization.no_match`.
    NoMatch,
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superuser => f.write_str("superuser"),
            Self::Preset { .. } | Self::PresetFailed => f.write_str("preset"),
            Self::File { rule, .. } | Self::FileFailed { rule, .. } if *rule > 0 => {
                write!(f, "file[{rule}]")
            }
            Self::File { .. } | Self::FileFailed { .. } => f.write_str("file"),
            Self::BadTopic => f.write_str("bad_topic"),
            Self::NoMatch => f.write_str("no_match"),
        }
    }
}

/// The decision on one publish, or on one filter of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the client may.
    pub allow: bool,
    /// What decided.
    pub decided_by: DecidedBy,
}

/// Known reason identifiers, for reasons that come from outside as text.
const KNOWN_REASONS: [&str; 22] = [
    "no_token",
    "not_a_jwt",
    "alg_not_allowed",
    "kid_unknown",
    "bad_signature",
    "expired",
    "not_yet_valid",
    "claim_mismatch",
    "bad_payload",
    "bad_acl",
    "user_not_found",
    "bad_password",
    "no_password",
    "hash_config_mismatch",
    "backend_timeout",
    "backend_unreachable",
    "backend_error",
    "http_status",
    "http_body_unrecognised",
    "certificate_missing",
    "too_many_rounds",
    "policy",
];

/// A reason given as text: the identifier if it is a known one, else `policy` with the text as detail.
pub fn reason_from_text(text: &str) -> Why {
    match KNOWN_REASONS.into_iter().find(|known| *known == text) {
        Some(known) => Why::new(known),
        None => Why::with("policy", text),
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self::Static(name)
    }
}

impl From<Name> for Cow<'static, str> {
    fn from(name: Name) -> Self {
        match name {
            Name::Static(name) => name.into(),
            Name::Shared(name) => name.to_string().into(),
        }
    }
}
