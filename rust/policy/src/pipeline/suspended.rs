//! A CONNECT that waits for an external authenticator: it owns everything needed to go on, so the
//! pipeline may be replaced and the packet forgotten meanwhile.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    ConnectRequest,
    chain::{Chain, Progress, Recorded, Run},
};
use crate::{
    client::{ClientInfo, TlsPeer},
    decision::{Answer, Decision, Grant, Name, Stage, Why, reason_code, reason_from_text},
    token::is_attribute_name,
};

/// What an external authenticator answered.
#[derive(Clone, Debug)]
pub enum ExternalVerdict {
    /// Accepted with that grant.
    Ok(Box<Grant>),
    /// Refused.
    Deny {
        /// MQTT 5 reason code; one under 0x80 is no refusal and becomes Not authorized.
        reason_code: u8,
        /// A reason identifier, or a text.
        reason: String,
    },
    /// Not its client.
    Ignore {
        /// A reason identifier, or a text.
        reason: String,
    },
    /// It failed, or did not answer in time: the profile decides.
    Error {
        /// A reason identifier, or a text.
        reason: String,
    },
}

impl From<ExternalVerdict> for Answer {
    fn from(verdict: ExternalVerdict) -> Self {
        match verdict {
            ExternalVerdict::Ok(mut grant) => {
                grant.client_attrs.retain(|name, _| is_attribute_name(name));
                grant.client_id_override = grant.client_id_override.filter(|id| !id.is_empty());
                Self::Ok(grant)
            }
            ExternalVerdict::Deny {
                reason_code: code,
                reason,
            } => {
                let code = if code < 0x80 {
                    reason_code::NOT_AUTHORIZED
                } else {
                    code
                };
                Self::Deny(code, reason_from_text(&reason))
            }
            ExternalVerdict::Ignore { reason } => Self::Ignore(reason_from_text(&reason)),
            ExternalVerdict::Error { reason } => Self::Failure(reason_from_text(&reason)),
        }
    }
}

/// A CONNECT waiting for an external authenticator.
pub struct Suspended {
    chain: Arc<Chain>,
    index: usize,
    handle: u32,
    run: Run,
    request: OwnedRequest,
}

impl Suspended {
    pub(super) fn new(
        chain: Arc<Chain>,
        index: usize,
        handle: u32,
        run: Run,
        request: &ConnectRequest<'_>,
    ) -> Self {
        Self {
            chain,
            index,
            handle,
            run,
            request: OwnedRequest::from(request),
        }
    }

    /// Which external authenticator to ask: the handle from the configuration.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// The client as known so far.
    pub fn client(&self) -> &ClientInfo {
        &self.run.client
    }

    /// Password of the CONNECT. Secret.
    pub fn password(&self) -> Option<&[u8]> {
        self.request.password.as_deref()
    }

    /// Authentication Method of the CONNECT.
    pub fn auth_method(&self) -> Option<&str> {
        self.request.auth_method.as_deref()
    }

    /// Authentication Data of the CONNECT. Secret.
    pub fn auth_data(&self) -> Option<&[u8]> {
        self.request.auth_data.as_deref()
    }

    /// The client's next step in the exchange: what the authenticator is asked about now.
    pub fn next_round(&mut self, auth_data: Option<&[u8]>) {
        self.request.auth_data = auth_data.map(Into::into);
    }

    /// Distinguished name of the client certificate.
    pub fn cert_subject(&self) -> Option<&str> {
        self.request.cert_subject.as_deref()
    }

    /// MQTT protocol level.
    pub fn proto_ver(&self) -> u8 {
        self.request.proto_ver
    }

    /// Go on with the answer; later authenticators may decide, or suspend again. `now` as for
    /// [`super::Pipeline::connect`].
    pub fn resume(self, verdict: ExternalVerdict, now: Duration) -> Progress {
        let Self {
            chain,
            index,
            run,
            request,
            ..
        } = self;
        let Some(authenticator) = chain.authenticators.get(index) else {
            return Progress::Decided(lost(run));
        };
        match chain.record(authenticator, Stage::Authenticator, verdict.into(), run) {
            Recorded::Decided(decision) => Progress::Decided(decision),
            Recorded::Next(run) => {
                let client = run.client.clone();
                chain.run(index + 1, run, &request.borrow(&client), now)
            }
        }
    }
}

impl fmt::Debug for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspended")
            .field("handle", &self.handle)
            .field("client", &self.run.client)
            .finish_non_exhaustive()
    }
}

/// The chain is the one that was suspended, so this cannot happen; if it does, nobody gets in.
fn lost(run: Run) -> Decision {
    let why = Why::new("internal_error");
    run.deny(
        Stage::Default,
        Name::Static("no_match"),
        reason_code::NOT_AUTHORIZED,
        why,
    )
}

/// What later authenticators need of the CONNECT, beside the client information.
struct OwnedRequest {
    username: Option<Box<str>>,
    password: Option<Box<[u8]>>,
    proto_ver: u8,
    cert_common_name: Option<Box<str>>,
    cert_subject: Option<Box<str>>,
    tls: Option<Box<TlsPeer>>,
    auth_method: Option<Box<str>>,
    auth_data: Option<Box<[u8]>>,
}

impl From<&ConnectRequest<'_>> for OwnedRequest {
    fn from(request: &ConnectRequest<'_>) -> Self {
        Self {
            username: request.username.map(Into::into),
            password: request.password.map(Into::into),
            proto_ver: request.proto_ver,
            cert_common_name: request.cert_common_name.map(Into::into),
            cert_subject: request.cert_subject.map(Into::into),
            tls: request.tls.cloned().map(Box::new),
            auth_method: request.auth_method.map(Into::into),
            auth_data: request.auth_data.map(Into::into),
        }
    }
}

impl OwnedRequest {
    fn borrow<'a>(&'a self, client: &'a ClientInfo) -> ConnectRequest<'a> {
        ConnectRequest {
            client_id: &client.client_id,
            username: self.username.as_deref(),
            password: self.password.as_deref(),
            peer_host: client.peer_host,
            proto_ver: self.proto_ver,
            listener: &client.listener,
            zone: &client.zone,
            cert_common_name: self.cert_common_name.as_deref(),
            cert_subject: self.cert_subject.as_deref(),
            tls: self.tls.as_deref(),
            auth_method: self.auth_method.as_deref(),
            auth_data: self.auth_data.as_deref(),
            user_properties: &[],
            client_attrs: None,
            is_superuser: client.is_superuser,
        }
    }
}
