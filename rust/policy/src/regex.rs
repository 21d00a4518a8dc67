//! Perl-compatible regular expressions with a bound on their work.
//!
//! PCRE2 in byte mode, compiled without flags, as the reference runs them (`spec/authorization.md`
//! section 5, `spec/expressions.md` section 6): `.` is one byte of a UTF-8 sequence, look-around and
//! back-references work, a search is not anchored. The pattern is the operator's, the subject the
//! peer's: so a pattern may be slow, but a subject may not make it run without end.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use pcre2::bytes::{CaptureLocations, RegexBuilder};

/// Steps one search may take before it is given up (`spec/expressions.md` section 10).
pub const MATCH_LIMIT: u32 = 1_000_000;

/// Largest pattern accepted, in bytes.
pub const MAX_PATTERN_BYTES: usize = 64 * 1024;

/// Ceiling of the stack one JIT search may use, in bytes: the library's own 32 KiB end at a few
/// hundred repetitions of a group.
const JIT_STACK_BYTES: usize = 512 * 1024;

/// A compiled pattern. Cheap to search from many threads.
#[derive(Clone)]
pub struct Regex {
    inner: pcre2::bytes::Regex,
    pattern: Box<str>,
    spare: Spare,
}

/// Room for the groups of a match, kept for the next one: each holds a JIT stack, and mapping that
/// anew costs more than most searches.
type Spare = Arc<Mutex<Vec<CaptureLocations>>>;

/// Rooms kept at most: as many as threads may search at once without paying for it.
const MAX_SPARE: usize = 8;

/// Why a pattern does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexError {
    /// Byte of the pattern near which the fault was seen.
    pub offset: usize,
    /// What is wrong, in PCRE2's words.
    pub problem: String,
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (at byte {} of the pattern)",
            self.problem, self.offset
        )
    }
}

impl std::error::Error for RegexError {}

/// A search was given up: [`MATCH_LIMIT`] or the memory for it was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached;

impl Regex {
    /// Compiles `pattern`; flags may be set inside it, as in `(?i)`.
    pub fn compile(pattern: &str) -> Result<Self, RegexError> {
        if pattern.len() > MAX_PATTERN_BYTES {
            let problem = format!("pattern is longer than {MAX_PATTERN_BYTES} bytes");
            return Err(RegexError {
                offset: MAX_PATTERN_BYTES,
                problem,
            });
        }
        // A later limit at the start of a pattern replaces an earlier one, but none can exceed the
        // library's own of ten million: the operator may lift this one that far.
        let prefix = format!("(*LIMIT_MATCH={MATCH_LIMIT})");
        let inner = RegexBuilder::new()
            .jit_if_available(true)
            .max_jit_stack_size(Some(JIT_STACK_BYTES))
            .build(&format!("{prefix}{pattern}"))
            .map_err(|error| RegexError {
                offset: error.offset().unwrap_or(0).saturating_sub(prefix.len()),
                problem: problem_text(&error),
            })?;
        Ok(Self {
            inner,
            pattern: pattern.into(),
            spare: Spare::default(),
        })
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Number of groups, the whole match not counted.
    pub fn group_count(&self) -> usize {
        self.inner.captures_len() - 1
    }

    /// Whether the pattern is found anywhere in `subject`; a search that is given up found nothing.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        self.search(subject) == Ok(true)
    }

    /// As [`Regex::is_match`], telling "not found" from "given up".
    pub fn search(&self, subject: &[u8]) -> Result<bool, LimitReached> {
        self.inner.is_match(subject).map_err(|_| LimitReached)
    }

    /// The first match with its groups; `None` when not found or given up.
    pub fn captures<'s>(&self, subject: &'s [u8]) -> Option<Captures<'s>> {
        self.captures_at(subject, 0)
    }

    /// As [`Regex::captures`], searching from byte `start`; what lies before it is still seen by
    /// look-behind and anchors. `None` when `start` is past the end.
    pub fn captures_at<'s>(&self, subject: &'s [u8], start: usize) -> Option<Captures<'s>> {
        if start > subject.len() {
            return None;
        }
        let kept = self
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut locations = kept.unwrap_or_else(|| self.inner.capture_locations());
        let found = self.inner.captures_read_at(&mut locations, subject, start);
        let captures = Captures {
            subject,
            locations: Some(locations),
            spare: Arc::clone(&self.spare),
        };
        matches!(found, Ok(Some(_))).then_some(captures)
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.pattern)
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Regex {}

/// A match: group 0 is the whole of it.
pub struct Captures<'s> {
    subject: &'s [u8],
    /// Taken only by `drop`.
    locations: Option<CaptureLocations>,
    spare: Spare,
}

impl<'s> Captures<'s> {
    /// Bytes of group `index`; `None` when it took no part in the match or does not exist.
    pub fn get(&self, index: usize) -> Option<&'s [u8]> {
        let (start, end) = self.span(index)?;
        self.subject.get(start..end)
    }

    /// Start and end of group `index` in the subject, in bytes.
    pub fn span(&self, index: usize) -> Option<(usize, usize)> {
        self.locations.as_ref()?.get(index)
    }

    /// Number of groups of the pattern, the whole match included.
    pub fn group_count(&self) -> usize {
        self.locations.as_ref().map_or(0, CaptureLocations::len)
    }
}

impl Drop for Captures<'_> {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE {
            spare.extend(self.locations.take());
        }
    }
}

/// PCRE2's message without the position it appends, which counts our prefix.
fn problem_text(error: &pcre2::Error) -> String {
    let text = error.to_string();
    match text.split_once(": ") {
        Some((head, tail)) if head.starts_with("PCRE2:") => tail.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn searches_bytes_unanchored() {
        assert!(Regex::compile("dm").unwrap().is_match(b"admin"));
        assert!(!Regex::compile("^.$").unwrap().is_match("é".as_bytes()));
        assert!(Regex::compile("^..$").unwrap().is_match("é".as_bytes()));
        assert!(Regex::compile("^a$").unwrap().is_match(b"a\n"));
        assert!(Regex::compile(r"^(?=.*\d)(\w)\1").unwrap().is_match(b"aa1"));
    }

    #[test]
    fn gives_up_on_a_runaway_search() {
        let mut subject = vec![b'a'; 40];
        subject.push(b'!');
        for pattern in [
            "^(a+)+$",
            "(*LIMIT_MATCH=4000000000)^(a+)+$",
            "(*NO_JIT)^(a+)+$",
        ] {
            let regex = Regex::compile(pattern).unwrap();
            assert_eq!(regex.search(&subject), Err(LimitReached), "{pattern}");
            assert!(!regex.is_match(&subject));
            assert!(regex.captures(&subject).is_none());
        }
    }

    #[test]
    fn long_subjects_fit_the_stack() {
        let subject = vec![b'a'; 3000];
        assert_eq!(
            Regex::compile("^(a|b)*$").unwrap().search(&subject),
            Ok(true)
        );
    }

    #[test]
    fn names_the_fault_of_a_pattern() {
        let error = Regex::compile("[").unwrap_err();
        assert_eq!(error.offset, 1);
        assert!(error.problem.contains("missing terminating ]"), "{error}");
        assert!(Regex::compile(&"a".repeat(MAX_PATTERN_BYTES + 1)).is_err());
    }

    #[test]
    fn returns_groups() {
        let regex = Regex::compile("(x)?([a-z]+)-([0-9]+)").unwrap();
        let captures = regex.captures(b"vin-12 car-3").unwrap();
        assert_eq!(captures.get(0), Some(&b"vin-12"[..]));
        assert_eq!(captures.get(1), None);
        assert_eq!(captures.get(3), Some(&b"12"[..]));
        assert_eq!(captures.group_count(), 4);
        let next = regex.captures_at(b"vin-12 car-3", 6).unwrap();
        assert_eq!(next.span(0), Some((7, 12)));
        assert!(regex.captures_at(b"", 1).is_none());
    }
}
