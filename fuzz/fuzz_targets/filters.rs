//! `filter_covers` and `filters_overlap` against the sets of names that two filters match.
//!
//! Each input byte below six is a level, any other starts the second filter. Filters have up to four
//! levels, and names of five tell apart all that such filters can tell apart.
#![no_main]

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::OnceLock};

use libfuzzer_sys::fuzz_target;
use vallum_fuzz::topics;
use vallum_mqtt::topic::{filter_covers, filters_overlap, matches, reference_matches};

const FILTER_LEVELS: [&str; 6] = ["", "a", "b", "$s", "+", "#"];
/// `z` is in no filter: it stands for every level that filters do not name.
const NAME_LEVELS: [&str; 5] = ["", "a", "b", "$s", "z"];
const MAX_FILTER_LEVELS: usize = 4;

fn names() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut longest: Vec<String> = NAME_LEVELS.map(str::to_owned).into();
        let mut names = longest.clone();
        for _ in 0..MAX_FILTER_LEVELS {
            longest = longest
                .iter()
                .flat_map(|name| NAME_LEVELS.map(|level| format!("{name}/{level}")))
                .collect();
            names.extend_from_slice(&longest);
        }
        names.retain(|name| topics::is_name(name));
        names
    })
}

/// Which of [`names`] the filter matches; each filter is worked out once.
fn matched(filter: &str) -> Rc<[bool]> {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, Rc<[bool]>>> = RefCell::default();
    }
    if let Some(found) = KNOWN.with_borrow(|known| known.get(filter).cloned()) {
        return found;
    }
    let found: Rc<[bool]> = names()
        .iter()
        .map(|name| {
            let model = topics::matches(filter, name);
            assert_eq!(matches(filter, name), model, "{filter:?} matches {name:?}");
            model
        })
        .collect();
    KNOWN.with_borrow_mut(|known| known.insert(filter.to_owned(), Rc::clone(&found)));
    found
}

fn filter(bytes: &[u8]) -> Option<String> {
    let levels: Vec<&str> = bytes
        .iter()
        .take(MAX_FILTER_LEVELS)
        .map(|byte| FILTER_LEVELS[usize::from(*byte)])
        .collect();
    let text = levels.join("/");
    topics::is_filter(&text).then_some(text)
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| usize::from(*byte) >= FILTER_LEVELS.len());
    let (Some(wide), Some(narrow)) = (parts.next().and_then(filter), parts.next().and_then(filter))
    else {
        return;
    };
    let (in_wide, in_narrow) = (matched(&wide), matched(&narrow));
    let mut pairs = in_wide.iter().zip(&*in_narrow);
    let covers = pairs.all(|(wide, narrow)| *wide || !narrow);
    assert_eq!(
        filter_covers(&wide, &narrow),
        covers,
        "{wide:?} covers {narrow:?}"
    );
    let mut pairs = in_wide.iter().zip(&*in_narrow);
    let overlap = pairs.any(|(wide, narrow)| *wide && *narrow);
    assert_eq!(
        filters_overlap(&wide, &narrow),
        overlap,
        "{wide:?} overlaps {narrow:?}"
    );
    assert_eq!(
        filters_overlap(&narrow, &wide),
        overlap,
        "{narrow:?} overlaps {wide:?}"
    );
    // What hardened allows, legacy allows.
    assert!(
        !covers || reference_matches(&wide, &narrow),
        "{wide:?} {narrow:?}"
    );
});
