//! Deliveries of `QoS` 1 and 2 that wait for the client's acknowledgement (section 4.6).
//!
//! Packet identifiers start at 1 in a session, count up and wrap after 65,535. The window is a ring in
//! that order, so an acknowledgement is found by subtraction whatever order the client answers in.

use std::{collections::VecDeque, num::NonZeroU16};

use vallum_mqtt::packet::QoS;

use crate::message::Delivery;

/// One identifier's state.
#[derive(Debug)]
enum Slot {
    /// Sent; PUBACK or PUBREC is due.
    Sent(Delivery),
    /// PUBREC came, PUBREL went; PUBCOMP is due.
    Released,
    /// Over; kept until the ones before it are over too.
    Done,
}

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is the answer that was due.
    Known,
    /// No delivery of this identifier is under way.
    Unknown,
    /// A delivery is, but this is no answer to it: a PUBACK to `QoS` 2, a PUBREC to `QoS` 1, a PUBCOMP
    /// before its PUBREL [MQTT-4.3.2-3] [MQTT-4.3.3-3].
    Mismatch,
}

/// What to send again when the client comes back [MQTT-4.4.0-1].
#[derive(Debug)]
pub enum Resend {
    /// The PUBLISH, with DUP.
    Publish(NonZeroU16, Delivery),
    /// The PUBREL.
    PubRel(NonZeroU16),
}

/// The window of one session.
#[derive(Debug)]
pub struct Inflight {
    slots: VecDeque<Slot>,
    /// Identifier of the first slot.
    first: u16,
    /// Slots that are not done.
    open: u16,
    /// Index of the first slot that was not sent again since the client came back.
    resend_at: usize,
    /// Deliveries from there on that are still to be sent again.
    unsent: u16,
    /// Slots that stood at the front when [`Inflight::overdue`] looked last.
    seen: usize,
    /// Broker second when it did.
    seen_at: u32,
}

impl Default for Inflight {
    fn default() -> Self {
        Self {
            slots: VecDeque::new(),
            first: 1,
            open: 0,
            resend_at: usize::MAX,
            unsent: 0,
            seen: 0,
            seen_at: 0,
        }
    }
}

/// Identifiers in use at most; below 65,535 so that the ring never bites its tail.
const MAX_SPAN: usize = 65_534;

impl Inflight {
    /// Whether another delivery fits into a window of `limit`. Nothing new goes out before all that
    /// was under way is sent again.
    pub fn has_room(&self, limit: u16) -> bool {
        self.unsent == 0 && self.open < limit && self.slots.len() < MAX_SPAN
    }

    /// Number of deliveries under way.
    pub fn len(&self) -> usize {
        usize::from(self.open)
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// The identifier that the next [`Self::push`] gives out.
    pub fn next_id(&self) -> NonZeroU16 {
        identifier(advance(self.first, self.slots.len()))
    }

    /// Begin a delivery; gives its packet identifier.
    pub fn push(&mut self, delivery: Delivery) -> NonZeroU16 {
        let id = self.next_id();
        self.slots.push_back(Slot::Sent(delivery));
        self.open += 1;
        id
    }

    fn slot(&mut self, id: u16) -> Option<&mut Slot> {
        self.slots.get_mut(distance(self.first, id)?)
    }

    /// PUBACK: ends a delivery of `QoS` 1.
    pub fn on_puback(&mut self, id: u16) -> Settled {
        match self.slot(id) {
            Some(Slot::Sent(delivery)) if delivery.qos == QoS::AtLeastOnce => {
                self.finish(id);
                Settled::Known
            }
            Some(Slot::Sent(_) | Slot::Released) => Settled::Mismatch,
            Some(Slot::Done) | None => Settled::Unknown,
        }
    }

    /// PUBREC: if it is [`Settled::Known`], PUBREL is due, unless `failed` ended the delivery.
    pub fn on_pubrec(&mut self, id: u16, failed: bool) -> Settled {
        match self.slot(id) {
            Some(Slot::Sent(delivery)) if delivery.qos != QoS::ExactlyOnce => Settled::Mismatch,
            Some(Slot::Sent(_) | Slot::Released) if failed => {
                self.finish(id);
                Settled::Known
            }
            Some(slot @ Slot::Sent(_)) => {
                *slot = Slot::Released;
                self.answered(id);
                Settled::Known
            }
            Some(Slot::Released) => Settled::Known,
            Some(Slot::Done) | None => Settled::Unknown,
        }
    }

    /// PUBCOMP: ends a delivery of `QoS` 2.
    pub fn on_pubcomp(&mut self, id: u16) -> Settled {
        match self.slot(id) {
            Some(Slot::Released) => {
                self.finish(id);
                Settled::Known
            }
            Some(Slot::Sent(_)) => Settled::Mismatch,
            Some(Slot::Done) | None => Settled::Unknown,
        }
    }

    /// End a delivery, however far it has come.
    pub fn finish(&mut self, id: u16) {
        let Some(slot) = self.slot(id) else { return };
        match std::mem::replace(slot, Slot::Done) {
            Slot::Sent(_) => {
                self.answered(id);
                self.close_one();
            }
            Slot::Released => self.close_one(),
            Slot::Done => {}
        }
    }

    /// An answer came for a delivery before it was sent again.
    fn answered(&mut self, id: u16) {
        if distance(self.first, id).is_some_and(|index| index >= self.resend_at) {
            self.unsent = self.unsent.saturating_sub(1);
        }
    }

    fn close_one(&mut self) {
        self.open -= 1;
        while matches!(self.slots.front(), Some(Slot::Done)) {
            self.slots.pop_front();
            self.first = advance(self.first, 1);
            self.seen = self.seen.saturating_sub(1);
            if self.resend_at != usize::MAX {
                self.resend_at = self.resend_at.saturating_sub(1);
            }
        }
        if self.slots.is_empty() && self.slots.capacity() > 64 {
            self.slots = VecDeque::new();
        }
    }

    /// Sent deliveries that nothing was heard of, in the order they were sent.
    pub fn into_unacknowledged(self) -> impl Iterator<Item = Delivery> {
        self.slots.into_iter().filter_map(|slot| match slot {
            Slot::Sent(delivery) => Some(delivery),
            Slot::Released | Slot::Done => None,
        })
    }

    /// The client is back: everything that is not done is to be sent again.
    #[allow(clippy::cast_possible_truncation, reason = "fewer than 65,535 slots")]
    pub fn begin_resend(&mut self) {
        self.resend_at = if self.slots.is_empty() { usize::MAX } else { 0 };
        let sent = self
            .slots
            .iter()
            .filter(|slot| matches!(slot, Slot::Sent(_)));
        self.unsent = sent.count() as u16;
        self.seen = 0;
    }

    /// What nothing was heard of for `interval` seconds, in the order it was sent first. It looks once an
    /// interval, so what it gives has waited for one to two of them.
    pub fn overdue(&mut self, now: u32, interval: u32) -> Vec<Resend> {
        if self.is_resending() || now < self.seen_at.saturating_add(interval) {
            return Vec::new();
        }
        let front = self.slots.iter().take(self.seen).enumerate();
        let overdue = front
            .filter_map(|(index, slot)| {
                let id = identifier(advance(self.first, index));
                match slot {
                    Slot::Sent(delivery) => Some(Resend::Publish(id, delivery.clone())),
                    Slot::Released => Some(Resend::PubRel(id)),
                    Slot::Done => None,
                }
            })
            .collect();
        (self.seen, self.seen_at) = (self.slots.len(), now);
        overdue
    }

    /// Whether something is still to be sent again.
    pub fn is_resending(&self) -> bool {
        self.resend_at < self.slots.len()
    }

    /// The next to send again, in the order it was sent first, as far as a window of `limit` allows
    /// [MQTT-3.3.4-9].
    pub fn next_resend(&mut self, limit: u16) -> Option<Resend> {
        while let Some(slot) = self.slots.get(self.resend_at) {
            let id = identifier(advance(self.first, self.resend_at));
            let resend = match slot {
                Slot::Sent(_) if self.open - self.unsent >= limit => return None,
                Slot::Sent(delivery) => {
                    self.unsent -= 1;
                    Some(Resend::Publish(id, delivery.clone()))
                }
                Slot::Released => Some(Resend::PubRel(id)),
                Slot::Done => None,
            };
            self.resend_at += 1;
            if self.resend_at >= self.slots.len() {
                self.resend_at = usize::MAX; // what is pushed from now on is new
            }
            if resend.is_some() {
                return resend;
            }
        }
        self.resend_at = usize::MAX;
        None
    }
}

/// As the packets want it; [`advance`] never gives 0.
fn identifier(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).unwrap_or(NonZeroU16::MIN)
}

/// The identifier `n` after `id`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "reduced modulo 65,535 first"
)]
fn advance(id: u16, n: usize) -> u16 {
    ((usize::from(id) - 1 + n) % 65_535) as u16 + 1
}

/// How far `id` lies after `first`; `None` for the invalid identifier 0.
fn distance(first: u16, id: u16) -> Option<usize> {
    let (first, id) = (usize::from(first), usize::from(id));
    if id == 0 {
        None
    } else {
        Some(if id >= first {
            id - first
        } else {
            id + 65_535 - first
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use super::*;
    use crate::message::Message;

    fn delivery() -> Delivery {
        of(QoS::AtLeastOnce)
    }

    fn of(qos: QoS) -> Delivery {
        Delivery {
            message: Arc::new(Message {
                topic: "t".into(),
                properties: Box::default(),
                payload: Box::default(),
                qos: QoS::AtLeastOnce,
                retain: false,
                publisher: None,
                expires_at: None,
            }),
            qos,
            retain: false,
            subscription_id: 0,
            group: None,
        }
    }

    #[test]
    fn identifiers_count_from_one_and_wrap() {
        let mut window = Inflight::default();
        for round in 0..3u32 {
            for expected in 1..=65_535u16 {
                assert_eq!(window.push(delivery()).get(), expected, "round {round}");
                assert_eq!(window.on_puback(expected), Settled::Known);
            }
        }
        assert!(window.is_empty());
    }

    #[test]
    fn acknowledgements_in_any_order() {
        let mut window = Inflight::default();
        let ids: Vec<u16> = (0..5).map(|_| window.push(delivery()).get()).collect();
        for id in ids.iter().rev() {
            assert_eq!(window.on_puback(*id), Settled::Known);
            assert_eq!(window.on_puback(*id), Settled::Unknown, "a second PUBACK");
        }
        assert!(window.is_empty());
        assert_eq!(window.push(delivery()).get(), 6);
    }

    #[test]
    fn qos2_walks_its_states() {
        let mut window = Inflight::default();
        let id = window.push(of(QoS::ExactlyOnce)).get();
        assert_eq!(window.on_puback(id), Settled::Mismatch);
        assert_eq!(window.on_pubcomp(id), Settled::Mismatch);
        assert_eq!(window.on_pubrec(id, false), Settled::Known);
        assert_eq!(window.on_puback(id), Settled::Mismatch);
        assert_eq!(window.on_pubrec(id, false), Settled::Known, "repeated");
        window.begin_resend();
        assert!(matches!(
            window.next_resend(1),
            Some(Resend::PubRel(NonZeroU16::MIN))
        ));
        assert_eq!(window.on_pubcomp(id), Settled::Known);
        assert_eq!(window.on_pubrec(id, false), Settled::Unknown);
    }

    #[test]
    fn a_pubrec_that_fails_ends_the_delivery_whenever_it_comes() {
        for released in [false, true] {
            let mut window = Inflight::default();
            let id = window.push(of(QoS::ExactlyOnce)).get();
            if released {
                assert_eq!(window.on_pubrec(id, false), Settled::Known);
            }
            assert_eq!(window.on_pubrec(id, true), Settled::Known);
            assert!(window.is_empty());
            assert_eq!(window.on_pubcomp(id), Settled::Unknown);
        }
        let mut window = Inflight::default();
        let id = window.push(delivery()).get();
        assert_eq!(window.on_pubrec(id, true), Settled::Mismatch);
        assert_eq!(window.on_pubrec(id, false), Settled::Mismatch);
        assert_eq!(window.on_puback(id), Settled::Known);
    }

    #[test]
    fn what_is_sent_again_keeps_to_a_smaller_window_and_to_its_order() {
        let mut window = Inflight::default();
        for _ in 0..3 {
            window.push(delivery());
        }
        window.begin_resend();
        let next = |window: &mut Inflight| match window.next_resend(1) {
            Some(Resend::Publish(id, _)) => id.get(),
            Some(Resend::PubRel(_)) => panic!("no PUBREL is due"),
            None => 0,
        };
        assert_eq!(next(&mut window), 1);
        assert_eq!(next(&mut window), 0);
        assert!(!window.has_room(100), "nothing new before the old");
        assert_eq!(window.on_puback(3), Settled::Known, "to the first sending");
        assert_eq!(window.on_puback(1), Settled::Known);
        assert_eq!(next(&mut window), 2);
        assert_eq!(window.on_puback(2), Settled::Known);
        assert_eq!(next(&mut window), 0);
        assert!(window.is_empty() && !window.is_resending());
        assert_eq!(window.push(delivery()).get(), 4);
        assert!(!window.is_resending(), "a new delivery is not a repetition");
        assert!(window.next_resend(9).is_none());
    }

    #[test]
    fn unknown_identifiers_do_nothing() {
        let mut window = Inflight::default();
        window.push(delivery());
        for id in [0, 2, 65_535] {
            assert_eq!(window.on_puback(id), Settled::Unknown);
            assert_eq!(window.on_pubrec(id, false), Settled::Unknown);
            assert_eq!(window.on_pubcomp(id), Settled::Unknown);
        }
        assert_eq!(window.len(), 1);
    }
}
