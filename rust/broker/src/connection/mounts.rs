//! From the topics a client writes to those they stand for: its mount point put in front.
//!
//! The way back is [`Session::hidden`].

use std::borrow::Cow;

use vallum_mqtt::packet::ReasonCode;
use vallum_policy::decision::AuthenticatedClient;

use crate::{
    event_loop::EventLoop,
    session::{Session, SessionRef},
};

/// The name that `topic` of `client` stands for.
pub(super) fn mounted_name<'t>(
    client: &AuthenticatedClient,
    topic: &'t str,
) -> Result<Cow<'t, str>, ReasonCode> {
    match &client.mountpoint {
        None => Ok(Cow::Borrowed(topic)),
        Some(mountpoint) => mountpoint
            .name(topic)
            .map(Cow::Owned)
            .map_err(|_| ReasonCode::TopicNameInvalid),
    }
}

/// The filter that `filter` of the session's client stands for; `None` if there is no room for its
/// mount point.
pub(super) fn mounted_filter<'a>(session: &Session, filter: &'a str) -> Option<Cow<'a, str>> {
    match &session.client.mountpoint {
        None => Some(Cow::Borrowed(filter)),
        Some(mountpoint) => mountpoint.filter(filter).ok().map(Cow::Owned),
    }
}

impl EventLoop {
    /// The name that `topic` of a session's client stands for.
    pub(super) fn mounted_name<'t>(
        &mut self,
        reference: SessionRef,
        topic: &'t str,
    ) -> Result<Cow<'t, str>, ReasonCode> {
        let Some(session) = self.session_mut(reference).filter(|s| s.mounted) else {
            return Ok(Cow::Borrowed(topic));
        };
        mounted_name(&session.client, topic)
    }
}
