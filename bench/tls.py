"""What do TLS connections cost: memory of an idle one, CPU of a full and of a resumed handshake?

Method: one broker with one event loop, an ECDSA P-256 certificate, TLS 1.3 without client
certificates. `idle`: 2,000 clients connect and stay; growth of the broker's resident memory by
their number, after 200 that go before. `full` and `resumed`: 2,000 clients one after another, each
handshake, CONNECT, CONNACK, close; CPU time of the broker's process by their number, after 200
unmeasured. The clients are Python's `ssl`, on whatever core is free. Run: `python bench/tls.py`.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import wire
from support.certificates import pki

CLIENTS = 2_000
WARM_UP = 200
CONFIG = """
listeners.ssl.default {
  bind = "127.0.0.1:0", enable_authn = false
  ssl_options { certfile = server.pem, keyfile = server.key, session_tickets = stateless }
}
"""
HELLO = wire.connect("")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        made = pki(directory)
        (directory / "vallum.conf").write_text(CONFIG)
        for question in ("idle", "full", "resumed"):
            command = [sys.executable, "-m", "vallum", "run", "-c", str(directory / "vallum.conf")]
            command += ["--data-dir", name, "--loops", "1"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as broker:
                line = broker.stdout.readline() if broker.stdout else ""
                port = int(line.rsplit(":", 1)[1])
                context = ssl.create_default_context(cafile=made.path("ca.pem"))
                try:
                    print(question, measure(question, broker.pid, port, context))
                finally:
                    broker.terminate()


def measure(question: str, pid: int, port: int, context: ssl.SSLContext) -> str:
    """The answer to one question, with its unit."""
    if question == "idle":
        kept = [connect(port, context) for _ in range(WARM_UP)]
        before = resident(pid)
        kept += [connect(port, context) for _ in range(CLIENTS)]
        grown = resident(pid) - before
        for each in kept:
            each.close()
        return f"{grown / CLIENTS:,.0f} bytes a connection"
    session = None
    if question == "resumed":
        with connect(port, context) as first:
            session = first.session
    for _ in range(WARM_UP):
        connect(port, context, session).close()
    before = cpu(pid)
    for _ in range(CLIENTS):
        with connect(port, context, session) as each:
            if each.session_reused is not (session is not None):
                raise RuntimeError("the session was resumed, or not, against expectation")
    return f"{(cpu(pid) - before) / CLIENTS / 1000:,.0f} us of CPU a connect"


def connect(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    """A client that has its CONNACK."""
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = context.wrap_socket(plain, server_hostname="localhost", session=session)
    tls.sendall(HELLO)
    if tls.recv(4096)[0] != 0x20:
        raise RuntimeError("no CONNACK")
    return tls


def resident(pid: int) -> int:
    """Bytes of memory."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("Rss:")).split()[1])


def cpu(pid: int) -> int:
    """Nanoseconds, over all threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)


if __name__ == "__main__":
    main()
