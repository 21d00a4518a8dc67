//! SUBACK and UNSUBACK (sections 3.9 and 3.11): a reason code for each filter asked.

use std::num::NonZeroU16;

use super::ack::AckProperties;
use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, PacketType};
use super::reason::ReasonCode;
use super::version::Version;
use super::wire::{Reader, put_packet, put_u16};

/// Answers a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The SUBSCRIBE meant.
    pub packet_id: NonZeroU16,
    /// One for each filter, in the order asked.
    pub codes: ReasonCodes<'a>,
    /// Empty before MQTT 5.0.
    pub properties: AckProperties<'a>,
}

/// Answers an UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// The UNSUBSCRIBE meant.
    pub packet_id: NonZeroU16,
    /// One for each filter, in the order asked; none before MQTT 5.0.
    pub codes: ReasonCodes<'a>,
    /// Empty before MQTT 5.0.
    pub properties: AckProperties<'a>,
}

/// Reason codes as bytes that have been checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReasonCodes<'a>(&'a [u8]);

impl<'a> ReasonCodes<'a> {
    /// Check the codes of a SUBACK or UNSUBACK; there must be one at least [MQTT-3.8.3-2].
    pub fn parse(
        packet: PacketType,
        version: Version,
        bytes: &'a [u8],
    ) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::NoEntries { packet });
        }
        for &code in bytes {
            let known = if version.is_v5() {
                ReasonCode::from_u8(code).is_some_and(|code| code.is_allowed_in(packet))
            } else {
                matches!(code, 0..=2 | 0x80) // [v3.1.1 MQTT-3.9.3-2]
            };
            if !known {
                return Err(DecodeError::BadReasonCode { packet, code });
            }
        }
        Ok(Self(bytes))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none: only in an UNSUBACK before MQTT 5.0.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The codes in order.
    pub fn iter(&self) -> impl Iterator<Item = ReasonCode> + use<'a> {
        self.0.iter().filter_map(|code| ReasonCode::from_u8(*code))
    }
}

impl<'a> SubAck<'a> {
    /// Read a SUBACK.
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        header.check_flags(version)?;
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let properties = read_properties(version, header.packet_type, &mut reader)?;
        let codes = ReasonCodes::parse(header.packet_type, version, reader.take_rest())?;
        Ok(Self {
            packet_id,
            codes,
            properties,
        })
    }

    /// Append the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put(
            PacketType::SubAck,
            version,
            self.packet_id,
            self.properties,
            self.codes.iter(),
            out,
        )
    }

    /// Append a SUBACK without properties. `codes` is not empty.
    pub fn write(
        version: Version,
        packet_id: NonZeroU16,
        codes: &[ReasonCode],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let none = AckProperties::default();
        put(
            PacketType::SubAck,
            version,
            packet_id,
            none,
            codes.iter().copied(),
            out,
        )
    }
}

impl<'a> UnsubAck<'a> {
    /// Read an UNSUBACK.
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        header.check_flags(version)?;
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let properties = read_properties(version, header.packet_type, &mut reader)?;
        let codes = if version.is_v5() {
            ReasonCodes::parse(header.packet_type, version, reader.take_rest())?
        } else {
            reader.finish(header.packet_type)?;
            ReasonCodes::default()
        };
        Ok(Self {
            packet_id,
            codes,
            properties,
        })
    }

    /// Append the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put(
            PacketType::UnsubAck,
            version,
            self.packet_id,
            self.properties,
            self.codes.iter(),
            out,
        )
    }

    /// Append an UNSUBACK without properties. `codes` is not empty.
    pub fn write(
        version: Version,
        packet_id: NonZeroU16,
        codes: &[ReasonCode],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let none = AckProperties::default();
        put(
            PacketType::UnsubAck,
            version,
            packet_id,
            none,
            codes.iter().copied(),
            out,
        )
    }
}

fn read_properties<'a>(
    version: Version,
    packet: PacketType,
    reader: &mut Reader<'a>,
) -> Result<AckProperties<'a>, DecodeError> {
    if version.is_v5() {
        AckProperties::read(reader, packet)
    } else {
        Ok(AckProperties::default())
    }
}

fn put(
    packet: PacketType,
    version: Version,
    packet_id: NonZeroU16,
    properties: AckProperties<'_>,
    codes: impl Iterator<Item = ReasonCode>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    put_packet(out, packet.first_byte(), |out| {
        put_u16(out, packet_id.get());
        if version.is_v5() {
            properties.write_sized(out)?;
            out.extend(codes.map(ReasonCode::as_u8));
        } else if packet == PacketType::SubAck {
            out.extend(codes.map(ReasonCode::to_v3_suback));
        }
        Ok(())
    })
}
