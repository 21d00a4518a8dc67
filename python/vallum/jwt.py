"""The `mechanism = jwt` authenticator by itself (spec/authentication.md section 19), and tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vallum import _core
from vallum._core import Client
from vallum._core import JwtOutcome as Outcome
from vallum.config import Profile, jwt_stage

__all__ = ["Authenticator", "Outcome", "inspect", "mint"]


class Authenticator:
    """A JWT authenticator as it stands in `authentication`: the stage the broker runs."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        # The keys and checks are the same in both profiles; only defaults differ.
        self._config = dict(config)
        self._stages: dict[str, _core.JwtAuthenticator] = {}
        self._stage("hardened")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Authenticator:
        """Compile the options of one `mechanism = jwt` object.

        Raises:
            ConfigError: with every fault that was found.
        """
        return cls(config)

    def _stage(self, profile: Profile) -> _core.JwtAuthenticator | None:
        if profile not in self._stages:
            stage = jwt_stage(self._config, profile)
            if not stage["enable"]:
                return None
            stage.pop("mechanism")
            self._stages[profile] = _core.JwtAuthenticator(json.dumps(stage))
        return self._stages[profile]

    async def authenticate(
        self, client: Client, *, profile: Profile = "hardened", at: float | None = None
    ) -> Outcome:
        """Say what this authenticator makes of a client.

        Args:
            client: the client, with its password.
            profile: the security profile.
            at: Unix seconds; now if None.

        Raises:
            ConfigError: the authenticator is disabled.
        """
        stage = self._stage(profile)
        if stage is None:
            from vallum.errors import ConfigError

            raise ConfigError.of("enable", "the authenticator is disabled")
        return stage.authenticate(client, profile, at)

    async def aclose(self) -> None:
        """Let go of everything; the authenticator is not used after that."""
        self._stages.clear()


def mint(
    claims: Mapping[str, Any],
    key: bytes | str,
    *,
    algorithm: str = "HS256",
    header: Mapping[str, Any] | None = None,
) -> str:
    """Sign a token.

    Args:
        claims: the payload.
        key: the shared secret for HS256, HS384 and HS512; a private key in PEM form for the others.
        algorithm: the `alg` of the header.
        header: further members of the header.

    Raises:
        VallumError: unknown algorithm, or a key that does not fit it.
    """
    secret = key.encode() if isinstance(key, str) else key
    return _core.mint_token(algorithm, dict(claims), secret, dict(header or {}))


def inspect(token: bytes | str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and claims of a token. Nothing is verified.

    Raises:
        VallumError: it is not a token.
    """
    return _core.inspect_token(token.encode() if isinstance(token, str) else token)
