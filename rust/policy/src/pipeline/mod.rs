//! The compiled pipeline: from a CONNECT to a decision, from a request to a verdict.
//!
//! - [`config`]: the configuration as it crosses the boundary, checked for form only.
//! - `compile`: configuration to [`Pipeline`]; every fault is reported, with its path.
//! - `connect`: the order of things on CONNECT, and [`ConnectRequest`].
//! - `attributes`: `mqtt.client_attrs_init` and `mqtt.clientid_override`.
//! - `variables`: which names an expression sees in which place.
//! - `chain`: authenticators in order, until one decides.
//! - `suspended`: a CONNECT that waits for an authenticator outside this crate.
//! - `cinfo`: the authenticator that looks at nothing but the client's own statements.
//! - `rewrite`: other topics in place of those that clients name.
//! - `authorize`: publish and subscribe requests against preset and sources.

mod attributes;
mod authorize;
mod chain;
mod cinfo;
mod compile;
pub mod config;
mod connect;
mod rewrite;
mod suspended;
mod variables;

pub use chain::Progress;
pub use compile::CompileFault;
pub use config::PolicyConfig;
pub use connect::{ConnectRequest, Pipeline, Renewal};
pub use suspended::{ExternalVerdict, Suspended};
