//! Sessions over real sockets, with several event loops: take-over, resume, windows.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use support::{Client, Got, broker, open_broker, policy};
use vallum_mqtt::packet::{PacketType, QoS, ReasonCode, Version};

fn publish_of(got: &Got) -> (&[u8], u16, bool) {
    match got {
        Got::Publish {
            payload, id, dup, ..
        } => (payload, *id, *dup),
        other => panic!("expected PUBLISH, got {other:?}"),
    }
}

#[test]
fn a_session_is_found_again_whatever_loop_accepts_the_connection() {
    let broker = open_broker(4);
    let (mut client, present) = Client::connect(&broker, "roamer", true, 600);
    assert!(!present);
    client.subscribe("a/#", QoS::AtLeastOnce);
    client.leave();
    for round in 0..8u8 {
        let (mut publisher, _) = Client::connect(&broker, "publisher", true, 0);
        publisher.publish("a/b", &[round], QoS::AtLeastOnce, 1);
        assert!(matches!(
            publisher.next(),
            Got::Ack {
                reason: ReasonCode::Success,
                ..
            }
        ));
        publisher.leave();
        let (mut client, present) = Client::connect(&broker, "roamer", false, 600);
        assert!(present, "round {round}");
        let got = client.next();
        let (payload, id, dup) = publish_of(&got);
        assert_eq!(
            (payload, id, dup),
            ([round].as_slice(), u16::from(round) + 1, false)
        );
        client.ack(PacketType::PubAck, id);
        client.leave();
    }
    broker.stop();
}

#[test]
fn a_take_over_ends_the_older_connection_on_every_loop() {
    let broker = open_broker(3);
    let (mut current, _) = Client::connect(&broker, "same", true, 60);
    for _ in 0..12 {
        let (next, _) = Client::connect(&broker, "same", false, 60);
        assert_eq!(
            current.next(),
            Got::Disconnect(ReasonCode::SessionTakenOver)
        );
        assert_eq!(current.next(), Got::Closed);
        current = next;
    }
    let sessions = broker
        .statistics()
        .into_iter()
        .find(|(name, _)| *name == "sessions.count");
    assert_eq!(sessions, Some(("sessions.count", 1)));
    broker.stop();
}

#[test]
fn what_was_not_acknowledged_comes_again_in_order_with_dup() {
    let broker = open_broker(2);
    let (mut client, _) = Client::connect(&broker, "c", true, 600);
    client.subscribe("t", QoS::ExactlyOnce);
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    for n in 1..=3u8 {
        publisher.publish("t", &[n], QoS::ExactlyOnce, u16::from(n));
        assert!(matches!(
            publisher.next(),
            Got::Ack {
                packet: PacketType::PubRec,
                ..
            }
        ));
        publisher.ack(PacketType::PubRel, u16::from(n));
        assert!(matches!(
            publisher.next(),
            Got::Ack {
                packet: PacketType::PubComp,
                ..
            }
        ));
    }
    for n in 1..=3u16 {
        assert_eq!(publish_of(&client.next()).1, n);
    }
    client.ack(PacketType::PubRec, 2);
    assert!(matches!(
        client.next(),
        Got::Ack {
            packet: PacketType::PubRel,
            id: 2,
            ..
        }
    ));
    drop(client);
    let (mut client, present) = Client::connect(&broker, "c", false, 600);
    assert!(present);
    assert_eq!(publish_of(&client.next()), ([1].as_slice(), 1, true));
    assert!(matches!(
        client.next(),
        Got::Ack {
            packet: PacketType::PubRel,
            id: 2,
            ..
        }
    ));
    assert_eq!(publish_of(&client.next()), ([3].as_slice(), 3, true));
    broker.stop();
}

#[test]
fn the_window_holds_back_what_the_client_cannot_take() {
    let pipeline = policy("null", "false");
    let broker = broker(1, &[("max_inflight", 2.into())], pipeline);
    let (mut client, _) = Client::connect(&broker, "c", true, 0);
    client.subscribe("t", QoS::AtLeastOnce);
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    for n in 1..=5u8 {
        publisher.publish("t", &[n], QoS::AtLeastOnce, u16::from(n));
        assert!(matches!(publisher.next(), Got::Ack { .. }));
    }
    assert_eq!(publish_of(&client.next()).1, 1);
    assert_eq!(publish_of(&client.next()).1, 2);
    assert_eq!(client.next_within(Duration::from_millis(100)), None);
    for n in 1..=3u16 {
        client.ack(PacketType::PubAck, n);
        assert_eq!(publish_of(&client.next()).1, n + 2);
    }
    broker.stop();
}

#[test]
fn a_session_without_expiry_ends_with_its_connection() {
    let broker = open_broker(2);
    let (client, _) = Client::connect(&broker, "c", true, 0);
    let (_next, present) = Client::connect(&broker, "c", false, 600);
    assert!(!present, "the taken-over session had no expiry interval");
    drop(client);
    broker.stop();
}

#[test]
fn clients_are_told_when_the_broker_stops() {
    let broker = open_broker(2);
    let mut clients: Vec<Client> = (0..6)
        .map(|n| Client::connect(&broker, &format!("c{n}"), true, 0).0)
        .collect();
    let mut old = Client::connecting(&broker, Version::V311, "old", true, 0);
    assert!(matches!(old.next(), Got::ConnAck { .. }));
    broker.stop();
    for client in &mut clients {
        assert_eq!(
            client.next(),
            Got::Disconnect(ReasonCode::ServerShuttingDown)
        );
        assert_eq!(client.next(), Got::Closed);
    }
    assert_eq!(old.next(), Got::Closed);
}
