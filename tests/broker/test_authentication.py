"""What an authenticator says holds on the connection: rights, identity, the end of the token."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support import wire
from support.broker import LOOPBACK, Start, acl
from support.token import mint
from support.wire import Reason, Will

from vallum.config import load

SECRET = "a secret of the tests"
JWT = f"""
authentication = [{{ mechanism = jwt, algorithm = hmac-based, secret = "{SECRET}" }}]
"""
KEEP = {"session_expiry_interval": 60}
FAR = 4_102_444_800


def login(**claims: Any) -> dict[str, Any]:
    """Of a CONNECT: user name and token."""
    return {"username": "u", "password": mint({"exp": FAR} | claims, SECRET)}


async def test_rights_in_the_token(broker_with: Start) -> None:
    preset = {"pub": ["out/${clientid}"], "sub": ["in/#"], "all": ["both"]}
    async with broker_with(JWT, base=LOOPBACK) as broker:
        client = await broker.client("c1", **login(acl=preset))
        codes = await client.subscribe("in/x", "both", "out/c1", "#")
        assert codes == [0, 0, Reason.NOT_AUTHORIZED, Reason.NOT_AUTHORIZED]
        for topic, code in (
            ("out/c1", Reason.NO_MATCHING_SUBSCRIBERS),
            ("out/c2", Reason.NOT_AUTHORIZED),
            ("in/x", Reason.NOT_AUTHORIZED),
        ):
            assert await client.publish(topic, qos=1) == code


async def test_rights_in_the_token_end_with_it(broker_with: Start) -> None:
    text = JWT.replace("hmac-based", "hmac-based, disconnect_after_expire = false")
    async with broker_with(text, base=LOOPBACK) as broker:
        exp = int(time.time()) + 1
        client = await broker.client("c1", **login(exp=exp, acl={"all": ["#"]}))
        # Another client, disconnected when its silence is long enough, is the clock.
        clock = await broker.client("clock", keep_alive=2, **login())
        assert await client.subscribe("t") == [0]
        await clock.refused(Reason.KEEP_ALIVE_TIMEOUT)
        assert time.time() >= exp + 1
        assert await client.subscribe("t") == [Reason.NOT_AUTHORIZED]
        assert await client.publish("t", qos=1) == Reason.NOT_AUTHORIZED
        await client.quiet()


async def test_superuser_is_not_asked(broker_with: Start) -> None:
    async with broker_with(JWT + acl("{deny, all}."), base=LOOPBACK) as broker:
        client = await broker.client("c1", **login(is_superuser=True))
        assert await client.subscribe(("#", 1)) == [1]
        await client.send(wire.publish("t", b"x"))
        await client.message("t", b"x")
        other = await broker.client("c2", **login())
        assert await other.subscribe("#") == [Reason.NOT_AUTHORIZED]


async def test_client_id_of_the_token(broker_with: Start) -> None:
    async with broker_with(JWT + acl("{allow, all}."), base=LOOPBACK) as broker:
        first = await broker.client("one", **login(clientid_override="same"))
        second = await broker.client("two", **login(clientid_override="same"))
        await first.refused(Reason.SESSION_TAKEN_OVER)
        assert broker.broker.disconnect("same")
        await second.refused(Reason.ADMINISTRATIVE_ACTION)
        assert not broker.broker.disconnect("one")


async def test_attributes_of_the_token(broker_with: Start) -> None:
    rules = '{allow, all, all, ["${client_attrs.tenant}/#"]}.'
    async with broker_with(JWT + acl(rules, no_match="deny"), base=LOOPBACK) as broker:
        client = await broker.client("c1", **login(client_attrs={"tenant": "acme"}))
        assert await client.subscribe("acme/x", "other/x") == [0, Reason.NOT_AUTHORIZED]
        wide = await broker.client("c2", **login(client_attrs={"tenant": "+"}))
        assert await wide.subscribe("acme/x", "+/x", "other/x") == [Reason.NOT_AUTHORIZED] * 3


@pytest.mark.parametrize("loops", [1, 2])
async def test_only_the_last_token_counts(broker_with: Start, loops: int) -> None:
    # The deadline of the first connection's token must not end the second connection.
    async with broker_with(JWT + acl("{allow, all}."), base=LOOPBACK, loops=loops) as broker:
        exp = int(time.time()) + 1
        first = await broker.client("c1", properties=KEEP, **login(exp=exp))
        second = await broker.client("c1", clean_start=False, properties=KEEP, **login())
        await first.refused(Reason.SESSION_TAKEN_OVER)
        clock = await broker.client("clock", **login(exp=exp + 1))
        await clock.refused(Reason.NOT_AUTHORIZED)
        await second.quiet()


async def test_offline_session_outlives_its_token(broker_with: Start) -> None:
    async with broker_with(JWT + acl("{allow, all}."), base=LOOPBACK) as broker:
        exp = int(time.time()) + 1
        first = await broker.client("c1", properties=KEEP, **login(exp=exp))
        await first.subscribe(("t", 1))
        await first.disconnect()
        clock = await broker.client("clock", **login(exp=exp + 1))
        await clock.refused(Reason.NOT_AUTHORIZED)
        again = await broker.client("c1", clean_start=False, properties=KEEP, **login())
        assert again.connack.session_present


async def test_session_is_kept_after_the_end_of_the_token(broker_with: Start) -> None:
    async with broker_with(JWT + acl("{allow, all}."), base=LOOPBACK) as broker:
        exp = int(time.time()) + 1
        first = await broker.client("c1", properties=KEEP, **login(exp=exp))
        await first.subscribe(("t", 1))
        await first.refused(Reason.NOT_AUTHORIZED)
        other = await broker.client("c2", **login())
        await other.publish("t", b"waited", qos=1)
        again = await broker.client("c1", clean_start=False, properties=KEEP, **login())
        assert again.connack.session_present
        await again.message("t", b"waited")


async def test_delayed_will_after_the_end_of_the_token(broker_with: Start) -> None:
    # The delay is kept; the right to publish it is not needed then: the token is gone anyway.
    async with broker_with(JWT + acl("{allow, all}."), base=LOOPBACK) as broker:
        watcher = await broker.client("watcher", **login())
        await watcher.subscribe("will")
        await broker.client(
            "c1",
            will=Will(topic="will", properties={"will_delay_interval": 1}),
            properties=KEEP,
            **login(exp=int(time.time()) + 1),
        )
        await watcher.message("will", b"gone")


@pytest.mark.parametrize("version", wire.VERSIONS)
@pytest.mark.parametrize(
    "password",
    [b"\xff\xfe", b"", b".", b"..", b"a.b.c", b"." * 1000, b"x" * 65_535],
    ids=["no-text", "empty", "dot", "dots", "letters", "many-dots", "long"],
)
async def test_passwords_that_are_no_token(
    broker_with: Start, version: int, password: bytes
) -> None:
    async with broker_with(JWT, base=LOOPBACK) as broker:
        client = await broker.open(version)
        await client.connect("c1", username="u", password=password)
        if version == wire.V5:
            assert client.connack.reason in (0x86, 0x87)
        else:
            assert client.connack.reason in (4, 5)
        await client.closed()


async def test_password_without_user_name(broker_with: Start) -> None:
    password = login()["password"]
    async with broker_with(JWT, base=LOOPBACK) as broker:
        await broker.client("c1", password=password)
        for version in (wire.V31, wire.V311):
            client = await broker.open(version)
            await client.send(wire.connect("c1", version=version, password=password))
            await client.closed()  # [v3.1.1 MQTT-3.1.2-22]


async def test_enhanced_authentication_is_not_for_tokens(broker_with: Start) -> None:
    async with broker_with(JWT, base=LOOPBACK) as broker:
        client = await broker.open()
        method = {"authentication_method": "SCRAM-SHA-256", "authentication_data": b"n,,n=u"}
        await client.connect("c1", properties=method, **login())
        assert client.connack.reason >= Reason.UNSPECIFIED_ERROR
        await client.closed()


@pytest.mark.parametrize(("username", "code"), [(None, 0x87), ("", 0x87), ("u", 0)])
async def test_quick_deny_anonymous(broker_with: Start, username: str | None, code: int) -> None:
    text = JWT + "listeners.tcp.default.enable_authn = quick_deny_anonymous"
    async with broker_with(text, base=LOOPBACK) as broker:
        client = await broker.open()
        await client.connect("c1", **(login() | {"username": username}))
        assert client.connack.reason == code


async def test_chain_of_a_listener_replaces_the_global_one(broker_with: Start) -> None:
    text = """
    listeners.tcp.other {
      bind = "127.0.0.1:0"
      authentication = [{ mechanism = jwt, algorithm = hmac-based, secret = other }]
    }
    """
    async with broker_with(JWT + text, base=LOOPBACK) as broker:
        port = broker.broker.listeners["tcp:other"].port
        for secret, code in ((SECRET, Reason.NOT_AUTHORIZED), ("other", 0)):
            client = await type(await broker.open()).open(port)
            await client.connect("c1", username="u", password=mint({"exp": FAR}, secret))
            assert client.connack.reason == code
            await client.aclose()


async def test_legacy_lets_everybody_in_where_nothing_is_configured(broker_with: Start) -> None:
    async with broker_with("security_profile = legacy", base=LOOPBACK) as broker:
        client = await broker.client("c1")
        assert await client.publish("t", qos=1) == Reason.NO_MATCHING_SUBSCRIBERS
        assert await client.subscribe("t", "#", "$SYS/#") == [0, 0x87, 0x87]


async def test_reload_holds_for_clients_that_are_connected(broker_with: Start) -> None:
    allow, deny = (JWT + LOOPBACK + acl(f"{{{word}, all}}.") for word in ("allow", "deny"))
    async with broker_with(allow, base="") as broker:
        client = await broker.client("c1", **login())
        assert await client.subscribe("a") == [0]
        assert broker.broker.reload(load(text=deny, env={})) == []
        assert await client.subscribe("b") == [Reason.NOT_AUTHORIZED]
        assert await client.publish("a", qos=1) == Reason.NOT_AUTHORIZED
        other_key = allow.replace(SECRET, "another")
        broker.broker.reload(load(text=other_key, env={}))
        assert await client.subscribe("b") == [0]
        refused = await broker.open()
        await refused.connect("c2", **login())
        assert refused.connack.reason == Reason.NOT_AUTHORIZED
        broker.broker.reload(load(text=allow, env={}))
        await broker.client("c2", **login())


async def test_reload_that_fails_changes_nothing(broker_with: Start) -> None:
    good = JWT + LOOPBACK + acl("{allow, all}.")
    bad = JWT + LOOPBACK + acl("{allow, nobody knows this}.")
    async with broker_with(good, base="") as broker:
        client = await broker.client("c1", **login())
        with pytest.raises(Exception, match=r"acl|rules|line 1"):
            broker.broker.reload(load(text=bad, env={}))
        assert await client.subscribe("a") == [0]
        await broker.client("c2", **login())


async def test_will_of_a_refused_client(broker_with: Start) -> None:
    # A will of a client that is refused is never published.
    async with broker_with(JWT + acl("{allow, all}."), base=LOOPBACK) as broker:
        watcher = await broker.client("watcher", **login())
        await watcher.subscribe("#")
        for version in wire.VERSIONS:
            client = await broker.open(version)
            await client.connect("c1", will=Will(topic="will", qos=1))
            await client.closed()
        await watcher.quiet()
