"""Vallum under measurement: open to everybody, and with the chain of a token check.

Bounds are lifted as they are for the peers: one event loop, no bound on what waits for a client.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from broker import Recipe, Running
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

import vallum

SECRET = "not a secret: it signs the tokens of a bench"  # noqa: S105
USERNAME = "bench"
_COMMAND = str(Path(sys.executable).parent / "vallum")

_COMMON = """
security_profile = hardened
mqtt { max_mqueue_len = 0, max_inflight = 65535, max_awaiting_rel = infinity }
"""
_OPEN = """
listeners.tcp.default { bind = "127.0.0.1:PORT", enable_authn = false }
authorization { no_match = allow, sources = [] }
"""
_TOKENS = """
listeners.tcp.default { bind = "127.0.0.1:PORT" }
mqtt.client_attrs_init = [
  {
    expression = "nth(2, regex_extract(jwt_value(password, 'scp'), '(^|[ ])(read)([ ]|$)'))"
    set_as_attr = jwt_scp
  }
]
authentication = [
  {
    mechanism = cinfo
    checks = [
      {
        is_match = "str_neq(nth(4, tokens(jwt_value(password, 'sub'), ':')), clientid)"
        result = deny
      }
    ]
  },
  {
    mechanism = jwt
    algorithm = "hmac-based"
    secret = "SECRET"
    from = password
    disconnect_after_expire = true
    verify_claims {}
  }
]
authorization { no_match = deny, sources = [{ type = file, path = "acl.conf" }] }
"""
_ACL = """
{allow, all, subscribe, ["myorg/${client_attrs.jwt_scp}/#"]}.
{allow, all, publish, ["myorg/#"]}.
{deny, all}.
"""


def open_to_all() -> Recipe:
    return Recipe("vallum", vallum.__version__, lambda at, port: _start(at, port, _OPEN))


def with_tokens() -> Recipe:
    return Recipe("vallum", vallum.__version__, lambda at, port: _start(at, port, _TOKENS))


def _start(directory: Path, port: int, text: str) -> list[str]:
    config = directory / "vallum.conf"
    config.write_text(_COMMON + text.replace("PORT", str(port)).replace("SECRET", SECRET))
    (directory / "acl.conf").write_text(_ACL)
    data = str(directory / "data")
    return [_COMMAND, "run", "-c", str(config), "--data-dir", data, "--loops", "1"]


def token(client_id: str, *, scope: str = "read openid foobar", secret: str = SECRET) -> str:
    """A token for one client, good for a day."""
    claims = {
        "sub": f"urn:test:unitid:{client_id}:clientid:test",
        "scp": scope,
        "exp": int(time.time()) + 86_400,
    }
    return vallum.jwt.mint(claims, secret)


def assert_answers(broker: Running) -> None:
    """Hold the chain to what it promises, before it is timed.

    Raises:
        RuntimeError: somebody was let in or refused who should not be.
    """
    cases = [
        ("one", token("one"), "myorg/read/#", (0x00, 0x00)),
        ("one", token("one"), "myorg/write/#", (0x00, 0x87)),
        ("one", token("one", scope="openid"), "myorg/read/#", (0x00, 0x87)),
        ("two", token("one"), None, (0x86, None)),
        ("one", token("one", secret="x" * 32), None, (0x87, None)),
    ]
    for number, (client_id, password, topic_filter, expected) in enumerate(cases):
        answer = _ask(broker.port, client_id, password, topic_filter)
        if answer != expected:
            raise RuntimeError(f"case {number}: the answer is {answer}, not {expected}")


def _ask(
    port: int, client_id: str, password: str, topic_filter: str | None
) -> tuple[int | None, int | None]:
    """The CONNACK's reason code, and the SUBACK's where a filter is given."""
    connack: list[int] = []
    suback: list[int] = []
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5)
    client.username_pw_set(USERNAME, password)
    client.on_connect = lambda *args: connack.append(args[3].value)
    client.on_subscribe = lambda *args: suback.append(args[3][0].value)
    client.connect("127.0.0.1", port)
    _until(client, connack)
    if topic_filter is not None and connack == [0]:
        client.subscribe(topic_filter)
        _until(client, suback)
    client.disconnect()
    return next(iter(connack), None), next(iter(suback), None)


def _until(client: Client, answers: list[int]) -> None:
    deadline = time.monotonic() + 10
    while not answers and time.monotonic() < deadline:
        client.loop(0.1)


def check_installed() -> None:
    """Fail early where the command is missing.

    Raises:
        RuntimeError: the command does not run.
    """
    done = subprocess.run([_COMMAND, "--version"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{_COMMAND} does not run: {done.stderr}")
