//! Shared subscriptions over real sockets, members and publishers on several event loops (MQTT 5 section
//! 4.8.2).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{Client, DEADLINE, Got, broker, open_broker, policy};
use vallum_broker::Broker;
use vallum_mqtt::packet::{PacketType, QoS, ReasonCode};

/// Long enough for what must not come, on a loop that has nothing else to do.
const QUIET: Duration = Duration::from_millis(50);

fn statistic(broker: &Broker, wanted: &str) -> u64 {
    let found = broker.statistics().into_iter().find(|(n, _)| *n == wanted);
    found.unwrap().1
}

/// Wait until a counter says so.
fn until(broker: &Broker, wanted: &str, value: u64) {
    let deadline = Instant::now() + DEADLINE;
    while statistic(broker, wanted) != value {
        assert!(Instant::now() < deadline, "{wanted} is not {value}");
        std::thread::yield_now();
    }
}

fn publish(client: &mut Client, topic: &str, payload: &[u8], qos: QoS, id: u16) -> ReasonCode {
    client.publish(topic, payload, qos, id);
    match client.next() {
        Got::Ack { reason, .. } => {
            if qos == QoS::ExactlyOnce {
                client.ack(PacketType::PubRel, id);
                assert!(matches!(client.next(), Got::Ack { .. }));
            }
            reason
        }
        other => panic!("expected an acknowledgement, got {other:?}"),
    }
}

fn number(got: &Got) -> (u16, u16) {
    match got {
        Got::Publish { payload, id, .. } => (u16::from_be_bytes([payload[0], payload[1]]), *id),
        other => panic!("expected PUBLISH, got {other:?}"),
    }
}

/// Read `count` numbered messages, acknowledging each.
fn take(client: &mut Client, count: usize) -> Vec<u16> {
    (0..count)
        .map(|_| {
            let (number, id) = number(&client.next());
            client.ack(PacketType::PubAck, id);
            number
        })
        .collect()
}

#[test]
fn turns_are_even_and_ordered_on_every_loop() {
    let broker = open_broker(3);
    let mut members: Vec<Client> = (0..4)
        .map(|n| {
            let (mut member, _) = Client::connect(&broker, &format!("m{n}"), true, 0);
            member.subscribe("$share/g/t/+", QoS::AtLeastOnce);
            member
        })
        .collect();
    let (mut plain, _) = Client::connect(&broker, "plain", true, 0);
    plain.subscribe("t/#", QoS::AtLeastOnce);
    let (mut other, _) = Client::connect(&broker, "other", true, 0);
    other.subscribe("$queue/t/x", QoS::AtLeastOnce);
    assert_eq!(statistic(&broker, "subscriptions.shared.count"), 5);
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    for n in 0..40u16 {
        let code = publish(
            &mut publisher,
            "t/x",
            &n.to_be_bytes(),
            QoS::AtLeastOnce,
            n + 1,
        );
        assert_eq!(code, ReasonCode::Success);
    }
    let mut seen = BTreeSet::new();
    for member in &mut members {
        let numbers = take(member, 10);
        assert!(numbers.is_sorted(), "{numbers:?}");
        seen.extend(numbers);
        assert_eq!(member.next_within(QUIET), None);
    }
    assert_eq!(seen.len(), 40);
    let all: Vec<u16> = (0..40).collect();
    assert_eq!(take(&mut plain, 40), all);
    assert_eq!(take(&mut other, 40), all);
    broker.stop();
}

#[test]
fn nothing_is_lost_when_members_are_killed() {
    let broker = open_broker(3);
    let (mut survivor, _) = Client::connect(&broker, "survivor", true, 0);
    survivor.subscribe("$share/g/t", QoS::AtLeastOnce);
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    let mut sent = 0u16;
    let mut acknowledged = BTreeSet::new();
    let mut got = BTreeSet::new();
    for round in 0..8 {
        let (mut victim, _) = Client::connect(&broker, &format!("v{round}"), true, 0);
        victim.subscribe("$share/g/t", QoS::AtLeastOnce);
        for n in 0..20 {
            publisher.publish("t", &sent.to_be_bytes(), QoS::AtLeastOnce, sent + 1);
            sent += 1;
            if n == 8 {
                // It takes one and dies with the others unread, while more are on their way.
                acknowledged.extend(take(&mut victim, 1));
            }
            if n == 12 {
                drop(victim);
                victim = Client::connect(&broker, &format!("w{round}"), true, 0).0;
            }
        }
        drop(victim);
        // An acknowledgement may be lost with its connection: then it comes twice.
        while (&got | &acknowledged).len() < usize::from(sent) {
            got.extend(take(&mut survivor, 1));
        }
    }
    for _ in 0..sent {
        assert!(matches!(publisher.next(), Got::Ack { .. }));
    }
    let all: BTreeSet<u16> = (0..sent).collect();
    assert_eq!(&got | &acknowledged, all);
    assert!(statistic(&broker, "delivery.redispatched") > 0);
    broker.stop();
}

#[test]
fn a_begun_qos_2_delivery_never_goes_to_another() {
    let broker = open_broker(2);
    let (mut first, _) = Client::connect(&broker, "first", true, 0);
    first.subscribe("$share/g/t", QoS::ExactlyOnce);
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    publish(&mut publisher, "t", &[0, 1], QoS::ExactlyOnce, 1);
    publish(&mut publisher, "t", &[0, 2], QoS::AtLeastOnce, 2);
    assert_eq!(number(&first.next()).0, 1);
    assert_eq!(number(&first.next()).0, 2);
    let (mut second, _) = Client::connect(&broker, "second", true, 0);
    second.subscribe("$share/g/t", QoS::ExactlyOnce);
    drop(first); // [MQTT-4.8.2-5]
    assert_eq!(take(&mut second, 1), [2]);
    assert_eq!(second.next_within(QUIET), None);
    broker.stop();
}

#[test]
fn online_members_come_first_and_what_waits_moves_on() {
    let window = [("max_inflight", json!(1))];
    let broker = broker(2, &window, policy("null", "false"));
    let (mut away, _) = Client::connect(&broker, "away", true, 600);
    away.subscribe("$share/g/t", QoS::AtLeastOnce);
    away.leave();
    let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
    // Nobody else is there: it waits for the member that is away.
    publish(&mut publisher, "t", &[0, 0], QoS::AtLeastOnce, 1);
    let (mut here, _) = Client::connect(&broker, "here", true, 0);
    here.subscribe("$share/g/t", QoS::AtLeastOnce);
    for n in 1..=4u16 {
        publish(
            &mut publisher,
            "t",
            &n.to_be_bytes(),
            QoS::AtLeastOnce,
            n + 1,
        );
    }
    assert_eq!(take(&mut here, 4), [1, 2, 3, 4]);
    let (mut away, present) = Client::connect(&broker, "away", false, 600);
    assert!(present);
    assert_eq!(take(&mut away, 1), [0]);
    // With a window of one, half of these wait behind the first delivery of each member.
    for n in 5..=10u16 {
        publish(
            &mut publisher,
            "t",
            &n.to_be_bytes(),
            QoS::AtLeastOnce,
            n + 1,
        );
    }
    let (first, id) = number(&here.next());
    // Unsubscribing completes what was begun [MQTT-3.10.4-4]; the rest goes to the other.
    here.unsubscribe("$share/g/t");
    here.ack(PacketType::PubAck, id);
    let mut rest = take(&mut away, 5);
    rest.push(first);
    rest.sort_unstable();
    assert_eq!(rest, [5, 6, 7, 8, 9, 10]);
    assert_eq!(here.next_within(QUIET), None);
    away.unsubscribe("$share/g/t");
    assert_eq!(statistic(&broker, "subscriptions.shared.count"), 0);
    let code = publish(&mut publisher, "t", &[0, 0], QoS::AtLeastOnce, 99);
    assert_eq!(code, ReasonCode::NoMatchingSubscribers);
    broker.stop();
}

#[test]
fn strategies_choose_as_they_say() {
    for (strategy, distinct) in [
        ("sticky", 1..=1),
        ("hash_clientid", 1..=1),
        ("hash_topic", 1..=1),
        ("random", 1..=3),
        ("local", 1..=3),
        ("round_robin_per_group", 3..=3),
        ("group stuck", 1..=1),
    ] {
        // The group `stuck` has a strategy of its own.
        let (filter, strategy) = match strategy {
            "group stuck" => ("$share/stuck/t", "round_robin"),
            strategy => ("$share/g/t", strategy),
        };
        let settings = [("shared_subscription_strategy", json!(strategy))];
        let broker = broker(2, &settings, policy("null", "false"));
        let mut members: Vec<Client> = (0..3)
            .map(|n| {
                let (mut member, _) = Client::connect(&broker, &format!("m{n}"), true, 0);
                member.subscribe(filter, QoS::AtLeastOnce);
                member
            })
            .collect();
        let (mut publisher, _) = Client::connect(&broker, "p", true, 0);
        for n in 0..12u16 {
            publish(
                &mut publisher,
                "t",
                &n.to_be_bytes(),
                QoS::AtLeastOnce,
                n + 1,
            );
        }
        until(&broker, "messages.sent", 12);
        let counts: Vec<usize> = members
            .iter_mut()
            .map(|member| {
                let mut count = 0;
                while member.next_within(QUIET).is_some() {
                    count += 1;
                }
                count
            })
            .collect();
        assert_eq!(counts.iter().sum::<usize>(), 12, "{strategy}");
        let used = counts.iter().filter(|count| **count > 0).count();
        assert!(distinct.contains(&used), "{strategy}: {counts:?}");
    }
}
