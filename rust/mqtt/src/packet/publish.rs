//! PUBLISH (section 3.3): the packet everything else is there for.
//!
//! Decoding checks the properties once and picks out the three that a broker acts on; the others
//! are passed on as bytes. [`PublishParts`] writes a PUBLISH from a message and what one receiver
//! needs, and tells where to patch the copy for the next receiver.

use std::borrow::Cow;
use std::num::{NonZeroU16, NonZeroU32};

use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, MAX_REMAINING_LENGTH, PacketType, PublishFlags};
use super::property::{Place, Property, PropertyId, PropertyIter, Section, UserProperties};
use super::version::{QoS, Version};
use super::wire::{Reader, put_string, put_u16, put_u32, put_varint, varint_size};
use crate::topic::filter::has_wildcard;

/// A message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Sent before, perhaps.
    pub dup: bool,
    /// Of this hop.
    pub qos: QoS,
    /// To be kept, or was kept.
    pub retain: bool,
    /// No wildcard. Empty only with a Topic Alias.
    pub topic: &'a str,
    /// Present exactly if `qos` is 1 or 2 [MQTT-2.2.1-2].
    pub packet_id: Option<NonZeroU16>,
    /// Empty before MQTT 5.0.
    pub properties: PublishProperties<'a>,
    /// Any bytes.
    pub payload: &'a [u8],
}

/// The properties of a PUBLISH: checked, the broker's own picked out, the rest still as bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublishProperties<'a> {
    raw: &'a [u8],
    users: UserProperties<'a>,
    message_expiry_interval: Option<u32>,
    topic_alias: Option<NonZeroU16>,
    payload_format_indicator: Option<bool>,
    /// First and last byte of what is to be forwarded, and whether all between is.
    forward: (usize, usize),
    forward_whole: bool,
    has_subscription_ids: bool,
}

impl<'a> Publish<'a> {
    /// Read a PUBLISH.
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        header.check_length(version)?;
        let PublishFlags { dup, qos, retain } = PublishFlags::decode(header.flags)?;
        let mut reader = Reader::new(body);
        let topic = reader.string("topic name")?;
        if has_wildcard(topic) {
            return Err(DecodeError::WildcardInTopic); // [MQTT-3.3.2-2]
        }
        let packet_id = if qos == QoS::AtMostOnce {
            None
        } else {
            Some(reader.packet_id()?)
        };
        let properties = if version.is_v5() {
            PublishProperties::read(&mut reader)?
        } else {
            PublishProperties::default()
        };
        if topic.is_empty() && properties.topic_alias.is_none() {
            return Err(if version.is_v5() {
                DecodeError::NoTopicNoAlias // section 3.3.2.1
            } else {
                DecodeError::EmptyTopic // [v3.1.1 MQTT-4.7.3-1]
            });
        }
        let payload = reader.take_rest();
        Ok(Self {
            dup,
            qos,
            retain,
            topic,
            packet_id,
            properties,
            payload,
        })
    }

    /// Append the packet, with all its properties as they are if the version has any.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let parts = PublishParts {
            version,
            qos: self.qos,
            dup: self.dup,
            retain: self.retain,
            topic: self.topic,
            packet_id: self.packet_id,
            message_expiry_interval: None,
            topic_alias: None,
            subscription_ids: &[],
            forwardable: self.properties.raw,
            payload: self.payload,
        };
        parts.encode(out).map(|_| ())
    }
}

impl<'a> PublishProperties<'a> {
    /// Check a list of properties as [`Property::write`] makes it.
    pub fn parse(raw: &'a [u8]) -> Result<Self, DecodeError> {
        Self::collect(Section::of(raw, Place::Packet(PacketType::Publish)))
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Self::collect(Section::open(reader, Place::Packet(PacketType::Publish))?)
    }

    fn collect(mut section: Section<'a>) -> Result<Self, DecodeError> {
        let mut read = Self {
            raw: section.raw(),
            forward_whole: true,
            ..Self::default()
        };
        let mut begin = 0;
        while let Some(property) = section.next()? {
            let end = section.position();
            match property {
                Property::MessageExpiryInterval(value) => {
                    read.message_expiry_interval = Some(value);
                }
                Property::TopicAlias(value) => read.topic_alias = Some(value),
                Property::PayloadFormatIndicator(value) => {
                    read.payload_format_indicator = Some(value);
                }
                _ => {}
            }
            if is_forwardable(property.id()) {
                let (first, last) = read.forward;
                read.forward_whole &= last == 0 || last == begin;
                read.forward = (if last == 0 { begin } else { first }, end);
            }
            begin = end;
        }
        read.users = section.users();
        read.has_subscription_ids = section.has(PropertyId::SubscriptionIdentifier);
        Ok(read)
    }

    /// Seconds the message has left when it was received.
    pub fn message_expiry_interval(&self) -> Option<u32> {
        self.message_expiry_interval
    }

    /// Stands for the Topic Name on this connection. Its upper limit is the caller's to check.
    pub fn topic_alias(&self) -> Option<NonZeroU16> {
        self.topic_alias
    }

    /// True: the payload claims to be UTF-8 text. It has not been looked at.
    pub fn payload_format_indicator(&self) -> Option<bool> {
        self.payload_format_indicator
    }

    /// Names and values added by the publisher.
    pub fn user_properties(&self) -> UserProperties<'a> {
        self.users
    }

    /// A Topic Name for answers.
    pub fn response_topic(&self) -> Option<&'a str> {
        self.all().find_map(|property| match property {
            Property::ResponseTopic(value) => Some(value),
            _ => None,
        })
    }

    /// For the requester to tell answers apart.
    pub fn correlation_data(&self) -> Option<&'a [u8]> {
        self.all().find_map(|property| match property {
            Property::CorrelationData(value) => Some(value),
            _ => None,
        })
    }

    /// What the payload is.
    pub fn content_type(&self) -> Option<&'a str> {
        self.all().find_map(|property| match property {
            Property::ContentType(value) => Some(value),
            _ => None,
        })
    }

    /// Are there Subscription Identifiers? Only a server may send them [MQTT-3.3.4-6].
    pub fn has_subscription_ids(&self) -> bool {
        self.has_subscription_ids
    }

    /// The Subscription Identifiers in order.
    pub fn subscription_ids(&self) -> impl Iterator<Item = NonZeroU32> + use<'a> {
        self.all().filter_map(|property| match property {
            Property::SubscriptionIdentifier(value) => Some(value),
            _ => None,
        })
    }

    /// All properties in order.
    pub fn all(&self) -> PropertyIter<'a> {
        PropertyIter::new(self.raw)
    }

    /// The bytes of the properties that go to receivers unaltered [MQTT-3.3.2-17] and their like:
    /// all but Topic Alias, Message Expiry Interval and Subscription Identifiers.
    ///
    /// Borrowed whenever they stand side by side, which costs nothing; else put together anew.
    pub fn forwardable(&self) -> Cow<'a, [u8]> {
        let (first, last) = self.forward;
        if let (true, Some(bytes)) = (self.forward_whole, self.raw.get(first..last)) {
            return Cow::Borrowed(bytes);
        }
        let mut kept = Vec::with_capacity(last - first);
        let (mut iter, mut rest) = (self.all(), self.raw);
        while let Some((property, size)) = iter.next_with_size() {
            let Some((bytes, behind)) = rest.split_at_checked(size) else {
                break;
            };
            if is_forwardable(property.id()) {
                kept.extend_from_slice(bytes);
            }
            rest = behind;
        }
        Cow::Owned(kept)
    }
}

impl PartialEq for PublishProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for PublishProperties<'_> {}

fn is_forwardable(id: PropertyId) -> bool {
    !matches!(
        id,
        PropertyId::TopicAlias
            | PropertyId::MessageExpiryInterval
            | PropertyId::SubscriptionIdentifier
    )
}

/// What a PUBLISH to one receiver is made of. The broker's way to write one.
#[derive(Clone, Copy, Debug)]
pub struct PublishParts<'a> {
    /// Of the receiver.
    pub version: Version,
    /// Of this hop.
    pub qos: QoS,
    /// Sent before.
    pub dup: bool,
    /// As the receiver is to see it.
    pub retain: bool,
    /// May be empty with a Topic Alias.
    pub topic: &'a str,
    /// Present exactly if `qos` is 1 or 2. Any value will do if it is patched later.
    pub packet_id: Option<NonZeroU16>,
    /// Seconds left. This and all properties below are not written before MQTT 5.0.
    pub message_expiry_interval: Option<u32>,
    /// Of the receiver's connection.
    pub topic_alias: Option<NonZeroU16>,
    /// Of the matching subscriptions; 1 to 268,435,455 each.
    pub subscription_ids: &'a [u32],
    /// As [`PublishProperties::forwardable`] gives them.
    pub forwardable: &'a [u8],
    /// Any bytes.
    pub payload: &'a [u8],
}

/// Where the parts of a written PUBLISH are, in bytes from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishLayout {
    /// Two bytes, big-endian.
    pub packet_id_at: Option<usize>,
    /// Four bytes, big-endian.
    pub message_expiry_at: Option<usize>,
    /// Two bytes, big-endian.
    pub topic_alias_at: Option<usize>,
    /// Also the length of everything before the payload.
    pub payload_at: usize,
}

impl PublishParts<'_> {
    /// Append the whole packet. `out` is as before on error.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<PublishLayout, EncodeError> {
        out.reserve(32 + self.topic.len() + self.forwardable.len() + self.payload.len());
        let layout = self.encode_header(out)?;
        out.extend_from_slice(self.payload);
        Ok(layout)
    }

    /// Append everything up to the payload, whose length is accounted for: it may then be sent
    /// from where it lies.
    pub fn encode_header(&self, out: &mut Vec<u8>) -> Result<PublishLayout, EncodeError> {
        if self.packet_id.is_some() != (self.qos != QoS::AtMostOnce) {
            return Err(EncodeError::PacketIdMismatch);
        }
        let properties_len = if self.version.is_v5() {
            Some(self.properties_len()?)
        } else {
            None
        };
        let remaining = 2
            + self.topic.len()
            + self.packet_id.map_or(0, |_| 2)
            + properties_len.map_or(0, |len| varint_size(len) + len as usize)
            + self.payload.len();
        let remaining = length(remaining)?;
        let start = out.len();
        out.reserve(5 + remaining as usize - self.payload.len());
        let flags = PublishFlags {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
        };
        out.push(flags.first_byte());
        put_varint(out, remaining);
        if let Err(error) = put_string(out, self.topic, "topic name") {
            out.truncate(start);
            return Err(error);
        }
        let mut layout = PublishLayout {
            packet_id_at: None,
            message_expiry_at: None,
            topic_alias_at: None,
            payload_at: 0,
        };
        if let Some(packet_id) = self.packet_id {
            layout.packet_id_at = Some(out.len() - start);
            put_u16(out, packet_id.get());
        }
        if let Some(len) = properties_len {
            put_varint(out, len);
            self.put_properties(out, start, &mut layout);
        }
        layout.payload_at = out.len() - start;
        Ok(layout)
    }

    fn properties_len(&self) -> Result<u32, EncodeError> {
        let mut len = self.message_expiry_interval.map_or(0, |_| 5)
            + self.topic_alias.map_or(0, |_| 3)
            + self.forwardable.len();
        for id in self.subscription_ids {
            if !(1..=MAX_REMAINING_LENGTH).contains(id) {
                return Err(EncodeError::BadSubscriptionId);
            }
            len += 1 + varint_size(*id);
        }
        length(len)
    }

    fn put_properties(&self, out: &mut Vec<u8>, start: usize, layout: &mut PublishLayout) {
        if let Some(alias) = self.topic_alias {
            out.push(PropertyId::TopicAlias.as_u8());
            layout.topic_alias_at = Some(out.len() - start);
            put_u16(out, alias.get());
        }
        if let Some(seconds) = self.message_expiry_interval {
            out.push(PropertyId::MessageExpiryInterval.as_u8());
            layout.message_expiry_at = Some(out.len() - start);
            put_u32(out, seconds);
        }
        for id in self.subscription_ids {
            out.push(PropertyId::SubscriptionIdentifier.as_u8());
            put_varint(out, *id);
        }
        out.extend_from_slice(self.forwardable);
    }
}

fn length(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len)
        .ok()
        .filter(|len| *len <= MAX_REMAINING_LENGTH)
        .ok_or(EncodeError::PacketTooLong)
}
