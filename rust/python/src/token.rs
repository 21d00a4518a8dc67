//! Tokens: minting, reading, and the `mechanism = jwt` authenticator by itself.

use std::collections::BTreeMap;

use pyo3::{exceptions::PyTypeError, prelude::*};
use serde_json::Value;
use vallum_policy::{
    decision::{self, Answer, reason_code},
    pipeline::config::JwtConfig,
    profile::Profile,
    token::{
        self, Algorithm, Credentials,
        mint::{self, SigningKey},
    },
};

use crate::{
    convert, error,
    policy::{Client, profile},
};

/// A token signed with `key`: the shared secret for HS*, a private key in PEM form for the others.
#[pyfunction]
pub(crate) fn mint_token(
    py: Python<'_>,
    algorithm: &str,
    claims: &Bound<'_, PyAny>,
    key: &[u8],
    header: &Bound<'_, PyAny>,
) -> PyResult<String> {
    let algorithm = Algorithm::from_name(algorithm)
        .ok_or_else(|| error::other(py, &format!("unknown algorithm {algorithm:?}")))?;
    let claims = convert::to_json(claims)?;
    let Value::Object(header) = convert::to_json(header)? else {
        return Err(PyTypeError::new_err("header: a dict"));
    };
    let pem;
    let key = if matches!(
        algorithm,
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512
    ) {
        SigningKey::Secret(key)
    } else {
        pem = std::str::from_utf8(key).map_err(|_| error::other(py, &"the key is not PEM text"))?;
        SigningKey::PrivatePem(pem)
    };
    mint::mint(algorithm, &header, &claims, &key).map_err(|fault| error::other(py, &fault))
}

/// Header and claims of a token, unverified.
#[pyfunction]
pub(crate) fn inspect_token<'py>(
    py: Python<'py>,
    token: &[u8],
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (header, claims) = mint::inspect(token)
        .map_err(|fault| error::other(py, &format!("not a token that can be read: {fault:?}")))?;
    Ok((
        convert::from_json(py, &header)?,
        convert::from_json(py, &claims)?,
    ))
}

/// What a JWT authenticator says, as `vallum.jwt.Outcome`.
#[pyclass(frozen, get_all, module = "vallum.jwt")]
pub(crate) struct JwtOutcome {
    result: &'static str,
    reason: Option<&'static str>,
    detail: Option<String>,
    reason_code: u8,
    is_superuser: bool,
    client_attrs: BTreeMap<String, String>,
    acl: Option<Py<PyAny>>,
    expire_at: Option<u64>,
    clientid_override: Option<String>,
}

impl JwtOutcome {
    fn refused(result: &'static str, reason_code: u8, why: decision::Why) -> Self {
        Self {
            result,
            reason: Some(why.reason),
            detail: why.detail.map(Into::into),
            reason_code,
            is_superuser: false,
            client_attrs: BTreeMap::new(),
            acl: None,
            expire_at: None,
            clientid_override: None,
        }
    }
}

/// One `mechanism = jwt` authenticator by itself.
#[pyclass(frozen, module = "vallum.jwt")]
pub(crate) struct JwtAuthenticator(token::JwtAuthenticator);

#[pymethods]
impl JwtAuthenticator {
    #[new]
    fn new(py: Python<'_>, stage: &str) -> PyResult<Self> {
        let config: JwtConfig =
            serde_json::from_str(stage).map_err(|fault| error::config_problem(py, "", &fault))?;
        token::JwtAuthenticator::from_config(&config)
            .map(Self)
            .map_err(|faults| error::config(py, &faults))
    }

    fn authenticate(
        &self,
        py: Python<'_>,
        client: &Client,
        profile: &str,
        at: Option<f64>,
    ) -> PyResult<JwtOutcome> {
        let failures_are_ignored = self::profile(profile)? == Profile::Legacy;
        let credentials = Credentials {
            client_id: &client.info.client_id,
            username: client.info.username.as_deref(),
            password: client.password.as_deref(),
            enhanced: client.auth_method.is_some(),
        };
        let answer = self
            .0
            .authenticate(&credentials, convert::time(at)?.as_secs());
        match answer.settle(failures_are_ignored) {
            Answer::Ok(grant) => Ok(JwtOutcome {
                result: "ok",
                reason: None,
                detail: None,
                reason_code: reason_code::SUCCESS,
                is_superuser: grant.is_superuser,
                client_attrs: grant
                    .client_attrs
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_string()))
                    .collect(),
                acl: match &grant.acl {
                    Some(preset) => Some(convert::from_json(py, preset.raw())?.unbind()),
                    None => None,
                },
                expire_at: grant.expire_at,
                clientid_override: grant.client_id_override.map(Into::into),
            }),
            Answer::Deny(code, why) => Ok(JwtOutcome::refused("deny", code, why)),
            Answer::Ignore(why) | Answer::Failure(why) => Ok(JwtOutcome::refused(
                "ignore",
                reason_code::NOT_AUTHORIZED,
                why,
            )),
        }
    }
}
