//! A message on its way out, and its encodings: one for all receivers of a kind.

use std::{num::NonZeroU16, sync::Arc};

use vallum_mqtt::packet::{PublishParts, QoS, Version};

use crate::{message::Message, session::SessionRef};

/// Payloads from this size on, in bytes, are not copied for each receiver: their outboxes refer to one
/// [`Message`]. Below it a copy costs less than the bookkeeping (`docs/design.md` section 5).
pub(super) const SHARED_PAYLOAD_BYTES: usize = 3072;

/// A message on its way to its receivers. It borrows from the packet it came in; an owned
/// [`Message`] is made only when some receiver has to keep it.
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) properties: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) expires_at: Option<u32>,
    pub(crate) publisher: Option<SessionRef>,
    /// Bytes at the beginning of the topic that the receiver at hand is not shown.
    pub(super) hidden: usize,
    /// Its publisher will be told with a reason code if it is refused.
    pub(crate) hears_of_failure: bool,
    pub(super) message: Option<Arc<Message>>,
    pub(super) encoded: Encoded,
}

/// Encodings of one message, one after the other, found by kind.
#[derive(Default)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// Start, end and place of the packet identifier (0: none), by [`kind`].
    pub(super) spans: [Option<(usize, usize, usize)>; 12],
}

/// Index of an encoding: protocol family, `QoS`, RETAIN.
pub(super) fn kind(version: Version, qos: QoS, retain: bool) -> usize {
    usize::from(version == Version::V5) * 6 + usize::from(qos as u8) * 2 + usize::from(retain)
}

impl<'a> Outgoing<'a> {
    /// A message as a packet brought it.
    pub(crate) fn new(
        topic: &'a str,
        properties: &'a [u8],
        payload: &'a [u8],
        qos: QoS,
        retain: bool,
    ) -> Self {
        Self {
            topic,
            properties,
            payload,
            qos,
            retain,
            expires_at: None,
            publisher: None,
            hidden: 0,
            hears_of_failure: false,
            message: None,
            encoded: Encoded::default(),
        }
    }

    /// A message that is kept already.
    pub(crate) fn of_message(message: &'a Arc<Message>) -> Self {
        Self {
            topic: &message.topic,
            properties: &message.properties,
            payload: &message.payload,
            qos: message.qos,
            retain: message.retain,
            expires_at: message.expires_at,
            publisher: message.publisher,
            hidden: 0,
            hears_of_failure: false,
            message: Some(Arc::clone(message)),
            encoded: Encoded::default(),
        }
    }

    /// The message, to keep.
    pub(crate) fn keep(&mut self) -> Arc<Message> {
        Arc::clone(self.message.get_or_insert_with(|| {
            Arc::new(Message {
                topic: self.topic.into(),
                properties: self.properties.into(),
                payload: self.payload.into(),
                qos: self.qos,
                retain: self.retain,
                publisher: self.publisher,
                expires_at: self.expires_at,
            })
        }))
    }

    /// The message whose payload outboxes refer to instead of having a copy.
    pub(super) fn shared_payload(&self) -> Option<&Arc<Message>> {
        self.message
            .as_ref()
            .filter(|message| message.payload.len() >= SHARED_PAYLOAD_BYTES)
    }

    pub(super) fn parts(
        &self,
        version: Version,
        qos: QoS,
        retain: bool,
        now: u32,
    ) -> PublishParts<'a> {
        PublishParts {
            version,
            qos,
            dup: false,
            retain,
            topic: self.topic.get(self.hidden..).unwrap_or_default(),
            packet_id: None,
            message_expiry_interval: self.expires_at.map(|at| at.saturating_sub(now).max(1)),
            topic_alias: None,
            subscription_ids: &[],
            forwardable: self.properties,
            payload: self.payload,
        }
    }
}

/// Put a packet identifier where the encoder left room for it.
pub(super) fn patch_packet_id(bytes: &mut [u8], at: usize, id: NonZeroU16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&id.get().to_be_bytes());
    }
}

/// Append a PUBLISH, without its payload if that is shared; gives where its packet identifier stands, counted from its first byte. One that
/// does not fit the encoding (only its properties could grow that far) is left out whole.
pub(super) fn encode(parts: &PublishParts<'_>, shared: bool, out: &mut Vec<u8>) -> usize {
    let before = out.len();
    let encoded = if shared {
        parts.encode_header(out)
    } else {
        parts.encode(out)
    };
    if let Ok(layout) = encoded {
        layout.packet_id_at.unwrap_or(0)
    } else {
        out.truncate(before);
        0
    }
}
