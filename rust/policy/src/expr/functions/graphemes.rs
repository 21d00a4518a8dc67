//! Counting and searching by what a reader takes for one character: extended grapheme clusters.
//!
//! Plain ASCII without CR needs no tables: there every byte is one.

use memchr::memmem;
use unicode_segmentation::UnicodeSegmentation;

/// Whether every byte of `text` is a grapheme cluster of its own.
pub(super) fn is_simple(text: &str) -> bool {
    text.is_ascii() && !text.contains('\r')
}

/// Number of grapheme clusters.
pub(super) fn count(text: &str) -> usize {
    if is_simple(text) {
        text.len()
    } else {
        text.graphemes(true).count()
    }
}

/// Byte offset of the grapheme cluster number `index`; the length of the text when there is none.
pub(super) fn offset(text: &str, index: usize) -> usize {
    if is_simple(text) {
        return index.min(text.len());
    }
    text.grapheme_indices(true)
        .nth(index)
        .map_or(text.len(), |(offset, _)| offset)
}

/// Which occurrences of a needle are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occurrence {
    All,
    First,
    Last,
}

impl Occurrence {
    /// The option words shared by `find`, `replace` and `split`.
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"all" => Some(Self::All),
            b"leading" => Some(Self::First),
            b"trailing" => Some(Self::Last),
            _ => None,
        }
    }
}

/// Start offsets of `needle` (not empty) in `text`, without overlap. A match must end where a
/// grapheme cluster ends: `e` is not found in `e` with a combining accent.
pub(super) fn occurrences(text: &str, needle: &str, which: Occurrence) -> Vec<usize> {
    let boundaries = (!is_simple(text)).then(|| boundaries(text));
    let matches_at = |start: usize| {
        let end = start + needle.len();
        boundaries
            .as_ref()
            .is_none_or(|boundaries| boundaries.binary_search(&end).is_ok())
    };
    let mut starts = Vec::new();
    if which == Occurrence::Last {
        let mut end = text.len();
        while let Some(head) = text.as_bytes().get(..end)
            && let Some(start) = memmem::rfind(head, needle.as_bytes())
        {
            if matches_at(start) {
                starts.push(start);
                break;
            }
            end = start + needle.len() - 1;
        }
        return starts;
    }
    let finder = memmem::Finder::new(needle);
    let mut from = 0;
    while let Some(rest) = text.as_bytes().get(from..)
        && let Some(found) = finder.find(rest)
    {
        let start = from + found;
        if !matches_at(start) {
            from = start + 1;
            continue;
        }
        starts.push(start);
        if which == Occurrence::First {
            break;
        }
        from = start + needle.len();
    }
    starts
}

/// All offsets where a grapheme cluster ends, ascending. One pass, because asking for a single
/// offset may look back over the whole text.
fn boundaries(text: &str) -> Vec<usize> {
    text.grapheme_indices(true)
        .map(|(start, grapheme)| start + grapheme.len())
        .collect()
}
