//! What does it cost to look a topic up among a million filters, and a filter among a million names?
//!
//! `cargo run --release -p vallum-mqtt --example topic_lookup`
//!
//! CPU time of one thread as Linux counts it; the median of 9 rounds after one to warm up. Look-ups
//! go through the filters in a scattered order, so that caches are as cold as they are under real traffic.
#![allow(clippy::print_stdout, reason = "the figures are the product")]

use std::ops::ControlFlow;

use vallum_mqtt::topic::{SubscriptionTree, TopicTree};

const FILTERS: u32 = 1_000_000;
const LOOKUPS: u32 = 200_000;

fn main() {
    for (question, filter, topic) in [
        (
            "no wildcard",
            "site/{a}/device/{b}/state",
            "site/{a}/device/{b}/state",
        ),
        (
            "+ last",
            "site/{a}/device/{b}/+",
            "site/{a}/device/{b}/state",
        ),
        (
            "+ first",
            "+/{a}/device/{b}/state",
            "site/{a}/device/{b}/state",
        ),
        (
            "+ in the middle",
            "site/{a}/+/{b}/state",
            "site/{a}/device/{b}/state",
        ),
        (
            "# last",
            "site/{a}/device/{b}/#",
            "site/{a}/device/{b}/state/now",
        ),
        ("one wide level", "{n}/+", "{n}/state"),
    ] {
        let began = cpu_nanos();
        let mut tree = SubscriptionTree::new();
        for n in 0..FILTERS {
            tree.insert(&fill(filter, n), n, ());
        }
        let insert = (cpu_nanos() - began) / u64::from(FILTERS);
        let topics: Vec<_> = (0..LOOKUPS)
            .map(|n| fill(topic, n.wrapping_mul(7_919) % FILTERS))
            .collect();
        let round = median(|| {
            let mut found = 0;
            for topic in &topics {
                tree.matches(topic, &mut |_, ()| found += 1);
            }
            assert_eq!(found, LOOKUPS);
        });
        let lookup = round / u64::from(LOOKUPS);
        let began = cpu_nanos();
        for n in 0..FILTERS {
            assert!(tree.remove(&fill(filter, n), &n).is_some());
        }
        let remove = (cpu_nanos() - began) / u64::from(FILTERS);
        println!("{question:16} look-up {lookup} ns, insert {insert} ns, remove {remove} ns");
    }
    retained();
}

fn retained() {
    let mut tree = TopicTree::new();
    for n in 0..FILTERS {
        tree.insert(&fill("site/{a}/device/{b}/state", n), n);
    }
    for (filter, expect) in [
        ("#", FILTERS),
        ("site/+/device/7/state", 1000),
        ("site/7/#", 1000),
    ] {
        let nanos = median(|| {
            let mut found = 0;
            tree.for_each_match(filter, None, usize::MAX, &mut |_, _| {
                found += 1;
                ControlFlow::Continue(())
            });
            assert_eq!(found, expect);
        });
        let each = nanos / u64::from(expect);
        println!("{filter:24} {each} ns a match");
    }
}

fn fill(pattern: &str, n: u32) -> String {
    pattern
        .replace("{a}", &(n / 1000).to_string())
        .replace("{b}", &(n % 1000).to_string())
        .replace("{n}", &n.to_string())
}

/// Nanoseconds a round takes.
fn median(mut round: impl FnMut()) -> u64 {
    round();
    let mut rounds: Vec<_> = (0..9)
        .map(|_| {
            let began = cpu_nanos();
            round();
            cpu_nanos() - began
        })
        .collect();
    rounds.sort_unstable();
    rounds.get(4).copied().unwrap_or_default()
}

/// Nanoseconds this process has run. Time in which others ran on the core is not in it.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .expect("this needs Linux")
}
