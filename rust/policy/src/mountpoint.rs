//! Mount points: a text in front of every topic of a client, which the client does not see
//! (`spec/hardening.md` section 8).

use vallum_mqtt::topic::{FilterScope, TopicError, filter::check_filter, name::check_name};

/// The mount point of one client. Never empty, and never the beginning of `$share/` and the like: a
/// filter behind it is a filter in its own tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mountpoint(Box<str>);

/// The longest mount point, in bytes: a topic behind it has at most 65,535 (MQTT section 1.5.4).
pub const MAX_MOUNTPOINT_BYTES: usize = 4096;

impl Mountpoint {
    /// `None` if `text` cannot be one.
    pub(crate) fn new(text: &str) -> Option<Self> {
        // A placeholder that the legacy profile left in place is no prefix of a subscription.
        let special = text.starts_with('$') && !text.starts_with("${");
        (!text.is_empty() && text.len() <= MAX_MOUNTPOINT_BYTES && !special)
            .then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that `topic` of the client stands for.
    pub fn name(&self, topic: &str) -> Result<String, TopicError> {
        let mounted = self.put_before(topic);
        check_name(&mounted)?;
        Ok(mounted)
    }

    /// The filter that `filter` of the client stands for, inside `$share/GROUP/` and the like.
    pub fn filter(&self, filter: &str) -> Result<String, TopicError> {
        let inner = FilterScope::parse(filter)?.filter();
        let prefix = filter.strip_suffix(inner).unwrap_or_default();
        let mounted = self.put_before(inner);
        check_filter(&mounted)?;
        Ok(format!("{prefix}{mounted}"))
    }

    /// Bytes of `topic` that its client is not shown.
    pub fn hidden(&self, topic: &str) -> usize {
        if topic.starts_with(&*self.0) {
            self.0.len()
        } else {
            0
        }
    }

    /// The client's own name or filter with this in front, unchecked: what rules are asked about.
    pub(crate) fn put_before(&self, own: &str) -> String {
        [&*self.0, own].concat()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn goes_inside_prefixes() {
        let mount = Mountpoint::new("acme/").unwrap();
        for (own, mounted) in [
            ("a/#", "acme/a/#"),
            ("#", "acme/#"),
            ("/", "acme//"),
            ("$SYS/#", "acme/$SYS/#"),
            ("$share/g/a", "$share/g/acme/a"),
            ("$share/g//a", "$share/g/acme//a"),
            ("$queue/a/+", "$queue/acme/a/+"),
            ("$exclusive/a", "$exclusive/acme/a"),
            ("$shared/a", "acme/$shared/a"),
        ] {
            assert_eq!(mount.filter(own).as_deref(), Ok(mounted));
        }
        assert!(mount.filter("$share/g").is_err());
        assert!(mount.filter("$share/g/").is_err());
        assert_eq!(mount.name("a/b").as_deref(), Ok("acme/a/b"));
        assert!(mount.name(&"x".repeat(65_531)).is_err());
    }

    #[test]
    fn is_taken_off_once() {
        let mount = Mountpoint::new("a/").unwrap();
        assert_eq!(mount.hidden("a/a/b"), 2);
        assert_eq!(mount.hidden("b/a/"), 0);
        assert_eq!(mount.hidden("a"), 0);
    }

    #[test]
    fn is_never_a_prefix_of_subscriptions() {
        for text in ["", "$share/", "$", "$SYS/"] {
            assert_eq!(Mountpoint::new(text), None, "{text}");
        }
        assert!(Mountpoint::new("${username}/").is_some());
        assert!(Mountpoint::new(&"x".repeat(MAX_MOUNTPOINT_BYTES)).is_some());
        assert!(Mountpoint::new(&"x".repeat(MAX_MOUNTPOINT_BYTES + 1)).is_none());
    }

    #[test]
    fn wildcards_of_a_legacy_value_make_no_name() {
        let mount = Mountpoint::new("+/").unwrap();
        assert!(mount.name("a").is_err());
        assert_eq!(mount.filter("a").as_deref(), Ok("+/a"));
        assert!(Mountpoint::new("#/").unwrap().filter("a").is_err());
    }
}
