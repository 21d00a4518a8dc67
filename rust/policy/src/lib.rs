//! The security pipeline: who may connect, as whom, what they may do, for how long, and why.
//!
//! Pure: no I/O, no clock (every decision takes `now`), no knowledge of sockets or of Python.
//!
//! - [`client`]: the facts about a client that rules, templates and expressions may ask for.
//! - [`decision`]: decision records: steps, verdicts, reason identifiers.
//! - [`expr`]: the one-line expression language.
//! - [`token`]: JWT keys, verification and claims.
//! - [`acl`]: `acl.conf`, raw rules, presets and their evaluation.
//! - [`template`]: `${placeholder}` templates.
//! - [`mountpoint`]: the text in front of a client's topics.
//! - [`pipeline`]: the compiled chain that runs them in order.

pub mod acl;
pub mod client;
pub mod decision;
pub mod expr;
pub mod mountpoint;
pub mod pipeline;
pub mod profile;
pub mod regex;
pub mod template;
pub mod token;
