"""Faults that no single value shows: duplicates, things missing, things the profile forbids."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from vallum import _core
from vallum.config import server_tls
from vallum.config.models import (
    AnyAuthenticator,
    Authorization,
    Cinfo,
    Context,
    JwtJwks,
    Listeners,
    authenticator_id,
    bind_of,
)
from vallum.config.models.types import NAME
from vallum.config.paths import Step, parse

Found = tuple[tuple[Step, ...], str]
"""A path and what is wrong there."""

_PLACEHOLDER = re.compile(r"\$\{(\$|[^}]*)\}")
_CLAIM_VARIABLES = ("clientid", "username")


def chain_faults(chain: Iterable[AnyAuthenticator], at: tuple[Step, ...]) -> Iterator[Found]:
    """An authenticator id occurs once in a chain (spec/authentication.md section 2.1)."""
    seen: dict[str, int] = {}
    for index, stage in enumerate(chain):
        name = authenticator_id(stage)
        if name in seen:
            first = f"{'.'.join(map(str, at))}[{seen[name]}]"
            problem = f"'{name}' is already in this chain, at {first}; it may occur once"
            yield (*at, index, "mechanism"), problem
        seen.setdefault(name, index)


def placeholder_problems(
    chain: Iterable[AnyAuthenticator], at: tuple[Step, ...]
) -> Iterator[Found]:
    """Placeholders of `verify_claims` that name nothing would stay in the text as they are."""
    for index, stage in enumerate(chain):
        if isinstance(stage, Cinfo):
            continue
        for name, template in stage.verify_claims:
            for found in _PLACEHOLDER.finditer(template):
                variable = found[1].removeprefix(".")
                if variable != "$" and variable not in _CLAIM_VARIABLES:
                    close = get_close_matches(variable, _CLAIM_VARIABLES, 1)
                    hint = close[0] if close else "clientid} or ${username"
                    yield (
                        (*at, index, "verify_claims", name),
                        f"unknown variable {found[0][:60]}; did you mean ${{{hint}}}?",
                    )


def unsafe_allows(chain: Iterable[AnyAuthenticator], at: tuple[Step, ...]) -> Iterator[Found]:
    """`jwt_value` reads a token nobody has verified: it must not be what lets somebody in."""
    for index, stage in enumerate(chain):
        if not isinstance(stage, Cinfo):
            continue
        for number, check in enumerate(stage.checks):
            if check.result == "allow" and any("jwt_value" in text for text in check.is_match):
                yield (
                    (*at, index, "checks", number, "result"),
                    "jwt_value does not verify the token's signature: anybody can make one that is"
                    " allowed here",
                )


def unfetched_keys(chain: Iterable[AnyAuthenticator], at: tuple[Step, ...]) -> Iterator[Found]:
    """Nothing fetches a JWKS in this version; the stage fails closed, and that should be known."""
    for index, stage in enumerate(chain):
        if isinstance(stage, JwtJwks) and stage.enable:
            yield (
                (*at, index, "use_jwks"),
                "a JWKS is not fetched in this version: every token is refused with"
                " keys_unavailable; give the key as public_key",
            )


def source_faults(authorization: Authorization) -> Iterator[Found]:
    """At most one source of a type (spec/authorization.md section 1)."""
    for index, source in enumerate(authorization.sources):
        if any(source.type == other.type for other in authorization.sources[:index]):
            problem = f"a second source of type {source.type}: one of a type is allowed"
            yield ("authorization", "sources", index, "type"), problem


def listener_faults(listeners: Listeners, context: Context) -> Iterator[Found]:
    """Names, transports this version has, and addresses used twice."""
    taken: dict[str, str] = {}
    for kind, name, listener in listeners.items():
        at = ("listeners", kind, name)
        if not NAME.fullmatch(name) or len(name) > 255:
            yield at, "not a name: letters, digits, '-' and '_', beginning with letter or digit"
        if not listener.enable:
            continue
        bind = bind_of(kind, name, listener)
        if bind is None:
            yield (*at, "bind"), "required, but missing"
            continue
        address = bind.resolved(loopback=context.profile == "hardened")
        if bind.port and address in taken:
            yield (*at, "bind"), f"{address} is taken by {taken[address]}"
        taken.setdefault(address, f"{kind}:{name}")


def tls_findings(listeners: Listeners, capacity: int) -> tuple[list[Found], list[Found]]:
    """Faults and warnings about the files of `ssl_options`, read as a broker reads them."""
    faults: list[Found] = []
    warnings: list[Found] = []
    for kind, name, listener in listeners.items():
        options = server_tls.options_of(listener)
        if options is None or not listener.enable:
            continue
        at: tuple[Step, ...] = ("listeners", kind, name, "ssl_options")
        try:
            document = server_tls.document(options, capacity)
        except (OSError, ValueError) as error:
            faults.append(((*at, "password"), str(error)))
            continue
        wrong, odd = _core.check_tls(json.dumps(document))
        faults += [((*at, *parse(option)), problem) for option, problem in wrong]
        warnings += [((*at, *parse(option)), problem) for option, problem in odd]
    return faults, warnings


def zone_name_faults(zones: Iterable[str]) -> Iterator[Found]:
    """Names of zones."""
    for name in zones:
        if not NAME.fullmatch(name) or len(name) > 255:
            problem = "not a name: letters, digits, '-' and '_', beginning with letter or digit"
            yield ("zones", name), problem


def zone_faults(listeners: Listeners, zones: object) -> Iterator[Found]:
    """A listener names `default` or a zone that is written somewhere."""
    known = ["default", *(zones if isinstance(zones, dict) else ())]
    for kind, name, listener in listeners.items():
        if listener.zone not in known:
            close = get_close_matches(listener.zone, known, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"write zones.{listener.zone}.mqtt"
            yield ("listeners", kind, name, "zone"), f"no zone '{listener.zone}'; {hint}"


def exposed(listeners: Listeners) -> Iterator[Found]:
    """Listeners that let everybody in from other machines."""
    for kind, name, listener in listeners.items():
        bind = listener.bind
        if not listener.enable or listener.enable_authn != "false" or bind is None or not bind.host:
            continue
        if not ipaddress.ip_address(bind.host).is_loopback:
            yield (
                ("listeners", kind, name, "enable_authn"),
                f"everybody who reaches {bind.host} is let in without authentication",
            )


def without_chain(listeners: Listeners, what: str) -> Iterator[Found]:
    """Listeners that authenticate and have nothing to do it with, when there is no global chain."""
    if not listeners.items():
        yield ("authentication",), f"no authenticator: every client is {what}"
    for kind, name, listener in listeners.items():
        if listener.enable and listener.enable_authn != "false" and not listener.authentication:
            at = ("listeners", kind, name, "authentication")
            yield at, f"no authenticator, here or in the global chain: every client is {what}"


def unread_acl(context: Context) -> Path | None:
    """An acl.conf beside the configuration that nothing names."""
    path = context.path("${EMQX_ETC_DIR}/acl.conf")
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None
