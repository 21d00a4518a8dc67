//! Who may connect: access rules, and PROXY protocol headers (`spec/hardening.md` section 4).
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Instant;

use serde_json::json;
use support::{Client, DEADLINE, Got, broker_behind};
use vallum_broker::{
    Broker,
    event::{Event, Refusal},
};
use vallum_mqtt::packet::{Connect, ConnectProperties, ReasonCode, Version};

const V2_HEALTH_CHECK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const V2_UNIX: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\0";
const V2_TLV_PAST_END: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02\x02\0\x01";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 10.0.0.1 40000 1883\r\n";

fn behind_proxy(rules: &[&str]) -> Broker {
    let proxy = json!({"timeout_ms": 3000, "trusted": ["127.0.0.0/8", "::1"]});
    broker_behind(
        2,
        &[("proxy_protocol", proxy), ("access_rules", json!(rules))],
    )
}

/// A CONNECT; without a client identifier it is refused, which shows the address it came from.
fn connect(client_id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Connect {
        version: Version::V311,
        clean_start: !client_id.is_empty(),
        keep_alive: 0,
        client_id,
        will: None,
        user_name: None,
        password: None,
        properties: ConnectProperties::default(),
    }
    .encode(&mut bytes)
    .unwrap();
    bytes
}

/// The next refusal in the log.
fn refusal(broker: &Broker) -> Refusal {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        for event in broker.drain_events() {
            if let Event::Refused(refusal) = event {
                return *refusal;
            }
        }
        std::thread::yield_now();
    }
    panic!("nothing was refused");
}

fn counted(broker: &Broker, name: &str) -> u64 {
    let found = broker.statistics().into_iter().find(|(n, _)| *n == name);
    found.unwrap().1
}

/// What becomes of a connection that begins with `bytes`.
fn answer(broker: &Broker, bytes: &[u8]) -> Got {
    let mut client = Client::open(broker, Version::V311);
    client.send_bytes(bytes);
    client.next()
}

const WELCOME: Got = Got::ConnAck {
    reason: ReasonCode::Success,
    present: false,
};

#[test]
fn a_denied_address_gets_not_a_byte() {
    let broker = broker_behind(1, &[("access_rules", json!(["deny 127.0.0.0/8"]))]);
    let mut client = Client::open(&broker, Version::V311);
    assert_eq!(client.next(), Got::Closed);
    let refusal = refusal(&broker);
    assert_eq!(
        (refusal.stage.as_str(), refusal.reason.as_str()),
        ("access_rules", "address_denied")
    );
    assert_eq!(counted(&broker, "connections.access_denied"), 1);
    assert_eq!(counted(&broker, "connections.accepted"), 0);
}

#[test]
fn the_first_rule_lets_in() {
    let rules = json!(["allow 127.0.0.1", "deny all"]);
    let broker = broker_behind(1, &[("access_rules", rules)]);
    assert_eq!(answer(&broker, &connect("c")), WELCOME);
}

#[test]
fn the_announced_address_is_the_client() {
    let broker = behind_proxy(&[]);
    let sent = [LINE, &connect("")].concat();
    // Whole, and byte by byte.
    for chunk in [sent.len(), 1] {
        let mut client = Client::open(&broker, Version::V311);
        for part in sent.chunks(chunk) {
            client.send_bytes(part);
        }
        assert!(matches!(client.next(), Got::ConnAck { .. }));
    }
    assert_eq!(
        refusal(&broker).peer,
        Some("203.0.113.7:40000".parse().unwrap())
    );
    assert_eq!(answer(&broker, &[LINE, &connect("c")].concat()), WELCOME);
    let unknown = [b"PROXY UNKNOWN\r\n".as_slice(), &connect("c")].concat();
    assert_eq!(answer(&broker, &unknown), WELCOME);
}

#[test]
fn rules_judge_the_announced_address() {
    let broker = behind_proxy(&["deny 203.0.113.0/24"]);
    assert_eq!(
        answer(&broker, &[LINE, &connect("c")].concat()),
        Got::Closed
    );
    let refusal = refusal(&broker);
    assert_eq!(refusal.reason, "address_denied");
    assert_eq!(refusal.peer, Some("203.0.113.7:40000".parse().unwrap()));
    let other = b"PROXY TCP4 198.51.100.1 10.0.0.1 40000 1883\r\n".as_slice();
    assert_eq!(answer(&broker, &[other, &connect("c")].concat()), WELCOME);
}

#[test]
fn bad_headers_close() {
    let broker = behind_proxy(&[]);
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 120]].concat();
    let attacks: [(&[u8], &str); 5] = [
        (&connect("c"), "proxy_header_missing"),
        (&long, "proxy_header_too_long"),
        (V2_UNIX, "proxy_header_unsupported"),
        (V2_TLV_PAST_END, "proxy_header_malformed"),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            "proxy_header_malformed",
        ),
    ];
    for (n, (attack, reason)) in (1..).zip(attacks) {
        assert_eq!(answer(&broker, attack), Got::Closed, "{attack:x?}");
        if n < 5 {
            assert_eq!(refusal(&broker).reason, reason); // the fifth is like the fourth
        }
        assert_eq!(counted(&broker, "connections.proxy_header_refused"), n);
    }
}

#[test]
fn a_health_check_is_closed_without_a_line() {
    let broker = behind_proxy(&[]);
    assert_eq!(answer(&broker, V2_HEALTH_CHECK), Got::Closed);
    assert!(broker.drain_events().is_empty());
    assert_eq!(counted(&broker, "connections.proxy_header_refused"), 0);
}

#[test]
fn a_header_is_believed_from_trusted_proxies_only() {
    let proxy = json!({"timeout_ms": 3000, "trusted": ["192.0.2.1"]});
    let broker = broker_behind(1, &[("proxy_protocol", proxy)]);
    let mut client = Client::open(&broker, Version::V311);
    assert_eq!(client.next(), Got::Closed);
    assert_eq!(counted(&broker, "connections.access_denied"), 1);
    // And nowhere without the option.
    let open = support::open_broker(1);
    assert_eq!(answer(&open, LINE), Got::Closed);
}

#[test]
fn a_header_must_come_in_time() {
    let proxy = json!({"timeout_ms": 1000, "trusted": ["127.0.0.1"]});
    let broker = broker_behind(1, &[("proxy_protocol", proxy)]);
    assert_eq!(answer(&broker, b"PROXY TCP4 1.2"), Got::Closed);
    assert_eq!(refusal(&broker).reason, "proxy_header_timeout");
}
