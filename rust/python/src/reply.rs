//! An authenticator's answer, from Python to the data plane.

use std::collections::BTreeMap;

use pyo3::{exceptions::PyValueError, prelude::*};
use vallum_broker::command::Reply;
use vallum_policy::{acl, decision::Grant, pipeline::ExternalVerdict};

use crate::{convert, error};

/// What an answer may hold; which members count depends on the result.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Answer<'py> {
    result: String,
    data: Option<Vec<u8>>,
    reason: String,
    reason_code: u8,
    is_superuser: bool,
    client_attrs: BTreeMap<String, String>,
    acl: Option<Bound<'py, PyAny>>,
    expire_at: Option<u64>,
}

impl Answer<'_> {
    /// As the data plane takes it.
    pub(crate) fn into_reply(self, py: Python<'_>) -> PyResult<Reply> {
        let data = self.data.map(Vec::into_boxed_slice);
        let reason = self.reason;
        let verdict = match self.result.as_str() {
            "continue" => return Ok(Reply::Continue { data }),
            "ok" => ExternalVerdict::Ok(Box::new(Grant {
                is_superuser: self.is_superuser,
                client_attrs: attributes(self.client_attrs),
                client_id_override: None,
                acl: self.acl.map(|claim| preset(py, &claim)).transpose()?,
                expire_at: self.expire_at,
            })),
            "deny" => ExternalVerdict::Deny {
                reason_code: self.reason_code,
                reason,
            },
            "ignore" => ExternalVerdict::Ignore { reason },
            "error" => ExternalVerdict::Error { reason },
            other => {
                let words = "ok, deny, ignore, error or continue";
                return Err(PyValueError::new_err(format!(
                    "result: {words}, not {other}"
                )));
            }
        };
        Ok(Reply::Decided { verdict, data })
    }
}

fn attributes(given: BTreeMap<String, String>) -> vallum_policy::client::Attributes {
    given
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn preset(py: Python<'_>, claim: &Bound<'_, PyAny>) -> PyResult<std::sync::Arc<acl::Preset>> {
    let expiry = acl::Expiry::from_json(None);
    acl::Preset::from_json(&convert::to_json(claim)?, expiry)
        .map(Into::into)
        .map_err(|fault| error::preset(py, &fault))
}
