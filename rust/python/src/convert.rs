//! Values across the boundary.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString},
};
use serde_json::Value;
use vallum_policy::decision::Step;

/// Unix time: the one given, or now.
pub(crate) fn time(at: Option<f64>) -> PyResult<Duration> {
    match at {
        None => Ok(SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()),
        Some(seconds) => Duration::try_from_secs_f64(seconds)
            .map_err(|_| PyValueError::new_err("at: Unix seconds, not negative")),
    }
}

/// A Python value as JSON, by way of `json.dumps` with bytes as `{"$hex": ...}`.
pub(crate) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    let py = value.py();
    let kwargs = PyDict::new(py);
    kwargs.set_item(
        "default",
        py.import("vallum._json")?.getattr("encode_bytes")?,
    )?;
    let text: String = py
        .import("json")?
        .call_method("dumps", (value,), Some(&kwargs))?
        .extract()?;
    serde_json::from_str(&text).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// A JSON value as Python, by way of `json.loads`.
pub(crate) fn from_json<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?
        .call_method1("loads", (value.to_string(),))
}

/// Text where the bytes are UTF-8, else bytes.
pub(crate) fn text_or_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyAny> {
    match std::str::from_utf8(bytes) {
        Ok(text) => PyString::new(py, text).into_any(),
        Err(_) => PyBytes::new(py, bytes).into_any(),
    }
}

/// The steps of a decision record as a list of dicts.
pub(crate) fn steps<'py>(py: Python<'py>, steps: &[Step]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for step in steps {
        let dict = PyDict::new(py);
        dict.set_item("stage", step.stage.as_str())?;
        dict.set_item("name", &*step.name)?;
        dict.set_item("result", step.result.as_str())?;
        dict.set_item("reason", step.reason)?;
        dict.set_item("detail", step.detail.as_deref())?;
        list.append(dict)?;
    }
    Ok(list)
}
