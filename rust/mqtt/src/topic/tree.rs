//! The subscription tree: which subscriptions does a Topic Name match.
//!
//! Filters without a wildcard stand whole in one hash map, so that they cost one look-up however
//! many there are. Filters with a wildcard share a trie with one node a level. The edges of all
//! nodes are in one hash table keyed by parent and level: a node with a million children costs no
//! more to pass than one with two, and a leaf owns no table of its own.
//!
//! The invariant of the trie: every node but the root has subscribers, or a node below it that has.

use std::collections::HashMap;
use std::hash::Hash;

use super::edges::{Edges, NONE};
use super::filter::has_wildcard;
use super::label::Label;
use super::level_hash::LevelHash;
use super::subscribers::Subscribers;

/// Subscriptions by filter and key. `K` identifies the subscriber, `S` is what it asked for.
///
/// Filters are taken as text and are not checked; the caller has done so and has bounded their
/// levels. Insert, remove and a step of a match cost O(levels).
#[derive(Clone, Debug)]
pub struct SubscriptionTree<K, S> {
    exact: HashMap<Box<str>, Subscribers<K, S>, LevelHash>,
    nodes: Vec<Node<K, S>>,
    edges: Edges,
    /// The first of the free nodes, each of which has the next as its parent.
    free: u32,
    hash: LevelHash,
    len: usize,
    /// Nodes that are not free, without the root.
    used: usize,
}

const ROOT: u32 = 0;
/// Pending branches of a match that are kept without taking memory. One level adds at most one.
const INLINE_BRANCHES: usize = 16;

#[derive(Clone, Debug)]
struct Node<K, S> {
    /// The level this node stands for; empty for `+` and `#`, whose parents know them.
    level: Label,
    parent: u32,
    /// The child for `+`.
    single: u32,
    /// The child for `#`.
    multi: u32,
    /// Number of children that `edges` knows: not `single` and `multi`.
    literals: u32,
    subscribers: Subscribers<K, S>,
}

impl<K, S> Node<K, S> {
    fn new(level: Label, parent: u32) -> Self {
        Self {
            level,
            parent,
            single: NONE,
            multi: NONE,
            literals: 0,
            subscribers: Subscribers::None,
        }
    }

    fn is_idle(&self) -> bool {
        let children = self.literals > 0 || self.single != NONE || self.multi != NONE;
        !children && self.subscribers.is_empty()
    }
}

impl<K, S> Default for SubscriptionTree<K, S> {
    fn default() -> Self {
        Self {
            exact: HashMap::default(),
            nodes: vec![Node::new(Label::EMPTY, NONE)],
            edges: Edges::default(),
            free: NONE,
            hash: LevelHash::default(),
            len: 0,
            used: 0,
        }
    }
}

impl<K, S> SubscriptionTree<K, S> {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of subscriptions (pairs of filter and key).
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without any subscription.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Nodes of the trie in use: a measure of what filters with wildcards take.
    pub fn node_count(&self) -> usize {
        self.used
    }

    /// Call `each` for every subscription whose filter matches the Topic Name `topic`.
    ///
    /// A subscriber with several matching filters is reported once for each. Takes no memory for
    /// topics of up to 16 levels. The order is unspecified.
    pub fn matches<F: FnMut(&K, &S)>(&self, topic: &str, each: &mut F) {
        self.match_lists(topic, &mut |list| {
            for (key, value) in list {
                each(key, value);
            }
        });
    }

    /// Like [`Self::matches`], with all subscribers of one filter at a time; no list is empty.
    pub fn match_lists<F: FnMut(&[(K, S)])>(&self, topic: &str, each: &mut F) {
        if !self.exact.is_empty()
            && let Some(subscribers) = self.exact.get(topic)
        {
            each(subscribers.as_slice());
        }
        if self.nodes.len() > 1 {
            self.match_wildcards(topic, each);
        }
    }

    fn match_wildcards<F: FnMut(&[(K, S)])>(&self, topic: &str, each: &mut F) {
        let mut pending = Branches::default();
        let mut at = ROOT;
        // What of the topic is below `at`; `None` when its last level has been used.
        let mut rest = Some(topic);
        // A leading wildcard does not match a leading `$` [MQTT-4.7.2-1].
        let mut wildcards = !topic.starts_with('$');
        loop {
            let Some(node) = self.node(at) else { return };
            if wildcards && node.multi != NONE {
                self.report(node.multi, each); // also for the parent level itself
            }
            let mut next = NONE;
            if let Some(text) = rest {
                let (level, below) = match text.split_once('/') {
                    Some((level, below)) => (level, Some(below)),
                    None => (text, None),
                };
                if wildcards && node.single != NONE {
                    pending.push((node.single, below));
                }
                if node.literals > 0 {
                    next = self.child(at, level);
                }
                rest = below;
            } else if !node.subscribers.is_empty() {
                each(node.subscribers.as_slice());
            }
            wildcards = true;
            if next == NONE {
                let Some((branch, below)) = pending.pop() else {
                    return;
                };
                (next, rest) = (branch, below);
            }
            at = next;
        }
    }

    fn report<F: FnMut(&[(K, S)])>(&self, node: u32, each: &mut F) {
        if let Some(node) = self.node(node)
            && !node.subscribers.is_empty()
        {
            each(node.subscribers.as_slice());
        }
    }

    fn node(&self, at: u32) -> Option<&Node<K, S>> {
        self.nodes.get(at as usize)
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node<K, S>> {
        self.nodes.get_mut(at as usize)
    }

    /// The child of `parent` for a level that is no wildcard.
    fn child(&self, parent: u32, level: &str) -> u32 {
        self.edges.find(self.hash.edge(parent, level), |at| {
            self.node(at)
                .is_some_and(|node| node.parent == parent && node.level.is(level))
        })
    }

    /// The child of `parent` on the way of a filter.
    fn step(&self, parent: u32, level: Level<'_>) -> u32 {
        match (level, self.node(parent)) {
            (_, None) => NONE,
            (Level::Single, Some(node)) => node.single,
            (Level::Multi, Some(node)) => node.multi,
            (Level::Text(text), Some(_)) => self.child(parent, text),
        }
    }

    /// The node of a filter with a wildcard.
    fn find(&self, filter: &str) -> u32 {
        levels(filter)
            .try_fold(ROOT, |at, level| match self.step(at, level) {
                NONE => Err(NONE),
                next => Ok(next),
            })
            .unwrap_or_else(|none| none)
    }
}

impl<K: Copy + Eq + Hash, S> SubscriptionTree<K, S> {
    /// Add a subscription; if the key already had this filter, replace it and return the old value.
    pub fn insert(&mut self, filter: &str, key: K, value: S) -> Option<S> {
        let old = if has_wildcard(filter) {
            let at = levels(filter).fold(ROOT, |at, level| self.step_or_grow(at, level));
            self.node_mut(at)?.subscribers.insert(key, value)
        } else if let Some(subscribers) = self.exact.get_mut(filter) {
            subscribers.insert(key, value)
        } else {
            self.exact
                .insert(filter.into(), Subscribers::One((key, value)));
            None
        };
        self.len += usize::from(old.is_none());
        old
    }

    /// Take a subscription out; `None` if it was not there. Nodes no longer needed go with it.
    pub fn remove(&mut self, filter: &str, key: &K) -> Option<S> {
        let old = if has_wildcard(filter) {
            let at = self.find(filter);
            let old = self.node_mut(at)?.subscribers.remove(key)?;
            self.prune(filter, at);
            old
        } else {
            let subscribers = self.exact.get_mut(filter)?;
            let old = subscribers.remove(key)?;
            if subscribers.is_empty() {
                self.exact.remove(filter);
                if self.exact.len() * 8 < self.exact.capacity() {
                    self.exact.shrink_to(self.exact.len() * 2);
                }
            }
            old
        };
        self.len -= 1;
        Some(old)
    }

    /// What `key` asked for with exactly this filter.
    pub fn get(&self, filter: &str, key: &K) -> Option<&S> {
        self.subscribers_of(filter)?.get(key)
    }

    /// All subscribers of exactly this filter.
    pub fn list(&self, filter: &str) -> &[(K, S)] {
        self.subscribers_of(filter)
            .map_or(&[], Subscribers::as_slice)
    }

    fn subscribers_of(&self, filter: &str) -> Option<&Subscribers<K, S>> {
        if has_wildcard(filter) {
            Some(&self.node(self.find(filter))?.subscribers)
        } else {
            self.exact.get(filter)
        }
    }

    fn step_or_grow(&mut self, parent: u32, level: Level<'_>) -> u32 {
        match self.step(parent, level) {
            NONE => self.grow(parent, level),
            found => found,
        }
    }

    fn grow(&mut self, parent: u32, level: Level<'_>) -> u32 {
        let label = match level {
            Level::Single | Level::Multi => Label::EMPTY,
            Level::Text(text) => Label::new(text),
        };
        let at = self.take_node(Node::new(label, parent));
        if let Level::Text(text) = level {
            self.edges.insert(self.hash.edge(parent, text), at);
        }
        if let Some(parent) = self.node_mut(parent) {
            match level {
                Level::Single => parent.single = at,
                Level::Multi => parent.multi = at,
                Level::Text(_) => parent.literals += 1,
            }
        }
        at
    }

    fn take_node(&mut self, node: Node<K, S>) -> u32 {
        self.used += 1;
        let at = self.free;
        if let Some(slot) = self.node_mut(at) {
            let next_free = slot.parent;
            *slot = node;
            self.free = next_free;
            return at;
        }
        let at = u32::try_from(self.nodes.len()).expect("four thousand million nodes do not fit");
        self.nodes.push(node);
        at
    }

    /// Remove the node of `filter` and then its ancestors, as long as they are of no use.
    fn prune(&mut self, filter: &str, mut at: u32) {
        for level in filter.rsplit('/') {
            let Some(node) = self.node(at).filter(|node| node.is_idle()) else {
                break;
            };
            let (above, free) = (node.parent, self.free);
            self.unlink(above, at, level);
            if let Some(node) = self.node_mut(at) {
                *node = Node::new(Label::EMPTY, free);
                self.free = at;
                self.used -= 1;
            }
            at = above;
        }
        if self.used == 0 {
            // A tree that was large once need not stay so.
            (self.nodes, self.free) = (vec![Node::new(Label::EMPTY, NONE)], NONE);
            self.edges = Edges::default();
        }
    }

    /// Take `at`, which stands for `level`, from its parent.
    fn unlink(&mut self, parent: u32, at: u32, level: &str) {
        let Some(above) = self.node_mut(parent) else {
            return;
        };
        if above.single == at {
            above.single = NONE;
        } else if above.multi == at {
            above.multi = NONE;
        } else {
            above.literals -= 1;
            self.edges.remove(self.hash.edge(parent, level), at);
        }
    }
}

/// One level of a filter. `#` that is not last is a word like any other.
#[derive(Clone, Copy)]
enum Level<'a> {
    Single,
    Multi,
    Text(&'a str),
}

fn levels(filter: &str) -> impl Iterator<Item = Level<'_>> {
    let mut levels = filter.split('/').peekable();
    std::iter::from_fn(move || {
        Some(match levels.next()? {
            "+" => Level::Single,
            "#" if levels.peek().is_none() => Level::Multi,
            text => Level::Text(text),
        })
    })
}

/// Branches still to be visited, the first few without taking memory.
#[derive(Default)]
struct Branches<'a> {
    inline: [(u32, Option<&'a str>); INLINE_BRANCHES],
    len: usize,
    spilled: Vec<(u32, Option<&'a str>)>,
}

impl<'a> Branches<'a> {
    fn push(&mut self, branch: (u32, Option<&'a str>)) {
        match self.inline.get_mut(self.len) {
            Some(slot) => {
                *slot = branch;
                self.len += 1;
            }
            None => self.spilled.push(branch),
        }
    }

    fn pop(&mut self) -> Option<(u32, Option<&'a str>)> {
        if let Some(branch) = self.spilled.pop() {
            return Some(branch);
        }
        self.len = self.len.checked_sub(1)?;
        self.inline.get(self.len).copied()
    }
}
