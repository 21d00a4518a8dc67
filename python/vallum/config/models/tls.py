"""TLS options of listeners and of outbound connections (spec/authentication.md section 21.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from vallum.config.models.section import Section, context_of, problem
from vallum.config.models.types import (
    Bool,
    CommaList,
    Duration,
    IndexList,
    NonNegativeInt,
    PositiveInt,
    SecretText,
    Text,
    Timeout,
    comma_list,
)

TlsVersion = Literal["tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"]
Versions = Annotated[tuple[TlsVersion, ...], BeforeValidator(comma_list)]


ExtKeyUsage = Literal[
    "clientAuth", "serverAuth", "codeSigning", "emailProtection", "timeStamping", "ocspSigning"
]
_SHORTEST_REFRESH = timedelta(minutes=1)


def _file(value: Any, info: ValidationInfo) -> Any:
    """A path, made absolute; `${EMQX_ETC_DIR}/...` and the like expanded."""
    if not isinstance(value, str):
        return value
    if not value or "\0" in value:
        raise problem("must not be empty" if not value else "not a path")
    return str(context_of(info).path(value))


File = Annotated[str, BeforeValidator(_file)]
"""A file that somebody else reads."""


def _at_least_a_minute(value: timedelta) -> timedelta:
    if value < _SHORTEST_REFRESH:
        raise problem("must be at least 1m")
    return value


def _safe_versions(value: Any) -> Any:
    versions = comma_list(value)
    if not versions:
        raise problem("must not be empty; the default is [tlsv1.3, tlsv1.2]")
    old = [str(version) for version in versions if version in ("tlsv1.1", "tlsv1")]
    if old:
        raise problem(f"{', '.join(old)}: not safe (RFC 8996) and not available; write tlsv1.2")
    return versions


class Ocsp(Section):
    """`ssl_options.ocsp`: stapling."""

    enable_ocsp_stapling: Bool = False
    """Whether clients are sent a proof that the certificate is not revoked."""
    responder_url: Text | None = None
    """Address of the responder, `http://`."""
    issuer_pem: File | None = None
    """Certificate of whoever issued `certfile`, PEM."""
    refresh_interval: Timeout = timedelta(minutes=5)
    """Time between questions to the responder."""
    refresh_http_timeout: Timeout = timedelta(seconds=15)
    """How long an answer may take."""

    _refresh = field_validator("refresh_interval")(_at_least_a_minute)

    @model_validator(mode="after")
    def _complete(self) -> Ocsp:
        if not self.enable_ocsp_stapling:
            return self
        for name in ("responder_url", "issuer_pem"):
            if getattr(self, name) is None:
                raise problem("required when enable_ocsp_stapling is true", name)
        if not str(self.responder_url).startswith("http://"):
            raise problem("must begin with http://; the answer is signed", "responder_url")
        return self


class SniCertificate(Section):
    """`ssl_options.sni_certificates[]`: a certificate for clients that ask for these servers."""

    server_names: CommaList = Field(min_length=1)
    """Host names clients connect to; `*.example.com` stands for one label."""
    certfile: File
    """Certificate, and the intermediate ones behind it, PEM."""
    keyfile: File
    """Its key, PEM."""
    password: SecretText | None = None
    """Of the key."""


class CrlCache(Section):
    """`crl_cache`: certificate revocation lists that are fetched."""

    refresh_interval: Timeout = timedelta(minutes=15)
    """Time between fetches of a list."""
    http_timeout: Timeout = timedelta(seconds=15)
    """How long one fetch may take."""
    failure_threshold: Timeout = timedelta(seconds=60)
    """A list that cannot be had for so long is forgotten, and its clients are refused."""
    capacity: PositiveInt = 100
    """Lists kept; the oldest goes first."""

    _refresh = field_validator("refresh_interval")(_at_least_a_minute)


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
    managed_certs: Any = None
    """Certificates kept by the server."""


class ServerTls(_Tls):
    """`ssl_options` of a listener."""

    cacertfile: File = Field(default="${EMQX_ETC_DIR}/certs/cacert.pem", validate_default=True)
    """Who may issue client certificates, PEM; read with `verify_peer` only."""
    certfile: File = Field(default="${EMQX_ETC_DIR}/certs/cert.pem", validate_default=True)
    """Certificate, and the intermediate ones behind it, PEM."""
    keyfile: File = Field(default="${EMQX_ETC_DIR}/certs/key.pem", validate_default=True)
    """Its key, PEM."""
    verify: Literal["verify_none", "verify_peer"] = "verify_none"
    """Whether clients are asked for a certificate; one that is presented must be good."""
    versions: Annotated[
        tuple[Literal["tlsv1.3", "tlsv1.2"], ...],
        BeforeValidator(_safe_versions),
    ] = ("tlsv1.3", "tlsv1.2")
    """Protocol versions."""
    ciphers: CommaList = ()
    """Cipher suites by OpenSSL's names, best first, of TLS 1.2 and 1.3 in one list; none named:
    OpenSSL's own choice. A version none of whose suites is named is off."""
    verify_peer_ext_key_usage: Annotated[tuple[ExtKeyUsage, ...], BeforeValidator(comma_list)] = ()
    """Extended key usages a client certificate must name, all of them."""
    reuse_sessions: Bool = False
    """Keep the sessions of TLS 1.2 clients, so that they can resume them."""
    fail_if_no_peer_cert: Bool = False
    """Refuse clients without a certificate."""
    honor_cipher_order: Bool = True
    """Prefer the server's order of cipher suites."""
    client_renegotiation: Bool = True
    """Let clients renegotiate."""
    session_tickets: Literal["disabled", "stateless", "stateless_with_cert"] = "disabled"
    """Give clients tickets to resume their sessions with; both kinds hold the client's certificate,
    so it is known when the session is resumed."""
    handshake_timeout: Timeout = timedelta(seconds=15)
    """Time from the TCP connection to the end of the handshake; `mqtt.idle_timeout` runs, too."""
    dhfile: File | None = None
    """Diffie-Hellman parameters, PEM; without them there are no DHE suites."""
    gc_after_handshake: Bool = False
    """Means nothing here."""
    enable_crl_check: Bool = False
    """Refuse client certificates that are revoked, or whose revocation list cannot be had."""
    crlfile: Annotated[tuple[File, ...], BeforeValidator(comma_list)] = ()
    """Revocation lists as files, PEM, beside those that certificates say where to fetch."""
    ocsp: Ocsp = Field(default_factory=Ocsp)
    """Stapling."""
    sni_certificates: Annotated[tuple[SniCertificate, ...], IndexList] = ()
    """More certificates, picked by the server a client asks for; `certfile` for all others."""

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
        if self.crlfile and not self.enable_crl_check:
            raise problem("the lists are not looked at unless enable_crl_check is true", "crlfile")
        return self


class ClientTls(_Tls):
    """`ssl` of a backend or key set: TLS of outbound connections."""

    enable: Bool = False
    """Whether TLS is used with these options."""
    verify_peer_ext_key_usage: Text | None = None
    """Extended key usages the server must have."""
    server_name_indication: Text | None = None
    """Host name expected in the certificate; `disable` to send and check none."""
    middlebox_comp_mode: Bool = True
    """Means nothing here."""
