//! What does one delivery cost in user space, its payload copied or shared? It decides
//! `SHARED_PAYLOAD_BYTES`.
//!
//! Each of 1,000 outboxes gets one PUBLISH and is written to `/dev/null`, which takes bytes without
//! looking at them. `cargo run --release -p vallum-broker --example outbox_cost`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement")]

use std::{
    fs::{File, OpenOptions},
    sync::Arc,
    time::Instant,
};

use vallum_broker::{
    connection::{BufferPool, Outbox},
    message::Message,
};
use vallum_mqtt::packet::QoS;

const RECEIVERS: u32 = 1000;
const ROUNDS: usize = 31;

fn main() {
    let mut null = OpenOptions::new().write(true).open("/dev/null").unwrap();
    println!("payload bytes   copied ns   shared ns   (median of {ROUNDS}, {RECEIVERS} receivers)");
    for size in [256, 512, 1024, 2048, 4096, 8192, 16_384, 65_536] {
        let message = Arc::new(Message {
            topic: "fan/out".into(),
            properties: Box::default(),
            payload: vec![7; size].into(),
            qos: QoS::AtMostOnce,
            retain: false,
            publisher: None,
            expires_at: None,
        });
        let copied = nanoseconds(&mut null, |outbox, pool| {
            let out = outbox.buffer(pool);
            out.extend_from_slice(b"0123456789ab");
            out.extend_from_slice(&message.payload);
        });
        let shared = nanoseconds(&mut null, |outbox, pool| {
            outbox.buffer(pool).extend_from_slice(b"0123456789ab");
            outbox.share(Arc::clone(&message));
        });
        println!("{size:13}   {copied:9}   {shared:9}");
    }
}

/// Nanoseconds for one delivery: filling the outbox and writing it.
fn nanoseconds(null: &mut File, fill: impl Fn(&mut Outbox, &mut BufferPool)) -> u128 {
    let mut outboxes: Vec<_> = (0..RECEIVERS).map(|_| Outbox::default()).collect();
    let mut pool = BufferPool::default();
    let mut times: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            for outbox in &mut outboxes {
                fill(outbox, &mut pool);
            }
            for outbox in &mut outboxes {
                outbox.flush(&mut *null, &mut pool);
                assert!(outbox.is_empty());
            }
            begin.elapsed().as_nanos() / u128::from(RECEIVERS)
        })
        .collect();
    times.sort_unstable();
    times.get(ROUNDS / 2).copied().unwrap_or_default()
}
