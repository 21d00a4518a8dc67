"""Types of single values (spec/management.md section 1.4): text in, checked value out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema

from vallum.config.hocon.tree import array_index
from vallum.config.models.secret import Secret
from vallum.config.models.section import context_of, problem

_UNITS_MS = {
    "f": 14 * 24 * 3_600_000,
    "w": 7 * 24 * 3_600_000,
    "d": 24 * 3_600_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_DURATION = re.compile(r"(?:[0-9]{1,18}(?:\.[0-9]{1,9})?(?:ms|[fwdhms]))+", re.IGNORECASE)
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[fwdhms])", re.IGNORECASE)
_MAX_DURATION_MS = 1_000_000 * 365 * 24 * 3_600_000
_MAX_TIMEOUT_MS = 4_294_967_295
_BYTESIZE = re.compile(r"\s*([0-9]{1,18})(b|kb|mb|gb|B|KB|MB|GB)?")
_MAX_INT = 2**53
"""Larger numbers are exact neither in JSON nor in any limit that makes sense."""
_BYTES = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_RATE = re.compile(
    r"([0-9]{1,18})(b|kb|mb|gb)?(?:/([0-9]{1,9})?(ms|[smhd]))?", re.IGNORECASE | re.ASCII
)
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9]+[A-Za-z0-9_-]*")
"""A restricted identifier: names of listeners, zones, client attributes."""


def _shown(value: Any) -> str:
    """A value as messages show it: never long, never an object's content."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value[:60]}'"
    if isinstance(value, dict):
        return "an object"
    return "an array" if isinstance(value, list) else str(value)[:60]


# -- numbers, booleans, texts -----------------------------------------------------------------


def _to_int(value: Any) -> Any:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > _MAX_INT:
            raise problem(f"too large a number: {_shown(value)}")
        return value
    raise problem(f"must be a whole number, not {_shown(value)}")


def _to_bool(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise problem(f"must be true or false, not {_shown(value)}")


def _to_text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        raise problem(f'must be text: write "{_shown(value)}" in double quotes')
    raise problem(f"must be text, not {_shown(value)}")


Int = Annotated[int, BeforeValidator(_to_int)]
PositiveInt = Annotated[int, BeforeValidator(_to_int), Field(ge=1)]
NonNegativeInt = Annotated[int, BeforeValidator(_to_int), Field(ge=0)]
Bool = Annotated[bool, BeforeValidator(_to_bool)]
Text = Annotated[str, BeforeValidator(_to_text)]


def _int_or_infinity(value: Any) -> Any:
    if value == "infinity" or value is None:
        return None
    try:
        return _to_int(value)
    except Exception:
        raise problem(f"must be a whole number or infinity, not {_shown(value)}") from None


IntOrInfinity = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_int_or_infinity)]
PositiveIntOrInfinity = Annotated[
    Annotated[int, Field(ge=1)] | None, BeforeValidator(_int_or_infinity)
]


def _name(value: Any) -> Any:
    text = _to_text(value)
    if not NAME.fullmatch(text) or len(text) > 255:
        raise problem(
            f"{_shown(text)} is not a name: it starts with a letter or digit and holds only"
            " letters, digits, '-' and '_'"
        )
    return text


Name = Annotated[str, BeforeValidator(_name)]


def as_list(value: Any) -> Any:
    """Turn an object of indices 1..n, or a single object, into the array it stands for."""
    if not isinstance(value, dict):
        return value
    indices = {array_index(key): item for key, item in value.items()}
    if not value or None in indices:
        return [value]
    if len(indices) != len(value) or sorted(i for i in indices if i) != list(
        range(1, len(indices) + 1)
    ):
        raise problem("indices of an array count from 1 and leave no gap")
    return [indices[index] for index in range(1, len(indices) + 1)]


def _as_index_list(value: Any) -> Any:
    return as_list(value) if isinstance(value, dict) and "1" in value else value


IndexList = BeforeValidator(_as_index_list)
"""For arrays that may also be written by index, as environment variables do."""


def comma_list(value: Any) -> Any:
    """Split a text at commas and blanks; arrays pass."""
    if isinstance(value, str):
        return [part for part in re.split(r"[,\s]+", value) if part]
    return _as_index_list(value)


CommaList = Annotated[tuple[Text, ...], BeforeValidator(comma_list)]

# -- time and size ----------------------------------------------------------------------------


def parse_duration(value: Any, *, unit_ms: int = 1) -> timedelta:
    """Read `1h30m`, `1.5h`, `10ms`; a bare number counts in `unit_ms`, and rounds up to it."""
    total: float | int | None = None
    if isinstance(value, str) and _INTEGER.fullmatch(value) and value[0] not in "+-":
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        total = value * unit_ms
    elif isinstance(value, str) and _DURATION.fullmatch(value):
        total = sum(
            (float(number) if "." in number else int(number)) * _UNITS_MS[unit.lower()]
            for number, unit in _DURATION_PART.findall(value)
        )
    if total is None:
        raise problem(f"not a duration: {_shown(value)}; write one like 90s, 1h30m or 500ms")
    if total > _MAX_DURATION_MS:
        raise problem(f"too long a duration: {_shown(value)}")
    whole = -(-round(total) // unit_ms) * unit_ms
    return timedelta(milliseconds=whole)


def _duration(value: Any) -> Any:
    return value if isinstance(value, timedelta) else parse_duration(value)


def _seconds(value: Any) -> Any:
    return value if isinstance(value, timedelta) else parse_duration(value, unit_ms=1000)


def _timeout(value: Any) -> Any:
    result: timedelta = _duration(value)
    if result > timedelta(milliseconds=_MAX_TIMEOUT_MS):
        raise problem(f"timeout value too large (max: {_MAX_TIMEOUT_MS} ms)")
    return result


def _optional(parse: Callable[[Any], Any], word: str) -> Callable[[Any], Any]:
    """Also accept `word`, which becomes None."""

    def either(value: Any) -> Any:
        return None if value is None or value == word else parse(value)

    return either


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "examples": ["90s", "1h30m", "500ms"]})
Duration = Annotated[timedelta, BeforeValidator(_duration), _DURATION_SCHEMA]
Timeout = Annotated[timedelta, BeforeValidator(_timeout), _DURATION_SCHEMA]
Seconds = Annotated[timedelta, BeforeValidator(_seconds), _DURATION_SCHEMA]
DurationOrInfinity = Annotated[
    timedelta | None, BeforeValidator(_optional(_duration, "infinity")), _DURATION_SCHEMA
]
TimeoutOrInfinity = Annotated[
    timedelta | None, BeforeValidator(_optional(_timeout, "infinity")), _DURATION_SCHEMA
]
DurationOrDisabled = Annotated[
    timedelta | None, BeforeValidator(_optional(_duration, "disabled")), _DURATION_SCHEMA
]


def parse_bytesize(value: Any) -> int:
    """Read `10`, `10KB`, `1MB`: bytes, in steps of 1024."""
    size = None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        size = value
    elif isinstance(value, str) and (found := _BYTESIZE.fullmatch(value)):
        size = int(found[1]) * _BYTES[(found[2] or "").lower()]
    if size is None:
        raise problem(f"not a bytesize: {_shown(value)}; write one like 512, 64KB or 1MB")
    if size > _MAX_INT:
        raise problem(f"too large a bytesize: {_shown(value)}")
    return size


_BYTESIZE_SCHEMA = WithJsonSchema({"type": "string", "examples": ["512", "64KB", "1MB"]})
Bytesize = Annotated[int, PlainValidator(parse_bytesize), _BYTESIZE_SCHEMA]
BytesizeOrInfinity = Annotated[
    int | None, PlainValidator(_optional(parse_bytesize, "infinity")), _BYTESIZE_SCHEMA
]
BytesizeOrUnlimited = Annotated[
    int | None, PlainValidator(_optional(parse_bytesize, "unlimited")), _BYTESIZE_SCHEMA
]
IntOrUnlimited = Annotated[int | None, BeforeValidator(_optional(_to_int, "unlimited"))]


def _percent(value: Any) -> float:
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value)) and float(found[1]) <= 100:
        return round(float(found[1]) / 100, 4)
    raise problem(f"not a percentage: {_shown(value)}; write one like 80%")


Percent = Annotated[
    float, PlainValidator(_percent), WithJsonSchema({"type": "string", "examples": ["80%"]})
]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many (messages, bytes) in such a time."""

    amount: int
    per: timedelta


def _rate_amount(value: Any) -> Rate | None:
    if value is None or (isinstance(value, str) and value.lower() == "infinity"):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Rate(value, timedelta(seconds=1))
    found = _RATE.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
    if found is None:
        raise problem(f"not a rate: {_shown(value)}; write one like 1000/s or 10MB/10s")
    milliseconds = int(found[3] or 1) * _UNITS_MS[(found[4] or "s").lower()]
    if not 0 < milliseconds <= _MAX_DURATION_MS:
        raise problem(f"not a usable interval in the rate {_shown(value)}")
    amount = parse_bytesize(found[1] + (found[2] or "").lower())
    return Rate(amount, timedelta(milliseconds=milliseconds))


def _rate(value: Any) -> Any:
    rate = value if isinstance(value, Rate) else _rate_amount(value)
    if rate is not None and rate.amount == 0:
        raise problem("a rate must not be 0")
    return rate


def _burst(value: Any) -> Any:
    burst = value if isinstance(value, Rate) else _rate_amount(value)
    if burst is None:
        raise problem("a burst must not be infinity")
    return burst


_RATE_SCHEMA = WithJsonSchema({"type": "string", "examples": ["1000/s", "10MB/10s", "infinity"]})
RateLimit = Annotated[Rate | None, PlainValidator(_rate), _RATE_SCHEMA]
Burst = Annotated[Rate | None, PlainValidator(_burst), _RATE_SCHEMA]

# -- addresses and secrets --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IpPort:
    """An address to listen on; `host` None means that none was given: the profile decides."""

    host: str | None
    port: int

    def resolved(self, *, loopback: bool) -> str:
        """`HOST:PORT`, with brackets around an IPv6 address."""
        host = self.host or ("127.0.0.1" if loopback else "0.0.0.0")  # noqa: S104 - legacy profile
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_ip_port(value: Any) -> IpPort:
    """Read `1883`, `":1883"`, `"127.0.0.1:1883"`, `"[::1]:1883"`; port 0 takes any free one."""
    if isinstance(value, IpPort):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise problem(f"not an address and port: {_shown(value)}")
    host, _, port = str(value).replace(" ", "").rpartition(":")
    if not (port.isascii() and port.isdigit()):
        raise problem(f'not an address and port: {_shown(value)}; write "127.0.0.1:1883" or 1883')
    if len(port) > 5 or int(port) > 65535:
        raise problem(f"port number too large: {port[:20]} (at most 65535)")
    if host == "localhost":
        host = "127.0.0.1"
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = str(ipaddress.ip_address(bare)) if bare else None
    except ValueError:
        raise problem(f"{_shown(host)} is not an IP address") from None
    return IpPort(address, int(port))


BindAddress = Annotated[
    IpPort,
    PlainValidator(parse_ip_port),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:1883", "[::1]:1883", "1883"]}),
]


def _secret(value: Any, info: ValidationInfo) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise problem("must be text")
    if value.startswith("file://"):
        return Secret(value, context_of(info).path(value.removeprefix("file://")))
    return Secret(value)


SecretText = Annotated[
    Secret,
    PlainValidator(_secret),
    WithJsonSchema({"type": "string", "format": "password", "writeOnly": True}),
]

# -- paths, JSON-ish values -------------------------------------------------------------------

OnOff = Literal["enable", "disable"]
Expression = Text
"""Source of an expression (spec/expressions.md); its syntax is checked when it is compiled."""
