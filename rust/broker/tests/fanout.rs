//! One message for very many receivers: in slices, in order, acknowledged at the end; large payloads
//! without a copy for each.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use support::{Client, Got, open_broker};
use vallum_broker::Broker;
use vallum_mqtt::packet::{PINGREQ, PacketType, QoS, ReasonCode, Version};

/// Levels of [`TOPIC`]: each is given as it is or as `+`, so 2^13 filters match it.
const LEVELS: u32 = 13;
const TOPIC: &str = "a/a/a/a/a/a/a/a/a/a/a/a/a";
const FILTERS: usize = 1 << LEVELS;

/// Subscribe to `count` filters that match [`TOPIC`]: as good as so many subscribers.
fn subscribe_often(client: &mut Client, count: usize) {
    let filters: Vec<String> = (0..count)
        .map(|n| {
            let level = |bit| if n >> bit & 1 == 0 { "a" } else { "+" };
            (0..LEVELS).map(level).collect::<Vec<_>>().join("/")
        })
        .collect();
    for part in filters.chunks(500) {
        client.subscribe_all(part, QoS::AtMostOnce);
    }
}

/// Read `count` messages with this payload.
fn expect_payloads(client: &mut Client, count: usize, expected: &[u8]) {
    for n in 0..count {
        match client.next() {
            Got::Publish { payload, .. } => assert_eq!(payload, expected, "message {n}"),
            other => panic!("message {n}: {other:?}"),
        }
    }
}

fn puback(id: u16) -> Got {
    Got::Ack {
        packet: PacketType::PubAck,
        id,
        reason: ReasonCode::Success,
    }
}

/// A client that reads, with a session on the loop that comes next.
fn watcher(broker: &Broker, id: &str, filters: usize) -> Client {
    let (mut client, _) = Client::connect(broker, id, true, 0);
    subscribe_often(&mut client, filters);
    client
}

#[test]
fn the_publisher_is_answered_when_all_are_served() {
    let broker = open_broker(1);
    let mut client = watcher(&broker, "c", FILTERS);
    client.publish(TOPIC, b"1", QoS::AtLeastOnce, 1);
    client.publish(TOPIC, b"2", QoS::ExactlyOnce, 2);
    client.publish("elsewhere", b"3", QoS::AtLeastOnce, 3);
    expect_payloads(&mut client, FILTERS, b"1");
    assert_eq!(client.next(), puback(1));
    expect_payloads(&mut client, FILTERS, b"2");
    for (packet, id, reason) in [
        (PacketType::PubRec, 2, ReasonCode::Success),
        (PacketType::PubAck, 3, ReasonCode::NoMatchingSubscribers),
    ] {
        assert_eq!(client.next(), Got::Ack { packet, id, reason });
    }
}

/// Publish so often that it takes many turns, and see a ping answered before all is done.
fn others_are_served_in_between(filters: usize, messages: u16) {
    let broker = open_broker(1);
    let _watcher = watcher(&broker, "w", filters);
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    let (mut bystander, _) = Client::connect(&broker, "b", true, 0);
    let all: Vec<u8> = (1..=messages)
        .flat_map(|id| publisher.publish_bytes(TOPIC, b"x", QoS::AtLeastOnce, id))
        .collect();
    publisher.send_bytes(&all);
    bystander.send_bytes(&PINGREQ);
    assert_eq!(bystander.next(), Got::Other(PacketType::PingResp));
    let mut acknowledged = 0;
    while publisher.next_within(Duration::from_millis(1)).is_some() {
        acknowledged += 1;
    }
    assert!(acknowledged < messages, "the ping had to wait for all");
    for id in acknowledged + 1..=messages {
        assert_eq!(publisher.next(), puback(id));
    }
}

#[test]
fn others_are_served_in_the_middle_of_a_large_fan_out() {
    others_are_served_in_between(FILTERS, 400);
}

#[test]
fn others_are_served_between_very_many_messages_for_quite_a_few() {
    others_are_served_in_between(2000, 1000);
}

#[test]
fn order_is_kept_on_every_loop() {
    let broker = open_broker(2);
    let mut watchers: Vec<_> = ["one", "two", "three", "four"]
        .iter()
        .map(|id| watcher(&broker, id, FILTERS / 2))
        .collect();
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    publisher.publish(TOPIC, b"1", QoS::AtLeastOnce, 1);
    publisher.publish(TOPIC, b"2", QoS::AtMostOnce, 0);
    publisher.publish(TOPIC, b"3", QoS::AtLeastOnce, 3);
    for watcher in &mut watchers {
        for payload in [b"1", b"2", b"3"] {
            expect_payloads(watcher, FILTERS / 2, payload);
        }
    }
    assert_eq!(publisher.next(), puback(1));
    assert_eq!(publisher.next(), puback(3));
}

#[test]
fn a_publisher_that_leaves_loses_nothing() {
    let broker = open_broker(2);
    let mut watchers: Vec<_> = ["one", "two"]
        .iter()
        .map(|id| watcher(&broker, id, FILTERS))
        .collect();
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    publisher.publish(TOPIC, b"1", QoS::AtMostOnce, 0);
    publisher.publish(TOPIC, b"2", QoS::AtMostOnce, 0);
    drop(publisher); // what it sent is complete, and so must be what comes of it
    for watcher in &mut watchers {
        expect_payloads(watcher, FILTERS, b"1");
        expect_payloads(watcher, FILTERS, b"2");
    }
}

#[test]
fn a_will_does_not_overtake_the_message_before_it() {
    let broker = open_broker(2);
    let mut watchers: Vec<_> = ["one", "two"]
        .iter()
        .map(|id| watcher(&broker, id, FILTERS))
        .collect();
    let mut publisher = Client::open(&broker, Version::V311);
    let mut connect = b"\x10\x2b\x00\x04MQTT\x04\x06\x00\x00\x00\x01p\x00\x19".to_vec();
    connect.extend_from_slice(TOPIC.as_bytes());
    connect.extend_from_slice(b"\x00\x01w");
    publisher.send_bytes(&connect);
    assert!(matches!(publisher.next(), Got::ConnAck { .. }));
    publisher.publish(TOPIC, b"1", QoS::AtMostOnce, 0);
    publisher.send_bytes(&[0xF0, 0]); // AUTH: not in this version
    for watcher in &mut watchers {
        expect_payloads(watcher, FILTERS, b"1");
        expect_payloads(watcher, FILTERS, b"w");
    }
}

#[test]
fn a_large_payload_reaches_receivers_of_every_kind() {
    let broker = open_broker(2);
    let payload: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let mut receivers = Vec::new();
    for (n, version) in [Version::V31, Version::V311, Version::V5]
        .into_iter()
        .cycle()
        .take(12)
        .enumerate()
    {
        let mut client = Client::connecting(&broker, version, &format!("r{n}"), true, 0);
        assert!(matches!(client.next(), Got::ConnAck { .. }));
        let qos = QoS::from_u8(u8::try_from(n % 4 % 3).unwrap()).unwrap();
        client.subscribe("large", qos);
        receivers.push((client, qos));
    }
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    for id in 1..=5 {
        publisher.publish("large", &payload, QoS::ExactlyOnce, id);
        publisher.publish("large", &[id.to_be_bytes()[1]], QoS::AtLeastOnce, 100 + id);
    }
    for (client, qos) in &mut receivers {
        for round in 1..=5 {
            for expected in [payload.as_slice(), &[round]] {
                let Got::Publish {
                    payload,
                    qos: got,
                    id,
                    ..
                } = client.next()
                else {
                    panic!("no message");
                };
                assert!(payload == expected, "payload {} bytes", payload.len());
                let sent = if expected.len() == 1 {
                    QoS::AtLeastOnce
                } else {
                    QoS::ExactlyOnce
                };
                assert_eq!(got, sent.min(*qos));
                assert_eq!(id != 0, got != QoS::AtMostOnce);
            }
        }
    }
}
