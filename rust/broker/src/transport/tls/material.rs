//! Files to certificates and keys.

use std::{
    fs::File,
    io::{self, Read as _},
};

use openssl::{
    asn1::Asn1Time,
    dh::Dh,
    error::ErrorStack,
    pkey::{PKey, Params, Private},
    x509::X509,
};

use super::context::Fault;
use crate::config::CertificateConfig;

/// Bytes read of one file; the CA bundles of systems have a fourth of that.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A certificate, the intermediate ones behind it, and its key.
pub(super) struct Identity {
    pub(super) leaf: X509,
    pub(super) chain: Vec<X509>,
    pub(super) key: PKey<Private>,
}

/// Read a file as far as it is taken; the error says which and why.
pub(super) fn read(path: &str) -> Result<Vec<u8>, String> {
    let result = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match result {
        Ok(bytes) if bytes.len() as u64 > MAX_FILE_BYTES => {
            Err(format!("{path} is larger than {MAX_FILE_BYTES} bytes"))
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(format!("cannot read {path}: {}", plain(&error))),
    }
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Read certificates, at least one.
pub(super) fn certificates(path: &str) -> Result<Vec<X509>, String> {
    let found = X509::stack_from_pem(&read(path)?)
        .map_err(|error| format!("{path}: not certificates in PEM: {}", said(&error)))?;
    if found.is_empty() {
        return Err(format!("{path} holds no certificate in PEM"));
    }
    Ok(found)
}

/// Read a certificate with its chain and its key; `at` is where it is configured.
pub(super) fn identity(config: &CertificateConfig, at: &str) -> Result<Identity, Vec<Fault>> {
    let option = |name: &str| format!("{at}{name}");
    let mut faults = Vec::new();
    let mut note = |name: &str, problem| faults.push(Fault::new(option(name), problem));
    let found = certificates(&config.certfile).map_err(|problem| note("certfile", problem));
    let key = key(config).map_err(|(name, problem)| note(name, problem));
    let (Ok(mut found), Ok(key)) = (found, key) else {
        return Err(faults);
    };
    let leaf = found.remove(0);
    let fits = leaf.public_key().is_ok_and(|public| public.public_eq(&key));
    drop(ErrorStack::get());
    if !fits {
        let problem = format!(
            "the key in {} is not that of the first certificate in {}",
            config.keyfile, config.certfile
        );
        return Err(vec![Fault::new(option("keyfile"), problem)]);
    }
    Ok(Identity {
        leaf,
        chain: found,
        key,
    })
}

/// Read a private key. A password is always given, or OpenSSL would ask for it on the terminal.
fn key(config: &CertificateConfig) -> Result<PKey<Private>, (&'static str, String)> {
    let path = &config.keyfile;
    let pem = read(path).map_err(|problem| ("keyfile", problem))?;
    let password = config.password.as_ref().map_or("", |secret| &secret.0);
    PKey::private_key_from_pem_passphrase(&pem, password.as_bytes()).map_err(|_| {
        if pem.windows(9).any(|window| window == b"ENCRYPTED") {
            let problem = if password.is_empty() {
                format!("{path} is encrypted: its password is required")
            } else {
                format!("it does not open {path}")
            };
            ("password", problem)
        } else {
            ("keyfile", format!("{path} holds no private key in PEM"))
        }
    })
}

/// Read Diffie-Hellman parameters.
pub(super) fn dh(path: &str) -> Result<Dh<Params>, String> {
    Dh::params_from_pem(&read(path)?)
        .map_err(|_| format!("{path} holds no Diffie-Hellman parameters in PEM"))
}

/// What is odd about the dates of a certificate, if anything is.
pub(super) fn date_problem(certificate: &X509, path: &str) -> Option<String> {
    let now = Asn1Time::days_from_now(0).ok()?;
    if certificate.not_after() < now {
        return Some(format!(
            "the certificate in {path} expired on {}: clients refuse it",
            certificate.not_after()
        ));
    }
    if certificate.not_before() > now {
        return Some(format!(
            "the certificate in {path} is valid only from {}: clients refuse it until then",
            certificate.not_before()
        ));
    }
    None
}

/// The first thing OpenSSL says.
pub(super) fn said(error: &ErrorStack) -> String {
    let reason = error
        .errors()
        .first()
        .and_then(openssl::error::Error::reason);
    reason.unwrap_or("unknown error").to_owned()
}
