//! Failures as Python exceptions: the classes are those of `vallum.errors`, and only this file makes
//! them.

use pyo3::{prelude::*, types::PyList};
use vallum_broker::BrokerError;
use vallum_policy::{acl::AclError, expr::ExpressionError, pipeline::CompileFault};

/// An instance of the class `name` of `vallum.errors`.
fn raise<'py, A>(py: Python<'py>, name: &str, args: A) -> PyErr
where
    A: pyo3::call::PyCallArgs<'py>,
{
    let made = py
        .import("vallum.errors")
        .and_then(|module| module.getattr(name))
        .and_then(|class| class.call1(args));
    match made {
        Ok(instance) => PyErr::from_value(instance),
        Err(error) => error,
    }
}

/// `ConfigError` with every fault.
pub(crate) fn config(py: Python<'_>, faults: &[CompileFault]) -> PyErr {
    let list = faults
        .iter()
        .map(|fault| {
            let problem = fault.problem.as_str();
            py.import("vallum.errors")?
                .getattr("Fault")?
                .call1((fault.path.as_str(), problem))
        })
        .collect::<PyResult<Vec<_>>>()
        .and_then(|made| PyList::new(py, made));
    match list {
        Ok(list) => raise(py, "ConfigError", (list,)),
        Err(error) => error,
    }
}

/// `ConfigError` with one fault.
pub(crate) fn config_problem(py: Python<'_>, path: &str, problem: &impl ToString) -> PyErr {
    config(
        py,
        &[CompileFault {
            path: path.to_owned(),
            problem: problem.to_string(),
        }],
    )
}

/// `AclError`.
pub(crate) fn acl(py: Python<'_>, error: &AclError) -> PyErr {
    raise(
        py,
        "AclError",
        (error.line, error.column, error.problem.as_str()),
    )
}

/// `AclError` for a preset, which has no lines.
pub(crate) fn preset(py: Python<'_>, problem: &impl ToString) -> PyErr {
    raise(py, "AclError", (1, 1, problem.to_string()))
}

/// `ExpressionError`.
pub(crate) fn expression(py: Python<'_>, error: &ExpressionError) -> PyErr {
    let place = error
        .position
        .map(|(line, column)| format!(" (line {line}, column {column})"))
        .unwrap_or_default();
    raise(
        py,
        "ExpressionError",
        (error.code.as_str(), format!("{}{place}", error.detail)),
    )
}

/// `BrokerError`.
pub(crate) fn broker(py: Python<'_>, error: &BrokerError) -> PyErr {
    raise(py, "BrokerError", (error.to_string(),))
}

/// `VallumError` with a text.
pub(crate) fn other(py: Python<'_>, problem: &impl ToString) -> PyErr {
    raise(py, "VallumError", (problem.to_string(),))
}
