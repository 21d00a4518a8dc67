//! Who may connect to a listener: `access_rules`, and the proxies in front of it.

use std::net::IpAddr;

use vallum_policy::{acl::Cidr, profile::Profile};

use crate::config::ProxyConfig;

/// `access_rules`: the first rule that fits decides, none lets in (`spec/hardening.md` section 4).
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessRules(Box<[Rule]>);

#[derive(Clone, Copy, Debug)]
struct Rule {
    allow: bool,
    /// `None`: everybody.
    who: Option<Cidr>,
}

impl AccessRules {
    /// Compile `allow|deny all|ADDRESS|CIDR` lines.
    pub(crate) fn compile(lines: &[String]) -> Result<Self, String> {
        lines
            .iter()
            .map(|line| rule(line))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether `peer` may connect. An IPv4 address in IPv6 clothes is the IPv4 address it is.
    pub(crate) fn admit(&self, peer: IpAddr) -> bool {
        self.0
            .iter()
            .find(|rule| {
                rule.who
                    .is_none_or(|who| who.contains(peer, Profile::Hardened))
            })
            .is_none_or(|rule| rule.allow)
    }
}

fn rule(line: &str) -> Result<Rule, String> {
    let invalid = |why: &str| format!("access_rules: {line:?}: {why}");
    let (verb, who) = line.split_once(' ').unwrap_or((line, ""));
    let allow = match verb {
        "allow" => true,
        "deny" => false,
        _ => return Err(invalid("begins neither with allow nor with deny")),
    };
    let who = match who {
        "all" => None,
        block => Some(Cidr::parse(block).map_err(|why| invalid(&why))?),
    };
    Ok(Rule { allow, who })
}

/// Addresses of proxies.
#[derive(Clone, Debug)]
pub(crate) struct ProxyList(Box<[Cidr]>);

impl ProxyList {
    /// Compile the addresses and blocks of `option`.
    pub(crate) fn compile(option: &str, blocks: &[String]) -> Result<Self, String> {
        blocks
            .iter()
            .map(|block| Cidr::parse(block).map_err(|why| format!("{option}: {why}")))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether `peer` is one of them.
    pub(crate) fn contain(&self, peer: IpAddr) -> bool {
        self.0
            .iter()
            .any(|block| block.contains(peer, Profile::Hardened))
    }
}

/// The proxies a PROXY protocol header is believed from.
#[derive(Clone, Debug)]
pub(crate) struct TrustedProxies {
    proxies: ProxyList,
    /// Milliseconds from accept to the complete header.
    pub(crate) timeout_ms: u64,
}

impl TrustedProxies {
    /// Compile the list.
    pub(crate) fn compile(config: &ProxyConfig) -> Result<Self, String> {
        Ok(Self {
            proxies: ProxyList::compile("proxy_protocol_trusted", &config.trusted)?,
            timeout_ms: config.timeout_ms,
        })
    }

    /// Whether `peer` is one of them.
    pub(crate) fn contain(&self, peer: IpAddr) -> bool {
        self.proxies.contain(peer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn admits(rules: &[&str], peer: &str) -> bool {
        let lines: Vec<_> = rules.iter().map(ToString::to_string).collect();
        AccessRules::compile(&lines)
            .unwrap()
            .admit(peer.parse().unwrap())
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = [
            "deny 10.0.0.1",
            "allow 10.0.0.0/8",
            "allow 2001:db8:1::/48",
            "deny all",
        ];
        for (peer, expected) in [
            ("10.0.0.1", false),
            ("10.0.0.2", true),
            ("::ffff:10.0.0.2", true),
            ("::ffff:10.0.0.1", false),
            ("11.0.0.1", false),
            ("2001:db8:1::5", true),
            ("2001:db8:2::5", false),
        ] {
            assert_eq!(admits(&rules, peer), expected, "{peer}");
        }
    }

    #[test]
    fn no_match_lets_in() {
        assert!(admits(&[], "10.0.0.1"));
        assert!(admits(&["deny 10.0.0.0/8"], "11.0.0.1"));
    }

    #[test]
    fn refuses() {
        for line in [
            "",
            "allow",
            "allow ",
            "permit all",
            "deny 10.0.0.0/33",
            "deny all all",
        ] {
            assert!(
                AccessRules::compile(&[line.to_owned()]).is_err(),
                "{line:?}"
            );
        }
    }
}
