//! The PROXY protocol, versions 1 and 2: what a load balancer says about the connection it passes on.
//!
//! Parsed strictly, as the header decides which address every rule, ban and log line sees
//! (`spec/hardening.md` section 4). A byte that cannot belong to a header is refused as it comes, not
//! when the header would be complete. Whether the peer may send one at all is judged before.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest version 1 header, CR and LF included (PROXY protocol section 2.1).
const MAX_V1_BYTES: usize = 107;
/// Longest version 2 header taken. Proxies send a few hundred bytes; a certificate as a TLV fits too.
const MAX_V2_BYTES: usize = 4096;

const V1_START: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const V2_FIXED_BYTES: usize = 16;

const TLV_AUTHORITY: u8 = 0x02;
const TLV_SSL: u8 = 0x20;
const TLV_SSL_CN: u8 = 0x22;

/// Where a connection really comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The address the proxy announces.
    Announced(SocketAddr),
    /// The proxy does not know (`UNKNOWN`): the socket's peer.
    Socket,
    /// The proxy itself looks whether we are there (`LOCAL`); no client follows.
    HealthCheck,
}

/// Why a header was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// The bytes are no header.
    NotAHeader,
    /// It is longer than its version allows, or than we take.
    TooLong,
    /// Version 1: not exactly family, two addresses of it and two ports.
    BadLine,
    /// Version 2: another version, command, family or protocol than TCP over IPv4 or IPv6.
    Unsupported,
    /// Version 2: addresses or a TLV reach past the announced length.
    BadLength,
    /// A certificate or host name holds a control character, or is no text.
    BadText,
}

impl ProxyError {
    /// The reason identifier for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotAHeader => "proxy_header_missing",
            Self::TooLong => "proxy_header_too_long",
            Self::BadLine | Self::BadLength | Self::BadText => "proxy_header_malformed",
            Self::Unsupported => "proxy_header_unsupported",
        }
    }
}

/// Parse a header at the front of `bytes`; gives what it says and its size, or `None` while it is
/// incomplete.
pub fn parse(bytes: &[u8]) -> Result<Option<(Origin, usize)>, ProxyError> {
    if begins_alike(bytes, V2_SIGNATURE) {
        parse_v2(bytes)
    } else if begins_alike(bytes, V1_START) {
        parse_v1(bytes)
    } else {
        Err(ProxyError::NotAHeader)
    }
}

/// Whether `bytes` is `start` as far as both go.
fn begins_alike(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(a, b)| a == b)
}

fn parse_v1(bytes: &[u8]) -> Result<Option<(Origin, usize)>, ProxyError> {
    let Some(end) = bytes.iter().take(MAX_V1_BYTES).position(|b| *b == b'\n') else {
        return if bytes.len() < MAX_V1_BYTES {
            Ok(None)
        } else {
            Err(ProxyError::TooLong)
        };
    };
    let line = bytes
        .get(V1_START.len()..end)
        .and_then(|line| line.strip_suffix(b"\r"))
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(ProxyError::BadLine)?;
    let origin = v1_origin(line).ok_or(ProxyError::BadLine)?;
    Ok(Some((origin, end + 1)))
}

fn v1_origin(line: &str) -> Option<Origin> {
    let mut words = line.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Origin::Socket); // whatever follows says nothing
    }
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let source = address()?;
    address()?;
    let source_port = port(words.next()?)?;
    port(words.next()?)?;
    words
        .next()
        .is_none()
        .then(|| Origin::Announced(SocketAddr::new(source, source_port)))
}

/// A port in decimal, without leading zeros.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|b| b.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    plain.then(|| word.parse().ok()).flatten()
}

fn parse_v2(bytes: &[u8]) -> Result<Option<(Origin, usize)>, ProxyError> {
    const LOCAL: u8 = 0x20;
    const PROXY: u8 = 0x21;
    const TCP_OVER_IPV4: u8 = 0x11;
    const TCP_OVER_IPV6: u8 = 0x21;

    let Some(&[command, family, high, low]) = bytes.get(V2_SIGNATURE.len()..V2_FIXED_BYTES) else {
        return Ok(None);
    };
    if command != LOCAL && command != PROXY {
        return Err(ProxyError::Unsupported);
    }
    if command == PROXY && family != TCP_OVER_IPV4 && family != TCP_OVER_IPV6 {
        return Err(ProxyError::Unsupported);
    }
    let size = V2_FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if size > MAX_V2_BYTES {
        return Err(ProxyError::TooLong);
    }
    let Some(body) = bytes.get(V2_FIXED_BYTES..size) else {
        return Ok(None);
    };
    if command == LOCAL {
        return Ok(Some((Origin::HealthCheck, size))); // the rest must be ignored
    }
    let (source, tlvs) = if family == TCP_OVER_IPV4 {
        addresses::<4>(body)
    } else {
        addresses::<16>(body)
    }
    .ok_or(ProxyError::BadLength)?;
    check_tlvs(tlvs)?;
    Ok(Some((Origin::Announced(source), size)))
}

/// Source and destination address of `N` bytes each, two ports; then TLVs.
fn addresses<const N: usize>(body: &[u8]) -> Option<(SocketAddr, &[u8])>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = body.split_first_chunk::<N>()?;
    let (_, rest) = rest.split_first_chunk::<N>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (_, tlvs) = rest.split_first_chunk::<2>()?;
    let source = SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes(*port));
    Some((source, tlvs))
}

/// Every TLV must end within the header, and names that rules could see must be clean text.
fn check_tlvs(mut rest: &[u8]) -> Result<(), ProxyError> {
    while let Some((kind, value, after)) = next_tlv(rest)? {
        match kind {
            TLV_AUTHORITY | TLV_SSL_CN if !is_clean(value) => return Err(ProxyError::BadText),
            TLV_SSL => {
                // What the client presented (one byte), the verification result (four), then TLVs.
                check_tlvs(value.get(5..).ok_or(ProxyError::BadLength)?)?;
            }
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

type Tlv<'a> = (u8, &'a [u8], &'a [u8]);

fn next_tlv(bytes: &[u8]) -> Result<Option<Tlv<'_>>, ProxyError> {
    let Some((kind, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(ProxyError::BadLength)?;
    let (value, after) = rest
        .split_at_checked(usize::from(u16::from_be_bytes(*length)))
        .ok_or(ProxyError::BadLength)?;
    Ok(Some((*kind, value, after)))
}

fn is_clean(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap();
        [
            V2_SIGNATURE,
            &[command, family],
            &length.to_be_bytes(),
            body,
        ]
        .concat()
    }

    fn v4_body(tlvs: &[u8]) -> Vec<u8> {
        [&[203, 0, 113, 7, 10, 0, 0, 1, 0x1f, 0x90, 7, 0x5b], tlvs].concat()
    }

    fn announced(text: &str) -> Origin {
        Origin::Announced(text.parse().unwrap())
    }

    #[test]
    fn lines() {
        for (line, origin) in [
            (
                "PROXY TCP4 203.0.113.7 10.0.0.1 8080 1883\r\n",
                announced("203.0.113.7:8080"),
            ),
            (
                "PROXY TCP6 2001:db8::7 ::1 0 65535\r\n",
                announced("[2001:db8::7]:0"),
            ),
            ("PROXY UNKNOWN\r\n", Origin::Socket),
            ("PROXY UNKNOWN ffff::1 ::1 1 2\r\n", Origin::Socket),
        ] {
            assert_eq!(
                parse(line.as_bytes()),
                Ok(Some((origin, line.len()))),
                "{line:?}"
            );
        }
    }

    #[test]
    fn refused_lines() {
        for line in [
            "PROXY\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 8080 1883\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 8080\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 8080 1883 \r\n",
            "PROXY TCP4  203.0.113.7 10.0.0.1 8080 1883\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 080 1883\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 +80 1883\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 65536 1883\r\n",
            "PROXY UNKNOWN\u{ff}",
            "PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n",
            "PROXY unknown\r\n",
        ] {
            let refused = parse(line.as_bytes());
            assert!(!matches!(refused, Ok(Some(_))), "{line:?}: {refused:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        assert_eq!(long.len(), 108);
        assert_eq!(parse(long.as_bytes()), Err(ProxyError::TooLong));
        assert_eq!(parse(b"\x10\x0c\x00\x04MQTT"), Err(ProxyError::NotAHeader));
    }

    #[test]
    fn binary_headers() {
        let plain = v2(0x21, 0x11, &v4_body(&[]));
        assert_eq!(
            parse(&plain),
            Ok(Some((announced("203.0.113.7:8080"), plain.len())))
        );
        let check = v2(0x20, 0x00, &[9; 3]);
        assert_eq!(parse(&check), Ok(Some((Origin::HealthCheck, check.len()))));
        let named = v2(
            0x21,
            0x11,
            &v4_body(b"\x02\0\x03a.b\x20\0\x09\x07\0\0\0\0\x22\0\x01c"),
        );
        assert_eq!(
            parse(&named),
            Ok(Some((announced("203.0.113.7:8080"), named.len())))
        );
        for (header, error) in [
            (v2(0x21, 0x31, &[0; 216]), ProxyError::Unsupported), // UNIX
            (v2(0x21, 0x00, &[]), ProxyError::Unsupported),       // UNSPEC
            (v2(0x21, 0x12, &v4_body(&[])), ProxyError::Unsupported), // datagrams
            (v2(0x22, 0x11, &v4_body(&[])), ProxyError::Unsupported),
            (v2(0x11, 0x11, &v4_body(&[])), ProxyError::Unsupported),
            (v2(0x21, 0x11, &[0; 11]), ProxyError::BadLength),
            (v2(0x21, 0x21, &v4_body(&[])), ProxyError::BadLength),
            (
                v2(0x21, 0x11, &v4_body(b"\x04\0\x05ab")),
                ProxyError::BadLength,
            ),
            (v2(0x21, 0x11, &v4_body(b"\x04\0")), ProxyError::BadLength),
            (
                v2(0x21, 0x11, &v4_body(b"\x20\0\x04\0\0\0\0")),
                ProxyError::BadLength,
            ),
            (
                v2(0x21, 0x11, &v4_body(b"\x20\0\x09\x07\0\0\0\0\x22\0\x02c")),
                ProxyError::BadLength,
            ),
            (
                v2(0x21, 0x11, &v4_body(b"\x02\0\x02a\n")),
                ProxyError::BadText,
            ),
            (
                v2(
                    0x21,
                    0x11,
                    &v4_body(b"\x20\0\x0a\x07\0\0\0\0\x22\0\x02c\x7f"),
                ),
                ProxyError::BadText,
            ),
            (v2(0x21, 0x11, &[0; 4081]), ProxyError::TooLong),
        ] {
            assert_eq!(parse(&header), Err(error), "{header:x?}");
        }
    }

    proptest! {
        /// Nothing a peer sends panics, and what is parsed lies within what was sent.
        #[test]
        fn any_bytes(front in prop::sample::select(vec![&b""[..], V1_START, V2_SIGNATURE]), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let sent = [front, bytes.as_slice()].concat();
            if let Ok(Some((_, size))) = parse(&sent) {
                prop_assert!(size <= sent.len());
            }
        }

        /// However a header is split, it is incomplete until its last byte and then the same.
        #[test]
        fn every_split(v6 in any::<bool>(), source in any::<u128>(), port in any::<u16>(),
                       tlv in proptest::collection::vec(any::<u8>(), 0..50), line in any::<bool>()) {
            let address = if v6 {
                IpAddr::V6(Ipv6Addr::from_bits(source))
            } else {
                IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(source >> 96).unwrap()))
            };
            let header = if line {
                let family = if v6 { "TCP6" } else { "TCP4" };
                format!("PROXY {family} {address} {address} {port} 1883\r\n").into_bytes()
            } else {
                let mut body = match address {
                    IpAddr::V4(a) => [a.octets(), a.octets()].concat(),
                    IpAddr::V6(a) => [a.octets(), a.octets()].concat(),
                };
                body.extend(port.to_be_bytes());
                body.extend([0, 0, 0x04, 0, u8::try_from(tlv.len()).unwrap()]);
                body.extend(&tlv);
                v2(0x21, if v6 { 0x21 } else { 0x11 }, &body)
            };
            for end in 0..header.len() {
                prop_assert_eq!(parse(header.get(..end).unwrap()), Ok(None));
            }
            let mut followed = header.clone();
            followed.push(0x10);
            let origin = Origin::Announced(SocketAddr::new(address, port));
            prop_assert_eq!(parse(&followed), Ok(Some((origin, header.len()))));
        }
    }
}
