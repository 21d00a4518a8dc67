//! One session: subscriptions, deliveries under way, what is left to say when it ends.

use std::{collections::HashMap, sync::Arc};

use vallum_mqtt::packet::QoS;
use vallum_policy::decision::AuthenticatedClient;

use super::{inflight::Inflight, queue::MessageQueue};
use crate::{retained::Replay, router::SubscriptionOptions};

/// Session Expiry Interval that never ends (section 3.1.2.11.2).
pub const NEVER: u32 = u32::MAX;

/// A will, kept until it is due or void (section 3.1.2.5).
#[derive(Debug)]
pub struct Will {
    /// Topic name.
    pub topic: Box<str>,
    /// Properties to pass on, encoded.
    pub properties: Box<[u8]>,
    /// Payload.
    pub payload: Box<[u8]>,
    /// `QoS`.
    pub qos: QoS,
    /// RETAIN flag.
    pub retain: bool,
    /// Will Delay Interval in seconds.
    pub delay: u32,
    /// Message Expiry Interval in seconds.
    pub message_expiry: Option<u32>,
}

/// A session. What most sessions never need is behind a pointer that is made on first use.
#[derive(Debug)]
pub struct Session {
    /// Who it belongs to; replaced when the client comes back with other rights.
    pub client: Arc<AuthenticatedClient>,
    /// Slot of its connection while online.
    pub connection: Option<u32>,
    /// Counts the times it went offline.
    pub offline_epoch: u32,
    /// Seconds it outlives its connection.
    pub expiry_interval: u32,
    /// Index of the zone of its last connection.
    pub zone: u16,
    /// The client's Receive Maximum, already capped by `mqtt.max_inflight`.
    pub window: u16,
    /// Whether the control plane holds a timer for it.
    pub has_timer: bool,
    /// Whether it ever had a shared or exclusive subscription.
    pub has_shared: bool,
    /// Subscriptions by filter, as the client wrote it.
    pub subscriptions: HashMap<Box<str>, SubscriptionOptions>,
    /// Deliveries of `QoS` 1 and 2 under way.
    pub inflight: Option<Box<Inflight>>,
    /// Deliveries that wait.
    pub queue: Option<Box<MessageQueue>>,
    /// Incoming `QoS` 2 messages whose PUBREL is due: identifier, broker second it came.
    pub awaiting_rel: Option<Box<HashMap<u16, u32>>>,
    /// Replays of retained messages under way.
    pub pending_replays: u32,
    /// Retained messages it is still to get once it has room.
    #[allow(
        clippy::box_collection,
        reason = "a pointer in every session, a list in few"
    )]
    pub(crate) stalled_replays: Option<Box<Vec<Replay>>>,
    /// The will.
    pub will: Option<Box<Will>>,
}

impl Session {
    /// A new session of `client`.
    pub fn new(client: Arc<AuthenticatedClient>) -> Self {
        Self {
            client,
            connection: None,
            offline_epoch: 0,
            expiry_interval: 0,
            zone: 0,
            window: 1,
            has_timer: false,
            has_shared: false,
            subscriptions: HashMap::new(),
            inflight: None,
            queue: None,
            awaiting_rel: None,
            pending_replays: 0,
            stalled_replays: None,
            will: None,
        }
    }

    /// The inflight window, made on first use.
    pub fn inflight_mut(&mut self) -> &mut Inflight {
        self.inflight.get_or_insert_default()
    }

    /// The queue, made on first use.
    pub fn queue_mut(&mut self) -> &mut MessageQueue {
        self.queue.get_or_insert_default()
    }

    /// Deliveries of `QoS` 1 or 2 that may be sent at once.
    pub fn free_window(&self) -> usize {
        if self.queue.as_ref().is_some_and(|queue| !queue.is_empty()) {
            return 0;
        }
        let window = usize::from(self.window);
        window.saturating_sub(self.inflight.as_ref().map_or(0, |i| i.len()))
    }

    /// Whether a delivery of `QoS` 1 or 2 may be sent at once.
    pub fn may_send(&self) -> bool {
        self.queue.as_ref().is_none_or(|q| q.is_empty())
            && self
                .inflight
                .as_ref()
                .is_none_or(|i| i.has_room(self.window))
    }
}
