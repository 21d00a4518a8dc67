"""The brokers Vallum is compared with, as far as they are installed here.

Equal terms: anonymous, everything allowed, nothing on disk, no limit on what waits or is under way,
Nagle's algorithm off, one thread for traffic where that can be said. Nothing is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from broker import Recipe

BASE = "mosquitto"
"""Ratios and budgets are against this one, from the distribution."""

_MOSQUITTO = """\
listener PORT 127.0.0.1
allow_anonymous true
persistence false
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
set_tcp_nodelay true
sys_interval 0
log_type error
connection_messages false
"""
_FLASHMQ = """\
allow_anonymous true
thread_count 1
quiet true
log_level warning
max_qos_msg_pending_per_client 65535
max_qos_bytes_pending_per_client 104857600
client_max_write_buffer_size 104857600
overload_mode log
listen {
  protocol mqtt
  inet_protocol ip4
  inet4_bind_address 127.0.0.1
  port PORT
  tcp_nodelay true
}
"""
_NANOMQ = """\
mqtt { max_packet_size = 10MB, max_mqueue_len = 65535, retry_interval = 3600s }
listeners.tcp { bind = "127.0.0.1:PORT" }
auth { allow_anonymous = true, no_match = allow, deny_action = ignore }
log { to = [console], level = error }
"""
_AMQTT = """\
listeners:
  default:
    type: tcp
    bind: 127.0.0.1:PORT
    max_connections: -1
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""
_AEDES = """\
const { Aedes } = require('aedes')
const { createServer } = require('node:net')
Aedes.createBroker({ maxClientsIdLength: 255 }).then(broker =>
  createServer({ noDelay: true }, broker.handle)
    .listen({ port: PORT, host: '127.0.0.1', backlog: 4096 }))
"""
_AEDES_VERSION = """\
const { dirname, join } = require('node:path')
const read = at => { try { return require(join(at, 'package.json')) } catch { return {} } }
let at = dirname(require.resolve('aedes'))
while (read(at).name !== 'aedes' && at !== dirname(at)) at = dirname(at)
console.log(read(at).version)
"""


def found() -> list[Recipe]:
    """The peers of this machine; `BASE`, if it is there, first."""
    recipes = [
        _recipe("mosquitto", _MOSQUITTO, ["-c"], ["-h"]),
        _recipe("flashmq", _FLASHMQ, ["--config-file"], ["--version"]),
        _recipe("nanomq", _NANOMQ, ["start", "--conf"], ["--version"]),
        _recipe("amqtt", _AMQTT, ["-c"], ["--version"]),
        _aedes(),
    ]
    return [recipe for recipe in recipes if recipe is not None]


def _recipe(name: str, config: str, start: list[str], ask: list[str]) -> Recipe | None:
    program = _program(name)
    if program is None:
        return None

    def command(directory: Path, port: int) -> list[str]:
        # amqtt tells the format of its file by the name
        file = directory / f"{name}.{'yaml' if name == 'amqtt' else 'conf'}"
        file.write_text(config.replace("PORT", str(port)))
        return [program, *start, str(file)]

    return Recipe(name, _version([program, *ask]), command)


def _aedes() -> Recipe | None:
    node = shutil.which("node")
    if node is None:
        return None
    try:
        done = subprocess.run(
            [node, "-e", _AEDES_VERSION], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None

    def command(directory: Path, port: int) -> list[str]:
        file = directory / "aedes.cjs"
        file.write_text(_AEDES.replace("PORT", str(port)))
        return [node, str(file)]

    return Recipe("aedes", done.stdout.strip(), command)


def _program(name: str) -> str | None:
    """Find a program: beside this Python, on the path, or where administrators' programs are."""
    return next((file for place in _places() if (file := shutil.which(name, path=place))), None)


def _places() -> Iterator[str]:
    yield str(Path(sys.executable).parent)
    yield os.environ.get("PATH", os.defpath)
    yield "/usr/local/sbin:/usr/sbin"


def _version(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    match = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return match[0] if match else "unknown"
