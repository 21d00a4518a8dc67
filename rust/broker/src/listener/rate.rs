//! How many connections a listener takes in a time (`spec/hardening.md` section 5).
//!
//! A token bucket that fills evenly, and a pocket beside it that is filled as a whole once in its own
//! time and spent when the bucket is empty. A connection over the rate is closed before anything else is
//! done for it, and so is everything in the next moment, so that a storm costs as little as can be.

use std::time::{Duration, Instant};

use crate::config::RateConfig;

/// How long everything is refused once a connection was over the rate.
const PAUSE: Duration = Duration::from_millis(100);

/// The bucket of one listener; only the loop that accepts for it has it.
#[derive(Debug)]
pub(crate) struct ConnectionRate {
    rate: RateConfig,
    burst: Option<RateConfig>,
    tokens: f64,
    refilled: Instant,
    pocket: u32,
    pocket_filled: Instant,
    paused_until: Option<Instant>,
}

/// Whether a connection is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is.
    Taken,
    /// It is over the rate.
    OverRate,
    /// Another was over the rate a moment ago.
    Paused,
}

impl ConnectionRate {
    /// A full bucket.
    pub(crate) fn new(rate: RateConfig, burst: Option<RateConfig>, now: Instant) -> Self {
        Self {
            rate,
            burst,
            tokens: f64::from(rate.amount),
            refilled: now,
            pocket: burst.map_or(0, |burst| burst.amount),
            pocket_filled: now,
            paused_until: None,
        }
    }

    /// One connection more at `now`.
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        if self.paused_until.is_some_and(|until| now < until) {
            return Admission::Paused;
        }
        let elapsed = now.saturating_duration_since(self.refilled);
        let capacity = f64::from(self.rate.amount);
        let refill = capacity * elapsed.as_secs_f64() / per(self.rate).as_secs_f64();
        self.tokens = (self.tokens + refill).min(capacity);
        self.refilled = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Admission::Taken;
        }
        if let Some(burst) = self.burst
            && now.saturating_duration_since(self.pocket_filled) >= per(burst)
        {
            self.pocket = burst.amount;
            self.pocket_filled = now;
        }
        if self.pocket > 0 {
            self.pocket -= 1;
            return Admission::Taken;
        }
        self.paused_until = Some(now + PAUSE);
        Admission::OverRate
    }
}

fn per(rate: RateConfig) -> Duration {
    Duration::from_millis(rate.per_ms.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `tries` at once are taken at `now`.
    fn burst(rate: &mut ConnectionRate, now: Instant, tries: usize) -> usize {
        (0..tries)
            .filter(|_| rate.admit(now) == Admission::Taken)
            .count()
    }

    const fn per_second(amount: u32) -> RateConfig {
        RateConfig {
            amount,
            per_ms: 1000,
        }
    }

    #[test]
    fn fills_evenly_and_never_above_its_capacity() {
        let start = Instant::now();
        let mut rate = ConnectionRate::new(per_second(10), None, start);
        assert_eq!(burst(&mut rate, start, 20), 10);
        assert_eq!(burst(&mut rate, start + Duration::from_millis(50), 1), 0); // a pause
        assert_eq!(burst(&mut rate, start + Duration::from_millis(310), 20), 3);
        assert_eq!(burst(&mut rate, start + Duration::from_secs(60), 20), 10);
    }

    #[test]
    fn the_pocket_is_filled_once_in_its_time() {
        let start = Instant::now();
        let pocket = RateConfig {
            amount: 5,
            per_ms: 60_000,
        };
        let mut rate = ConnectionRate::new(per_second(2), Some(pocket), start);
        assert_eq!(burst(&mut rate, start, 20), 7);
        assert_eq!(burst(&mut rate, start + Duration::from_secs(1), 20), 2);
        assert_eq!(burst(&mut rate, start + Duration::from_secs(61), 20), 7);
    }

    #[test]
    fn says_once_that_it_was_exceeded() {
        let start = Instant::now();
        let mut rate = ConnectionRate::new(per_second(1), None, start);
        let seen: Vec<_> = (0..4).map(|_| rate.admit(start)).collect();
        let expected = [
            Admission::Taken,
            Admission::OverRate,
            Admission::Paused,
            Admission::Paused,
        ];
        assert_eq!(seen, expected);
    }
}
