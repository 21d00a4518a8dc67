"""Load a configuration: text, environment, models, checks; all faults at once.

Precedence, lowest first: defaults, included files, the file itself (in the order written), `EMQX_`
variables, `VALLUM_` variables.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from vallum.config import backslash, checks, not_yet, paths, roots
from vallum.config import env as environment
from vallum.config.hocon import ObjectNode, Origin, ScalarNode, plain, read_file, read_text
from vallum.config.hocon.source import Report
from vallum.config.models import (
    AnyAuthenticator,
    AuthenticationRoot,
    AuthenticationSettings,
    Authorization,
    AutoSubscribe,
    BrokerRoot,
    Context,
    CrlCache,
    Dashboard,
    Listener,
    Listeners,
    Log,
    Mqtt,
    Node,
    Profile,
    Retainer,
    Rewrite,
    RewriteRoot,
    Section,
    TcpListener,
    Zone,
)
from vallum.config.models.zones import over
from vallum.config.translate import faults_of
from vallum.errors import ConfigError, Fault

_ETC_DIR_NAMES = ("VALLUM_ETC_DIR", "EMQX_ETC_DIR")
_M = TypeVar("_M", bound=Section)


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole configuration, checked and frozen."""

    profile: Profile
    """`hardened` unless the configuration or the environment says `legacy`."""
    mqtt: Mqtt
    """The root; what holds for a client says the zone of its listener."""
    zones: Mapping[str, Zone]
    """By name, `default` first and always there."""
    listeners: Listeners
    """As written; `enabled_listeners` says what starts."""
    authentication: tuple[AnyAuthenticator, ...]
    """The global chain; empty if there is none."""
    authentication_settings: AuthenticationSettings
    authorization: Authorization
    retainer: Retainer
    broker: BrokerRoot
    auto_subscribe: AutoSubscribe
    rewrite: tuple[Rewrite, ...]
    crl_cache: CrlCache
    dashboard: Dashboard
    log: Log
    node: Node
    warnings: tuple[Fault, ...] = ()
    """What an administrator should look at, in the order of the text."""
    env_overrides: tuple[str, ...] = ()
    """Names of the environment variables that took part, in the order they were applied."""
    _tree: ObjectNode = field(repr=False, compare=False)

    def locate(self, path: str) -> Origin | None:
        """Where the option at a dotted path was written, or the innermost thing around it.

        None if nothing on that path was written: the value is a default.
        """
        return paths.locate(self._tree, paths.parse(path))

    def error(self, found: Iterable[tuple[str, str]]) -> ConfigError:
        """Make an error of (path, problem) pairs that something else found, with their places."""
        return ConfigError(
            Fault(path, problem, str(origin) if (origin := self.locate(path)) else None)
            for path, problem in found
        )

    def enabled_listeners(self) -> list[tuple[str, str, Listener]]:
        """The listeners that start, as (type, name, listener).

        If the configuration names none at all it is `tcp:default` on 127.0.0.1:1883.
        """
        named = self.listeners.items()
        if not named:
            return [("tcp", "default", TcpListener.check({"bind": "127.0.0.1:1883"}))]
        return [(kind, name, listener) for kind, name, listener in named if listener.enable]


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    text: str | None = None,
    base_dir: str | os.PathLike[str] = ".",
    env: Mapping[str, str] | None = None,
) -> Config:
    """Load a configuration from a file, or from a text.

    Args:
        path: The file; relative paths in it start at its directory.
        text: The text itself, instead of a file.
        base_dir: Where relative paths in `text` start.
        env: The environment; None: that of this process.

    Raises:
        ConfigError: with every fault that was found.
    """
    env = os.environ if env is None else env
    report = Report()
    if path is not None and text is not None:
        raise ConfigError.of("", "give either a file or a text, not both")
    if path is not None:
        base = Path(path).parent
        tree = read_file(Path(path), report)
    else:
        base = Path(base_dir)
        tree = read_text(text or "", report, base)
    if report.faults:
        raise ConfigError(report.all_faults())
    overrides = environment.apply(tree, env, [*roots.OURS, *roots.WITHOUT_EFFECT], report)
    roots.check(tree, report)
    backslash.set_right(tree, report)
    context = Context(_profile(tree, report), _absolute(base), _etc_env(env))
    loader = _Loader(tree, context, report)
    config = loader.config(overrides)
    if config is None or report.faults:
        raise ConfigError(report.all_faults())
    return config


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _etc_env(env: Mapping[str, str]) -> dict[str, str]:
    """The environment, in which both names of the directory of configuration files are one."""
    merged = dict(env)
    etc = next((env[name] for name in _ETC_DIR_NAMES if env.get(name)), None)
    if etc is not None:
        merged.update(dict.fromkeys(_ETC_DIR_NAMES, etc))
    return merged


def _profile(tree: ObjectNode, report: Report) -> Profile:
    node = tree.fields.get("security_profile")
    if node is None or (isinstance(node, ScalarNode) and node.value is None):
        return "hardened"
    value = node.value if isinstance(node, ScalarNode) else None
    if value == "legacy":
        return "legacy"
    if value != "hardened":
        origin = tree.key_origins.get("security_profile")
        report.fault("must be hardened or legacy", origin, "security_profile")
    return "hardened"


class _Loader:
    """Turns a tree into models, root by root, so that a fault in one hides none in another."""

    def __init__(self, tree: ObjectNode, context: Context, report: Report) -> None:
        self._tree = tree
        self._context = context
        self._report = report
        self._data: dict[str, Any] = plain(tree)

    def config(self, overrides: list[str]) -> Config | None:
        authentication = self._model(AuthenticationRoot, "authentication", wrapped=True)
        settings = self._model(AuthenticationSettings, "authentication_settings")
        authorization = self._model(Authorization, "authorization")
        listeners = self._model(Listeners, "listeners")
        mqtt, retainer = self._model(Mqtt, "mqtt"), self._model(Retainer, "retainer")
        dashboard, log = self._model(Dashboard, "dashboard"), self._model(Log, "log")
        node, broker = self._model(Node, "node"), self._model(BrokerRoot, "broker")
        auto_subscribe = self._model(AutoSubscribe, "auto_subscribe")
        rewrite = self._model(RewriteRoot, "rewrite", wrapped=True)
        crl_cache = self._model(CrlCache, "crl_cache")
        models: dict[str, Section | None] = {
            "authentication_settings": settings,
            "authorization": authorization,
            "dashboard": dashboard,
            "listeners": listeners,
            "log": log,
            "mqtt": mqtt,
            "retainer": retainer,
        }
        zones = self._zones(mqtt)
        self._check_chains(authentication, listeners)
        if authorization is not None:
            self._faults(checks.source_faults(authorization))
        if listeners is not None:
            self._faults(checks.listener_faults(listeners, self._context))
            self._warnings(checks.exposed(listeners))
            self._faults(checks.zone_faults(listeners, self._data.get("zones")))
            faults, warnings = checks.tls_findings(listeners, (crl_cache or CrlCache()).capacity)
            self._faults(faults)
            self._warnings(warnings)
        known: dict[str, Section | Mapping[str, Section]] = {
            name: model for name, model in models.items() if model is not None
        }
        not_yet.check(self._tree, {**known, "zones": zones or {}}, self._report)
        self._warn_of_gaps(authentication, listeners)
        if (
            authentication is None
            or settings is None
            or authorization is None
            or listeners is None
            or mqtt is None
            or zones is None
            or retainer is None
            or dashboard is None
            or log is None
            or node is None
            or broker is None
            or auto_subscribe is None
            or rewrite is None
            or crl_cache is None
        ):
            return None
        return Config(
            profile=self._context.profile,
            mqtt=mqtt,
            zones=zones,
            listeners=listeners,
            authentication=authentication.authentication,
            authentication_settings=settings,
            authorization=authorization,
            retainer=retainer,
            broker=broker,
            auto_subscribe=auto_subscribe,
            rewrite=rewrite.rewrite,
            crl_cache=crl_cache,
            dashboard=dashboard,
            log=log,
            node=node,
            warnings=tuple(sorted(self._report.warnings, key=lambda fault: fault.sort_key)),
            env_overrides=tuple(overrides),
            _tree=self._tree,
        )

    def _model(self, model: type[_M], root: str, *, wrapped: bool = False) -> _M | None:
        given = {root: self._data[root]} if root in self._data else {}
        data = given if wrapped else given.get(root, {})
        return self._checked(model, data, () if wrapped else (root,))

    def _zones(self, mqtt: Mqtt | None) -> dict[str, Zone] | None:
        """Every zone; None if one is faulty. Faults of the root are not repeated for each."""
        named = self._data.get("zones", {})
        if not isinstance(named, dict):
            self._faults([(("zones",), "must be an object: { NAME { mqtt { ... } } }")])
            return None
        self._faults(checks.zone_name_faults(named))
        root = self._data.get("mqtt", {}) if mqtt is not None else {}
        zones: dict[str, Zone] = {"default": Zone(mqtt=mqtt or Mqtt())}
        whole = True
        for name, data in named.items():
            zone = self._checked(Zone, over(root, data), ("zones", name))
            whole = whole and zone is not None
            zones[name] = zone or zones["default"]
        return zones if whole else None

    def _checked(self, model: type[_M], data: Any, below: tuple[paths.Step, ...]) -> _M | None:
        try:
            return model.model_validate(data, context=self._context)
        except ValidationError as error:
            found = faults_of(error, data, self._tree, self._context, below)
            for fault in found:
                self._report.add(fault)
            return None

    def _check_chains(
        self, authentication: AuthenticationRoot | None, listeners: Listeners | None
    ) -> None:
        chains: list[tuple[tuple[paths.Step, ...], tuple[AnyAuthenticator, ...]]] = []
        if authentication is not None:
            chains.append((("authentication",), authentication.authentication))
        for kind, name, listener in listeners.items() if listeners else []:
            chains.append((("listeners", kind, name, "authentication"), listener.authentication))
        for at, chain in chains:
            self._faults(checks.chain_faults(chain, at))
            self._warnings(checks.unsafe_allows(chain, at))
            self._warnings(checks.unfetched_keys(chain, at))
            problems = checks.placeholder_problems(chain, at)
            if self._context.profile == "hardened":
                self._faults(problems)
            else:  # the reference leaves them in the text as they are
                self._warnings(problems)

    def _warn_of_gaps(
        self, authentication: AuthenticationRoot | None, listeners: Listeners | None
    ) -> None:
        if authentication is not None and not authentication.authentication and listeners:
            what = "refused" if self._context.profile == "hardened" else "accepted as anonymous"
            self._warnings(checks.without_chain(listeners, what))
        named = self._data.get("authorization")
        if not isinstance(named, dict) or "sources" not in named:
            unread = checks.unread_acl(self._context)
            if unread is not None:
                problem = f"{unread} is not read: name it in authorization.sources"
                self._warnings([(("authorization", "sources"), problem)])

    def _faults(self, found: Iterable[checks.Found]) -> None:
        for path, problem in found:
            self._report.fault(problem, paths.locate(self._tree, path), paths.dotted(path))

    def _warnings(self, found: Iterable[checks.Found]) -> None:
        for path, problem in found:
            self._report.warn(problem, paths.locate(self._tree, path), paths.dotted(path))
