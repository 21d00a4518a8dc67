//! PINGREQ and PINGRESP (sections 3.12 and 3.13): two bytes each.

use super::error::DecodeError;
use super::header::FixedHeader;
use super::version::Version;

/// A whole PINGREQ.
pub const PINGREQ: [u8; 2] = [0xc0, 0];
/// A whole PINGRESP.
pub const PINGRESP: [u8; 2] = [0xd0, 0];

/// There is nothing in a ping.
pub(super) fn check(version: Version, header: FixedHeader, body: &[u8]) -> Result<(), DecodeError> {
    header.check_flags(version)?;
    if body.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::TrailingBytes {
            packet: header.packet_type,
        })
    }
}
