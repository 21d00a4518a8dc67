//! Configuration to [`Pipeline`]. Nothing is left out silently: an authenticator or source that cannot
//! be built is a fault, because a chain without it would admit other clients than its author meant.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    Pipeline,
    attributes::{AttributeExpression, Identity},
    authorize::Authorization,
    chain::{Authenticator, Chain, External, Kind},
    cinfo::{Check, Cinfo},
    config::{
        self, AttributeInit, AuthenticationConfig, CinfoConfig, JwtConfig, KeyConfig,
        OnMissingConfig, PolicyConfig, StageConfig, TokenFieldConfig, ZoneConfig,
    },
    connect::ListenerPolicy,
    rewrite::Rewriter,
};
use crate::{
    decision::Name,
    expr::Expression,
    profile::Profile,
    token::{
        JwtAuthenticator, KeySlot, KeySource, VerifyKey,
        authenticator::{JwtOptions, OnMissing, TokenField},
        is_attribute_name,
    },
};

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileFault {
    /// The option, such as `authentication[0].checks[1].is_match[0]`.
    pub path: String,
    /// What is wrong with it; never shows a secret.
    pub problem: String,
}

impl fmt::Display for CompileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl std::error::Error for CompileFault {}

/// The faults found so far. Compiling goes on after one, to find the others; what comes out is thrown
/// away then.
#[derive(Default)]
pub(super) struct Faults(Vec<CompileFault>);

impl Faults {
    pub(super) fn add(&mut self, path: impl Into<String>, problem: impl fmt::Display) {
        self.0.push(CompileFault {
            path: path.into(),
            problem: problem.to_string(),
        });
    }

    /// The value, or a fault noted in its place.
    fn check<T, E: fmt::Display>(&mut self, path: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|problem| self.add(path, problem)).ok()
    }

    pub(super) fn expression(&mut self, path: &str, text: &str) -> Option<Expression> {
        self.check(path, Expression::compile(text))
    }

    /// A precondition; an empty text is none.
    pub(super) fn precondition(&mut self, path: &str, text: Option<&str>) -> Option<Expression> {
        let compiled = Expression::compile(text.filter(|text| !text.is_empty())?)
            .map_err(|error| format!("bad_precondition_expression: {error}"));
        self.check(&format!("{path}.precondition"), compiled)
    }
}

impl Pipeline {
    /// Compile a configuration, or report every fault in it.
    pub fn compile(config: &PolicyConfig) -> Result<Self, Vec<CompileFault>> {
        let mut faults = Faults::default();
        if config.version != config::VERSION {
            faults.add("version", format!("expected {}", config::VERSION));
        }
        let identity = Identity {
            use_username_as_client_id: config.use_username_as_clientid,
            attributes: attributes("mqtt", &config.client_attrs_init, &mut faults),
            client_id_override: client_id_override(
                "mqtt",
                config.clientid_override.as_deref(),
                &mut faults,
            ),
        };
        let zones = zones(&config.zones, &mut faults);
        let (global, listeners) = chains(config.profile, &config.authentication, &mut faults);
        let authorization =
            Authorization::compile(config.profile, &config.authorization, &mut faults);
        let allow = authorization.template_allow();
        let rewriter = Rewriter::compile(config.profile, allow, &config.rewrite, &mut faults);
        if !faults.0.is_empty() {
            return Err(faults.0);
        }
        Ok(Self {
            rewriter,
            profile: config.profile,
            identity,
            zones,
            global,
            listeners,
            authorization,
        })
    }
}

impl JwtAuthenticator {
    /// Compile one `mechanism = jwt` stage by itself; fault paths start at the stage.
    pub fn from_config(config: &JwtConfig) -> Result<Self, Vec<CompileFault>> {
        let mut faults = Faults::default();
        let compiled = jwt("", config, &mut faults);
        match compiled {
            Some(authenticator) if faults.0.is_empty() => Ok(authenticator),
            _ => Err(faults.0),
        }
    }
}

fn zones(zones: &BTreeMap<String, ZoneConfig>, faults: &mut Faults) -> HashMap<Box<str>, Identity> {
    let mut compiled = HashMap::new();
    for (name, zone) in zones {
        let path = format!("zones.{name}.mqtt");
        let identity = Identity {
            use_username_as_client_id: zone.use_username_as_clientid,
            attributes: attributes(&path, &zone.client_attrs_init, faults),
            client_id_override: client_id_override(
                &path,
                zone.clientid_override.as_deref(),
                faults,
            ),
        };
        compiled.insert(name.as_str().into(), identity);
    }
    compiled
}

fn client_id_override(path: &str, text: Option<&str>, faults: &mut Faults) -> Option<Expression> {
    faults.expression(&format!("{path}.clientid_override"), text?)
}

fn attributes(
    path: &str,
    entries: &[AttributeInit],
    faults: &mut Faults,
) -> Vec<AttributeExpression> {
    let mut compiled = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{path}.client_attrs_init[{index}]");
        if !is_attribute_name(&entry.set_as_attr) {
            faults.add(
                format!("{path}.set_as_attr"),
                "a name is a letter or digit, then letters, digits, '-' and '_'",
            );
        }
        if let Some(expression) =
            faults.expression(&format!("{path}.expression"), &entry.expression)
        {
            compiled.push(AttributeExpression {
                expression,
                name: entry.set_as_attr.as_str().into(),
            });
        }
    }
    compiled
}

type Listeners = HashMap<Box<str>, ListenerPolicy>;

fn chains(
    profile: Profile,
    config: &AuthenticationConfig,
    faults: &mut Faults,
) -> (Arc<Chain>, Listeners) {
    let mut chain = |path: &str, stages: &[StageConfig]| {
        Arc::new(Chain {
            authenticators: authenticators(path, stages, faults),
            profile,
            ignore_backend_failures: config.ignore_backend_failures,
        })
    };
    let global = chain(
        "authentication",
        config.chain.as_deref().unwrap_or_default(),
    );
    let listeners = config
        .listeners
        .iter()
        .map(|(name, listener)| {
            // A listener's chain replaces the global one, even when all its members are disabled.
            let own = match listener.chain.as_deref() {
                None | Some([]) => Arc::clone(&global),
                Some(stages) => {
                    let path = format!("listeners.{}.authentication", name.replacen(':', ".", 1));
                    chain(&path, stages)
                }
            };
            let policy = ListenerPolicy {
                enable_authn: listener.enable_authn,
                chain: own,
            };
            (name.as_str().into(), policy)
        })
        .collect();
    (global, listeners)
}

fn authenticators(path: &str, stages: &[StageConfig], faults: &mut Faults) -> Vec<Authenticator> {
    let mut compiled = Vec::with_capacity(stages.len());
    for (index, stage) in stages.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let (id, enable, precondition) = match stage {
            StageConfig::Cinfo(config) => (&config.id, config.enable, &config.precondition),
            StageConfig::Jwt(config) => (&config.id, config.enable, &config.precondition),
            StageConfig::External(config) => (&config.id, config.enable, &config.precondition),
        };
        if stages
            .iter()
            .take(index)
            .any(|earlier| id_of(earlier) == id)
        {
            faults.add(
                &path,
                format!("already_exists: a chain holds {id} at most once"),
            );
        }
        if !enable {
            continue;
        }
        let precondition = faults.precondition(&path, precondition.as_deref());
        let kind = match stage {
            StageConfig::Cinfo(config) => cinfo(&path, config, faults).map(Kind::Cinfo),
            StageConfig::Jwt(config) => jwt(&path, config, faults).map(Kind::Jwt),
            StageConfig::External(config) => Some(Kind::External(External {
                handle: config.handle,
                method: config.auth_method.as_deref().map(Into::into),
            })),
        };
        compiled.extend(kind.map(|kind| Authenticator {
            id: name_of(id),
            precondition,
            kind,
        }));
    }
    compiled
}

fn id_of(stage: &StageConfig) -> &String {
    match stage {
        StageConfig::Cinfo(config) => &config.id,
        StageConfig::Jwt(config) => &config.id,
        StageConfig::External(config) => &config.id,
    }
}

/// The usual ids need no counting of references at run time.
fn name_of(id: &str) -> Name {
    match id {
        "cinfo" => Name::Static("cinfo"),
        "jwt" => Name::Static("jwt"),
        other => Name::Shared(other.into()),
    }
}

fn cinfo(path: &str, config: &CinfoConfig, faults: &mut Faults) -> Option<Cinfo> {
    if config.checks.is_empty() {
        faults.add(format!("{path}.checks"), "require_at_least_one_check");
        return None;
    }
    let mut checks = Vec::with_capacity(config.checks.len());
    for (index, check) in config.checks.iter().enumerate() {
        let path = format!("{path}.checks[{index}].is_match");
        if check.is_match.is_empty() {
            faults.add(&path, "at least one expression is needed");
        }
        let is_match = check
            .is_match
            .iter()
            .enumerate()
            .filter_map(|(index, text)| faults.expression(&format!("{path}[{index}]"), text))
            .collect();
        checks.push(Check {
            is_match,
            result: check.result,
        });
    }
    Some(Cinfo { checks })
}

fn jwt(path: &str, config: &JwtConfig, faults: &mut Faults) -> Option<JwtAuthenticator> {
    let keys = keys(path, &config.key, faults);
    if config.acl_claim_name.is_empty() {
        faults.add(format!("{path}.acl_claim_name"), "the claim name is empty");
    }
    let options = JwtOptions {
        from: match config.from {
            TokenFieldConfig::Password => TokenField::Password,
            TokenFieldConfig::Username => TokenField::Username,
        },
        // Claims are checked for faults even if the key has one.
        keys: keys.unwrap_or_else(|| KeySource::Slot(Arc::new(KeySlot::default()))),
        verify_claims: &config.verify_claims,
        acl_claim_name: &config.acl_claim_name,
        disconnect_after_expire: config.disconnect_after_expire,
        on_missing_jwt: match config.on_missing_jwt {
            OnMissingConfig::Ignore => OnMissing::Ignore,
            OnMissingConfig::Deny => OnMissing::Deny,
        },
    };
    JwtAuthenticator::new(options)
        .map_err(|found| {
            for fault in found {
                faults.add(
                    format!("{path}.verify_claims[{}]", fault.index),
                    fault.problem,
                );
            }
        })
        .ok()
}

fn keys(path: &str, config: &KeyConfig, faults: &mut Faults) -> Option<KeySource> {
    let key = match config {
        KeyConfig::Hmac { secret_base64 } => {
            let path = format!("{path}.secret");
            let decoded = BASE64_STANDARD.decode(secret_base64.reveal());
            let secret = faults.check(&path, decoded.map_err(|_| "not base64 with padding"))?;
            faults.check(&path, VerifyKey::hmac(&secret))
        }
        KeyConfig::PublicKey { pem } => faults.check(
            &format!("{path}.public_key"),
            VerifyKey::from_public_pem(pem),
        ),
        // Without keys until somebody fills the slot: every token is a failure until then.
        KeyConfig::Jwks { endpoint } => {
            if endpoint.is_empty() {
                faults.add(format!("{path}.endpoint"), "the URL is empty");
            }
            return Some(KeySource::Slot(Arc::new(KeySlot::default())));
        }
    };
    key.map(KeySource::Fixed)
}
