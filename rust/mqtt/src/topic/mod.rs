//! Topic Names, Topic Filters and what matches what (MQTT section 4.7).
//!
//! - [`name`], [`filter`]: validated newtypes; their checks are also plain functions.
//! - [`share`]: the prefixes `$share`, `$queue`, `$exclusive`, `$delayed`.
//! - [`matcher`]: does a filter match a name, cover a filter, overlap a filter.
//! - [`tree`]: which subscriptions does a Topic Name match.
//! - [`retained`]: which stored Topic Names does a filter match.
//!
//! Functions that take plain `&str` never panic on text that is not a valid name or filter; they
//! treat it level by level like any other.

mod edges;
pub mod filter;
mod label;
mod level_hash;
pub mod matcher;
pub mod name;
pub mod retained;
pub mod share;
mod subscribers;
pub mod tree;

pub use filter::TopicFilter;
pub use matcher::{filter_covers, filters_overlap, matches, reference_matches};
pub use name::{TopicError, TopicName, has_control_characters, level_count};
pub use retained::{Cursor, TopicTree};
pub use share::{Delayed, FilterScope, SharedFilter, strip_delayed};
pub use tree::SubscriptionTree;
