//! MQTT without I/O: control packets as bytes, and the matching of topics.
//!
//! - [`packet`]: every Control Packet of MQTT 3.1, 3.1.1 and 5.0, one codec with a version argument.
//!   Decoded packets borrow from the bytes they came from.
//! - [`topic`]: Topic Names and Topic Filters, the one topic matcher of the house, the subscription
//!   tree and the tree of retained topics.
//!
//! Nothing here reads a clock or a socket, and nothing a peer sends makes it panic.
#![forbid(unsafe_code)]

pub mod packet;
pub mod topic;
