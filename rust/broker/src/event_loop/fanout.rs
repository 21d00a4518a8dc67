//! Messages for very many receivers, delivered in slices so that nobody else waits for them.
//!
//! A message with more than [`INLINE_TARGETS`] receivers waits in a queue of its loop, of which the first
//! is served [`SLICE`] receivers a turn. Its receivers on other loops are served there in the same way.
//! The publisher is not read until the last receiver has been served, and is acknowledged then: so what
//! it publishes stays in order, and what is under way is bounded by the number of publishers.
//!
//! The same file holds the budget of a turn: past [`TURN_WORK`] deliveries, what clients or other loops
//! sent waits for the next one.

use std::{collections::VecDeque, mem, num::NonZeroU16, sync::Arc};

use vallum_mqtt::packet::QoS;

use super::{EventLoop, FLUSH_SLICE, Outgoing};
use crate::{
    message::Message,
    router::{Router as _, Target},
    session::SessionRef,
    shared::Inbound,
};

/// Receivers up to which a message is delivered in the turn it came in.
const INLINE_TARGETS: usize = 4096;
/// Receivers of the others that are served in one turn.
const SLICE: usize = 256;
/// Receivers that may be listed for messages that wait; past it nothing is read from clients, and a
/// message that comes all the same (a will) has its receivers looked up again later.
const MAX_PENDING_TARGETS: usize = 2 * 1024 * 1024;
/// Deliveries in one part of a turn after which the rest of what was sent waits for the next turn.
const TURN_WORK: usize = 65_536;

/// What became of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Routed {
    /// Subscriptions that matched.
    pub(crate) matched: usize,
    /// Some are still to be served: the publisher has to wait.
    pub(crate) pending: bool,
    /// There was no room for it: nobody got it.
    pub(crate) refused: bool,
}

impl Routed {
    /// There was no room.
    pub(crate) const REFUSED: Self = Self {
        matched: 0,
        pending: false,
        refused: true,
    };
}

/// A publisher that waits for its message to be delivered, and what it is owed then.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    slot: u32,
    generation: u32,
    qos: QoS,
    packet_id: Option<NonZeroU16>,
    matched: usize,
}

/// A message of this loop on its way.
struct Fanout {
    message: Arc<Message>,
    /// Still to be served, the next one last. `None`: to be looked up when its turn comes.
    targets: Option<Vec<Target>>,
    /// Those of other loops have been sent there.
    begun: bool,
    /// Other loops that have not served all of theirs.
    elsewhere: usize,
    publisher: Option<Waiting>,
}

/// A message of another loop, for sessions here.
struct Foreign {
    message: Arc<Message>,
    targets: Vec<Target>,
    from: u16,
}

/// The messages of one loop that are delivered in slices.
#[derive(Default)]
pub(crate) struct Fanouts {
    own: VecDeque<Fanout>,
    foreign: VecDeque<Foreign>,
    /// Receivers listed in `own`.
    listed: usize,
    /// Deliveries of this part of the turn.
    work: usize,
    /// Connections that used the turn up and go on in the next.
    yielded: VecDeque<(u32, u32)>,
}

impl Fanouts {
    /// Whether the next turn has something to do here.
    pub(crate) fn has_work(&self) -> bool {
        !self.yielded.is_empty()
            || !self.foreign.is_empty()
            || self.own.front().is_some_and(|first| {
                !first.begun || first.targets.as_ref().is_some_and(|t| !t.is_empty())
            })
    }

    /// Whether nothing more may be taken from clients in this part of the turn.
    pub(crate) fn is_full(&self) -> bool {
        self.is_spent() || self.listed > MAX_PENDING_TARGETS
    }

    /// Whether this part of the turn is used up.
    pub(super) fn is_spent(&self) -> bool {
        self.work > TURN_WORK
    }

    /// A new part of the turn. Sockets, other loops and those that wait each have one, so that none of
    /// them can use up what the others need.
    pub(super) fn begin_part(&mut self) {
        self.work = 0;
    }

    /// Count deliveries.
    pub(crate) fn spend(&mut self, deliveries: usize) {
        self.work += deliveries;
    }

    /// Whether a message of `publisher` is still on its way, so that the next one must wait.
    fn holds(&self, publisher: Option<SessionRef>) -> bool {
        publisher.is_some() && self.own.iter().any(|f| f.message.publisher == publisher)
    }
}

impl EventLoop {
    /// Connections that used up an earlier turn go on.
    pub(super) fn serve_yielded(&mut self) {
        self.fanouts.begin_part();
        for _ in 0..self.fanouts.yielded.len() {
            if self.fanouts.is_full() {
                return;
            }
            if let Some((slot, generation)) = self.fanouts.yielded.pop_front() {
                self.release(slot, generation);
            }
        }
    }

    /// Put a message into the queue if it has too many receivers for one turn, or if one of the same
    /// publisher is in it; `true` if so. `targets` is empty then.
    pub(super) fn queue_fanout(
        &mut self,
        targets: &mut Vec<Target>,
        outgoing: &mut Outgoing<'_>,
    ) -> bool {
        if targets.len() <= INLINE_TARGETS
            && (self.fanouts.own.is_empty() || !self.fanouts.holds(outgoing.publisher))
        {
            return false;
        }
        let fits = self.fanouts.listed <= MAX_PENDING_TARGETS;
        let targets = fits.then(|| mem::take(targets));
        self.fanouts.listed += targets.as_ref().map_or(0, Vec::len);
        self.fanouts.own.push_back(Fanout {
            message: outgoing.keep(),
            targets,
            begun: false,
            elsewhere: 0,
            publisher: None,
        });
        true
    }

    /// Let the publisher of the message queued last wait for it.
    pub(crate) fn wait_for_fanout(
        &mut self,
        slot: u32,
        qos: QoS,
        packet_id: Option<NonZeroU16>,
        matched: usize,
    ) {
        let (Some(connection), Some(last)) = (
            self.connections.get_mut(slot as usize),
            self.fanouts.own.back_mut(),
        ) else {
            return;
        };
        connection.held = true;
        last.publisher = Some(Waiting {
            slot,
            generation: connection.generation,
            qos,
            packet_id,
            matched,
        });
    }

    /// Let a connection go on in the next turn.
    pub(super) fn yield_turn(&mut self, slot: u32) {
        if let Some(connection) = self.connections.get_mut(slot as usize) {
            connection.held = true;
            self.fanouts
                .yielded
                .push_back((slot, connection.generation));
        }
    }

    /// Read again from a connection that waited.
    fn release(&mut self, slot: u32, generation: u32) {
        let now = self.now;
        if let Some(connection) = self.connections.get_mut(slot as usize)
            && connection.generation == generation
        {
            connection.held = false;
            connection.missed = true; // what came meanwhile was not looked at
            connection.last_packet = now; // it may have been silent because nobody listened
            self.resume_reading(slot);
        }
    }

    /// Serve the next slice, here and for other loops, unless what is written already is enough for a turn.
    pub(super) fn serve_fanouts(&mut self) {
        if self.dirty.len() >= FLUSH_SLICE {
            return;
        }
        if let Some(mut foreign) = self.fanouts.foreign.pop_front() {
            self.serve_slice(&foreign.message, &mut foreign.targets);
            if !foreign.targets.is_empty() {
                self.fanouts.foreign.push_back(foreign);
            } else if let Some(batch) = self.outbound.get_mut(usize::from(foreign.from)) {
                batch.push(Inbound::FanoutServed);
            }
        }
        if let Some(mut first) = self.fanouts.own.pop_front() {
            if !first.begun {
                self.begin_fanout(&mut first);
            }
            if let Some(targets) = &mut first.targets {
                let before = targets.len();
                self.serve_slice(&first.message, targets);
                self.fanouts.listed -= before - targets.len();
            }
            self.fanouts.own.push_front(first);
            self.finish_fanout();
        }
    }

    /// Look up the receivers if that is still to be done, and send those of other loops there.
    fn begin_fanout(&mut self, fanout: &mut Fanout) {
        fanout.begun = true;
        let message = &fanout.message;
        let mut targets = fanout.targets.take().unwrap_or_else(|| {
            let mut targets = Vec::new();
            let origin = self.origin_of(message.publisher);
            self.shared
                .router
                .route(&message.topic, &origin, &mut targets);
            self.fanouts.listed += targets.len();
            targets
        });
        let all = targets.len();
        for (loop_index, there) in self.split_elsewhere(&mut targets) {
            if let Some(batch) = self.outbound.get_mut(loop_index) {
                fanout.elsewhere += 1;
                let message = Arc::clone(message);
                batch.push(Inbound::Fanout(message, there, self.index));
            }
        }
        self.fanouts.listed -= all - targets.len();
        fanout.targets = Some(targets);
    }

    fn serve_slice(&mut self, message: &Arc<Message>, targets: &mut Vec<Target>) {
        let mut outgoing = Outgoing::of_message(message);
        let from = targets.len().saturating_sub(SLICE);
        for target in targets.drain(from..) {
            self.deliver_later(target, message, &mut outgoing);
        }
        self.recycle(outgoing);
    }

    /// Messages of another loop that are for very many sessions here.
    pub(super) fn take_fanout(&mut self, message: Arc<Message>, targets: Vec<Target>, from: u16) {
        self.fanouts.foreign.push_back(Foreign {
            message,
            targets,
            from,
        });
    }

    /// Another loop has served its part of the first message.
    pub(super) fn served_elsewhere(&mut self) {
        if let Some(first) = self.fanouts.own.front_mut() {
            first.elsewhere = first.elsewhere.saturating_sub(1);
        }
        self.finish_fanout();
    }

    /// If the first message has been delivered to all, answer its publisher and read from it again.
    fn finish_fanout(&mut self) {
        let done = self.fanouts.own.front().is_some_and(|first| {
            first.begun && first.elsewhere == 0 && first.targets.as_ref().is_none_or(Vec::is_empty)
        });
        if !done {
            return;
        }
        let first = self.fanouts.own.pop_front();
        let Some(waiting) = first.and_then(|first| first.publisher) else {
            return;
        };
        let still_there = self
            .connections
            .get(waiting.slot as usize)
            .is_some_and(|c| c.generation == waiting.generation && c.held);
        if still_there {
            self.acknowledge(
                waiting.slot,
                waiting.qos,
                waiting.packet_id,
                waiting.matched,
            );
            self.release(waiting.slot, waiting.generation);
        }
    }
}
