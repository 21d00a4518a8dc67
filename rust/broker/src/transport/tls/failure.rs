//! Why TLS failed, in words an administrator can act on.

use openssl::{
    error::ErrorStack,
    ssl::{Error, SslRef},
    x509::X509VerifyResult,
};

/// Why a connection failed: a reason identifier, and what it means and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The identifier (`docs/reference/reasons.md`).
    pub reason: &'static str,
    /// One sentence; it holds nothing the peer could choose.
    pub detail: String,
}

/// Reason, and what it means.
type Known = (&'static str, &'static str);

const CERTIFICATE_VERIFY_FAILED: i32 = 134;
/// Reasons at and above this one are alerts of the peer, by number.
const ALERT: i32 = 1000;
const ALERTS_END: i32 = 1256;

impl Failure {
    fn of((reason, detail): Known) -> Self {
        Self {
            reason,
            detail: detail.to_owned(),
        }
    }
}

/// What is wrong with a connection that does not begin with a TLS record of a handshake, if it does
/// not. It is closed at its first byte, and told apart, as this is the mistake made most.
pub(super) fn of_first_byte(bytes: &[u8]) -> Option<Failure> {
    const HANDSHAKE: u8 = 0x16;
    const CONNECT: u8 = 0x10;
    let known = match bytes.first()? {
        &HANDSHAKE => return None,
        &CONNECT => (
            "tls_plain_mqtt",
            "the client speaks MQTT without TLS; turn TLS on there, or use a tcp listener",
        ),
        b'G' | b'P' | b'H' | b'O' => (
            "tls_plain_http",
            "the client speaks HTTP without TLS; for WebSocket use wss:// and a wss listener",
        ),
        _ => ("tls_not_tls", "what the client sent is not TLS"),
    };
    Some(Failure::of(known))
}

/// A handshake that took too long.
pub(crate) fn timeout() -> Failure {
    Failure::of((
        "tls_handshake_timeout",
        "the handshake was not over within handshake_timeout or mqtt.idle_timeout",
    ))
}

/// A peer that went away in the middle of the handshake.
pub(crate) fn gave_up() -> Failure {
    Failure::of((
        "tls_client_gave_up",
        "the client closed the connection during the handshake; perhaps it does not trust the \
         listener's certificate",
    ))
}

/// What OpenSSL says, and what it thinks of the certificate.
pub(super) fn of(error: &Error, ssl: &SslRef) -> Failure {
    let Some(stack) = error.ssl_error() else {
        return Failure::of(("tls_error", "the connection broke"));
    };
    let failed = stack
        .errors()
        .iter()
        .any(|error| error.reason_code() == CERTIFICATE_VERIFY_FAILED);
    if failed {
        return of_certificate(ssl.verify_result());
    }
    of_stack(stack)
}

/// What OpenSSL says.
pub(super) fn of_stack(stack: &ErrorStack) -> Failure {
    let Some(error) = stack.errors().first() else {
        return Failure::of(("tls_error", "no reason is known"));
    };
    let code = error.reason_code();
    let known = match code {
        ALERT..ALERTS_END => return of_alert(code - ALERT),
        193 | 118 | 101 => (
            "tls_no_shared_cipher",
            "client and listener have no cipher suite, signature algorithm or curve in common; \
             look at ssl_options.ciphers and at the type of the certificate's key",
        ),
        258 | 266 | 267 => (
            "tls_version_unsupported",
            "the client offers no version of TLS that ssl_options.versions allows",
        ),
        199 => (
            "certificate_missing",
            "the client has no certificate and fail_if_no_peer_cert demands one",
        ),
        _ => {
            let said = error.reason().unwrap_or("unknown error");
            return Failure {
                reason: "tls_protocol_error",
                detail: format!("OpenSSL: {said}"),
            };
        }
    };
    Failure::of(known)
}

/// What is wrong with the client's certificate.
fn of_certificate(result: X509VerifyResult) -> Failure {
    let known = match result.as_raw() {
        2 | 18 | 19 | 20 | 21 => (
            "certificate_unknown_ca",
            "the client's certificate was not issued by a CA of ssl_options.cacertfile, or the \
             client does not send the intermediate ones",
        ),
        9 => (
            "certificate_not_yet_valid",
            "the client's certificate is not valid yet; look at the clocks",
        ),
        10 => ("certificate_expired", "the client's certificate expired"),
        23 => ("certificate_revoked", "the client's certificate is revoked"),
        3 | 33 | 44 => (
            "crl_unavailable",
            "there is no revocation list of the issuer, so the certificate counts as revoked; its \
             address is asked for it, or give it in ssl_options.crlfile",
        ),
        11 | 12 => (
            "crl_expired",
            "the revocation list of the issuer is out of date, so the certificate counts as revoked",
        ),
        22 => (
            "certificate_chain_too_long",
            "more intermediate certificates than ssl_options.depth allows",
        ),
        26 | 50 | 79 => (
            "certificate_purpose",
            "the certificate is not for TLS clients, or lacks a usage of \
             ssl_options.verify_peer_ext_key_usage",
        ),
        7 | 66 | 67 | 68 => (
            "certificate_weak_or_forged",
            "a signature in the client's chain is wrong, or a key or digest is too weak",
        ),
        _ => {
            return Failure {
                reason: "certificate_refused",
                detail: format!("OpenSSL: {}", result.error_string()),
            };
        }
    };
    Failure::of(known)
}

/// What the client says is wrong (RFC 8446 section 6).
fn of_alert(alert: i32) -> Failure {
    let known = match alert {
        42 | 43 | 44 | 46 | 113 => (
            "tls_client_refused_certificate",
            "the client refused the listener's certificate; look at names and intermediates in it",
        ),
        45 => (
            "tls_client_refused_certificate",
            "the client says that the listener's certificate expired; look at the clocks",
        ),
        48 => (
            "tls_client_refused_certificate",
            "the client does not know who issued the listener's certificate; give it the CA",
        ),
        70 => (
            "tls_version_unsupported",
            "the client does not take the version of TLS that was chosen",
        ),
        40 | 71 => (
            "tls_no_shared_cipher",
            "the client says that nothing it takes was offered",
        ),
        _ => {
            return Failure {
                reason: "tls_client_alert",
                detail: format!("the client gave up with alert {alert}"),
            };
        }
    };
    Failure::of(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes() {
        for (bytes, reason) in [
            (&b"\x16\x03\x01"[..], None),
            (b"\x10\x0c\x00\x04MQTT", Some("tls_plain_mqtt")),
            (b"GET / HTTP/1.1", Some("tls_plain_http")),
            (b"\x00", Some("tls_not_tls")),
            (b"", None),
        ] {
            assert_eq!(of_first_byte(bytes).map(|f| f.reason), reason, "{bytes:?}");
        }
    }
}
