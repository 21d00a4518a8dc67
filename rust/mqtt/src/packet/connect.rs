//! CONNECT (section 3.1). It says itself which version it speaks.

use std::num::{NonZeroU16, NonZeroU32};

use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, PacketType};
use super::property::{Place, Property, Section, UserProperties, put_property};
use super::version::{QoS, Version};
use super::wire::{Reader, put_binary, put_packet, put_sized, put_string, put_u16};
use crate::topic::filter::has_wildcard;

/// A client asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// What the connection will speak.
    pub version: Version,
    /// Clean Start; Clean Session before MQTT 5.0.
    pub clean_start: bool,
    /// Seconds; 0 turns the check off.
    pub keep_alive: u16,
    /// May be empty; what that means is the server's to decide [MQTT-3.1.3-6].
    pub client_id: &'a str,
    /// To be published when the connection is lost.
    pub will: Option<Will<'a>>,
    /// Absent and empty are different.
    pub user_name: Option<&'a str>,
    /// Any bytes.
    pub password: Option<&'a [u8]>,
    /// Empty before MQTT 5.0.
    pub properties: ConnectProperties<'a>,
}

/// The Will of a client (section 3.1.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// A Topic Name, not empty, no wildcard.
    pub topic: &'a str,
    /// Any bytes.
    pub payload: &'a [u8],
    /// To publish with.
    pub qos: QoS,
    /// To publish with.
    pub retain: bool,
    /// Empty before MQTT 5.0.
    pub properties: WillProperties<'a>,
}

/// Properties of CONNECT (section 3.1.2.11); `None` where absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the properties; see `Property`")]
pub struct ConnectProperties<'a> {
    pub session_expiry_interval: Option<u32>,
    pub receive_maximum: Option<NonZeroU16>,
    pub maximum_packet_size: Option<NonZeroU32>,
    pub topic_alias_maximum: Option<u16>,
    pub request_response_information: Option<bool>,
    pub request_problem_information: Option<bool>,
    pub authentication_method: Option<&'a str>,
    pub authentication_data: Option<&'a [u8]>,
    pub user_properties: UserProperties<'a>,
}

/// Properties of the Will (section 3.1.3.2); `None` where absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the properties; see `Property`")]
pub struct WillProperties<'a> {
    pub will_delay_interval: Option<u32>,
    pub payload_format_indicator: Option<bool>,
    pub message_expiry_interval: Option<u32>,
    pub content_type: Option<&'a str>,
    pub response_topic: Option<&'a str>,
    pub correlation_data: Option<&'a [u8]>,
    pub user_properties: UserProperties<'a>,
}

const USER_NAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL_QOS_SHIFT: u8 = 3;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;
const RESERVED: u8 = 0x01;

impl<'a> Connect<'a> {
    /// Read a CONNECT of any version. `body` is what follows the header, all of it.
    pub fn decode(header: &FixedHeader, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let version = read_version(&mut reader)?;
        header.check_flags(version)?;
        let flags = reader.u8("connect flags")?;
        if flags & RESERVED != 0 {
            return Err(DecodeError::ReservedBits {
                field: "connect flags",
            }); // [MQTT-3.1.2-3]
        }
        if !version.is_v5() && flags & (USER_NAME | PASSWORD) == PASSWORD {
            return Err(DecodeError::PasswordWithoutUserName); // [v3.1.1 MQTT-3.1.2-22]
        }
        let will_qos =
            QoS::from_u8(flags >> WILL_QOS_SHIFT & 0x03).ok_or(DecodeError::BadWillFlags)?; // [MQTT-3.1.2-12]
        let will_retain = flags & WILL_RETAIN != 0;
        let has_will = flags & WILL != 0;
        if !has_will && (will_retain || will_qos != QoS::AtMostOnce) {
            return Err(DecodeError::BadWillFlags); // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
        }
        let keep_alive = reader.u16("keep alive")?;
        let properties = if version.is_v5() {
            ConnectProperties::read(&mut reader)?
        } else {
            ConnectProperties::default()
        };
        let client_id = reader.string("client identifier")?;
        let will = has_will.then(|| Will::read(&mut reader, version, will_qos, will_retain));
        let user_name = (flags & USER_NAME != 0).then(|| reader.string("user name"));
        let user_name = user_name.transpose()?;
        let password = (flags & PASSWORD != 0).then(|| reader.binary("password"));
        let password = password.transpose()?;
        let connect = Self {
            version,
            clean_start: flags & CLEAN_START != 0,
            keep_alive,
            client_id,
            will: will.transpose()?,
            user_name,
            password,
            properties,
        };
        reader.finish(PacketType::Connect)?;
        Ok(connect)
    }

    /// Append the packet in the version it names.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_packet(out, PacketType::Connect.first_byte(), |out| {
            put_string(out, self.version.protocol_name(), "protocol name")?;
            out.push(self.version.level());
            out.push(self.flags());
            put_u16(out, self.keep_alive);
            if self.version.is_v5() {
                put_sized(out, |out| self.properties.write(out))?;
            }
            put_string(out, self.client_id, "client identifier")?;
            if let Some(will) = &self.will {
                if self.version.is_v5() {
                    put_sized(out, |out| will.properties.write(out))?;
                }
                put_string(out, will.topic, "will topic")?;
                put_binary(out, will.payload, "will payload")?;
            }
            self.user_name
                .map_or(Ok(()), |name| put_string(out, name, "user name"))?;
            self.password
                .map_or(Ok(()), |password| put_binary(out, password, "password"))
        })
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= WILL | will.qos.as_u8() << WILL_QOS_SHIFT;
            if will.retain {
                flags |= WILL_RETAIN;
            }
        }
        if self.user_name.is_some() {
            flags |= USER_NAME;
        }
        if self.password.is_some() {
            flags |= PASSWORD;
        }
        flags
    }
}

fn read_version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let name = reader.binary("protocol name")?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(DecodeError::BadProtocolName); // [MQTT-3.1.2-1]
    }
    let level = reader.u8("protocol version")?;
    match (name, level) {
        (b"MQIsdp", 3) => Ok(Version::V31),
        (b"MQTT", 4) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        _ => Err(DecodeError::UnsupportedVersion { level }), // [MQTT-3.1.2-2]
    }
}

impl<'a> Will<'a> {
    fn read(
        reader: &mut Reader<'a>,
        version: Version,
        qos: QoS,
        retain: bool,
    ) -> Result<Self, DecodeError> {
        let properties = if version.is_v5() {
            WillProperties::read(reader)?
        } else {
            WillProperties::default()
        };
        let topic = reader.string("will topic")?;
        if topic.is_empty() {
            return Err(DecodeError::EmptyTopic); // [MQTT-4.7.3-1]
        }
        if has_wildcard(topic) {
            return Err(DecodeError::WildcardInTopic); // [MQTT-4.7.0-1]
        }
        let payload = reader.binary("will payload")?;
        Ok(Self {
            topic,
            payload,
            qos,
            retain,
            properties,
        })
    }
}

impl<'a> ConnectProperties<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut read = Self::default();
        let section = Section::open(reader, Place::Packet(PacketType::Connect))?;
        read.user_properties = section.read_all(|property| match property {
            Property::SessionExpiryInterval(value) => read.session_expiry_interval = Some(value),
            Property::ReceiveMaximum(value) => read.receive_maximum = Some(value),
            Property::MaximumPacketSize(value) => read.maximum_packet_size = Some(value),
            Property::TopicAliasMaximum(value) => read.topic_alias_maximum = Some(value),
            Property::RequestResponseInformation(value) => {
                read.request_response_information = Some(value);
            }
            Property::RequestProblemInformation(value) => {
                read.request_problem_information = Some(value);
            }
            Property::AuthenticationMethod(value) => read.authentication_method = Some(value),
            Property::AuthenticationData(value) => read.authentication_data = Some(value),
            _ => {}
        })?;
        if read.authentication_data.is_some() && read.authentication_method.is_none() {
            return Err(DecodeError::AuthDataWithoutMethod); // section 3.1.2.11.10
        }
        Ok(read)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        use Property as P;
        put_property(
            out,
            self.session_expiry_interval.map(P::SessionExpiryInterval),
        )?;
        put_property(out, self.receive_maximum.map(P::ReceiveMaximum))?;
        put_property(out, self.maximum_packet_size.map(P::MaximumPacketSize))?;
        put_property(out, self.topic_alias_maximum.map(P::TopicAliasMaximum))?;
        put_property(
            out,
            self.request_response_information
                .map(P::RequestResponseInformation),
        )?;
        put_property(
            out,
            self.request_problem_information
                .map(P::RequestProblemInformation),
        )?;
        put_property(out, self.authentication_method.map(P::AuthenticationMethod))?;
        put_property(out, self.authentication_data.map(P::AuthenticationData))?;
        self.user_properties.write(out)
    }
}

impl<'a> WillProperties<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut read = Self::default();
        read.user_properties =
            Section::open(reader, Place::Will)?.read_all(|property| match property {
                Property::WillDelayInterval(value) => read.will_delay_interval = Some(value),
                Property::PayloadFormatIndicator(value) => {
                    read.payload_format_indicator = Some(value);
                }
                Property::MessageExpiryInterval(value) => {
                    read.message_expiry_interval = Some(value);
                }
                Property::ContentType(value) => read.content_type = Some(value),
                Property::ResponseTopic(value) => read.response_topic = Some(value),
                Property::CorrelationData(value) => read.correlation_data = Some(value),
                _ => {}
            })?;
        Ok(read)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_property(
            out,
            self.will_delay_interval.map(Property::WillDelayInterval),
        )?;
        put_property(
            out,
            self.message_expiry_interval
                .map(Property::MessageExpiryInterval),
        )?;
        self.write_forwardable(out)
    }

    /// Append what goes into the PUBLISH of the Will unchanged: all but delay and expiry.
    pub fn write_forwardable(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_property(
            out,
            self.payload_format_indicator
                .map(Property::PayloadFormatIndicator),
        )?;
        put_property(out, self.content_type.map(Property::ContentType))?;
        put_property(out, self.response_topic.map(Property::ResponseTopic))?;
        put_property(out, self.correlation_data.map(Property::CorrelationData))?;
        self.user_properties.write(out)
    }
}
