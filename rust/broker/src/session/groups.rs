//! What a session owes the groups it is a member of: word when its client comes and goes, and what it
//! leaves undelivered when it ends (MQTT 5 section 4.8.2).

use std::num::NonZeroU16;

use vallum_mqtt::packet::QoS;

use super::{Session, SessionRef, inflight::Inflight, queue::MessageQueue};
use crate::{
    event_loop::EventLoop,
    message::Delivery,
    router::{Router as _, is_shared},
};

impl Session {
    /// An incoming `QoS` 2 message was not taken after all: its identifier is free again.
    pub(crate) fn forget_awaiting(&mut self, packet_id: Option<NonZeroU16>) {
        if let (Some(id), Some(waiting)) = (packet_id, self.awaiting_rel.as_mut()) {
            waiting.remove(&id.get());
        }
    }
}

impl EventLoop {
    /// Tell the groups of a session that its client came or went.
    pub(crate) fn tell_groups(&mut self, reference: SessionRef, online: bool) {
        let router = &self.shared.router;
        let session = self.sessions.get(reference.slot as usize);
        if let Some(entry) = session.filter(|entry| entry.generation == reference.generation)
            && entry.session.has_shared
        {
            for filter in entry.session.subscriptions.keys() {
                if is_shared(filter) {
                    router.set_online(filter, reference, online);
                }
            }
        }
    }

    /// End a shared subscription. What still waits for it in the session's queue goes to another member of
    /// its group; what was sent is completed [MQTT-3.10.4-4].
    pub(crate) fn drop_subscription(&mut self, filter: &str, reference: SessionRef) {
        let group = self.shared.router.group_of(filter);
        self.shared.router.unsubscribe(reference, &[filter]);
        let Some(group) = group else { return };
        let waiting = self
            .session_mut(reference)
            .and_then(|session| session.queue.as_mut())
            .map(|queue| queue.take_group(group));
        for delivery in waiting.unwrap_or_default() {
            self.redispatch(&delivery);
        }
    }

    /// Give what an ended session leaves to other members of its groups: what waited, and what was sent
    /// with `QoS` 1 and not acknowledged. A `QoS` 2 delivery that was begun is never begun with another
    /// client [MQTT-4.8.2-5].
    pub(crate) fn pass_on(
        &mut self,
        inflight: Option<Box<Inflight>>,
        queue: Option<Box<MessageQueue>>,
    ) {
        let sent = inflight.into_iter().flat_map(|i| i.into_unacknowledged());
        for delivery in sent.filter(|delivery| delivery.qos == QoS::AtLeastOnce) {
            self.redispatch(&delivery);
        }
        for delivery in queue.into_iter().flat_map(|queue| queue.into_all()) {
            self.redispatch(&delivery);
        }
    }

    fn redispatch(&mut self, delivery: &Delivery) {
        let Some(group) = delivery.group else { return };
        if delivery.message.remaining(self.now).is_none() {
            self.metrics().dropped_expired.add(1);
        } else if self.deliver_to_group(group, &delivery.message) {
            self.metrics().redispatched.add(1);
        }
    }
}
