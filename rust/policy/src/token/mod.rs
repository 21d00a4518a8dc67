//! JSON Web Tokens: keys, verification, claims, and the authenticator made of them.
//!
//! - [`key`]: verification keys; the key alone decides which algorithms are allowed.
//! - `segment`: base64url of one token segment.
//! - `header`: which algorithm a token claims.
//! - [`verify`]: three segments and a signature become trusted payload bytes.
//! - `value`, `claims`: the payload parsed once, time claims, claim checks.
//! - `grant`: what the claims give the client.
//! - [`authenticator`]: the `mechanism = jwt` authenticator.
//! - [`mint`]: making and reading tokens for tools; never used to decide.

pub mod authenticator;
mod claims;
mod grant;
mod header;
pub mod key;
pub mod mint;
mod segment;
mod value;
pub mod verify;

pub use authenticator::{Credentials, JwtAuthenticator};
pub(crate) use grant::is_attribute_name;
pub use key::{Algorithm, KeyFault, KeySet, KeySlot, KeySource, VerifyKey};
pub use verify::{MAX_TOKEN_BYTES, TokenFault};
