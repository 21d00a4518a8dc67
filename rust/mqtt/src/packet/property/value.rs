//! One property with its value.

use std::num::{NonZeroU16, NonZeroU32};

use super::super::error::{DecodeError, EncodeError};
use super::super::header::MAX_REMAINING_LENGTH;
use super::super::version::QoS;
use super::super::wire::{Reader, put_binary, put_string, put_u16, put_u32, put_varint};
use super::id::PropertyId;
use crate::topic::filter::has_wildcard;

/// A property; values out of range cannot be held, but for a Subscription Identifier too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant has its doc line")]
pub enum Property<'a> {
    /// True: the payload is UTF-8 text.
    PayloadFormatIndicator(bool),
    /// Seconds.
    MessageExpiryInterval(u32),
    /// What the payload is, for the receiver.
    ContentType(&'a str),
    /// A Topic Name without wildcards.
    ResponseTopic(&'a str),
    /// For the requester to tell answers apart.
    CorrelationData(&'a [u8]),
    /// 1 to 268,435,455.
    SubscriptionIdentifier(NonZeroU32),
    /// Seconds; `u32::MAX` is never.
    SessionExpiryInterval(u32),
    /// The name the server gave.
    AssignedClientIdentifier(&'a str),
    /// Seconds.
    ServerKeepAlive(u16),
    /// Name of an enhanced authentication.
    AuthenticationMethod(&'a str),
    /// Content set by the method.
    AuthenticationData(&'a [u8]),
    /// May the server send reason strings and user properties with failures.
    RequestProblemInformation(bool),
    /// Seconds.
    WillDelayInterval(u32),
    /// Does the client want response information.
    RequestResponseInformation(bool),
    /// Basis for response topics.
    ResponseInformation(&'a str),
    /// Where to connect instead.
    ServerReference(&'a str),
    /// For people who read logs.
    ReasonString(&'a str),
    /// Unacknowledged `QoS` 1 and 2 messages accepted.
    ReceiveMaximum(NonZeroU16),
    /// Highest alias accepted.
    TopicAliasMaximum(u16),
    /// Stands for a Topic Name.
    TopicAlias(NonZeroU16),
    /// Highest `QoS` the server supports. 2 is let pass, though the server then should say nothing.
    MaximumQoS(QoS),
    /// Does the server retain.
    RetainAvailable(bool),
    /// Name and value.
    UserProperty(&'a str, &'a str),
    /// Bytes.
    MaximumPacketSize(NonZeroU32),
    /// Does the server take wildcards.
    WildcardSubscriptionAvailable(bool),
    /// Does the server take subscription identifiers.
    SubscriptionIdentifiersAvailable(bool),
    /// Does the server take shared subscriptions.
    SharedSubscriptionAvailable(bool),
}

impl<'a> Property<'a> {
    /// Which property it is.
    pub fn id(&self) -> PropertyId {
        match self {
            Self::PayloadFormatIndicator(..) => PropertyId::PayloadFormatIndicator,
            Self::MessageExpiryInterval(..) => PropertyId::MessageExpiryInterval,
            Self::ContentType(..) => PropertyId::ContentType,
            Self::ResponseTopic(..) => PropertyId::ResponseTopic,
            Self::CorrelationData(..) => PropertyId::CorrelationData,
            Self::SubscriptionIdentifier(..) => PropertyId::SubscriptionIdentifier,
            Self::SessionExpiryInterval(..) => PropertyId::SessionExpiryInterval,
            Self::AssignedClientIdentifier(..) => PropertyId::AssignedClientIdentifier,
            Self::ServerKeepAlive(..) => PropertyId::ServerKeepAlive,
            Self::AuthenticationMethod(..) => PropertyId::AuthenticationMethod,
            Self::AuthenticationData(..) => PropertyId::AuthenticationData,
            Self::RequestProblemInformation(..) => PropertyId::RequestProblemInformation,
            Self::WillDelayInterval(..) => PropertyId::WillDelayInterval,
            Self::RequestResponseInformation(..) => PropertyId::RequestResponseInformation,
            Self::ResponseInformation(..) => PropertyId::ResponseInformation,
            Self::ServerReference(..) => PropertyId::ServerReference,
            Self::ReasonString(..) => PropertyId::ReasonString,
            Self::ReceiveMaximum(..) => PropertyId::ReceiveMaximum,
            Self::TopicAliasMaximum(..) => PropertyId::TopicAliasMaximum,
            Self::TopicAlias(..) => PropertyId::TopicAlias,
            Self::MaximumQoS(..) => PropertyId::MaximumQoS,
            Self::RetainAvailable(..) => PropertyId::RetainAvailable,
            Self::UserProperty(..) => PropertyId::UserProperty,
            Self::MaximumPacketSize(..) => PropertyId::MaximumPacketSize,
            Self::WildcardSubscriptionAvailable(..) => PropertyId::WildcardSubscriptionAvailable,
            Self::SubscriptionIdentifiersAvailable(..) => {
                PropertyId::SubscriptionIdentifiersAvailable
            }
            Self::SharedSubscriptionAvailable(..) => PropertyId::SharedSubscriptionAvailable,
        }
    }

    /// Read one property: identifier and value, with the checks that do not depend on the packet.
    pub(in crate::packet) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = reader.varint("property identifier")?;
        let id = PropertyId::from_u32(id).ok_or(DecodeError::UnknownProperty { id })?;
        let name = id.name();
        Ok(match id {
            PropertyId::PayloadFormatIndicator => Self::PayloadFormatIndicator(flag(reader, id)?),
            PropertyId::MessageExpiryInterval => Self::MessageExpiryInterval(reader.u32(name)?),
            PropertyId::ContentType => Self::ContentType(reader.string(name)?),
            PropertyId::ResponseTopic => Self::ResponseTopic(response_topic(reader, name)?),
            PropertyId::CorrelationData => Self::CorrelationData(reader.binary(name)?),
            PropertyId::SubscriptionIdentifier => {
                Self::SubscriptionIdentifier(nonzero_u32(reader.varint(name)?, id)?)
            }
            PropertyId::SessionExpiryInterval => Self::SessionExpiryInterval(reader.u32(name)?),
            PropertyId::AssignedClientIdentifier => {
                Self::AssignedClientIdentifier(reader.string(name)?)
            }
            PropertyId::ServerKeepAlive => Self::ServerKeepAlive(reader.u16(name)?),
            PropertyId::AuthenticationMethod => Self::AuthenticationMethod(reader.string(name)?),
            PropertyId::AuthenticationData => Self::AuthenticationData(reader.binary(name)?),
            PropertyId::RequestProblemInformation => {
                Self::RequestProblemInformation(flag(reader, id)?)
            }
            PropertyId::WillDelayInterval => Self::WillDelayInterval(reader.u32(name)?),
            PropertyId::RequestResponseInformation => {
                Self::RequestResponseInformation(flag(reader, id)?)
            }
            PropertyId::ResponseInformation => Self::ResponseInformation(reader.string(name)?),
            PropertyId::ServerReference => Self::ServerReference(reader.string(name)?),
            PropertyId::ReasonString => Self::ReasonString(reader.string(name)?),
            PropertyId::ReceiveMaximum => Self::ReceiveMaximum(nonzero_u16(reader.u16(name)?, id)?),
            PropertyId::TopicAliasMaximum => Self::TopicAliasMaximum(reader.u16(name)?),
            PropertyId::TopicAlias => Self::TopicAlias(nonzero_u16(reader.u16(name)?, id)?),
            PropertyId::MaximumQoS => Self::MaximumQoS(qos(reader, id)?),
            PropertyId::RetainAvailable => Self::RetainAvailable(flag(reader, id)?),
            PropertyId::UserProperty => {
                Self::UserProperty(reader.string(name)?, reader.string(name)?)
            }
            PropertyId::MaximumPacketSize => {
                Self::MaximumPacketSize(nonzero_u32(reader.u32(name)?, id)?)
            }
            PropertyId::WildcardSubscriptionAvailable => {
                Self::WildcardSubscriptionAvailable(flag(reader, id)?)
            }
            PropertyId::SubscriptionIdentifiersAvailable => {
                Self::SubscriptionIdentifiersAvailable(flag(reader, id)?)
            }
            PropertyId::SharedSubscriptionAvailable => {
                Self::SharedSubscriptionAvailable(flag(reader, id)?)
            }
        })
    }

    /// Append identifier and value.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let name = self.id().name();
        out.push(self.id().as_u8());
        match *self {
            Self::PayloadFormatIndicator(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::RetainAvailable(value)
            | Self::WildcardSubscriptionAvailable(value)
            | Self::SubscriptionIdentifiersAvailable(value)
            | Self::SharedSubscriptionAvailable(value) => out.push(u8::from(value)),
            Self::MessageExpiryInterval(value)
            | Self::SessionExpiryInterval(value)
            | Self::WillDelayInterval(value) => put_u32(out, value),
            Self::ServerKeepAlive(value) | Self::TopicAliasMaximum(value) => put_u16(out, value),
            Self::ReceiveMaximum(value) | Self::TopicAlias(value) => put_u16(out, value.get()),
            Self::MaximumPacketSize(value) => put_u32(out, value.get()),
            Self::MaximumQoS(value) => out.push(value.as_u8()),
            Self::SubscriptionIdentifier(value) => {
                if value.get() > MAX_REMAINING_LENGTH {
                    return Err(EncodeError::BadSubscriptionId);
                }
                put_varint(out, value.get());
            }
            Self::ContentType(value)
            | Self::ResponseTopic(value)
            | Self::AssignedClientIdentifier(value)
            | Self::AuthenticationMethod(value)
            | Self::ResponseInformation(value)
            | Self::ServerReference(value)
            | Self::ReasonString(value) => put_string(out, value, name)?,
            Self::CorrelationData(value) | Self::AuthenticationData(value) => {
                put_binary(out, value, name)?;
            }
            Self::UserProperty(key, value) => {
                put_string(out, key, name)?;
                put_string(out, value, name)?;
            }
        }
        Ok(())
    }
}

/// A byte that must be 0 or 1.
fn flag(reader: &mut Reader<'_>, property: PropertyId) -> Result<bool, DecodeError> {
    match reader.u8(property.name())? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::PropertyOutOfRange { property }),
    }
}

fn qos(reader: &mut Reader<'_>, property: PropertyId) -> Result<QoS, DecodeError> {
    let value = reader.u8(property.name())?;
    QoS::from_u8(value).ok_or(DecodeError::PropertyOutOfRange { property })
}

fn nonzero_u16(value: u16, property: PropertyId) -> Result<NonZeroU16, DecodeError> {
    NonZeroU16::new(value).ok_or(DecodeError::PropertyOutOfRange { property })
}

fn nonzero_u32(value: u32, property: PropertyId) -> Result<NonZeroU32, DecodeError> {
    NonZeroU32::new(value).ok_or(DecodeError::PropertyOutOfRange { property })
}

/// A Topic Name: no wildcard [MQTT-3.3.2-14], at least one character [MQTT-4.7.3-1].
fn response_topic<'a>(reader: &mut Reader<'a>, name: &'static str) -> Result<&'a str, DecodeError> {
    let topic = reader.string(name)?;
    if has_wildcard(topic) {
        return Err(DecodeError::WildcardInTopic);
    }
    if topic.is_empty() {
        return Err(DecodeError::EmptyTopic);
    }
    Ok(topic)
}
