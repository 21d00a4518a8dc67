"""TLS listeners: clients that others wrote, over `ssl` and `wss`, and what a handshake comes to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from support import deadline, paho, wire
from support.broker import Start
from support.certificates import Authority, Pki
from support.logs import watched_log
from support.paho import converse, paho_client
from support.tls import MUTUAL, TLS, WSS, BlockingClient, admitted, context_of, open_tls, port_of


@pytest.mark.parametrize("version", paho.VERSIONS)
@pytest.mark.parametrize("loops", [1, 3])
@pytest.mark.parametrize(
    ("text", "id", "transport"), [(TLS, "ssl:default", "tcp"), (WSS, "wss:default", "websockets")]
)
async def test_paho(
    broker_with: Start,
    pki: Pki,
    text: str,
    id: str,
    transport: paho.Transport,
    version: MQTTProtocolVersion,
    loops: int,
) -> None:
    async with broker_with(text % "", base_dir=pki.directory, loops=loops) as broker:
        async with (
            paho_client("plain", version) as plain,
            paho_client("tls", version, transport=transport, tls=context_of(pki)) as client,
        ):
            assert await plain.connect(broker.port) == "Success"
            assert await client.connect(port_of(broker, id)) == "Success"
            await converse(plain, client)
        assert broker.broker.statistics()["tls.handshakes"] == 1


async def run(*command: str) -> str:
    """What a program prints; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(deadline.SECONDS):
        out, _ = await process.communicate()
    assert process.returncode == 0, command
    return out.decode()


async def test_mosquitto(broker_with: Start, pki: Pki) -> None:
    certificate, key = pki.intermediate.issue("m").write(pki.directory, "client")
    async with broker_with(TLS % MUTUAL, base_dir=pki.directory) as broker:
        options = ["-h", "localhost", "-p", str(port_of(broker)), "--cafile", pki.path("ca.pem")]
        options += ["--cert", certificate, "--key", key, "-t", "a/b"]
        await run("mosquitto_pub", *options, "-m", "kept", "-r", "-q", "1")
        assert await run("mosquitto_sub", *options, "-C", "1") == "kept\n"


@pytest.mark.parametrize("pieces", [1, 5, 1000])
async def test_a_client_in_pieces(broker_with: Start, pki: Pki, pieces: int) -> None:
    """However the bytes of records are split, the packets in them are the same."""
    async with broker_with(TLS % "", base_dir=pki.directory) as broker:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context_of(pki).wrap_bio(incoming, outgoing, server_hostname="localhost")
        async with asyncio.timeout(deadline.SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(broker))

            async def flush() -> None:
                data = outgoing.read()
                for at in range(0, len(data), pieces):
                    writer.write(data[at : at + pieces])
                    await writer.drain()
                    if pieces == 1:
                        await asyncio.sleep(0)  # lets the write go out by itself

            hello = wire.connect("c1") + wire.publish("t", b"x" * 3000, qos=1, packet_id=7)
            shaken = False
            answer = b""
            while len(answer) < 9:
                try:
                    if not shaken:
                        tls.do_handshake()
                        tls.write(hello)
                        shaken = True
                    answer += tls.read(4096)
                except ssl.SSLWantReadError:
                    await flush()
                    incoming.write(await reader.read(65536))
            writer.close()
        assert answer.startswith(b"\x20")
        assert b"\x40" in answer


async def test_close_notify(broker_with: Start, pki: Pki) -> None:
    async with broker_with(TLS % "", base_dir=pki.directory) as broker:
        answer, in_order = await BlockingClient(context_of(pki)).run(
            port_of(broker), wire.connect("c1")
        )
    assert answer[0] == 0x20
    assert in_order


@pytest.mark.parametrize(
    ("options", "version", "cipher"),
    [
        ("", ssl.TLSVersion.TLSv1_3, None),
        ("", ssl.TLSVersion.TLSv1_2, None),
        ("versions = [tlsv1.2]", ssl.TLSVersion.TLSv1_2, None),
        ("versions = [tlsv1.3]", ssl.TLSVersion.TLSv1_3, None),
        (
            "ciphers = [TLS_CHACHA20_POLY1305_SHA256, ECDHE-ECDSA-AES128-GCM-SHA256]",
            ssl.TLSVersion.TLSv1_3,
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
        (
            'ciphers = "TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"',
            ssl.TLSVersion.TLSv1_2,
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
    ],
)
async def test_versions_and_ciphers(
    broker_with: Start, pki: Pki, options: str, version: ssl.TLSVersion, cipher: str | None
) -> None:
    async with broker_with(TLS % options, base_dir=pki.directory) as broker:
        context = context_of(pki)
        context.minimum_version = context.maximum_version = version
        client = BlockingClient(context)
        answer, _ = await client.run(port_of(broker), wire.connect("c1"))
        assert answer[0] == 0x20
        agreed = client.tls.cipher()
    assert client.tls.version() == version.name.replace("_", ".")
    assert agreed is not None
    assert cipher in (None, agreed[0])


FAILURES = [
    pytest.param("", "plain mqtt", "tls_plain_mqtt", id="plain-mqtt"),
    pytest.param("", "http", "tls_plain_http", id="http"),
    pytest.param("", "noise", "tls_not_tls", id="noise"),
    pytest.param("", "bad hello", "tls_protocol_error", id="bad-hello"),
    pytest.param("versions = [tlsv1.3]", "1.2", "tls_version_unsupported", id="only-1.3"),
    pytest.param("versions = [tlsv1.2]", "1.3", "tls_version_unsupported", id="only-1.2"),
    pytest.param("ciphers = [ECDHE-RSA-AES128-SHA]", "1.2", "tls_no_shared_cipher", id="cipher"),
    pytest.param("", "unknown ca", "tls_client_refused_certificate", id="unknown-ca"),
    pytest.param("", "gives up", "tls_client_gave_up", id="gives-up"),
]
UNTRUSTING = ("unknown ca", "gives up")
FIRST_BYTES = {
    "plain mqtt": wire.connect("c1"),
    "http": b"GET /mqtt HTTP/1.1\r\n\r\n",
    "noise": b"\x00\x01",
    "bad hello": b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
}


@pytest.mark.parametrize(("options", "how", "reason"), FAILURES)
async def test_failures_say_why(
    broker_with: Start, pki: Pki, options: str, how: str, reason: str
) -> None:
    """One line for all that fail alike, with what to do; nobody else is disturbed."""
    with watched_log() as logs:
        async with broker_with(TLS % options, base_dir=pki.directory) as broker:
            client = await broker.client("bystander")
            for _ in range(3):
                await fail(how, port_of(broker), pki)
            assert broker.broker.statistics()["tls.handshakes.failed"] == 3
            await client.quiet()
    [line] = logs.of("tls_handshake_failed")
    assert line["reason"] == reason
    assert line["listener"] == "ssl:default"
    assert line["peer"].startswith("127.0.0.1:")
    assert len(line["detail"]) > 10


async def fail(how: str, port: int, pki: Pki) -> None:
    """Do what cannot come to a TLS connection, until the broker has closed it."""
    if how in FIRST_BYTES:
        async with asyncio.timeout(deadline.SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(FIRST_BYTES[how])
            try:
                rest = await reader.read()
            except ConnectionError:
                rest = b""
            writer.close()
        assert rest[:1] in (b"", b"\x15")  # nothing, or an alert
        return
    context = ssl.create_default_context() if how in UNTRUSTING else context_of(pki)
    if how.startswith("1."):
        version = ssl.TLSVersion.TLSv1_2 if how == "1.2" else ssl.TLSVersion.TLSv1_3
        context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError):
        await BlockingClient(context).run(port, b"", alert=how != "gives up")


async def test_handshake_that_stops_half_way(broker_with: Start, pki: Pki) -> None:
    """Its deadline runs from the TCP connection, not from the last byte."""
    options = "handshake_timeout = 1s"
    with watched_log() as logs:
        async with broker_with(TLS % options, base_dir=pki.directory) as broker:
            outgoing = ssl.MemoryBIO()
            tls = context_of(pki).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            hello = outgoing.read()
            async with asyncio.timeout(deadline.SECONDS):
                connections = [
                    await asyncio.open_connection("127.0.0.1", port_of(broker)) for _ in range(4)
                ]
                amounts = [0, 1, len(hello) - 1, len(hello)]
                for (_, writer), amount in zip(connections, amounts, strict=True):
                    writer.write(hello[:amount])
                for reader, writer in connections:
                    await reader.read()
                    writer.close()
            assert broker.broker.statistics()["tls.handshakes.failed"] == 4
    [line] = logs.of("tls_handshake_failed")
    assert line["reason"] == "tls_handshake_timeout"


async def test_connect_that_does_not_come(broker_with: Start, pki: Pki) -> None:
    """After the handshake the deadline of CONNECT goes on; incomplete packets just wait."""
    text = TLS % "" + "mqtt.idle_timeout = 1s"
    async with broker_with(text, base_dir=pki.directory) as broker:
        silent = await open_tls(port_of(broker), context_of(pki))
        half = await open_tls(port_of(broker), context_of(pki))
        await half.send(b"\x10\x80\x20" + b"\x00\x04M")  # 4096 bytes announced, 3 sent
        for client in (silent, half):
            await client.closed()
            await client.aclose()


async def test_handshakes_behind_a_proxy(broker_with: Start, pki: Pki) -> None:
    """The PROXY header comes first, in clear, perhaps in one segment with the ClientHello."""
    text = TLS % "" + "listeners.ssl.default { proxy_protocol = true, access_rules = [%s] }"
    header = b"PROXY TCP4 203.0.113.7 10.0.0.1 8080 8883\r\n"
    for rule, works in (('"deny 10.0.0.0/8"', True), ('"deny 203.0.113.0/24"', False)):
        async with broker_with(text % rule, base_dir=pki.directory) as broker:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context_of(pki).wrap_bio(incoming, outgoing, server_hostname="localhost")
            async with asyncio.timeout(deadline.SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", port_of(broker))
                with pytest.raises(ssl.SSLWantReadError):
                    tls.do_handshake()
                writer.write(header + outgoing.read())
                try:
                    answer = await reader.read(65536)
                except ConnectionError:
                    answer = b""
                writer.close()
            assert (answer[:1] == b"\x16") is works


async def test_alpn(broker_with: Start, pki: Pki) -> None:
    async with broker_with(TLS % "", base_dir=pki.directory) as broker:
        for offered, chosen in ((["mqtt"], "mqtt"), (["h2", "mqtt"], "mqtt"), (["h2"], None)):
            context = context_of(pki)
            context.set_alpn_protocols(offered)
            client = BlockingClient(context)
            answer, _ = await client.run(port_of(broker), wire.connect("c1"))
            assert answer[0] == 0x20
            assert client.tls.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("options", "resumed"),
    [
        ("", set[ssl.TLSVersion]()),
        ("session_tickets = stateless", {ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3}),
        ("reuse_sessions = true", {ssl.TLSVersion.TLSv1_2}),
    ],
)
@pytest.mark.parametrize("mutual", [False, True])
async def test_resumption(
    broker_with: Start,
    pki: Pki,
    version: ssl.TLSVersion,
    options: str,
    resumed: set[ssl.TLSVersion],
    mutual: bool,
) -> None:
    """A resumed session is of the same client: its certificate is known though it is not sent."""
    mqtt = "\nmqtt.peer_cert_as_clientid = cn\n" if mutual else ""
    text = TLS % f"{options}\n{MUTUAL if mutual else ''}" + mqtt
    certificate = pki.intermediate.issue("device-7").write(pki.directory, "client")
    async with broker_with(text, base_dir=pki.directory) as broker:
        context = context_of(pki, certificate if mutual else None)
        context.minimum_version = context.maximum_version = version
        first = BlockingClient(context)
        await first.run(port_of(broker), wire.connect(""))
        second = BlockingClient(context, first.tls.session)
        answer, _ = await second.run(port_of(broker), wire.connect(""))
        assert second.tls.session_reused is (version in resumed)
        assert (b"device-7" in answer) is mutual  # Assigned Client Identifier
        statistics = broker.broker.statistics()
        assert statistics["tls.handshakes"] == 2
        assert statistics["tls.handshakes.resumed"] == int(version in resumed)


async def test_sni(broker_with: Start, pki: Pki) -> None:
    pki.intermediate.server("a.example").write(pki.directory, "a")
    pki.intermediate.server("b.example", "x.b.example").write(pki.directory, "b", "pw")
    options = """sni_certificates = [
      { server_names = a.example, certfile = a.pem, keyfile = a.key }
      { server_names = "b.example, *.b.example", certfile = b.pem, keyfile = b.key, password = pw }
    ]"""
    async with broker_with(TLS % options, base_dir=pki.directory) as broker:
        for name in ("a.example", "b.example", "X.b.example", "localhost"):
            client = await open_tls(port_of(broker), context_of(pki), name)
            await client.connect("c1")
            await client.aclose()
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await open_tls(port_of(broker), context_of(pki), "c.example")


async def test_reload(broker_with: Start, pki: Pki) -> None:
    """New certificates are for new handshakes; bad ones change nothing and are named."""
    async with broker_with(TLS % "", base_dir=pki.directory) as broker:
        before = await open_tls(port_of(broker), context_of(pki))
        await before.connect("before")
        assert await broker.broker.reload_certificates() == []  # nothing changed

        other = Authority.root("Another Root")
        other.server("localhost").write(pki.directory, "server")
        other.write(pki.directory, "other")
        assert await broker.broker.reload_certificates() == ["ssl:default"]
        assert not await admitted(port_of(broker), context_of(pki))
        new = ssl.create_default_context(cafile=pki.path("other.pem"))
        assert await admitted(port_of(broker), new)

        (pki.directory / "server.key").write_bytes(b"broken")
        with watched_log() as logs:
            assert await broker.broker.reload_certificates() == []
        [line] = logs.of("certificates_not_reloaded")
        assert line["option"] == "ssl_options.keyfile"
        assert pki.path("server.key") in line["problem"]
        assert await admitted(port_of(broker), new)
        await before.quiet()
        await before.aclose()


async def test_a_storm_of_handshakes(broker_with: Start, pki: Pki) -> None:
    """More at once than one turn takes: all come through, and live clients are served."""
    async with broker_with(TLS % "", base_dir=pki.directory) as broker:
        live = await broker.client("live")
        context = context_of(pki)
        clients: Sequence[bool] = ()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(admitted(port_of(broker), context)) for _ in range(50)]
            for _ in range(20):
                await live.quiet()
        clients = [task.result() for task in tasks]
        assert all(clients)
        assert broker.broker.statistics()["tls.handshakes"] == 50


async def test_slow_reader(broker_with: Start, pki: Pki) -> None:
    """What a full socket does not take waits encrypted, and goes on where it stopped."""
    async with broker_with(TLS % "", base_dir=pki.directory) as broker:
        slow = await open_tls(port_of(broker), context_of(pki))
        await slow.connect("slow")
        await slow.subscribe(("t", 1))
        sender = await broker.client("sender")
        payload = bytes(range(256)) * 3000
        for _ in range(10):
            await sender.publish("t", payload, qos=1)
        for _ in range(10):
            await slow.message("t", payload)
        await slow.aclose()
