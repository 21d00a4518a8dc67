//! DISCONNECT (section 3.14).

use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, PacketType};
use super::property::{Place, Property, Section, UserProperties, put_property};
use super::reason::ReasonCode;
use super::version::Version;
use super::wire::{Reader, put_packet, put_sized};

/// One side ends the connection, and since MQTT 5.0 says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Always `Success` before MQTT 5.0.
    pub reason: ReasonCode,
    /// Empty before MQTT 5.0.
    pub properties: DisconnectProperties<'a>,
}

/// Properties of DISCONNECT (section 3.14.2.2); `None` where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the properties; see `Property`")]
pub struct DisconnectProperties<'a> {
    pub session_expiry_interval: Option<u32>,
    pub reason_string: Option<&'a str>,
    pub server_reference: Option<&'a str>,
    pub user_properties: UserProperties<'a>,
}

impl<'a> Disconnect<'a> {
    /// A reason without properties.
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            properties: DisconnectProperties::default(),
        }
    }

    /// Read a DISCONNECT.
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        header.check_flags(version)?;
        let packet = PacketType::Disconnect;
        let mut reader = Reader::new(body);
        let mut disconnect = Self::new(ReasonCode::Success);
        if version.is_v5() && !reader.is_empty() {
            let code = reader.u8("reason code")?;
            disconnect.reason = ReasonCode::from_u8(code)
                .filter(|code| code.is_allowed_in(packet))
                .ok_or(DecodeError::BadReasonCode { packet, code })?;
            if !reader.is_empty() {
                disconnect.properties = DisconnectProperties::read(&mut reader)?;
            }
        }
        reader.finish(packet)?;
        Ok(disconnect)
    }

    /// Append the packet in its shortest form; before MQTT 5.0 it has no content.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_packet(out, PacketType::Disconnect.first_byte(), |out| {
            let plain = self.properties == DisconnectProperties::default();
            if !version.is_v5() || (plain && self.reason == ReasonCode::Success) {
                return Ok(());
            }
            out.push(self.reason.as_u8());
            if plain {
                return Ok(());
            }
            put_sized(out, |out| self.properties.write(out))
        })
    }
}

impl<'a> DisconnectProperties<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut read = Self::default();
        let section = Section::open(reader, Place::Packet(PacketType::Disconnect))?;
        read.user_properties = section.read_all(|property| match property {
            Property::SessionExpiryInterval(value) => read.session_expiry_interval = Some(value),
            Property::ReasonString(value) => read.reason_string = Some(value),
            Property::ServerReference(value) => read.server_reference = Some(value),
            _ => {}
        })?;
        Ok(read)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_property(
            out,
            self.session_expiry_interval
                .map(Property::SessionExpiryInterval),
        )?;
        put_property(out, self.reason_string.map(Property::ReasonString))?;
        put_property(out, self.server_reference.map(Property::ServerReference))?;
        self.user_properties.write(out)
    }
}
