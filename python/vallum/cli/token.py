"""`vallum token`: make tokens, and read them."""

from __future__ import annotations

import base64
import binascii
import json as json_text
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vallum.cli.options import At, DataDir, Json, load_config, read_input, unix_time
from vallum.cli.output import NO, complain, failures, print_json, print_line, print_table

if TYPE_CHECKING:
    from vallum.config import Config

app = typer.Typer(help="JSON Web Tokens: make one, read one.", no_args_is_help=True)

LIFETIME = 3600.0
"""Seconds a token lives if nobody says: long enough to try something."""
_TIMES: dict[str, str] = {"exp": "expires", "nbf": "valid from", "iat": "issued"}


def _object(text: str) -> dict[str, Any]:
    try:
        value = json_text.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise typer.BadParameter("must be a JSON object of claims")
    return value


def _claim(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name.removesuffix(":"):
        raise typer.BadParameter(f"{text!r} is neither NAME=TEXT nor NAME:=JSON")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json_text.loads(value)
    except ValueError as error:
        raise typer.BadParameter(f"{name[:-1]}: not JSON: {error}") from None


def _lifetime(text: str) -> float | None:
    """Seconds; negative ones make a token that has expired already; None: it never does."""
    from vallum.config.models.types import parse_duration

    if text == "never":
        return None
    sign = -1 if text.startswith("-") else 1
    try:
        return sign * parse_duration(text.removeprefix("-"), unit_ms=1000).total_seconds()
    except ValueError:
        problem = f"{text!r} is no duration like 90s, 1h30m or 7d, nor 'never'"
        raise typer.BadParameter(problem) from None


@app.command("mint")
def mint(
    *,
    secret: Annotated[
        str | None, typer.Option(help="Shared secret; other users of this machine can see it.")
    ] = None,
    secret_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="File with the shared secret; - for stdin.")
    ] = None,
    is_base64: Annotated[
        bool, typer.Option("--base64", help="The secret is base64 of the key.")
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Private key, for the algorithms but HS*.")
    ] = None,
    alg: Annotated[
        str | None, typer.Option(help="HS256 with a secret; with a key file one must be given.")
    ] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="A claim; NAME:=JSON if no text."),
    ] = None,
    claims: Annotated[
        dict[str, Any] | None,
        typer.Option(metavar="JSON", parser=_object, help="Claims as a JSON object."),
    ] = None,
    sub: Annotated[str | None, typer.Option(help="The claim 'sub'.")] = None,
    exp_in: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Lifetime, as 90s, 1h30m, 7d, or never; 1h if not given."
        ),
    ] = None,
    exp: Annotated[
        float | None,
        typer.Option(metavar="TIME", parser=unix_time, help="Expiry: Unix seconds or ISO 8601."),
    ] = None,
    kid: Annotated[str | None, typer.Option(help="The header's 'kid'.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Print a signed token.

    Without a key it is signed with the secret of the embedded default, which is in the data
    directory once `vallum run` has made it.
    """
    payload = {**(claims or {}), **dict(map(_claim, claim or []))}
    if sub is not None:
        payload["sub"] = sub
    _set_expiry(payload, exp, exp_in)
    header = {} if kid is None else {"kid": kid}
    if sum(source is not None for source in (secret, secret_file, key_file)) > 1:
        raise typer.BadParameter("give one of --secret, --secret-file and --key-file")
    if key_file is not None and alg is None:
        raise typer.BadParameter("--key-file needs --alg, for example --alg RS256 or --alg ES256")
    with failures(json):
        from vallum._core import inspect_token, mint_token

        if key_file is not None:
            key = read_input(str(key_file))
        else:
            key = _shared_key(secret, secret_file, data_dir, is_base64)
        token = mint_token(alg or "HS256", payload, key, header)
        if not json:
            print_line(token)
        else:
            header, payload = inspect_token(token.encode())
            print_json({"token": token, "header": header, "claims": payload})


def _set_expiry(payload: dict[str, Any], exp: float | None, exp_in: str | None) -> None:
    if exp is not None and exp_in is not None:
        raise typer.BadParameter("give either --exp or --exp-in")
    if exp is not None:
        payload["exp"] = int(exp)
    elif exp_in is not None or "exp" not in payload:
        lifetime = LIFETIME if exp_in is None else _lifetime(exp_in)
        if lifetime is not None:
            payload["exp"] = int(time.time() + lifetime)


def _shared_key(
    secret: str | None, secret_file: str | None, data_dir: Path | None, is_base64: bool
) -> bytes:
    from vallum.errors import VallumError

    if secret is not None:
        key = secret.encode()
    elif secret_file is not None:
        key = read_input(secret_file).rstrip()  # as the configuration reads file:// secrets
    else:
        from vallum import embedded

        key = embedded.read_secret(data_dir or embedded.default_data_dir()).encode()
    if is_base64:
        try:
            key = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            raise VallumError("the secret is not standard base64 with padding") from None
    return key


@app.command("inspect")
def inspect(
    token: Annotated[
        str | None, typer.Argument(metavar="TOKEN", help="The token; - reads standard input.")
    ] = None,
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Ask its jwt authenticators too."),
    ] = None,
    clientid: Annotated[
        str, typer.Option(help="Client identifier that claims are compared with.")
    ] = "",
    username: Annotated[
        str | None, typer.Option(help="User name that claims are compared with.")
    ] = None,
    at: At = None,
    json: Json = False,
) -> None:
    """Show header and claims of a token, and whether its time has come or is over.

    Nothing is verified, unless a configuration is given: then every jwt authenticator in it is
    asked, and the exit code is 1 if none accepts the token.
    """
    raw = (read_input("-") if token in (None, "-") else token.encode()).strip()
    now = time.time() if at is None else at
    with failures(json):
        from vallum._core import inspect_token
        from vallum.errors import VallumError

        try:
            header, claims = inspect_token(raw)
        except VallumError as error:
            if json:
                print_json({"error": str(error)})
            else:
                complain(f"vallum: {error}")
            raise typer.Exit(NO) from None
        checks = None if config is None else _ask(config, raw, clientid, username, now)
    verified = checks is not None and any(check["result"] == "ok" for check in checks)
    times = {name: _when(claims[name], now) for name in _TIMES if name in claims}
    if json:
        answer = {"verified": verified, "header": header, "claims": claims, "times": times}
        print_json(answer if checks is None else {**answer, "checks": checks})
    else:
        _print_parts(header, claims, times)
        _print_checks(checks)
    raise typer.Exit(NO if checks is not None and not verified else 0)


def _ask(
    file: Path, token: bytes, clientid: str, username: str | None, now: float
) -> list[dict[str, Any]]:
    """What every jwt authenticator of a configuration says."""
    from vallum import _core

    checks = []
    config = load_config(file, None)
    for place, stage in _jwt_stages(config):
        in_username = stage["from"] == "username"
        client = _core.Client(
            clientid,
            username=token.decode("utf-8", "replace") if in_username else username,
            password=None if in_username else token,
        )
        outcome = _core.JwtAuthenticator(json_text.dumps(stage)).authenticate(
            client, config.profile, now
        )
        checks.append(
            {
                "authenticator": place,
                "result": outcome.result,
                "reason": outcome.reason,
                "detail": outcome.detail,
                "reason_code": outcome.reason_code,
            }
        )
    return checks


def _jwt_stages(config: Config) -> list[tuple[str, dict[str, Any]]]:
    from vallum.config import policy_document
    from vallum.pipeline import compile_pipeline

    compile_pipeline(config)  # faults with their places
    chains = policy_document(config)["authentication"]
    places = {"authentication": chains["chain"]}
    for listener, settings in chains["listeners"].items():
        places[f"listeners.{listener.replace(':', '.')}.authentication"] = settings["chain"]
    return [
        (f"{place}[{index}]", {name: value for name, value in stage.items() if name != "mechanism"})
        for place, chain in places.items()
        for index, stage in enumerate(chain or [])
        if stage["mechanism"] == "jwt" and stage["enable"]
    ]


def _when(value: Any, now: float) -> str:
    """A NumericDate (RFC 7519 section 2) in words."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "not a number"
    try:
        date = datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return "out of range"
    distance = value - now
    words = f"in {_span(distance)}" if distance > 0 else f"{_span(-distance)} ago"
    return f"{date.replace('+00:00', 'Z')}, {words}"


def _span(seconds: float) -> str:
    left = int(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def _print_parts(header: dict[str, Any], claims: dict[str, Any], times: dict[str, str]) -> None:
    print_line("header")
    print_table(_rows(header, {}))
    print_line("claims")
    print_table(_rows(claims, times))


def _rows(members: dict[str, Any], times: dict[str, str]) -> list[Sequence[str]]:
    return [
        (
            f"  {name}",
            json_text.dumps(value, ensure_ascii=False),
            f"{_TIMES[name]} {times[name]}" if name in times else "",
        )
        for name, value in members.items()
    ]


def _print_checks(checks: list[dict[str, Any]] | None) -> None:
    if checks is None:
        print_line("Nothing was verified: anybody can write such a token. -c FILE asks a")
        print_line("configuration's authenticators whether they accept it.")
        return
    if not checks:
        print_line("No jwt authenticator in this configuration: nothing was verified.")
        return
    print_line("asked")
    print_table(
        (
            "✓" if check["result"] == "ok" else "✗",
            check["authenticator"],
            check["result"],
            check["reason"] or "",
            check["detail"] or "",
        )
        for check in checks
    )
