//! What the fuzz targets share: models that are too simple to be wrong, and clients to ask about.
//!
//! - [`packets`]: the first packet of some bytes, and the round trip every packet must survive.
//! - [`topics`]: section 4.7 of the standard as short as it can be said.
//! - [`clients`]: a client made of the input, and the questions rules are asked about it.

pub mod clients;
pub mod packets;
pub mod topics;
