//! Connections behind a proxy, and addresses that may not connect (`spec/hardening.md` section 4).

use std::{mem, net::SocketAddr, sync::Arc};

use vallum_mqtt::packet::ReasonCode;

use super::EventLoop;
use crate::{
    connection::{Phase, disconnect::Close},
    event::Refusal,
    transport::proxy::{self, Origin},
};

impl EventLoop {
    /// Take in `data` where a PROXY protocol header is due; `false` if the connection is gone.
    ///
    /// What follows the header is handled as if it had come by itself.
    pub(super) fn take_proxy_header(&mut self, slot: u32, data: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return false;
        };
        let mut held = mem::take(&mut connection.tail);
        held.extend_from_slice(data);
        let (origin, size) = match proxy::parse(&held) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => {
                connection.tail = held;
                return true;
            }
            Err(error) => {
                self.refuse_proxy_header(slot, error.reason());
                return false;
            }
        };
        match origin {
            Origin::Announced(peer) => connection.peer = peer,
            Origin::Socket => {}
            Origin::HealthCheck => {
                self.close(slot, Close::PeerGone);
                return false;
            }
        }
        connection.phase = Phase::AwaitConnect;
        let (peer, listener) = (connection.peer, connection.listener);
        if !self.listener(listener).access.admit(peer.ip()) {
            self.refuse_address(listener, peer);
            self.close(slot, Close::PeerGone);
            return false;
        }
        match held.get_mut(size..) {
            Some(rest) if !rest.is_empty() => self.unwrap(slot, rest),
            _ => true,
        }
    }

    /// Close a connection whose header is missing, late or malformed.
    pub(super) fn refuse_proxy_header(&mut self, slot: u32, reason: &'static str) {
        self.metrics().proxy_refused.add(1);
        if let Some(connection) = self.connections.get(slot as usize) {
            let (listener, peer) = (connection.listener, connection.peer);
            self.report_peer(listener, peer, "proxy_protocol", reason);
        }
        self.close(slot, Close::PeerGone);
    }

    /// Note a connection that its address keeps out.
    pub(super) fn refuse_address(&mut self, listener: u16, peer: SocketAddr) {
        self.metrics().access_denied.add(1);
        self.report_peer(listener, peer, "access_rules", "address_denied");
    }

    /// One line for the log about a peer that never became a client.
    fn report_peer(
        &mut self,
        listener: u16,
        peer: SocketAddr,
        stage: &'static str,
        reason: &'static str,
    ) {
        self.report(Refusal {
            action: "connect",
            client_id: Arc::from(""),
            username: None,
            peer: Some(peer),
            listener: self.listener_id(listener),
            stage: stage.to_owned(),
            reason: reason.to_owned(),
            reason_code: ReasonCode::NotAuthorized.as_u8(),
            topic: None,
            suppressed: 0,
        });
    }
}
