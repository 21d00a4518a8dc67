//! Addresses and address blocks in conditions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::profile::Profile;

/// An address block: `A` or `A/len`. Bits behind the prefix play no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr(Block);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    V4 { base: u32, bits: u8 },
    V6 { base: u128, bits: u8 },
}

impl Cidr {
    /// Parses `10.0.0.0/8`, `10.1` (which is 10.0.0.1), `2001:db8::/32`. The error says what to
    /// write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address = parse_address(address)?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let bits = match length {
            None => widest,
            Some(digits) => prefix_length(digits)
                .filter(|&bits| bits <= widest)
                .ok_or_else(|| format!("the prefix length of {text:?} must be 0 to {widest}"))?,
        };
        Ok(Self(match address {
            IpAddr::V4(address) => Block::V4 {
                base: address.to_bits(),
                bits,
            },
            IpAddr::V6(address) => Block::V6 {
                base: address.to_bits(),
                bits,
            },
        }))
    }

    /// Whether `peer` lies in the block.
    ///
    /// Hardened takes a v4-mapped address as the IPv4 address it is, on both sides. Legacy never
    /// lets one family match the other, and computes `/48` as `/32`, as the reference's address
    /// library does (section 13).
    pub fn contains(self, peer: IpAddr, profile: Profile) -> bool {
        let hardened = profile == Profile::Hardened;
        let peer = if hardened { peer.to_canonical() } else { peer };
        match (self.0, peer) {
            (Block::V4 { base, bits }, IpAddr::V4(peer)) => {
                let free = 32 - u32::from(bits);
                (base ^ peer.to_bits()).checked_shr(free).unwrap_or(0) == 0
            }
            (Block::V6 { base, bits }, IpAddr::V6(peer)) => {
                let bits = if bits == 48 && !hardened { 32 } else { bits };
                same_v6_prefix(base, peer, bits)
            }
            (Block::V6 { base, bits }, IpAddr::V4(peer)) if hardened && bits >= 96 => {
                same_v6_prefix(base, peer.to_ipv6_mapped(), bits)
            }
            _ => false,
        }
    }
}

fn same_v6_prefix(base: u128, peer: Ipv6Addr, bits: u8) -> bool {
    let free = 128 - u32::from(bits);
    (base ^ peer.to_bits()).checked_shr(free).unwrap_or(0) == 0
}

fn prefix_length(digits: &str) -> Option<u8> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(IpAddr::V6(address));
    }
    parse_v4(text).map(IpAddr::V4).ok_or_else(|| {
        format!(
            "{text:?} is no IP address; write one, such as \"10.0.0.1\", \"10.0.0.0/8\" or \"::1\""
        )
    })
}

/// Dotted IPv4, also with fewer than four numbers: the last one then fills the rest. Numbers with
/// a leading zero are refused: some read them as octal.
fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let mut numbers = text.split('.').map(|number| {
        let plain = !number.is_empty()
            && number.len() <= 10
            && number.bytes().all(|b| b.is_ascii_digit())
            && (number.len() == 1 || !number.starts_with('0'));
        plain.then(|| number.parse::<u64>().ok()).flatten()
    });
    let mut last = numbers.next()??;
    let mut head: u64 = 0;
    let mut rest_bits: u32 = 32;
    for number in numbers {
        let number = number?;
        if last > 255 || rest_bits == 8 {
            return None;
        }
        head = head << 8 | last;
        rest_bits -= 8;
        last = number;
    }
    if last >= 1 << rest_bits {
        return None;
    }
    u32::try_from(head << rest_bits | last)
        .ok()
        .map(Ipv4Addr::from_bits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn contains(block: &str, peer: &str, profile: Profile) -> bool {
        Cidr::parse(block)
            .unwrap()
            .contains(peer.parse().unwrap(), profile)
    }

    #[test]
    fn blocks() {
        for (block, peer, inside) in [
            ("10.1", "10.0.0.1", true),
            ("10.0.0.77/24", "10.0.0.1", true),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.1", "10.0.0.2", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            for profile in [Profile::Hardened, Profile::Legacy] {
                assert_eq!(contains(block, peer, profile), inside, "{block} {peer}");
            }
        }
    }

    #[test]
    fn profiles_differ() {
        for (block, peer, hardened, legacy) in [
            ("2001:db8:1::/48", "2001:db8:2::1", false, true),
            ("2001:db8:1::/48", "2001:db8:1::1", true, true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true, false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true, false),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true, true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false, false),
        ] {
            assert_eq!(
                contains(block, peer, Profile::Hardened),
                hardened,
                "{block} {peer}"
            );
            assert_eq!(
                contains(block, peer, Profile::Legacy),
                legacy,
                "{block} {peer}"
            );
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "::/129",
            "localhost",
            "1.2.3.4.5",
            "256.0.0.1",
            "010.0.0.1",
            "0x7f.1",
            " 10.0.0.1",
            "4294967296",
            "1..2",
            "fe80::1%eth0",
            "10.0.0.0/8/8",
            "10.0.0.0/0008888",
        ] {
            assert!(Cidr::parse(text).is_err(), "{text}");
        }
    }
}
