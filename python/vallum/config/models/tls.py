"""TLS options of listeners and of outbound connections (spec/authentication.md section 21.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from vallum.config.models.section import Section, problem
from vallum.config.models.types import (
    Bool,
    CommaList,
    Duration,
    NonNegativeInt,
    SecretText,
    Text,
    comma_list,
)

TlsVersion = Literal["tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"]
Versions = Annotated[tuple[TlsVersion, ...], BeforeValidator(comma_list)]


class Ocsp(Section):
    """`ssl_options.ocsp`: stapling."""

    enable_ocsp_stapling: Bool = False
    """Whether responses are stapled."""
    responder_url: Text | None = None
    """Responder."""
    issuer_pem: Text | None = None
    """Certificate of the issuer."""
    refresh_interval: Duration = timedelta(minutes=5)
    """Time between fetches."""
    refresh_http_timeout: Duration = timedelta(seconds=15)
    """Time one fetch may take."""


class _Tls(Section):
    """What both ends have."""

    cacertfile: Text | None = None
    """Trusted certificates, PEM."""
    certfile: Text | None = None
    """Own certificate chain, PEM."""
    keyfile: Text | None = None
    """Its key, PEM."""
    password: SecretText | None = None
    """Of the key."""
    verify: Literal["verify_none", "verify_peer"] | None = None
    """Whether the peer's certificate is checked; None: by profile."""
    depth: NonNegativeInt = 10
    """Intermediate certificates allowed."""
    versions: Versions = ("tlsv1.3", "tlsv1.2")
    """Protocol versions."""
    ciphers: CommaList = ()
    """Cipher suites; none named: all of the versions."""
    secure_renegotiate: Bool = True
    """Renegotiate only by RFC 5746."""
    reuse_sessions: Bool = False
    """Session resumption."""
    log_level: Text = "notice"
    """Of TLS messages."""
    hibernate_after: Duration = timedelta(seconds=5)
    """Means nothing here."""
    partial_chain: Annotated[
        Literal["true", "false", "two_cacerts_from_cacertfile", "cacert_from_cacertfile"],
        BeforeValidator(lambda v: str(v).lower() if isinstance(v, bool) else v),
    ] = "false"
    """Which certificates of cacertfile are anchors by themselves."""
    verify_peer_ext_key_usage: Text | None = None
    """Extended key usages the peer must have."""
    managed_certs: Any = None
    """Certificates kept by the server."""


class ServerTls(_Tls):
    """`ssl_options` of a listener."""

    fail_if_no_peer_cert: Bool = False
    """Refuse clients without a certificate."""
    honor_cipher_order: Bool = True
    """Prefer the server's order of cipher suites."""
    client_renegotiation: Bool = True
    """Let clients renegotiate."""
    session_tickets: Literal["disabled", "stateless", "stateless_with_cert"] = "disabled"
    """TLS 1.3 tickets."""
    handshake_timeout: Duration = timedelta(seconds=15)
    """Time for the handshake."""
    dhfile: Text | None = None
    """Diffie-Hellman parameters."""
    gc_after_handshake: Bool = False
    """Means nothing here."""
    enable_crl_check: Bool = False
    """Check revocation lists."""
    ocsp: Ocsp = Field(default_factory=Ocsp)
    """Stapling."""

    @model_validator(mode="after")
    def _verified(self) -> ServerTls:
        if self.fail_if_no_peer_cert and self.verify != "verify_peer":
            raise problem(
                "verify must be verify_peer when fail_if_no_peer_cert is true",
                "fail_if_no_peer_cert",
            )
        if self.enable_crl_check and self.verify != "verify_peer":
            raise problem(
                "verify must be verify_peer when CRL check is enabled", "enable_crl_check"
            )
        return self


class ClientTls(_Tls):
    """`ssl` of a backend or key set: TLS of outbound connections."""

    enable: Bool = False
    """Whether TLS is used with these options."""
    server_name_indication: Text | None = None
    """Host name expected in the certificate; `disable` to send and check none."""
    middlebox_comp_mode: Bool = True
    """Means nothing here."""
