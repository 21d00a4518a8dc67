//! Packets out of bytes, and what holds for each that decodes.

use vallum_mqtt::packet::{DecodeError, FixedHeader, Packet, Version};

/// The versions a connection may speak.
pub const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// The packet `bytes` starts with, its body cut or shortened to what is there, so that a mutated length
/// does not stop the fuzzer from reaching the body.
pub fn decode(version: Version, bytes: &[u8]) -> Option<Result<Packet<'_>, DecodeError>> {
    let (header, size) = FixedHeader::parse(bytes).ok()??;
    let rest = bytes.get(size..)?;
    let length = rest.len().min(header.remaining_length as usize);
    let body = &rest[..length];
    let header = FixedHeader {
        remaining_length: u32::try_from(length).ok()?,
        ..header
    };
    Some(Packet::decode(version, &header, body))
}

/// What decodes can be written, is read back as the same, and is written the same again.
pub fn assert_round_trip(version: Version, packet: &Packet<'_>) {
    let mut written = b"before".to_vec();
    packet
        .encode(version, &mut written)
        .unwrap_or_else(|error| panic!("{packet:?} decodes but is not written: {error:?}"));
    let bytes = written
        .strip_prefix(b"before")
        .expect("what was there is kept");
    let (header, size) = FixedHeader::parse(bytes).unwrap().expect("a whole header");
    assert_eq!(bytes.len(), size + header.remaining_length as usize);
    let again = Packet::decode(version, &header, &bytes[size..])
        .unwrap_or_else(|error| panic!("{packet:?} is not read back: {error:?}"));
    assert_eq!(again, *packet);
    let mut twice = Vec::new();
    again.encode(version, &mut twice).unwrap();
    assert_eq!(twice, bytes);
}
