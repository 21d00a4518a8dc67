//! Which names an expression sees in which place (`spec/expressions.md` section 7.2).
//!
//! `peerhost` is a text everywhere. A certificate name that is not there is unbound, not empty.

use std::time::Duration;

use super::ConnectRequest;
use crate::{
    client::{ClientInfo, TlsPeer},
    expr::{Lookup, Variables},
};

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    ClientAttrsInit,
    ClientIdOverride,
    Precondition,
    Cinfo,
}

/// The facts about a connecting client, as one place sees them.
pub(super) struct ConnectVariables<'a> {
    pub(super) place: Place,
    pub(super) client: &'a ClientInfo,
    pub(super) request: &'a ConnectRequest<'a>,
    pub(super) now: Duration,
}

impl Variables for ConnectVariables<'_> {
    fn get<'a>(&'a self, name: &str) -> Lookup<'a> {
        let found = match name {
            "password" => self.password(),
            "cn" | "dn" | "cert_common_name" | "cert_subject" => self.certificate_name(name),
            "cert_pem" if self.place == Place::Precondition || self.place == Place::Cinfo => self
                .request
                .tls
                .and_then(|tls| tls.cert_der.as_deref())
                .map_or(Lookup::Unbound, Lookup::Bytes),
            "peersni" => self
                .request
                .tls
                .and_then(|tls| tls.server_name.as_deref())
                .map_or(Lookup::Null, Lookup::Str),
            "protocol" if self.place != Place::Precondition => Lookup::Str("mqtt"),
            "proto_name" if self.place == Place::Precondition => Lookup::Str("MQTT"),
            "auth_method" if self.place == Place::Precondition => text(self.request.auth_method),
            "auth_data" if self.place == Place::Precondition => self
                .request
                .auth_data
                .map_or(Lookup::Unbound, Lookup::Bytes),
            _ => common(self.client, name),
        };
        match (found, self.place) {
            (Lookup::Unbound, Place::ClientAttrsInit) => self.connect_property(name),
            (found, _) => found,
        }
    }

    fn now_ms(&self) -> u64 {
        milliseconds(self.now)
    }
}

impl ConnectVariables<'_> {
    fn password(&self) -> Lookup<'_> {
        match self.place {
            Place::ClientIdOverride => Lookup::Unbound,
            Place::Precondition if self.request.auth_method.is_some() => Lookup::Unbound,
            _ => self.request.password.map_or(Lookup::Null, Lookup::Bytes),
        }
    }

    fn certificate_name(&self, name: &str) -> Lookup<'_> {
        let (value, is_short) = match name {
            "cn" => (self.request.cert_common_name, true),
            "dn" => (self.request.cert_subject, true),
            "cert_common_name" => (self.request.cert_common_name, false),
            _ => (self.request.cert_subject, false),
        };
        match self.place {
            Place::Precondition if is_short => Lookup::Unbound,
            Place::ClientIdOverride if !is_short => Lookup::Unbound,
            _ => text(value),
        }
    }

    /// What only `client_attrs_init` sees: user properties (the last of a name wins) and the
    /// certificate's alternative names, empty without a certificate.
    fn connect_property(&self, name: &str) -> Lookup<'_> {
        if let Some(name) = name.strip_prefix("user_property.") {
            let last = self
                .request
                .user_properties
                .iter()
                .rev()
                .find(|(key, _)| *key == name);
            return last.map_or(Lookup::Unbound, |(_, value)| Lookup::Str(value));
        }
        let names =
            |of: fn(&TlsPeer) -> &[Box<str>]| Lookup::Strings(self.request.tls.map_or(&[], of));
        match name {
            "cert_san.dns" => names(|tls| &tls.san_dns),
            "cert_san.ip" => names(|tls| &tls.san_ip),
            "cert_san.email" => names(|tls| &tls.san_email),
            "cert_san.uri" => names(|tls| &tls.san_uri),
            _ => Lookup::Unbound,
        }
    }
}

/// The facts about a client that asks to publish or subscribe, for preconditions of sources.
pub(super) struct AuthorizeVariables<'a> {
    pub(super) client: &'a ClientInfo,
    pub(super) action: &'static str,
    pub(super) topic: &'a str,
    pub(super) now: Duration,
}

impl Variables for AuthorizeVariables<'_> {
    fn get<'a>(&'a self, name: &str) -> Lookup<'a> {
        match name {
            "action" => Lookup::Str(self.action),
            "topic" => Lookup::Str(self.topic),
            "cert_common_name" => text(self.client.cert_common_name.as_deref()),
            "proto_name" => Lookup::Str("MQTT"),
            _ => common(self.client, name),
        }
    }

    fn now_ms(&self) -> u64 {
        milliseconds(self.now)
    }
}

/// Names known in every place.
fn common<'a>(client: &'a ClientInfo, name: &str) -> Lookup<'a> {
    match name {
        "clientid" => Lookup::Str(&client.client_id),
        "username" => client.username.as_deref().map_or(Lookup::Null, Lookup::Str),
        "peerhost" => client.peer_host.map_or(Lookup::Null, |host| {
            Lookup::Owned(host.to_string().into_bytes())
        }),
        "zone" => Lookup::Str(&client.zone),
        "listener" => Lookup::Str(&client.listener),
        "is_superuser" => Lookup::Bool(client.is_superuser),
        "is_bridge" => Lookup::Bool(false),
        "peersni" | "mountpoint" => Lookup::Null,
        "client_attrs" => Lookup::Attributes(&client.client_attrs),
        _ => name
            .strip_prefix("client_attrs.")
            .filter(|attribute| !attribute.contains('.'))
            .and_then(|attribute| client.client_attrs.get(attribute))
            .map_or(Lookup::Unbound, |value| Lookup::Str(value)),
    }
}

fn text(value: Option<&str>) -> Lookup<'_> {
    value.map_or(Lookup::Unbound, Lookup::Str)
}

fn milliseconds(now: Duration) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
