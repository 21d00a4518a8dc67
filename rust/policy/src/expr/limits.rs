//! What one expression may cost (`spec/expressions.md` section 10).

use super::error::ErrorCode;

/// Longest source text, in bytes.
pub(super) const MAX_SOURCE_BYTES: usize = 8 * 1024;

/// Deepest nesting of calls and arrays.
pub(super) const MAX_NESTING: usize = 64;

/// Longest string that may arise during evaluation, in bytes: four times MQTT's longest.
pub(super) const MAX_STRING_BYTES: usize = 4 * 64 * 1024;

/// Largest width of `pad` and `sprintf_s`, and largest length of `rand_str`.
pub(super) const MAX_WIDTH: usize = 65_536;

/// A string under construction that never grows past [`MAX_STRING_BYTES`].
#[derive(Default)]
pub(super) struct Bounded(Vec<u8>);

impl Bounded {
    /// Appends `bytes`; `badarg` when the result would be too long.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), ErrorCode> {
        if bytes.len() > MAX_STRING_BYTES.saturating_sub(self.0.len()) {
            return Err(ErrorCode::BadArg);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends `bytes` `count` times.
    pub(super) fn push_times(&mut self, bytes: &[u8], count: usize) -> Result<(), ErrorCode> {
        if bytes.is_empty() {
            return Ok(());
        }
        (0..count).try_for_each(|_| self.push(bytes))
    }

    /// The finished string.
    pub(super) fn into_vec(self) -> Vec<u8> {
        self.0
    }
}
