//! Publishes to `$delayed/SECONDS/TOPIC`, held until they are due.
//!
//! Each loop holds those of its own clients, in memory, and looks once a second. All loops together
//! hold no more than `delayed.max_delayed_messages` and [`MAX_BYTES`]; what comes on top is refused with
//! 0x97.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use crate::{
    event_loop::{EventLoop, Outgoing},
    message::Message,
};

/// Bytes of topics, properties and payloads that may be held at a time.
const MAX_BYTES: usize = 256 * 1024 * 1024;
/// Messages published in one turn.
const SLICE: usize = 256;

/// What all loops hold.
#[derive(Debug)]
pub(crate) struct DelayedBudget {
    max_messages: usize,
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl DelayedBudget {
    /// Nothing held yet, of at most `max_messages`.
    pub(crate) fn new(max_messages: usize) -> Self {
        Self {
            max_messages,
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Number of messages held.
    pub(crate) fn count(&self) -> usize {
        self.messages.load(Relaxed)
    }

    /// Make room for a message; `false` if there is none.
    fn take(&self, bytes: usize) -> bool {
        let messages = self.messages.fetch_add(1, Relaxed);
        let held = self.bytes.fetch_add(bytes, Relaxed);
        if messages >= self.max_messages || held.saturating_add(bytes) > MAX_BYTES {
            self.give(bytes);
            return false;
        }
        true
    }

    fn give(&self, bytes: usize) {
        self.messages.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

/// What one loop holds: by broker second, then as they came.
#[derive(Debug, Default)]
pub(crate) struct DelayedMessages {
    waiting: BTreeMap<(u32, u64), Arc<Message>>,
    came: u64,
}

impl DelayedMessages {
    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether something is to be published in broker second `now`.
    pub(crate) fn is_due(&self, now: u32) -> bool {
        self.waiting
            .first_key_value()
            .is_some_and(|((due, _), _)| *due <= now)
    }

    fn take_due(&mut self, now: u32) -> Option<Arc<Message>> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

impl EventLoop {
    /// Hold a message for at least `seconds`; `false` if there is no room. Its life counts from then.
    pub(crate) fn hold(&mut self, outgoing: &mut Outgoing<'_>, seconds: u32) -> bool {
        // The current second has begun already: one more makes sure that it is not too early.
        let wait = if seconds == 0 { 0 } else { seconds + 1 };
        outgoing.expires_at = outgoing.expires_at.map(|at| at.saturating_add(wait));
        let message = outgoing.keep();
        if !self.shared.delayed.take(message.size()) {
            self.metrics().dropped_delayed.add(1);
            return false;
        }
        self.metrics().messages_delayed.add(1);
        let delayed = &mut self.delayed;
        delayed.came = delayed.came.wrapping_add(1);
        let key = (self.now.saturating_add(wait), delayed.came);
        delayed.waiting.insert(key, message);
        true
    }

    /// Publish what is due, a slice a turn.
    pub(crate) fn publish_due(&mut self) {
        for _ in 0..SLICE {
            if self.fanouts.is_full() {
                return;
            }
            let Some(message) = self.delayed.take_due(self.now) else {
                return;
            };
            self.shared.delayed.give(message.size());
            let mut outgoing = Outgoing::of_message(&message);
            self.publish(&mut outgoing);
            self.recycle(outgoing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_MESSAGES: usize = 1000;

    #[test]
    fn the_budget_bounds_messages() {
        let budget = DelayedBudget::new(MAX_MESSAGES);
        for _ in 0..MAX_MESSAGES {
            assert!(budget.take(1));
        }
        assert!(!budget.take(1));
        assert_eq!(
            budget.count(),
            MAX_MESSAGES,
            "what was refused takes no room"
        );
        budget.give(1);
        assert!(budget.take(1));
        assert!(!budget.take(1));
    }

    #[test]
    fn the_budget_bounds_bytes() {
        let budget = DelayedBudget::new(MAX_MESSAGES);
        assert!(!budget.take(MAX_BYTES + 1));
        assert!(budget.take(MAX_BYTES));
        assert!(!budget.take(1));
        assert_eq!(budget.count(), 1);
        budget.give(MAX_BYTES);
        assert!(budget.take(1));
    }
}
