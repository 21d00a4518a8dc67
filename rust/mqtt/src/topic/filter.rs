//! Topic Filters: what a SUBSCRIBE asks for. A [`TopicFilter`] has been checked.

use super::name::{TopicError, check_text, level_count};

/// A Topic Filter: like a name, but `+` may be a level and `#` the last level (section 4.7.1).
///
/// A prefix such as `$share/group/` is part of the text here; [`super::FilterScope`] takes it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter<'a>(&'a str);

impl<'a> TopicFilter<'a> {
    /// Check `text` and wrap it.
    pub fn parse(text: &'a str) -> Result<Self, TopicError> {
        check_filter(text)?;
        Ok(Self(text))
    }

    /// The text itself.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Does it hold `+` or `#`?
    pub fn has_wildcard(self) -> bool {
        has_wildcard(self.0)
    }

    /// Number of levels, `#` counted as one.
    pub fn levels(self) -> usize {
        level_count(self.0)
    }
}

/// Check a Topic Filter without wrapping it.
pub fn check_filter(text: &str) -> Result<(), TopicError> {
    check_text(text)?;
    if !has_wildcard(text) {
        return Ok(());
    }
    let mut ended = false;
    for level in text.split('/') {
        if ended {
            return Err(TopicError::BadMultiLevel); // something follows `#` [MQTT-4.7.1-1]
        }
        match level {
            "#" => ended = true,
            "+" => {}
            _ if level.contains('#') => return Err(TopicError::BadMultiLevel),
            _ if level.contains('+') => return Err(TopicError::BadSingleLevel), // [MQTT-4.7.1-2]
            _ => {}
        }
    }
    Ok(())
}

/// Does the text hold a `+` or `#` anywhere?
pub fn has_wildcard(text: &str) -> bool {
    text.bytes().any(|byte| byte == b'+' || byte == b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for good in [
            "a", "#", "+", "+/+", "a/#", "/", "//", "+/#", "$SYS/#", "/+/",
        ] {
            assert_eq!(TopicFilter::parse(good).map(TopicFilter::as_str), Ok(good));
        }
        for (bad, why) in [
            ("", TopicError::Empty),
            ("a/#/b", TopicError::BadMultiLevel),
            ("#/", TopicError::BadMultiLevel),
            ("a#", TopicError::BadMultiLevel),
            ("##", TopicError::BadMultiLevel),
            ("a+", TopicError::BadSingleLevel),
            ("+a/b", TopicError::BadSingleLevel),
            ("++", TopicError::BadSingleLevel),
            ("a\0/#", TopicError::Null),
        ] {
            assert_eq!(TopicFilter::parse(bad), Err(why), "{bad:?}");
        }
    }
}
