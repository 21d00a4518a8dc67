//! A list of properties in every place one may stand, against table 2-4 of MQTT 5.0 written down again.
//!
//! Input: a byte that picks the place, the list without its length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vallum_fuzz::packets::{self, assert_round_trip};
use vallum_mqtt::packet::{
    Packet, Property, PropertyId, PublishProperties, UserProperties, Version,
};

/// What stands on the wire behind an identifier.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Flag,
    Qos,
    TwoBytes { zero: bool },
    FourBytes { zero: bool },
    VarInt,
    Text,
    Topic,
    Binary,
    Pair,
}

/// The packet around a list: first byte, what stands before the list and behind it, the identifiers it
/// may have beside User Property.
struct Place {
    first_byte: u8,
    before: &'static [u8],
    behind: &'static [u8],
    allowed: &'static [u8],
}

const PLACES: [Place; 12] = [
    // CONNECT, and its Will.
    place(
        0x10,
        b"\0\x04MQTT\x05\x02\0\0",
        b"\0\x01c",
        &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x27],
    ),
    place(
        0x10,
        b"\0\x04MQTT\x05\x06\0\0\0\0\x01c",
        b"\0\x01t\0\0",
        &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18],
    ),
    // CONNACK
    place(
        0x20,
        b"\0\0",
        b"",
        &[
            0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x27, 0x28,
            0x29, 0x2a,
        ],
    ),
    // PUBLISH
    place(
        0x30,
        b"\0\x01t",
        b"payload",
        &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23],
    ),
    // PUBACK, PUBREL
    place(0x40, b"\0\x01\x10", b"", &[0x1f]),
    place(0x62, b"\0\x01\x92", b"", &[0x1f]),
    // SUBSCRIBE, SUBACK
    place(0x82, b"\0\x01", b"\0\x01t\0", &[0x0b]),
    place(0x90, b"\0\x01", b"\0", &[0x1f]),
    // UNSUBSCRIBE, UNSUBACK
    place(0xa2, b"\0\x01", b"\0\x01t", &[]),
    place(0xb0, b"\0\x01", b"\0", &[0x1f]),
    // DISCONNECT, AUTH
    place(0xe0, b"\0", b"", &[0x11, 0x1c, 0x1f]),
    place(0xf0, b"\x18", b"", &[0x15, 0x16, 0x1f]),
];

const fn place(
    first_byte: u8,
    before: &'static [u8],
    behind: &'static [u8],
    allowed: &'static [u8],
) -> Place {
    Place {
        first_byte,
        before,
        behind,
        allowed,
    }
}

fn kind(id: u8) -> Option<Kind> {
    Some(match id {
        0x01 | 0x17 | 0x19 | 0x25 | 0x28 | 0x29 | 0x2a => Kind::Flag,
        0x24 => Kind::Qos,
        0x13 | 0x22 => Kind::TwoBytes { zero: true },
        0x21 | 0x23 => Kind::TwoBytes { zero: false },
        0x02 | 0x11 | 0x18 => Kind::FourBytes { zero: true },
        0x27 => Kind::FourBytes { zero: false },
        0x0b => Kind::VarInt,
        0x03 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => Kind::Text,
        0x08 => Kind::Topic,
        0x09 | 0x16 => Kind::Binary,
        0x26 => Kind::Pair,
        _ => return None,
    })
}

/// Takes `length` bytes off the front.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(rest, 2)?;
    take(rest, usize::from(length[0]) << 8 | usize::from(length[1]))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(sized(rest)?)
        .ok()
        .filter(|text| !text.contains('\0'))
}

/// A value in the shortest form, not 0.
fn varint(rest: &mut &[u8]) -> Option<()> {
    let length = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let bytes = take(rest, length)?;
    (length <= 4 && bytes.last() != Some(&0)).then_some(())
}

fn value(kind: Kind, rest: &mut &[u8]) -> Option<()> {
    let fits = match kind {
        Kind::Flag => take(rest, 1)?[0] <= 1,
        Kind::Qos => take(rest, 1)?[0] <= 2,
        Kind::TwoBytes { zero } => take(rest, 2)? != [0; 2] || zero,
        Kind::FourBytes { zero } => take(rest, 4)? != [0; 4] || zero,
        Kind::VarInt => varint(rest).is_some(),
        Kind::Text => text(rest).is_some(),
        Kind::Topic => vallum_fuzz::topics::is_name(text(rest)?),
        Kind::Binary => sized(rest).is_some(),
        Kind::Pair => text(rest).is_some() && text(rest).is_some(),
    };
    fits.then_some(())
}

/// The identifiers in the list, if all of it may stand in `place`.
fn model(place: &Place, mut list: &[u8]) -> Option<Vec<u8>> {
    let mut ids = Vec::new();
    while let Some((&id, rest)) = list.split_first() {
        list = rest;
        value(kind(id)?, &mut list)?;
        let repeats = id == 0x26 || (id == 0x0b && place.first_byte == 0x30);
        if (id != 0x26 && !place.allowed.contains(&id)) || (ids.contains(&id) && !repeats) {
            return None;
        }
        ids.push(id);
    }
    // Authentication Data without a method, from either side but in a CONNACK.
    let lonely = ids.contains(&0x16) && !ids.contains(&0x15);
    (!lonely || place.first_byte == 0x20).then_some(ids)
}

fn varint_bytes(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(0x80 | u8::try_from(value & 0x7f).unwrap());
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn check_publish(properties: &PublishProperties<'_>, list: &[u8], ids: &[u8]) {
    let found: Vec<u8> = properties
        .all()
        .map(|property| property.id().as_u8())
        .collect();
    assert_eq!(found, ids);
    let written = |keep: fn(PropertyId) -> bool| {
        let mut bytes = Vec::new();
        for property in properties.all().filter(|property| keep(property.id())) {
            property.write(&mut bytes).unwrap();
        }
        bytes
    };
    assert_eq!(written(|_| true), list, "written as read");
    let forwardable = written(|id| !matches!(id.as_u8(), 0x02 | 0x0b | 0x23));
    assert_eq!(*properties.forwardable(), *forwardable);
    assert_eq!(properties.has_subscription_ids(), ids.contains(&0x0b));
    assert_eq!(properties.topic_alias().is_some(), ids.contains(&0x23));
    assert_eq!(
        properties.message_expiry_interval().is_some(),
        ids.contains(&0x02)
    );
    check_users(properties.user_properties(), properties.all());
}

fn check_users<'a>(users: UserProperties<'a>, all: impl Iterator<Item = Property<'a>>) {
    let expected: Vec<_> = all
        .filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
        .collect();
    assert_eq!(users.iter().collect::<Vec<_>>(), expected);
    assert_eq!(users.len(), expected.len());
    let bytes: usize = expected
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    assert_eq!(users.text_bytes(), bytes);
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, list)) = data.split_first() else {
        return;
    };
    let place = &PLACES[usize::from(*choice) % PLACES.len()];
    let body = [place.before, &varint_bytes(list.len()), list, place.behind].concat();
    let bytes = [&[place.first_byte][..], &varint_bytes(body.len()), &body].concat();
    let decoded = packets::decode(Version::V5, &bytes).expect("a whole packet");
    let expected = model(place, list);
    assert_eq!(decoded.is_ok(), expected.is_some(), "{decoded:?}");
    if let (Ok(packet), Some(ids)) = (&decoded, &expected) {
        assert_round_trip(Version::V5, packet);
        if let Packet::Publish(publish) = packet {
            assert_eq!(publish.payload, place.behind);
            check_publish(&publish.properties, list, ids);
        }
    }

    let publish = &PLACES[3];
    assert_eq!(
        PublishProperties::parse(list).is_ok(),
        model(publish, list).is_some()
    );
    let only_users = model(&PLACES[8], list).is_some();
    assert_eq!(UserProperties::parse(list).is_ok(), only_users);
});
