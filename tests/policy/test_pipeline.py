"""`vallum.Pipeline`: the whole decision about a client, and the record of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from support.token import mint

import vallum
from vallum import Client, ConfigError, Pipeline

SECRET = "a secret of the tests"
NOW = 1_700_000_000
JWT = f"""
authentication = [{{ mechanism = jwt, algorithm = hmac-based, secret = "{SECRET}" }}]
authorization {{ no_match = deny, sources = [] }}
"""


def client(**fields: Any) -> Client:
    return Client(**({"clientid": "c1", "username": "u"} | fields))


def token(secret: str = SECRET, **claims: Any) -> str:
    return mint({"exp": NOW + 60} | claims, secret)


CHAINS = [
    pytest.param("", {}, ("deny", "no_authenticator", 0x87), id="hardened-and-no-chain"),
    pytest.param(
        "security_profile = legacy", {}, ("allow", "no_authenticator", 0), id="legacy-and-no-chain"
    ),
    pytest.param(
        JWT + "authentication = [{ mechanism = jwt, enable = false, secret = x\n"
        "algorithm = hmac-based }]",
        {},
        ("deny", "no_authenticator", 0x87),
        id="hardened-and-all-disabled",
    ),
    pytest.param(
        'authentication = [{ mechanism = cinfo, checks = [{is_match = "true", result = allow}] }]',
        {},
        ("allow", "cinfo", 0),
        id="cinfo-allows",
    ),
    pytest.param(
        'authentication = [{ mechanism = cinfo, checks = [{is_match = "true", result = deny}] }]',
        {},
        ("deny", "cinfo", 0x86),
        id="cinfo-denies",
    ),
    pytest.param(
        'authentication = [{ mechanism = cinfo, checks = [{is_match = "false", result = deny}] }]',
        {},
        ("deny", "no_match", 0x87),
        id="everybody-ignores",
    ),
    pytest.param(JWT, {"password": token()}, ("allow", "jwt", 0), id="token"),
    pytest.param(JWT, {"password": token("other")}, ("deny", "jwt", 0x87), id="other-secret"),
    pytest.param(JWT, {}, ("deny", "jwt", 0x86), id="no-token"),
    pytest.param(JWT, {"password": ""}, ("deny", "jwt", 0x87), id="empty-token"),
]


@pytest.mark.parametrize(("text", "fields", "expected"), CHAINS)
async def test_connect(text: str, fields: dict[str, Any], expected: tuple[str, str, int]) -> None:
    decision = await Pipeline.from_hocon(text).connect(client(**fields), at=NOW)
    assert (decision.result, decision.decided_by, decision.reason_code) == expected


async def test_a_precondition_skips_an_authenticator() -> None:
    text = f"""
    authentication = [
      {{ mechanism = cinfo, precondition = "str_eq(username, 'device')"
         checks = [{{ is_match = "true", result = deny }}] }}
      {{ mechanism = jwt, algorithm = hmac-based, secret = "{SECRET}" }}
    ]
    """
    pipeline = Pipeline.from_hocon(text)
    refused = await pipeline.connect(client(username="device", password=token()), at=NOW)
    assert (refused.result, refused.decided_by) == ("deny", "cinfo")
    allowed = await pipeline.connect(client(username="person", password=token()), at=NOW)
    assert (allowed.result, allowed.decided_by) == ("allow", "jwt")
    assert [(step["name"], step["result"]) for step in allowed.steps][-2:] == [
        ("cinfo", "ignore"),
        ("jwt", "ok"),
    ]


@pytest.mark.parametrize(("profile", "result"), [("hardened", "deny"), ("legacy", "allow")])
async def test_a_precondition_without_a_value(profile: str, result: str) -> None:
    # It is a failure of the authenticator; hardened does not go on after one.
    text = f"""
    security_profile = {profile}
    authentication = [
      {{ mechanism = cinfo, precondition = "str_eq(client_attrs.missing, 'x')"
         checks = [{{ is_match = "true", result = deny }}] }}
      {{ mechanism = jwt, algorithm = hmac-based, secret = "{SECRET}" }}
    ]
    """
    decision = await Pipeline.from_hocon(text).connect(client(password=token()), at=NOW)
    assert decision.result == result


async def test_what_the_token_says() -> None:
    pipeline = Pipeline.from_hocon(
        JWT + 'mqtt.client_attrs_init = [{ expression = "clientid", set_as_attr = own }]'
    )
    password = token(is_superuser=True, client_attrs={"a": "1"}, clientid_override="other")
    decision = await pipeline.connect(client(password=password), at=NOW)
    assert decision.is_superuser
    assert decision.client_attrs == {"own": "c1", "a": "1"}
    assert decision.clientid == "other"
    assert decision.expire_at == NOW + 60


async def test_time_is_an_argument() -> None:
    pipeline = Pipeline.from_hocon(JWT)
    for at, result, reason in (
        (NOW, "allow", None),
        (NOW + 59, "allow", None),
        (NOW + 60, "deny", "expired"),
        (NOW + 3600, "deny", "expired"),
    ):
        decision = await pipeline.connect(client(password=token()), at=at)
        assert decision.result == result, at
        if reason is not None:
            assert (decision.reason, decision.reason_code) == (reason, 0x86)
    soon = mint({"exp": int(time.time()) + 60}, SECRET)
    assert (await pipeline.connect(client(password=soon))).result == "allow"


AUTHORIZED = [
    ({}, "publish", "t", ("deny", "no_match")),
    ({"is_superuser": True}, "publish", "t", ("allow", "superuser")),
    ({"acl": {"pub": ["t"]}}, "publish", "t", ("allow", "preset")),
    ({"acl": {"pub": ["t"]}}, "publish", "u", ("deny", "preset")),
    ({"acl": {"pub": ["t"]}}, "subscribe", "t", ("deny", "preset")),
    ({"acl": []}, "subscribe", "t", ("deny", "no_match")),
    (
        {"acl": [{"permission": "allow", "action": "subscribe", "topic": "t"}]},
        "subscribe",
        "t",
        ("allow", "preset"),
    ),
]


@pytest.mark.parametrize(("claims", "action", "topic", "expected"), AUTHORIZED)
async def test_authorize(
    claims: dict[str, Any], action: Any, topic: str, expected: tuple[str, str]
) -> None:
    pipeline = Pipeline.from_hocon(JWT)
    decision = await pipeline.connect(client(password=token(**claims)), at=NOW)
    verdict = await pipeline.authorize(decision, action, topic, at=NOW)
    result, decided_by = expected
    assert verdict.result == result
    assert verdict.decided_by.partition("[")[0] == decided_by


async def test_preset_ends_with_the_token() -> None:
    pipeline = Pipeline.from_hocon(JWT)
    password = token(acl={"all": ["#"]})
    decision = await pipeline.connect(client(password=password), at=NOW)
    for at, result in ((NOW, "allow"), (NOW + 60, "allow"), (NOW + 61, "deny")):
        verdict = await pipeline.authorize(decision, "publish", "t", at=at)
        assert verdict.result == result, at


async def test_rules_are_counted_from_one_and_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "acl.conf").write_text(
        '%% a comment\n{allow, all, publish, ["a"]}.\n\n{deny, all, all, ["b"]}.\n'
    )
    text = """
    authentication = [{ mechanism = cinfo, checks = [{ is_match = "true", result = allow }] }]
    authorization { no_match = allow, sources = [{ type = file, path = "acl.conf" }] }
    """
    pipeline = Pipeline.from_hocon(text, base_dir=tmp_path)
    decision = await pipeline.connect(client())
    for topic, result, decided_by in (
        ("a", "allow", "file[1]"),
        ("b", "deny", "file[2]"),
        ("c", "allow", "no_match"),
    ):
        verdict = await pipeline.authorize(decision, "publish", topic)
        assert (verdict.result, verdict.decided_by) == (result, decided_by)


FAULTS = [
    pytest.param(
        'authentication = [{ mechanism = cinfo, checks = [{ is_match = "x(", result = deny }] }]',
        "authentication[0].checks[0].is_match",
        id="expression",
    ),
    pytest.param(
        'authentication = { mechanism = cinfo, precondition = "("'
        ' checks = [{ is_match = "true", result = deny }] }',
        "authentication[0].precondition",
        id="precondition",
    ),
    pytest.param(
        'mqtt.client_attrs_init = [{ expression = "(", set_as_attr = a }]',
        "mqtt.client_attrs_init[0].expression",
        id="attribute",
    ),
    pytest.param(
        'authorization.sources = [{ type = file, rules = "{allow, all" }]',
        "authorization.sources[0]",
        id="rules",
    ),
    pytest.param(
        'authorization.sources = [{ type = file, path = "missing.conf" }]',
        "authorization.sources[0].path",
        id="no-such-file",
    ),
    pytest.param(
        'authentication = [{ mechanism = jwt, algorithm = public-key, public_key = "x" }]',
        "authentication[0].public_key",
        id="public-key",
    ),
]


@pytest.mark.parametrize(("text", "path"), FAULTS)
def test_faults_name_the_option(text: str, path: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Pipeline.from_hocon("\n\n" + text, base_dir=tmp_path)
    fault = caught.value.faults[0]
    assert fault.path.startswith(path)
    assert fault.origin is not None
    assert ":3:" in fault.origin


def test_all_faults_are_told_at_once() -> None:
    text = "\n".join(parameter.values[0] for parameter in FAULTS[2:4])
    with pytest.raises(ConfigError) as caught:
        Pipeline.from_hocon(text)
    assert {fault.path.partition("[")[0] for fault in caught.value.faults} == {
        "mqtt.client_attrs_init",
        "authorization.sources",
    }


async def test_no_secret_is_shown() -> None:
    pipeline = Pipeline.from_hocon(JWT)
    password = token("another secret")
    decision = await pipeline.connect(client(password=password), at=NOW)
    shown = f"{pipeline!r} {client(password=password)!r} {decision!r} {decision.steps}"
    for secret in (SECRET, password, password.rpartition(".")[2]):
        assert secret not in shown


async def test_the_parts_give_what_the_whole_gives() -> None:
    authenticator = vallum.jwt.Authenticator.from_config(
        {"algorithm": "hmac-based", "secret": SECRET}
    )
    pipeline = Pipeline.from_hocon(JWT)
    for password in (token(), token("other"), token(exp=1), token(acl={"pub": ["t"]}), "x", None):
        asked = client(password=password)
        outcome = await authenticator.authenticate(asked, at=NOW)
        decision = await pipeline.connect(asked, at=NOW)
        assert (outcome.result == "ok") == (decision.result == "allow")
        assert (outcome.reason_code, outcome.acl) == (decision.reason_code, decision.acl)
