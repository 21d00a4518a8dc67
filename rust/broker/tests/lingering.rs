//! Last words reach a peer that is still sending; nobody can hold a socket with that for long.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread::{self, JoinHandle},
};

use support::{Client, DEADLINE, Got, address, open_broker, policy, statistic};
use vallum_mqtt::packet::{ReasonCode, Version};

/// A second CONNECT, or anything else a client may not send.
const OUT_OF_PLACE: [u8; 2] = [0xD0, 0];

/// Write `total` bytes of PINGREQs in small pieces from another thread; gives how it ended.
fn keep_writing(socket: &TcpStream, total: usize) -> JoinHandle<std::io::Result<()>> {
    let mut socket = socket.try_clone().unwrap();
    thread::spawn(move || {
        for _ in 0..total / 4096 {
            socket.write_all(&[0xC0, 0].repeat(2048))?;
        }
        socket.shutdown(Shutdown::Write)
    })
}

/// Everything up to the end of the stream, which must be an orderly one.
fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn the_reason_arrives_though_the_client_goes_on_writing() {
    let broker = open_broker(1);
    let (mut client, _) = Client::connect(&broker, "c", true, 0);
    let mut socket = client.socket();
    client.send_bytes(&OUT_OF_PLACE);
    let writer = keep_writing(&socket, 2 * 1024 * 1024);
    writer.join().unwrap().expect("the broker reads on");
    let protocol_error = ReasonCode::ProtocolError.as_u8();
    assert_eq!(read_to_end(&mut socket), [0xE0, 1, protocol_error]);
    assert_eq!(statistic(&broker, "connections.lingered"), 1);
}

#[test]
fn a_refused_client_that_goes_on_writing_gets_its_connack() {
    let broker = support::broker(1, &[], policy("null", "true"));
    let mut client = Client::open(&broker, Version::V5);
    let mut socket = client.socket();
    // A CONNECT, and a PINGREQ behind it before the answer can be there.
    client.send_bytes(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c\xc0\x00");
    let writer = keep_writing(&socket, 1024 * 1024);
    writer.join().unwrap().expect("the broker reads on");
    let answer = read_to_end(&mut socket);
    assert!(
        matches!(answer.as_slice(), [0x20, 3, 0, code, 0] if *code >= 0x80),
        "{answer:x?}"
    );
}

#[test]
fn a_client_that_is_taken_over_while_it_writes_is_told() {
    let broker = open_broker(1);
    let (old, _) = Client::connect(&broker, "c", true, 0);
    let mut socket = old.socket();
    let writer = keep_writing(&socket, 512 * 1024);
    let (_new, _) = Client::connect(&broker, "c", true, 0);
    writer.join().unwrap().expect("the broker reads on");
    let answers = read_to_end(&mut socket);
    let taken_over = [0xE0, 1, ReasonCode::SessionTakenOver.as_u8()];
    assert!(answers.ends_with(&taken_over), "{} bytes", answers.len());
}

#[test]
fn one_that_never_stops_writing_is_cut_off() {
    let broker = open_broker(1);
    let (mut client, _) = Client::connect(&broker, "c", true, 0);
    client.send_bytes(&OUT_OF_PLACE);
    let writer = keep_writing(&client.socket(), 1024 * 1024 * 1024);
    let error = writer.join().unwrap().unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    ));
}

#[test]
fn one_that_never_closes_is_closed() {
    let broker = open_broker(1);
    let (mut client, _) = Client::connect(&broker, "c", true, 0);
    client.send_bytes(&OUT_OF_PLACE);
    assert_eq!(client.next(), Got::Disconnect(ReasonCode::ProtocolError));
    assert_eq!(client.next(), Got::Closed);
    support::wait_until(|| statistic(&broker, "connections.lingering") == 1);
    let mut socket = client.socket();
    support::wait_until(|| socket.write_all(&[0xC0, 0]).is_err());
    support::wait_until(|| statistic(&broker, "connections.lingering") == 0);
}

#[test]
fn few_sockets_linger() {
    let broker = open_broker(1);
    let mut clients: Vec<_> = (0..300)
        .map(|n| Client::connect(&broker, &format!("c{n}"), true, 0).0)
        .collect();
    for client in &mut clients {
        client.send_bytes(&OUT_OF_PLACE);
    }
    for client in &mut clients {
        assert_eq!(client.next(), Got::Disconnect(ReasonCode::ProtocolError));
    }
    assert!((1..=256).contains(&statistic(&broker, "connections.lingering")));
    support::wait_until(|| statistic(&broker, "client.disconnected") == 300);
}

#[test]
fn neither_goodbye_nor_garbage_lingers() {
    let broker = open_broker(1);
    Client::connect(&broker, "c", true, 0).0.leave();
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x30, 2, 0, 0],
        &[0x10, 2, 0, 0],
    ] {
        let mut socket = TcpStream::connect(address(&broker)).unwrap();
        socket.write_all(garbage).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let _ = socket.read(&mut [0; 16]); // closed or reset, both are the end
    }
    assert_eq!(statistic(&broker, "connections.lingered"), 0);
}

#[test]
fn a_refused_client_that_waits_for_its_answer_needs_no_lingering() {
    let broker = support::broker(1, &[], policy("null", "true"));
    let mut client = Client::connecting(&broker, Version::V5, "c", true, 0);
    assert!(matches!(client.next(), Got::ConnAck { reason, .. } if reason.is_failure()));
    assert_eq!(client.next(), Got::Closed);
    assert_eq!(statistic(&broker, "connections.lingered"), 0);
}
