//! Time in the data plane.
//!
//! Timers run on *broker seconds*: whole seconds of the monotonic clock since the broker started,
//! plus one, so that 0 never means a time. Policy decisions take Unix time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The broker's start; every loop holds the same one.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Broker second of now.
    #[allow(clippy::cast_possible_truncation, reason = "136 years of uptime")]
    pub fn second(&self) -> u32 {
        self.0.elapsed().as_secs() as u32 + 1
    }

    /// Milliseconds since the broker started.
    pub fn milliseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds until the next broker second begins.
    pub fn until_next_second(&self) -> u64 {
        1000 - u64::from(self.0.elapsed().subsec_millis())
    }
}

/// Time since 1970-01-01 UTC.
pub fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
