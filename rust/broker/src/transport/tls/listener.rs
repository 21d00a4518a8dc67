//! The TLS side of a listener: the context in force, replaced while connections go on.
//!
//! A connection keeps the context its handshake began with; whatever is put into force later is for
//! later handshakes. The tickets of a context end with it, so who resumes has been checked by it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use openssl::ssl::SslContext;
use sha1::{Digest as _, Sha1};

pub use super::context::Fault;
use super::{
    context::{self, Material, Surroundings},
    material,
    stapling::{Question, Staple},
    verification::WantedLists,
};
use crate::config::TlsConfig;

/// A listener's TLS.
pub struct TlsListener {
    config: TlsConfig,
    context: RwLock<SslContext>,
    around: Mutex<Surroundings>,
    /// Of the files the context was made of.
    digest: Mutex<[u8; 20]>,
    staple: Arc<Staple>,
    wanted: Arc<WantedLists>,
}

impl std::fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsListener") // it holds keys
    }
}

/// What `ssl_options` come to: what is wrong, what to look at.
#[derive(Debug, Default)]
pub struct Report {
    /// They cannot be used.
    pub faults: Vec<Fault>,
    /// They can.
    pub warnings: Vec<Fault>,
}

/// Read the files and make everything, for the report alone.
pub fn check(config: &TlsConfig) -> Report {
    match TlsListener::new("", config.clone()) {
        Ok((_, warnings)) => Report {
            faults: Vec::new(),
            warnings,
        },
        Err(faults) => Report {
            faults,
            warnings: Vec::new(),
        },
    }
}

impl TlsListener {
    /// Read the files; gives the faults, or the listener and what to look at.
    pub fn new(id: &str, config: TlsConfig) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let capacity = config.crl.as_ref().map_or(0, |crl| crl.capacity);
        let around = Surroundings {
            listener: id.into(),
            staple: Arc::default(),
            wanted: Arc::new(WantedLists::new(capacity)),
            fetched_lists: Vec::new(),
        };
        if let Some(ocsp) = &config.ocsp
            && let Some(first) = config.certificates.first()
        {
            Question::read(&first.certfile, &ocsp.issuer_pem)
                .map_err(|problem| vec![Fault::new("ocsp.issuer_pem", problem)])?;
        }
        let digest = digest(&config, &around.fetched_lists);
        let material = Material::read(&config)?;
        let context = context::build(&config, &material, &around)?;
        let listener = Self {
            config,
            context: RwLock::new(context),
            digest: Mutex::new(digest),
            staple: Arc::clone(&around.staple),
            wanted: Arc::clone(&around.wanted),
            around: Mutex::new(around),
        };
        Ok((listener, material.warnings))
    }

    /// The context of new connections.
    pub(super) fn context(&self) -> SslContext {
        self.context
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Milliseconds from accept to the end of the handshake.
    pub(crate) fn handshake_timeout_ms(&self) -> u64 {
        self.config.handshake_timeout_ms
    }

    /// Read the files again; `true` if they changed and are in force now. Faults change nothing.
    pub fn reload(&self) -> Result<bool, Vec<Fault>> {
        let around = self.around.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.renew(&around)?;
        if changed {
            self.clear_ocsp_response(); // it may be about another certificate
        }
        Ok(changed)
    }

    /// Put fetched revocation lists, by file, into force.
    pub fn set_fetched_lists(&self, files: Vec<String>) -> Result<bool, Vec<Fault>> {
        let mut around = self.around.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Surroundings {
            fetched_lists: files,
            ..around.clone()
        };
        let changed = self.renew(&next)?;
        *around = next;
        Ok(changed)
    }

    fn renew(&self, around: &Surroundings) -> Result<bool, Vec<Fault>> {
        let digest = digest(&self.config, &around.fetched_lists);
        let mut before = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        if *before == digest {
            return Ok(false);
        }
        let material = Material::read(&self.config)?;
        let context = context::build(&self.config, &material, around)?;
        *self.context.write().unwrap_or_else(PoisonError::into_inner) = context;
        *before = digest;
        Ok(true)
    }

    /// Addresses of revocation lists that were missed since the last call.
    pub(crate) fn take_wanted_lists(&self) -> Vec<String> {
        self.wanted.take()
    }

    /// The request to send to the OCSP responder.
    pub fn ocsp_request(&self) -> Result<Vec<u8>, String> {
        self.question()?.request()
    }

    /// Send this OCSP response along from now on, if it is a good one.
    pub fn set_ocsp_response(&self, response: &[u8]) -> Result<(), String> {
        self.question()?.check(response)?;
        self.staple.set(Some(response));
        Ok(())
    }

    /// Send none along any more.
    pub fn clear_ocsp_response(&self) {
        self.staple.set(None);
    }

    fn question(&self) -> Result<Question, String> {
        match (&self.config.ocsp, self.config.certificates.first()) {
            (Some(ocsp), Some(first)) => Question::read(&first.certfile, &ocsp.issuer_pem),
            _ => Err("stapling is not enabled".to_owned()),
        }
    }
}

/// Of all files a context is made of, and of their names; a file that cannot be read counts as empty.
fn digest(config: &TlsConfig, fetched_lists: &[String]) -> [u8; 20] {
    let own = config
        .certificates
        .iter()
        .flat_map(|certificate| [&certificate.certfile, &certificate.keyfile]);
    let lists = config.crl.iter().flat_map(|crl| &crl.files);
    let files = own
        .chain(&config.cacertfile)
        .chain(&config.dhfile)
        .chain(lists)
        .chain(fetched_lists);
    let mut hash = Sha1::new();
    for file in files {
        let bytes = material::read(file).unwrap_or_default();
        hash.update(file.as_bytes());
        hash.update(bytes.len().to_le_bytes());
        hash.update(&bytes);
    }
    hash.finalize().into()
}
