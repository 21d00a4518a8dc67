//! Access control: who may publish to and subscribe to what (`spec/authorization.md`).
//!
//! Rules come as the text of `acl.conf`, as rows and JSON documents, or as a preset from the
//! authenticator. All are compiled once into [`Rule`]s and decided by one piece of code; compiling
//! is the same for both profiles, deciding is not.
//!
//! - `terms`, `lexer`: the Erlang terms an `acl.conf` is made of, with their places.
//! - `compile`: terms to rules. `raw`: rows and JSON to rules. `preset`: rules given at login.
//! - `rule`, `condition`, `cidr`, `topic`: a compiled rule and its parts, each with its own test.
//! - `ruleset`: ordered rules; `decide`: what is asked and what is answered.
//! - `stage`: topics as they stand in a packet, superusers.
//! - `error`: why a text was rejected, what is odd about one that was not.

mod cidr;
mod compile;
mod condition;
mod decide;
mod error;
mod lexer;
mod preset;
mod raw;
mod rule;
mod ruleset;
mod stage;
mod terms;
mod topic;

pub use cidr::Cidr;
pub use decide::{Action, FailReason, Request, RuleVerdict, Settings, TemplateAllow};
pub use error::{AclError, Reason, Warning, WarningKind};
pub use preset::{Expiry, Preset, PresetError, PresetVerdict};
pub use raw::{RawError, RawOptions};
pub use rule::{Permission, Rule};
pub use ruleset::{MAX_FILE_BYTES, RuleSet};
pub use stage::{Outcome, RuleSource, Stage, UnwrapError, decide_staged, unwrap_topic};
