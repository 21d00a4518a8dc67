//! What a client's certificate says, at CONNECT: names for the pipeline, and the identity the
//! certificate gives (`mqtt.peer_cert_as_username`, `mqtt.peer_cert_as_clientid`).

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use vallum_mqtt::packet::ReasonCode;

use super::disconnect::Close;
use crate::{
    config::CertificateField,
    event::Refusal,
    event_loop::{EventLoop, Flow},
    transport::tls::identity::{BadName, Peer},
};

impl EventLoop {
    /// What TLS says about the client of `slot`; nothing if the connection is in clear.
    pub(super) fn tls_peer(&mut self, slot: u32) -> Result<Option<Box<Peer>>, BadName> {
        let session = self
            .connections
            .get_mut(slot as usize)
            .and_then(|connection| connection.transport.tls())
            .and_then(|tls| tls.session());
        session.map(|ssl| Peer::of(ssl).map(Box::new)).transpose()
    }

    /// Close a connection whose certificate has a name that cannot be shown to anybody.
    pub(super) fn refuse_certificate(&mut self, slot: u32, bad: BadName) -> Flow {
        self.metrics().client_refused.add(1);
        if let Some(connection) = self.connections.get(slot as usize) {
            let (peer, listener) = (connection.peer, connection.listener);
            self.report(Refusal {
                action: "connect",
                client_id: Arc::from(""),
                username: None,
                peer: Some(peer),
                listener: self.listener_id(listener),
                stage: bad.0.to_owned(),
                reason: "peer_certificate_field_rejected".to_owned(),
                reason_code: ReasonCode::NotAuthorized.as_u8(),
                topic: None,
                suppressed: 0,
            });
        }
        self.close(slot, Close::PeerGone);
        Flow::Closed
    }
}

/// The part of the client's certificate that `field` names; `None` without a certificate, or if that
/// has no such part: then the client's own word counts.
pub(super) fn part_of(peer: Option<&Peer>, field: Option<CertificateField>) -> Option<String> {
    let (peer, field) = (peer?, field?);
    let certificate = peer.certificate.as_ref()?;
    match field {
        CertificateField::Cn => certificate.common_name.clone(),
        CertificateField::Dn => Some(certificate.subject.clone()),
        CertificateField::Md5 => certificate.md5(),
        CertificateField::Crt | CertificateField::Pem => peer
            .details
            .cert_der
            .as_deref()
            .map(|der| STANDARD.encode(der)),
    }
}
