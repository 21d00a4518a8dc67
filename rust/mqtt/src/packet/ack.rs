//! PUBACK, PUBREC, PUBREL, PUBCOMP (sections 3.4 to 3.7): four packets of one shape.

use std::num::NonZeroU16;

use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, PacketType};
use super::property::{Place, Property, Section, UserProperties, put_property};
use super::reason::ReasonCode;
use super::version::Version;
use super::wire::{Reader, put_packet, put_sized, put_u16};

/// A step in the delivery of one message. Which step, its packet type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The PUBLISH meant.
    pub packet_id: NonZeroU16,
    /// Always `Success` before MQTT 5.0.
    pub reason: ReasonCode,
    /// Empty before MQTT 5.0.
    pub properties: AckProperties<'a>,
}

/// Acknowledges a PUBLISH of `QoS` 1.
pub type PubAck<'a> = Ack<'a>;
/// First answer to a PUBLISH of `QoS` 2.
pub type PubRec<'a> = Ack<'a>;
/// Answer to a PUBREC.
pub type PubRel<'a> = Ack<'a>;
/// Answer to a PUBREL, and the end of a `QoS` 2 delivery.
pub type PubComp<'a> = Ack<'a>;

/// Properties of all acknowledgements, SUBACK and UNSUBACK included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the properties; see `Property`")]
pub struct AckProperties<'a> {
    pub reason_string: Option<&'a str>,
    pub user_properties: UserProperties<'a>,
}

impl<'a> Ack<'a> {
    /// An acknowledgement without properties.
    pub fn new(packet_id: NonZeroU16, reason: ReasonCode) -> Self {
        Self {
            packet_id,
            reason,
            properties: AckProperties::default(),
        }
    }

    /// Read the acknowledgement that the header names.
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        header.check_flags(version)?;
        let packet = header.packet_type;
        let mut reader = Reader::new(body);
        let mut ack = Self::new(reader.packet_id()?, ReasonCode::Success);
        if version.is_v5() && !reader.is_empty() {
            let code = reader.u8("reason code")?;
            ack.reason = ReasonCode::from_u8(code)
                .filter(|code| code.is_allowed_in(packet))
                .ok_or(DecodeError::BadReasonCode { packet, code })?;
            if !reader.is_empty() {
                ack.properties = AckProperties::read(&mut reader, packet)?;
            }
        }
        reader.finish(packet)?;
        Ok(ack)
    }

    /// Append it as the packet `packet_type`, which is one of the four; in the shortest form.
    pub fn encode(
        &self,
        packet_type: PacketType,
        version: Version,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let [high, low] = self.packet_id.get().to_be_bytes();
        let plain = self.properties.is_empty();
        if !version.is_v5() || (plain && self.reason == ReasonCode::Success) {
            out.extend_from_slice(&[packet_type.first_byte(), 2, high, low]);
            return Ok(());
        }
        if plain {
            let reason = self.reason.as_u8();
            out.extend_from_slice(&[packet_type.first_byte(), 3, high, low, reason]);
            return Ok(());
        }
        put_packet(out, packet_type.first_byte(), |out| {
            put_u16(out, self.packet_id.get());
            out.push(self.reason.as_u8());
            self.properties.write_sized(out)
        })
    }
}

impl<'a> AckProperties<'a> {
    /// True without any property.
    pub fn is_empty(&self) -> bool {
        self.reason_string.is_none() && self.user_properties.is_empty()
    }

    pub(super) fn read(reader: &mut Reader<'a>, packet: PacketType) -> Result<Self, DecodeError> {
        let mut reason_string = None;
        let user_properties =
            Section::open(reader, Place::Packet(packet))?.read_all(|property| {
                if let Property::ReasonString(value) = property {
                    reason_string = Some(value);
                }
            })?;
        Ok(Self {
            reason_string,
            user_properties,
        })
    }

    pub(super) fn write_sized(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_sized(out, |out| {
            put_property(out, self.reason_string.map(Property::ReasonString))?;
            self.user_properties.write(out)
        })
    }
}
