//! The policy configuration as it crosses from Python, once, as JSON.
//!
//! Every member must be there (those of type `Option` may be null) and no other may: defaults live in the
//! configuration models alone.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

use crate::profile::Profile;

/// The version of this format.
pub const VERSION: u32 = 1;

/// Everything the pipeline is compiled from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// [`VERSION`].
    pub version: u32,
    /// How doubtful situations are decided.
    pub profile: Profile,
    /// `mqtt.use_username_as_clientid`.
    pub use_username_as_clientid: bool,
    /// `mqtt.client_attrs_init`.
    pub client_attrs_init: Vec<AttributeInit>,
    /// `mqtt.clientid_override`; none when `disabled`.
    pub clientid_override: Option<String>,
    /// What holds instead of these three in zones of that name.
    pub zones: BTreeMap<String, ZoneConfig>,
    /// Who may connect.
    pub authentication: AuthenticationConfig,
    /// What they may do.
    pub authorization: AuthorizationConfig,
    /// Other topics in place of those that clients name.
    pub rewrite: Vec<RewriteConfig>,
}

impl PolicyConfig {
    /// Read the JSON form.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Who the clients of a zone are taken for: `zones.NAME.mqtt`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneConfig {
    /// `use_username_as_clientid`.
    pub use_username_as_clientid: bool,
    /// `client_attrs_init`.
    pub client_attrs_init: Vec<AttributeInit>,
    /// `clientid_override`; none when `disabled`.
    pub clientid_override: Option<String>,
}

/// One entry of `rewrite`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewriteConfig {
    /// For which packets.
    pub action: RewriteAction,
    /// A filter: the topics it is for.
    pub source_topic: String,
    /// A regular expression that must be found in the topic.
    pub re: String,
    /// The new topic, with `$1` to `$9`, `${clientid}` and `${username}`.
    pub dest_topic: String,
}

/// What a rewrite rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewriteAction {
    /// PUBLISH, and the topics of wills.
    Publish,
    /// SUBSCRIBE and UNSUBSCRIBE.
    Subscribe,
    /// Both.
    All,
}

/// One entry of `mqtt.client_attrs_init`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeInit {
    /// Gives the value.
    pub expression: String,
    /// The attribute it is for.
    pub set_as_attr: String,
}

/// Chains and what surrounds them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthenticationConfig {
    /// Whether a failing authenticator is passed over in the hardened profile too.
    pub ignore_backend_failures: bool,
    /// The global chain.
    pub chain: Option<Vec<StageConfig>>,
    /// By listener, as `type:name`.
    pub listeners: BTreeMap<String, ListenerConfig>,
}

/// Authentication of one listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Whether its clients are authenticated.
    pub enable_authn: EnableAuthn,
    /// A chain that replaces the global one.
    pub chain: Option<Vec<StageConfig>>,
}

/// `listeners.TYPE.NAME.enable_authn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum EnableAuthn {
    /// Run the chain.
    #[serde(rename = "true")]
    True,
    /// Accept everybody as anonymous.
    #[serde(rename = "false")]
    False,
    /// Refuse clients without a user name before the chain.
    #[serde(rename = "quick_deny_anonymous")]
    QuickDenyAnonymous,
}

/// One authenticator.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "mechanism", rename_all = "lowercase")]
pub enum StageConfig {
    /// Checks on what the client says about itself.
    Cinfo(CinfoConfig),
    /// JSON Web Tokens.
    Jwt(JwtConfig),
    /// Decided outside this crate.
    External(ExternalConfig),
}

/// `mechanism = cinfo`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CinfoConfig {
    /// Unique in its chain.
    pub id: String,
    /// A disabled one is not there.
    pub enable: bool,
    /// Must be `true` for the authenticator to be asked.
    pub precondition: Option<String>,
    /// Tried in order.
    pub checks: Vec<CheckConfig>,
}

/// One check: a result for clients that all its expressions are `true` for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckConfig {
    /// Expressions.
    pub is_match: Vec<String>,
    /// The answer.
    pub result: CheckResult,
}

/// Answer of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// The client is accepted.
    Allow,
    /// The client is refused.
    Deny,
    /// The next authenticator is asked.
    Ignore,
}

/// `mechanism = jwt`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// Unique in its chain.
    pub id: String,
    /// A disabled one is not there, and its key is not looked at.
    pub enable: bool,
    /// Must be `true` for the authenticator to be asked.
    pub precondition: Option<String>,
    /// Where the token is.
    pub from: TokenFieldConfig,
    /// What verifies it.
    pub key: KeyConfig,
    /// Claim names and templates, in order.
    pub verify_claims: Vec<(String, String)>,
    /// The claim with an ACL.
    pub acl_claim_name: String,
    /// Whether the connection ends at `exp`.
    pub disconnect_after_expire: bool,
    /// What a CONNECT without a token means.
    pub on_missing_jwt: OnMissingConfig,
}

/// `from` of a JWT authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenFieldConfig {
    /// The Password.
    Password,
    /// The User Name.
    Username,
}

/// `on_missing_jwt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingConfig {
    /// The next authenticator is asked.
    Ignore,
    /// The client is refused.
    Deny,
}

/// Key material.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyConfig {
    /// A shared secret.
    Hmac {
        /// Standard base64 with padding.
        secret_base64: SecretText,
    },
    /// One public key.
    PublicKey {
        /// In PEM form.
        pem: String,
    },
    /// Keys that are fetched while the broker runs.
    Jwks {
        /// The URL, for messages; nothing here opens it.
        endpoint: String,
    },
}

/// A text that never shows.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Hide a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}

/// An authenticator that the caller decides: scripted policies, databases, services.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalConfig {
    /// Unique in its chain, such as `password_based:http`.
    pub id: String,
    /// A disabled one is not there.
    pub enable: bool,
    /// Must be `true` for the authenticator to be asked.
    pub precondition: Option<String>,
    /// The caller's own name for it.
    pub handle: u32,
    /// The Authentication Method it speaks; null: it decides about clients without one.
    pub auth_method: Option<String>,
}

/// Rules and what holds without them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationConfig {
    /// The verdict when no rule matches.
    pub no_match: NoMatch,
    /// What a denial does besides refusing.
    pub deny_action: DenyAction,
    /// Whether a failing source is passed over in the hardened profile too.
    pub ignore_backend_failures: bool,
    /// Characters that values may bring into topics.
    pub topic_template_allow: TopicTemplateAllow,
    /// Asked in order.
    pub sources: Vec<SourceConfig>,
}

/// `authorization.no_match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoMatch {
    /// Permit.
    Allow,
    /// Refuse.
    Deny,
}

/// `authorization.deny_action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DenyAction {
    /// Refuse the request only.
    Ignore,
    /// End the connection too.
    Disconnect,
}

/// `authorization.topic_template_allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicTemplateAllow {
    /// `+`
    pub plus: bool,
    /// `#`
    pub hash: bool,
    /// `/`
    pub slash: bool,
}

/// One authorization source.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SourceConfig {
    /// An `acl.conf`.
    File(FileSourceConfig),
}

/// `type = file`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSourceConfig {
    /// A disabled one is not there.
    pub enable: bool,
    /// Must be `true` for the source to be asked.
    pub precondition: Option<String>,
    /// The file's name, for messages.
    pub path: String,
    /// Its content.
    pub text: String,
}
