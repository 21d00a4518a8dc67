//! Messages to their receivers and packets to bytes out: one write a receiver a turn.

use std::{io, mem, num::NonZeroU16, sync::Arc};

use vallum_mqtt::packet::{EncodeError, PublishParts, QoS, ReasonCode, Version};

use super::{
    EventLoop, FLUSH_SLICE, Routed,
    outgoing::{Outgoing, SHARED_PAYLOAD_BYTES, encode, kind, patch_packet_id},
};
use crate::{
    connection::{Flushed, Phase, disconnect::Close},
    message::{Delivery, Message},
    router::{GroupId, Origin, SubscriptionOptions, Target},
    session::SessionRef,
    shared::Inbound,
};

/// Output of one connection that is written before the turn ends, in bytes, so that a burst to one
/// receiver does not pile up.
const EARLY_FLUSH_BYTES: usize = 256 * 1024;

impl EventLoop {
    /// Route a message: to sessions here at once, to other loops at the end of the turn. Gives the
    /// number of subscriptions that matched, and whether some are served later.
    pub(crate) fn route(&mut self, outgoing: &mut Outgoing<'_>) -> Routed {
        use crate::router::Router as _;

        let mut targets = mem::take(&mut self.targets);
        targets.clear();
        let origin = self.origin_of(outgoing.publisher);
        self.shared
            .router
            .route(outgoing.topic, &origin, &mut targets);
        let matched = targets.len();
        if self.queue_fanout(&mut targets, outgoing) {
            return Routed {
                matched,
                pending: true,
                refused: false,
            };
        }
        self.fanouts.spend(matched);
        if matched > 1 && outgoing.payload.len() >= SHARED_PAYLOAD_BYTES {
            outgoing.keep();
        }
        let elsewhere = |target: &Target| target.session.loop_index != self.index;
        if self.outbound.len() > 1 && targets.iter().any(elsewhere) {
            self.route_elsewhere(&mut targets, outgoing);
        }
        for target in &targets {
            self.deliver(*target, outgoing);
        }
        if targets.capacity() > 65_536 {
            targets = Vec::new();
        }
        self.targets = targets;
        if matched == 0 && !outgoing.topic.starts_with("$SYS/") {
            self.metrics().dropped_no_subscriber.add(1);
        }
        Routed {
            matched,
            ..Routed::default()
        }
    }

    /// What strategies of groups may ask about a publisher.
    pub(super) fn origin_of(&self, publisher: Option<SessionRef>) -> Origin {
        let router = &self.shared.router;
        let client_hash = match publisher {
            Some(session) if router.wants_client_hash() => self
                .sessions
                .get(session.slot as usize)
                .filter(|entry| {
                    session.loop_index == self.index && entry.generation == session.generation
                })
                .map_or(0, |entry| {
                    router.client_hash(&entry.session.client.info.client_id)
                }),
            _ => 0,
        };
        Origin {
            publisher,
            client_hash,
        }
    }

    /// Give a message to another member of `group`, on whatever loop. Gives whether there is one.
    pub(crate) fn deliver_to_group(&mut self, group: GroupId, message: &Arc<Message>) -> bool {
        use crate::router::Router as _;

        let origin = self.origin_of(message.publisher);
        let picked = self.shared.router.pick(group, &message.topic, &origin);
        let Some(target) = picked else {
            self.metrics().dropped_no_subscriber.add(1);
            return false;
        };
        if target.session.loop_index == self.index {
            let mut outgoing = Outgoing::of_message(message);
            self.deliver(target, &mut outgoing);
            self.recycle(outgoing);
        } else if let Some(batch) = self
            .outbound
            .get_mut(usize::from(target.session.loop_index))
        {
            batch.push(Inbound::Deliver(Arc::clone(message), vec![target]));
        }
        true
    }

    /// Move the receivers that live on other loops out of `targets`.
    fn route_elsewhere(&mut self, targets: &mut Vec<Target>, outgoing: &mut Outgoing<'_>) {
        for (loop_index, there) in self.split_elsewhere(targets) {
            if let Some(batch) = self.outbound.get_mut(loop_index) {
                batch.push(Inbound::Deliver(outgoing.keep(), there));
            }
        }
    }

    /// Take the receivers that live on other loops out of `targets`, by loop.
    pub(super) fn split_elsewhere(&self, targets: &mut Vec<Target>) -> Vec<(usize, Vec<Target>)> {
        let mine = self.index;
        let mut by_loop = Vec::new();
        for loop_index in 0..self.outbound.len() {
            let there: Vec<_> = targets
                .iter()
                .filter(|target| {
                    let owner = target.session.loop_index;
                    owner != mine && usize::from(owner) == loop_index
                })
                .copied()
                .collect();
            if !there.is_empty() {
                by_loop.push((loop_index, there));
            }
        }
        targets.retain(|target| target.session.loop_index == mine);
        by_loop
    }

    /// Give the encoding buffer back.
    pub(crate) fn recycle(&mut self, outgoing: Outgoing<'_>) {
        if outgoing.encoded.bytes.capacity() > 0 {
            self.pool.give(outgoing.encoded.bytes);
        }
    }

    /// Deliver to one session of this loop: write, keep for later, or drop and count.
    pub(crate) fn deliver(&mut self, target: Target, outgoing: &mut Outgoing<'_>) {
        let Target {
            session: to,
            options,
            group,
        } = target;
        if options.no_local && outgoing.publisher == Some(to) {
            return;
        }
        let retain = outgoing.retain && options.retain_as_published;
        let Some(session) = self.session_mut(to) else {
            if let Some(group) = group {
                // It ended while the message was on its way: another member gets it.
                self.shared.router.expel(group, to);
                self.deliver_to_group(group, &outgoing.keep());
            }
            return;
        };
        outgoing.hidden = session.hidden(outgoing.topic);
        let (zone, connection, may_send) = (session.zone, session.connection, session.may_send());
        let qos = self.mqtt_in(zone).delivery_qos(outgoing.qos, options.qos);
        let Some(slot) = connection else {
            self.queue_delivery(target, qos, retain, outgoing);
            return;
        };
        if qos == QoS::AtMostOnce {
            self.write_delivery(slot, options, qos, retain, outgoing, None);
            return;
        }
        if may_send && self.outbox_has_room(slot) {
            let delivery = Delivery {
                message: outgoing.keep(),
                qos,
                retain,
                subscription_id: options.id,
                group,
            };
            let Some(session) = self.session_mut(to) else {
                return;
            };
            let id = session.inflight_mut().push(delivery);
            self.write_delivery(slot, options, qos, retain, outgoing, Some(id));
        } else {
            self.queue_delivery(target, qos, retain, outgoing);
        }
    }

    /// Whether deliveries to `slot` may still be written.
    pub(crate) fn outbox_has_room(&self, slot: u32) -> bool {
        self.connections
            .get(slot as usize)
            .is_some_and(|c| c.out.len() < self.shared.config.max_outbox_bytes)
    }

    /// Keep a delivery until the client is there or has room.
    fn queue_delivery(&mut self, to: Target, qos: QoS, retain: bool, outgoing: &mut Outgoing<'_>) {
        let Some(zone) = self.session_mut(to.session).map(|session| session.zone) else {
            return;
        };
        let mqtt = self.mqtt_in(zone);
        if qos == QoS::AtMostOnce && !mqtt.mqueue_store_qos0 {
            return;
        }
        let limit = mqtt.max_mqueue_len;
        let priority = mqtt.priority_of(outgoing.topic);
        let delivery = Delivery {
            message: outgoing.keep(),
            qos,
            retain,
            subscription_id: to.options.id,
            group: to.group,
        };
        let Some(session) = self.session_mut(to.session) else {
            return;
        };
        if session
            .queue_mut()
            .push(delivery, priority, limit)
            .is_some()
        {
            self.metrics().dropped_queue_full.add(1);
        }
    }

    /// Append a PUBLISH to a connection's output. `id` is `None` for `QoS` 0.
    fn write_delivery(
        &mut self,
        slot: u32,
        options: SubscriptionOptions,
        qos: QoS,
        retain: bool,
        outgoing: &mut Outgoing<'_>,
        id: Option<NonZeroU16>,
    ) {
        let limit = self.shared.config.max_outbox_bytes;
        let now = self.now;
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        if id.is_none() && connection.out.len() >= limit {
            self.metrics().dropped_slow.add(1);
            return;
        }
        let version = connection.version;
        let max_packet = connection.max_packet_out as usize;
        let shared = outgoing.shared_payload().cloned();
        let out = connection.out.buffer(&mut self.pool);
        let before = out.len();
        let own_ids = [options.id];
        let ids: &[u32] = if options.id == 0 { &[] } else { &own_ids };
        let aliases = connection
            .v5
            .as_deref_mut()
            .and_then(|v5| v5.outgoing.as_mut());
        let own_encoding = aliases.is_some()
            || outgoing.hidden != 0
            || (options.id != 0 && version == Version::V5);
        if own_encoding {
            let parts = PublishParts {
                subscription_ids: ids,
                packet_id: id,
                ..outgoing.parts(version, qos, retain, now)
            };
            match aliases {
                // Beside a payload that is worth sharing, a topic is not worth an alias.
                Some(aliases) if shared.is_none() => aliases.encode(&parts, max_packet, out),
                _ => {
                    encode(&parts, shared.is_some(), out);
                }
            }
        } else {
            let encoded = &mut outgoing.encoded;
            let span = encoded
                .spans
                .get(kind(version, qos, retain))
                .copied()
                .flatten();
            let (start, end, id_at) = if let Some(span) = span {
                span
            } else {
                if encoded.bytes.capacity() == 0 {
                    encoded.bytes = self.pool.take();
                }
                let mut bytes = mem::take(&mut encoded.bytes);
                let start = bytes.len();
                let parts = PublishParts {
                    packet_id: id,
                    ..outgoing.parts(version, qos, retain, now)
                };
                let id_at = encode(&parts, shared.is_some(), &mut bytes);
                let span = (start, bytes.len(), id_at);
                outgoing.encoded.bytes = bytes;
                if let Some(place) = outgoing.encoded.spans.get_mut(kind(version, qos, retain)) {
                    *place = Some(span);
                }
                span
            };
            out.extend_from_slice(outgoing.encoded.bytes.get(start..end).unwrap_or_default());
            if let Some(id) = id {
                patch_packet_id(out, before + id_at, id);
            }
        }
        let size = out.len() - before + shared.as_ref().map_or(0, |m| m.payload.len());
        if size > max_packet || out.len() == before {
            out.truncate(before);
            self.drop_too_large(slot, id);
            return;
        }
        if let Some(message) = shared {
            connection.out.share(message);
        }
        self.metrics().messages_sent.add(1);
        self.mark_dirty(slot);
    }

    /// Append bytes to a connection's output.
    ///
    /// A packet that cannot be encoded is left out whole; nothing this broker says comes near the
    /// limits of the encoding.
    ///
    /// One above the client's Maximum Packet Size must not be sent and cannot be left out: it ends the
    /// connection [MQTT-3.1.2-24].
    pub(crate) fn send(
        &mut self,
        slot: u32,
        encode: impl FnOnce(Version, &mut Vec<u8>) -> Result<(), EncodeError>,
    ) {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        let version = connection.version;
        let limit = connection.max_packet_out as usize;
        let out = connection.out.buffer(&mut self.pool);
        let before = out.len();
        if encode(version, out).is_err() {
            out.truncate(before);
        }
        if out.len() - before > limit {
            out.truncate(before);
            self.close(slot, Close::Server(ReasonCode::PacketTooLarge));
            return;
        }
        self.mark_dirty(slot);
    }

    /// The connection has output for the end of the turn.
    pub(crate) fn mark_dirty(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        if connection.out.blocked {
            return; // the socket will say when it takes more
        }
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push_back((slot, connection.generation));
        } else if connection.out.len() > EARLY_FLUSH_BYTES {
            self.write_out(slot);
        }
    }

    /// Write what the turn collected.
    pub(super) fn flush_dirty(&mut self) {
        for _ in 0..self.dirty.len().min(FLUSH_SLICE) {
            let Some((slot, generation)) = self.dirty.pop_front() else {
                return;
            };
            if let Some(connection) = self.connections.get_mut(slot as usize)
                && connection.generation == generation
            {
                connection.dirty = false;
                self.flush(slot);
            }
        }
    }

    /// Write one connection's output and refill it from the session's queue.
    pub(crate) fn flush(&mut self, slot: u32) {
        let (flushed, bytes) = self.write_out(slot);
        match flushed {
            Flushed::All => {
                // Only one that was full before can be known as stalled.
                let connection = self.connections.get(slot as usize);
                if connection.is_some_and(|c| c.watches_write) {
                    self.socket_has_room(slot);
                }
            }
            Flushed::Blocked => {
                self.socket_is_full(slot, bytes);
                return self.watch_writes(slot);
            }
            Flushed::Gone => return self.close(slot, Close::PeerGone),
        }
        if let Some(Phase::Online(session)) = self.connections.get(slot as usize).map(|c| c.phase)
            && let Some(entry) = self.sessions.get(session as usize)
        {
            let stalled = entry.session.stalled_replays.is_some();
            if self.has_backlog(session) {
                self.pump(session);
            }
            if stalled {
                self.wake_replays(session);
            }
        }
    }

    /// Write one connection's output. What follows from that is left to [`EventLoop::flush`]: here we may
    /// be in the middle of a fan-out, and closing a connection publishes its will. Gives the bytes written.
    fn write_out(&mut self, slot: u32) -> (Flushed, usize) {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return (Flushed::Gone, 0);
        };
        if connection.out.blocked && connection.watches_write {
            return (Flushed::Blocked, 0);
        }
        let (mut flushed, bytes) = connection
            .out
            .flush(&mut connection.transport, &mut self.pool);
        if flushed == Flushed::All
            && let Err(error) = connection.transport.write_own()
        {
            connection.out.blocked = error.kind() == io::ErrorKind::WouldBlock;
            flushed = if connection.out.blocked {
                Flushed::Blocked
            } else {
                Flushed::Gone
            };
        }
        self.metrics().bytes_sent.add(bytes as u64);
        (flushed, bytes)
    }
}
