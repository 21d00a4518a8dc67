//! Properties of MQTT 5.0 (section 2.2.2).
//!
//! [`PropertyId`] says which there are and where they belong, [`Property`] holds one with its value
//! checked, [`UserProperties`] the user properties of a packet, still as bytes.

mod id;
mod section;
mod value;

pub use id::PropertyId;
pub use section::{MAX_USER_PROPERTIES, MAX_USER_PROPERTY_BYTES, PropertyIter, UserProperties};
pub use value::Property;

pub(super) use id::Place;
pub(super) use section::{Section, put_property};
