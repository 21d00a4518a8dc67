//! MQTT in a WebSocket, over real sockets: what works, and what ends it (MQTT section 6, RFC 6455).
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
};

use serde_json::json;
use support::{DEADLINE, address, broker_behind};
use vallum_broker::Broker;
use vallum_mqtt::packet::{Connect, ConnectProperties, PINGRESP, Version};

const REQUEST: &str = "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
const PINGREQ: [u8; 2] = [0xc0, 0];
const BINARY: u8 = 0x82;

fn web_broker(loops: usize, max_frame_size: Option<u64>) -> Broker {
    let websocket = json!({"path": "/mqtt", "max_frame_size": max_frame_size, "origins": null,
                           "fail_if_no_subprotocol": true, "subprotocols": ["mqtt"],
                           "forwarded": null, "idle_timeout": 7200, "one_packet_a_frame": false});
    broker_behind(loops, &[("websocket", websocket)])
}

fn connect(client_id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Connect {
        version: Version::V311,
        clean_start: true,
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

/// A masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    if payload.len() < 126 {
        out.push(0x80 | u8::try_from(payload.len()).unwrap());
    } else {
        out.push(0xff);
        out.extend((payload.len() as u64).to_be_bytes());
        assert!(
            payload.len() >= 1 << 16,
            "the form between is not needed here"
        );
    }
    out.extend(KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(b, k)| b ^ k));
    out
}

/// A WebSocket client that reads frames.
struct Web {
    stream: TcpStream,
}

impl Web {
    fn open(broker: &Broker, request: &str) -> (Self, String) {
        let stream = TcpStream::connect(address(broker)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut web = Self { stream };
        web.send(request.as_bytes());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(web.take(1).expect("closed in the response"));
        }
        (web, String::from_utf8(head).unwrap())
    }

    /// Upgraded, and with its CONNECT accepted.
    fn connected(broker: &Broker, client_id: &str) -> Self {
        let (mut web, head) = Self::open(broker, REQUEST);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        web.send(&frame(BINARY, &connect(client_id)));
        assert_eq!(web.frame(), Some((BINARY, CONNACK.to_vec())));
        web
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; size];
        match self.stream.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                None
            }
            Err(e) => panic!("{e}"),
        }
    }

    /// The next frame's first byte and payload; `None` at the end.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.take(2)?;
        let (first, second) = (*head.first()?, *head.get(1)?);
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let extended = match second {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let long = self.take(extended)?;
        let long = long.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
        let size = if extended == 0 {
            usize::from(second)
        } else {
            long
        };
        Some((first, self.take(size)?))
    }

    /// The code of the close frame that comes next; then the connection must end.
    fn close_code(&mut self) -> u16 {
        let (first, payload) = self.frame().expect("no close frame");
        assert_eq!(first, 0x88, "{payload:x?}");
        assert_eq!(self.frame(), None);
        u16::from_be_bytes(*payload.first_chunk().unwrap())
    }
}

#[test]
fn packets_and_frames_need_not_agree() {
    let broker = web_broker(2, None);
    let mut web = Web::connected(&broker, "c");
    // Several packets in one frame.
    web.send(&frame(BINARY, &[PINGREQ, PINGREQ].concat()));
    assert_eq!(web.frame(), Some((BINARY, [PINGRESP, PINGRESP].concat())));
    // One packet over frames, and over fragments with a ping between; byte by byte.
    let [first, second] = PINGREQ;
    let split = [
        frame(BINARY, &[first]),
        frame(BINARY, &[second, first]),
        frame(0x02, &[]),
        frame(0x89, b"are you there"),
        frame(0x80, &[second]),
    ]
    .concat();
    for byte in split {
        web.send(&[byte]);
    }
    let (mut answers, mut pongs) = (Vec::new(), 0);
    while answers.len() < 4 || pongs < 1 {
        match web.frame().unwrap() {
            (BINARY, part) => answers.extend(part),
            pong => {
                assert_eq!(pong, (0x8a, b"are you there".to_vec()));
                pongs += 1;
            }
        }
    }
    assert_eq!(answers, [PINGRESP, PINGRESP].concat());
    // The closing handshake.
    web.send(&frame(0x88, b"\x03\xe8bye"));
    assert_eq!(web.close_code(), 1000);
}

#[test]
fn everything_may_come_at_once() {
    let broker = web_broker(2, None);
    let mut stream = TcpStream::connect(address(&broker)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let all = [
        REQUEST.as_bytes(),
        &frame(BINARY, &connect("c")),
        &frame(BINARY, &PINGREQ),
    ]
    .concat();
    stream.write_all(&all).unwrap();
    let mut read = Vec::new();
    while !read.ends_with(&PINGRESP) {
        let mut chunk = [0; 512];
        let n = stream.read(&mut chunk).unwrap();
        assert_ne!(n, 0, "{read:x?}");
        read.extend_from_slice(chunk.get(..n).unwrap());
    }
}

#[test]
fn large_messages_pass_in_both_directions() {
    let broker = web_broker(1, None);
    let mut web = Web::connected(&broker, "c");
    web.send(&frame(BINARY, &[0x82, 6, 0, 1, 0, 1, b't', 0]));
    assert_eq!(web.frame(), Some((BINARY, vec![0x90, 3, 0, 1, 0])));
    let payload: Vec<u8> = (0..900_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let length = payload.len() + 3;
    let varint = [
        length & 0x7f | 0x80,
        length >> 7 & 0x7f | 0x80,
        length >> 14,
    ];
    let mut packet = vec![0x30];
    packet.extend(varint.map(|digit| u8::try_from(digit).unwrap()));
    packet.extend([0, 1, b't']);
    packet.extend(&payload);
    // It is written while the answers fill the socket: nobody reads until it is out.
    web.send(&[frame(BINARY, &packet), frame(0x89, b"x")].concat());
    let mut got = Vec::new();
    let mut pong = false;
    while got.len() < packet.len() || !pong {
        match web.frame().unwrap() {
            (BINARY, part) => got.extend(part),
            other => {
                assert_eq!(other, (0x8a, b"x".to_vec()));
                pong = true;
            }
        }
    }
    assert!(got == packet);
}

#[test]
fn what_breaks_the_protocol_is_told() {
    let broker = web_broker(1, Some(1000));
    let begun = frame(0x02, &PINGREQ);
    let attacks: [(Vec<u8>, u16); 8] = [
        (frame(0x81, b"text"), 1003),
        (vec![BINARY, 2, 0xc0, 0], 1002), // not masked
        (
            vec![BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
            1002,
        ), // 2^63
        (
            vec![BINARY, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
            1009,
        ),
        (vec![0x89, 0xfe], 1002),  // a control frame beyond 125 bytes
        (frame(0x09, b"x"), 1002), // a control frame in fragments
        (frame(0xc2, b"x"), 1002), // an extension nobody agreed on
        ([begun, frame(BINARY, b"x")].concat(), 1002),
    ];
    let mut innocent = Web::connected(&broker, "innocent");
    for (attack, code) in attacks {
        let mut web = Web::connected(&broker, "attacker");
        web.send(&attack);
        let first = web.frame().unwrap();
        if first.0 == BINARY {
            assert_eq!(first.1, PINGRESP); // the fragment was a packet by itself
            assert_eq!(web.close_code(), code, "{attack:x?}");
        } else {
            let told = u16::from_be_bytes(*first.1.first_chunk().unwrap());
            assert_eq!((first.0, told), (0x88, code), "{attack:x?}");
        }
    }
    innocent.send(&frame(BINARY, &PINGREQ));
    assert_eq!(innocent.frame(), Some((BINARY, PINGRESP.to_vec())));
}

#[test]
fn requests_that_are_refused() {
    let broker = web_broker(1, None);
    for (from, to, status) in [
        ("Sec-WebSocket-Protocol: mqtt\r\n", "", "400"),
        ("Protocol: mqtt", "Protocol: chat", "400"),
        ("GET /mqtt", "GET /other", "404"),
        ("Version: 13", "Version: 7", "426"),
    ] {
        let (mut web, head) = Web::open(&broker, &REQUEST.replace(from, to));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(web.take(1), None);
    }
    // MQTT without a WebSocket.
    let plain = "\u{10}\u{c}\0\u{4}MQTT\u{4}\u{2}\0\0\0\0";
    let (mut web, head) = Web::open(&broker, plain);
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert_eq!(web.take(1), None);
}

#[test]
fn the_broker_says_goodbye() {
    let broker = web_broker(1, None);
    let mut web = Web::connected(&broker, "c");
    web.send(&frame(BINARY, &[0x00, 0x00])); // no packet of this type exists
    assert_eq!(web.close_code(), 1000);
}

#[test]
fn a_session_moves_between_websocket_connections() {
    let broker = web_broker(4, None);
    for _ in 0..8 {
        // Each takes the last one's session over, on whatever loop it was accepted.
        Web::connected(&broker, "same");
    }
}
