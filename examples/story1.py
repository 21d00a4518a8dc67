"""Story 1 with paho-mqtt: one token, an allowed client and refused ones.

Start the broker first: vallum run -c examples/story1.conf
"""

# ruff: noqa: S105, S106, T201 - a public secret, and output is what it is for

from __future__ import annotations

import argparse
import time

from answers import Client

import vallum

SECRET = "jwtpassfortest1"
SUBJECT = "urn:test:unitid:1001010-1000010:clientid:test"
UNIT = "1001010-1000010"


def token(seconds: float, *, secret: str = SECRET) -> str:
    """A token of the identity service, or of somebody who does not know its secret."""
    return vallum.jwt.mint({"sub": SUBJECT, "exp": int(time.time() + seconds)}, secret)


def attempt(host: str, port: int, client_id: str, password: str | None) -> int:
    """Connect and go; the reason code of CONNACK."""
    with Client(host, port, client_id, password) as client:
        return client.connect()


def show(what: str, got: int, expected: int) -> None:
    """Print an answer; end the program if it is not the expected one."""
    print(f"{what:<58} 0x{got:02X}")
    if got != expected:
        raise SystemExit(f"expected 0x{expected:02X}")


def until_it_expires(host: str, port: int) -> None:
    """A client whose token lives two seconds, and the will it leaves."""
    with Client(host, port, UNIT, token(2)) as client:
        client.will(f"units/{UNIT}/gone", "token expired")
        show("connect with a token that lives two seconds", client.connect(), 0x00)
        show("... the broker ends the connection at exp", client.closed(), 0x87)
    with Client(host, port, UNIT, token(60)) as client:
        client.connect()
        client.subscribe(f"units/{UNIT}/gone")
        print("... and its will was published to", client.next_topic())


def main() -> None:
    """Show who gets in."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=1883)
    options = arguments.parse_args()
    host, port = options.host, options.port

    good, forged, expired = token(3600), token(3600, secret="guessed"), token(-60)
    show("connect as the unit the token names", attempt(host, port, UNIT, good), 0x00)
    show("connect under another client id: cinfo", attempt(host, port, "test", good), 0x86)
    show("right payload, forged signature: jwt", attempt(host, port, UNIT, forged), 0x87)
    show("expired token: jwt", attempt(host, port, UNIT, expired), 0x86)
    show("no token at all: cinfo", attempt(host, port, UNIT, None), 0x86)
    with Client(host, port, UNIT, good) as client:
        client.connect()
        show("subscribe to its own topics", client.subscribe(f"units/{UNIT}/#"), 0x01)
        show("subscribe to those of another unit", client.subscribe("units/2/#"), 0x87)
        show("publish to its own topics", client.publish(f"units/{UNIT}/t", "21.5"), 0x00)
        show("publish to those of another unit", client.publish("units/2/t", "21.5"), 0x87)
    until_it_expires(host, port)


if __name__ == "__main__":
    main()
