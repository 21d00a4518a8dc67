//! The Fixed Header: what a packet is and how long, known before its body has arrived.

use std::fmt;

use super::error::DecodeError;
use super::version::{QoS, Version};

/// The largest Remaining Length four bytes can say (section 1.5.5).
pub const MAX_REMAINING_LENGTH: u32 = 268_435_455;

/// Control Packet types (section 2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "the standard's names say it all")]
pub enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// `None` for 0 and above 15.
    pub fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The name in capitals, as the standard writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }

    /// May a client send it (section 2.1.2)?
    pub fn client_may_send(self) -> bool {
        !matches!(
            self,
            Self::ConnAck | Self::SubAck | Self::UnsubAck | Self::PingResp
        )
    }

    /// May a server send it? DISCONNECT before 5.0 is let pass; it has no content to get wrong.
    pub fn server_may_send(self) -> bool {
        !matches!(
            self,
            Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::PingReq
        )
    }

    /// The flags the standard demands; PUBLISH has its own [MQTT-2.1.3-1].
    fn fixed_flags(self) -> u8 {
        match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        }
    }

    /// The first byte of a packet of this type, other than PUBLISH.
    pub(super) fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.fixed_flags()
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// First byte and Remaining Length of a packet (section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedHeader {
    /// What follows.
    pub packet_type: PacketType,
    /// The low four bits of the first byte, unchecked until the packet is decoded.
    pub flags: u8,
    /// Bytes that follow the header.
    pub remaining_length: u32,
    /// The length was written with more bytes than it needs: allowed before MQTT 5.0 only.
    pub padded: bool,
}

impl FixedHeader {
    /// Read a header from the start of `buf`, whether or not the rest has arrived.
    ///
    /// `Ok(None)`: more bytes are needed. Otherwise the header and its own size in bytes (2 to 5);
    /// the packet takes that plus `remaining_length`, to be compared with a limit before any
    /// memory is taken.
    pub fn parse(buf: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let Some((first, rest)) = buf.split_first() else {
            return Ok(None);
        };
        let value = first >> 4;
        let packet_type = PacketType::from_u8(value).ok_or(DecodeError::BadPacketType { value })?;
        let Some((remaining_length, size, padded)) = parse_length(rest)? else {
            return Ok(None);
        };
        Ok(Some((
            Self {
                packet_type,
                flags: first & 0x0f,
                remaining_length,
                padded,
            },
            1 + size,
        )))
    }

    /// MQTT 5.0 wants the length in its shortest form [MQTT-1.5.5-1]; the versions before have no such
    /// rule (section 2.2.3 of 3.1.1).
    pub(super) fn check_length(self, version: Version) -> Result<(), DecodeError> {
        if self.padded && version.is_v5() {
            Err(DecodeError::BadLength)
        } else {
            Ok(())
        }
    }

    /// Check the length and the flags of any packet but PUBLISH [MQTT-2.1.3-1].
    ///
    /// MQTT 3.1 has DUP in PUBREL, SUBSCRIBE and UNSUBSCRIBE; there it is let pass.
    pub(super) fn check_flags(self, version: Version) -> Result<(), DecodeError> {
        self.check_length(version)?;
        let demanded = self.packet_type.fixed_flags();
        let ignored = if version == Version::V31 && demanded != 0 {
            0b1000
        } else {
            0
        };
        if self.flags & !ignored == demanded {
            Ok(())
        } else {
            Err(DecodeError::BadHeaderFlags {
                packet: self.packet_type,
            })
        }
    }
}

/// The flags of a PUBLISH (section 3.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PublishFlags {
    pub(super) dup: bool,
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

impl PublishFlags {
    pub(super) fn decode(flags: u8) -> Result<Self, DecodeError> {
        let qos = QoS::from_u8(flags >> 1 & 0x03).ok_or(DecodeError::BadQoS)?; // [MQTT-3.3.1-4]
        let dup = flags & 0x08 != 0;
        if dup && qos == QoS::AtMostOnce {
            return Err(DecodeError::DupWithoutQoS); // [MQTT-3.3.1-2]
        }
        Ok(Self {
            dup,
            qos,
            retain: flags & 0x01 != 0,
        })
    }

    pub(super) fn first_byte(self) -> u8 {
        (PacketType::Publish as u8) << 4
            | u8::from(self.dup) << 3
            | self.qos.as_u8() << 1
            | u8::from(self.retain)
    }
}

/// A Variable Byte Integer and its size; `None` if `buf` ends within it (section 1.5.5).
pub(super) fn parse_varint(buf: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    match parse_length(buf)? {
        Some((_, _, true)) => Err(DecodeError::BadLength), // longer than needed [MQTT-1.5.5-1]
        Some((value, size, false)) => Ok(Some((value, size))),
        None => Ok(None),
    }
}

/// A Variable Byte Integer, its size, and whether it is longer than needed.
fn parse_length(buf: &[u8]) -> Result<Option<(u32, usize, bool)>, DecodeError> {
    let mut value = 0;
    for (at, byte) in buf.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((value, at + 1, *byte == 0 && at > 0)));
        }
    }
    if buf.len() >= 4 {
        Err(DecodeError::BadLength)
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is a failed test")]
    use super::*;

    #[test]
    fn lengths() {
        for (bytes, expect) in [
            (&[][..], Ok(None)),
            (&[0x80], Ok(None)),
            (&[0x80, 0x80, 0x80], Ok(None)),
            (&[0], Ok(Some((0, 1)))),
            (&[0x7f, 9], Ok(Some((127, 1)))),
            (&[0x80, 1], Ok(Some((128, 2)))),
            (
                &[0xff, 0xff, 0xff, 0x7f],
                Ok(Some((MAX_REMAINING_LENGTH, 4))),
            ),
            (&[0x80, 0], Err(DecodeError::BadLength)),
            (&[0xff, 0xff, 0], Err(DecodeError::BadLength)),
            (&[0xff, 0xff, 0xff, 0x80], Err(DecodeError::BadLength)),
        ] {
            assert_eq!(parse_varint(bytes), expect, "{bytes:?}");
        }
    }

    #[test]
    fn headers() {
        assert_eq!(FixedHeader::parse(&[0x30]), Ok(None));
        let (header, size) = FixedHeader::parse(&[0x3d, 0x80, 0x01]).unwrap().unwrap();
        assert_eq!(
            (header.packet_type, header.flags),
            (PacketType::Publish, 0x0d)
        );
        assert_eq!((header.remaining_length, size), (128, 3));
        for version in [Version::V31, Version::V311, Version::V5] {
            let (header, size) = FixedHeader::parse(&[0xc0, 0x80, 0]).unwrap().unwrap();
            assert_eq!((header.remaining_length, size), (0, 3));
            assert_eq!(header.check_flags(version).is_ok(), !version.is_v5());
        }
        assert_eq!(
            FixedHeader::parse(&[0x00]),
            Err(DecodeError::BadPacketType { value: 0 })
        );
    }
}
