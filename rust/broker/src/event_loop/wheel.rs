//! Second-granular timers with lazy re-queueing.
//!
//! An entry names a connection and is looked at in the second it was put in for; whether its time has
//! really come is then read from the connection. So traffic never touches a timer.

/// A connection by slot and generation.
pub(crate) type Entry = (u32, u32);

/// Seconds one turn of the wheel spans; a longer wait is looked at once a turn.
const SPAN: u32 = 256;

/// Entries for which an empty slot keeps room.
const SPARE: usize = 64;

/// The wheel of one loop.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Vec<Vec<Entry>>,
    /// The last second that was taken.
    at: u32,
}

impl Wheel {
    /// An empty wheel at broker second `now`.
    pub(crate) fn new(now: u32) -> Self {
        Self {
            slots: (0..SPAN).map(|_| Vec::new()).collect(),
            at: now,
        }
    }

    /// Look at `entry` in second `at` (the next one if that is past).
    pub(crate) fn insert(&mut self, at: u32, entry: Entry) {
        let at = at.clamp(self.at + 1, self.at + SPAN - 1);
        if let Some(slot) = self.slots.get_mut((at % SPAN) as usize) {
            slot.push(entry);
        }
    }

    /// Take every entry due up to `now`.
    pub(crate) fn advance(&mut self, now: u32, mut due: impl FnMut(Entry)) {
        // One turn of the wheel visits every slot, however long ago the last one was.
        self.at = self.at.max(now.saturating_sub(SPAN));
        while self.at < now {
            self.at += 1;
            if let Some(slot) = self.slots.get_mut((self.at % SPAN) as usize) {
                slot.drain(..).for_each(&mut due);
                if slot.capacity() > SPARE {
                    slot.shrink_to(SPARE); // 256 slots that keep what a storm needed are megabytes
                }
            }
        }
    }

    /// The last second that was taken.
    pub(crate) fn at(&self) -> u32 {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_their_second_and_long_waits_early() {
        let mut wheel = Wheel::new(10);
        wheel.insert(12, (1, 0));
        wheel.insert(5, (2, 0));
        wheel.insert(10_000, (3, 0));
        let mut seen = Vec::new();
        wheel.advance(11, |e| seen.push(e.0));
        assert_eq!(seen, [2]);
        wheel.advance(12, |e| seen.push(e.0));
        assert_eq!(seen, [2, 1]);
        wheel.advance(10 + SPAN, |e| seen.push(e.0));
        assert_eq!(seen, [2, 1, 3]);
    }

    #[test]
    fn a_long_sleep_loses_nothing_and_starts_anew() {
        let mut wheel = Wheel::new(1);
        wheel.insert(100, (1, 0));
        let mut seen = Vec::new();
        wheel.advance(1_000_000, |e| seen.push(e.0));
        assert_eq!((seen.as_slice(), wheel.at()), ([1].as_slice(), 1_000_000));
        wheel.insert(1_000_015, (2, 0));
        wheel.advance(1_000_014, |e| seen.push(e.0));
        assert_eq!(seen, [1]);
        wheel.advance(1_000_015, |e| seen.push(e.0));
        assert_eq!(seen, [1, 2]);
    }
}
