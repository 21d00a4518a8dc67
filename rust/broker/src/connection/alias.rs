//! Topic aliases of one connection, in both directions (sections 3.3.2.3.4 and 3.1.2.11.5).
//!
//! They end with the connection: a delivery that is sent again to a client that came back is written
//! with the table of the new connection, which begins empty.

use std::{collections::HashMap, num::NonZeroU16};

use vallum_mqtt::packet::{PublishParts, ReasonCode};

/// Bytes of topics that a client's aliases may hold.
const MAX_INCOMING_BYTES: usize = 256 * 1024;
/// Bytes that the topics of our aliases towards one client may take, with what the table itself needs
/// for each. The topics that come after that are sent in full.
const MAX_OUTGOING_BYTES: usize = 64 * 1024;
/// What a topic takes in the table beyond its own bytes.
const ENTRY_BYTES: usize = 64;
/// Bytes of the Topic Alias property: a topic must be longer than that.
const PROPERTY_BYTES: usize = 3;

/// Topics by the alias that the client gave them.
#[derive(Debug, Default)]
pub struct IncomingAliases {
    topics: HashMap<u16, Box<str>>,
    bytes: usize,
}

impl IncomingAliases {
    /// What an alias stands for.
    pub fn topic(&self, alias: u16) -> Option<&str> {
        self.topics.get(&alias).map(|topic| &**topic)
    }

    /// Let an alias stand for `topic` from now on.
    pub fn set(&mut self, alias: u16, topic: &str) -> Result<(), ReasonCode> {
        let old = self.topics.insert(alias, topic.into());
        self.bytes = self.bytes + topic.len() - old.map_or(0, |old| old.len());
        if self.bytes > MAX_INCOMING_BYTES {
            return Err(ReasonCode::QuotaExceeded);
        }
        Ok(())
    }
}

/// Aliases that we gave: first come, and never given to another topic.
#[derive(Debug)]
pub struct OutgoingAliases {
    aliases: HashMap<Box<str>, NonZeroU16>,
    bytes: usize,
    /// The client's Topic Alias Maximum, capped by `mqtt.max_topic_alias_out`.
    maximum: u16,
}

impl OutgoingAliases {
    /// No alias yet; `maximum` may be given.
    pub fn new(maximum: u16) -> Self {
        Self {
            aliases: HashMap::new(),
            bytes: 0,
            maximum,
        }
    }

    /// Append a PUBLISH: the first of a topic gives it an alias, the next ones go by that. `limit` is the client's Maximum Packet Size: an alias is only given in a
    /// packet that is sent.
    pub fn encode(&mut self, parts: &PublishParts<'_>, limit: usize, out: &mut Vec<u8>) {
        let before = out.len();
        let known = self.aliases.get(parts.topic).copied();
        let alias = known.or_else(|| self.vacant(parts.topic));
        let written = PublishParts {
            topic_alias: alias,
            topic: if known.is_some() { "" } else { parts.topic },
            ..*parts
        }
        .encode(out);
        let (None, Some(alias)) = (known, alias) else {
            return;
        };
        if written.is_ok() && out.len() - before <= limit {
            self.bytes += parts.topic.len() + ENTRY_BYTES;
            self.aliases.insert(parts.topic.into(), alias);
        } else {
            out.truncate(before);
            // One that does not fit the encoding either is left out whole.
            let _ = parts.encode(out);
        }
    }

    /// The next alias, if `topic` is worth one and there is room.
    fn vacant(&self, topic: &str) -> Option<NonZeroU16> {
        let given = u16::try_from(self.aliases.len()).ok()?;
        let room = self.bytes + topic.len() + ENTRY_BYTES <= MAX_OUTGOING_BYTES;
        if topic.len() <= PROPERTY_BYTES || given >= self.maximum || !room {
            return None;
        }
        NonZeroU16::new(given + 1)
    }
}

#[cfg(test)]
mod tests {
    use vallum_mqtt::packet::{FixedHeader, Publish, QoS, Version};

    use super::*;

    fn parts(topic: &str) -> PublishParts<'_> {
        PublishParts {
            version: Version::V5,
            qos: QoS::AtMostOnce,
            dup: false,
            retain: false,
            topic,
            packet_id: None,
            message_expiry_interval: None,
            topic_alias: None,
            subscription_ids: &[],
            forwardable: &[],
            payload: b"x",
        }
    }

    /// Topic and alias of the packet that comes out.
    fn sent(aliases: &mut OutgoingAliases, topic: &str, limit: usize) -> (String, u16) {
        let mut out = Vec::new();
        aliases.encode(&parts(topic), limit, &mut out);
        let (header, at) = FixedHeader::parse(&out).expect("valid").expect("whole");
        let body = out.get(at..).unwrap_or_default();
        let publish = Publish::decode(Version::V5, &header, body).expect("valid");
        let alias = publish.properties.topic_alias();
        (publish.topic.to_owned(), alias.map_or(0, NonZeroU16::get))
    }

    #[test]
    fn aliases_go_to_the_first_topics_that_are_worth_one() {
        let mut aliases = OutgoingAliases::new(2);
        assert_eq!(sent(&mut aliases, "abc", 100), ("abc".to_owned(), 0));
        assert_eq!(sent(&mut aliases, "first", 100), ("first".to_owned(), 1));
        assert_eq!(sent(&mut aliases, "second", 100), ("second".to_owned(), 2));
        assert_eq!(sent(&mut aliases, "third", 100), ("third".to_owned(), 0));
        assert_eq!(sent(&mut aliases, "second", 100), (String::new(), 2));
        assert_eq!(sent(&mut aliases, "first", 100), (String::new(), 1));
    }

    #[test]
    fn a_packet_that_only_fits_without_an_alias_gives_none() {
        let mut aliases = OutgoingAliases::new(2);
        // Two bytes of header, two and five of topic, one of properties, one of payload.
        assert_eq!(sent(&mut aliases, "topic", 11), ("topic".to_owned(), 0));
        assert_eq!(sent(&mut aliases, "topic", 14), ("topic".to_owned(), 1));
        assert_eq!(sent(&mut aliases, "topic", 11), (String::new(), 1));
    }

    #[test]
    fn topics_past_the_bound_are_sent_in_full() {
        let mut aliases = OutgoingAliases::new(u16::MAX);
        let most = MAX_OUTGOING_BYTES / (ENTRY_BYTES + 6);
        for n in 0..most + 10 {
            let (_, alias) = sent(&mut aliases, &format!("t/{n:04}"), 100);
            assert_eq!(alias != 0, n < most, "{n}");
        }
    }
}
