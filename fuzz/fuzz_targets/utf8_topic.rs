//! Texts as Topic Names and Topic Filters: the checks, the matcher and both trees against the model.
//!
//! Input: a name, then filters, one a line.
#![no_main]

use std::{num::NonZeroU16, ops::ControlFlow};

use libfuzzer_sys::fuzz_target;
use vallum_fuzz::{packets, topics};
use vallum_mqtt::{
    packet::{Packet, Version},
    topic::{
        Delayed, FilterScope, SubscriptionTree, TopicFilter, TopicName, TopicTree, filter_covers,
        filters_overlap, has_control_characters, level_count, matches, strip_delayed,
    },
};

/// A PUBLISH takes the bytes as its topic exactly if they are text that is a Topic Name.
fn check_publish(topic: &[u8]) {
    let Ok(length) = u16::try_from(topic.len()) else {
        return;
    };
    let mut bytes = vec![0x30];
    let mut remaining = topic.len() + 2;
    while remaining >= 0x80 {
        bytes.push(0x80 | u8::try_from(remaining & 0x7f).unwrap());
        remaining >>= 7;
    }
    bytes.push(u8::try_from(remaining).unwrap());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(topic);
    let is_name = std::str::from_utf8(topic).is_ok_and(topics::is_name);
    let decoded = packets::decode(Version::V311, &bytes).expect("a whole packet");
    assert_eq!(decoded.is_ok(), is_name, "{topic:?}");
    if let Ok(packet) = decoded {
        assert!(matches!(packet, Packet::Publish(publish) if publish.topic.as_bytes() == topic));
    }
}

/// The prefixes: what is behind one is a part of the text and valid by itself.
fn check_prefixes(text: &str) {
    if let Ok(scope) = FilterScope::parse(text) {
        assert!(
            text.ends_with(scope.filter()) && topics::is_filter(scope.filter()),
            "{text:?}"
        );
        if let FilterScope::Plain(filter) = scope {
            assert_eq!(filter, text);
        }
    }
    if let Ok(Some(delayed)) = Delayed::parse(text) {
        assert!(topics::is_name(delayed.topic), "{text:?}");
        let stripped = strip_delayed(text).expect("it has a delay");
        assert_eq!(stripped.map(|(_, topic)| topic), Some(delayed.topic));
    }
}

fn check_filter(filter: &str, name: &str) {
    assert_eq!(
        TopicFilter::parse(filter).is_ok(),
        topics::is_filter(filter),
        "{filter:?}"
    );
    check_prefixes(filter);
    // No panic, valid or not.
    let found = matches(filter, name);
    let (covers, overlaps) = (filter_covers(filter, name), filters_overlap(filter, name));
    if !topics::is_filter(filter) || !topics::is_name(name) {
        return;
    }
    let model = topics::matches(filter, name);
    // A name is the filter that matches just itself.
    assert_eq!(
        (found, covers, overlaps),
        (model, model, model),
        "{filter:?} {name:?}"
    );

    let mut retained = TopicTree::new();
    retained.insert(name, ());
    retained.insert("other/name", ());
    let mut seen = false;
    retained.for_each_match(filter, None, usize::MAX, &mut |stored, ()| {
        seen |= stored == name;
        ControlFlow::Continue(())
    });
    assert_eq!(seen, model, "{filter:?} {name:?}");
}

fn check_tree(filters: &[&str], name: &str) {
    let mut tree = SubscriptionTree::new();
    let mut expected = Vec::new();
    for (key, filter) in filters.iter().enumerate() {
        assert_eq!(tree.insert(filter, key, NonZeroU16::MIN), None);
        if topics::matches(filter, name) {
            expected.push(key);
        }
    }
    let mut found = Vec::new();
    tree.matches(name, &mut |key, _| found.push(*key));
    found.sort_unstable();
    assert_eq!(found, expected, "{filters:?} {name:?}");
    for (key, filter) in filters.iter().enumerate() {
        assert_eq!(tree.remove(filter, &key), Some(NonZeroU16::MIN));
    }
    assert!(tree.is_empty());
    assert_eq!(tree.node_count(), 0);
}

fuzz_target!(|data: &[u8]| {
    for line in data.split(|byte| *byte == b'\n') {
        check_publish(line);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let name = lines.next().unwrap_or_default();
    let filters: Vec<&str> = lines.collect();
    assert_eq!(
        TopicName::parse(name).is_ok(),
        topics::is_name(name),
        "{name:?}"
    );
    assert_eq!(level_count(name), name.split('/').count());
    check_prefixes(name);
    let odd = |c: char| {
        c.is_control()
            || matches!(u32::from(c), 0xfdd0..=0xfdef)
            || u32::from(c) % 0x1_0000 >= 0xfffe
    };
    assert_eq!(has_control_characters(name), name.contains(odd), "{name:?}");
    for filter in &filters {
        check_filter(filter, name);
    }
    if topics::is_name(name) {
        let valid: Vec<&str> = filters
            .into_iter()
            .filter(|filter| topics::is_filter(filter))
            .collect();
        check_tree(&valid, name);
    }
});
