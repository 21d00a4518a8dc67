"""Vallum: an MQTT broker made for security.

- `Broker`      run a broker inside an asyncio program
- `Pipeline`    ask the very pipeline a broker runs: who may connect, what they may do, and why
- `Client`      the facts about a client
- `expr`, `acl`, `jwt`   the parts of the pipeline by themselves
- `config`      the configuration reader
- `errors`      everything raised on purpose, below `VallumError`
"""

from vallum import acl, expr, jwt
from vallum._core import Client, Decision, Verdict, __version__
from vallum.broker import Broker
from vallum.errors import AclError, BrokerError, ConfigError, ExpressionError, Fault, VallumError
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
    "expr",
    "jwt",
]
