//! What only an MQTT 5 connection has, and only those that make use of it: made on first use.

use super::{
    alias::{IncomingAliases, OutgoingAliases},
    auth::Enhanced,
};

/// State of an MQTT 5 connection beyond that of any connection.
#[derive(Debug, Default)]
pub struct V5State {
    /// Topics the client gave aliases.
    pub incoming: Option<Box<IncomingAliases>>,
    /// Topics we gave aliases, if the client takes any.
    pub outgoing: Option<Box<OutgoingAliases>>,
    /// Enhanced authentication, if that is how it came in.
    pub enhanced: Option<Box<Enhanced>>,
    /// The client wants no reason strings (section 3.1.2.11.7).
    pub no_problem_information: bool,
}
