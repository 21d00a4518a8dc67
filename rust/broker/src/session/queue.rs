//! Deliveries that wait for room in the inflight window or for the client to come back.

use std::collections::VecDeque;

use crate::{message::Delivery, router::GroupId};

/// Bounded, first in first out; at the bound the oldest is dropped (`mqtt.max_mqueue_len`).
#[derive(Debug, Default)]
pub struct MessageQueue {
    waiting: VecDeque<Delivery>,
}

impl MessageQueue {
    /// Add; gives the one that had to go at `limit` (0 is unlimited).
    pub fn push(&mut self, delivery: Delivery, limit: usize) -> Option<Delivery> {
        let dropped = if limit > 0 && self.waiting.len() >= limit {
            self.waiting.pop_front()
        } else {
            None
        };
        self.waiting.push_back(delivery);
        dropped
    }

    /// Put back what was just taken.
    pub fn unpop(&mut self, delivery: Delivery) {
        self.waiting.push_front(delivery);
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.waiting.pop_front();
        if self.waiting.is_empty() && self.waiting.capacity() > 64 {
            self.waiting = VecDeque::new();
        }
        delivery
    }

    /// Take out what waits for a member of `group`.
    pub fn take_group(&mut self, group: GroupId) -> Vec<Delivery> {
        let (taken, kept) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|delivery| delivery.group == Some(group));
        self.waiting = kept;
        Vec::from(taken)
    }

    /// Everything, the oldest first.
    pub fn into_all(self) -> impl Iterator<Item = Delivery> {
        self.waiting.into_iter()
    }

    /// Number waiting.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
