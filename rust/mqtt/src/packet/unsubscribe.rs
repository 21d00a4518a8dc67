//! UNSUBSCRIBE (section 3.10).

use std::num::NonZeroU16;

use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, PacketType};
use super::property::{Place, Section, UserProperties};
use super::version::Version;
use super::wire::{Reader, put_packet, put_sized, put_string, put_u16};

/// A client no longer wants messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// To be named in the UNSUBACK.
    pub packet_id: NonZeroU16,
    /// One or more.
    pub filters: Filters<'a>,
    /// Empty before MQTT 5.0.
    pub user_properties: UserProperties<'a>,
}

/// The filters of an UNSUBSCRIBE, checked to be strings, still as bytes.
#[derive(Clone, Copy)]
pub struct Filters<'a> {
    raw: &'a [u8],
    count: usize,
}

impl<'a> Filters<'a> {
    /// Check strings with their lengths in front; there must be one at least [MQTT-3.10.3-2].
    pub fn parse(raw: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(raw);
        let mut count = 0;
        while !reader.is_empty() {
            reader.string("topic filter")?;
            count += 1;
        }
        if count == 0 {
            return Err(DecodeError::NoEntries {
                packet: PacketType::Unsubscribe,
            });
        }
        Ok(Self { raw, count })
    }

    /// Append one filter as [`Self::parse`] reads it.
    pub fn write(filter: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_string(out, filter, "topic filter")
    }

    /// How many there are; never 0.
    #[allow(clippy::len_without_is_empty, reason = "it cannot be empty")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The filters in order, as received.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.raw);
        std::iter::from_fn(move || reader.string("topic filter").ok())
    }
}

impl PartialEq for Filters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for Filters<'_> {}

impl std::fmt::Debug for Filters<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Unsubscribe<'a> {
    /// Read an UNSUBSCRIBE.
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        header.check_flags(version)?;
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let user_properties = if version.is_v5() {
            let place = Place::Packet(PacketType::Unsubscribe);
            Section::open(&mut reader, place)?.read_all(|_| {})?
        } else {
            UserProperties::default()
        };
        let filters = Filters::parse(reader.take_rest())?;
        Ok(Self {
            packet_id,
            filters,
            user_properties,
        })
    }

    /// Append the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_packet(out, PacketType::Unsubscribe.first_byte(), |out| {
            put_u16(out, self.packet_id.get());
            if version.is_v5() {
                put_sized(out, |out| self.user_properties.write(out))?;
            }
            out.extend_from_slice(self.filters.raw);
            Ok(())
        })
    }
}
