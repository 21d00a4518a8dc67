//! What is asked of client certificates.
//!
//! OpenSSL builds the chain and checks signatures, dates, purpose and revocation lists (RFC 5280
//! section 6); two things are added: the extended key usages of
//! `verify_peer_ext_key_usage`, and a note of where a missing revocation list can be had.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use openssl::{
    error::ErrorStack,
    ssl::{SslContextBuilder, SslFiletype, SslVerifyMode},
    stack::Stack,
    x509::{
        X509, X509ExtendedKeyUsage, X509Name, X509Ref, X509StoreContextRef, X509VerifyResult,
        store::X509Lookup, verify::X509VerifyFlags,
    },
};

use super::{
    context::{Fault, Surroundings},
    material,
};
use crate::config::{KeyUsage, PartialChain, TlsConfig};

/// The number OpenSSL gives `X509_V_ERR_UNABLE_TO_GET_CRL`.
const NO_CRL: i32 = 3;
/// Longest address of a revocation list that is noted.
const MAX_URL_BYTES: usize = 2048;

/// Who may issue client certificates.
pub(super) struct Trust {
    anchors: Vec<X509>,
    partial: bool,
}

/// Read `cacertfile`, if client certificates are checked at all.
pub(super) fn trust(config: &TlsConfig) -> Result<Option<Trust>, Fault> {
    if !config.verify_peer {
        return Ok(None);
    }
    let Some(path) = &config.cacertfile else {
        let problem = "required with verify = verify_peer, but missing";
        return Err(Fault::new("cacertfile", problem));
    };
    let mut anchors = material::certificates(path).map_err(|p| Fault::new("cacertfile", p))?;
    let partial = match config.partial_chain {
        PartialChain::No => 0,
        PartialChain::Last => 1,
        PartialChain::LastTwo => 2,
    };
    if partial > 0 {
        // OpenSSL would take every certificate it is given for an anchor.
        let first_partial = anchors.len().saturating_sub(partial);
        let mut index = 0;
        anchors.retain(|certificate| {
            let keep = index >= first_partial || is_self_signed(certificate);
            index += 1;
            keep
        });
    }
    for file in config.crl.iter().flat_map(|crl| &crl.files) {
        material::read(file).map_err(|problem| Fault::new("crlfile", problem))?;
    }
    Ok(Some(Trust {
        anchors,
        partial: partial > 0,
    }))
}

fn is_self_signed(certificate: &X509Ref) -> bool {
    certificate.issued(certificate) == X509VerifyResult::OK
}

/// Ask clients for certificates, and check them.
pub(super) fn set_up(
    builder: &mut SslContextBuilder,
    config: &TlsConfig,
    trust: &Trust,
    around: &Surroundings,
) -> Result<(), ErrorStack> {
    let mut names: Stack<X509Name> = Stack::new()?;
    let store = builder.cert_store_mut();
    for certificate in &trust.anchors {
        store.add_cert(certificate.clone())?;
        names.push(certificate.subject_name().to_owned()?)?;
    }
    if trust.partial {
        store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    }
    if let Some(crl) = &config.crl {
        store.set_flags(X509VerifyFlags::CRL_CHECK)?;
        let lookup = store.add_lookup(X509Lookup::file())?;
        for file in crl.files.iter().chain(&around.fetched_lists) {
            lookup.load_crl_file(file, SslFiletype::PEM)?;
        }
    }
    builder.set_client_ca_list(names);
    builder.set_verify_depth(config.depth);
    let mut mode = SslVerifyMode::PEER;
    mode.set(
        SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        config.fail_if_no_peer_cert,
    );
    let usages = config
        .ext_key_usage
        .iter()
        .fold(X509ExtendedKeyUsage::empty(), |all, usage| {
            all | flag(*usage)
        });
    let wanted = Arc::clone(&around.wanted);
    builder.set_verify_callback(mode, move |passed, context| {
        if !passed {
            if context.error().as_raw() == NO_CRL {
                wanted.note(context);
            }
            return false;
        }
        let is_leaf = context.error_depth() == 0;
        if is_leaf && !usages.is_empty() && !has_usages(context.current_cert(), usages) {
            context.set_error(X509VerifyResult::APPLICATION_VERIFICATION);
            return false;
        }
        true
    });
    Ok(())
}

/// Whether a certificate names all of these usages; one that names none at all does not.
fn has_usages(certificate: Option<&X509Ref>, usages: X509ExtendedKeyUsage) -> bool {
    certificate
        .and_then(X509Ref::extended_key_usage)
        .is_some_and(|named| named.contains(usages))
}

fn flag(usage: KeyUsage) -> X509ExtendedKeyUsage {
    match usage {
        KeyUsage::ClientAuth => X509ExtendedKeyUsage::SSL_CLIENT,
        KeyUsage::ServerAuth => X509ExtendedKeyUsage::SSL_SERVER,
        KeyUsage::CodeSigning => X509ExtendedKeyUsage::CODE_SIGN,
        KeyUsage::EmailProtection => X509ExtendedKeyUsage::SMIME,
        KeyUsage::TimeStamping => X509ExtendedKeyUsage::TIMESTAMP,
        KeyUsage::OcspSigning => X509ExtendedKeyUsage::OCSP_SIGN,
    }
}

/// Addresses of revocation lists that were missed, until somebody takes them to fetch the lists.
#[derive(Debug)]
pub(super) struct WantedLists {
    addresses: Mutex<BTreeSet<String>>,
    capacity: usize,
}

impl WantedLists {
    /// None yet, and never more than `capacity`.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            addresses: Mutex::default(),
            capacity,
        }
    }

    /// Take all of them.
    pub(super) fn take(&self) -> Vec<String> {
        let mut addresses = self.lock();
        std::mem::take(&mut *addresses).into_iter().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Note where the list for the certificate at hand can be had, if its issuer said so: OpenSSL has
    /// not looked at signatures yet, and an address anybody could write is not asked for anything.
    fn note(&self, context: &X509StoreContextRef) {
        if !is_signed(context) {
            return;
        }
        let points = context
            .current_cert()
            .and_then(X509Ref::crl_distribution_points);
        for point in points.iter().flatten() {
            let names = point.distpoint().and_then(|name| name.fullname());
            for url in names
                .iter()
                .flat_map(|names| names.iter())
                .filter_map(|n| n.uri())
            {
                let mut addresses = self.lock();
                if url.starts_with("http://")
                    && url.len() <= MAX_URL_BYTES
                    && addresses.len() < self.capacity
                {
                    addresses.insert(url.to_owned());
                }
            }
        }
        drop(ErrorStack::get());
    }
}

/// Whether each certificate of the chain is signed by the next one.
fn is_signed(context: &X509StoreContextRef) -> bool {
    let Some(chain) = context.chain() else {
        return false;
    };
    let issuers = chain.iter().skip(1);
    chain.iter().zip(issuers).all(|(certificate, issuer)| {
        issuer
            .public_key()
            .and_then(|key| certificate.verify(&key))
            .unwrap_or(false)
    })
}
