//! Topic Names: what a PUBLISH is sent to. A [`TopicName`] has been checked.

use std::fmt;

/// Longest Topic Name or Topic Filter in bytes: the two-byte length of a string (section 1.5.4).
pub const MAX_BYTES: usize = 65_535;

/// Why a text is no Topic Name or no Topic Filter (section 4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicError {
    /// It has no character at all [MQTT-4.7.3-1].
    Empty,
    /// It is longer than [`MAX_BYTES`] [MQTT-4.7.3-3].
    TooLong,
    /// It holds U+0000 [MQTT-4.7.3-2].
    Null,
    /// A Topic Name holds `+` or `#` [MQTT-4.7.0-1].
    Wildcard,
    /// A filter has `#` that is not a whole level, or not the last one [MQTT-4.7.1-1].
    BadMultiLevel,
    /// A filter has `+` that is not a whole level [MQTT-4.7.1-2].
    BadSingleLevel,
    /// `$share/...` without a group name, or with a wildcard in it [MQTT-4.8.2-1] [MQTT-4.8.2-2].
    BadShareName,
    /// A prefix such as `$share/g/`, `$queue/` or `$delayed/5/` is not followed by a filter or name.
    NothingAfterPrefix,
    /// The seconds in `$delayed/N/...` are no decimal number, or too large.
    BadDelay,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the topic is empty",
            Self::TooLong => "the topic is longer than 65535 bytes",
            Self::Null => "the topic holds U+0000",
            Self::Wildcard => "a topic name holds a wildcard",
            Self::BadMultiLevel => "'#' is not alone in the last level of the filter",
            Self::BadSingleLevel => "'+' is not alone in its level of the filter",
            Self::BadShareName => "the share name is empty or holds a wildcard",
            Self::NothingAfterPrefix => "no topic follows the '$' prefix",
            Self::BadDelay => "the delay is not a number of seconds in range",
        })
    }
}

impl std::error::Error for TopicError {}

/// A Topic Name: not empty, no wildcard, no U+0000, at most 65,535 bytes (section 4.7).
///
/// Holding one is proof that those checks passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// Check `text` and wrap it.
    pub fn parse(text: &'a str) -> Result<Self, TopicError> {
        check_name(text)?;
        Ok(Self(text))
    }

    /// The text itself.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// A name that starts with `$` is not matched by a leading wildcard [MQTT-4.7.2-1].
    pub fn is_reserved(self) -> bool {
        self.0.starts_with('$')
    }

    /// Number of levels; `a//b` has three.
    pub fn levels(self) -> usize {
        level_count(self.0)
    }
}

/// Check a Topic Name without wrapping it.
pub fn check_name(text: &str) -> Result<(), TopicError> {
    check_text(text)?;
    if text.bytes().any(|byte| byte == b'+' || byte == b'#') {
        return Err(TopicError::Wildcard);
    }
    Ok(())
}

/// What names and filters have in common: length and U+0000.
pub(super) fn check_text(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > MAX_BYTES {
        return Err(TopicError::TooLong);
    }
    if text.as_bytes().contains(&0) {
        return Err(TopicError::Null);
    }
    Ok(())
}

/// Number of levels of a name or filter: one more than it has `/`.
pub fn level_count(text: &str) -> usize {
    text.bytes()
        .fold(1, |levels, byte| levels + usize::from(byte == b'/'))
}

/// Does `text` hold what section 1.5.4 says a string SHOULD NOT hold?
///
/// That is U+0001..U+001F, U+007F..U+009F and the Unicode non-characters. Such text is well formed;
/// whether it is refused is the caller's policy (`strict_mode`).
pub fn has_control_characters(text: &str) -> bool {
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    !plain && text.chars().any(is_control_or_noncharacter)
}

fn is_control_or_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    c.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "/", "a//b", "$SYS/x", " ", "é/漢", "a b/c"] {
            assert_eq!(TopicName::parse(good).map(TopicName::as_str), Ok(good));
        }
        for (bad, why) in [
            ("", TopicError::Empty),
            ("a/+", TopicError::Wildcard),
            ("a#", TopicError::Wildcard),
            ("a\0", TopicError::Null),
        ] {
            assert_eq!(TopicName::parse(bad), Err(why), "{bad:?}");
        }
        assert_eq!(
            TopicName::parse(&"x".repeat(65_536)),
            Err(TopicError::TooLong)
        );
        assert!(TopicName::parse(&"x".repeat(65_535)).is_ok());
        assert_eq!(level_count("a//b"), 3);
    }

    #[test]
    fn control_characters() {
        for bad in [
            "\u{1}",
            "a\u{1f}",
            "\u{7f}",
            "é\u{85}",
            "\u{fffe}",
            "\u{1ffff}",
            "\u{fdd0}",
        ] {
            assert!(has_control_characters(bad), "{bad:?}");
        }
        for good in [
            "", "a b~", "é", "\u{a0}", "\u{fdcf}", "\u{fdf0}", "\u{feff}", "😀",
        ] {
            assert!(!has_control_characters(good), "{good:?}");
        }
    }
}
