//! The one topic matcher of the house. Everything else that matches topics calls it, or is tested
//! against it.
//!
//! Levels are what lies between `/`; an empty level is a level. A name whose first character is `$`
//! is matched by no filter whose first level is a wildcard [MQTT-4.7.2-1]. All functions run in
//! time proportional to the shorter text and allocate nothing.

/// Does `filter` match the Topic Name `topic` (spec/authorization.md section 6)?
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && starts_with_wildcard(filter) {
        return false;
    }
    let mut topic_levels = topic.as_bytes().split(|byte| *byte == b'/');
    let mut filter_levels = filter.as_bytes().split(|byte| *byte == b'/').peekable();
    while let Some(wanted) = filter_levels.next() {
        if wanted == b"#" && filter_levels.peek().is_none() {
            return true; // also the parent level itself: `a/#` matches `a`
        }
        match topic_levels.next() {
            Some(level) if wanted == b"+" || wanted == level => {}
            _ => return false,
        }
    }
    topic_levels.next().is_none()
}

/// Match an asked filter as if it were a Topic Name: its `+` and `#` are just words.
///
/// This is how the reference checks subscriptions against rules (table in spec/authorization.md
/// section 6). It lets `a/#` pass a rule for `a/+`; use [`filter_covers`] where that matters.
pub fn reference_matches(filter: &str, asked: &str) -> bool {
    matches(filter, asked)
}

/// Is every Topic Name that `narrow` matches also matched by `wide`? Both must be valid filters.
pub fn filter_covers(wide: &str, narrow: &str) -> bool {
    if narrow.starts_with('$') && starts_with_wildcard(wide) {
        return false;
    }
    let (mut wide, mut narrow) = (levels_of(wide), levels_of(narrow));
    loop {
        match (wide.next(), narrow.next()) {
            (Some("#"), _) | (None, None) => return true,
            // A narrow `#` matches its parent level and any depth; only a wide `#` does both.
            (_, Some("#")) => return false,
            (Some("+"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// Is there a Topic Name that both filters match? Both must be valid filters.
pub fn filters_overlap(a: &str, b: &str) -> bool {
    if (a.starts_with('$') && starts_with_wildcard(b))
        || (b.starts_with('$') && starts_with_wildcard(a))
    {
        return false;
    }
    let (mut a, mut b) = (levels_of(a), levels_of(b));
    loop {
        match (a.next(), b.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// The levels of a filter, with two filters spelled out whose parent level is no name: a name has one
/// level at least, and is not empty.
///
/// `#` matches the same names as `+/#`, and `/#` as `/+/#`; the longer spelling lets the loops above
/// compare level by level.
fn levels_of(filter: &str) -> std::str::Split<'_, char> {
    let text = match filter {
        "#" => "+/#",
        "/#" => "/+/#",
        _ => filter,
    };
    text.split('/')
}

fn starts_with_wildcard(filter: &str) -> bool {
    matches!(filter.split('/').next(), Some("+" | "#"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (filter, topic, expect) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/", false),
            ("a/+", "a/b", true),
            ("a/+", "a/", true),
            ("a/+", "a", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a", true),
            ("#", "/", true),
            ("#", "$SYS", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("$SYS/+", "$SYS/x", true),
            ("+", "a", true),
            ("+/+", "/a", true),
            ("/+", "/a", true),
            ("+", "/a", false),
            ("a/#/b", "a/#/b", true),
            ("a/#/b", "a/x/b", false),
            ("é/+", "é/漢", true),
        ] {
            assert_eq!(matches(filter, topic), expect, "{filter} {topic}");
        }
    }

    #[test]
    fn asked_filters() {
        // asked, rule, as the reference, as sets
        for (asked, rule, reference, covers) in [
            ("a/#", "a/#", true, true),
            ("a/#", "#", true, true),
            ("a/#", "+/#", true, true),
            ("a/+", "a/#", true, true),
            ("a/#", "a/b", false, false),
            ("a/#", "a/+", true, false),
            ("#", "+", true, false),
            ("+/x", "$SYS/x", false, false),
            ("$SYS/#", "#", false, false),
            ("#", "+/#", true, true),
            ("a", "a/#", true, true),
            ("a/#", "a/+/#", true, false),
        ] {
            assert_eq!(reference_matches(rule, asked), reference, "{rule} {asked}");
            assert_eq!(filter_covers(rule, asked), covers, "{rule} covers {asked}");
        }
    }

    #[test]
    fn overlaps() {
        for (a, b, expect) in [
            ("a/+", "+/b", true),
            ("a/#", "a", true),
            ("a/+", "a", false),
            ("#", "$SYS/#", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/+", "$SYS/x", true),
            ("a/b/#", "a/+", true),
            ("a/b/c/#", "a/+", false),
        ] {
            assert_eq!(filters_overlap(a, b), expect, "{a} {b}");
            assert_eq!(filters_overlap(b, a), expect, "{b} {a}");
        }
    }
}
