//! One subscriber: every message it gets must be the next of its publisher.

use super::payload::Stamp;

pub(super) struct Subscriber {
    pub(super) filter: Vec<u8>,
    /// The one publisher it hears; `None` hears all.
    only: Option<usize>,
    /// The next sequence number of each publisher it hears.
    expected: Vec<u64>,
    /// `QoS` 2 identifiers between PUBLISH and PUBREL.
    received: Vec<bool>,
}

impl Subscriber {
    pub(super) fn new(filter: Vec<u8>, only: Option<usize>, publishers: usize, qos: u8) -> Self {
        Self {
            filter,
            only,
            expected: vec![0; if only.is_some() { 1 } else { publishers }],
            received: vec![false; if qos == 2 { 65_536 } else { 0 }],
        }
    }

    /// Take the message: the sequence numbers that were skipped, which is none if all is well.
    pub(super) fn take(&mut self, stamp: &Stamp) -> Result<std::ops::Range<u64>, String> {
        let at = match self.only {
            Some(only) if only == stamp.publisher => 0,
            Some(_) => return Err(format!("got a message of another publisher: {stamp:?}")),
            None => stamp.publisher,
        };
        let Some(expected) = self.expected.get_mut(at) else {
            return Err(format!("got a message of nobody: {stamp:?}"));
        };
        if stamp.sequence < *expected {
            return Err(format!("got a message twice or late: {stamp:?}"));
        }
        let skipped = *expected..stamp.sequence;
        *expected = stamp.sequence + 1;
        Ok(skipped)
    }

    /// The `QoS` 2 message `id` came; `false` if it was here already.
    pub(super) fn hold(&mut self, id: u16) -> bool {
        !std::mem::replace(&mut self.received[usize::from(id)], true)
    }

    /// Its PUBREL came; `false` if it was not awaited.
    pub(super) fn release(&mut self, id: u16) -> bool {
        self.received
            .get_mut(usize::from(id))
            .is_some_and(|held| std::mem::replace(held, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(publisher: usize, sequence: u64) -> Stamp {
        Stamp {
            publisher,
            sequence,
            sent: 0,
        }
    }

    #[test]
    fn order_and_gaps() {
        let mut all = Subscriber::new(Vec::new(), None, 2, 0);
        assert_eq!(all.take(&stamp(1, 0)), Ok(0..0));
        assert_eq!(all.take(&stamp(1, 3)), Ok(1..3));
        assert!(all.take(&stamp(1, 2)).is_err());
        assert!(all.take(&stamp(1, 3)).is_err());
        assert!(all.take(&stamp(2, 0)).is_err());
        assert_eq!(all.take(&stamp(0, 0)), Ok(0..0));
        let mut one = Subscriber::new(Vec::new(), Some(1), 2, 0);
        assert!(one.take(&stamp(0, 0)).is_err());
        assert_eq!(one.take(&stamp(1, 0)), Ok(0..0));
    }

    #[test]
    fn exactly_once() {
        let mut one = Subscriber::new(Vec::new(), None, 1, 2);
        assert!(one.hold(5) && !one.hold(5));
        assert!(one.release(5) && !one.release(5));
    }
}
