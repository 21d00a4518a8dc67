//! The subscribers of one filter: nothing, one, or a list that stays quick when it is long.

use std::collections::HashMap;
use std::hash::Hash;

/// A list this long gets an index by key; below it, looking at each entry is quicker.
const INDEX_FROM: usize = 32;
/// The index goes when the list has shrunk to this; the gap keeps it from coming and going.
const INDEX_UNTIL: usize = 16;

/// Subscribers by key, in no particular order.
#[derive(Clone, Debug)]
pub(super) enum Subscribers<K, S> {
    None,
    One((K, S)),
    Many(Box<List<K, S>>),
}

#[derive(Clone, Debug)]
pub(super) struct List<K, S> {
    entries: Vec<(K, S)>,
    /// Where each key stands in `entries`; kept only for long lists.
    index: Option<HashMap<K, usize>>,
}

impl<K, S> Subscribers<K, S> {
    pub(super) fn as_slice(&self) -> &[(K, S)] {
        match self {
            Self::None => &[],
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Many(list) => &list.entries,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl<K: Copy + Eq + Hash, S> Subscribers<K, S> {
    /// Add or replace; returns what the key had before.
    pub(super) fn insert(&mut self, key: K, value: S) -> Option<S> {
        match self {
            Self::None => {
                *self = Self::One((key, value));
                None
            }
            Self::One((held, old)) if *held == key => Some(std::mem::replace(old, value)),
            Self::One(_) => {
                if let Self::One(first) = std::mem::replace(self, Self::None) {
                    let entries = vec![first, (key, value)];
                    *self = Self::Many(Box::new(List {
                        entries,
                        index: None,
                    }));
                }
                None
            }
            Self::Many(list) => list.insert(key, value),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&S> {
        match self {
            Self::None => None,
            Self::One((held, value)) => (held == key).then_some(value),
            Self::Many(list) => {
                let (_, value) = list.entries.get(list.position(key)?)?;
                Some(value)
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<S> {
        match self {
            Self::None => None,
            Self::One((held, _)) if held != key => None,
            Self::One(_) => match std::mem::replace(self, Self::None) {
                Self::One((_, value)) => Some(value),
                Self::None | Self::Many(_) => None,
            },
            Self::Many(list) => {
                let value = list.remove(key)?;
                if list.entries.len() == 1
                    && let Some(last) = list.entries.pop()
                {
                    *self = Self::One(last);
                }
                Some(value)
            }
        }
    }
}

impl<K: Copy + Eq + Hash, S> List<K, S> {
    fn position(&self, key: &K) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.entries.iter().position(|(held, _)| held == key),
        }
    }

    fn insert(&mut self, key: K, value: S) -> Option<S> {
        if let Some(at) = self.position(&key) {
            let (_, old) = self.entries.get_mut(at)?;
            return Some(std::mem::replace(old, value));
        }
        if let Some(index) = &mut self.index {
            index.insert(key, self.entries.len());
        }
        self.entries.push((key, value));
        if self.index.is_none() && self.entries.len() >= INDEX_FROM {
            let keys = self.entries.iter().enumerate();
            self.index = Some(keys.map(|(at, (key, _))| (*key, at)).collect());
        }
        None
    }

    fn remove(&mut self, key: &K) -> Option<S> {
        let at = self.position(key)?;
        let (_, value) = self.entries.swap_remove(at);
        if let Some(index) = &mut self.index {
            index.remove(key);
            if let Some((moved, _)) = self.entries.get(at) {
                index.insert(*moved, at);
            }
        }
        if self.entries.len() <= INDEX_UNTIL && self.index.is_some() {
            self.index = None;
            self.entries.shrink_to_fit();
        } else if self.entries.len() * 4 < self.entries.capacity() {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_shrinks_through_every_form() {
        let mut subscribers = Subscribers::None;
        for key in 0..1000_u32 {
            assert_eq!(subscribers.insert(key, key), None);
            assert_eq!(subscribers.insert(key, key + 1), Some(key));
        }
        assert_eq!(subscribers.as_slice().len(), 1000);
        for key in (0..1000).step_by(2).chain((1..1000).step_by(2)) {
            assert_eq!(subscribers.get(&key), Some(&(key + 1)));
            assert_eq!(subscribers.remove(&key), Some(key + 1));
            assert_eq!(subscribers.remove(&key), None);
            assert_eq!(subscribers.get(&key), None);
        }
        assert!(subscribers.is_empty());
    }
}
