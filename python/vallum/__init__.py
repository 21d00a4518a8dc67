"""Vallum: an MQTT broker made for security.

- `Broker`      run a broker inside an asyncio program
- `Pipeline`    ask the very pipeline a broker runs: who may connect, what they may do, and why
- `Client`      the facts about a client
- `expr`, `acl`, `jwt`   the parts of the pipeline by themselves
- `config`      the configuration reader
- `errors`      everything raised on purpose, below `VallumError`

A name is imported when it is first used, so that `vallum --version` need not load everything.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vallum import acl, config, errors, expr, jwt
    from vallum._core import Client, Decision, Verdict, __version__
    from vallum.broker import Broker
    from vallum.errors import (
        AclError,
        BrokerError,
        ConfigError,
        ExpressionError,
        Fault,
        VallumError,
    )
    from vallum.pipeline import Pipeline

__all__ = [
    "AclError",
    "Broker",
    "BrokerError",
    "Client",
    "ConfigError",
    "Decision",
    "ExpressionError",
    "Fault",
    "Pipeline",
    "VallumError",
    "Verdict",
    "__version__",
    "acl",
    "config",
    "errors",
    "expr",
    "jwt",
]

_MODULES = frozenset({"acl", "config", "errors", "expr", "jwt"})
_HOME = {
    "AclError": "errors",
    "Broker": "broker",
    "BrokerError": "errors",
    "Client": "_core",
    "ConfigError": "errors",
    "Decision": "_core",
    "ExpressionError": "errors",
    "Fault": "errors",
    "Pipeline": "pipeline",
    "VallumError": "errors",
    "Verdict": "_core",
    "__version__": "_core",
}
"""The module each name lives in."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"vallum.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'vallum' has no attribute {name!r}")
    value = getattr(import_module(f"vallum.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
