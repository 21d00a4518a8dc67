//! Which refusals are written: the first of each (client id, reason), then one a period with a count.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// Most (client id, reason) pairs remembered; past it the memory starts anew.
const MAX_REMEMBERED: usize = 16_384;
/// Seconds in which a pair is written once.
const PERIOD: u64 = 60;

/// What was written lately, by all event loops together.
#[derive(Debug, Default)]
pub(crate) struct RefusalThrottle {
    seen: HashMap<u64, Seen>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Seen {
    since: u64,
    suppressed: u32,
}

impl RefusalThrottle {
    /// `Some(n)` when the line is due, with `n` alike kept back since the last one.
    pub(crate) fn admit(&mut self, client_id: &str, reason: &str, now: u64) -> Option<u32> {
        if self.seen.len() >= MAX_REMEMBERED {
            self.seen.clear();
        }
        let key = self.hasher.hash_one((client_id, reason));
        match self.seen.get_mut(&key) {
            Some(seen) if now < seen.since + PERIOD => {
                seen.suppressed = seen.suppressed.saturating_add(1);
                None
            }
            Some(seen) => {
                let suppressed = seen.suppressed;
                *seen = Seen {
                    since: now,
                    suppressed: 0,
                };
                Some(suppressed)
            }
            None => {
                self.seen.insert(
                    key,
                    Seen {
                        since: now,
                        suppressed: 0,
                    },
                );
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_is_written_then_one_a_period_with_a_count() {
        let mut throttle = RefusalThrottle::default();
        assert_eq!(throttle.admit("c", "expired", 100), Some(0));
        assert_eq!(throttle.admit("c", "expired", 101), None);
        assert_eq!(throttle.admit("c", "bad_signature", 101), Some(0));
        assert_eq!(throttle.admit("d", "expired", 101), Some(0));
        assert_eq!(throttle.admit("c", "expired", 160), Some(1));
    }
}
