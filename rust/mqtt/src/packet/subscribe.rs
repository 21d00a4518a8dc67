//! SUBSCRIBE (section 3.8).

use std::num::{NonZeroU16, NonZeroU32};

use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, PacketType};
use super::property::{Place, Property, Section, UserProperties, put_property};
use super::version::{QoS, Version};
use super::wire::{Reader, put_packet, put_sized, put_string, put_u16};

/// A client asks for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// To be named in the SUBACK.
    pub packet_id: NonZeroU16,
    /// One or more.
    pub subscriptions: Subscriptions<'a>,
    /// Empty before MQTT 5.0.
    pub properties: SubscribeProperties<'a>,
}

/// Properties of SUBSCRIBE (section 3.8.2.1); `None` where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the properties; see `Property`")]
pub struct SubscribeProperties<'a> {
    pub subscription_identifier: Option<NonZeroU32>,
    pub user_properties: UserProperties<'a>,
}

/// One filter with its options (section 3.8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// Text as received; whether it is a valid filter is for [`crate::topic::FilterScope`] to say.
    pub filter: &'a str,
    /// The highest `QoS` wanted.
    pub qos: QoS,
    /// Do not send me what I publish. False before MQTT 5.0.
    pub no_local: bool,
    /// Keep the RETAIN flag as the publisher set it. False before MQTT 5.0.
    pub retain_as_published: bool,
    /// `OnSubscribe` before MQTT 5.0.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent for a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// 0: at each SUBSCRIBE.
    #[default]
    OnSubscribe = 0,
    /// 1: only if the subscription did not exist.
    IfNew = 1,
    /// 2: never.
    Never = 2,
}

impl RetainHandling {
    /// `None` for 3 and above.
    pub fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::OnSubscribe),
            1 => Some(Self::IfNew),
            2 => Some(Self::Never),
            _ => None,
        }
    }
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
const RETAIN_HANDLING_SHIFT: u8 = 4;

impl<'a> Subscription<'a> {
    fn read(version: Version, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let filter = reader.string("topic filter")?;
        let options = reader.u8("subscription options")?;
        let used = if version.is_v5() { 0x3f } else { 0x03 };
        if options & !used != 0 {
            return Err(DecodeError::ReservedBits {
                field: "subscription options",
            }); // [MQTT-3.8.3-5]
        }
        let no_local = options & NO_LOCAL != 0;
        if no_local && filter.starts_with("$share/") {
            return Err(DecodeError::NoLocalOnShared); // [MQTT-3.8.3-4]
        }
        Ok(Self {
            filter,
            qos: QoS::from_u8(options & 0x03).ok_or(DecodeError::BadSubscriptionQoS)?,
            no_local,
            retain_as_published: options & RETAIN_AS_PUBLISHED != 0,
            retain_handling: RetainHandling::from_u8(options >> RETAIN_HANDLING_SHIFT)
                .ok_or(DecodeError::BadRetainHandling)?,
        })
    }

    /// Append one entry of a SUBSCRIBE. Before MQTT 5.0 only the `QoS` is written.
    pub fn write(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_string(out, self.filter, "topic filter")?;
        let mut options = self.qos.as_u8();
        if version.is_v5() {
            options |= (self.retain_handling as u8) << RETAIN_HANDLING_SHIFT;
            if self.no_local {
                options |= NO_LOCAL;
            }
            if self.retain_as_published {
                options |= RETAIN_AS_PUBLISHED;
            }
        }
        out.push(options);
        Ok(())
    }
}

/// The entries of a SUBSCRIBE, checked, still as bytes.
#[derive(Clone, Copy)]
pub struct Subscriptions<'a> {
    version: Version,
    raw: &'a [u8],
    count: usize,
}

impl<'a> Subscriptions<'a> {
    /// Check entries as [`Subscription::write`] makes them; there must be one at least.
    pub fn parse(version: Version, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(raw);
        let mut count = 0;
        while !reader.is_empty() {
            Subscription::read(version, &mut reader)?;
            count += 1;
        }
        if count == 0 {
            return Err(DecodeError::NoEntries {
                packet: PacketType::Subscribe,
            }); // [MQTT-3.8.3-2]
        }
        Ok(Self {
            version,
            raw,
            count,
        })
    }

    /// How many there are; never 0.
    #[allow(clippy::len_without_is_empty, reason = "it cannot be empty")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = Subscription<'a>> + use<'a> {
        let (version, mut reader) = (self.version, Reader::new(self.raw));
        std::iter::from_fn(move || Subscription::read(version, &mut reader).ok())
    }
}

impl PartialEq for Subscriptions<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl Eq for Subscriptions<'_> {}

impl std::fmt::Debug for Subscriptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Subscribe<'a> {
    /// Read a SUBSCRIBE.
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        header.check_flags(version)?;
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let properties = if version.is_v5() {
            SubscribeProperties::read(&mut reader)?
        } else {
            SubscribeProperties::default()
        };
        let subscriptions = Subscriptions::parse(version, reader.take_rest())?;
        Ok(Self {
            packet_id,
            subscriptions,
            properties,
        })
    }

    /// Append the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_packet(out, PacketType::Subscribe.first_byte(), |out| {
            put_u16(out, self.packet_id.get());
            if version.is_v5() {
                put_sized(out, |out| {
                    let id = self.properties.subscription_identifier;
                    put_property(out, id.map(Property::SubscriptionIdentifier))?;
                    self.properties.user_properties.write(out)
                })?;
            }
            self.subscriptions
                .iter()
                .try_for_each(|entry| entry.write(version, out))
        })
    }
}

impl<'a> SubscribeProperties<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut read = Self::default();
        let section = Section::open(reader, Place::Packet(PacketType::Subscribe))?;
        read.user_properties = section.read_all(|property| {
            if let Property::SubscriptionIdentifier(value) = property {
                read.subscription_identifier = Some(value);
            }
        })?;
        Ok(read)
    }
}
