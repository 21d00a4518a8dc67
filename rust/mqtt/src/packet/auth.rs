//! AUTH (section 3.15), MQTT 5.0 only.

use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, PacketType};
use super::property::{Place, Property, Section, UserProperties, put_property};
use super::reason::ReasonCode;
use super::version::Version;
use super::wire::{Reader, put_packet, put_sized};

/// A step of an enhanced authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// `Success`, `ContinueAuthentication` or `ReAuthenticate`.
    pub reason: ReasonCode,
    /// A client must name the method; see [`super::Packet::check_from_client`].
    pub properties: AuthProperties<'a>,
}

/// Properties of AUTH (section 3.15.2.2); `None` where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the properties; see `Property`")]
pub struct AuthProperties<'a> {
    pub authentication_method: Option<&'a str>,
    pub authentication_data: Option<&'a [u8]>,
    pub reason_string: Option<&'a str>,
    pub user_properties: UserProperties<'a>,
}

impl<'a> Auth<'a> {
    /// Read an AUTH.
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        let packet = PacketType::Auth;
        if !version.is_v5() {
            return Err(DecodeError::BadPacketType {
                value: packet as u8,
            });
        }
        header.check_flags(version)?;
        let mut reader = Reader::new(body);
        let mut auth = Self {
            reason: ReasonCode::Success,
            properties: AuthProperties::default(),
        };
        if !reader.is_empty() {
            let code = reader.u8("reason code")?;
            auth.reason = ReasonCode::from_u8(code)
                .filter(|code| code.is_allowed_in(packet))
                .ok_or(DecodeError::BadReasonCode { packet, code })?;
            if !reader.is_empty() {
                auth.properties = AuthProperties::read(&mut reader)?;
            }
        }
        reader.finish(packet)?;
        Ok(auth)
    }

    /// Append the packet in its shortest form.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !version.is_v5() {
            return Err(EncodeError::NotInVersion {
                packet: PacketType::Auth,
            });
        }
        put_packet(out, PacketType::Auth.first_byte(), |out| {
            let plain = self.properties == AuthProperties::default();
            if plain && self.reason == ReasonCode::Success {
                return Ok(());
            }
            out.push(self.reason.as_u8());
            put_sized(out, |out| self.properties.write(out))
        })
    }
}

impl<'a> AuthProperties<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut read = Self::default();
        let section = Section::open(reader, Place::Packet(PacketType::Auth))?;
        read.user_properties = section.read_all(|property| match property {
            Property::AuthenticationMethod(value) => read.authentication_method = Some(value),
            Property::AuthenticationData(value) => read.authentication_data = Some(value),
            Property::ReasonString(value) => read.reason_string = Some(value),
            _ => {}
        })?;
        if read.authentication_data.is_some() && read.authentication_method.is_none() {
            return Err(DecodeError::AuthDataWithoutMethod); // section 3.15.2.2.3
        }
        Ok(read)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_property(
            out,
            self.authentication_method
                .map(Property::AuthenticationMethod),
        )?;
        put_property(
            out,
            self.authentication_data.map(Property::AuthenticationData),
        )?;
        put_property(out, self.reason_string.map(Property::ReasonString))?;
        self.user_properties.write(out)
    }
}
