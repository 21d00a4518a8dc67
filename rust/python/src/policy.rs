//! Clients, rules, tokens and the pipeline.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyList},
};
use vallum_policy::{
    acl::{self, Action, Request, RuleSource, Settings, Stage, TemplateAllow, decide_staged},
    client::ClientInfo,
    decision,
    expr::{Expression, JsonVariables, Lookup, Variables},
    pipeline::{self, ConnectRequest, PolicyConfig, Progress},
    profile::Profile,
};

use crate::{convert, error};

pub(crate) fn profile(name: &str) -> PyResult<Profile> {
    match name {
        "hardened" => Ok(Profile::Hardened),
        "legacy" => Ok(Profile::Legacy),
        other => Err(PyValueError::new_err(format!(
            "profile: hardened or legacy, not {other:?}"
        ))),
    }
}

fn action(name: &str, retain: bool) -> PyResult<Action> {
    match name {
        "publish" => Ok(Action::Publish { retain }),
        "subscribe" => Ok(Action::Subscribe),
        other => Err(PyValueError::new_err(format!(
            "action: publish or subscribe, not {other:?}"
        ))),
    }
}

/// Variables whose `getenv` sees the environment as it is now, not as it was when it was first asked:
/// a program that calls in may have set it a moment ago. The interpreter is held, so no other Python
/// thread changes it meanwhile.
struct LiveEnvironment<'j>(JsonVariables<'j>);

impl Variables for LiveEnvironment<'_> {
    fn get<'a>(&'a self, name: &str) -> Lookup<'a> {
        self.0.get(name)
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(format!("EMQXVAR_{name}")).ok()
    }
}

/// Evaluate an expression; see `vallum.expr.evaluate`.
#[pyfunction]
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    expression: &str,
    variables: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let compiled =
        Expression::compile(expression).map_err(|fault| error::expression(py, &fault))?;
    let variables = convert::to_json(variables.as_any())?;
    let variables = LiveEnvironment(JsonVariables(&variables));
    let result = compiled
        .evaluate(&variables)
        .map_err(|fault| error::expression(py, &fault))?;
    Ok(convert::text_or_bytes(py, &result))
}

/// Line, column, message, suggestion.
type Finding = (u32, u32, String, Option<String>);

/// What is suspicious about an expression: line, column, message, suggestion.
#[pyfunction]
pub(crate) fn lint_expression(py: Python<'_>, expression: &str) -> PyResult<Vec<Finding>> {
    let compiled =
        Expression::compile(expression).map_err(|fault| error::expression(py, &fault))?;
    let lints = compiled.lint().into_iter();
    Ok(lints
        .map(|l| (l.position.0, l.position.1, l.message, l.suggestion))
        .collect())
}

/// The facts about a client, as `vallum.Client`.
#[pyclass(frozen, module = "vallum")]
pub(crate) struct Client {
    pub(crate) info: ClientInfo,
    pub(crate) password: Option<Vec<u8>>,
    proto_ver: u8,
    cert_subject: Option<String>,
    pub(crate) auth_method: Option<String>,
    auth_data: Option<Vec<u8>>,
    user_properties: Vec<(String, String)>,
}

/// Text as UTF-8, or bytes as they are.
fn secret_bytes(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Option<Vec<u8>>> {
    let Some(value) = value else { return Ok(None) };
    if let Ok(text) = value.extract::<&str>() {
        return Ok(Some(text.as_bytes().to_vec()));
    }
    match value.extract::<&[u8]>() {
        Ok(bytes) => Ok(Some(bytes.to_vec())),
        Err(_) => Err(PyTypeError::new_err(format!("{name}: str, bytes or None"))),
    }
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (clientid, username=None, password=None, peerhost=None, proto_ver=5,
        listener="tcp:default", zone="default", client_attrs=None, is_superuser=false,
        cert_common_name=None, cert_subject=None, auth_method=None, auth_data=None,
        user_properties=None))]
    #[allow(
        clippy::too_many_arguments,
        reason = "keyword arguments of the public Python class"
    )]
    fn new(
        clientid: &str,
        username: Option<&str>,
        password: Option<&Bound<'_, PyAny>>,
        peerhost: Option<&str>,
        proto_ver: u8,
        listener: &str,
        zone: &str,
        client_attrs: Option<BTreeMap<String, String>>,
        is_superuser: bool,
        cert_common_name: Option<&str>,
        cert_subject: Option<String>,
        auth_method: Option<String>,
        auth_data: Option<&Bound<'_, PyAny>>,
        user_properties: Option<Vec<(String, String)>>,
    ) -> PyResult<Self> {
        let address = peerhost
            .map(|text| {
                text.parse::<IpAddr>()
                    .map(|address| address.to_canonical())
                    .map_err(|_| {
                        PyValueError::new_err(format!("peerhost: no IP address: {text:?}"))
                    })
            })
            .transpose()?;
        Ok(Self {
            info: ClientInfo {
                client_id: clientid.into(),
                username: username.map(Into::into),
                peer_host: address,
                zone: zone.into(),
                listener: listener.into(),
                cert_common_name: cert_common_name.map(Into::into),
                client_attrs: client_attrs
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
                is_superuser,
            },
            password: secret_bytes(password, "password")?,
            proto_ver,
            cert_subject,
            auth_method,
            auth_data: secret_bytes(auth_data, "auth_data")?,
            user_properties: user_properties.unwrap_or_default(),
        })
    }

    #[getter]
    fn clientid(&self) -> &str {
        &self.info.client_id
    }

    #[getter]
    fn username(&self) -> Option<&str> {
        self.info.username.as_deref()
    }

    #[getter]
    fn listener(&self) -> &str {
        &self.info.listener
    }

    #[getter]
    fn proto_ver(&self) -> u8 {
        self.proto_ver
    }

    fn __repr__(&self) -> String {
        let password = if self.password.is_some() {
            "'******'"
        } else {
            "None"
        };
        format!(
            "Client(clientid={:?}, username={:?}, password={password}, listener={:?})",
            self.info.client_id, self.info.username, self.info.listener
        )
    }
}

enum Source {
    File(acl::RuleSet),
    Preset(acl::Preset),
}

/// Compiled rules, as `vallum.acl.Rules`.
#[pyclass(frozen, module = "vallum.acl")]
pub(crate) struct Rules(Source);

#[pymethods]
impl Rules {
    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<Self> {
        let rules = acl::RuleSet::parse(text).map_err(|fault| error::acl(py, &fault))?;
        Ok(Self(Source::File(rules)))
    }

    #[staticmethod]
    #[pyo3(signature = (claim, expire_at=None))]
    fn preset(claim: &Bound<'_, PyAny>, expire_at: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let expiry = expire_at.map(convert::to_json).transpose()?;
        let expiry = acl::Expiry::from_json(expiry.as_ref());
        acl::Preset::from_json(&convert::to_json(claim)?, expiry)
            .map(|preset| Self(Source::Preset(preset)))
            .map_err(|fault| error::preset(claim.py(), &fault))
    }

    #[pyo3(signature = (client, action, topic, *, qos=0, retain=false, profile="hardened",
        stage="packet", at=None, ignore_backend_failures=false, topic_template_allow=None))]
    #[allow(
        clippy::too_many_arguments,
        reason = "keyword arguments of the public Python method"
    )]
    fn decide(
        &self,
        client: &Client,
        action: &str,
        topic: &str,
        qos: u8,
        retain: bool,
        profile: &str,
        stage: &str,
        at: Option<f64>,
        ignore_backend_failures: bool,
        topic_template_allow: Option<BTreeMap<String, bool>>,
    ) -> PyResult<&'static str> {
        let stage = match stage {
            "rule" => Stage::Rule,
            "packet" => Stage::Packet,
            "pipeline" => Stage::Pipeline,
            other => {
                let problem = format!("stage: rule, packet or pipeline, not {other:?}");
                return Err(PyValueError::new_err(problem));
            }
        };
        let allow = topic_template_allow.unwrap_or_default();
        let allowed = |name: &str| allow.get(name).copied().unwrap_or(false);
        let settings = Settings {
            profile: self::profile(profile)?,
            ignore_backend_failures,
            template_allow: TemplateAllow {
                plus: allowed("plus"),
                hash: allowed("hash"),
                slash: allowed("slash"),
            },
        };
        let request = Request {
            action: self::action(action, retain)?,
            qos,
            topic,
        };
        let source = match &self.0 {
            Source::File(rules) => RuleSource::Rules(rules),
            Source::Preset(preset) => {
                let now = convert::time(at)?.as_secs();
                RuleSource::Preset(preset, i64::try_from(now).unwrap_or(i64::MAX))
            }
        };
        Ok(decide_staged(source, stage, &settings, &client.info, &request).name())
    }

    /// What was accepted but is probably not meant.
    fn warnings(&self) -> Vec<String> {
        match &self.0 {
            Source::File(rules) => rules.warnings().iter().map(ToString::to_string).collect(),
            Source::Preset(_) => Vec::new(),
        }
    }
}

/// The decision on one CONNECT, as `vallum.Decision`.
#[pyclass(frozen, module = "vallum")]
pub(crate) struct Decision(decision::Decision);

#[pymethods]
impl Decision {
    #[getter]
    fn result(&self) -> &'static str {
        self.0.result.as_str()
    }

    #[getter]
    fn reason(&self) -> Option<&'static str> {
        self.0.reason
    }

    #[getter]
    fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    #[getter]
    fn reason_code(&self) -> u8 {
        self.0.reason_code
    }

    #[getter]
    fn decided_by(&self) -> &str {
        &self.0.decided_by
    }

    #[getter]
    fn clientid(&self) -> &str {
        &self.0.client.info.client_id
    }

    #[getter]
    fn username(&self) -> Option<&str> {
        self.0.client.info.username.as_deref()
    }

    #[getter]
    fn client_attrs(&self) -> BTreeMap<&str, &str> {
        self.0
            .client
            .info
            .client_attrs
            .iter()
            .map(|(k, v)| (&**k, &**v))
            .collect()
    }

    #[getter]
    fn is_superuser(&self) -> bool {
        self.0.client.info.is_superuser
    }

    #[getter]
    fn expire_at(&self) -> Option<u64> {
        self.0.client.expire_at
    }

    #[getter]
    fn acl<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0
            .client
            .preset
            .as_ref()
            .map(|p| convert::from_json(py, p.raw()))
            .transpose()
    }

    #[getter]
    fn steps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        convert::steps(py, &self.0.steps)
    }

    fn __repr__(&self) -> String {
        format!(
            "Decision(result={:?}, reason={}, reason_code={:#04x}, decided_by={:?})",
            self.0.result.as_str(),
            self.0
                .reason
                .map_or_else(|| "None".to_owned(), |reason| format!("{reason:?}")),
            self.0.reason_code,
            &*self.0.decided_by
        )
    }
}

/// The decision on one publish or subscribe, as `vallum.Verdict`.
#[pyclass(frozen, module = "vallum")]
pub(crate) struct Verdict {
    verdict: decision::Verdict,
    trace: Vec<decision::Step>,
}

#[pymethods]
impl Verdict {
    #[getter]
    fn result(&self) -> &'static str {
        if self.verdict.allow { "allow" } else { "deny" }
    }

    #[getter]
    fn decided_by(&self) -> String {
        self.verdict.decided_by.to_string()
    }

    #[getter]
    fn steps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        convert::steps(py, &self.trace)
    }

    fn __repr__(&self) -> String {
        format!(
            "Verdict(result={:?}, decided_by={:?})",
            self.result(),
            self.decided_by()
        )
    }
}

/// The compiled pipeline.
#[pyclass(frozen, module = "vallum._core")]
pub(crate) struct Pipeline(pub(crate) Arc<pipeline::Pipeline>);

#[pymethods]
impl Pipeline {
    #[new]
    fn new(py: Python<'_>, document: &str) -> PyResult<Self> {
        let config = PolicyConfig::from_json(document)
            .map_err(|fault| error::config_problem(py, "", &fault))?;
        match py.detach(|| pipeline::Pipeline::compile(&config)) {
            Ok(pipeline) => Ok(Self(Arc::new(pipeline))),
            Err(faults) => Err(error::config(py, &faults)),
        }
    }

    fn connect(&self, py: Python<'_>, client: &Client, at: Option<f64>) -> PyResult<Decision> {
        let user_properties: Vec<(&str, &str)> = client
            .user_properties
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        let request = ConnectRequest {
            client_id: &client.info.client_id,
            username: client.info.username.as_deref(),
            password: client.password.as_deref(),
            peer_host: client.info.peer_host,
            proto_ver: client.proto_ver,
            listener: &client.info.listener,
            zone: &client.info.zone,
            cert_common_name: client.info.cert_common_name.as_deref(),
            cert_subject: client.cert_subject.as_deref(),
            tls: None,
            auth_method: client.auth_method.as_deref(),
            auth_data: client.auth_data.as_deref(),
            user_properties: &user_properties,
            client_attrs: Some(&client.info.client_attrs),
            is_superuser: client.info.is_superuser,
        };
        match self.0.connect(&request, convert::time(at)?) {
            Progress::Decided(decision) => Ok(Decision(decision)),
            Progress::External(_) => Err(error::other(
                py,
                &"the chain holds a stage that only a running broker can ask",
            )),
        }
    }

    fn authorize(
        &self,
        decision: &Decision,
        action: &str,
        topic: &str,
        qos: u8,
        retain: bool,
        at: Option<f64>,
    ) -> PyResult<Verdict> {
        let client = &decision.0.client;
        let action = self::action(action, retain)?;
        let rewritten = self.0.judged_topic(&client.info, action, topic);
        let request = Request {
            action,
            qos,
            topic: rewritten.as_deref().unwrap_or(topic),
        };
        let (verdict, trace) = self
            .0
            .authorize_traced(client, &request, convert::time(at)?);
        Ok(Verdict { verdict, trace })
    }
}
