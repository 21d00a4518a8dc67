//! A CONNECT that waits for an authenticator outside the data plane.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use support::{Client, DEADLINE, Got, broker, policy};
use vallum_broker::{
    Broker,
    event::{Event, Question},
};
use vallum_mqtt::packet::{FixedHeader, PacketType, QoS, ReasonCode, Version};
use vallum_policy::pipeline::ExternalVerdict;

const CHAIN: &str = r#"[{"mechanism":"external","id":"policy","enable":true,"precondition":null,"handle":7,"auth_method":null}]"#;

fn asking_broker() -> Broker {
    broker(2, &[], policy(CHAIN, "true"))
}

/// The next question the data plane asks.
fn question(broker: &Broker) -> Question {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        for event in broker.drain_events() {
            if let Event::Authenticate(question) = event {
                return *question;
            }
        }
        thread::yield_now();
    }
    panic!("no question in time");
}

#[test]
fn the_connection_waits_and_nobody_else_does() {
    let broker = asking_broker();
    let mut waiting = Client::connecting(&broker, Version::V5, "first", true, 0);
    let first = question(&broker);
    assert_eq!((first.handle, &*first.client.client_id), (7, "first"));
    // What is sent meanwhile is kept in order.
    let ping = [0xC0, 0x00];
    assert!(FixedHeader::parse(&ping).unwrap().is_some());
    waiting.send_bytes(&ping);

    let mut second = Client::connecting(&broker, Version::V5, "second", true, 0);
    let asked = question(&broker);
    broker.answer(asked.connection, ExternalVerdict::Ok(Box::default()));
    assert!(matches!(
        second.next(),
        Got::ConnAck {
            reason: ReasonCode::Success,
            ..
        }
    ));
    second.subscribe("t", QoS::AtMostOnce);

    assert_eq!(waiting.next_within(Duration::from_millis(50)), None);
    broker.answer(first.connection, ExternalVerdict::Ok(Box::default()));
    assert!(matches!(
        waiting.next(),
        Got::ConnAck {
            reason: ReasonCode::Success,
            ..
        }
    ));
    assert_eq!(waiting.next(), Got::Other(PacketType::PingResp));
    broker.stop();
}

#[test]
fn a_refusal_and_an_answer_for_nobody() {
    let broker = asking_broker();
    let mut client = Client::connecting(&broker, Version::V5, "c", true, 0);
    let asked = question(&broker);
    let deny = ExternalVerdict::Deny {
        reason_code: 0x86,
        reason: "bad_password".to_owned(),
    };
    broker.answer(asked.connection, deny.clone());
    let refused = Got::ConnAck {
        reason: ReasonCode::BadUserNameOrPassword,
        present: false,
    };
    assert_eq!(client.next(), refused);
    assert_eq!(client.next(), Got::Closed);
    // The connection is gone: a second answer finds nobody, and nobody is harmed.
    broker.answer(asked.connection, deny);
    let mut next = Client::connecting(&broker, Version::V5, "d", true, 0);
    let asked = question(&broker);
    broker.answer(asked.connection, ExternalVerdict::Ok(Box::default()));
    assert!(matches!(
        next.next(),
        Got::ConnAck {
            reason: ReasonCode::Success,
            ..
        }
    ));
    broker.stop();
}

#[test]
fn stopping_does_not_wait_for_an_answer() {
    let broker = asking_broker();
    let mut client = Client::connecting(&broker, Version::V5, "c", true, 0);
    question(&broker);
    let (done, stopped) = mpsc::channel();
    thread::spawn(move || {
        broker.stop();
        let _ = done.send(());
    });
    stopped.recv_timeout(DEADLINE).unwrap();
    assert_eq!(client.next(), Got::Closed);
}
