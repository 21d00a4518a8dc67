//! Deliveries that wait for room in the inflight window or for the client to come back.

use std::collections::{BTreeMap, VecDeque};

use crate::{message::Delivery, router::GroupId};

/// Capacity that an empty queue keeps.
const KEPT_CAPACITY: usize = 64;

/// Bounded; the highest priority first, and first in first out within one. At the bound the oldest of
/// the lowest priority is dropped (`mqtt.max_mqueue_len`).
///
/// A topic has one priority, so messages of one topic stay in order [MQTT-4.6.0-6].
#[derive(Debug, Default)]
pub struct MessageQueue {
    /// Priority 0: everything, unless `mqtt.mqueue_priorities` says otherwise.
    waiting: VecDeque<Delivery>,
    /// Higher priorities; none of them is empty.
    urgent: BTreeMap<u16, VecDeque<Delivery>>,
    /// Deliveries in `urgent`.
    urgent_count: usize,
}

impl MessageQueue {
    /// Add; gives the one that had to go at `limit` (0 is unlimited), which may be this one.
    pub fn push(&mut self, delivery: Delivery, priority: u16, limit: usize) -> Option<Delivery> {
        let mut dropped = None;
        if limit > 0 && self.len() >= limit {
            dropped = self.waiting.pop_front();
            if dropped.is_none() {
                let lowest = self.urgent.keys().next().copied();
                match lowest {
                    Some(lowest) if lowest <= priority => dropped = self.pop_urgent(lowest),
                    _ => return Some(delivery),
                }
            }
        }
        if priority == 0 {
            self.waiting.push_back(delivery);
        } else {
            self.urgent.entry(priority).or_default().push_back(delivery);
            self.urgent_count += 1;
        }
        dropped
    }

    /// Put back what was just taken, with the priority it has.
    pub fn unpop(&mut self, delivery: Delivery, priority: u16) {
        if priority == 0 {
            self.waiting.push_front(delivery);
        } else {
            let lane = self.urgent.entry(priority).or_default();
            lane.push_front(delivery);
            self.urgent_count += 1;
        }
    }

    /// The next.
    pub fn pop(&mut self) -> Option<Delivery> {
        if let Some(highest) = self.urgent.keys().next_back().copied() {
            return self.pop_urgent(highest);
        }
        let delivery = self.waiting.pop_front();
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT_CAPACITY {
            self.waiting = VecDeque::new();
        }
        delivery
    }

    /// The oldest of a priority.
    fn pop_urgent(&mut self, priority: u16) -> Option<Delivery> {
        let lane = self.urgent.get_mut(&priority)?;
        let delivery = lane.pop_front();
        if lane.is_empty() {
            self.urgent.remove(&priority);
        }
        self.urgent_count -= usize::from(delivery.is_some());
        delivery
    }

    /// Take out what waits for a member of `group`.
    pub fn take_group(&mut self, group: GroupId) -> Vec<Delivery> {
        let mut taken = Vec::new();
        let mut sort = |lane: &mut VecDeque<Delivery>| {
            let (group_s, others): (VecDeque<_>, _) = std::mem::take(lane)
                .into_iter()
                .partition(|delivery| delivery.group == Some(group));
            taken.extend(group_s);
            *lane = others;
        };
        self.urgent.values_mut().rev().for_each(&mut sort);
        sort(&mut self.waiting);
        self.urgent.retain(|_, lane| !lane.is_empty());
        self.urgent_count = self.urgent.values().map(VecDeque::len).sum();
        taken
    }

    /// Everything, in the order it would be sent.
    pub fn into_all(self) -> impl Iterator<Item = Delivery> {
        let urgent = self.urgent.into_values().rev().flatten();
        urgent.chain(self.waiting)
    }

    /// Number waiting.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.urgent_count
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, sync::Arc};

    use vallum_mqtt::packet::QoS;

    use super::*;
    use crate::message::Message;

    fn delivery(topic: &str, group: u32) -> Delivery {
        Delivery {
            message: Arc::new(Message {
                topic: topic.into(),
                properties: Box::default(),
                payload: Box::default(),
                qos: QoS::AtLeastOnce,
                retain: false,
                publisher: None,
                expires_at: None,
            }),
            qos: QoS::AtLeastOnce,
            retain: false,
            subscription_id: 0,
            group: NonZeroU32::new(group),
        }
    }

    fn topics(queue: impl Iterator<Item = Delivery>) -> Vec<String> {
        queue.map(|each| each.message.topic.to_string()).collect()
    }

    fn filled(entries: &[(&str, u16)], limit: usize) -> (MessageQueue, Vec<String>) {
        let mut queue = MessageQueue::default();
        let dropped = entries
            .iter()
            .filter_map(|(topic, priority)| queue.push(delivery(topic, 0), *priority, limit))
            .collect::<Vec<_>>();
        (queue, topics(dropped.into_iter()))
    }

    #[test]
    fn the_highest_first_and_the_oldest_of_it() {
        let entries = [("a", 0), ("b", 5), ("c", 256), ("d", 5), ("e", 0)];
        let (mut queue, dropped) = filled(&entries, 0);
        assert!(dropped.is_empty() && queue.len() == 5);
        let first = queue.pop().expect("five wait");
        assert_eq!(&*first.message.topic, "c");
        queue.unpop(first, 256);
        let all = topics(std::iter::from_fn(|| queue.pop()));
        assert_eq!(all, ["c", "b", "d", "a", "e"]);
        assert!(queue.is_empty() && queue.urgent.is_empty());
        assert_eq!(topics(filled(&entries, 0).0.into_all()), all);
    }

    #[test]
    fn at_the_bound_the_lowest_goes() {
        let (queue, dropped) = filled(&[("a", 1), ("b", 0), ("c", 2), ("d", 2)], 3);
        assert_eq!(dropped, ["b"]);
        assert_eq!(topics(queue.into_all()), ["c", "d", "a"]);
        let (queue, dropped) = filled(&[("a", 2), ("b", 2), ("c", 1), ("d", 0), ("e", 2)], 2);
        assert_eq!(dropped, ["c", "d", "a"]);
        assert_eq!(topics(queue.into_all()), ["b", "e"]);
    }

    #[test]
    fn a_group_takes_out_its_own() {
        let mut queue = MessageQueue::default();
        for (topic, priority, group) in [("a", 0, 7), ("b", 3, 7), ("c", 3, 0), ("d", 9, 7)] {
            queue.push(delivery(topic, group), priority, 0);
        }
        let taken = queue.take_group(NonZeroU32::MIN.saturating_add(6));
        assert_eq!(topics(taken.into_iter()), ["d", "b", "a"]);
        assert_eq!(
            (queue.len(), topics(queue.into_all())),
            (1, vec!["c".to_owned()])
        );
    }
}
