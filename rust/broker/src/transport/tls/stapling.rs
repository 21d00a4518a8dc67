//! OCSP stapling (RFC 6066 section 8, RFC 6960): the request, the check of the answer, its sending.
//!
//! Who asks the responder is outside: here is no I/O but the reading of two files.

use std::sync::{PoisonError, RwLock};

use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    ocsp::{OcspCertId, OcspCertStatus, OcspFlag, OcspRequest, OcspResponse, OcspResponseStatus},
    ssl::SslRef,
    stack::Stack,
    x509::{X509, store::X509StoreBuilder, verify::X509VerifyFlags},
};

use super::material;

/// Seconds the responder's clock may be ahead of ours.
const LEEWAY_SECONDS: u32 = 300;

/// The response that is sent along, as long as there is a good one.
#[derive(Debug, Default)]
pub(super) struct Staple(RwLock<Option<Box<[u8]>>>);

impl Staple {
    pub(super) fn set(&self, response: Option<&[u8]>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = response.map(Into::into);
    }

    /// Send it to a client that asks for it.
    pub(super) fn send(&self, ssl: &mut SslRef) -> Result<bool, ErrorStack> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Some(response) => ssl.set_ocsp_status(response).map(|()| true),
            None => Ok(false),
        }
    }
}

/// Our certificate and its issuer's.
pub(super) struct Question {
    certificate: X509,
    issuer: X509,
}

impl Question {
    /// Read both.
    pub(super) fn read(certfile: &str, issuer_pem: &str) -> Result<Self, String> {
        let first = |path| material::certificates(path).map(|mut found| found.remove(0));
        Ok(Self {
            certificate: first(certfile)?,
            issuer: first(issuer_pem)?,
        })
    }

    fn id(&self) -> Result<OcspCertId, ErrorStack> {
        OcspCertId::from_cert(MessageDigest::sha1(), &self.certificate, &self.issuer)
    }

    /// The request in DER.
    pub(super) fn request(&self) -> Result<Vec<u8>, String> {
        let make = || {
            let mut request = OcspRequest::new()?;
            request.add_id(self.id()?)?;
            request.to_der()
        };
        make().map_err(|error| material::said(&error))
    }

    /// Whether this answer says, signed by the issuer or by whom it charged with that, that our
    /// certificate is good today.
    pub(super) fn check(&self, response: &[u8]) -> Result<(), String> {
        let failed = |error: ErrorStack| material::said(&error);
        let response = OcspResponse::from_der(response).map_err(|_| "not an OCSP response")?;
        if response.status() != OcspResponseStatus::SUCCESSFUL {
            let status = response.status().as_raw();
            return Err(format!("the responder answered with status {status}"));
        }
        let basic = response.basic().map_err(failed)?;
        let mut store = X509StoreBuilder::new().map_err(failed)?;
        store.add_cert(self.issuer.clone()).map_err(failed)?;
        store
            .set_flags(X509VerifyFlags::PARTIAL_CHAIN)
            .map_err(failed)?;
        let mut signers = Stack::new().map_err(failed)?;
        signers.push(self.issuer.clone()).map_err(failed)?;
        basic
            .verify(&signers, &store.build(), OcspFlag::empty())
            .map_err(|error| format!("its signature is not the issuer's: {}", failed(error)))?;
        let id = self.id().map_err(failed)?;
        let status = basic
            .find_status(&id)
            .ok_or("it says nothing of this certificate")?;
        status
            .check_validity(LEEWAY_SECONDS, None)
            .map_err(|error| format!("it is out of date: {}", failed(error)))?;
        match status.status {
            OcspCertStatus::GOOD => Ok(()),
            OcspCertStatus::REVOKED => Err("the certificate is revoked".to_owned()),
            _ => Err("the responder does not know the certificate".to_owned()),
        }
    }
}
