//! The data plane: sockets, packets, sessions, routing. No Python here, no policy of its own.
//!
//! - [`broker`]: starts and stops the loops; the only door for the outside.
//! - [`config`]: the document it starts from.   - [`event`], [`command`]: to and from the control plane.
//! - `event_loop`: one thread's turn.           - [`connection`]: one file a packet.
//! - [`session`]: what outlives a connection.   - [`router`], [`retained`]: who gets a message.
//! - `delayed`: `$delayed/` publishes until they are due.
//! - `rate_budget`: so many in such a time.
//! - `presence`: `$SYS` messages.
//! - [`listener`]: where connections come from. - [`transport`]: from sockets to MQTT bytes and back.
//! - [`metrics`]: what is counted.

#![forbid(unsafe_code)]

pub mod broker;
pub mod clock;
pub mod command;
pub mod config;
pub mod connection;
mod delayed;
pub mod event;
mod event_loop;
pub mod listener;
pub mod message;
pub mod metrics;
mod presence;
mod rate_budget;
mod refusal_throttle;
pub mod retained;
pub mod router;
pub mod session;
mod shared;
pub mod transport;

pub use broker::{Broker, BrokerError};

#[cfg(test)]
extern crate self as vallum_broker;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
