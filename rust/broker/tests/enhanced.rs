//! Enhanced authentication (MQTT 5 section 4.12): the exchange before CONNACK, and again while online.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{thread, time::Instant};

use support::{Client, DEADLINE, Got, broker, policy};
use vallum_broker::{
    Broker,
    command::Reply,
    event::{Event, Question},
};
use vallum_mqtt::packet::{
    Auth, AuthProperties, ConnectProperties, Packet, PacketType, QoS, ReasonCode, Version,
};
use vallum_policy::{decision::Grant, pipeline::ExternalVerdict};

const METHOD: &str = "COUNT";
const CHAIN: &str = r#"[{"mechanism":"external","id":"count","enable":true,"precondition":null,
    "handle":1,"auth_method":"COUNT"}]"#;

fn exchanging_broker(loops: usize) -> Broker {
    broker(loops, &[], policy(CHAIN, "true"))
}

/// Something a client must not do, and the code it gets for it.
type Wrong<'a> = (&'a dyn Fn(&mut Client), ReasonCode);

/// The next event that matters here.
fn event(broker: &Broker) -> Event {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        for event in broker.drain_events() {
            if matches!(event, Event::Authenticate(_) | Event::ExchangeEnded { .. }) {
                return event;
            }
        }
        thread::yield_now();
    }
    panic!("no event in time");
}

fn question(broker: &Broker) -> Question {
    match event(broker) {
        Event::Authenticate(question) => *question,
        other => panic!("{other:?}"),
    }
}

/// A CONNECT with this method and data on its way.
fn begin(broker: &Broker, client_id: &str, method: &str) -> Client {
    let properties = ConnectProperties {
        authentication_method: Some(method),
        authentication_data: Some(b"1"),
        ..ConnectProperties::default()
    };
    Client::connecting_with(broker, Version::V5, client_id, true, properties)
}

fn auth(client: &mut Client, reason: ReasonCode, method: Option<&str>, data: Option<&[u8]>) {
    client.send(&Packet::Auth(Auth {
        reason,
        properties: AuthProperties {
            authentication_method: method,
            authentication_data: data,
            ..AuthProperties::default()
        },
    }));
}

fn step(client: &mut Client, data: &[u8]) {
    auth(
        client,
        ReasonCode::ContinueAuthentication,
        Some(METHOD),
        Some(data),
    );
}

fn challenge(data: &[u8]) -> Reply {
    Reply::Continue {
        data: Some(data.into()),
    }
}

fn accept(data: &[u8]) -> Reply {
    Reply::Decided {
        verdict: ExternalVerdict::Ok(Box::default()),
        data: Some(data.into()),
    }
}

/// The AUTH that comes next: code, method, data.
fn next_auth(client: &mut Client) -> (ReasonCode, String, Vec<u8>) {
    client.next_packet(|packet| match packet {
        Packet::Auth(auth) => (
            auth.reason,
            auth.properties.authentication_method.unwrap().to_owned(),
            auth.properties
                .authentication_data
                .unwrap_or_default()
                .to_vec(),
        ),
        other => panic!("{other:?}"),
    })
}

/// A client that came in after two rounds.
fn online(broker: &Broker, client_id: &str) -> Client {
    let mut client = begin(broker, client_id, METHOD);
    let asked = question(broker);
    assert_eq!(asked.auth_method.as_deref(), Some(METHOD));
    assert_eq!(asked.auth_data.as_deref(), Some(b"1".as_slice()));
    assert!(!asked.again);
    broker.answer(asked.connection, challenge(b"2"));
    let continued = ReasonCode::ContinueAuthentication;
    let expected = (continued, METHOD.to_owned(), b"2".to_vec());
    assert_eq!(next_auth(&mut client), expected);
    step(&mut client, b"3");
    let asked = question(broker);
    assert_eq!(asked.auth_data.as_deref(), Some(b"3".as_slice()));
    broker.answer(asked.connection, accept(b"4"));
    client.next_packet(|packet| match packet {
        Packet::ConnAck(ack) => {
            assert_eq!(ack.reason, ReasonCode::Success);
            assert_eq!(ack.properties.authentication_method, Some(METHOD));
            assert_eq!(ack.properties.authentication_data, Some(b"4".as_slice()));
        }
        other => panic!("{other:?}"),
    });
    client
}

fn refused(client: &mut Client, reason: ReasonCode) {
    let refusal = Got::ConnAck {
        reason,
        present: false,
    };
    assert_eq!(client.next(), refusal);
    assert_eq!(client.next(), Got::Closed);
}

#[test]
fn an_exchange_before_connack_and_another_while_online() {
    let broker = exchanging_broker(2);
    let mut client = online(&broker, "c");
    client.subscribe("t", QoS::AtMostOnce);

    auth(
        &mut client,
        ReasonCode::ReAuthenticate,
        Some(METHOD),
        Some(b"5"),
    );
    let asked = question(&broker);
    assert!(asked.again);
    assert_eq!(asked.auth_data.as_deref(), Some(b"5".as_slice()));
    // Everything else goes on meanwhile.
    client.publish("t", b"x", QoS::AtMostOnce, 0);
    assert!(matches!(client.next(), Got::Publish { .. }));
    broker.answer(asked.connection, challenge(b"6"));
    assert_eq!(next_auth(&mut client).0, ReasonCode::ContinueAuthentication);
    client.publish("t", b"y", QoS::AtMostOnce, 0);
    assert!(matches!(client.next(), Got::Publish { .. }));
    step(&mut client, b"7");
    let asked = question(&broker);
    broker.answer(asked.connection, accept(b"8"));
    let expected = (ReasonCode::Success, METHOD.to_owned(), b"8".to_vec());
    assert_eq!(next_auth(&mut client), expected);
    // And it may do so again; an answer that nobody waits for does nothing.
    broker.answer(asked.connection, accept(b"9"));
    auth(&mut client, ReasonCode::ReAuthenticate, Some(METHOD), None);
    let asked = question(&broker);
    assert_eq!(asked.auth_data, None);
    broker.answer(asked.connection, accept(b""));
    assert_eq!(next_auth(&mut client).0, ReasonCode::Success);
    broker.stop();
}

#[test]
fn what_breaks_the_first_exchange() {
    let broker = exchanging_broker(1);
    let continued = ReasonCode::ContinueAuthentication;
    let wrong: [Wrong<'_>; 6] = [
        (
            &|c| auth(c, continued, Some("OTHER"), None),
            ReasonCode::BadAuthenticationMethod,
        ),
        (
            &|c| auth(c, continued, None, None),
            ReasonCode::ProtocolError,
        ),
        (
            &|c| auth(c, ReasonCode::ReAuthenticate, Some(METHOD), None),
            ReasonCode::ProtocolError,
        ),
        (
            &|c| auth(c, ReasonCode::Success, Some(METHOD), None),
            ReasonCode::ProtocolError,
        ),
        (
            &|c| c.publish("t", b"x", QoS::AtMostOnce, 0),
            ReasonCode::ProtocolError,
        ),
        (&|c| c.send_bytes(&[0xC0, 0x00]), ReasonCode::ProtocolError),
    ];
    for (break_it, reason) in wrong {
        let mut client = begin(&broker, "c", METHOD);
        let asked = question(&broker);
        broker.answer(asked.connection, challenge(b"2"));
        next_auth(&mut client);
        break_it(&mut client);
        refused(&mut client, reason);
        // The authenticator is told that it need not wait.
        assert!(matches!(event(&broker), Event::ExchangeEnded { connection }
            if connection == asked.connection));
    }
    // A DISCONNECT is allowed, and ends it without a word.
    let mut client = begin(&broker, "c", METHOD);
    let asked = question(&broker);
    broker.answer(asked.connection, challenge(b"2"));
    next_auth(&mut client);
    client.send_bytes(&[0xE0, 0x00]);
    assert_eq!(client.next(), Got::Closed);
    assert!(matches!(event(&broker), Event::ExchangeEnded { .. }));
    broker.stop();
}

#[test]
fn methods_nobody_speaks_and_refusals() {
    let broker = exchanging_broker(1);
    refused(
        &mut begin(&broker, "c", "OTHER"),
        ReasonCode::BadAuthenticationMethod,
    );
    let mut client = begin(&broker, "c", METHOD);
    let deny = ExternalVerdict::Deny {
        reason_code: 0x86,
        reason: "bad_password".to_owned(),
    };
    broker.answer(question(&broker).connection, deny);
    refused(&mut client, ReasonCode::BadUserNameOrPassword);
    // Data that no packet can carry is a failure of the authenticator.
    let mut client = begin(&broker, "c", METHOD);
    broker.answer(question(&broker).connection, challenge(&vec![0; 65_536]));
    refused(&mut client, ReasonCode::NotAuthorized);
    broker.stop();
}

#[test]
fn an_exchange_without_end_is_ended() {
    let broker = exchanging_broker(1);
    let mut client = begin(&broker, "c", METHOD);
    let mut rounds = 0;
    loop {
        broker.answer(question(&broker).connection, challenge(b"more"));
        rounds += 1;
        assert!(rounds < 100);
        if !client.next_packet(|packet| matches!(packet, Packet::Auth(_))) {
            break;
        }
        step(&mut client, b"here");
    }
    assert_eq!(rounds, 16);
    assert_eq!(client.next(), Got::Closed);
    assert!(matches!(event(&broker), Event::ExchangeEnded { .. }));
    broker.stop();
}

#[test]
fn one_deadline_holds_for_the_whole_exchange() {
    let mqtt = [("idle_timeout_ms", 1000.into())];
    let broker = broker(1, &mqtt, policy(CHAIN, "true"));
    let mut client = begin(&broker, "c", METHOD);
    let asked = question(&broker);
    broker.answer(asked.connection, challenge(b"2"));
    next_auth(&mut client);
    assert_eq!(client.next(), Got::Closed);
    assert!(matches!(event(&broker), Event::ExchangeEnded { .. }));
    broker.stop();
}

#[test]
fn what_breaks_an_exchange_while_online() {
    let broker = exchanging_broker(1);
    let again = ReasonCode::ReAuthenticate;
    let continued = ReasonCode::ContinueAuthentication;
    let wrong: [Wrong<'_>; 5] = [
        (
            &|c| auth(c, again, Some("OTHER"), None),
            ReasonCode::BadAuthenticationMethod,
        ),
        (&|c| auth(c, again, None, None), ReasonCode::ProtocolError),
        (
            &|c| auth(c, continued, Some(METHOD), None),
            ReasonCode::ProtocolError,
        ),
        (
            &|c| auth(c, ReasonCode::Success, Some(METHOD), None),
            ReasonCode::ProtocolError,
        ),
        (&|c| c.send_bytes(&[0xF0, 0x00]), ReasonCode::ProtocolError),
    ];
    for (break_it, reason) in wrong {
        let mut client = online(&broker, "c");
        break_it(&mut client);
        assert_eq!(client.next(), Got::Disconnect(reason));
        assert_eq!(client.next(), Got::Closed);
    }
    // Two at a time.
    let mut client = online(&broker, "c");
    auth(&mut client, again, Some(METHOD), None);
    question(&broker);
    auth(&mut client, again, Some(METHOD), None);
    assert_eq!(client.next(), Got::Disconnect(ReasonCode::ProtocolError));
    assert!(matches!(event(&broker), Event::ExchangeEnded { .. }));
    // A client that came in without a method, and one of 3.1.1, which has no AUTH.
    let open = support::open_broker(1);
    let (mut client, _) = Client::connect(&open, "c", true, 0);
    auth(&mut client, again, Some(METHOD), None);
    assert_eq!(client.next(), Got::Disconnect(ReasonCode::ProtocolError));
    let mut client = Client::connecting(&open, Version::V311, "d", true, 0);
    assert!(matches!(client.next(), Got::ConnAck { .. }));
    client.send_bytes(&[0xF0, 0x00]);
    assert_eq!(client.next(), Got::Closed);
    open.stop();
    broker.stop();
}

#[test]
fn a_client_that_fails_to_authenticate_anew_is_disconnected() {
    let broker = exchanging_broker(1);
    let deny = |code| ExternalVerdict::Deny {
        reason_code: code,
        reason: "expired".to_owned(),
    };
    let another = ExternalVerdict::Ok(Box::new(Grant {
        client_id_override: Some("somebody else".into()),
        ..Grant::default()
    }));
    let error = ExternalVerdict::Error {
        reason: "backend_error".to_owned(),
    };
    // 0x86 is not for DISCONNECT.
    for verdict in [deny(0x87), deny(0x86), another, error] {
        let mut client = online(&broker, "c");
        auth(&mut client, ReasonCode::ReAuthenticate, Some(METHOD), None);
        broker.answer(question(&broker).connection, verdict);
        assert_eq!(client.next(), Got::Disconnect(ReasonCode::NotAuthorized));
        assert_eq!(client.next(), Got::Closed);
    }
    broker.stop();
}

#[test]
fn new_rights_come_with_the_new_decision() {
    let broker = exchanging_broker(1);
    let mut client = online(&broker, "c");
    let expire_at = |broker: &Broker| {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            for event in broker.drain_events() {
                if let Event::SessionOpened { expire_at, .. } = event {
                    return expire_at;
                }
            }
            thread::yield_now();
        }
        panic!("no expiry in time");
    };
    for at in [4_000_000_000, 4_100_000_000] {
        auth(&mut client, ReasonCode::ReAuthenticate, Some(METHOD), None);
        let grant = Grant {
            expire_at: Some(at),
            ..Grant::default()
        };
        let verdict = ExternalVerdict::Ok(Box::new(grant));
        broker.answer(question(&broker).connection, verdict);
        assert_eq!(client.next(), Got::Other(PacketType::Auth));
        assert_eq!(expire_at(&broker), at);
    }
    broker.stop();
}
