//! The facts about a client that rules, templates and expressions may ask for.
//!
//! Everything here comes from the client or from its authenticator and is therefore hostile text: it
//! is compared and inserted once, never parsed again.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// Client attributes: filled by `mqtt.client_attrs_init`, then by the authenticator
/// (`spec/expressions.md` section 8). Empty costs no heap.
pub type Attributes = BTreeMap<Box<str>, Box<str>>;

/// A client as authorization sees it: fixed after authentication, shared by the session.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    /// MQTT Client Identifier, after every override.
    pub client_id: Arc<str>,
    /// User name; `None` when absent. An empty one is present.
    pub username: Option<Box<str>>,
    /// Address of the peer, v4-mapped IPv6 already turned into IPv4.
    pub peer_host: Option<IpAddr>,
    /// Zone name.
    pub zone: Arc<str>,
    /// Listener as `type:name`, for example `tcp:default`.
    pub listener: Arc<str>,
    /// Common Name of the client certificate.
    pub cert_common_name: Option<Box<str>>,
    /// Attributes, merged.
    pub client_attrs: Attributes,
    /// A superuser skips authorization.
    pub is_superuser: bool,
}

/// What TLS says about a client that connects. What is empty is not there.
#[derive(Clone, Debug, Default)]
pub struct TlsPeer {
    /// The server name the client asked for (RFC 6066 section 3).
    pub server_name: Option<Box<str>>,
    /// Its certificate in DER.
    pub cert_der: Option<Box<[u8]>>,
    /// DNS names of its certificate.
    pub san_dns: Box<[Box<str>]>,
    /// IP addresses of its certificate, as text.
    pub san_ip: Box<[Box<str>]>,
    /// Mail addresses of its certificate.
    pub san_email: Box<[Box<str>]>,
    /// URIs of its certificate.
    pub san_uri: Box<[Box<str>]>,
}
