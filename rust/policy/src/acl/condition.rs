//! The second part of a rule: which clients it is for.

use super::{cidr::Cidr, decide::Context};
use crate::{profile::Profile, regex::Regex};

/// A compiled condition. Combinations look left to right and stop as soon as the answer is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All,
    Username(TextMatch),
    ClientId(TextMatch),
    Attribute(Box<str>, TextMatch),
    Zone(TextMatch),
    Listener(TextMatch),
    /// The peer's address lies in one of the blocks.
    Peer(Box<[Cidr]>),
    Profile(Profile),
    And(Box<[Condition]>),
    Or(Box<[Condition]>),
}

/// How a text is compared: byte for byte, or by an unanchored search.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TextMatch {
    Equal(Box<str>),
    Search(Box<Regex>),
}

/// The answer of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    No,
    Yes,
    /// A search was given up at its limit; without it the answer is not known.
    Unknown,
}

impl From<bool> for Truth {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Condition {
    pub(super) fn test(&self, context: &Context<'_>) -> Truth {
        let client = context.client;
        match self {
            Self::All => Truth::Yes,
            // An absent user name matches nothing, not even `.*`; an empty one is a name.
            Self::Username(wanted) => wanted.test(client.username.as_deref()),
            Self::ClientId(wanted) => wanted.test(Some(&client.client_id)),
            Self::Attribute(name, wanted) => {
                wanted.test(client.client_attrs.get(name).map(AsRef::as_ref))
            }
            Self::Zone(wanted) => wanted.test(Some(&client.zone)),
            Self::Listener(wanted) => wanted.test(Some(&client.listener)),
            Self::Peer(blocks) => client
                .peer_host
                .is_some_and(|peer| {
                    blocks
                        .iter()
                        .any(|block| block.contains(peer, context.settings.profile))
                })
                .into(),
            Self::Profile(profile) => (*profile == context.settings.profile).into(),
            Self::And(conditions) => fold(conditions, context, Truth::No, Truth::Yes),
            Self::Or(conditions) => fold(conditions, context, Truth::Yes, Truth::No),
        }
    }
}

/// `decisive` ends the search; `otherwise` is the answer when all conditions gave it.
fn fold(
    conditions: &[Condition],
    context: &Context<'_>,
    decisive: Truth,
    otherwise: Truth,
) -> Truth {
    let mut answer = otherwise;
    for condition in conditions {
        match condition.test(context) {
            truth if truth == decisive => return decisive,
            Truth::Unknown => answer = Truth::Unknown,
            Truth::No | Truth::Yes => {}
        }
    }
    answer
}

impl TextMatch {
    fn test(&self, value: Option<&str>) -> Truth {
        match (self, value) {
            (_, None) => Truth::No,
            (Self::Equal(wanted), Some(value)) => (**wanted == *value).into(),
            (Self::Search(regex), Some(value)) => regex
                .search(value.as_bytes())
                .map_or(Truth::Unknown, Truth::from),
        }
    }
}
