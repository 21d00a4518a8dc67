//! Who gets a message: the subscriptions of all sessions, read by every loop.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use vallum_mqtt::{packet::QoS, topic::SubscriptionTree};

use crate::session::SessionRef;

/// What a subscription asked for (section 3.8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// Highest `QoS` of deliveries.
    pub qos: QoS,
    /// Own messages are not sent back.
    pub no_local: bool,
    /// The RETAIN flag is passed on.
    pub retain_as_published: bool,
    /// Subscription Identifier; 0 is none.
    pub id: u32,
}

/// Where subscriptions live and messages find them. One process has one; a cluster would have its own.
pub trait Router: Send + Sync {
    /// Add or replace; `true` if it was new.
    fn subscribe(&self, filter: &str, session: SessionRef, options: SubscriptionOptions) -> bool;
    /// Remove; `true` if it was there.
    fn unsubscribe(&self, filter: &str, session: SessionRef) -> bool;
    /// Append every subscription that `topic` matches to `targets`.
    fn route(&self, topic: &str, targets: &mut Vec<(SessionRef, SubscriptionOptions)>);
    /// Number of subscriptions.
    fn subscriptions(&self) -> usize;
}

/// All subscriptions of this process in one tree.
///
/// Readers share the lock for the time of one look-up, writers hold it for one filter: neither ever
/// waits for I/O or for another lock while holding it.
#[derive(Debug, Default)]
pub struct LocalRouter {
    tree: RwLock<SubscriptionTree<SessionRef, SubscriptionOptions>>,
}

impl LocalRouter {
    fn read(&self) -> RwLockReadGuard<'_, SubscriptionTree<SessionRef, SubscriptionOptions>> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, SubscriptionTree<SessionRef, SubscriptionOptions>> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Router for LocalRouter {
    fn subscribe(&self, filter: &str, session: SessionRef, options: SubscriptionOptions) -> bool {
        self.write().insert(filter, session, options).is_none()
    }

    fn unsubscribe(&self, filter: &str, session: SessionRef) -> bool {
        self.write().remove(filter, &session).is_some()
    }

    fn route(&self, topic: &str, targets: &mut Vec<(SessionRef, SubscriptionOptions)>) {
        self.read().matches(topic, &mut |session, options| {
            targets.push((*session, *options));
        });
    }

    fn subscriptions(&self) -> usize {
        self.read().len()
    }
}
