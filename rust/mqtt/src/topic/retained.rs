//! The other way round: which stored Topic Names does a filter match.
//!
//! Names are kept in level order, so all names below a level stand side by side and a filter skips
//! what cannot match by seeking. Level order is byte order with `/` put before everything else;
//! keys have U+0000, which no name holds, in its place.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::name::level_count;

/// Names passed by stepping before it is worth seeking anew.
const STEPS_BEFORE_SEEK: u32 = 8;
/// Takes the place of `/` in keys.
const SEPARATOR: char = '\0';
/// Greater than the separator and not greater than any character of a level.
const PAST_SUBTREE: char = '\u{1}';

/// Values by Topic Name, looked up by filter.
#[derive(Clone, Debug)]
pub struct TopicTree<V> {
    names: BTreeMap<Box<str>, V>,
}

/// Where a look-up stopped. It stays good whatever is inserted or removed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Box<str>);

impl<V> Default for TopicTree<V> {
    fn default() -> Self {
        Self {
            names: BTreeMap::new(),
        }
    }
}

impl<V> TopicTree<V> {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True without any name.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Store a value for a valid Topic Name; returns the one it replaces.
    pub fn insert(&mut self, topic: &str, value: V) -> Option<V> {
        self.names.insert(key_of(topic).into(), value)
    }

    /// Take a name out.
    pub fn remove(&mut self, topic: &str) -> Option<V> {
        self.names.remove(key_of(topic).as_str())
    }

    /// The value of exactly this name.
    pub fn get(&self, topic: &str) -> Option<&V> {
        self.names.get(key_of(topic).as_str())
    }

    /// The value of exactly this name, to be changed in place.
    pub fn get_mut(&mut self, topic: &str) -> Option<&mut V> {
        self.names.get_mut(key_of(topic).as_str())
    }

    /// Call `each` with every name that `filter` matches, in level order, a slice at a time.
    ///
    /// At most `budget` names are looked at, matching or not (at least one). The result is where to
    /// go on, or `None` when all have been seen. `each` may stop the slice early with `Break`; the
    /// name it was given then counts as seen. `from` is the result of the call before.
    pub fn for_each_match<F>(
        &self,
        filter: &str,
        from: Option<&Cursor>,
        budget: usize,
        each: &mut F,
    ) -> Option<Cursor>
    where
        F: FnMut(&str, &V) -> ControlFlow<()>,
    {
        let pattern = Pattern::new(filter);
        let mut name = String::new();
        let mut start = match from {
            Some(Cursor(last)) => Bound::Excluded(last.to_string()),
            None => Bound::Included(pattern.first_key()),
        };
        let mut left = budget.max(1);
        loop {
            let mut steps = STEPS_BEFORE_SEEK;
            let mut target: Option<String> = None;
            let range = (start.as_ref().map(String::as_str), Bound::Unbounded);
            let mut seek = false;
            for (key, value) in self.names.range::<str, _>(range) {
                if let Some(target) = &target
                    && **key < **target
                {
                    if steps == 0 {
                        seek = true;
                        break;
                    }
                    steps -= 1;
                    continue;
                }
                target = None;
                let stop = match pattern.judge(key) {
                    Judgement::Match => {
                        set_name(&mut name, key);
                        each(&name, value).is_break()
                    }
                    Judgement::Next => false,
                    Judgement::Seek(next) => {
                        target = Some(next);
                        steps = STEPS_BEFORE_SEEK;
                        false
                    }
                    Judgement::End => return None,
                };
                left -= 1;
                if stop || left == 0 {
                    return Some(Cursor(key.clone()));
                }
            }
            match target {
                Some(target) if seek => start = Bound::Included(target),
                _ => return None,
            }
        }
    }

    /// Take out what `keep` refuses among the next `budget` names in level order, whatever they begin
    /// with (at least one); gives where to go on, or `None` when all have been seen.
    pub fn retain_slice(
        &mut self,
        from: Option<&Cursor>,
        budget: usize,
        mut keep: impl FnMut(&V) -> bool,
    ) -> Option<Cursor> {
        let start = match from {
            Some(Cursor(last)) => Bound::Excluded(&**last),
            None => Bound::Unbounded,
        };
        let range = self.names.range::<str, _>((start, Bound::Unbounded));
        let mut last = None;
        let mut refused = Vec::new();
        let mut seen = 0;
        for (key, value) in range.take(budget.max(1)) {
            if !keep(value) {
                refused.push(key.clone());
            }
            last = Some(key.clone());
            seen += 1;
        }
        for key in refused {
            self.names.remove(&key);
        }
        last.filter(|_| seen == budget.max(1)).map(Cursor)
    }

    /// All names and values in level order.
    pub fn iter(&self) -> impl Iterator<Item = (String, &V)> {
        self.names.iter().map(|(key, value)| (name_of(key), value))
    }
}

/// What to do after a key.
enum Judgement {
    /// It matches; go on with the next.
    Match,
    /// It does not match; the next one may.
    Next,
    /// No key before this one can match.
    Seek(String),
    /// No later key can match.
    End,
}

/// A filter, level by level.
struct Pattern<'a> {
    filter: &'a str,
    /// The filter as a key.
    as_key: String,
    levels: usize,
}

impl<'a> Pattern<'a> {
    fn new(filter: &'a str) -> Self {
        Self {
            filter,
            as_key: key_of(filter),
            levels: level_count(filter),
        }
    }

    /// The levels before the first wildcard: no key before them can match.
    fn first_key(&self) -> String {
        let mut first = String::new();
        for (n, level) in self.filter.split('/').enumerate() {
            if level == "+" || level == "#" {
                break;
            }
            if n > 0 {
                first.push(SEPARATOR);
            }
            first.push_str(level);
        }
        first
    }

    fn judge(&self, key: &str) -> Judgement {
        // End of the last level of `key` that a `+` took, in bytes: where to go on after a failure.
        let mut last_single = None;
        let mut end = 0; // of the level looked at, in `key`
        let mut key_levels = key.split(SEPARATOR);
        let mut wanted_levels = self.as_key.split(SEPARATOR).enumerate().peekable();
        while let Some((n, wanted)) = wanted_levels.next() {
            let last = wanted_levels.peek().is_none();
            let multi = last && wanted == "#";
            if n == 0 && (multi || wanted == "+") && key.starts_with('$') {
                return Judgement::Seek("%".to_owned()); // past all of `$` [MQTT-4.7.2-1]
            }
            if multi {
                return Judgement::Match;
            }
            let Some(level) = key_levels.next() else {
                return Judgement::Next; // too short: names below this one come next
            };
            let begin = end + usize::from(n > 0);
            end = begin + level.len();
            if wanted == "+" {
                last_single = Some(end);
            } else if level < wanted {
                return Judgement::Seek(join(key.get(..begin), wanted));
            } else if level > wanted {
                return skip(key, last_single);
            }
        }
        debug_assert!(self.levels > 0, "a filter has a level");
        match key_levels.next() {
            None => Judgement::Match,
            Some(_) => skip(key, last_single),
        }
    }
}

/// Go on behind everything that shares the level the last `+` took.
fn skip(key: &str, last_single: Option<usize>) -> Judgement {
    match last_single.and_then(|end| key.get(..end)) {
        Some(prefix) => Judgement::Seek(format!("{prefix}{PAST_SUBTREE}")),
        None => Judgement::End,
    }
}

fn join(prefix: Option<&str>, level: &str) -> String {
    [prefix.unwrap_or_default(), level].concat()
}

fn key_of(topic: &str) -> String {
    topic.replace('/', "\0")
}

fn name_of(key: &str) -> String {
    key.replace(SEPARATOR, "/")
}

/// `name = name_of(key)` without taking new memory each time.
fn set_name(name: &mut String, key: &str) {
    name.clear();
    for (n, level) in key.split(SEPARATOR).enumerate() {
        if n > 0 {
            name.push('/');
        }
        name.push_str(level);
    }
}
