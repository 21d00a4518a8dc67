"""What does a connection cost?

Method: 200 connections at a time are opened; each sends CONNECT (MQTT 3.1.1, clean session), waits
for the CONNACK, sends DISCONNECT and closes. CPU time of the broker over all of them, by their
number. A twentieth as many go before, unmeasured.

- `connect`      anonymous, on every broker.
- `connect-jwt`  on Vallum, with a chain that no peer has: the token's `sub` is compared with the
  client identifier (`cinfo`), its HS256 signature and `exp` are checked, an attribute is taken from
  its `scp`, and acl.conf is in force. Each client has its own token. Before it is timed, five cases
  show that the chain refuses whom it should. It is compared with the *anonymous* connection of the
  base, so the two questions are always asked together.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import ours
from measure import Answer, Question, Setup, interleaved

NAMES = ("connect", "connect-jwt")
_CLIENTS = 4000
"""Clients with tokens of their own; many more than are ever connected at once."""


def answers(setup: Setup) -> list[Answer]:
    """Ask."""
    count = 5_000 if setup.quick else 20_000
    load = ("connect", "--count", str(count), "--warmup-count", str(count // 20))
    with ExitStack() as stack:
        identities = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "identities"
        names = [f"device-{n}" for n in range(_CLIENTS)]
        identities.write_text(
            "".join(f"{name}\t{ours.USERNAME}\t{ours.token(name)}\n" for name in names)
        )
        anonymous = Question("connect", "connect, CONNACK, close: anonymous", "us", load, 0.8)
        guarded = Question(
            "connect-jwt",
            "the same with HS256 token, cinfo, attribute, acl.conf; base: anonymous",
            "us",
            (*load, "--identities", str(identities)),
            1.0,
            against="connect",
        )
        guard = stack.enter_context(setup.running(ours.with_tokens()))
        ours.assert_answers(guard)
        recipes = [setup.ours, *setup.peers]
        brokers = [stack.enter_context(setup.running(recipe)) for recipe in recipes]
        return interleaved(setup, {anonymous: brokers, guarded: [guard]})
