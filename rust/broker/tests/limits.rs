//! What holds for all event loops together: the connections of a listener, an exclusive subscription.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{io::Read as _, net::TcpStream, time::Duration};

use support::{Client, address, broker_behind, open_broker, statistic, wait_until};
use vallum_mqtt::packet::{QoS, ReasonCode};

#[test]
fn a_listener_counts_the_connections_of_all_loops() {
    const MOST: u64 = 10;
    let broker = broker_behind(4, &[("max_connections", serde_json::json!(MOST))]);
    let sockets: Vec<_> = (0..30)
        .map(|_| TcpStream::connect(address(&broker)).unwrap())
        .collect();
    wait_until(|| statistic(&broker, "connections.refused") == 30 - MOST);
    assert_eq!(statistic(&broker, "connections.accepted"), MOST);
    // Those it took are open, and those it refused are closed.
    let (open, closed): (Vec<_>, Vec<_>) = sockets.into_iter().partition(|mut socket| {
        let patience = Duration::from_millis(1);
        socket.set_read_timeout(Some(patience)).unwrap();
        let answer = socket.read(&mut [0]);
        answer.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    });
    assert_eq!((open.len(), closed.len()), (10, 20));
    // Each that goes, on whatever loop, makes room for one.
    drop(open);
    for round in 0..3 {
        let mut clients = Vec::new();
        while clients.len() < 10 {
            let id = format!("{round}-{}", clients.len());
            if let Some(client) = Client::try_connect(&broker, &id) {
                clients.push(client);
            }
        }
        assert!(Client::try_connect(&broker, "one too many").is_none());
        for client in clients {
            client.leave();
        }
    }
}

#[test]
fn an_exclusive_subscription_has_one_holder_on_all_loops() {
    let broker = open_broker(3);
    let filters = ["$exclusive/door".to_owned()];
    let mut clients: Vec<_> = (0..6)
        .map(|n| Client::connect(&broker, &format!("c{n}"), true, 0).0)
        .collect();
    while !clients.is_empty() {
        let holders: Vec<usize> = clients
            .iter_mut()
            .map(|client| client.try_subscribe(&filters, QoS::AtLeastOnce))
            .enumerate()
            .filter(|(_, codes)| codes != &[ReasonCode::QuotaExceeded])
            .map(|(n, codes)| {
                assert_eq!(codes, [ReasonCode::GrantedQoS1]);
                n
            })
            .collect();
        assert_eq!(holders.len(), 1, "holders: {holders:?}");
        let left = statistic(&broker, "client.disconnected");
        clients.remove(*holders.first().unwrap()).leave();
        wait_until(|| {
            statistic(&broker, "client.disconnected") == left + 1
                && statistic(&broker, "subscriptions.count") == 0
        });
    }
}
