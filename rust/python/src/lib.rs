//! `vallum._core`: the only code that knows both Rust and Python. It converts, calls and converts
//! back; it decides nothing and has no defaults.
//!
//! - `convert`: values across the boundary.   - `error`: failures as the classes of `vallum.errors`.
//! - `policy`: clients, rules, the pipeline.   - `token`: tokens.   - `broker`: the data plane.
//! - `reply`: answers of authenticators.
//! - `tls`: certificates of a running broker, and the check of TLS options.

mod broker;
mod convert;
mod error;
mod policy;
mod reply;
mod tls;
mod token;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<policy::Client>()?;
    module.add_class::<policy::Rules>()?;
    module.add_class::<token::JwtAuthenticator>()?;
    module.add_class::<token::JwtOutcome>()?;
    module.add_class::<policy::Pipeline>()?;
    module.add_class::<policy::Decision>()?;
    module.add_class::<policy::Verdict>()?;
    module.add_class::<broker::Broker>()?;
    module.add_function(wrap_pyfunction!(policy::evaluate, module)?)?;
    module.add_function(wrap_pyfunction!(policy::lint_expression, module)?)?;
    module.add_function(wrap_pyfunction!(tls::check_tls, module)?)?;
    module.add_function(wrap_pyfunction!(token::mint_token, module)?)?;
    module.add_function(wrap_pyfunction!(token::inspect_token, module)?)?;
    Ok(())
}
