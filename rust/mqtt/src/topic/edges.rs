//! The edges of a trie in one table: from a hash of parent and level to the child.
//!
//! Open addressing with linear probing in one array of eight-byte slots, so that a step down a
//! large tree waits for memory once here and once for the node. The table knows hashes and node
//! numbers only; whether a node with the right hash is the right one, the caller says.

/// No node.
pub(super) const NONE: u32 = u32::MAX;
/// Slots of the smallest table.
const SMALLEST: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    /// [`NONE`] in an empty slot.
    node: u32,
}

const EMPTY: Slot = Slot {
    hash: 0,
    node: NONE,
};

/// A map from hash to node that may hold a hash more than once.
#[derive(Clone, Debug, Default)]
pub(super) struct Edges {
    /// A power of two of them, or none.
    slots: Vec<Slot>,
    len: usize,
}

impl Edges {
    /// The first node with this hash that `is_it` accepts, or [`NONE`].
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> u32 {
        let mut at = self.home(hash);
        loop {
            // Past an empty slot there is nothing; one in four is empty at least.
            let Some(slot) = self.slots.get(at).filter(|slot| slot.node != NONE) else {
                return NONE;
            };
            if slot.hash == hash && is_it(slot.node) {
                return slot.node;
            }
            at = self.after(at);
        }
    }

    pub(super) fn insert(&mut self, hash: u32, node: u32) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(SMALLEST));
        }
        self.len += 1;
        self.put(Slot { hash, node });
    }

    /// Take out the edge to `node`, which was inserted with this hash.
    pub(super) fn remove(&mut self, hash: u32, node: u32) {
        let mut gap = self.home(hash);
        while let Some(slot) = self.slots.get(gap).filter(|slot| slot.node != NONE) {
            if slot.node == node {
                self.len -= 1;
                self.close(gap);
                if self.len * 8 < self.slots.len() && self.slots.len() > SMALLEST {
                    self.resize(self.slots.len() / 2);
                }
                return;
            }
            gap = self.after(gap);
        }
    }

    /// Move back what would no longer be found across an empty slot at `gap`.
    fn close(&mut self, mut gap: usize) {
        let mut at = self.after(gap);
        while let Some(slot) = self.slots.get(at).copied().filter(|slot| slot.node != NONE) {
            let from_home = at.wrapping_sub(self.home(slot.hash)) & self.mask();
            let from_gap = at.wrapping_sub(gap) & self.mask();
            if from_home >= from_gap {
                self.set(gap, slot);
                gap = at;
            }
            at = self.after(at);
        }
        self.set(gap, EMPTY);
    }

    fn resize(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; size]);
        for slot in old {
            if slot.node != NONE {
                self.put(slot);
            }
        }
    }

    /// Into the first empty slot from its home on; there is one.
    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.hash);
        while self.slots.get(at).is_some_and(|held| held.node != NONE) {
            at = self.after(at);
        }
        self.set(at, slot);
    }

    fn set(&mut self, at: usize, slot: Slot) {
        if let Some(held) = self.slots.get_mut(at) {
            *held = slot;
        }
    }

    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask()
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_in_and_nothing_else() {
        let mut edges = Edges::default();
        assert_eq!(edges.find(1, |_| true), NONE);
        // Hashes that crowd a few homes, some of them equal.
        let hash = |node: u32| ((node % 97) * 64) | (node % 3);
        for round in 0..3 {
            for node in 0..1000 {
                edges.insert(hash(node), node);
            }
            for node in (0..1000).filter(|node| node % 7 != round) {
                edges.remove(hash(node), node);
                edges.remove(hash(node), node);
                assert_eq!(edges.find(hash(node), |found| found == node), NONE);
            }
            for node in (0..1000).filter(|node| node % 7 == round) {
                assert_eq!(edges.find(hash(node), |found| found == node), node);
                edges.remove(hash(node), node);
            }
            assert_eq!((edges.len, edges.slots.len()), (0, SMALLEST));
        }
    }
}
