//! How groups of shared subscriptions share out.

use serde::Deserialize;

/// How a group shares out its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedPolicy {
    /// Which member gets a message.
    pub strategy: SharedStrategy,
    /// Which member `sticky` begins with.
    pub initial_sticky_pick: InitialPick,
}

/// Which member of a group gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedStrategy {
    /// Any.
    Random,
    /// In turn, counted for each publisher.
    RoundRobin,
    /// In turn, counted for the group.
    RoundRobinPerGroup,
    /// Always the same for a publisher, until it goes.
    Sticky,
    /// One on this node.
    Local,
    /// By client identifier of the publisher.
    #[serde(rename = "hash_clientid")]
    HashClientId,
    /// By topic name.
    HashTopic,
}

/// Which member `sticky` begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitialPick {
    /// Any.
    Random,
    /// One on this node.
    Local,
    /// By client identifier of the publisher.
    #[serde(rename = "hash_clientid")]
    HashClientId,
    /// By topic name.
    HashTopic,
}
