//! The security profile (`spec/authentication.md` section 5).

use serde::{Deserialize, Serialize};

/// How doubtful situations are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Fail closed: what cannot be decided is denied.
    #[default]
    Hardened,
    /// The reference's behaviour, quirk for quirk.
    Legacy,
}
