//! Matching, covering, overlapping and the two trees, against plain enumeration.
#![allow(clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::prelude::*;
use vallum_mqtt::topic::{
    SubscriptionTree, TopicFilter, TopicName, TopicTree, filter_covers, filters_overlap, matches,
};

/// Levels of names. `z` is in no filter, so it stands for every level no filter names.
const NAME_LEVELS: [&str; 5] = ["", "a", "$s", "é", "z"];
const FILTER_LEVELS: [&str; 5] = ["", "a", "$s", "é", "+"];
const MAX_LEVELS: usize = 4;

/// The rules of section 4.7, as short as they can be said.
fn naive(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) | ([], []) => true,
        ([wanted, filter @ ..], [level, name @ ..]) => {
            (*wanted == "+" || wanted == level) && naive(filter, name)
        }
        _ => false,
    }
}

fn naive_matches(filter: &str, name: &str) -> bool {
    let reserved = name.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'));
    let filter: Vec<_> = filter.split('/').collect();
    let name: Vec<_> = name.split('/').collect();
    !reserved && naive(&filter, &name)
}

/// Every name of up to `MAX_LEVELS` levels over the small alphabet.
fn all_names() -> Vec<String> {
    let mut names: Vec<String> = NAME_LEVELS.iter().map(ToString::to_string).collect();
    let mut longest = names.clone();
    for _ in 1..MAX_LEVELS {
        longest = longest
            .iter()
            .flat_map(|name| {
                NAME_LEVELS
                    .iter()
                    .map(move |level| format!("{name}/{level}"))
            })
            .collect();
        names.extend_from_slice(&longest);
    }
    names.retain(|name| TopicName::parse(name).is_ok());
    names
}

fn a_filter() -> impl Strategy<Value = String> {
    let levels = vec(prop::sample::select(&FILTER_LEVELS[..]), 0..MAX_LEVELS);
    (levels, any::<bool>())
        .prop_map(|(mut levels, multi)| {
            if multi {
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("not empty", |filter| TopicFilter::parse(filter).is_ok())
}

fn a_name() -> impl Strategy<Value = String> {
    vec(prop::sample::select(&NAME_LEVELS[..]), 1..=MAX_LEVELS)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("not empty", |name| !name.is_empty())
}

fn names_of(tree: &TopicTree<u32>, filter: &str, budget: usize) -> Vec<String> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        from = tree.for_each_match(filter, from.as_ref(), budget, &mut |name, _| {
            found.push(name.to_owned());
            ControlFlow::Continue(())
        });
        if from.is_none() {
            return found;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matching_agrees_with_the_rules(filter in a_filter(), name in a_name()) {
        prop_assert_eq!(matches(&filter, &name), naive_matches(&filter, &name));
    }

    #[test]
    fn a_wildcard_for_a_level_matches_no_less(filter in a_filter(), name in a_name(), at in 0..4_usize) {
        let mut levels: Vec<_> = filter.split('/').collect();
        if let Some(level) = levels.get_mut(at)
            && *level != "#"
            && !(at == 0 && name.starts_with('$'))
        {
            *level = "+";
        }
        prop_assert!(!matches(&filter, &name) || matches(&levels.join("/"), &name));
    }

    #[test]
    fn tree_agrees_with_the_matcher(
        steps in vec((a_filter(), 0..4_u8, any::<bool>()), 0..80),
        names in vec(a_name(), 1..20),
    ) {
        let mut tree = SubscriptionTree::new();
        let mut model: HashMap<(String, u8), usize> = HashMap::new();
        for (n, (filter, key, add)) in steps.into_iter().enumerate() {
            if add {
                let old = tree.insert(&filter, key, n);
                prop_assert_eq!(old, model.insert((filter, key), n));
            } else {
                let old = tree.remove(&filter, &key);
                prop_assert_eq!(old, model.remove(&(filter, key)));
            }
            prop_assert_eq!(tree.len(), model.len());
        }
        for name in &names {
            let mut found = Vec::new();
            tree.matches(name, &mut |key, value| found.push((*key, *value)));
            found.sort_unstable();
            let mut expected: Vec<_> = model
                .iter()
                .filter(|((filter, _), _)| naive_matches(filter, name))
                .map(|((_, key), value)| (*key, *value))
                .collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected, "{}", name);
        }
        for ((filter, key), value) in &model {
            prop_assert_eq!(tree.get(filter, key), Some(value));
            prop_assert_eq!(tree.remove(filter, key), Some(*value));
        }
        prop_assert!(tree.is_empty());
        prop_assert_eq!(tree.node_count(), 0);
    }

    #[test]
    fn retained_names_agree_with_the_matcher(
        names in vec(a_name(), 0..60),
        gone in vec(a_name(), 0..20),
        filters in vec(a_filter(), 1..10),
        budget in 1..7_usize,
    ) {
        let mut tree = TopicTree::new();
        let mut model = BTreeSet::new();
        for name in &names {
            prop_assert_eq!(tree.insert(name, 1).is_none(), model.insert(name.clone()));
        }
        for name in &gone {
            prop_assert_eq!(tree.remove(name).is_some(), model.remove(name));
        }
        prop_assert_eq!(tree.len(), model.len());
        for filter in &filters {
            let mut found = names_of(&tree, filter, budget);
            let count = found.len();
            found.sort_unstable();
            found.dedup();
            prop_assert_eq!(found.len(), count, "a name twice");
            let expected: Vec<_> =
                model.iter().filter(|name| naive_matches(filter, name)).cloned().collect();
            prop_assert_eq!(found, expected, "{}", filter);
        }
    }
}

#[test]
fn covering_and_overlapping_are_what_the_sets_say() {
    let names = all_names();
    let mut filters: BTreeSet<String> = BTreeSet::new();
    for length in 1..=3 {
        let mut count = vec![0; length];
        loop {
            let levels = ["", "a", "$s", "+", "#"];
            let filter: Vec<_> = count.iter().map(|n: &usize| levels[*n]).collect();
            let filter = filter.join("/");
            if TopicFilter::parse(&filter).is_ok() {
                filters.insert(filter);
            }
            let Some(at) = count.iter().position(|n| *n + 1 < levels.len()) else {
                break;
            };
            count[at] += 1;
            count[..at].fill(0);
        }
    }
    let sets: Vec<(&String, Vec<bool>)> = filters
        .iter()
        .map(|filter| {
            (
                filter,
                names
                    .iter()
                    .map(|name| naive_matches(filter, name))
                    .collect(),
            )
        })
        .collect();
    assert!(sets.len() > 80);
    for (wide, in_wide) in &sets {
        for (narrow, in_narrow) in &sets {
            let mut pairs = in_wide.iter().zip(in_narrow);
            let covers = pairs.all(|(wide, narrow)| *wide || !narrow);
            assert_eq!(
                filter_covers(wide, narrow),
                covers,
                "{wide} covers {narrow}"
            );
            let mut pairs = in_wide.iter().zip(in_narrow);
            let overlap = pairs.any(|(a, b)| *a && *b);
            assert_eq!(
                filters_overlap(wide, narrow),
                overlap,
                "{wide} overlaps {narrow}"
            );
        }
    }
}

#[test]
fn deep_filters_are_matched_without_recursion() {
    let levels = 30_000;
    let name = vec!["a"; levels].join("/");
    let mut tree = SubscriptionTree::new();
    tree.insert(&vec!["+"; levels].join("/"), 1, ());
    tree.insert(&format!("{}/#", vec!["+"; levels - 1].join("/")), 2, ());
    tree.insert(&format!("{}/+", vec!["a"; levels - 1].join("/")), 3, ());
    for n in 1..100 {
        tree.insert(&format!("{}/+", vec!["a"; n * 100].join("/")), 9, ());
    }
    let mut found = Vec::new();
    tree.matches(&name, &mut |key, ()| found.push(*key));
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3]);
}

#[test]
fn a_look_up_goes_on_where_it_stopped() {
    let mut tree = TopicTree::new();
    for n in 0..1000 {
        tree.insert(&format!("s/{n:03}/t"), n);
        tree.insert(&format!("s/{n:03}/u/deep"), n);
        tree.insert(&format!("s!/{n:03}/t"), n); // `!` sorts before `/` as a byte
    }
    assert_eq!(names_of(&tree, "s/+/t", 7).len(), 1000);
    assert_eq!(names_of(&tree, "s/#", 64).len(), 2000);
    assert_eq!(names_of(&tree, "s/500/#", 1), ["s/500/t", "s/500/u/deep"]);
    assert_eq!(names_of(&tree, "+/500/+", 5), ["s/500/t", "s!/500/t"]);

    let mut seen = Vec::new();
    let from = tree.for_each_match("s/+/t", None, usize::MAX, &mut |_, n| {
        seen.push(*n);
        if *n == 41 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(seen.len(), 42);
    tree.remove("s/041/t"); // the cursor does not need the name it stopped at
    tree.insert("s/041/t", 41);
    tree.remove("s/042/t");
    let end = tree.for_each_match("s/+/t", from.as_ref(), usize::MAX, &mut |_, n| {
        seen.push(*n);
        ControlFlow::Continue(())
    });
    assert_eq!((seen.len(), end), (999, None));
}

#[test]
fn a_slice_looks_at_no_more_names_than_its_budget() {
    let mut tree = TopicTree::new();
    for n in 0..10_000 {
        tree.insert(&format!("{n:05}/no"), n);
    }
    let mut slices = 0;
    let mut from = None;
    loop {
        from = tree.for_each_match("+/yes", from.as_ref(), 100, &mut |_, _| panic!("no match"));
        slices += 1;
        if from.is_none() {
            break;
        }
    }
    assert!((99..=201).contains(&slices), "{slices}");
}
