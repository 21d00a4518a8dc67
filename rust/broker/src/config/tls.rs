//! TLS of a listener.

use serde::Deserialize;

/// The `ssl_options` of a listener. Files are PEM, named by absolute paths, read at start and again
/// when certificates are reloaded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one member per documented option"
)]
pub struct TlsConfig {
    /// The first is what a client gets that names no server, or one nobody serves.
    pub certificates: Vec<CertificateConfig>,
    /// Certificates of those who may issue client certificates.
    pub cacertfile: Option<String>,
    /// Whether clients are asked for a certificate, and those they present are checked.
    pub verify_peer: bool,
    /// Whether a client without one is refused.
    pub fail_if_no_peer_cert: bool,
    /// Most intermediate certificates between a client's and an anchor.
    pub depth: u32,
    /// Which certificates of `cacertfile` are anchors though somebody else issued them.
    pub partial_chain: PartialChain,
    /// Extended key usages a client certificate must name, all of them.
    pub ext_key_usage: Vec<KeyUsage>,
    /// Oldest version spoken.
    pub min_version: TlsVersion,
    /// Newest version spoken.
    pub max_version: TlsVersion,
    /// Cipher suites by the names OpenSSL gives them, best first; empty: OpenSSL's own choice.
    pub ciphers: Vec<String>,
    /// Whether that order counts rather than the client's.
    pub honor_cipher_order: bool,
    /// Parameters for DHE suites; `None`: there are none of these suites.
    pub dhfile: Option<String>,
    /// Milliseconds from accept to the end of the handshake.
    pub handshake_timeout_ms: u64,
    /// Whether clients get tickets to resume their sessions with; the broker keeps nothing.
    pub session_tickets: bool,
    /// Whether TLS 1.2 sessions are kept here, to be resumed by their identifiers.
    pub reuse_sessions: bool,
    /// Revocation lists are asked about every client certificate; `None`: they are not.
    pub crl: Option<CrlConfig>,
    /// A proof that the certificate is not revoked is sent along; `None`: it is not.
    pub ocsp: Option<OcspConfig>,
}

/// A certificate of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// Names of servers it is for, the first label perhaps `*`; not asked of the first certificate.
    pub server_names: Vec<String>,
    /// The certificate and the intermediate ones behind it.
    pub certfile: String,
    /// Its private key.
    pub keyfile: String,
    /// What the key is encrypted with.
    pub password: Option<Secret>,
}

/// A text that no log may show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("******")
    }
}

/// Versions of TLS there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "tlsv1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "tlsv1.3")]
    Tls13,
}

/// `partial_chain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartialChain {
    /// Only self-signed certificates are anchors.
    No,
    /// The last one is, too.
    Last,
    /// The last two are, too.
    LastTwo,
}

/// Extended key usages (RFC 5280 section 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names of the standard")]
pub enum KeyUsage {
    ClientAuth,
    ServerAuth,
    CodeSigning,
    EmailProtection,
    TimeStamping,
    OcspSigning,
}

/// Revocation lists of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrlConfig {
    /// Lists as files, PEM.
    pub files: Vec<String>,
    /// Most addresses of lists that are asked for at a time.
    pub capacity: usize,
}

/// OCSP stapling of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcspConfig {
    /// Certificate of whoever issued ours.
    pub issuer_pem: String,
}
