"""`ssl_options` of a listener, as `TlsConfig` in rust/broker/src/config/tls.rs reads them.

Files are named by their paths and read in Rust, at start and whenever certificates are reloaded; so
what `vallum check` says of them is what a broker would say. Times are milliseconds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from vallum.config.models import Listener, Secret, ServerTls, SslListener, WssListener

_PARTIAL_CHAIN = {
    "false": "no",
    "true": "last",
    "cacert_from_cacertfile": "last",
    "two_cacerts_from_cacertfile": "last_two",
}


def options_of(listener: Listener) -> ServerTls | None:
    """The TLS options of a listener; None if it speaks in clear."""
    return listener.ssl_options if isinstance(listener, SslListener | WssListener) else None


def document(options: ServerTls, crl_capacity: int) -> dict[str, Any]:
    """The part of the broker document. It may hold the password of a key: never log it.

    Raises:
        OSError: the file with a password cannot be read.
    """
    verifies = options.verify == "verify_peer"
    return {
        "certificates": [
            _certificate((), options.certfile, options.keyfile, options.password),
            *(
                _certificate(each.server_names, each.certfile, each.keyfile, each.password)
                for each in options.sni_certificates
            ),
        ],
        "cacertfile": options.cacertfile if verifies else None,
        "verify_peer": verifies,
        "fail_if_no_peer_cert": options.fail_if_no_peer_cert,
        "depth": min(options.depth, 2**31 - 1),
        "partial_chain": _PARTIAL_CHAIN[options.partial_chain],
        "ext_key_usage": [*options.verify_peer_ext_key_usage],
        "min_version": min(options.versions),
        "max_version": max(options.versions),
        "ciphers": [name for text in options.ciphers for name in text.split(":") if name],
        "honor_cipher_order": options.honor_cipher_order,
        "dhfile": options.dhfile,
        "handshake_timeout_ms": options.handshake_timeout // timedelta(milliseconds=1),
        "session_tickets": options.session_tickets != "disabled",
        "reuse_sessions": options.reuse_sessions,
        "crl": {"files": [*options.crlfile], "capacity": crl_capacity}
        if options.enable_crl_check
        else None,
        "ocsp": {"issuer_pem": options.ocsp.issuer_pem}
        if options.ocsp.enable_ocsp_stapling
        else None,
    }


def _certificate(
    names: tuple[str, ...], certfile: str, keyfile: str, password: Secret | None
) -> dict[str, Any]:
    return {
        "server_names": [*names],
        "certfile": certfile,
        "keyfile": keyfile,
        "password": None if password is None else password.reveal(),
    }
