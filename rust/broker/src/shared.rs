//! What all loops share, and how they reach each other.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use mio::Waker;
use vallum_policy::pipeline::Pipeline;

use crate::{
    clock::Clock,
    command::Command,
    config::BrokerConfig,
    connection::Connection,
    delayed::DelayedBudget,
    event::EventQueue,
    listener::{acceptor::Acceptor, table::ListenerTable},
    message::Message,
    metrics::Metrics,
    refusal_throttle::RefusalThrottle,
    retained::RetainedStore,
    router::{LocalRouter, Target},
    session::{Registry, attach::Accepted, auto_subscribe::AutoSubscription},
};

/// Something for another loop to do.
pub(crate) enum Inbound {
    /// A connection that was just accepted.
    Accepted(Connection),
    /// A connection whose CONNECT was accepted but whose session lives on the receiving loop.
    HandOver(Box<(Connection, Accepted)>),
    /// A message for sessions of the receiving loop.
    Deliver(Arc<Message>, Vec<Target>),
    /// The same for very many of them, on behalf of this loop, which is told when they have been served.
    Fanout(Arc<Message>, Vec<Target>, u16),
    /// The receiving loop's part of its first fan-out that was given away has been served.
    FanoutServed,
    /// An order from the control plane.
    Command(Command),
    /// Accept for the listener of this index.
    Listen(u16, Acceptor),
    /// Accept for it no longer.
    Unlisten(u16),
    /// Close the connections of listeners that were stopped.
    CloseStopped,
}

impl Inbound {
    /// What it counts for in a letter box: deliveries, and KiB.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Deliver(message, targets) | Self::Fanout(message, targets, _) => {
                targets.len() + message.size() / 1024
            }
            _ => 1,
        }
    }
}

/// Weight in a letter box past which no loop reads from its clients until the owner has caught up: what
/// comes in faster than it can be passed on is left in the sockets.
const MAX_INBOX_WEIGHT: usize = 262_144;

/// A loop's letter box: appended to by anybody, emptied by its owner.
#[derive(Default)]
pub(crate) struct Inbox {
    /// What its owner has not done yet, by weight, to be read without the lock.
    weight: AtomicUsize,
    waiting: Mutex<VecDeque<Inbound>>,
    waker: Mutex<Option<Arc<Waker>>>,
}

impl Inbox {
    /// Bind the owner's waker.
    pub(crate) fn attach(&self, waker: Arc<Waker>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    /// Put in a batch; the owner is woken only if the box was empty.
    pub(crate) fn post(&self, batch: impl IntoIterator<Item = Inbound>) {
        let was_empty = {
            let mut weight = 0;
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let was_empty = waiting.is_empty();
            for item in batch {
                weight += item.weight();
                waiting.push_back(item);
            }
            self.weight.fetch_add(weight, Ordering::Relaxed);
            was_empty
        };
        if was_empty
            && let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner)
        {
            // Fails only when the loop is gone, and then nobody reads the box either.
            let _ = waker.wake();
        }
    }

    /// Take everything; [`Inbox::done`] follows.
    pub(crate) fn take(&self) -> VecDeque<Inbound> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *waiting)
    }

    /// So much of what was taken is done.
    pub(crate) fn done(&self, weight: usize) {
        self.weight.fetch_sub(weight, Ordering::Relaxed);
    }

    /// Whether its owner does not keep up.
    fn is_full(&self) -> bool {
        self.weight.load(Ordering::Relaxed) > MAX_INBOX_WEIGHT
    }
}

/// The state all loops share. Each lock is held for one look-up and never together with another.
pub(crate) struct Shared {
    /// Configuration of the data plane.
    pub(crate) config: BrokerConfig,
    /// Time.
    pub(crate) clock: Clock,
    /// The compiled security pipeline; replaced as a whole.
    pipeline: RwLock<Arc<Pipeline>>,
    /// Counts the replacements, so that a loop sees one without taking the lock.
    pipeline_version: AtomicUsize,
    /// Owners of sessions.
    pub(crate) registry: Registry,
    /// Subscriptions.
    pub(crate) router: LocalRouter,
    /// Subscriptions that every client gets.
    pub(crate) auto_subscriptions: Vec<AutoSubscription>,
    /// Retained messages.
    pub(crate) retained: RetainedStore,
    /// What the loops may hold of delayed messages.
    pub(crate) delayed: DelayedBudget,
    /// To the control plane.
    pub(crate) events: EventQueue,
    /// Listeners and zones; replaced as a whole.
    table: RwLock<Arc<ListenerTable>>,
    /// Counts the replacements.
    table_version: AtomicUsize,
    /// Letter boxes, by loop.
    pub(crate) inboxes: Vec<Inbox>,
    /// Which refusals are written.
    pub(crate) throttle: Mutex<RefusalThrottle>,
    /// Counters, by loop.
    pub(crate) metrics: Vec<Metrics>,
}

impl Shared {
    /// Put the parts together for `loops` event loops.
    pub(crate) fn new(
        config: BrokerConfig,
        pipeline: Arc<Pipeline>,
        loops: usize,
    ) -> std::io::Result<Self> {
        Ok(Self {
            auto_subscriptions: config
                .auto_subscribe
                .iter()
                .map(AutoSubscription::compile)
                .collect(),
            retained: RetainedStore::new(
                config.retainer.clone(),
                config.sys_topics.retained.clone(),
            ),
            router: LocalRouter::new(config.shared_policies()),
            delayed: DelayedBudget::new(config.delayed.max_delayed_messages),
            config,
            clock: Clock::start(),
            pipeline: RwLock::new(pipeline),
            pipeline_version: AtomicUsize::new(0),
            registry: Registry::default(),
            events: EventQueue::new()?,
            table: RwLock::default(),
            table_version: AtomicUsize::new(0),
            inboxes: (0..loops).map(|_| Inbox::default()).collect(),
            throttle: Mutex::default(),
            metrics: (0..loops).map(|_| Metrics::default()).collect(),
        })
    }

    /// The pipeline in force.
    pub(crate) fn pipeline(&self) -> Arc<Pipeline> {
        Arc::clone(&self.pipeline.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Which pipeline is in force, by count.
    pub(crate) fn pipeline_version(&self) -> usize {
        self.pipeline_version.load(Ordering::Acquire)
    }

    /// Put another pipeline in force.
    pub(crate) fn replace_pipeline(&self, pipeline: Arc<Pipeline>) {
        *self
            .pipeline
            .write()
            .unwrap_or_else(PoisonError::into_inner) = pipeline;
        self.pipeline_version.fetch_add(1, Ordering::Release);
    }

    /// The listeners and zones in force.
    pub(crate) fn table(&self) -> Arc<ListenerTable> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Which of them are in force, by count.
    pub(crate) fn table_version(&self) -> usize {
        self.table_version.load(Ordering::Acquire)
    }

    /// Put others in force.
    pub(crate) fn replace_table(&self, table: ListenerTable) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        self.table_version.fetch_add(1, Ordering::Release);
    }

    /// Have every loop close the connections of listeners that were stopped.
    pub(crate) fn close_stopped(&self) {
        for inbox in &self.inboxes {
            inbox.post([Inbound::CloseStopped]);
        }
    }

    /// Whether some loop does not keep up with what the others pass on to it.
    pub(crate) fn is_congested(&self) -> bool {
        self.inboxes.len() > 1 && self.inboxes.iter().any(Inbox::is_full)
    }

    /// Post one item to a loop.
    pub(crate) fn post(&self, loop_index: u16, item: Inbound) {
        if let Some(inbox) = self.inboxes.get(usize::from(loop_index)) {
            inbox.post([item]);
        }
    }
}

#[cfg(test)]
mod tests {
    use vallum_mqtt::packet::QoS;

    use super::*;

    fn message(payload: usize) -> Arc<Message> {
        Arc::new(Message {
            topic: "t".into(),
            properties: Box::default(),
            payload: vec![0; payload].into(),
            qos: QoS::AtMostOnce,
            retain: false,
            publisher: None,
            expires_at: None,
        })
    }

    #[test]
    fn a_letter_box_is_full_until_its_owner_has_done_enough() {
        let inbox = Inbox::default();
        let stop = || Inbound::Command(Command::Stop);
        inbox.post((0..MAX_INBOX_WEIGHT).map(|_| stop()));
        assert!(!inbox.is_full());
        inbox.post([stop()]);
        assert!(inbox.is_full());
        let taken = inbox.take();
        assert_eq!(taken.len(), MAX_INBOX_WEIGHT + 1);
        assert!(inbox.is_full(), "taken is not done");
        inbox.done(1);
        assert!(!inbox.is_full());
        inbox.done(MAX_INBOX_WEIGHT);
        assert_eq!(inbox.weight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn large_messages_weigh_more() {
        let inbox = Inbox::default();
        let large = message(64 * 1024 * 1024);
        inbox.post((0..4).map(|_| Inbound::Deliver(Arc::clone(&large), Vec::new())));
        assert!(!inbox.is_full());
        inbox.post([Inbound::Deliver(message(1024), Vec::new())]);
        assert!(inbox.is_full());
        for item in inbox.take() {
            inbox.done(item.weight());
        }
        assert_eq!(inbox.weight.load(Ordering::Relaxed), 0);
    }
}
