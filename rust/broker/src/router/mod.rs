//! Who gets a message: the subscriptions of all sessions, read by every loop.
//!
//! - `shared`: subscriptions that concern others too, such as `$share/GROUP/FILTER`.
//! - `group`: the members of one of them, and which gets a message.

mod group;
mod shared;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use vallum_mqtt::{
    packet::QoS,
    topic::{FilterScope, SubscriptionTree},
};

use self::{group::Numbers, shared::SharedGroups};
pub use self::{group::Origin, shared::GroupId};
use crate::{
    config::{InitialPick, SharedPolicy, SharedStrategy},
    session::SessionRef,
};

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

/// A receiver of a message.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its session.
    pub session: SessionRef,
    /// What its subscription asked for.
    pub options: SubscriptionOptions,
    /// The group it was picked from.
    pub group: Option<GroupId>,
}

/// Another session holds the exclusive subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

/// Where subscriptions live and messages find them. One process has one; a cluster would have its own.
///
/// Filters are given as the client wrote them, prefixes such as `$share/GROUP/` included.
pub trait Router: Send + Sync {
    /// Add or replace these subscriptions of `session`; calls `taken` with the index of each that another
    /// session holds exclusively.
    fn subscribe(
        &self,
        session: SessionRef,
        wanted: &[(&str, SubscriptionOptions)],
        taken: &mut dyn FnMut(usize),
    );
    /// Remove these subscriptions of `session`; those that are not there are passed over.
    fn unsubscribe(&self, session: SessionRef, filters: &[&str]);
    /// The client of a session with this shared subscription came or went.
    fn set_online(&self, filter: &str, session: SessionRef, online: bool);
    /// The group of a shared subscription.
    fn group_of(&self, filter: &str) -> Option<GroupId>;
    /// Append every subscription that `topic` matches to `targets`; of a group, the member whose turn
    /// it is.
    fn route(&self, topic: &str, origin: &Origin, targets: &mut Vec<Target>);
    /// A member of `group` for a message that reached none.
    fn pick(&self, group: GroupId, topic: &str, origin: &Origin) -> Option<Target>;
    /// Number of subscriptions, and how many of them are shared or exclusive.
    fn subscriptions(&self) -> (usize, usize);
}

/// Whether a filter has a prefix that makes it concern other sessions too.
pub fn is_shared(filter: &str) -> bool {
    scope_of(filter).is_some()
}

/// What a prefix makes of a filter; `None` for plain ones, which are not looked at further.
fn scope_of(filter: &str) -> Option<FilterScope<'_>> {
    if !filter.starts_with('$') {
        return None;
    }
    match FilterScope::parse(filter) {
        Ok(FilterScope::Plain(_)) | Err(_) => None,
        Ok(scope) => Some(scope),
    }
}

/// Whether a filter is for topics under `$SYS`; one that begins with a wildcard is not [MQTT-4.7.2-1].
fn is_system(filter: &str) -> bool {
    filter
        .strip_prefix("$SYS")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How groups share out their messages.
#[derive(Clone, Debug)]
pub struct SharedPolicies {
    /// For groups that are not named.
    pub default: SharedPolicy,
    /// By name of the group.
    pub groups: HashMap<String, SharedPolicy>,
}

impl SharedPolicies {
    fn of(&self, group: &str) -> SharedPolicy {
        self.groups.get(group).copied().unwrap_or(self.default)
    }
}

/// Filters added or removed under one lock.
const BATCH: usize = 64;

#[derive(Debug, Default)]
struct Subscriptions {
    plain: SubscriptionTree<SessionRef, SubscriptionOptions>,
    shared: SharedGroups,
}

/// All subscriptions of this process in two trees behind one lock.
///
/// Readers share the lock for the time of one look-up, writers hold it for [`BATCH`] filters: neither
/// ever waits for I/O or for another lock while holding it.
#[derive(Debug)]
pub struct LocalRouter {
    subscriptions: RwLock<Subscriptions>,
    policies: SharedPolicies,
    /// Some strategy asks for the hash of a publisher's client identifier.
    wants_client_hash: bool,
    hasher: RandomState,
    /// Where `random` has come to.
    dice: AtomicU64,
    /// Subscriptions to topics under `$SYS`. Never too few; one too many costs nothing but time.
    system: AtomicUsize,
}

impl LocalRouter {
    /// A router without subscriptions.
    pub fn new(policies: SharedPolicies) -> Self {
        let hasher = RandomState::new();
        let wants = |policy: &SharedPolicy| match policy.strategy {
            SharedStrategy::HashClientId => true,
            SharedStrategy::Sticky => policy.initial_sticky_pick == InitialPick::HashClientId,
            _ => false,
        };
        let wants_client_hash = wants(&policies.default) || policies.groups.values().any(wants);
        Self {
            wants_client_hash,
            subscriptions: RwLock::default(),
            policies,
            dice: AtomicU64::new(hasher.hash_one(0)),
            system: AtomicUsize::new(0),
            hasher,
        }
    }

    /// Number of subscriptions to topics under `$SYS`.
    pub fn system_subscriptions(&self) -> usize {
        self.system.load(Relaxed)
    }

    /// The hash of a client identifier.
    pub fn client_hash(&self, client_id: &str) -> u64 {
        self.hasher.hash_one(client_id)
    }

    /// Whether some strategy asks for the hash of a publisher's client identifier.
    pub fn wants_client_hash(&self) -> bool {
        self.wants_client_hash
    }

    fn read(&self) -> RwLockReadGuard<'_, Subscriptions> {
        self.subscriptions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Subscriptions> {
        self.subscriptions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that is gone is no longer a member of `group`.
    pub(crate) fn expel(&self, group: GroupId, session: SessionRef) {
        self.write().shared.expel(group, session);
    }

    /// Whether `session` is a member of `group`.
    pub(crate) fn is_member(&self, group: GroupId, session: SessionRef) -> bool {
        self.read().shared.is_member(group, session)
    }

    /// The next random number (`SplitMix64`): quick and even, not secret.
    fn random(&self) -> u64 {
        let mut number = self.dice.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed);
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        number ^ (number >> 31)
    }
}

impl LocalRouter {
    /// A subscription to `filter` was made, if it is `new`.
    fn count_system(&self, filter: &str, new: bool) {
        if new && is_system(filter) {
            self.system.fetch_add(1, Relaxed);
        }
    }

    /// A subscription to `filter` has ended, if it is `gone`.
    fn discount_system(&self, filter: &str, gone: bool) {
        if gone && is_system(filter) {
            self.system.fetch_sub(1, Relaxed);
        }
    }
}

impl Router for LocalRouter {
    fn subscribe(
        &self,
        session: SessionRef,
        wanted: &[(&str, SubscriptionOptions)],
        taken: &mut dyn FnMut(usize),
    ) {
        for (batch, wanted) in wanted.chunks(BATCH).enumerate() {
            let mut subscriptions = self.write();
            for (at, (filter, options)) in wanted.iter().enumerate() {
                let Some(scope) = scope_of(filter) else {
                    let old = subscriptions.plain.insert(filter, session, *options);
                    self.count_system(filter, old.is_none());
                    continue;
                };
                let policy = match scope {
                    FilterScope::Shared(shared) => self.policies.of(shared.group),
                    FilterScope::Plain(_) | FilterScope::Exclusive(_) => self.policies.default,
                };
                let joined = subscriptions
                    .shared
                    .join(filter, scope, policy, session, *options);
                match joined {
                    Ok(new) => self.count_system(scope.filter(), new),
                    Err(Taken) => taken(batch * BATCH + at),
                }
            }
        }
    }

    fn unsubscribe(&self, session: SessionRef, filters: &[&str]) {
        for filters in filters.chunks(BATCH) {
            let mut subscriptions = self.write();
            for filter in filters {
                match scope_of(filter) {
                    None => {
                        let gone = subscriptions.plain.remove(filter, &session).is_some();
                        self.discount_system(filter, gone);
                    }
                    Some(scope) => {
                        let gone = subscriptions.shared.leave(filter, scope.filter(), session);
                        self.discount_system(scope.filter(), gone);
                    }
                }
            }
        }
    }

    fn set_online(&self, filter: &str, session: SessionRef, online: bool) {
        self.write().shared.set_online(filter, session, online);
    }

    fn group_of(&self, filter: &str) -> Option<GroupId> {
        self.read().shared.id_of(filter)
    }

    fn route(&self, topic: &str, origin: &Origin, targets: &mut Vec<Target>) {
        let subscriptions = self.read();
        subscriptions.plain.matches(topic, &mut |session, options| {
            targets.push(Target {
                session: *session,
                options: *options,
                group: None,
            });
        });
        if subscriptions.shared.members() > 0 {
            let numbers = Numbers {
                origin,
                topic_hash: &|| self.hasher.hash_one(topic),
                random: &|| self.random(),
            };
            subscriptions.shared.route(topic, &numbers, targets);
        }
    }

    fn pick(&self, group: GroupId, topic: &str, origin: &Origin) -> Option<Target> {
        let numbers = Numbers {
            origin,
            topic_hash: &|| self.hasher.hash_one(topic),
            random: &|| self.random(),
        };
        self.read().shared.pick(group, &numbers)
    }

    fn subscriptions(&self) -> (usize, usize) {
        let subscriptions = self.read();
        let shared = subscriptions.shared.members();
        (subscriptions.plain.len() + shared, shared)
    }
}
