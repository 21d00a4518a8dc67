"""Configuration: HOCON text to checked, frozen models, and from them the documents for Rust.

- `hocon`      text to a tree in which every value knows its place
- `env`        `VALLUM_A__B` and `EMQX_A__B` overrides
- `backslash`  expressions written with a doubled backslash
- `roots`, `not_yet`, `checks`, `translate`   what is unknown, without effect, contradictory
- `models`     what the rest of the package sees
- `load`       all of it, every fault at once
- `compiled`   the two documents that cross to Rust
"""

from vallum.config.compiled import broker_document, jwt_stage, policy_document
from vallum.config.hocon import Origin
from vallum.config.load import Config, load
from vallum.config.models import Context, Profile, Secret

__all__ = [
    "Config",
    "Context",
    "Origin",
    "Profile",
    "Secret",
    "broker_document",
    "jwt_stage",
    "load",
    "policy_document",
]
