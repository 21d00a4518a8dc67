//! Listeners: where connections come from.
//!
//! - `control`: opening, changing and closing them while the broker runs.
//! - [`acceptor`]: their sockets. - `tcp`, `unix`: opening them.
//! - `table`: what connections know of the listener they came to, and of its zone.
//! - `rate`: how many, and how fast.
//! - `access`: who may connect. - [`forwarded`]: addresses that HTTP proxies announce.

pub mod acceptor;
pub(crate) mod access;
pub(crate) mod control;
pub mod forwarded;
pub(crate) mod rate;
pub(crate) mod table;
mod tcp;
mod unix;

pub use acceptor::Endpoint;
