//! Which loop owns the session of a client identifier.
//!
//! A session stays on the loop where it was made; a connection for it that arrives elsewhere is
//! handed over before CONNACK. So take-over, resume and end of one session are one thread's work and
//! need no lock but the short one here.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Names a session for as long as it lives; a stale one is recognised by its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionRef {
    /// Index of the owning loop.
    pub loop_index: u16,
    /// Slot in that loop's table.
    pub slot: u32,
    /// Counts the users of the slot.
    pub generation: u32,
}

const SHARDS: usize = 64;

type Shard = HashMap<Arc<str>, SessionRef>;

/// The table, in shards so that loops seldom meet.
#[derive(Debug)]
pub struct Registry {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Registry {
    #[allow(
        clippy::indexing_slicing,
        reason = "the index is taken modulo the number of shards"
    )]
    fn shard(&self, client_id: &str) -> MutexGuard<'_, Shard> {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "only the low bits are wanted"
        )]
        let index = self.hasher.hash_one(client_id) as usize % SHARDS;
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of `client_id`, if there is one.
    pub fn find(&self, client_id: &str) -> Option<SessionRef> {
        self.shard(client_id).get(client_id).copied()
    }

    /// Claim `client_id` for `session` unless another loop's session has it: that one is returned.
    pub fn claim(&self, client_id: &Arc<str>, session: SessionRef) -> Result<(), SessionRef> {
        match self.shard(client_id).entry(Arc::clone(client_id)) {
            std::collections::hash_map::Entry::Occupied(entry)
                if entry.get().loop_index != session.loop_index =>
            {
                Err(*entry.get())
            }
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                entry.insert(session);
                Ok(())
            }
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(session);
                Ok(())
            }
        }
    }

    /// Forget `session`, unless its client identifier belongs to a newer one by now.
    pub fn release(&self, client_id: &str, session: SessionRef) {
        let mut shard = self.shard(client_id);
        if shard.get(client_id) == Some(&session) {
            shard.remove(client_id);
        }
    }

    /// Number of sessions, online and offline.
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// Whether there is no session at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
