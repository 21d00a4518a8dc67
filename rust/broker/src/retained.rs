//! Retained messages (section 3.3.1.3): one store for all loops, sent to new subscriptions in slices.

use std::{
    ops::ControlFlow,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use vallum_mqtt::{
    packet::QoS,
    topic::{Cursor, TopicTree, filter::has_wildcard},
};

use crate::{
    clock::Clock,
    config::RetainerConfig,
    event_loop::{EventLoop, Outgoing},
    message::{Delivery, Message},
    rate_budget::RateBudget,
    router::SubscriptionOptions,
    session::SessionRef,
};

/// Names looked at for one subscription in one turn, so that `#` over a million of them delays nobody.
const SLICE: usize = SLICE_U32 as usize;
const SLICE_U32: u32 = 256;
/// Subscriptions served in one turn.
const REPLAYS_PER_TURN: usize = 64;

/// The store.
#[derive(Debug)]
pub struct RetainedStore {
    config: RetainerConfig,
    /// Topics of the broker itself, which take nobody's room.
    own: Vec<String>,
    publish_rate: Option<RateBudget>,
    delivery_rate: Option<RateBudget>,
    kept: RwLock<Kept>,
}

/// What is kept for a topic.
#[derive(Debug)]
struct Retained {
    message: Arc<Message>,
    /// Client identifier of its publisher: it outlives the session that the message names.
    publisher: Option<Arc<str>>,
    /// Broker second it is kept until. What `retainer` adds to the message's own life is not told to
    /// clients: that would be a Message Expiry Interval nobody published [MQTT-3.3.2-6].
    until: Option<u32>,
    /// Bytes it counts for; none if it is the broker's own.
    bytes: usize,
}

impl Retained {
    fn is_alive(&self, now: u32) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

#[derive(Debug, Default)]
struct Kept {
    topics: TopicTree<Retained>,
    /// Of topics, properties and payloads.
    bytes: usize,
}

/// What became of a message that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It is, or it removed what was there.
    Yes,
    /// Its size or `max_publish_rate` forbids it.
    No,
    /// The store has no room for it; the message it would have replaced stays.
    Full,
}

impl RetainedStore {
    /// An empty store with its limits; `own` are the topics of the broker itself.
    pub fn new(config: RetainerConfig, own: Vec<String>) -> Self {
        Self {
            publish_rate: config.max_publish_rate.map(RateBudget::new),
            delivery_rate: config.delivery_rate.map(RateBudget::new),
            config,
            own,
            kept: RwLock::default(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keep a message for its topic; an empty payload removes what is there [MQTT-3.3.1-6].
    pub(crate) fn store(
        &self,
        outgoing: &mut Outgoing<'_>,
        publisher: Option<Arc<str>>,
        now: u32,
        clock: &Clock,
    ) -> Stored {
        if !self.config.enable {
            return Stored::Yes;
        }
        if outgoing.payload.is_empty() {
            let mut kept = self.write();
            let removed = kept.topics.remove(outgoing.topic);
            kept.bytes -= removed.map_or(0, |retained| retained.bytes);
            return Stored::Yes;
        }
        let is_own = self.own.iter().any(|own| own == outgoing.topic);
        let in_time = |budget: &RateBudget| budget.take(1, clock.milliseconds()) == 1;
        if outgoing.payload.len() > self.config.max_payload_size
            || (!is_own && !self.publish_rate.as_ref().is_none_or(in_time))
        {
            return Stored::No;
        }
        let message = outgoing.keep();
        let mut kept = self.write();
        let old = kept.topics.get(outgoing.topic);
        let old = old.map(|retained| retained.bytes);
        let bytes = if is_own { 0 } else { message.size() };
        let all_bytes = kept.bytes - old.unwrap_or(0) + bytes;
        let (limit, byte_limit) = (
            self.config.max_retained_messages,
            self.config.max_retained_bytes,
        );
        let too_many = limit > 0
            && old.is_none()
            && kept.topics.len() >= limit
            && kept.topics.len() - self.own_among(&kept.topics) >= limit;
        if !is_own && (too_many || (byte_limit > 0 && all_bytes > byte_limit)) {
            return Stored::Full;
        }
        kept.bytes = all_bytes;
        let retained = Retained {
            message,
            publisher,
            until: self.expiry_of(outgoing.expires_at, now),
            bytes,
        };
        kept.topics.insert(outgoing.topic, retained);
        Stored::Yes
    }

    /// The broker second at which a message is no longer kept.
    fn expiry_of(&self, own: Option<u32>, now: u32) -> Option<u32> {
        let after = |ms: u64| {
            let seconds = u32::try_from(ms.div_ceil(1000)).unwrap_or(u32::MAX);
            now.saturating_add(seconds)
        };
        let default = Some(self.config.msg_expiry_interval_ms).filter(|ms| *ms > 0);
        let expires_at = own.or(default.map(after));
        match (
            self.config.msg_expiry_interval_override_ms.map(after),
            expires_at,
        ) {
            (Some(cap), Some(at)) => Some(cap.min(at)),
            (Some(cap), None) if !self.config.allow_never_expire => Some(cap),
            (_, expires_at) => expires_at,
        }
    }

    /// Take out what has expired, a slice at a time so that loops never wait long; gives how many. For
    /// any thread but that of a loop.
    pub(crate) fn sweep(&self, clock: &Clock) -> usize {
        let mut cursor = None;
        let mut removed = 0;
        loop {
            let now = clock.second();
            let mut kept = self.write();
            let Kept { topics, bytes } = &mut *kept;
            cursor = topics.retain_slice(cursor.as_ref(), SLICE, |retained| {
                let alive = retained.is_alive(now);
                if !alive {
                    *bytes -= retained.bytes;
                    removed += 1;
                }
                alive
            });
            if cursor.is_none() {
                return removed;
            }
        }
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

    /// Number of retained messages, those of the broker itself not counted.
    pub fn len(&self) -> usize {
        let kept = self.read();
        kept.topics.len() - self.own_among(&kept.topics)
    }

    /// Bytes of all retained messages, those of the broker itself not counted.
    pub fn bytes(&self) -> usize {
        self.read().bytes
    }

    fn own_among(&self, topics: &TopicTree<Retained>) -> usize {
        let own = self.own.iter().filter(|own| topics.get(own).is_some());
        own.count()
    }

    /// Whether nothing is retained.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next messages among `want.budget` names that `want.filter` matches, and where to go on. It
    /// ends early once `want.room` messages are among them that `counts` against the client's window.
    fn slice(
        &self,
        want: &Want<'_>,
        counts: impl Fn(&Message) -> bool,
    ) -> (Vec<Arc<Message>>, Option<Cursor>) {
        let kept = self.read();
        let (mut found, mut room) = (Vec::new(), want.room);
        let next =
            kept.topics
                .for_each_match(want.filter, want.from, want.budget, &mut |_, retained| {
                    let message = &retained.message;
                    let is_own =
                        want.not_by.is_some() && retained.publisher.as_deref() == want.not_by;
                    if is_own || !retained.is_alive(want.now) {
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
                });
        (found, next)
    }
}

/// A slice of the store.
struct Want<'a> {
    filter: &'a str,
    from: Option<&'a Cursor>,
    /// Broker second.
    now: u32,
    /// Client identifier of the publisher whose messages are left out.
    not_by: Option<&'a str>,
    /// Names looked at.
    budget: usize,
    /// Messages that fit into the client's window.
    room: usize,
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
        self.replays_wait = None;
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
            let store = &self.shared.retained;
            let now_ms = self.shared.clock.milliseconds();
            let budget = match &store.delivery_rate {
                None => SLICE,
                Some(rate) => rate.take(SLICE_U32, now_ms) as usize,
            };
            if budget == 0 {
                let rate = store.delivery_rate.as_ref();
                self.replays_wait = rate.map(|rate| rate.until_next(now_ms));
                self.replays.push_front(replay);
                return;
            }
            let (messages, next) = store.slice(
                &Want {
                    filter: &replay.filter,
                    from: replay.cursor.as_ref(),
                    now: self.now,
                    not_by: own.as_deref(),
                    budget,
                    room,
                },
                counts,
            );
            if let Some(rate) = &store.delivery_rate {
                rate.give(u32::try_from(budget - messages.len()).unwrap_or(0));
            }
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
