//! Generated packets: what is written is read back, and no bytes make the decoder panic.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]

mod material;

use std::borrow::Cow;
use std::num::{NonZeroU16, NonZeroU32};

use material::{Material, VERSIONS, material};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use vallum_mqtt::packet::{
    Auth, AuthProperties, Connect, ConnectProperties, DecodeError, EncodeError, FixedHeader,
    Packet, PacketType, Property, PropertyId, PublishParts, PublishProperties, QoS, ReasonCode,
    Version,
};

/// The first packet in `bytes` and what follows it; `None` if it is not all there.
fn first_packet(
    version: Version,
    bytes: &[u8],
) -> Result<Option<(Packet<'_>, &[u8])>, DecodeError> {
    let Some((header, size)) = FixedHeader::parse(bytes)? else {
        return Ok(None);
    };
    let end = size + header.remaining_length as usize;
    let Some((packet, rest)) = bytes.split_at_checked(end) else {
        return Ok(None);
    };
    Ok(Some((
        Packet::decode(version, &header, &packet[size..])?,
        rest,
    )))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(material in material()) {
        let mut types = 0;
        material.with_packets(&mut |version, packet| {
            types += 1;
            let mut bytes = Vec::new();
            packet.encode(version, &mut bytes).unwrap();
            let (again, rest) = first_packet(version, &bytes).unwrap().unwrap();
            assert_eq!((&again, rest), (packet, &[][..]));
        });
        prop_assert_eq!(types, if material.version.is_v5() { 15 } else { 14 });
    }

    #[test]
    fn any_split_of_a_stream_frames_alike(material in material(), cuts in vec(1..40_usize, 1..30)) {
        let mut stream = Vec::new();
        let mut sent = Vec::new();
        material.with_packets(&mut |version, packet| {
            packet.encode(version, &mut stream).unwrap();
            sent.push(packet.packet_type());
        });
        let (mut tail, mut got, mut left) = (Vec::new(), Vec::new(), &stream[..]);
        for cut in cuts.iter().cycle() {
            let (now, later) = left.split_at(left.len().min(*cut));
            tail.extend_from_slice(now);
            left = later;
            while let Some((packet, rest)) = first_packet(material.version, &tail).unwrap() {
                got.push(packet.packet_type());
                tail = rest.to_vec();
            }
            if left.is_empty() {
                break;
            }
        }
        prop_assert!(tail.is_empty());
        prop_assert_eq!(got, sent);
    }

    #[test]
    fn random_bytes_never_panic(
        version in prop::sample::select(&VERSIONS[..]),
        first in any::<u8>(),
        body in vec(prop_oneof![0..50_u8, any::<u8>()], 0..60),
    ) {
        let length = u8::try_from(body.len()).unwrap();
        let bytes = [&[first, length][..], &body].concat();
        // What is read is valid, so it can be written, and is then read back the same.
        if let Ok(Some((packet, _))) = first_packet(version, &bytes) {
            let mut written = Vec::new();
            packet.encode(version, &mut written).unwrap();
            let (again, _) = first_packet(version, &written).unwrap().unwrap();
            prop_assert_eq!(again, packet);
        }
        let _ = FixedHeader::parse(&body);
    }

    #[test]
    fn a_packet_with_bytes_changed_never_panics(
        material in material(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        material.with_packets(&mut |version, packet| {
            let mut bytes = Vec::new();
            packet.encode(version, &mut bytes).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            if let Ok(Some((packet, _))) = first_packet(version, &bytes) {
                let _ = (packet.check_from_client(), packet.check_from_server());
            }
        });
    }

    #[test]
    fn forwarding_keeps_all_but_the_properties_of_a_hop(
        material in material(),
        alias in option::of(any::<NonZeroU16>()),
        expiry in option::of(any::<u32>()),
        ids in vec(1..268_435_456_u32, 0..3),
    ) {
        let material = Material { version: Version::V5, ..material };
        let raw = material.publish_raw();
        let read = PublishProperties::parse(&raw).unwrap();
        let forwardable = read.forwardable();
        let parts = PublishParts {
            version: Version::V5,
            qos: QoS::AtLeastOnce,
            dup: false,
            retain: false,
            topic: "t",
            packet_id: Some(material.id),
            message_expiry_interval: expiry,
            topic_alias: alias,
            subscription_ids: &ids,
            forwardable: &forwardable,
            payload: &material.bytes[0],
        };
        let mut bytes = b"..".to_vec();
        let layout = parts.encode(&mut bytes).unwrap();
        let bytes = &bytes[2..];
        let Some((Packet::Publish(sent), [])) = first_packet(Version::V5, bytes).unwrap() else {
            panic!("no PUBLISH")
        };
        prop_assert_eq!(sent.properties.topic_alias(), alias);
        prop_assert_eq!(sent.properties.message_expiry_interval(), expiry);
        prop_assert_eq!(sent.properties.subscription_ids().map(NonZeroU32::get).collect::<Vec<_>>(), ids);
        let kept = |properties: &PublishProperties<'_>| -> Vec<String> {
            let own = [
                PropertyId::TopicAlias,
                PropertyId::MessageExpiryInterval,
                PropertyId::SubscriptionIdentifier,
            ];
            let all = properties.all().filter(|property| !own.contains(&property.id()));
            all.map(|property| format!("{property:?}")).collect()
        };
        prop_assert_eq!(kept(&sent.properties), kept(&read));
        let at = layout.packet_id_at.unwrap();
        prop_assert_eq!(&bytes[at..at + 2], &material.id.get().to_be_bytes());
        prop_assert_eq!(&bytes[layout.payload_at..], &material.bytes[0][..]);
        if let (Some(alias), Some(at)) = (alias, layout.topic_alias_at) {
            prop_assert_eq!(&bytes[at..at + 2], &alias.get().to_be_bytes());
        }
        if let (Some(expiry), Some(at)) = (expiry, layout.message_expiry_at) {
            prop_assert_eq!(&bytes[at..at + 4], &expiry.to_be_bytes());
        }
        prop_assert_eq!(layout.topic_alias_at.is_some(), alias.is_some());
        prop_assert_eq!(layout.message_expiry_at.is_some(), expiry.is_some());
    }
}

#[test]
fn forwardable_properties_are_borrowed_when_they_stand_together() {
    let (alias, expiry) = (
        Property::TopicAlias(NonZeroU16::MIN),
        Property::MessageExpiryInterval(60),
    );
    let (format, users) = (
        Property::PayloadFormatIndicator(true),
        Property::UserProperty("k", "v"),
    );
    for (order, borrowed, length) in [
        (&[][..], true, 0),
        (&[alias], true, 0),
        (&[format, users], true, 9),
        (&[alias, format, users, expiry], true, 9),
        (&[format, alias, users], false, 9),
    ] {
        let mut raw = Vec::new();
        for property in order {
            property.write(&mut raw).unwrap();
        }
        let properties = PublishProperties::parse(&raw).unwrap();
        let forwardable = properties.forwardable();
        assert_eq!(forwardable.len(), length);
        assert_eq!(
            matches!(forwardable, Cow::Borrowed(_)),
            borrowed,
            "{order:?}"
        );
    }
}

#[test]
fn what_has_no_form_on_the_wire_is_refused_and_leaves_no_trace() {
    let long = "x".repeat(65_536);
    let mut out = b"before".to_vec();
    let mut connect = Connect {
        version: Version::V311,
        clean_start: true,
        keep_alive: 0,
        client_id: &long,
        will: None,
        user_name: None,
        password: None,
        properties: ConnectProperties::default(),
    };
    let error = EncodeError::TooLong {
        field: "client identifier",
    };
    assert_eq!(connect.encode(&mut out), Err(error));
    connect.client_id = long.strip_prefix("x").unwrap();
    assert_eq!(connect.encode(&mut Vec::new()), Ok(()));

    let parts = PublishParts {
        version: Version::V5,
        qos: QoS::AtMostOnce,
        dup: false,
        retain: false,
        topic: &long,
        packet_id: None,
        message_expiry_interval: None,
        topic_alias: None,
        subscription_ids: &[],
        forwardable: &[],
        payload: &[],
    };
    assert_eq!(
        parts.encode(&mut out),
        Err(EncodeError::TooLong {
            field: "topic name"
        })
    );
    let zero = PublishParts {
        topic: "t",
        subscription_ids: &[0],
        ..parts
    };
    assert_eq!(zero.encode(&mut out), Err(EncodeError::BadSubscriptionId));
    let no_id = PublishParts {
        topic: "t",
        qos: QoS::AtLeastOnce,
        ..parts
    };
    assert_eq!(no_id.encode(&mut out), Err(EncodeError::PacketIdMismatch));
    let auth = Auth {
        reason: ReasonCode::Success,
        properties: AuthProperties::default(),
    };
    let error = EncodeError::NotInVersion {
        packet: PacketType::Auth,
    };
    assert_eq!(auth.encode(Version::V311, &mut out), Err(error));
    assert_eq!(out, b"before");
}

#[test]
fn a_connack_that_refuses_has_no_session() {
    for (version, bytes) in [
        (Version::V311, &[0x20, 2, 1, 2][..]),
        (Version::V5, &[0x20, 3, 1, 0x85, 0]),
    ] {
        let (header, size) = FixedHeader::parse(bytes).unwrap().unwrap();
        let decoded = Packet::decode(version, &header, &bytes[size..]);
        assert!(decoded.is_err(), "{decoded:?}");
    }
}
