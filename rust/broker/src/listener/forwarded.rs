//! The address that proxies write into a request (`spec/hardening.md` section 4).
//!
//! A header is the client's own until a proxy we know has added to it. So it is read from the right: what
//! the last proxy saw comes first, and the first address that is none of our proxies is the client's.
//! What stands further left anybody may have written.

use std::net::{IpAddr, SocketAddr};

use super::access::ProxyList;
use crate::config::ForwardedConfig;

/// The proxies that headers are believed from.
#[derive(Debug)]
pub(crate) struct ForwardedBy {
    proxies: ProxyList,
}

/// What a request says about where it comes from.
#[derive(Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Values of the address header, in order, with commas between.
    pub addresses: String,
    /// Value of the port header.
    pub port: Option<u16>,
}

/// An address that had to be believed is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl ForwardedBy {
    /// Compile the list.
    pub(crate) fn compile(config: &ForwardedConfig) -> Result<Self, String> {
        ProxyList::compile("proxy_headers_trusted", &config.trusted).map(|proxies| Self { proxies })
    }

    /// The address of the client behind `peer`, or `None` if `peer` is no proxy of ours.
    pub(crate) fn client(
        &self,
        peer: SocketAddr,
        said: &Forwarded,
    ) -> Result<Option<SocketAddr>, Malformed> {
        if !self.proxies.contain(peer.ip()) {
            return Ok(None);
        }
        let mut client = None;
        for item in said.addresses.rsplit(',') {
            let (address, port) = address(item.trim()).ok_or(Malformed)?;
            client = Some(SocketAddr::new(address, said.port.or(port).unwrap_or(0)));
            if !self.proxies.contain(address) {
                break;
            }
        }
        Ok(client)
    }
}

/// `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let bare = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some((address.to_canonical(), None));
    }
    let with_port: SocketAddr = text.parse().ok()?;
    Some((with_port.ip().to_canonical(), Some(with_port.port())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn client(peer: &str, addresses: &str) -> Result<Option<String>, Malformed> {
        let trusted = ["10.0.0.0/8", "::1/128"].map(str::to_owned).to_vec();
        let by = ForwardedBy::compile(&ForwardedConfig {
            address_header: String::new(),
            port_header: String::new(),
            trusted,
        });
        let said = Forwarded {
            addresses: addresses.to_owned(),
            port: None,
        };
        let found = by.unwrap().client(peer.parse().unwrap(), &said)?;
        Ok(found.map(|address| address.to_string()))
    }

    #[test]
    fn the_last_that_is_no_proxy() {
        for (addresses, expected) in [
            ("203.0.113.7", "203.0.113.7:0"),
            ("203.0.113.7, 10.1.1.1", "203.0.113.7:0"),
            ("6.6.6.6, 203.0.113.7, 10.1.1.1,10.2.2.2", "203.0.113.7:0"),
            ("rubbish, 203.0.113.7", "203.0.113.7:0"),
            ("10.3.3.3, 10.1.1.1", "10.3.3.3:0"),
            ("203.0.113.7:4711", "203.0.113.7:4711"),
            ("2001:db8::1", "[2001:db8::1]:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
            ("::ffff:203.0.113.7", "203.0.113.7:0"),
            ("6.6.6.6, ::ffff:10.1.1.1", "6.6.6.6:0"),
        ] {
            assert_eq!(
                client("10.0.0.1:5", addresses),
                Ok(Some(expected.to_owned()))
            );
        }
        assert_eq!(client("11.0.0.1:5", "203.0.113.7"), Ok(None));
        assert!(
            client("[::ffff:10.0.0.1]:5", "203.0.113.7")
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn what_must_be_believed_must_be_an_address() {
        for addresses in [
            "",
            ",",
            "203.0.113.7,",
            "unknown",
            "203.0.113",
            "_x",
            "1.2.3.4 5",
            "203.0.113.007",
            "[203.0.113.7",
            "a, 10.1.1.1",
            "203.0.113.7:",
            "203.0.113.7:70000",
        ] {
            assert_eq!(
                client("10.0.0.1:5", addresses),
                Err(Malformed),
                "{addresses}"
            );
        }
    }
}
