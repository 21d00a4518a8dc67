//! Why a packet was refused, and what to tell the peer.

use std::fmt;

use super::header::PacketType;
use super::property::PropertyId;
use super::reason::ReasonCode;

/// Why a Control Packet could not be decoded or is not allowed. Always the peer's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A Variable Byte Integer ran past four bytes or was longer than needed [MQTT-1.5.5-1].
    BadLength,
    /// The packet type is 0, or AUTH before MQTT 5.0 (section 2.1.2).
    BadPacketType {
        /// The four bits of the type.
        value: u8,
    },
    /// The low four bits of the first byte are not what the type demands [MQTT-2.1.3-1].
    BadHeaderFlags {
        /// Whose header.
        packet: PacketType,
    },
    /// The packet ended before the field did.
    Truncated {
        /// The field that was cut off.
        field: &'static str,
    },
    /// Bytes follow the last field.
    TrailingBytes {
        /// Whose body.
        packet: PacketType,
    },
    /// A string is not UTF-8 or holds U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2].
    BadString {
        /// Which string.
        field: &'static str,
    },
    /// Both `QoS` bits are set [MQTT-3.3.1-4].
    BadQoS,
    /// DUP is set in a PUBLISH of `QoS` 0 [MQTT-3.3.1-2].
    DupWithoutQoS,
    /// The Packet Identifier is zero [MQTT-2.2.1-3].
    PacketIdZero,
    /// SUBSCRIBE, UNSUBSCRIBE or their acknowledgement without an entry [MQTT-3.8.3-2].
    NoEntries {
        /// Whose list.
        packet: PacketType,
    },
    /// A reserved bit is set, or a value that a field has not.
    ReservedBits {
        /// The field.
        field: &'static str,
    },
    /// CONNECT names a protocol that is not MQTT [MQTT-3.1.2-1].
    BadProtocolName,
    /// CONNECT asks for a version not spoken here [MQTT-3.1.2-2].
    UnsupportedVersion {
        /// The version byte.
        level: u8,
    },
    /// Will `QoS` or Will Retain without a Will, or Will `QoS` 3 [MQTT-3.1.2-11] [MQTT-3.1.2-12].
    BadWillFlags,
    /// A password without a user name before MQTT 5.0 [v3.1.1 MQTT-3.1.2-22].
    PasswordWithoutUserName,
    /// A Topic Name is empty where it may not be [MQTT-4.7.3-1].
    EmptyTopic,
    /// An empty Topic Name and no Topic Alias (section 3.3.2.1).
    NoTopicNoAlias,
    /// A Topic Name or Response Topic holds a wildcard [MQTT-3.3.2-2] [MQTT-3.3.2-14].
    WildcardInTopic,
    /// No Local on a shared subscription [MQTT-3.8.3-4].
    NoLocalOnShared,
    /// Retain Handling is 3 (section 3.8.3.1).
    BadRetainHandling,
    /// The Maximum `QoS` of a subscription is 3 (section 3.8.3.1).
    BadSubscriptionQoS,
    /// A Reason Code this packet cannot carry.
    BadReasonCode {
        /// Whose code.
        packet: PacketType,
        /// The byte.
        code: u8,
    },
    /// A property identifier without meaning (section 2.2.2.2).
    UnknownProperty {
        /// The identifier.
        id: u32,
    },
    /// A property in a packet it does not belong to (section 2.2.2.2).
    MisplacedProperty {
        /// Which property.
        property: PropertyId,
    },
    /// A property more than once that may occur once (section 2.2.2.2).
    DuplicateProperty {
        /// Which property.
        property: PropertyId,
    },
    /// A property with a value out of its range.
    PropertyOutOfRange {
        /// Which property.
        property: PropertyId,
    },
    /// More user properties than [`MAX_USER_PROPERTIES`](super::MAX_USER_PROPERTIES).
    TooManyUserProperties,
    /// User properties of more than [`MAX_USER_PROPERTY_BYTES`](super::MAX_USER_PROPERTY_BYTES).
    UserPropertiesTooLarge,
    /// The Property Length runs past the packet, or a property past the Property Length.
    BadPropertyLength,
    /// Authentication Data without an Authentication Method (section 3.1.2.11.10).
    AuthDataWithoutMethod,
    /// An AUTH of a client that names no Authentication Method (section 3.15.2.2.2).
    NoAuthMethod,
    /// A packet, or a code or property in it, that only the other side may send.
    WrongDirection {
        /// The packet.
        packet: PacketType,
    },
}

impl DecodeError {
    /// The Reason Code for DISCONNECT, or for CONNACK while connecting (section 4.13).
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::BadLength
            | Self::BadPacketType { .. }
            | Self::BadHeaderFlags { .. }
            | Self::Truncated { .. }
            | Self::TrailingBytes { .. }
            | Self::BadString { .. }
            | Self::BadQoS
            | Self::DupWithoutQoS
            | Self::ReservedBits { .. }
            | Self::BadWillFlags
            | Self::PasswordWithoutUserName
            | Self::BadReasonCode { .. }
            | Self::UnknownProperty { .. }
            | Self::MisplacedProperty { .. }
            | Self::BadPropertyLength => ReasonCode::MalformedPacket,
            Self::PacketIdZero
            | Self::NoEntries { .. }
            | Self::NoTopicNoAlias
            | Self::NoLocalOnShared
            | Self::BadRetainHandling
            | Self::BadSubscriptionQoS
            | Self::DuplicateProperty { .. }
            | Self::AuthDataWithoutMethod
            | Self::NoAuthMethod
            | Self::WrongDirection { .. } => ReasonCode::ProtocolError,
            Self::PropertyOutOfRange { property } => match property {
                PropertyId::TopicAlias => ReasonCode::TopicAliasInvalid, // [MQTT-3.3.2-8]
                _ => ReasonCode::ProtocolError,
            },
            Self::BadProtocolName | Self::UnsupportedVersion { .. } => {
                ReasonCode::UnsupportedProtocolVersion
            }
            Self::EmptyTopic | Self::WildcardInTopic => ReasonCode::TopicNameInvalid,
            Self::TooManyUserProperties => ReasonCode::QuotaExceeded,
            Self::UserPropertiesTooLarge => ReasonCode::PacketTooLarge,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadLength => f.write_str("malformed variable byte integer"),
            Self::BadPacketType { value } => write!(f, "no packet of type {value} here"),
            Self::BadHeaderFlags { packet } => write!(f, "{packet}: wrong header flags"),
            Self::Truncated { field } => write!(f, "packet ends within {field}"),
            Self::TrailingBytes { packet } => write!(f, "{packet}: bytes after the last field"),
            Self::BadString { field } => write!(f, "{field}: not UTF-8 text, or U+0000 in it"),
            Self::BadQoS => f.write_str("QoS 3"),
            Self::DupWithoutQoS => f.write_str("DUP set with QoS 0"),
            Self::PacketIdZero => f.write_str("packet identifier 0"),
            Self::NoEntries { packet } => write!(f, "{packet}: no entry in its list"),
            Self::ReservedBits { field } => write!(f, "{field}: reserved value"),
            Self::BadProtocolName => f.write_str("CONNECT: not an MQTT protocol name"),
            Self::UnsupportedVersion { level } => {
                write!(f, "CONNECT: protocol version {level} is not supported")
            }
            Self::BadWillFlags => f.write_str("CONNECT: contradictory will flags"),
            Self::PasswordWithoutUserName => f.write_str("CONNECT: password without user name"),
            Self::EmptyTopic => f.write_str("empty topic name"),
            Self::NoTopicNoAlias => f.write_str("PUBLISH: neither topic name nor topic alias"),
            Self::WildcardInTopic => f.write_str("wildcard in a topic name"),
            Self::NoLocalOnShared => f.write_str("SUBSCRIBE: no-local on a shared subscription"),
            Self::BadRetainHandling => f.write_str("SUBSCRIBE: retain handling 3"),
            Self::BadSubscriptionQoS => f.write_str("SUBSCRIBE: QoS 3"),
            Self::BadReasonCode { packet, code } => {
                write!(f, "{packet}: reason code {code:#04x} does not belong here")
            }
            Self::UnknownProperty { id } => write!(f, "unknown property {id:#04x}"),
            Self::MisplacedProperty { property } => {
                write!(f, "property {} does not belong here", property.name())
            }
            Self::DuplicateProperty { property } => write!(f, "property {} twice", property.name()),
            Self::PropertyOutOfRange { property } => {
                write!(f, "property {} out of range", property.name())
            }
            Self::TooManyUserProperties => f.write_str("too many user properties"),
            Self::UserPropertiesTooLarge => f.write_str("too many bytes of user properties"),
            Self::BadPropertyLength => f.write_str("property length does not fit"),
            Self::AuthDataWithoutMethod => {
                f.write_str("authentication data without authentication method")
            }
            Self::NoAuthMethod => f.write_str("AUTH: no authentication method"),
            Self::WrongDirection { packet } => {
                write!(f, "{packet}: not from this side of the connection")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why a packet cannot be written. Our own doing: the caller has put in what has no form on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A string or binary value is longer than 65,535 bytes.
    TooLong {
        /// Which value.
        field: &'static str,
    },
    /// The packet is longer than 268,435,455 bytes after its header.
    PacketTooLong,
    /// The protocol version has no such packet (AUTH before 5.0).
    NotInVersion {
        /// The packet.
        packet: PacketType,
    },
    /// A PUBLISH of `QoS` 1 or 2 without a Packet Identifier, or of `QoS` 0 with one.
    PacketIdMismatch,
    /// A Subscription Identifier of 0 or above 268,435,455.
    BadSubscriptionId,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { field } => write!(f, "{field} is longer than 65535 bytes"),
            Self::PacketTooLong => f.write_str("the packet is longer than 268435455 bytes"),
            Self::NotInVersion { packet } => write!(f, "{packet} is not in this protocol version"),
            Self::PacketIdMismatch => f.write_str("packet identifier and QoS contradict"),
            Self::BadSubscriptionId => f.write_str("subscription identifier out of range"),
        }
    }
}

impl std::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_error_has_its_own_text_and_a_code_for_disconnect() {
        let packet = PacketType::Publish;
        let property = PropertyId::TopicAlias;
        let field = "field";
        let all = [
            DecodeError::BadLength,
            DecodeError::BadPacketType { value: 0 },
            DecodeError::BadHeaderFlags { packet },
            DecodeError::Truncated { field },
            DecodeError::TrailingBytes { packet },
            DecodeError::BadString { field },
            DecodeError::BadQoS,
            DecodeError::DupWithoutQoS,
            DecodeError::PacketIdZero,
            DecodeError::NoEntries { packet },
            DecodeError::ReservedBits { field },
            DecodeError::BadProtocolName,
            DecodeError::UnsupportedVersion { level: 7 },
            DecodeError::BadWillFlags,
            DecodeError::PasswordWithoutUserName,
            DecodeError::EmptyTopic,
            DecodeError::NoTopicNoAlias,
            DecodeError::WildcardInTopic,
            DecodeError::NoLocalOnShared,
            DecodeError::BadRetainHandling,
            DecodeError::BadSubscriptionQoS,
            DecodeError::BadReasonCode { packet, code: 3 },
            DecodeError::UnknownProperty { id: 0 },
            DecodeError::MisplacedProperty { property },
            DecodeError::DuplicateProperty { property },
            DecodeError::PropertyOutOfRange { property },
            DecodeError::BadPropertyLength,
            DecodeError::AuthDataWithoutMethod,
            DecodeError::NoAuthMethod,
            DecodeError::WrongDirection { packet },
        ];
        let texts: HashSet<_> = all.iter().map(DecodeError::to_string).collect();
        assert_eq!(texts.len(), all.len());
        for error in all {
            let reason = error.reason();
            let connecting = matches!(
                error,
                DecodeError::BadProtocolName | DecodeError::UnsupportedVersion { .. }
            );
            let packet = if connecting {
                PacketType::ConnAck
            } else {
                PacketType::Disconnect
            };
            assert!(
                reason.is_failure() && reason.is_allowed_in(packet),
                "{error}: {reason}"
            );
        }
    }
}
