//! Sessions: what outlives a network connection (section 4.1 of MQTT 5).
//!
//! - [`registry`]: which loop owns the session of a client identifier.
//! - [`state`]: the session itself.
//! - `attach`: from an accepted CONNECT to a session.
//! - `departed`: the subscriptions of one that has ended.
//! - `groups`: what it owes the groups of shared subscriptions.
//! - [`inflight`]: deliveries that wait for acknowledgements.
//! - [`queue`]: deliveries that wait for room.

pub(crate) mod attach;
pub(crate) mod auto_subscribe;
mod departed;
mod groups;
pub mod inflight;
pub mod queue;
pub mod registry;
pub mod state;

pub(crate) use departed::Departed;
pub use registry::{Registry, SessionRef};
pub use state::Session;
