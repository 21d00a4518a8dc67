//! One publisher: what it may send, and what became of what it sent.

use std::collections::VecDeque;

use crate::packet::Ack;

/// Where the exchange of a packet identifier stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exchange {
    Free,
    /// Waits for this.
    Open(Ack),
}

pub(super) struct Publisher {
    pub(super) topic: Vec<u8>,
    /// Sequence number of the next message.
    pub(super) next: u64,
    /// Of the first message that some subscriber has not got yet.
    first_open: u64,
    /// How many subscribers each message from there on still misses.
    missing: VecDeque<usize>,
    window: usize,
    /// By packet identifier, from 1.
    exchanges: Vec<Exchange>,
    free_ids: VecDeque<u16>,
    /// Whether it is on the list of those that may send.
    pub(super) listed: bool,
}

impl Publisher {
    pub(super) fn new(topic: Vec<u8>, window: u16) -> Self {
        Self {
            topic,
            next: 0,
            first_open: 0,
            missing: VecDeque::new(),
            window: usize::from(window),
            exchanges: vec![Exchange::Free; usize::from(window)],
            free_ids: (1..=window).collect(),
            listed: false,
        }
    }

    /// Whether the window has room.
    pub(super) fn may_send(&self) -> bool {
        self.missing.len() < self.window && !self.free_ids.is_empty()
    }

    /// Number a message for `subscribers`; gives its packet identifier, 0 for `QoS` 0.
    pub(super) fn send(&mut self, qos: u8, subscribers: usize) -> u16 {
        self.next += 1;
        self.missing.push_back(subscribers);
        let wanted = match qos {
            0 => return 0,
            1 => Ack::PubAck,
            _ => Ack::PubRec,
        };
        let id = self.free_ids.pop_front().expect("may_send was asked");
        self.exchanges[usize::from(id) - 1] = Exchange::Open(wanted);
        id
    }

    /// A subscriber has got, or will never get, message `sequence`. `true` if all have now.
    pub(super) fn settle(&mut self, sequence: u64) -> bool {
        let Some(missing) = sequence
            .checked_sub(self.first_open)
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| self.missing.get_mut(at))
        else {
            return false;
        };
        *missing -= 1;
        let all = *missing == 0;
        while self.missing.front() == Some(&0) {
            self.missing.pop_front();
            self.first_open += 1;
        }
        all
    }

    /// An acknowledgement came; `Some(true)` if that ends its exchange, `None` if it is out of place.
    pub(super) fn acknowledged(&mut self, ack: Ack, id: u16) -> Option<bool> {
        let exchange = self.exchanges.get_mut(usize::from(id).checked_sub(1)?)?;
        if *exchange != Exchange::Open(ack) {
            return None;
        }
        if ack == Ack::PubRec {
            *exchange = Exchange::Open(Ack::PubComp);
            return Some(false);
        }
        *exchange = Exchange::Free;
        self.free_ids.push_back(id);
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_counts_what_is_not_received_by_all() {
        let mut publisher = Publisher::new(Vec::new(), 2);
        publisher.send(0, 2);
        publisher.send(0, 2);
        assert!(!publisher.may_send());
        assert!(!publisher.settle(1) && publisher.settle(1));
        assert!(!publisher.may_send(), "message 0 is open");
        assert!(!publisher.settle(0) && publisher.settle(0));
        assert!(publisher.may_send());
        assert!(!publisher.settle(0) && !publisher.settle(7));
    }

    #[test]
    fn each_acknowledgement_has_its_place() {
        let mut publisher = Publisher::new(Vec::new(), 1);
        assert_eq!(publisher.send(2, 1), 1);
        publisher.settle(0);
        assert!(!publisher.may_send(), "the identifier is in use");
        for (ack, outcome) in [
            (Ack::PubAck, None),
            (Ack::PubComp, None),
            (Ack::PubRec, Some(false)),
            (Ack::PubRec, None),
            (Ack::PubComp, Some(true)),
            (Ack::PubComp, None),
        ] {
            assert_eq!(publisher.acknowledged(ack, 1), outcome, "{ack:?}");
        }
        assert!(publisher.may_send());
        assert_eq!(publisher.acknowledged(Ack::PubAck, 0), None);
        assert_eq!(publisher.acknowledged(Ack::PubAck, 2), None);
    }
}
