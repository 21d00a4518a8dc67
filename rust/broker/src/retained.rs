//! Retained messages (section 3.3.1.3): one store for all loops, sent to new subscriptions in slices.

use std::{
    ops::ControlFlow,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use vallum_mqtt::{
    packet::QoS,
    topic::{Cursor, TopicTree, filter::has_wildcard},
};

use crate::{
    config::RetainerConfig,
    event_loop::{EventLoop, Outgoing},
    message::{Delivery, Message},
    router::SubscriptionOptions,
    session::SessionRef,
};

/// Names looked at for one subscription in one turn, so that `#` over a million of them delays nobody.
const SLICE: usize = 256;
/// Subscriptions served in one turn.
const REPLAYS_PER_TURN: usize = 64;

/// The store.
#[derive(Debug)]
pub struct RetainedStore {
    config: RetainerConfig,
    kept: RwLock<Kept>,
}

/// What is kept for a topic.
#[derive(Debug)]
struct Retained {
    message: Arc<Message>,
    /// Client identifier of its publisher: it outlives the session that the message names.
    publisher: Option<Arc<str>>,
    /// Broker second it is kept until by `retainer.msg_expiry_interval`. It is not told to clients: that
    /// would be a Message Expiry Interval nobody published [MQTT-3.3.2-6].
    until: Option<u32>,
}

#[derive(Debug, Default)]
struct Kept {
    topics: TopicTree<Retained>,
    /// Of topics, properties and payloads.
    bytes: usize,
}

/// The store has no room for one more message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl RetainedStore {
    /// An empty store with its limits.
    pub fn new(config: RetainerConfig) -> Self {
        Self {
            config,
            kept: RwLock::default(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keep a message for its topic; an empty payload removes what is there [MQTT-3.3.1-6].
    ///
    /// One that would exceed `max_retained_messages` or `max_retained_bytes` is not kept; the message it
    /// would have replaced stays.
    pub(crate) fn store(
        &self,
        outgoing: &mut Outgoing<'_>,
        publisher: Option<Arc<str>>,
        now: u32,
    ) -> Result<(), Full> {
        if !self.config.enable {
            return Ok(());
        }
        if outgoing.payload.is_empty() {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            let removed = kept.topics.remove(outgoing.topic);
            kept.bytes -= removed.map_or(0, |retained| retained.message.size());
            return Ok(());
        }
        if outgoing.payload.len() > self.config.max_payload_size {
            return Ok(());
        }
        let until = if outgoing.expires_at.is_none() && self.config.msg_expiry_interval_ms > 0 {
            let seconds = self.config.msg_expiry_interval_ms.div_ceil(1000);
            Some(now.saturating_add(u32::try_from(seconds).unwrap_or(u32::MAX)))
        } else {
            None
        };
        let message = outgoing.keep();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let old = kept
            .topics
            .get(outgoing.topic)
            .map(|retained| retained.message.size());
        let (limit, byte_limit) = (
            self.config.max_retained_messages,
            self.config.max_retained_bytes,
        );
        let bytes = kept.bytes - old.unwrap_or(0) + message.size();
        if (limit > 0 && old.is_none() && kept.topics.len() >= limit)
            || (byte_limit > 0 && bytes > byte_limit)
        {
            return Err(Full);
        }
        kept.bytes = bytes;
        let retained = Retained {
            message,
            publisher,
            until,
        };
        kept.topics.insert(outgoing.topic, retained);
        Ok(())
    }

    /// Whether a subscription to `filter` can get anything: a cheap look before a replay is begun.
    pub(crate) fn may_match(&self, filter: &str) -> bool {
        let kept = self.read();
        if has_wildcard(filter) {
            !kept.topics.is_empty()
        } else {
            kept.topics.get(filter).is_some()
        }
    }

    /// Number of retained messages.
    pub fn len(&self) -> usize {
        self.read().topics.len()
    }

    /// Bytes of all retained messages.
    pub fn bytes(&self) -> usize {
        self.read().bytes
    }

    /// Whether nothing is retained.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next messages that `filter` matches at `now` but those published by `not_by`, and where to go
    /// on. It ends early once `room` messages are among them that `counts` against the client's window.
    fn slice(
        &self,
        filter: &str,
        from: Option<&Cursor>,
        now: u32,
        not_by: Option<&str>,
        counts: impl Fn(&Message) -> bool,
        mut room: usize,
    ) -> (Vec<Arc<Message>>, Option<Cursor>) {
        let kept = self.read();
        let mut found = Vec::new();
        let each = &mut |_: &str, retained: &Retained| {
            let Retained {
                message,
                publisher,
                until,
            } = retained;
            let is_own = not_by.is_some() && publisher.as_deref() == not_by;
            if is_own || until.is_some_and(|until| until <= now) {
                return ControlFlow::Continue(());
            }
            found.push(Arc::clone(message));
            if counts(message) {
                room = room.saturating_sub(1);
            }
            if room == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let next = kept.topics.for_each_match(filter, from, SLICE, each);
        (found, next)
    }
}

/// Retained messages that a new subscription is still to get.
#[derive(Debug)]
pub(crate) struct Replay {
    session: SessionRef,
    filter: Box<str>,
    options: SubscriptionOptions,
    cursor: Option<Cursor>,
}

impl Replay {
    /// Everything that `filter` matches, for `session`.
    pub(crate) fn new(session: SessionRef, filter: &str, options: SubscriptionOptions) -> Self {
        Self {
            session,
            filter: filter.into(),
            options,
            cursor: None,
        }
    }
}

impl EventLoop {
    /// Send the next slice to each subscription that waits for retained messages.
    ///
    /// A client that does not keep up is waited for: its window or outbox must have room first, so
    /// replays never fill its queue. [`EventLoop::wake_replays`] brings it back.
    pub(crate) fn replay_retained(&mut self) {
        for _ in 0..self.replays.len().min(REPLAYS_PER_TURN) {
            let Some(mut replay) = self.replays.pop_front() else {
                return;
            };
            let Some(session) = self.session_mut(replay.session) else {
                continue;
            };
            let Some(slot) = session.connection else {
                continue;
            };
            let (room, zone) = (session.free_window(), session.zone);
            // No Local is about the client, whatever session it published in [MQTT-3.8.3-3].
            let no_local = replay.options.no_local;
            let own = no_local.then(|| Arc::clone(&session.client.info.client_id));
            if room == 0 || !self.outbox_has_room(slot) {
                if let Some(session) = self.session_mut(replay.session) {
                    session.stalled_replays.get_or_insert_default().push(replay);
                }
                continue;
            }
            let (mqtt, granted) = (self.mqtt_in(zone), replay.options.qos);
            let counts =
                |message: &Message| mqtt.delivery_qos(message.qos, granted) != QoS::AtMostOnce;
            let cursor = replay.cursor.as_ref();
            let (messages, next) = self.shared.retained.slice(
                &replay.filter,
                cursor,
                self.now,
                own.as_deref(),
                counts,
                room,
            );
            for message in messages {
                self.deliver_retained(replay.session, slot, replay.options, &message);
            }
            if let Some(cursor) = next {
                replay.cursor = Some(cursor);
                self.replays.push_back(replay);
            } else if let Some(session) = self.session_mut(replay.session) {
                session.pending_replays = session.pending_replays.saturating_sub(1);
            }
        }
    }

    /// A session has room again: go on with its replays.
    pub(crate) fn wake_replays(&mut self, session_slot: u32) {
        if let Some(entry) = self.sessions.get_mut(session_slot as usize)
            && entry.session.stalled_replays.is_some()
            && entry.session.free_window() > 0
            && let Some(stalled) = entry.session.stalled_replays.take()
        {
            self.replays.extend(*stalled);
        }
    }

    /// One retained message: RETAIN is set because the subscription is new [MQTT-3.3.1-8].
    fn deliver_retained(
        &mut self,
        to: SessionRef,
        slot: u32,
        options: SubscriptionOptions,
        message: &Arc<Message>,
    ) {
        if message.remaining(self.now).is_none() {
            return;
        }
        let Some(zone) = self.session_mut(to).map(|session| session.zone) else {
            return;
        };
        let delivery = Delivery {
            message: Arc::clone(message),
            qos: self.mqtt_in(zone).delivery_qos(message.qos, options.qos),
            retain: true,
            subscription_id: options.id,
            group: None,
        };
        let mqtt = self.mqtt_in(zone);
        let limit = mqtt.max_mqueue_len;
        let priority = mqtt.priority_of(&message.topic);
        let Some(session) = self.session_mut(to) else {
            return;
        };
        if delivery.qos == QoS::AtMostOnce {
            self.write_kept(slot, &delivery, None, false);
        } else if session.may_send() {
            let id = session.inflight_mut().push(delivery.clone());
            self.write_kept(slot, &delivery, Some(id), false);
        } else if session
            .queue_mut()
            .push(delivery, priority, limit)
            .is_some()
        {
            self.metrics().dropped_queue_full.add(1);
        }
    }
}
