//! The list of properties in a packet: read once with every check, then walked again freely.

use super::super::error::{DecodeError, EncodeError};
use super::super::header::PacketType;
use super::super::wire::Reader;
use super::id::{Place, PropertyId};
use super::value::Property;

/// User properties in one list. MQTT has no bound; each is work for the pipeline and for every receiver.
pub const MAX_USER_PROPERTIES: usize = 1000;
/// Bytes of all their names and values: the largest single one MQTT allows fits twice.
pub const MAX_USER_PROPERTY_BYTES: usize = 256 * 1024;

/// A list of properties being read and checked.
#[derive(Debug)]
pub(in crate::packet) struct Section<'a> {
    /// All of the list, without its length.
    raw: &'a [u8],
    reader: Reader<'a>,
    place: Place,
    /// One bit for each identifier met; all are below 64.
    seen: u64,
    users: UserProperties<'a>,
}

impl<'a> Section<'a> {
    /// Read the Property Length and put that many bytes aside.
    pub(in crate::packet) fn open(
        reader: &mut Reader<'a>,
        place: Place,
    ) -> Result<Self, DecodeError> {
        let len = reader.varint("property length")? as usize;
        if len > reader.len() {
            return Err(DecodeError::BadPropertyLength);
        }
        let raw = reader.take(len, "properties")?;
        Ok(Self::of(raw, place))
    }

    /// A list without its length in front.
    pub(in crate::packet) fn of(raw: &'a [u8], place: Place) -> Self {
        let users = UserProperties {
            raw,
            ..UserProperties::default()
        };
        Self {
            raw,
            reader: Reader::new(raw),
            place,
            seen: 0,
            users,
        }
    }

    /// The next property, or `None` behind the last.
    pub(in crate::packet) fn next(&mut self) -> Result<Option<Property<'a>>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let property = Property::read(&mut self.reader).map_err(|error| match error {
            DecodeError::Truncated { .. } => DecodeError::BadPropertyLength,
            other => other,
        })?;
        let id = property.id();
        if !id.belongs_in(self.place) {
            return Err(DecodeError::MisplacedProperty { property: id });
        }
        let bit = 1_u64 << id.as_u8();
        if self.seen & bit != 0 && !id.may_repeat_in(self.place) {
            return Err(DecodeError::DuplicateProperty { property: id });
        }
        self.seen |= bit;
        if let Property::UserProperty(key, value) = property {
            self.users.count += 1;
            self.users.text_bytes += key.len() + value.len();
            if self.users.count > MAX_USER_PROPERTIES {
                return Err(DecodeError::TooManyUserProperties);
            }
            if self.users.text_bytes > MAX_USER_PROPERTY_BYTES {
                return Err(DecodeError::UserPropertiesTooLarge);
            }
        }
        Ok(Some(property))
    }

    /// Hand every property to `each`; returns the user properties.
    pub(in crate::packet) fn read_all(
        mut self,
        mut each: impl FnMut(Property<'a>),
    ) -> Result<UserProperties<'a>, DecodeError> {
        while let Some(property) = self.next()? {
            each(property);
        }
        Ok(self.users())
    }

    /// The user properties met so far.
    pub(in crate::packet) fn users(&self) -> UserProperties<'a> {
        self.users
    }

    /// How many bytes of the list have been read.
    pub(in crate::packet) fn position(&self) -> usize {
        self.raw.len() - self.reader.len()
    }

    pub(in crate::packet) fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Has this property been met?
    pub(in crate::packet) fn has(&self, id: PropertyId) -> bool {
        self.seen & (1 << id.as_u8()) != 0
    }
}

/// Append a property if there is one.
pub(in crate::packet) fn put_property(
    out: &mut Vec<u8>,
    property: Option<Property<'_>>,
) -> Result<(), EncodeError> {
    property.map_or(Ok(()), |property| property.write(out))
}

/// Walks a list of properties that has been checked before.
#[derive(Clone, Debug)]
pub struct PropertyIter<'a> {
    reader: Reader<'a>,
}

impl<'a> PropertyIter<'a> {
    pub(in crate::packet) fn new(raw: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(raw),
        }
    }

    /// The next property with the bytes it takes.
    pub(in crate::packet) fn next_with_size(&mut self) -> Option<(Property<'a>, usize)> {
        let before = self.reader.len();
        if before == 0 {
            return None;
        }
        let property = Property::read(&mut self.reader).ok()?;
        Some((property, before - self.reader.len()))
    }
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        self.next_with_size().map(|(property, _)| property)
    }
}

/// The user properties of a packet, in their order. Equal when names and values are.
#[derive(Clone, Copy, Default)]
pub struct UserProperties<'a> {
    /// A checked list of properties; those that are not user properties are passed over.
    raw: &'a [u8],
    count: usize,
    text_bytes: usize,
}

impl<'a> UserProperties<'a> {
    /// Take a list of properties as [`Property::write`] makes it. Only user properties are allowed.
    pub fn parse(raw: &'a [u8]) -> Result<Self, DecodeError> {
        let mut wrong = None;
        // UNSUBSCRIBE is a packet with no property but these.
        let place = Place::Packet(PacketType::Unsubscribe);
        let users = Section::of(raw, place).read_all(|property| match property {
            Property::UserProperty(..) => {}
            other => wrong = Some(other.id()),
        })?;
        match wrong {
            Some(property) => Err(DecodeError::MisplacedProperty { property }),
            None => Ok(users),
        }
    }

    /// How many there are, known without walking them.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all names and values together, known without walking them.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Names and values in their order; names may repeat.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let raw = if self.count == 0 { &[] } else { self.raw };
        PropertyIter::new(raw).filter_map(|property| match property {
            Property::UserProperty(key, value) => Some((key, value)),
            _ => None,
        })
    }

    pub(in crate::packet) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.iter()
            .try_for_each(|(key, value)| Property::UserProperty(key, value).write(out))
    }
}

impl PartialEq for UserProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl Eq for UserProperties<'_> {}

impl std::fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
