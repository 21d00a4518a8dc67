"""Frozen, checked models of the configuration: one file a root, keys spelled as EMQX spells them.

Nothing outside this package reads configuration in any other form. Defaults, units and the
docstrings of fields are what the reference pages and the REST schema are made from.

- `section`         what all models share; `types` and `secret` are types of single values
- `mqtt`, `zones`, `listeners`, `authentication`, `authorization`, `retainer`: what the broker does
- `broker`, `dashboard`, `log`, `node`: how it is operated
- `tls`, `cache`    parts that occur in several of them
"""

from vallum.config.models.authentication import (
    AnyAuthenticator,
    AuthenticationRoot,
    AuthenticationSettings,
    Cinfo,
    CinfoCheck,
    JwtHmac,
    JwtJwks,
    JwtPublicKey,
    authenticator_id,
)
from vallum.config.models.authorization import DEFAULT_RULES, Authorization, FileSource
from vallum.config.models.broker import BrokerRoot
from vallum.config.models.dashboard import Dashboard
from vallum.config.models.listeners import (
    Listener,
    Listeners,
    SslListener,
    TcpListener,
    WsListener,
    WssListener,
    bind_of,
)
from vallum.config.models.log import Log
from vallum.config.models.mqtt import ClientAttribute, Mqtt
from vallum.config.models.node import Node
from vallum.config.models.retainer import Retainer
from vallum.config.models.secret import Secret
from vallum.config.models.section import Context, Profile, Section
from vallum.config.models.tls import CrlCache, ServerTls
from vallum.config.models.topics import AutoSubscribe, AutoSubscription, Rewrite, RewriteRoot
from vallum.config.models.zones import Zone

__all__ = [
    "DEFAULT_RULES",
    "AnyAuthenticator",
    "AuthenticationRoot",
    "AuthenticationSettings",
    "Authorization",
    "AutoSubscribe",
    "AutoSubscription",
    "BrokerRoot",
    "Cinfo",
    "CinfoCheck",
    "ClientAttribute",
    "Context",
    "CrlCache",
    "Dashboard",
    "FileSource",
    "JwtHmac",
    "JwtJwks",
    "JwtPublicKey",
    "Listener",
    "Listeners",
    "Log",
    "Mqtt",
    "Node",
    "Profile",
    "Retainer",
    "Rewrite",
    "RewriteRoot",
    "Secret",
    "Section",
    "ServerTls",
    "SslListener",
    "TcpListener",
    "WsListener",
    "WssListener",
    "Zone",
    "authenticator_id",
    "bind_of",
]
