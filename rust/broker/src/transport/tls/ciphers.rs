//! `ssl_options.ciphers`: one list of names to the two that OpenSSL wants.

use openssl::ssl::{SslContextBuilder, SslMethod, cipher_name};

use crate::config::TlsVersion;

/// Suites by version: TLS 1.2 and older, TLS 1.3.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Suites {
    pub(super) before_13: Vec<String>,
    pub(super) of_13: Vec<String>,
}

/// Sort names by version, those of RFCs turned into OpenSSL's; the error names what is unknown.
pub(super) fn sort(names: &[String]) -> Result<Suites, String> {
    let mut suites = Suites::default();
    let mut unknown = Vec::new();
    for name in names {
        let is_13 = name.starts_with("TLS_") && !name.contains("_WITH_");
        let name = match cipher_name(name) {
            "(NONE)" => name.as_str(),
            known => known,
        };
        if !is_known(name, is_13) {
            unknown.push(name);
        } else if is_13 {
            suites.of_13.push(name.to_owned());
        } else {
            suites.before_13.push(name.to_owned());
        }
    }
    if unknown.is_empty() {
        return Ok(suites);
    }
    Err(format!(
        "bad_ciphers: OpenSSL does not have {}; `openssl ciphers -s -v` lists those there are",
        unknown.join(", ")
    ))
}

/// Put the suites into force, and narrow the versions to those that have one: a version must not come
/// with suites that nobody named.
pub(super) fn apply(
    suites: &Suites,
    builder: &mut SslContextBuilder,
    (min, max): (TlsVersion, TlsVersion),
) -> Result<(TlsVersion, TlsVersion), String> {
    let failed = |_| "OpenSSL does not take these suites together".to_owned();
    let (mut min, mut max) = (min, max);
    if !suites.before_13.is_empty() {
        let list = suites.before_13.join(":");
        builder.set_cipher_list(&list).map_err(failed)?;
        if suites.of_13.is_empty() {
            max = TlsVersion::Tls12;
        }
    }
    if !suites.of_13.is_empty() {
        let list = suites.of_13.join(":");
        builder.set_ciphersuites(&list).map_err(failed)?;
        if suites.before_13.is_empty() {
            min = TlsVersion::Tls13;
        }
    }
    if min == TlsVersion::Tls13 && max == TlsVersion::Tls12 {
        return Err("none of these suites is of a version that `versions` allows".to_owned());
    }
    Ok((min, max))
}

/// Whether OpenSSL has a suite. It skips those it does not know in a list, so each is tried alone.
fn is_known(name: &str, is_13: bool) -> bool {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_+!@=".contains(&b));
    if !plain {
        return false;
    }
    if name.starts_with(['!', '-', '+', '@']) {
        return true; // takes away or sorts, so alone it is nothing
    }
    let Ok(mut builder) = SslContextBuilder::new(SslMethod::tls_server()) else {
        return false;
    };
    let result = if is_13 {
        builder.set_ciphersuites(name)
    } else {
        builder.set_cipher_list(name)
    };
    result.is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_sorted_by_version() {
        let given = names(&[
            "TLS_AES_128_GCM_SHA256",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ]);
        let suites = sort(&given).unwrap();
        assert_eq!(suites.of_13, ["TLS_AES_128_GCM_SHA256"]);
        assert_eq!(
            suites.before_13,
            [
                "ECDHE-RSA-AES256-GCM-SHA384",
                "ECDHE-ECDSA-AES128-GCM-SHA256"
            ]
        );
    }

    #[test]
    fn every_unknown_name_is_told() {
        let given = names(&["ECDHE-RSA-AES256-GCM-SHA384", "nope", "TLS_NOPE", "a:b"]);
        let problem = sort(&given).unwrap_err();
        for name in ["nope", "TLS_NOPE", "a:b"] {
            assert!(problem.contains(name), "{problem}");
        }
        assert!(!problem.contains("ECDHE"), "{problem}");
    }

    #[test]
    fn a_version_without_a_suite_is_off() {
        use TlsVersion::{Tls12, Tls13};

        let narrowed = |given: &[&str], versions| {
            let mut builder = SslContextBuilder::new(SslMethod::tls_server()).unwrap();
            apply(&sort(&names(given)).unwrap(), &mut builder, versions)
        };
        let (old, new) = ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_AES_128_GCM_SHA256");
        assert_eq!(narrowed(&[], (Tls12, Tls13)), Ok((Tls12, Tls13)));
        assert_eq!(narrowed(&[old], (Tls12, Tls13)), Ok((Tls12, Tls12)));
        assert_eq!(narrowed(&[new], (Tls12, Tls13)), Ok((Tls13, Tls13)));
        assert_eq!(narrowed(&[old, new], (Tls12, Tls13)), Ok((Tls12, Tls13)));
        assert!(narrowed(&[old], (Tls13, Tls13)).is_err());
        assert!(narrowed(&[new], (Tls12, Tls12)).is_err());
    }
}
