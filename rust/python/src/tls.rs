//! Certificates of a running broker, and the check of TLS options.

use std::sync::Arc;

use pyo3::prelude::*;
use vallum_broker::{
    self as broker,
    config::TlsConfig,
    transport::tls::listener::{self, Fault, TlsListener},
};

use crate::error;

/// Options below `ssl_options`, each with what is wrong.
pub(crate) type Faults = Vec<(String, String)>;

fn to_pairs(faults: Vec<Fault>) -> Faults {
    faults
        .into_iter()
        .map(|fault| (fault.option, fault.problem))
        .collect()
}

/// Whether something changed, and what kept it from changing.
pub(crate) type Outcome = (bool, Faults);

fn to_outcome(result: Result<bool, Vec<Fault>>) -> Outcome {
    match result {
        Ok(changed) => (changed, Vec::new()),
        Err(faults) => (false, to_pairs(faults)),
    }
}

/// Read the files of `ssl_options`: faults, and what to look at.
#[pyfunction]
pub(crate) fn check_tls(py: Python<'_>, document: &str) -> PyResult<(Faults, Faults)> {
    let config: TlsConfig =
        serde_json::from_str(document).map_err(|fault| error::config_problem(py, "", &fault))?;
    let report = py.detach(|| listener::check(&config));
    Ok((to_pairs(report.faults), to_pairs(report.warnings)))
}

/// `Broker.reload_tls`.
pub(crate) fn reload(broker: &broker::Broker) -> Vec<(String, bool, Faults)> {
    let listeners = broker.tls_listeners();
    listeners
        .into_iter()
        .map(|(id, tls)| {
            let (changed, faults) = to_outcome(tls.reload());
            (id.to_string(), changed, faults)
        })
        .collect()
}

/// Put fetched revocation lists into force.
pub(crate) fn set_lists(tls: &TlsListener, files: Vec<String>) -> Outcome {
    to_outcome(tls.set_fetched_lists(files))
}

/// The TLS side of a listener.
pub(crate) fn of(py: Python<'_>, broker: &broker::Broker, id: &str) -> PyResult<Arc<TlsListener>> {
    broker
        .tls_listeners()
        .into_iter()
        .find_map(|(known, tls)| (*known == *id).then_some(tls))
        .ok_or_else(|| error::other(py, &format!("no TLS listener {id}")))
}
