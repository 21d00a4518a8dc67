"""`vallum.jwt.Authenticator` against the table of JWT cases that need no key server."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import re
import time
from functools import cache
from typing import Any

import cases
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from support.token import segment

import vallum

TABLE = cases.load("authn_jwt.json")
CASES = [case for case in TABLE["cases"] if not case["config"].get("use_jwks")]
CODES = {"bad_username_or_password": 0x86, "not_authorized": 0x87}
CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


# --- keys --------------------------------------------------------------------------------------


@cache
def private_key(name: str) -> Any:
    """The key pair of this name, made once."""
    kind = TABLE["keys"][name]
    if kind["kty"] == "RSA":
        return rsa.generate_private_key(65_537, kind["bits"])
    if kind["kty"] == "EC":
        return ec.generate_private_key(CURVES[kind["crv"]]())
    return ed25519.Ed25519PrivateKey.generate()


def public(name: str, encoding: serialization.Encoding) -> bytes:
    data: bytes = (
        private_key(name)
        .public_key()
        .public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return data


def pem(name: str) -> str:
    return public(name, serialization.Encoding.PEM).decode()


def modulus(name: str) -> str:
    number = private_key(name).public_key().public_numbers().n
    return segment(number.to_bytes((number.bit_length() + 7) // 8))


# --- the recipe of a token ------------------------------------------------------------------------


def expand(value: Any, now: int, token: str = "") -> Any:  # noqa: C901
    """Replace what stands for something, wherever it stands."""
    if isinstance(value, dict):
        return {name: expand(member, now, token) for name, member in value.items()}
    if isinstance(value, list):
        return [expand(member, now, token) for member in value]
    if not isinstance(value, str):
        return value
    if time_ := re.fullmatch(r"(?:(float|str|strf):)?now(?:([+-][\d.]+))?", value):
        kind, offset = time_[1], time_[2] or "0"
        if kind == "float":
            return now + float(offset)
        if kind == "strf":
            return str(now + float(offset))
        return str(now + int(offset)) if kind == "str" else now + int(offset)
    name, _, rest = value.partition(":")
    match name:
        case "@pem":
            return pem(rest)
        case "@b64":
            return base64.b64encode(rest.encode()).decode()
        case "@b64hex":
            return base64.b64encode(bytes.fromhex(rest)).decode()
        case "@repeat":
            character, _, count = rest.rpartition(":")
            return character * int(count)
        case "@nest":
            return '{"a":' + "[" * int(rest) + "]" * int(rest) + "}"
        case "@token":
            return token
        case "@attacker_url":
            return "http://127.0.0.1:9/attacker"  # nothing listens there
    return value


def secret(name: str) -> bytes | None:
    """The bytes that `sign_with` takes as a shared secret."""
    kind, _, rest = name.partition(":")
    match kind:
        case "secret":
            return rest.encode()
        case "secrethex":
            return bytes.fromhex(rest)
        case "pem-as-secret":
            return pem(rest).encode()
        case "pem-stripped-as-secret":
            return pem(rest).rstrip("\n").encode()
        case "der-as-secret":
            return public(rest, serialization.Encoding.DER)
        case "jwk-n-as-secret":
            return modulus(rest).encode()
    return None


def sign(text: bytes, algorithm: str, sign_with: str) -> bytes:
    if sign_with == "none":
        return b""
    family, bits = algorithm[:2], algorithm[2:5]
    shared = secret(sign_with)
    if shared is not None:
        return hmac.digest(shared, text, getattr(hashlib, f"sha{bits}"))
    key = private_key(sign_with.removeprefix("key:"))
    if family == "Ed":
        return bytes(key.sign(text))
    digest = HASHES[bits]()
    if family == "ES":
        der = key.sign(text, ec.ECDSA(digest))
        if algorithm.endswith("-DER"):
            return bytes(der)
        size = (key.curve.key_size + 7) // 8
        return b"".join(number.to_bytes(size) for number in decode_dss_signature(der))
    scheme = (
        padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
        if family == "PS"
        else padding.PKCS1v15()
    )
    return bytes(key.sign(text, scheme, digest))


def payload_of(case: dict[str, Any], now: int) -> bytes:
    if "raw_payload" in case:
        raw: str = expand(case["raw_payload"], now)
        return raw.encode()
    if "raw_payload_hex" in case:
        return bytes.fromhex(case["raw_payload_hex"])
    return json.dumps(expand(case["claims"], now)).encode()


def mint(case: dict[str, Any], now: int) -> str:
    """The token that a case describes."""
    header = {"alg": case["header_alg"], "typ": "JWT"} | expand(case.get("header", {}), now)
    header = {name: value for name, value in header.items() if value is not None}
    head, payload = segment(json.dumps(header).encode()), segment(payload_of(case, now))
    text = f"{head}.{payload}"
    signature = sign(text.encode(), case.get("sign_alg", case["header_alg"]), case["sign_with"])
    token = f"{text}.{segment(signature)}"
    for mutation in case.get("mutate", []):
        token = mutated(token, mutation, now)
    return token


def mutated(token: str, mutation: str | dict[str, Any], now: int) -> str:
    """The token after what one entry of `mutate` does to it."""
    head, payload, signature = token.split(".")
    match mutation:
        case {"replace_claims": claims}:
            return f"{head}.{segment(json.dumps(expand(claims, now)).encode())}.{signature}"
        case "drop_sig_segment":
            return f"{head}.{payload}"
        case "empty_sig":
            return f"{head}.{payload}."
        case "append_segment":
            return f"{token}.e30"
        case "suffix_newline":
            return f"{token}\n"
        case "prefix_space":
            return f" {token}"
    raise AssertionError(f"unknown mutation {mutation!r}")


# --- what is expected -----------------------------------------------------------------------------


def verdicts(case: dict[str, Any], profile: str) -> dict[str, str | None]:
    """The results that are right in this profile, each with its reason if one is stated."""
    expect, reason = case["expect"], case.get("expect_reason")
    if profile == "hardened" and "profile" not in case:
        if "expect_hardened" in case:
            expect, reason = case["expect_hardened"], case.get("expect_hardened_reason")
        elif expect == "ignore" and "auth_method" not in case.get("client", {}):
            expect, reason = "deny", "not_authorized"
    right: dict[str, str | None] = dict.fromkeys(case.get("also_accept", []))
    return right | {expect: reason}


def rows() -> list[Any]:
    return [
        pytest.param(parameter.values[0], profile, id=f"{parameter.id}-{profile}")
        for parameter in cases.parameters(CASES, "name")
        for profile in (
            ("legacy", "hardened")
            if "profile" not in parameter.values[0]
            else (parameter.values[0]["profile"],)
        )
    ]


@pytest.mark.parametrize(("case", "profile"), rows())
async def test_jwt(case: dict[str, Any], profile: str) -> None:
    now = int(time.time())
    config = {"mechanism": "jwt"} | expand(case["config"], now)
    right = verdicts(case, profile)
    try:
        authenticator = vallum.jwt.Authenticator.from_config(config)
    except vallum.ConfigError:
        assert "config_error" in right
        return
    if "config_ok" in right:
        return
    assert set(right) - {"config_error"}, "the configuration had to be refused"
    token = mint(case, now) if "header_alg" in case else ""
    fields = {"clientid": "c1", "username": "u1", "password": "@token"} | case.get("client", {})
    client = vallum.Client(**expand(fields, now, token))
    at = now + case.get("now_offset", 0)
    outcome = await authenticator.authenticate(client, profile=profile, at=at)
    await authenticator.aclose()
    assert outcome.result in right, outcome.reason
    reason = right[outcome.result]
    if outcome.result == "deny" and reason is not None:
        assert outcome.reason_code == CODES[reason], outcome.reason
    if outcome.result == "ok":
        assert outcome.reason_code == 0
    if outcome.result == case["expect"]:
        check_members(case, outcome, now)


def check_members(case: dict[str, Any], outcome: vallum.jwt.Outcome, now: int) -> None:
    """What a verdict brings along, as far as the case states it."""
    if "expect_superuser" in case:
        assert outcome.is_superuser == case["expect_superuser"]
    if "expect_client_attrs" in case:
        assert outcome.client_attrs == case["expect_client_attrs"]
    if "expect_acl" in case:
        assert outcome.acl == expand(copy.deepcopy(case["expect_acl"]), now)
    if "expect_clientid_override" in case:
        assert outcome.clientid_override == case["expect_clientid_override"]
    if "expect_expire_at" in case:
        expected = expand(case["expect_expire_at"], now)
        assert outcome.expire_at == (None if expected is None else int(expected))
