//! Control Packets as bytes, for MQTT 3.1, 3.1.1 and 5.0, in both directions.
//!
//! [`FixedHeader::parse`] tells what is coming and how long it is, before it is there;
//! [`Packet::decode`] then reads the body without copying, and [`Packet::encode`] writes it. Each
//! packet has its own file and can be decoded and encoded by itself:
//!
//! - [`connect`], [`connack`], [`auth`], [`disconnect`], [`ping`]: the connection
//! - [`publish`], [`ack`] (PUBACK, PUBREC, PUBREL, PUBCOMP): messages
//! - [`subscribe`], [`unsubscribe`], [`suback`] (SUBACK, UNSUBACK): subscriptions
//! - [`property`]: the properties of MQTT 5.0; [`reason`]: its reason codes
//!
//! Decoding checks what the standard makes malformed or a protocol error for either side;
//! [`Packet::check_from_client`] and [`Packet::check_from_server`] add what depends on the sender.
//! Limits, rights and the validity of Topic Filters are the caller's.

pub mod ack;
pub mod auth;
pub mod connack;
pub mod connect;
mod control;
pub mod disconnect;
mod error;
mod header;
pub mod ping;
pub mod property;
pub mod publish;
pub mod reason;
pub mod suback;
pub mod subscribe;
pub mod unsubscribe;
mod version;
mod wire;

pub use ack::{Ack, AckProperties, PubAck, PubComp, PubRec, PubRel};
pub use auth::{Auth, AuthProperties};
pub use connack::{ConnAck, ConnAckProperties};
pub use connect::{Connect, ConnectProperties, Will, WillProperties};
pub use control::Packet;
pub use disconnect::{Disconnect, DisconnectProperties};
pub use error::{DecodeError, EncodeError};
pub use header::{FixedHeader, MAX_REMAINING_LENGTH, PacketType};
pub use ping::{PINGREQ, PINGRESP};
pub use property::{
    MAX_USER_PROPERTIES, MAX_USER_PROPERTY_BYTES, Property, PropertyId, UserProperties,
};
pub use publish::{Publish, PublishLayout, PublishParts, PublishProperties};
pub use reason::ReasonCode;
pub use suback::{ReasonCodes, SubAck, UnsubAck};
pub use subscribe::{RetainHandling, Subscribe, SubscribeProperties, Subscription, Subscriptions};
pub use unsubscribe::{Filters, Unsubscribe};
pub use version::{QoS, Version};
