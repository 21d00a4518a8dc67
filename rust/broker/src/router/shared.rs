//! Subscriptions that concern more than their own session: `$share/GROUP/FILTER`, `$queue/FILTER` and
//! `$exclusive/FILTER`.
//!
//! Each text a client may subscribe to is one group with one entry in a tree of its own, so plain
//! subscriptions neither meet them nor pay for them. An exclusive subscription is a group that has
//! room for one.

use std::{collections::HashMap, num::NonZeroU32};

use vallum_mqtt::topic::{FilterScope, SubscriptionTree};

use super::{
    SubscriptionOptions, Taken, Target,
    group::{Group, Numbers},
};
use crate::{config::SharedPolicy, session::SessionRef};

/// Names a group for as long as it has members. A number is not given out again before four thousand
/// million others, so one that comes too late finds no group.
pub type GroupId = NonZeroU32;

/// All groups, by the text of their subscription and by number.
#[derive(Debug, Default)]
pub(super) struct SharedGroups {
    ids: HashMap<Box<str>, GroupId>,
    tree: SubscriptionTree<GroupId, ()>,
    groups: HashMap<GroupId, Group>,
    last_id: u32,
    members: usize,
}

impl SharedGroups {
    /// Number of members of all groups.
    pub(super) fn members(&self) -> usize {
        self.members
    }

    /// The group of the subscription `text`.
    pub(super) fn id_of(&self, text: &str) -> Option<GroupId> {
        self.ids.get(text).copied()
    }

    /// Subscribe to `text`, which is `scope` in full; `Ok(true)` if the session is a new member.
    pub(super) fn join(
        &mut self,
        text: &str,
        scope: FilterScope<'_>,
        policy: SharedPolicy,
        session: SessionRef,
        options: SubscriptionOptions,
    ) -> Result<bool, Taken> {
        let id = match self.ids.get(text) {
            Some(id) => *id,
            None => self.found(text, scope, policy),
        };
        let Some(group) = self.groups.get_mut(&id) else {
            return Ok(false);
        };
        let exclusive = matches!(scope, FilterScope::Exclusive(_));
        if exclusive && !group.is_empty() && !group.contains(session) {
            return Err(Taken);
        }
        let new = group.join(session, options);
        self.members += usize::from(new);
        Ok(new)
    }

    fn found(&mut self, text: &str, scope: FilterScope<'_>, policy: SharedPolicy) -> GroupId {
        let id = loop {
            self.last_id = self.last_id.wrapping_add(1);
            match NonZeroU32::new(self.last_id) {
                Some(id) if !self.groups.contains_key(&id) => break id,
                _ => {}
            }
        };
        self.ids.insert(text.into(), id);
        self.tree.insert(scope.filter(), id, ());
        self.groups.insert(id, Group::new(policy));
        id
    }

    /// Leave the group of `text`; `true` if the session was a member. The last one dissolves it.
    pub(super) fn leave(&mut self, text: &str, filter: &str, session: SessionRef) -> bool {
        let Some((id, group)) = self
            .ids
            .get(text)
            .and_then(|id| Some((*id, self.groups.get_mut(id)?)))
        else {
            return false;
        };
        let left = group.leave(session);
        self.members -= usize::from(left);
        if group.is_empty() {
            self.ids.remove(text);
            self.tree.remove(filter, &id);
            self.groups.remove(&id);
        }
        left
    }

    /// A session that is gone is no longer a member, whatever became of its own leaving.
    pub(super) fn expel(&mut self, id: GroupId, session: SessionRef) {
        if let Some(group) = self.groups.get_mut(&id)
            && group.leave(session)
        {
            self.members -= 1;
        }
    }

    /// Whether `session` is a member.
    pub(super) fn is_member(&self, id: GroupId, session: SessionRef) -> bool {
        self.groups
            .get(&id)
            .is_some_and(|group| group.contains(session))
    }

    /// The client of a member came or went.
    pub(super) fn set_online(&mut self, text: &str, session: SessionRef, online: bool) {
        if let Some(group) = self.ids.get(text).and_then(|id| self.groups.get_mut(id)) {
            group.set_online(session, online);
        }
    }

    /// One member of each group that `topic` matches.
    pub(super) fn route(&self, topic: &str, numbers: &Numbers<'_>, targets: &mut Vec<Target>) {
        self.tree.matches(topic, &mut |id, ()| {
            targets.extend(self.pick(*id, numbers));
        });
    }

    /// One member of this group.
    pub(super) fn pick(&self, id: GroupId, numbers: &Numbers<'_>) -> Option<Target> {
        let (session, options) = self.groups.get(&id)?.pick(numbers)?;
        Some(Target {
            session,
            options,
            group: Some(id),
        })
    }
}
