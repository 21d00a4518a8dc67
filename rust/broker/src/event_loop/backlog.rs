//! Deliveries that were kept: what a returned client has not acknowledged, what waits for room.

use std::{num::NonZeroU16, sync::Arc};

use vallum_mqtt::packet::{PublishParts, QoS, Version};

use super::{
    EventLoop,
    outgoing::{SHARED_PAYLOAD_BYTES, encode},
};
use crate::{connection::Phase, message::Delivery, session::inflight::Resend};

impl EventLoop {
    /// A delivery exceeds the client's Maximum Packet Size: it counts as done [MQTT-3.1.2-25].
    pub(super) fn drop_too_large(&mut self, slot: u32, id: Option<NonZeroU16>) {
        self.metrics().dropped_too_large.add(1);
        if let (Some(id), Some(Phase::Online(session))) =
            (id, self.connections.get(slot as usize).map(|c| c.phase))
            && let Some(entry) = self.sessions.get_mut(session as usize)
        {
            entry.session.inflight_mut().finish(id.get());
        }
    }

    /// Write a delivery that was kept: `dup` on redelivery.
    pub(crate) fn write_kept(
        &mut self,
        slot: u32,
        delivery: &Delivery,
        id: Option<NonZeroU16>,
        dup: bool,
    ) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        let hidden = match connection.phase {
            Phase::Online(session) => self
                .sessions
                .get(session as usize)
                .map_or(0, |entry| entry.session.hidden(&delivery.message.topic)),
            _ => 0,
        };
        let ids = [delivery.subscription_id];
        let parts = PublishParts {
            version: connection.version,
            qos: delivery.qos,
            dup,
            retain: delivery.retain,
            topic: delivery.message.topic.get(hidden..).unwrap_or_default(),
            packet_id: id,
            message_expiry_interval: delivery
                .message
                .expires_at
                .map(|at| at.saturating_sub(now).max(1)),
            topic_alias: None,
            subscription_ids: if delivery.subscription_id == 0 {
                &[]
            } else {
                &ids
            },
            forwardable: &delivery.message.properties,
            payload: &delivery.message.payload,
        };
        let max_packet = connection.max_packet_out as usize;
        let out = connection.out.buffer(&mut self.pool);
        let before = out.len();
        let payload_bytes = delivery.message.payload.len();
        let shared = payload_bytes >= SHARED_PAYLOAD_BYTES;
        let aliases = connection
            .v5
            .as_deref_mut()
            .and_then(|v5| v5.outgoing.as_mut());
        match aliases {
            Some(aliases) if !shared => aliases.encode(&parts, max_packet, out),
            _ => {
                encode(&parts, shared, out);
            }
        }
        let size = out.len() - before + if shared { payload_bytes } else { 0 };
        if size > max_packet || out.len() == before {
            out.truncate(before);
            self.drop_too_large(slot, id);
            return;
        }
        if shared {
            connection.out.share(Arc::clone(&delivery.message));
        }
        self.metrics().messages_sent.add(1);
        self.mark_dirty(slot);
    }

    /// Send again what a returned client has not acknowledged, then move what waits in its queue into
    /// its window, while there is room.
    pub(crate) fn pump(&mut self, session_slot: u32) {
        loop {
            let Some(entry) = self.sessions.get_mut(session_slot as usize) else {
                return;
            };
            let session = &mut entry.session;
            let Some(slot) = session.connection else {
                return;
            };
            let window = session.window;
            let again = session
                .inflight
                .as_deref_mut()
                .filter(|inflight| inflight.is_resending());
            if let Some(inflight) = again {
                match inflight.next_resend(window) {
                    Some(Resend::Publish(id, delivery)) => {
                        self.write_kept(slot, &delivery, Some(id), true);
                    }
                    Some(Resend::PubRel(id)) => self.send_pubrel(slot, id),
                    None if inflight.is_resending() => return,
                    None => {}
                }
                continue;
            }
            if !self.pump_one(session_slot, slot) {
                return;
            }
        }
    }

    /// Send the first of a session's queue; `false` if there is none or no room for it.
    fn pump_one(&mut self, session_slot: u32, slot: u32) -> bool {
        let now = self.now;
        let has_room = self.outbox_has_room(slot);
        let Some(entry) = self.sessions.get_mut(session_slot as usize) else {
            return false;
        };
        let session = &mut entry.session;
        let Some(queue) = session.queue.as_mut() else {
            return false;
        };
        let Some(delivery) = queue.pop() else {
            session.queue = None;
            return false;
        };
        if delivery.message.remaining(now).is_none() {
            self.metrics().dropped_expired.add(1);
            return true;
        }
        let counts = delivery.qos != QoS::AtMostOnce;
        let window = session.inflight.as_ref();
        if !has_room || (counts && window.is_some_and(|i| !i.has_room(session.window))) {
            let zone = session.zone;
            let priority = self.mqtt_in(zone).priority_of(&delivery.message.topic);
            if let Some(entry) = self.sessions.get_mut(session_slot as usize) {
                entry.session.queue_mut().unpop(delivery, priority);
            }
            return false;
        }
        let id = counts.then(|| session.inflight_mut().push(delivery.clone()));
        self.write_kept(slot, &delivery, id, false);
        true
    }

    /// Send again what a client of MQTT 3.x has not answered for `mqtt.retry_interval`, in the order it
    /// was sent first; gives when to look again. MQTT 5 allows that on reconnecting only
    /// [MQTT-4.4.0-1].
    pub(super) fn retry(&mut self, slot: u32, session_slot: u32) -> Option<u32> {
        let interval = self.mqtt_of(slot).retry_interval?;
        if self.version_of(slot) == Version::V5 {
            return None;
        }
        let (now, has_room) = (self.now, self.outbox_has_room(slot));
        let session = &mut self.sessions.get_mut(session_slot as usize)?.session;
        let overdue = match session.inflight.as_deref_mut() {
            Some(inflight) if has_room => inflight.overdue(now, interval),
            _ => Vec::new(),
        };
        for again in overdue {
            match again {
                Resend::Publish(id, delivery) => self.write_kept(slot, &delivery, Some(id), true),
                Resend::PubRel(id) => self.send_pubrel(slot, id),
            }
        }
        Some(now.saturating_add(interval))
    }

    /// Whether a session has something to send as soon as there is room.
    pub(crate) fn has_backlog(&self, session_slot: u32) -> bool {
        self.sessions
            .get(session_slot as usize)
            .is_some_and(|entry| {
                let session = &entry.session;
                session.queue.is_some()
                    || session.inflight.as_ref().is_some_and(|i| i.is_resending())
            })
    }
}
