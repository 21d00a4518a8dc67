//! Which properties there are, and in which packets they may stand (table 2-4).

use super::super::header::PacketType;

/// Where a list of properties stands: in a packet, or in the Will of a CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::packet) enum Place {
    Packet(PacketType),
    Will,
}

impl Place {
    fn bit(self) -> u16 {
        match self {
            Self::Will => WILL,
            Self::Packet(packet) => 1 << packet as u8,
        }
    }
}

const WILL: u16 = 1;
const CONNECT: u16 = 1 << PacketType::Connect as u8;
const CONNACK: u16 = 1 << PacketType::ConnAck as u8;
const PUBLISH: u16 = 1 << PacketType::Publish as u8;
const ACKS: u16 = 1 << PacketType::PubAck as u8
    | 1 << PacketType::PubRec as u8
    | 1 << PacketType::PubRel as u8
    | 1 << PacketType::PubComp as u8;
const SUBSCRIBE: u16 = 1 << PacketType::Subscribe as u8;
const SUBACK: u16 = 1 << PacketType::SubAck as u8;
const UNSUBACK: u16 = 1 << PacketType::UnsubAck as u8;
const DISCONNECT: u16 = 1 << PacketType::Disconnect as u8;
const AUTH: u16 = 1 << PacketType::Auth as u8;
const ALL: u16 = u16::MAX;

/// Define the enum, the names and the places in one table.
macro_rules! properties {
    ($($id:literal $variant:ident $name:literal $places:expr,)*) => {
        /// The identifier of a property.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the standard's names say it all")]
        pub enum PropertyId {
            $($variant = $id,)*
        }

        impl PropertyId {
            /// Every property, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// `None` for an identifier without meaning.
            pub fn from_u32(id: u32) -> Option<Self> {
                match id {
                    $($id => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name in lower case with underscores.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            fn places(self) -> u16 {
                match self {
                    $(Self::$variant => $places,)*
                }
            }
        }
    };
}

properties! {
    0x01 PayloadFormatIndicator "payload_format_indicator" PUBLISH | WILL,
    0x02 MessageExpiryInterval "message_expiry_interval" PUBLISH | WILL,
    0x03 ContentType "content_type" PUBLISH | WILL,
    0x08 ResponseTopic "response_topic" PUBLISH | WILL,
    0x09 CorrelationData "correlation_data" PUBLISH | WILL,
    0x0b SubscriptionIdentifier "subscription_identifier" PUBLISH | SUBSCRIBE,
    0x11 SessionExpiryInterval "session_expiry_interval" CONNECT | CONNACK | DISCONNECT,
    0x12 AssignedClientIdentifier "assigned_client_identifier" CONNACK,
    0x13 ServerKeepAlive "server_keep_alive" CONNACK,
    0x15 AuthenticationMethod "authentication_method" CONNECT | CONNACK | AUTH,
    0x16 AuthenticationData "authentication_data" CONNECT | CONNACK | AUTH,
    0x17 RequestProblemInformation "request_problem_information" CONNECT,
    0x18 WillDelayInterval "will_delay_interval" WILL,
    0x19 RequestResponseInformation "request_response_information" CONNECT,
    0x1a ResponseInformation "response_information" CONNACK,
    0x1c ServerReference "server_reference" CONNACK | DISCONNECT,
    0x1f ReasonString "reason_string" CONNACK | ACKS | SUBACK | UNSUBACK | DISCONNECT | AUTH,
    0x21 ReceiveMaximum "receive_maximum" CONNECT | CONNACK,
    0x22 TopicAliasMaximum "topic_alias_maximum" CONNECT | CONNACK,
    0x23 TopicAlias "topic_alias" PUBLISH,
    0x24 MaximumQoS "maximum_qos" CONNACK,
    0x25 RetainAvailable "retain_available" CONNACK,
    0x26 UserProperty "user_property" ALL,
    0x27 MaximumPacketSize "maximum_packet_size" CONNECT | CONNACK,
    0x28 WildcardSubscriptionAvailable "wildcard_subscription_available" CONNACK,
    0x29 SubscriptionIdentifiersAvailable "subscription_identifiers_available" CONNACK,
    0x2a SharedSubscriptionAvailable "shared_subscription_available" CONNACK,
}

impl PropertyId {
    /// The identifier on the wire; all are below 128, so it is one byte.
    pub fn as_u8(self) -> u8 {
        self as u8
    }

    pub(in crate::packet) fn belongs_in(self, place: Place) -> bool {
        self.places() & place.bit() != 0
    }

    /// Only User Property, and Subscription Identifier in a PUBLISH, may come more than once.
    pub(in crate::packet) fn may_repeat_in(self, place: Place) -> bool {
        match self {
            Self::UserProperty => true,
            Self::SubscriptionIdentifier => place == Place::Packet(PacketType::Publish),
            _ => false,
        }
    }
}
