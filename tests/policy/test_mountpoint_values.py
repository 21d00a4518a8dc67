"""`mountpoint`: who gets which, and who is refused for it."""

from __future__ import annotations

from typing import Any

import pytest

import vallum

CONFIG = """
security_profile = PROFILE
authentication = [{ mechanism = cinfo, checks = [{ is_match = "true", result = allow }] }]
listeners.tcp.default { bind = "127.0.0.1:0", zone = z, mountpoint = MOUNT }
zones.z {}
mqtt.client_attrs_init = [{ expression = "username", set_as_attr = tns }]
"""


def pipeline(mount: str, profile: str = "hardened", more: str = "") -> vallum.Pipeline:
    text = CONFIG.replace("PROFILE", profile).replace("MOUNT", f'"{mount}"')
    return vallum.Pipeline.from_hocon(text + more)


def client(**fields: Any) -> vallum.Client:
    known = {"clientid": "c1", "username": "u1", "zone": "z", "peerhost": "10.0.0.1", **fields}
    return vallum.Client(**known)


GIVEN = [
    ("acme/", {}, "acme/"),
    ("${clientid}/", {}, "c1/"),
    ("a/${username}-${clientid}", {}, "a/u1-c1"),
    ("${zone}/${peerhost}/", {}, "z/10.0.0.1/"),
    ("${client_attrs.tns}/", {}, "u1/"),
    ("x${$}y/", {}, "x$y/"),
    ("", {}, None),
    ("${username}/", {"username": "${clientid}"}, "${clientid}/"),
]
REFUSED = [
    ("${username}/", {"username": None}, "missing"),
    ("${username}/", {"username": ""}, "missing"),
    ("${client_attrs.other}/", {}, "missing"),
    ("${username}/", {"username": "a/b"}, "invalid"),
    ("${username}/", {"username": "+"}, "invalid"),
    ("${clientid}/", {"clientid": "#"}, "invalid"),
    ("${clientid}/", {"clientid": "$share"}, ""),
    ("${clientid}/", {"clientid": "x" * 4096}, ""),
]


@pytest.mark.parametrize(("mount", "fields", "expected"), GIVEN)
async def test_rendered_once(mount: str, fields: dict[str, Any], expected: str | None) -> None:
    decision = await pipeline(mount).connect(client(**fields))
    assert (decision.result, decision.mountpoint) == ("allow", expected)
    assert decision.steps[-1]["stage"] == ("mountpoint" if expected else "authenticator")


@pytest.mark.parametrize(("mount", "fields", "reason"), REFUSED)
async def test_refused_in_hardened(mount: str, fields: dict[str, Any], reason: str) -> None:
    decision = await pipeline(mount).connect(client(**fields))
    assert (decision.result, decision.reason_code) == ("deny", 0x87)
    assert decision.decided_by == "mountpoint"
    assert decision.reason == (f"mountpoint_value_{reason}" if reason else "mountpoint_invalid")
    assert decision.detail == (mount.removesuffix("/") if reason else None)
    assert decision.mountpoint is None


@pytest.mark.parametrize(
    ("mount", "fields", "expected"),
    [
        ("${username}/", {"username": None}, "${username}/"),
        ("${client_attrs.other}/", {}, "${client_attrs.other}/"),
        ("${username}/", {"username": "a/+"}, "a/+/"),
        ("${endpoint_name}/", {}, "${endpoint_name}/"),
    ],
)
async def test_legacy_is_as_the_reference(
    mount: str, fields: dict[str, Any], expected: str
) -> None:
    decision = await pipeline(mount, "legacy").connect(client(**fields))
    assert (decision.result, decision.mountpoint) == ("allow", expected)


async def test_legacy_never_makes_a_prefix_of_subscriptions() -> None:
    decision = await pipeline("${clientid}/", "legacy").connect(client(clientid="$share"))
    assert (decision.result, decision.reason) == ("deny", "mountpoint_invalid")


@pytest.mark.parametrize(
    ("mount", "problem"),
    [
        ("a/+/", "must not hold '+'"),
        ("#", "must not hold '+'"),
        ("$share/g/", "must not begin with '$'"),
        ("${user}/", "unknown variable ${user}"),
        ("${endpoint_name}/", "unknown variable ${endpoint_name}"),
        ("${client_attrs.a.b}/", "unknown variable"),
        ("x" * 4097, "longer than 4096 bytes"),
    ],
)
def test_faults(mount: str, problem: str) -> None:
    with pytest.raises(vallum.ConfigError) as caught:
        pipeline(mount)
    assert caught.value.path == "listeners.tcp.default.mountpoint"
    assert problem in str(caught.value)
    assert caught.value.origin == "<text>:4:57"


NAMESPACE = "\nzones.z.mqtt.namespace_as_mountpoint = true\n"


async def test_namespace() -> None:
    named = pipeline("", more=NAMESPACE)
    assert (await named.connect(client())).mountpoint == "u1/"
    assert (await named.connect(client(username=None))).mountpoint is None
    assert (await named.connect(client(username="a/b"))).reason == "mountpoint_value_invalid"
    assert (await named.connect(client(zone="default"))).mountpoint is None
    own = pipeline("own/", more=NAMESPACE)
    assert (await own.connect(client())).mountpoint == "own/"


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize(
    ("action", "topic"),
    [
        ("publish", "a"),
        ("publish", "$delayed/5/a"),
        ("subscribe", "a"),
        ("subscribe", "$share/g/a"),
        ("subscribe", "$exclusive/a"),
    ],
)
async def test_rules_see(include: bool, action: Any, topic: str) -> None:
    rule = f'{{allow, all, all, ["{"u1/a" if include else "a"}"]}}.'
    rules = f'''
    authorization {{
      include_mountpoint = {str(include).lower()}, no_match = deny
      sources = [{{ type = file, rules = """{rule}""" }}]
    }}
    '''
    rendered = pipeline("${username}/", more=rules)
    decision = await rendered.connect(client())
    assert (await rendered.authorize(decision, action, topic)).result == "allow"
    assert (await rendered.authorize(decision, action, "b")).result == "deny"
