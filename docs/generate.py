"""Write the pages of the reference that are made from something else: `python docs/generate.py`.

That is `docs/reference/config.md`, here, and `docs/reference/conformance.md`, in `conformance.py`.

Keys, defaults and descriptions come from `vallum.config.models`; what has no effect yet, and what
is refused, from `vallum.config.not_yet` and `vallum.config.roots`. A test holds the committed page
against what this makes.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from vallum.config import not_yet, roots
from vallum.config.models import (
    AuthenticationSettings,
    Authorization,
    AutoSubscribe,
    AutoSubscription,
    Cinfo,
    CinfoCheck,
    ClientAttribute,
    CrlCache,
    FileSource,
    JwtHmac,
    JwtPublicKey,
    Mqtt,
    Node,
    Retainer,
    Rewrite,
    Section,
    ServerTls,
    TcpListener,
    Zone,
)
from vallum.config.models.authentication import UNAVAILABLE as AUTHENTICATORS
from vallum.config.models.authorization import UNAVAILABLE as SOURCES
from vallum.config.models.authorization import TopicTemplateAllow
from vallum.config.models.broker import SharedGroup
from vallum.config.models.listeners import TcpOptions, WebSocket
from vallum.config.models.log import LogHandler, Throttling
from vallum.config.models.retainer import RetainerBackend
from vallum.config.models.tls import Ocsp, SniCertificate

PAGE = Path(__file__).parent / "reference" / "config.md"

INTRODUCTION = """\
# Configuration

<!-- Made by docs/generate.py from the models in python/vallum/config/models; do not edit. -->

The file is [HOCON](https://github.com/lightbend/config/blob/main/HOCON.md), with the keys and the
defaults of EMQX. `vallum check -c FILE` reports every fault at once, each with file and line, and
warns of keys that have no effect. An unknown key is a fault.

- Later wins: defaults, included files, the file itself, `EMQX_` variables, `VALLUM_` variables.
- One option is set from the environment by `VALLUM_MQTT__MAX_INFLIGHT=64` or the same with `EMQX_`:
  `__` separates the parts of the path, the elements of an array are numbered from 1.
- Relative paths start at the directory of the configuration file.
- A text that is a secret may be `file:///PATH`: the file is read when it is used.
- Durations are written `500ms`, `90s`, `1h30m`; sizes `512`, `64KB`, `1MB`; a number without a unit
  counts milliseconds (`refresh_interval`: seconds), or bytes.

`security_profile` is `hardened` (the default) or `legacy`:
see [security profiles](../concepts/profiles.md).
"""


@dataclass(frozen=True)
class Table:
    """One object of the configuration."""

    title: str
    path: str
    """As in the tables of `not_yet`: `*` for any key."""
    model: type[Section]
    text: str = ""


TABLES = (
    Table(
        "listeners.tcp.NAME",
        "listeners.*.*",
        TcpListener,
        "No listener named at all: `tcp:default` on 127.0.0.1:1883.",
    ),
    Table("listeners.tcp.NAME.tcp_options", "listeners.*.*.tcp_options", TcpOptions),
    Table(
        "listeners.ws.NAME.websocket",
        "listeners.*.*.websocket",
        WebSocket,
        "The options of a TCP listener, and these. `default` binds to port 8083.",
    ),
    Table(
        "listeners.ssl.NAME.ssl_options",
        "listeners.*.*.ssl_options",
        ServerTls,
        "The options of a TCP listener, and these; `wss` has those of `ws` as well. `default` "
        "binds to port 8883, or 8084. Files are read again every two minutes and on SIGHUP.",
    ),
    Table("listeners.ssl.NAME.ssl_options.ocsp", "listeners.*.*.ssl_options.ocsp", Ocsp),
    Table(
        "listeners.ssl.NAME.ssl_options.sni_certificates[]",
        "listeners.*.*.ssl_options.sni_certificates.*",
        SniCertificate,
    ),
    Table("crl_cache", "crl_cache", CrlCache, "With `enable_crl_check` of a listener."),
    Table("mqtt", "mqtt", Mqtt),
    Table(
        "zones.NAME",
        "zones.*",
        Zone,
        "A listener names its zone with `zone`; `default` is there without being written. Whatever "
        "holds for `mqtt` below and above holds for `zones.NAME.mqtt`.",
    ),
    Table(
        "mqtt.client_attrs_init[]",
        "mqtt.client_attrs_init.*",
        ClientAttribute,
        "In the order written; entries do not see each other's results.",
    ),
    Table("authentication[], mechanism = cinfo", "authentication.*", Cinfo),
    Table("authentication[].checks[]", "authentication.*.checks.*", CinfoCheck),
    Table("authentication[], mechanism = jwt, algorithm = hmac-based", "authentication.*", JwtHmac),
    Table(
        "authentication[], mechanism = jwt, algorithm = public-key",
        "authentication.*",
        JwtPublicKey,
    ),
    Table("authentication_settings", "authentication_settings", AuthenticationSettings),
    Table("authorization", "authorization", Authorization),
    Table(
        "authorization.topic_template_allow",
        "authorization.topic_template_allow",
        TopicTemplateAllow,
    ),
    Table(
        "authorization.sources[], type = file",
        "authorization.sources.*",
        FileSource,
        "At most one source of a type. If `authorization.sources` is not set, the rules are: only "
        "the user `dashboard` may subscribe to `$SYS/#`, nobody to `#` or `+/#` as such; in "
        "legacy everything else is allowed, in hardened `no_match` decides.",
    ),
    Table("retainer", "retainer", Retainer),
    Table("retainer.backend", "retainer.backend", RetainerBackend),
    Table(
        "broker.shared_subscription_group.NAME",
        "broker.shared_subscription_group.*",
        SharedGroup,
        "Groups of shared subscriptions that do not go by `mqtt.shared_subscription_strategy`.",
    ),
    Table("auto_subscribe", "auto_subscribe", AutoSubscribe),
    Table("auto_subscribe.topics[]", "auto_subscribe.topics.*", AutoSubscription),
    Table(
        "rewrite[]",
        "rewrite.*",
        Rewrite,
        "Rules are put in force by a reload.",
    ),
    Table("log.console", "log.console", LogHandler),
    Table("log.throttling", "log.throttling", Throttling),
    Table("node", "node", Node),
)


def main() -> None:
    """Write the pages."""
    import conformance  # beside this file, which only a program started from it finds

    PAGE.write_text(render(), encoding="utf-8")
    conformance.PAGE.write_text(conformance.render(), encoding="utf-8")


def render() -> str:
    """The text of the page."""
    parts = [INTRODUCTION]
    for table in TABLES:
        _add_docstrings(table.model)
        rows = [row for row in _rows(table) if row]
        if rows:
            parts.append(f"## {table.title}\n")
            if table.text:
                parts.append(f"{table.text}\n")
            parts.append("| key | value | default | meaning |\n|---|---|---|---|")
            parts.append("\n".join(rows) + "\n")
    parts.extend(_without_effect())
    parts.extend(_not_available())
    return "\n".join(parts)


def _rows(table: Table) -> Iterator[str]:
    for name, info in table.model.model_fields.items():
        key = _key(name, info)
        if not _has_effect(f"{table.path}.{key}"):
            continue
        cells = (f"`{key}`", _kind(key, info), _default(info), _meaning(info))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _add_docstrings(model: type[Section]) -> None:
    """Describe the fields. At run time nobody reads their docstrings, and finding them is slow."""
    for owner in reversed(model.__mro__):
        if not issubclass(owner, Section):
            continue
        source = ast.parse(textwrap.dedent(inspect.getsource(owner)))
        statements = [
            line
            for found in ast.walk(source)
            if isinstance(found, ast.ClassDef)
            for line in found.body
        ]
        for field, text in pairwise(statements):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(description))),
                ) if name in model.model_fields:
                    model.model_fields[name].description = description


def _meaning(info: FieldInfo) -> str:
    """The docstring of the field, without what only concerns the model."""
    text = " ".join((info.description or "").split())
    return re.sub("; after checking always [^.]*", "", text).replace("None: ", "not set: ")


def _key(name: str, info: FieldInfo) -> str:
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return alias if isinstance(alias, str) else name


def _has_effect(path: str) -> bool:
    steps = path.split(".")
    tables = (*not_yet.NOT_YET, *not_yet.REFUSED)
    return not any(_covers(pattern.split("."), steps) for pattern in tables)


def _covers(pattern: list[str], steps: list[str]) -> bool:
    return len(pattern) <= len(steps) and all(
        "*" in (one, other) or one == other for one, other in zip(pattern, steps, strict=False)
    )


# -- what a value may be -----------------------------------------------------------------------


_WRITTEN_FORMS = {"verify_claims": "object, or array of `{ name, value }`"}
"""Values that are checked in another form than they are written in."""


def _kind(key: str, info: FieldInfo) -> str:
    if key in _WRITTEN_FORMS:
        return _WRITTEN_FORMS[key]
    schema = _adapter(info).json_schema(mode="validation")
    return _describe(schema, schema.get("$defs", {}))


def _adapter(info: FieldInfo) -> TypeAdapter[Any]:
    kind = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return TypeAdapter(kind)


def _describe(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in schema:
        return "object"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            kinds = [_describe(one, definitions) for one in schema[several]]
            return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
    if schema.get("format") == "password":
        return "secret"
    if "examples" in schema:
        return "like " + ", ".join(f"`{example}`" for example in schema["examples"])
    kind = schema.get("type", "any")
    if kind == "array":
        inner = _describe(schema.get("items", {}), definitions)
        return "array" if inner == "any" else f"array of {inner}"
    if kind in ("integer", "number"):
        return _range(schema)
    words = {"boolean": "`true`, `false`", "string": "text", "null": "", "any": "any"}
    return words.get(kind, kind)


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    word = "number"
    if low is not None and high is not None:
        return f"{word}, {low:g} to {high:g}" if high < 10**6 else f"{word}, at least {low:g}"
    if low is not None:
        return f"{word}, at least {low:g}"
    return word if high is None else f"{word}, at most {high:g}"


# -- what holds if nothing is written ----------------------------------------------------------


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if value is None:
        return _nothing(info)
    if isinstance(value, Section) or (isinstance(value, tuple) and value):
        return "below"
    return f"`{_written(value, info)}`"


def _nothing(info: FieldInfo) -> str:
    adapter = _adapter(info)
    for word in ("infinity", "disabled", "unlimited"):
        try:
            if adapter.validate_python(word) is None:
                return f"`{word}`"
        except ValidationError:
            continue
    return "not set"


def _written(value: Any, info: FieldInfo) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, int) and "bytes" in (info.description or "").lower():
        return _size(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, tuple):
        return "[]"
    return str(value)


def _duration(value: timedelta) -> str:
    seconds = value // timedelta(seconds=1)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0 and seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _size(value: int) -> str:
    for unit, size in (("MB", 1024 * 1024), ("KB", 1024)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)


# -- what does nothing, what is refused --------------------------------------------------------


def _without_effect() -> Iterator[str]:
    yield "## Accepted, without effect in this version\n"
    yield "Read and checked like any other, and then ignored. Setting one to something else than"
    yield "its default gives a warning.\n"
    yield "| key | why |\n|---|---|"
    yield "\n".join(f"| `{path}` | {why} |" for path, why in not_yet.NOT_YET.items()) + "\n"
    names = ", ".join(f"`{name}`" for name in sorted(roots.WITHOUT_EFFECT))
    yield f"Whole roots that are accepted with one warning: {names}.\n"


def _not_available() -> Iterator[str]:
    yield "## Refused in this version\n"
    yield "Running without these would let somebody in, or break what they are for. So a"
    yield "configuration that sets one does not load.\n"
    yield "| key | unless it is |\n|---|---|"
    rows = [f"| `{path}` | its default |" for path in not_yet.REFUSED]
    rows += [f"| `{path}` | {_harmless(value)} |" for path, value in roots.REFUSED.items()]
    rows.append("| `zones.NAME.flapping_detect.enable` | `false` |")
    yield "\n".join(rows) + "\n"
    authenticators = ", ".join(f"`{name}`" for name in sorted(AUTHENTICATORS))
    yield f"Authenticators that are refused: {authenticators}.\n"
    yield "Keys are not fetched in this version: nobody gets in through an authenticator with"
    yield "`use_jwks = true`.\n"
    yield f"Authorization sources that are refused: {', '.join(f'`{name}`' for name in SOURCES)}.\n"


def _harmless(value: Any) -> str:
    return "empty" if value == "" else f"`{str(value).lower()}`"


if __name__ == "__main__":
    main()
