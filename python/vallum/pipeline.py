"""The security pipeline, offline: the very code a broker runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from vallum import _core
from vallum._core import Client, Decision, Verdict
from vallum.config import Config, load, policy_document
from vallum.errors import ConfigError

Action = Literal["publish", "subscribe"]


def compile_pipeline(config: Config, methods: Sequence[str] = ()) -> _core.Pipeline:
    """Compile the decisions of a configuration.

    Args:
        config: the configuration.
        methods: Authentication Methods that the caller decides; the handle of each is its place.

    Raises:
        ConfigError: expressions, keys or rules do not compile; each fault with file and line.
    """
    try:
        return _core.Pipeline(json.dumps(policy_document(config, methods)))
    except ConfigError as error:
        raise config.error([(fault.path, fault.problem) for fault in error.faults]) from None


class Pipeline:
    """Who may connect, as whom, what they may do, and why."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._core = compile_pipeline(config)

    @classmethod
    def from_hocon(cls, text: str, base_dir: str | Path = ".") -> Pipeline:
        """Compile a configuration given as text; relative paths start at `base_dir`.

        Raises:
            ConfigError: with every fault, its path and line.
        """
        return cls(load(text=text, base_dir=base_dir))

    @classmethod
    def from_file(cls, path: str | Path) -> Pipeline:
        """Compile a configuration file.

        Raises:
            ConfigError: with every fault, its path, file and line.
        """
        return cls(load(Path(path)))

    async def connect(self, client: Client, *, at: float | None = None) -> Decision:
        """Decide about a CONNECT, `at` Unix seconds (now if None)."""
        return self._core.connect(client, at)

    async def authorize(
        self,
        decision: Decision,
        action: Action,
        topic: str,
        *,
        qos: int = 0,
        retain: bool = False,
        at: float | None = None,
    ) -> Verdict:
        """Decide about a publish or a subscription of the client a decision was made about."""
        return self._core.authorize(decision, action, topic, qos, retain, at)
