//! What all connections of a listener have in common: its options as an OpenSSL context.
//!
//! A listener that picks its certificate by the name a client asks for has one context a certificate;
//! they differ in nothing else.

use std::sync::Arc;

use openssl::{
    error::ErrorStack,
    ssl::{
        AlpnError, NameType, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef,
        SslSessionCacheMode, SslVersion,
    },
};
use sha1::{Digest as _, Sha1};

use super::{
    ciphers,
    material::{self, Identity},
    stapling::Staple,
    verification::{self, Trust},
};
use crate::config::{TlsConfig, TlsVersion};

/// TLS 1.2 sessions kept at a time with `reuse_sessions`; the oldest go first.
const MAX_KEPT_SESSIONS: i32 = 10_240;

/// What is wrong with `ssl_options`, and where below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For example `keyfile` or `sni_certificates[1].certfile`.
    pub option: String,
    /// What is wrong, files by their paths.
    pub problem: String,
}

impl Fault {
    pub(super) fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            option: option.into(),
            problem: problem.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ssl_options.{}: {}", self.option, self.problem)
    }
}

/// What a context is made of, read from files.
pub(super) struct Material {
    identities: Vec<Identity>,
    trust: Option<Trust>,
    dh: Option<openssl::dh::Dh<openssl::pkey::Params>>,
    suites: ciphers::Suites,
    /// What to look at: dates.
    pub(super) warnings: Vec<Fault>,
}

impl Material {
    /// Read everything; all faults at once.
    pub(super) fn read(config: &TlsConfig) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut warnings = Vec::new();
        let mut identities = Vec::new();
        for (index, certificate) in config.certificates.iter().enumerate() {
            let at = option_of_certificate(index);
            match material::identity(certificate, &at) {
                Ok(identity) => {
                    let odd = material::date_problem(&identity.leaf, &certificate.certfile);
                    warnings.extend(odd.map(|p| Fault::new(format!("{at}certfile"), p)));
                    identities.push(identity);
                }
                Err(found) => faults.extend(found),
            }
        }
        let trust = verification::trust(config).map_err(|fault| faults.push(fault));
        let dh = config.dhfile.as_deref().map(material::dh).transpose();
        let dh = dh.map_err(|problem| faults.push(Fault::new("dhfile", problem)));
        let suites = ciphers::sort(&config.ciphers);
        let suites = suites.map_err(|problem| faults.push(Fault::new("ciphers", problem)));
        drop(ErrorStack::get());
        match (trust, dh, suites) {
            (Ok(trust), Ok(dh), Ok(suites)) if faults.is_empty() => Ok(Self {
                identities,
                trust,
                dh,
                suites,
                warnings,
            }),
            _ => Err(faults),
        }
    }
}

/// Where the certificate at `index` is configured, with the dot behind it.
fn option_of_certificate(index: usize) -> String {
    match index {
        0 => String::new(),
        n => format!("sni_certificates[{}].", n - 1),
    }
}

/// What contexts of a listener share beside its options.
#[derive(Clone)]
pub(super) struct Surroundings {
    /// `type:name`.
    pub(super) listener: Arc<str>,
    /// The OCSP response to send along.
    pub(super) staple: Arc<Staple>,
    /// Where addresses of missing revocation lists are noted.
    pub(super) wanted: Arc<verification::WantedLists>,
    /// Lists that were fetched, as files.
    pub(super) fetched_lists: Vec<String>,
}

/// Make the context of new connections.
pub(super) fn build(
    config: &TlsConfig,
    material: &Material,
    around: &Surroundings,
) -> Result<SslContext, Vec<Fault>> {
    let mut by_name = Vec::new();
    let mut first = None;
    for (index, identity) in material.identities.iter().enumerate().rev() {
        let builder = one(config, material, identity, around, index == 0)?;
        if index == 0 {
            first = Some(builder);
        } else if let Some(certificate) = config.certificates.get(index) {
            by_name.push((certificate.server_names.clone(), builder.build()));
        }
    }
    let Some(mut builder) = first else {
        return Err(vec![Fault::new("certfile", "required, but missing")]);
    };
    by_name.reverse();
    if !by_name.is_empty() {
        builder.set_servername_callback(move |ssl, _| {
            let asked = ssl.servername(NameType::HOST_NAME).unwrap_or_default();
            let found = by_name
                .iter()
                .find(|(names, _)| names.iter().any(|name| serves(name, asked)));
            if let Some((_, context)) = found {
                let _ = ssl.set_ssl_context(context); // without it, the first certificate is used
            }
            Ok(())
        });
    }
    Ok(builder.build())
}

fn one(
    config: &TlsConfig,
    material: &Material,
    identity: &Identity,
    around: &Surroundings,
    is_first: bool,
) -> Result<SslContextBuilder, Vec<Fault>> {
    let mut builder = SslContextBuilder::new(SslMethod::tls_server())
        .map_err(|error| vec![Fault::new("", material::said(&error))])?;
    let versions = ciphers::apply(
        &material.suites,
        &mut builder,
        (config.min_version, config.max_version),
    )
    .map_err(|problem| vec![Fault::new("ciphers", problem)])?;
    let set_up = |builder: &mut SslContextBuilder| -> Result<(), (&'static str, ErrorStack)> {
        let general = |error| ("", error);
        builder
            .set_min_proto_version(Some(number(versions.0)))
            .map_err(general)?;
        builder
            .set_max_proto_version(Some(number(versions.1)))
            .map_err(general)?;
        behaviour(builder, config, around).map_err(general)?;
        present(builder, identity).map_err(|error| ("certfile", error))?;
        if let Some(dh) = &material.dh {
            builder.set_tmp_dh(dh).map_err(|error| ("dhfile", error))?;
        }
        if let Some(trust) = &material.trust {
            verification::set_up(builder, config, trust, around)
                .map_err(|error| ("cacertfile", error))?;
        }
        if is_first && config.ocsp.is_some() {
            let staple = Arc::clone(&around.staple);
            builder
                .set_status_callback(move |ssl| staple.send(ssl))
                .map_err(|error| ("ocsp", error))?;
        }
        Ok(())
    };
    set_up(&mut builder)
        .map_err(|(option, error)| vec![Fault::new(option, material::said(&error))])?;
    Ok(builder)
}

/// Everything that is neither certificate nor cipher.
fn behaviour(
    builder: &mut SslContextBuilder,
    config: &TlsConfig,
    around: &Surroundings,
) -> Result<(), ErrorStack> {
    // Buffers are given back as soon as they are empty: an idle connection holds none.
    builder.set_mode(
        SslMode::RELEASE_BUFFERS
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER,
    );
    // Renegotiation is work a client could ask for at will, and compression leaks what it compresses.
    let mut options = SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION;
    options.set(
        SslOptions::CIPHER_SERVER_PREFERENCE,
        config.honor_cipher_order,
    );
    options.set(SslOptions::NO_TICKET, !config.session_tickets);
    builder.set_options(options);
    builder.set_num_tickets(usize::from(config.session_tickets))?;
    if config.reuse_sessions {
        builder.set_session_cache_mode(SslSessionCacheMode::SERVER);
        builder.set_session_cache_size(MAX_KEPT_SESSIONS);
    } else {
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    }
    // A session is resumed at the listener it began at: another one may ask for other certificates.
    builder.set_session_id_context(&Sha1::digest(around.listener.as_bytes()))?;
    builder.set_alpn_select_callback(|_: &mut SslRef, offered| select_protocol(offered));
    Ok(())
}

fn present(builder: &mut SslContextBuilder, identity: &Identity) -> Result<(), ErrorStack> {
    builder.set_certificate(&identity.leaf)?;
    for certificate in &identity.chain {
        builder.add_extra_chain_cert(certificate.clone())?;
    }
    builder.set_private_key(&identity.key)?;
    builder.check_private_key()
}

/// `mqtt`, or `http/1.1` for a WebSocket, if it is offered; no protocol is demanded (RFC 7301).
fn select_protocol(offered: &[u8]) -> Result<&[u8], AlpnError> {
    let mut rest = offered;
    while let Some((length, tail)) = rest.split_first() {
        let Some((name, after)) = tail.split_at_checked(usize::from(*length)) else {
            break;
        };
        if name == b"mqtt" || name == b"http/1.1" {
            return Ok(name);
        }
        rest = after;
    }
    Err(AlpnError::NOACK)
}

/// Whether a certificate configured for `name` is for a client that asks for `asked`; a `*` stands for
/// one label (RFC 6125 section 6.4.3).
fn serves(name: &str, asked: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(domain) => asked
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(asked),
    }
}

fn number(version: TlsVersion) -> SslVersion {
    match version {
        TlsVersion::Tls12 => SslVersion::TLS1_2,
        TlsVersion::Tls13 => SslVersion::TLS1_3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers() {
        for (name, asked, expected) in [
            ("a.example", "a.example", true),
            ("a.example", "A.Example", true),
            ("a.example", "b.example", false),
            ("*.example", "a.example", true),
            ("*.example", "a.b.example", false),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("a.example", "", false),
        ] {
            assert_eq!(serves(name, asked), expected, "{name} {asked}");
        }
    }

    #[test]
    fn protocols() {
        assert_eq!(select_protocol(b"\x02h2\x04mqtt").ok(), Some(&b"mqtt"[..]));
        assert_eq!(
            select_protocol(b"\x02h2\x08http/1.1").ok(),
            Some(&b"http/1.1"[..])
        );
        for none in [&b"\x02h2"[..], b"", b"\x09mqtt", b"\x00"] {
            assert!(select_protocol(none).is_err(), "{none:?}");
        }
    }
}
