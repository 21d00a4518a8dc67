//! An application message on its way through the broker.

use std::sync::Arc;

use vallum_mqtt::packet::QoS;

use crate::{router::GroupId, session::SessionRef};

/// A published message that more than one place must keep: queues, inflight windows, other loops,
/// the retained store. One made for `QoS` 0 receivers of the same loop never comes into being.
#[derive(Debug)]
pub struct Message {
    /// Topic name.
    pub topic: Box<str>,
    /// MQTT 5 properties to pass on unchanged, encoded; no alias, no expiry, no subscription id.
    pub properties: Box<[u8]>,
    /// Application payload.
    pub payload: Box<[u8]>,
    /// `QoS` of the publish.
    pub qos: QoS,
    /// RETAIN flag of the publish.
    pub retain: bool,
    /// Session that published it, for no-local.
    pub publisher: Option<SessionRef>,
    /// Broker second (see [`crate::clock`]) at which it expires.
    pub expires_at: Option<u32>,
}

impl Message {
    /// Seconds left at `now`: `Some(None)` lives for ever, `None` is over.
    pub fn remaining(&self, now: u32) -> Option<Option<u32>> {
        match self.expires_at {
            None => Some(None),
            Some(at) if at > now => Some(Some(at - now)),
            Some(_) => None,
        }
    }

    /// Bytes it holds, for limits.
    pub fn size(&self) -> usize {
        self.topic.len() + self.properties.len() + self.payload.len()
    }
}

/// A message for one session: what the subscription adds to it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// `QoS` of this delivery.
    pub qos: QoS,
    /// RETAIN flag of this delivery.
    pub retain: bool,
    /// Subscription Identifier; 0 is none.
    pub subscription_id: u32,
    /// The group its session was picked from, if the subscription is shared.
    pub group: Option<GroupId>,
}
