"""`authentication` and `authentication_settings` (spec/authentication.md sections 2, 18 and 19)."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)

from vallum.config.hocon.source import read_bytes
from vallum.config.models.cache import NodeCache
from vallum.config.models.secret import Secret
from vallum.config.models.section import Context, Section, context_of, problem, problems
from vallum.config.models.tls import ClientTls
from vallum.config.models.types import (
    Bool,
    Expression,
    IndexList,
    PositiveInt,
    Seconds,
    SecretText,
    Text,
    as_list,
)

UNAVAILABLE = frozenset(
    {
        "password_based:built_in_database",
        "password_based:http",
        "password_based:ldap",
        "password_based:mongodb",
        "password_based:mysql",
        "password_based:postgresql",
        "password_based:redis",
        "scram:built_in_database",
        "scram:http",
        "gssapi:kerberos",
    }
)
"""Ids of authenticators that are known and cannot be used in this version."""

_MECHANISMS = sorted({"cinfo", "jwt", *(name.split(":")[0] for name in UNAVAILABLE)})
_HEADER_NAME = re.compile(r"[-0-9a-zA-Z_ ]+")
_MAX_PEM_BYTES = 1024 * 1024


class Authenticator(Section):
    """What all authenticators have."""

    enable: Bool = True
    """Whether it is asked."""
    precondition: Expression = ""
    """Expression that must give `true`, else it is not asked; empty: always asked."""


# -- cinfo ------------------------------------------------------------------------------------


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class CinfoCheck(Section):
    """`checks[]`: what follows when all of its expressions give `true`."""

    is_match: Annotated[tuple[Expression, ...], IndexList, BeforeValidator(_one_or_many)]
    """One expression or several."""
    result: Literal["allow", "deny", "ignore"]
    """`allow` and `deny` end the chain, `ignore` asks the next authenticator."""

    @field_validator("is_match", mode="after")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise problem("needs at least one expression")
        empty = [index for index, text in enumerate(value) if not text.strip()]
        if empty:
            places = [((index,), "should not be an empty text") for index in empty]
            raise problems(places if len(value) > 1 else [((), places[0][1])])
        return value


class Cinfo(Authenticator):
    """`mechanism = cinfo`: expressions over what the client says about itself."""

    mechanism: Literal["cinfo"]
    """Always `cinfo`."""
    checks: Annotated[tuple[CinfoCheck, ...], IndexList]
    """Tried in order; the first that matches decides."""

    @field_validator("checks", mode="after")
    @classmethod
    def _at_least_one(cls, value: tuple[CinfoCheck, ...]) -> tuple[CinfoCheck, ...]:
        if not value:
            raise problem("needs at least one check")
        return value


# -- jwt --------------------------------------------------------------------------------------

_RESERVED_CLAIMS = {
    "exp": "'exp' is always checked and cannot be compared with a text",
    "nbf": "'nbf' is always checked and cannot be compared with a text",
}


def _verify_claims(value: Any) -> Any:
    """Map or list of {name, value} to (name, template) pairs, all faults at once."""
    if isinstance(value, tuple):
        return value
    found: list[tuple[tuple[str | int, ...], str]] = []
    pairs: list[tuple[str, str]] = []
    if isinstance(value, dict):
        entries: list[tuple[tuple[str | int, ...], Any, Any]] = [
            ((name,), name, template) for name, template in value.items()
        ]
    elif isinstance(value, list):
        entries = []
        for index, item in enumerate(value):
            if not isinstance(item, dict) or set(item) != {"name", "value"}:
                found.append(((index,), "must be an object with 'name' and 'value'"))
            else:
                entries.append(((index, "value"), item["name"], item["value"]))
    else:
        raise problem("must be an object of claim names and templates, or an array")
    for place, name, template in entries:
        fault = _claim_fault(name, template, [known for known, _ in pairs])
        if fault:
            found.append((place, fault))
        else:
            pairs.append((name, template))
    if found:
        raise problems(found)
    return tuple(pairs)


def _claim_fault(name: Any, template: Any, known: list[str]) -> str | None:
    if not isinstance(name, str) or not name:
        return "the name of a claim must be a text that is not empty"
    if name in _RESERVED_CLAIMS:
        return _RESERVED_CLAIMS[name]
    if name in known:
        return f"claim '{name}' is already named: a second check of it could never succeed"
    if not isinstance(template, str):
        return "must be text in double quotes: a claim that is no text never matches"
    return None


class Jwt(Authenticator):
    """What all forms of `mechanism = jwt` have."""

    elsewhere: ClassVar[dict[str, str]] = {
        "secret": "goes with algorithm = hmac-based",
        "secret_base64_encoded": "goes with algorithm = hmac-based",
        "public_key": "goes with algorithm = public-key",
        **dict.fromkeys(
            ("endpoint", "headers", "pool_size", "refresh_interval", "max_fail_count", "ssl"),
            "goes with use_jwks = true",
        ),
    }

    mechanism: Literal["jwt"]
    """Always `jwt`."""
    verify_claims: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_verify_claims)] = ()
    """Claims that must equal a text, which may hold `${clientid}` and `${username}`."""
    acl_claim_name: Text = "acl"
    """Claim with rules for this client."""
    from_: Literal["password", "username"] = Field(default="password", alias="from")
    """Field of the CONNECT that holds the token."""
    on_missing_jwt: Literal["ignore", "deny"] | None = None
    """What to do without a token; None: `deny` in the hardened profile, `ignore` in legacy."""
    disconnect_after_expire: Bool = True
    """Close the connection at `exp` (RFC 7519 section 4.1.4)."""


class JwtHmac(Jwt):
    """`algorithm = hmac-based`: HS256, HS384, HS512 with a shared key."""

    use_jwks: Bool = False
    """Always false here."""
    algorithm: Literal["hmac-based"]
    """Always `hmac-based`."""
    secret_base64_encoded: Bool = False
    """Whether `secret` is base64 of the key."""
    secret: SecretText
    """The shared key."""

    @field_validator("secret", mode="after")
    @classmethod
    def _usable(cls, value: Secret, info: ValidationInfo) -> Secret:
        encoded = bool(info.data.get("secret_base64_encoded", False))
        try:
            decode_secret(value, encoded=encoded)
        except (OSError, ValueError) as error:
            raise problem(str(error)) from None
        return value

    def key(self) -> bytes:
        """The shared key; a `file://` secret is read now.

        Raises:
            OSError: the file cannot be read.
            ValueError: its text is not base64.
        """
        return decode_secret(self.secret, encoded=self.secret_base64_encoded)


def decode_secret(secret: Secret, *, encoded: bool) -> bytes:
    """The bytes a secret stands for."""
    text = secret.reveal()
    if not encoded:
        if not text:
            raise ValueError("must not be empty: anyone could sign tokens")
        return text.encode()
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not standard base64 with padding (secret_base64_encoded)") from None
    if not key:
        raise ValueError("must not be empty: anyone could sign tokens")
    return key


class JwtPublicKey(Jwt):
    """`algorithm = public-key`: RS*, PS*, ES* and EdDSA with one public key."""

    use_jwks: Bool = False
    """Always false here."""
    algorithm: Literal["public-key"]
    """Always `public-key`."""
    public_key: Text
    """PEM text, or the path of a PEM file; after checking always the PEM text."""

    @field_validator("public_key", mode="after")
    @classmethod
    def _read(cls, value: str, info: ValidationInfo) -> str:
        if not info.data.get("enable", True):
            return value
        return read_pem(value, context_of(info))


def read_pem(value: str, context: Context) -> str:
    """The PEM text that `value` is, or that is in the file it names: an existing file wins."""
    if "\n" not in value and not value.lstrip().startswith("-----BEGIN"):
        path = context.path(value)
        data = read_bytes(path, _MAX_PEM_BYTES)
        if isinstance(data, str):
            raise problem(f"neither PEM text nor a readable file: {path}: {data}")
        try:
            value = data.decode("ascii")
        except UnicodeDecodeError:
            raise problem(f"{path} is not PEM text") from None
    if "-----BEGIN" not in value:
        raise problem("not PEM text: '-----BEGIN PUBLIC KEY-----' is missing")
    return value


class JwtJwks(Jwt):
    """`use_jwks = true`: keys fetched from an endpoint (RFC 7517)."""

    use_jwks: Bool
    """Always true here."""
    algorithm: Literal["public-key"] = "public-key"
    """Key sets hold public keys; nothing else may be written."""
    endpoint: Text
    """URL of the key set."""
    headers: dict[str, Text] = Field(default_factory=lambda: {"Accept": "application/json"})
    """Headers of the request."""
    pool_size: PositiveInt = 8
    """Means nothing here: one fetcher serves all."""
    refresh_interval: Seconds = timedelta(seconds=300)
    """Time between fetches; at least 10 s."""
    max_fail_count: PositiveInt = 5
    """Failures in a row after which the keys are dropped."""
    ssl: ClientTls = Field(default_factory=ClientTls)
    """TLS of the request."""

    @field_validator("endpoint", mode="after")
    @classmethod
    def _url(cls, value: str) -> str:
        try:
            url = urlsplit(value)
            host = url.hostname
        except ValueError:
            host, url = None, None
        if url is None or url.scheme not in ("http", "https") or not host:
            raise problem('must be a URL like "https://idp.example/jwks.json"')
        return value

    @field_validator("headers", mode="after")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        bad = [((name,), "not a name of a header") for name in value if not _is_header(name)]
        bad += [
            ((name,), "a header holds no line end")
            for name, text in value.items()
            if re.search(r"[\x00\r\n]", text)
        ]
        if bad:
            raise problems(bad)
        return value

    @field_validator("refresh_interval", mode="after")
    @classmethod
    def _at_least(cls, value: timedelta) -> timedelta:
        return max(value, timedelta(seconds=10))


def _is_header(name: str) -> bool:
    return _HEADER_NAME.fullmatch(name) is not None


# -- chains -----------------------------------------------------------------------------------


def authenticator_id(data: Any) -> str:
    """`mechanism` or `mechanism:backend` of a model or of what was written."""
    mechanism, backend = _member(data, "mechanism"), _member(data, "backend")
    return f"{mechanism}:{backend}" if backend else str(mechanism)


def _member(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else getattr(data, key, None)


def _known(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    mechanism, name = value.get("mechanism"), authenticator_id(value)
    if mechanism is None:
        raise problem(f"required; one of {', '.join(_MECHANISMS)}", "mechanism")
    if mechanism in ("cinfo", "jwt"):
        return value
    if name in UNAVAILABLE:
        raise problem(f"{name} is not available in this version; remove it from the chain")
    if mechanism not in _MECHANISMS:
        raise problem(
            f"unsupported mechanism '{str(mechanism)[:40]}'; one of {', '.join(_MECHANISMS)}",
            "mechanism",
        )
    backends = ", ".join(
        sorted(known.split(":")[1] for known in UNAVAILABLE if known.startswith(f"{mechanism}:"))
    )
    raise problem(f"{mechanism} needs a backend ({backends}), none of them in this version")


def _form(value: Any) -> str:
    """Which model an authenticator is: by mechanism, for jwt also by its kind of key."""
    if _member(value, "mechanism") != "jwt":
        return "=cinfo"
    if _member(value, "use_jwks") in (True, "true"):
        return "=jwks"
    algorithm, has_key = _member(value, "algorithm"), _member(value, "public_key") is not None
    if algorithm == "public-key" or (algorithm != "hmac-based" and has_key):
        return "=public-key"
    return "=hmac"


AUTHENTICATOR_TAGS = frozenset({"=cinfo", "=hmac", "=public-key", "=jwks"})
"""What the forms are called in pydantic's locations, after the index of the authenticator."""

AnyAuthenticator = Annotated[
    Annotated[Cinfo, Tag("=cinfo")]
    | Annotated[JwtHmac, Tag("=hmac")]
    | Annotated[JwtPublicKey, Tag("=public-key")]
    | Annotated[JwtJwks, Tag("=jwks")],
    Discriminator(_form),
    BeforeValidator(_known),
]
Chain = Annotated[tuple[AnyAuthenticator, ...], BeforeValidator(as_list)]
"""Authenticators in the order they are asked; one object is accepted for an array of one."""


class AuthenticationRoot(Section):
    """The root `authentication`, wrapped so that a chain is checked like any object."""

    authentication: Chain = ()
    """The global chain."""


class AuthenticationSettings(Section):
    """`authentication_settings`: of all chains."""

    ignore_backend_failures: Bool = False
    """In the hardened profile: whether a failing backend is passed over instead of denying."""
    node_cache: NodeCache = Field(default_factory=NodeCache)
    """Cache of backend answers."""
