//! One group of a shared subscription: its members, and which of them gets a message (MQTT 5 section
//! 4.8.2; strategies as in `spec/management.md` section 3.1).
//!
//! Members are changed by whoever holds the router's lock for writing; picking needs only the read
//! lock, so what it remembers stands in atomics. The invariant: members whose client is online stand
//! before all others, so a pick costs the same however many of them are offline.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::SubscriptionOptions;
use crate::{
    config::{InitialPick, SharedPolicy, SharedStrategy},
    session::SessionRef,
};

/// Places for what a group remembers of publishers: a power of two. Publishers that share a place take
/// turns together, or stick to the same member.
const SEATS: usize = 32;

/// Where a message comes from, as far as a strategy asks.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The session that published it.
    pub publisher: Option<SessionRef>,
    /// Hash of its client identifier; 0 where no strategy asks for it.
    pub client_hash: u64,
}

impl Origin {
    /// The seat of this publisher: its slot, spread over all seats.
    fn seat(&self) -> usize {
        let Some(publisher) = self.publisher else {
            return 0;
        };
        let name = u64::from(publisher.slot) << 16 | u64::from(publisher.loop_index);
        (name.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59) as usize % SEATS
    }
}

/// The numbers a pick may ask for.
pub(super) struct Numbers<'a> {
    /// Where the message comes from.
    pub(super) origin: &'a Origin,
    /// Hash of its topic.
    pub(super) topic_hash: &'a dyn Fn() -> u64,
    /// A random number.
    pub(super) random: &'a dyn Fn() -> u64,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    session: SessionRef,
    options: SubscriptionOptions,
    /// Tells a member apart from those before it; never 0.
    ticket: u32,
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    policy: SharedPolicy,
    /// Those that are online, then the others.
    members: Vec<Member>,
    online: usize,
    /// Where each stands in `members`.
    places: HashMap<SessionRef, usize>,
    last_ticket: u32,
    /// `round_robin`: the next turn. `sticky`: ticket and place of the member, 0 for none.
    seats: [AtomicU64; SEATS],
}

impl Group {
    /// A group without members.
    pub(super) fn new(policy: SharedPolicy) -> Self {
        let sticky = policy.strategy == SharedStrategy::Sticky;
        Self {
            policy,
            members: Vec::new(),
            online: 0,
            places: HashMap::new(),
            last_ticket: 0,
            // Publishers do not all begin with the first member.
            seats: std::array::from_fn(|n| AtomicU64::new(if sticky { 0 } else { n as u64 })),
        }
    }

    /// Whether nobody is left.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether `session` is a member.
    pub(super) fn contains(&self, session: SessionRef) -> bool {
        self.places.contains_key(&session)
    }

    /// Add a member, whose client is online, or replace its options; `true` if it is new.
    pub(super) fn join(&mut self, session: SessionRef, options: SubscriptionOptions) -> bool {
        if let Some(member) = self
            .places
            .get(&session)
            .and_then(|at| self.members.get_mut(*at))
        {
            member.options = options;
            return false;
        }
        self.last_ticket = self.last_ticket.wrapping_add(1).max(1);
        self.places.insert(session, self.members.len());
        self.members.push(Member {
            session,
            options,
            ticket: self.last_ticket,
        });
        self.set_online(session, true);
        true
    }

    /// Remove a member; `true` if it was one.
    pub(super) fn leave(&mut self, session: SessionRef) -> bool {
        self.set_online(session, false);
        let Some(at) = self.places.get(&session).copied() else {
            return false;
        };
        self.swap(at, self.members.len() - 1);
        self.members.pop();
        self.places.remove(&session);
        true
    }

    /// The client of a member came or went.
    pub(super) fn set_online(&mut self, session: SessionRef, online: bool) {
        let Some(at) = self.places.get(&session).copied() else {
            return;
        };
        if online && at >= self.online {
            self.swap(at, self.online);
            self.online += 1;
        } else if !online && at < self.online {
            self.online -= 1;
            self.swap(at, self.online);
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.members.swap(one, other);
        for at in [one, other] {
            if let Some(member) = self.members.get(at) {
                self.places.insert(member.session, at);
            }
        }
    }

    /// The member that gets the next message: one that is online, if there is any.
    pub(super) fn pick(&self, numbers: &Numbers<'_>) -> Option<(SessionRef, SubscriptionOptions)> {
        let choice = if self.online > 0 {
            self.online
        } else {
            self.members.len()
        };
        if choice == 0 {
            return None;
        }
        let seat = self.seats.get(numbers.origin.seat())?;
        let at = match self.policy.strategy {
            // All members are on this node: `local` has no preference among them.
            SharedStrategy::Random | SharedStrategy::Local => (numbers.random)(),
            SharedStrategy::RoundRobin => seat.fetch_add(1, Relaxed),
            SharedStrategy::RoundRobinPerGroup => self.seats.first()?.fetch_add(1, Relaxed),
            SharedStrategy::HashClientId => numbers.origin.client_hash,
            SharedStrategy::HashTopic => (numbers.topic_hash)(),
            SharedStrategy::Sticky => self.stuck(seat, choice).unwrap_or_else(|| {
                let first = match self.policy.initial_sticky_pick {
                    InitialPick::Random | InitialPick::Local => (numbers.random)(),
                    InitialPick::HashClientId => numbers.origin.client_hash,
                    InitialPick::HashTopic => (numbers.topic_hash)(),
                };
                first % choice as u64
            }),
        };
        #[allow(clippy::cast_possible_truncation, reason = "reduced modulo a length")]
        let at = (at % choice as u64) as usize;
        let member = self.members.get(at)?;
        if self.policy.strategy == SharedStrategy::Sticky {
            seat.store(u64::from(member.ticket) << 32 | at as u64, Relaxed);
        }
        Some((member.session, member.options))
    }

    /// Where the member of this seat stands, if it is still among the first `choice`.
    fn stuck(&self, seat: &AtomicU64, choice: usize) -> Option<u64> {
        let held = seat.load(Relaxed);
        let (ticket, hint) = (held >> 32, held & u64::from(u32::MAX));
        let is_it = |member: &Member| u64::from(member.ticket) == ticket;
        let at = match usize::try_from(hint) {
            Ok(hint) if self.members.get(hint).is_some_and(is_it) => hint,
            _ => self.members.iter().position(is_it)?,
        };
        (at < choice).then_some(at as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use vallum_mqtt::packet::QoS;

    use super::*;

    const OPTIONS: SubscriptionOptions = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
        id: 0,
    };

    fn session(slot: u32) -> SessionRef {
        SessionRef {
            loop_index: 0,
            slot,
            generation: 1,
        }
    }

    fn group(strategy: SharedStrategy, members: u32) -> Group {
        let mut group = Group::new(SharedPolicy {
            strategy,
            initial_sticky_pick: InitialPick::Random,
        });
        for slot in 0..members {
            assert!(group.join(session(slot), OPTIONS));
        }
        group
    }

    fn picks(group: &Group, publisher: u32, count: usize) -> Vec<u32> {
        let random = AtomicU64::new(7);
        let origin = Origin {
            publisher: Some(session(publisher)),
            client_hash: u64::from(publisher),
        };
        let numbers = Numbers {
            origin: &origin,
            topic_hash: &|| 5,
            random: &|| random.fetch_add(0x9E37_79B9, Relaxed) >> 3,
        };
        (0..count)
            .map(|_| group.pick(&numbers).unwrap().0.slot)
            .collect()
    }

    #[test]
    fn turns_are_even_for_each_publisher() {
        let group = group(SharedStrategy::RoundRobin, 3);
        for publisher in [10, 11, 12] {
            let picks = picks(&group, publisher, 30);
            for member in 0..3 {
                assert_eq!(picks.iter().filter(|pick| **pick == member).count(), 10);
            }
        }
    }

    #[test]
    fn members_that_are_offline_come_last() {
        for strategy in [
            SharedStrategy::Random,
            SharedStrategy::RoundRobin,
            SharedStrategy::RoundRobinPerGroup,
            SharedStrategy::Sticky,
            SharedStrategy::HashClientId,
            SharedStrategy::HashTopic,
        ] {
            let mut group = group(strategy, 4);
            picks(&group, 1, 10);
            for slot in [0, 1, 3] {
                group.set_online(session(slot), false);
            }
            assert_eq!(picks(&group, 1, 10), [2; 10], "{strategy:?}");
            group.set_online(session(2), false);
            assert_eq!(picks(&group, 1, 10).len(), 10);
            group.set_online(session(1), true);
            assert_eq!(picks(&group, 1, 10), [1; 10], "{strategy:?}");
            for slot in 0..4 {
                assert!(group.leave(session(slot)) && !group.leave(session(slot)));
            }
            assert!(group.is_empty() && group.online == 0 && group.places.is_empty());
        }
    }

    #[test]
    fn sticky_stays_until_its_member_goes() {
        let mut group = group(SharedStrategy::Sticky, 5);
        let first = picks(&group, 1, 1)[0];
        assert_eq!(picks(&group, 1, 20), [first; 20]);
        // Others come and go, and it keeps its member wherever that stands by now.
        for slot in (0..5).filter(|slot| *slot != first).take(3) {
            group.leave(session(slot));
            group.join(session(slot + 100), OPTIONS);
            assert_eq!(picks(&group, 1, 5), [first; 5]);
        }
        group.leave(session(first));
        let second = picks(&group, 1, 1)[0];
        assert_ne!(second, first);
        assert_eq!(picks(&group, 1, 20), [second; 20]);
    }
}
