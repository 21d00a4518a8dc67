//! Counters of one event loop, written by that loop alone and summed by whoever reads.
//!
//! Names follow the reference (`spec/management.md` section 8.1).

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident => $name:literal,)*) => {
        /// The counters; `add` is a relaxed load and store, as each loop has its own set.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[$doc])* pub $field: Counter,)*
        }

        impl Metrics {
            /// Every counter with its public name.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field.get()),)*]
            }
        }
    };
}

counters! {
    /// Connections accepted by a listener.
    connections_accepted => "connections.accepted",
    /// Connections closed because a limit was reached.
    connections_refused => "connections.refused",
    /// Connections closed because of their address: an access rule, or no trusted proxy.
    access_denied => "connections.access_denied",
    /// Connections closed because their PROXY protocol header was missing or malformed.
    proxy_refused => "connections.proxy_header_refused",
    /// Times accepting failed because descriptors ran out.
    accept_failed => "connections.accept_failed",
    /// TLS handshakes that came to their end, resumed ones among them.
    tls_handshakes => "tls.handshakes",
    /// TLS handshakes that resumed an earlier session.
    tls_resumed => "tls.handshakes.resumed",
    /// TLS handshakes that failed or took too long.
    tls_failed => "tls.handshakes.failed",
    /// Sockets kept for a moment after their connection ended, so that its last words arrive.
    lingered => "connections.lingered",
    /// Those there are now.
    lingering => "connections.lingering",
    /// CONNECT packets that were answered with success.
    client_connected => "client.connected",
    /// Connections of connected clients that ended.
    client_disconnected => "client.disconnected",
    /// CONNECT packets refused by the pipeline or by a packet check.
    client_refused => "client.refused",
    /// Bytes read from sockets.
    bytes_received => "bytes.received",
    /// Bytes written to sockets.
    bytes_sent => "bytes.sent",
    /// Packets decoded.
    packets_received => "packets.received",
    /// Packets that broke the protocol.
    packets_malformed => "packets.malformed",
    /// PUBLISH packets received from clients.
    messages_received => "messages.received",
    /// PUBLISH packets written to clients.
    messages_sent => "messages.sent",
    /// Publishes refused by authorization.
    messages_denied => "packets.publish.auth_error",
    /// Subscriptions refused by authorization.
    subscribe_denied => "packets.subscribe.auth_error",
    /// Deliveries dropped because the queue of the session was full.
    dropped_queue_full => "delivery.dropped.queue_full",
    /// `QoS` 0 deliveries dropped because the client reads too slowly.
    dropped_slow => "delivery.dropped.slow_consumer",
    /// Deliveries dropped because they exceed the client's Maximum Packet Size.
    dropped_too_large => "delivery.dropped.too_large",
    /// Deliveries dropped because the message expired.
    dropped_expired => "delivery.dropped.expired",
    /// Publishes that no subscription matched.
    dropped_no_subscriber => "messages.dropped.no_subscribers",
    /// Publishes that were not retained because the store is full.
    dropped_retained => "messages.retained.dropped",
    /// Publishes held back because of `$delayed/`.
    messages_delayed => "messages.delayed",
    /// Publishes not held back because too many are already.
    dropped_delayed => "messages.delayed.dropped",
    /// Deliveries of shared subscriptions that went to another member because theirs ended.
    redispatched => "delivery.redispatched",
    /// Will messages published.
    wills_published => "messages.will.published",
    /// Will messages that authorization refused.
    wills_denied => "messages.will.denied",
    /// Panics caught: bugs of ours, each closed one connection.
    panics => "broker.panics",
    /// Events lost because the control plane did not keep up.
    events_dropped => "events.dropped",
}

/// A number that one thread raises and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Raise by `n`. Only the owning loop may call this: there is no atomic read-modify-write.
    pub fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// Make it `n`: for what there is now, not what happened.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Read.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
