"""`dashboard` (spec/management.md section 3.6): where the API and the pages are served."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from vallum.config.models.section import Section
from vallum.config.models.tls import ServerTls
from vallum.config.models.types import (
    BindAddress,
    Bool,
    Duration,
    IpPort,
    PositiveInt,
    SecretText,
    Text,
)


class HttpListener(Section):
    """`dashboard.listeners.http`."""

    bind: BindAddress = IpPort(None, 0)
    """Where it listens; 0: not at all, which is also what leaving it out means."""
    num_acceptors: PositiveInt | None = None
    """Means nothing here."""
    max_connections: PositiveInt = 512
    """Connections at a time."""
    backlog: PositiveInt = 1024
    """Connections the kernel keeps until they are accepted."""
    send_timeout: Duration = timedelta(seconds=10)
    """How long a write may block."""
    inet6: Bool = False
    """Listen on IPv6."""
    ipv6_v6only: Bool = False
    """Not on IPv4 as well."""
    proxy_header: Bool = False
    """Whether a PROXY protocol header comes first."""


class HttpsListener(HttpListener):
    """`dashboard.listeners.https`."""

    ssl_options: ServerTls = Field(default_factory=ServerTls)
    """Certificates and versions."""


class DashboardListeners(Section):
    """`dashboard.listeners`."""

    http: HttpListener = Field(default_factory=HttpListener)
    """Plain HTTP."""
    https: HttpsListener = Field(default_factory=HttpsListener)
    """HTTP over TLS."""


class Dashboard(Section):
    """`dashboard`: served only when a listener is configured."""

    listeners: DashboardListeners = Field(default_factory=DashboardListeners)
    """Where."""
    default_username: Text = "admin"
    """Administrator made at the first start."""
    default_password: SecretText | None = None
    """Its password; None: generated and shown once."""
    token_expired_time: Duration = timedelta(minutes=60)
    """How long a login lasts."""
    password_expired_time: Duration = timedelta(0)
    """How long a password lasts; 0: for ever."""
    unsuccessful_login_max_attempts: PositiveInt = 5
    """Bad passwords that lock a user out."""
    unsuccessful_login_interval: Duration = timedelta(minutes=5)
    """Time in which they are counted."""
    unsuccessful_login_lock_duration: Duration = timedelta(minutes=10)
    """How long the user is locked out."""
    cors: Bool = False
    """Whether pages of other origins may call the API."""
    swagger_support: Bool = True
    """Whether the API describes itself."""
    i18n_lang: Text = "en"
    """Language."""
    sample_interval: Duration = timedelta(seconds=10)
    """Time between samples of the monitor."""
    hwmark_expire_time: Duration = timedelta(days=7)
    """How long high-water marks are kept."""
    default_mfa: Any = Field(default=None)
    """Second factor."""
    sso: Any = Field(default=None)
    """Single sign-on."""
