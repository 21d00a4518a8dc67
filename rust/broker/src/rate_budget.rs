//! So many of something in such a time, counted by all loops together.
//!
//! Time is cut into windows of the interval's length; what one does not use is not kept for the next.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::config::RateConfig;

/// A rate and what is used of it. Both halves of `used` fit into one number, so that a window begins for
/// all loops at once.
#[derive(Debug)]
pub(crate) struct RateBudget {
    amount: u32,
    window_ms: u64,
    /// The window, and how many were taken in it.
    used: AtomicU64,
}

impl RateBudget {
    /// The budget of a rate.
    pub(crate) fn new(rate: RateConfig) -> Self {
        Self {
            amount: rate.amount.max(1),
            window_ms: rate.per_ms.max(1),
            used: AtomicU64::new(0),
        }
    }

    /// Take up to `wanted` at `now`, milliseconds of any clock that starts with the broker; gives how
    /// many there are.
    pub(crate) fn take(&self, wanted: u32, now: u64) -> u32 {
        let window = (now / self.window_ms) & u64::from(u32::MAX);
        let left = |state: u64| {
            let used = if state >> 32 == window {
                state & u64::from(u32::MAX)
            } else {
                0
            };
            u64::from(self.amount).saturating_sub(used)
        };
        let granted = |state: u64| u64::from(wanted).min(left(state));
        let taken = self.used.fetch_update(Relaxed, Relaxed, |state| {
            let used = u64::from(self.amount) - left(state);
            Some(window << 32 | (used + granted(state)))
        });
        taken.map_or(0, |state| u32::try_from(granted(state)).unwrap_or(0))
    }

    /// Give back what was taken in this window and not used.
    pub(crate) fn give(&self, unused: u32) {
        let _ = self.used.fetch_update(Relaxed, Relaxed, |state| {
            let used = (state & u64::from(u32::MAX)).saturating_sub(u64::from(unused));
            Some(state >> 32 << 32 | used)
        });
    }

    /// Milliseconds until the next window begins.
    pub(crate) fn until_next(&self, now: u64) -> u64 {
        self.window_ms - now % self.window_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_its_amount_and_the_next_one_again() {
        let budget = RateBudget::new(RateConfig {
            amount: 10,
            per_ms: 500,
        });
        assert_eq!(budget.take(7, 0), 7);
        assert_eq!((budget.take(7, 499), budget.take(7, 499)), (3, 0));
        budget.give(2);
        assert_eq!(budget.take(7, 499), 2);
        assert_eq!(budget.until_next(499), 1);
        assert_eq!((budget.take(7, 500), budget.take(20, 1_700)), (7, 10));
        assert_eq!(budget.until_next(1_700), 300);
    }
}
