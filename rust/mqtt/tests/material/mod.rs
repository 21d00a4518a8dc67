//! Generated packets of every type and version.

use std::num::{NonZeroU16, NonZeroU32};

use proptest::collection::vec;
use proptest::prelude::*;
use vallum_mqtt::packet::{
    Ack, AckProperties, Auth, AuthProperties, ConnAck, ConnAckProperties, Connect,
    ConnectProperties, Disconnect, DisconnectProperties, Filters, Packet, PacketType, Property,
    Publish, PublishProperties, QoS, ReasonCode, ReasonCodes, RetainHandling, SubAck, Subscribe,
    SubscribeProperties, Subscription, Subscriptions, UnsubAck, Unsubscribe, UserProperties,
    Version, Will, WillProperties,
};

pub(crate) const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Raw material, from which a packet of any type is cut; packets borrow, so they need an owner.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    pub(crate) version: Version,
    pub(crate) texts: [String; 6],
    pub(crate) bytes: [Vec<u8>; 2],
    pub(crate) users: Vec<(String, String)>,
    pub(crate) flags: [bool; 5],
    pub(crate) numbers: [u32; 3],
    pub(crate) small: [u16; 2],
    pub(crate) id: NonZeroU16,
    pub(crate) qos: QoS,
    pub(crate) codes: Vec<ReasonCode>,
    pub(crate) entries: Vec<(String, u8)>,
    pub(crate) present: u16,
}

fn text() -> impl Strategy<Value = String> {
    "[a-z/é漢😀 $]{1,12}"
}

pub(crate) fn material() -> impl Strategy<Value = Material> {
    let first = (
        prop::sample::select(&VERSIONS[..]),
        prop::array::uniform6(text()),
        prop::array::uniform2(vec(any::<u8>(), 0..200)),
        vec((text(), ".{0,80}".prop_map(|t| t.replace('\0', ""))), 0..4),
        any::<[bool; 5]>(),
        any::<[u32; 3]>(),
    );
    let second = (
        any::<[u16; 2]>(),
        any::<NonZeroU16>(),
        prop::sample::select(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][..]),
        vec(prop::sample::select(ReasonCode::ALL), 1..5),
        vec((text(), any::<u8>()), 1..5),
        any::<u16>(),
    );
    (first, second).prop_map(|(a, b)| Material {
        version: a.0,
        texts: a.1,
        bytes: a.2,
        users: a.3,
        flags: a.4,
        numbers: a.5,
        small: b.0,
        id: b.1,
        qos: b.2,
        codes: b.3,
        entries: b.4,
        present: b.5,
    })
}

impl Material {
    /// `value` if bit `n` of `present` says so, and the version has properties.
    fn maybe<T>(&self, n: u16, value: T) -> Option<T> {
        (self.version.is_v5() && self.present >> n & 1 == 1).then_some(value)
    }

    fn code(&self, packet: PacketType) -> ReasonCode {
        let allowed = self.codes.iter().find(|code| code.is_allowed_in(packet));
        allowed
            .copied()
            .filter(|_| self.version.is_v5())
            .unwrap_or(ReasonCode::Success)
    }

    fn users_raw(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        if self.version.is_v5() {
            for (key, value) in &self.users {
                Property::UserProperty(key, value).write(&mut raw).unwrap();
            }
        }
        raw
    }

    fn nonzero(&self, n: usize) -> NonZeroU32 {
        NonZeroU32::new(self.numbers[n]).unwrap_or(NonZeroU32::MIN)
    }

    fn alias(&self) -> NonZeroU16 {
        NonZeroU16::new(self.small[0]).unwrap_or(NonZeroU16::MIN)
    }

    /// Properties of a PUBLISH, in an order that depends on the material.
    pub(crate) fn publish_raw(&self) -> Vec<u8> {
        let mut properties = vec![
            self.maybe(0, Property::PayloadFormatIndicator(self.flags[0])),
            self.maybe(1, Property::MessageExpiryInterval(self.numbers[0])),
            self.maybe(2, Property::TopicAlias(self.alias())),
            self.maybe(3, Property::ResponseTopic(&self.texts[1])),
            self.maybe(4, Property::CorrelationData(&self.bytes[1])),
            self.maybe(5, Property::ContentType(&self.texts[2])),
            self.maybe(6, Property::SubscriptionIdentifier(NonZeroU32::MIN)),
            self.maybe(
                7,
                Property::SubscriptionIdentifier(NonZeroU32::new(300).unwrap()),
            ),
            self.maybe(8, Property::UserProperty(&self.texts[3], &self.texts[4])),
            self.maybe(9, Property::UserProperty(&self.texts[3], "")),
        ];
        properties.rotate_left(usize::from(self.present >> 10) % 10);
        let mut raw = Vec::new();
        for property in properties.into_iter().flatten() {
            property.write(&mut raw).unwrap();
        }
        raw
    }

    /// Every packet type, one after the other, handed to `each`.
    pub(crate) fn with_packets(&self, each: &mut impl FnMut(Version, &Packet<'_>)) {
        let version = self.version;
        let raw = self.users_raw();
        let users = UserProperties::parse(&raw).unwrap();
        let ack = AckProperties {
            reason_string: self.maybe(0, &self.texts[0]),
            user_properties: users,
        };
        each(version, &Packet::Connect(Box::new(self.connect(users))));
        each(version, &Packet::ConnAck(Box::new(self.connack(users))));
        let raw = self.publish_raw();
        let publish = Publish {
            dup: self.flags[1] && self.qos != QoS::AtMostOnce,
            qos: self.qos,
            retain: self.flags[2],
            topic: &self.texts[0],
            packet_id: (self.qos != QoS::AtMostOnce).then_some(self.id),
            properties: PublishProperties::parse(&raw).unwrap(),
            payload: &self.bytes[0],
        };
        each(version, &Packet::Publish(publish));
        let of = |packet| {
            let properties = ack;
            Ack {
                packet_id: self.id,
                reason: self.code(packet),
                properties,
            }
        };
        each(version, &Packet::PubAck(of(PacketType::PubAck)));
        each(version, &Packet::PubRec(of(PacketType::PubRec)));
        each(version, &Packet::PubRel(of(PacketType::PubRel)));
        each(version, &Packet::PubComp(of(PacketType::PubComp)));
        self.with_subscriptions(users, ack, each);
        each(version, &Packet::PingReq);
        each(version, &Packet::PingResp);
        let properties = DisconnectProperties {
            session_expiry_interval: self.maybe(0, self.numbers[0]),
            reason_string: self.maybe(1, &self.texts[0]),
            server_reference: self.maybe(2, &self.texts[1]),
            user_properties: users,
        };
        let reason = self.code(PacketType::Disconnect);
        each(
            version,
            &Packet::Disconnect(Disconnect { reason, properties }),
        );
        if version.is_v5() {
            let properties = AuthProperties {
                authentication_method: self.maybe(0, &self.texts[0]),
                authentication_data: self.maybe(0, &self.bytes[0]),
                reason_string: self.maybe(1, &self.texts[1]),
                user_properties: users,
            };
            let reason = self.code(PacketType::Auth);
            each(version, &Packet::Auth(Auth { reason, properties }));
        }
    }

    fn with_subscriptions(
        &self,
        users: UserProperties<'_>,
        properties: AckProperties<'_>,
        each: &mut impl FnMut(Version, &Packet<'_>),
    ) {
        let (version, packet_id) = (self.version, self.id);
        let (mut entries, mut filters) = (Vec::new(), Vec::new());
        for (filter, options) in &self.entries {
            let v5 = version.is_v5();
            let entry = Subscription {
                filter,
                qos: QoS::from_u8(options & 3).unwrap_or(QoS::AtLeastOnce),
                no_local: v5 && options & 4 != 0 && !filter.starts_with("$share/"),
                retain_as_published: v5 && options & 8 != 0,
                retain_handling: RetainHandling::from_u8(options >> 4 & 3)
                    .filter(|_| v5)
                    .unwrap_or_default(),
            };
            entry.write(version, &mut entries).unwrap();
            Filters::write(filter, &mut filters).unwrap();
        }
        let subscriptions = Subscriptions::parse(version, &entries).unwrap();
        assert_eq!(subscriptions.len(), self.entries.len());
        let id = NonZeroU32::new(self.numbers[1] >> 4);
        let subscribe = Subscribe {
            packet_id,
            subscriptions,
            properties: SubscribeProperties {
                subscription_identifier: id.and_then(|id| self.maybe(3, id)),
                user_properties: users,
            },
        };
        each(version, &Packet::Subscribe(subscribe));
        let filters = Filters::parse(&filters).unwrap();
        each(
            version,
            &Packet::Unsubscribe(Unsubscribe {
                packet_id,
                filters,
                user_properties: users,
            }),
        );
        let raw = [self.code(PacketType::SubAck).as_u8(), self.qos.as_u8()];
        let codes = ReasonCodes::parse(PacketType::SubAck, version, &raw).unwrap();
        each(
            version,
            &Packet::SubAck(SubAck {
                packet_id,
                codes,
                properties,
            }),
        );
        let raw = [self.code(PacketType::UnsubAck).as_u8()];
        let codes = ReasonCodes::parse(PacketType::UnsubAck, Version::V5, &raw).unwrap();
        let codes = if version.is_v5() {
            codes
        } else {
            ReasonCodes::default()
        };
        each(
            version,
            &Packet::UnsubAck(UnsubAck {
                packet_id,
                codes,
                properties,
            }),
        );
    }

    fn connect<'a>(&'a self, users: UserProperties<'a>) -> Connect<'a> {
        let user_name = self.flags[3].then_some(self.texts[1].as_str());
        let password = self.flags[4] && (user_name.is_some() || self.version.is_v5());
        Connect {
            version: self.version,
            clean_start: self.flags[0],
            keep_alive: self.small[0],
            client_id: &self.texts[0],
            will: self.flags[1].then(|| Will {
                topic: &self.texts[2],
                payload: &self.bytes[0],
                qos: self.qos,
                retain: self.flags[2],
                properties: WillProperties {
                    will_delay_interval: self.maybe(0, self.numbers[0]),
                    payload_format_indicator: self.maybe(1, self.flags[2]),
                    message_expiry_interval: self.maybe(2, self.numbers[1]),
                    content_type: self.maybe(3, &self.texts[3]),
                    response_topic: self.maybe(4, &self.texts[4]),
                    correlation_data: self.maybe(5, &self.bytes[1]),
                    user_properties: users,
                },
            }),
            user_name,
            password: password.then_some(&self.bytes[1]),
            properties: ConnectProperties {
                session_expiry_interval: self.maybe(6, self.numbers[0]),
                receive_maximum: self.maybe(7, self.id),
                maximum_packet_size: self.maybe(8, self.nonzero(1)),
                topic_alias_maximum: self.maybe(9, self.small[1]),
                request_response_information: self.maybe(10, self.flags[0]),
                request_problem_information: self.maybe(11, self.flags[1]),
                authentication_method: self.maybe(12, &self.texts[5]),
                authentication_data: self.maybe(12, &self.bytes[0]),
                user_properties: users,
            },
        }
    }

    fn connack<'a>(&'a self, users: UserProperties<'a>) -> ConnAck<'a> {
        let reason = self.code(PacketType::ConnAck);
        ConnAck {
            session_present: self.flags[0] && !reason.is_failure() && self.version != Version::V31,
            reason,
            properties: ConnAckProperties {
                session_expiry_interval: self.maybe(0, self.numbers[0]),
                receive_maximum: self.maybe(1, self.id),
                maximum_qos: self.maybe(2, self.qos),
                retain_available: self.maybe(3, self.flags[1]),
                maximum_packet_size: self.maybe(4, self.nonzero(1)),
                assigned_client_identifier: self.maybe(5, &self.texts[0]),
                topic_alias_maximum: self.maybe(6, self.small[0]),
                reason_string: self.maybe(7, &self.texts[1]),
                wildcard_subscription_available: self.maybe(8, self.flags[2]),
                subscription_identifiers_available: self.maybe(9, self.flags[3]),
                shared_subscription_available: self.maybe(10, self.flags[4]),
                server_keep_alive: self.maybe(11, self.small[1]),
                response_information: self.maybe(12, &self.texts[2]),
                server_reference: self.maybe(13, &self.texts[3]),
                authentication_method: self.maybe(14, &self.texts[4]),
                authentication_data: self.maybe(15, &self.bytes[0]),
                user_properties: users,
            },
        }
    }
}
