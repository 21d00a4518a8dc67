"""Story 2 with paho-mqtt: the scope of a token becomes a right on topics.

Start the broker first: vallum run -c examples/story2.conf
"""

# ruff: noqa: S105, T201 - a public secret, and output is what it is for

from __future__ import annotations

import argparse
import time

from answers import Client

import vallum

SECRET = "jwtpassfortest1"


def token(scopes: str) -> str:
    """A token as an OAuth server issues it."""
    return vallum.jwt.mint({"scp": scopes, "exp": int(time.time() + 3600)}, SECRET)


def show(what: str, got: int, expected: int) -> None:
    """Print an answer; end the program if it is not the expected one."""
    print(f"{what:<58} 0x{got:02X}")
    if got != expected:
        raise SystemExit(f"expected 0x{expected:02X}")


def main() -> None:
    """Show who may do what."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=1883)
    options = arguments.parse_args()
    host, port = options.host, options.port

    reader = Client(host, port, "reader", token("read openid foobar"))
    stranger = Client(host, port, "stranger", token("openid foobar"))
    with reader, stranger:
        show("reader: connect with scope 'read openid foobar'", reader.connect(), 0x00)
        show("reader: subscribe to myorg/read/#", reader.subscribe("myorg/read/#"), 0x01)
        show("reader: subscribe to all of myorg", reader.subscribe("myorg/#"), 0x87)
        show("stranger: connect with scope 'openid foobar'", stranger.connect(), 0x00)
        show("stranger: subscribe to myorg/read/#", stranger.subscribe("myorg/read/#"), 0x87)
        show("stranger: publish to myorg/read/news", stranger.publish("myorg/read/news", "1"), 0x00)
        print("reader received", reader.next_topic())
        show("stranger: publish to elsewhere/news", stranger.publish("elsewhere/news", "1"), 0x87)


if __name__ == "__main__":
    main()
