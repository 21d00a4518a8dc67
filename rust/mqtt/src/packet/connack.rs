//! CONNACK (section 3.2).

use std::num::{NonZeroU16, NonZeroU32};

use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, PacketType};
use super::property::{Place, Property, Section, UserProperties, put_property};
use super::reason::ReasonCode;
use super::version::{QoS, Version};
use super::wire::{Reader, put_packet, put_sized};

/// The server's answer to CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// The server has kept state of this client. Never written with a failure [MQTT-3.2.2-6], nor
    /// to MQTT 3.1, which has no such flag.
    pub session_present: bool,
    /// Before MQTT 5.0 it becomes one of six return codes; see [`ReasonCode::to_v3_connack`].
    pub reason: ReasonCode,
    /// Not written before MQTT 5.0.
    pub properties: ConnAckProperties<'a>,
}

/// Properties of CONNACK (section 3.2.2.3); `None` where absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the properties; see `Property`")]
pub struct ConnAckProperties<'a> {
    pub session_expiry_interval: Option<u32>,
    pub receive_maximum: Option<NonZeroU16>,
    pub maximum_qos: Option<QoS>,
    pub retain_available: Option<bool>,
    pub maximum_packet_size: Option<NonZeroU32>,
    pub assigned_client_identifier: Option<&'a str>,
    pub topic_alias_maximum: Option<u16>,
    pub reason_string: Option<&'a str>,
    pub wildcard_subscription_available: Option<bool>,
    pub subscription_identifiers_available: Option<bool>,
    pub shared_subscription_available: Option<bool>,
    pub server_keep_alive: Option<u16>,
    pub response_information: Option<&'a str>,
    pub server_reference: Option<&'a str>,
    pub authentication_method: Option<&'a str>,
    pub authentication_data: Option<&'a [u8]>,
    pub user_properties: UserProperties<'a>,
}

impl<'a> ConnAck<'a> {
    /// An answer without properties.
    pub fn new(reason: ReasonCode, session_present: bool) -> Self {
        Self {
            session_present,
            reason,
            properties: ConnAckProperties::default(),
        }
    }

    /// Read a CONNACK.
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        header.check_flags(version)?;
        let mut reader = Reader::new(body);
        let flags = reader.u8("connect acknowledge flags")?;
        if flags > 1 && version != Version::V31 {
            return Err(DecodeError::ReservedBits {
                field: "connect acknowledge flags",
            });
        }
        let code = reader.u8("reason code")?;
        let mut properties = ConnAckProperties::default();
        let reason = if version.is_v5() {
            properties = ConnAckProperties::read(&mut reader)?;
            ReasonCode::from_u8(code).filter(|code| code.is_allowed_in(PacketType::ConnAck))
        } else {
            ReasonCode::from_v3_connack(code)
        };
        let reason = reason.ok_or(DecodeError::BadReasonCode {
            packet: PacketType::ConnAck,
            code,
        })?;
        reader.finish(PacketType::ConnAck)?;
        let session_present = flags & 1 != 0 && version != Version::V31;
        if session_present && reason.is_failure() {
            // A refusal keeps no session [MQTT-3.2.2-6].
            return Err(DecodeError::ReservedBits {
                field: "connect acknowledge flags",
            });
        }
        Ok(Self {
            session_present,
            reason,
            properties,
        })
    }

    /// Append the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_packet(out, PacketType::ConnAck.first_byte(), |out| {
            let failed = self.reason.is_failure();
            out.push(u8::from(
                self.session_present && !failed && version != Version::V31,
            ));
            if !version.is_v5() {
                out.push(self.reason.to_v3_connack());
                return Ok(());
            }
            out.push(self.reason.as_u8());
            put_sized(out, |out| self.properties.write(out))
        })
    }
}

impl<'a> ConnAckProperties<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        use Property as P;
        let mut read = Self::default();
        let section = Section::open(reader, Place::Packet(PacketType::ConnAck))?;
        read.user_properties = section.read_all(|property| match property {
            P::SessionExpiryInterval(value) => read.session_expiry_interval = Some(value),
            P::ReceiveMaximum(value) => read.receive_maximum = Some(value),
            P::MaximumQoS(value) => read.maximum_qos = Some(value),
            P::RetainAvailable(value) => read.retain_available = Some(value),
            P::MaximumPacketSize(value) => read.maximum_packet_size = Some(value),
            P::AssignedClientIdentifier(value) => read.assigned_client_identifier = Some(value),
            P::TopicAliasMaximum(value) => read.topic_alias_maximum = Some(value),
            P::ReasonString(value) => read.reason_string = Some(value),
            P::WildcardSubscriptionAvailable(value) => {
                read.wildcard_subscription_available = Some(value);
            }
            P::SubscriptionIdentifiersAvailable(value) => {
                read.subscription_identifiers_available = Some(value);
            }
            P::SharedSubscriptionAvailable(value) => {
                read.shared_subscription_available = Some(value);
            }
            P::ServerKeepAlive(value) => read.server_keep_alive = Some(value),
            P::ResponseInformation(value) => read.response_information = Some(value),
            P::ServerReference(value) => read.server_reference = Some(value),
            P::AuthenticationMethod(value) => read.authentication_method = Some(value),
            P::AuthenticationData(value) => read.authentication_data = Some(value),
            _ => {}
        })?;
        Ok(read)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        use Property as P;
        let properties = [
            self.session_expiry_interval.map(P::SessionExpiryInterval),
            self.receive_maximum.map(P::ReceiveMaximum),
            self.maximum_qos.map(P::MaximumQoS),
            self.retain_available.map(P::RetainAvailable),
            self.maximum_packet_size.map(P::MaximumPacketSize),
            self.assigned_client_identifier
                .map(P::AssignedClientIdentifier),
            self.topic_alias_maximum.map(P::TopicAliasMaximum),
            self.reason_string.map(P::ReasonString),
            self.wildcard_subscription_available
                .map(P::WildcardSubscriptionAvailable),
            self.subscription_identifiers_available
                .map(P::SubscriptionIdentifiersAvailable),
            self.shared_subscription_available
                .map(P::SharedSubscriptionAvailable),
            self.server_keep_alive.map(P::ServerKeepAlive),
            self.response_information.map(P::ResponseInformation),
            self.server_reference.map(P::ServerReference),
            self.authentication_method.map(P::AuthenticationMethod),
            self.authentication_data.map(P::AuthenticationData),
        ];
        properties
            .into_iter()
            .try_for_each(|property| put_property(out, property))?;
        self.user_properties.write(out)
    }
}
