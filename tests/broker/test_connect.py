"""CONNECT and CONNACK: version, identifier, what is refused and how (sections 3.1 and 3.2)."""

from __future__ import annotations

import pytest
from support import wire
from support.broker import LOOPBACK, Start
from support.wire import Reason, Type, Will


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_accepts_every_version(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        assert not client.connack.session_present
        await client.quiet()
        await client.disconnect()


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("MQTT", 0),
        ("MQTT", 3),
        ("MQTT", 6),
        ("MQTT", 0x84),
        ("MQIsdp", 4),
        ("MQIsdp", 5),
        ("mqtt", 4),
        ("HTTP", 4),
        ("", 4),
    ],
)
async def test_refuses_other_protocols(broker_with: Start, name: str, level: int) -> None:
    # A broker may answer with CONNACK 0x01 or close at once [MQTT-3.1.2-1] [MQTT-3.1.2-2].
    async with broker_with() as broker:
        client = await broker.open(wire.V311)
        body = wire.binary(name) + bytes([level, 2, 0, 60]) + wire.binary("c1")
        await client.send(wire.packet(Type.CONNECT, 0, body))
        try:
            answer = await client.receive()
        except ConnectionError:
            return
        assert (answer.type, answer.reason) == (Type.CONNACK, 1)
        await client.closed()


async def test_connect_in_single_bytes(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.open()
        for byte in wire.connect("c1", username="u", password="p", will=Will(topic="w")):
            await client.send(bytes([byte]))
        await client.expect(Type.CONNACK, reason=0)


async def test_packets_behind_connect_are_kept(broker_with: Start) -> None:
    async with broker_with() as broker:
        client = await broker.open()
        await client.send(
            wire.connect("c1"),
            wire.subscribe(1, [("t", 1)]),
            wire.publish("t", b"x", qos=1, packet_id=2),
            wire.PINGREQ,
        )
        await client.expect(Type.CONNACK, reason=0)
        await client.expect(Type.SUBACK, reasons=[1])
        received = {(await client.receive()).type for _ in range(3)}
        assert received == {Type.PUBLISH, Type.PUBACK, Type.PINGRESP}


async def test_empty_client_id_is_assigned_on_v5(broker_with: Start) -> None:
    async with broker_with() as broker:
        clients = [await broker.client("") for _ in range(2)]
        ids = {client.connack.properties["assigned_client_identifier"] for client in clients}
        assert len(ids) == 2
        assert "" not in ids


async def test_client_may_come_back_under_its_assigned_id(broker_with: Start) -> None:
    async with broker_with() as broker:
        first = await broker.client("", properties={"session_expiry_interval": 60})
        await first.disconnect()
        assigned = first.connack.properties["assigned_client_identifier"]
        again = await broker.client(assigned, clean_start=False)
        assert again.connack.session_present
        assert "assigned_client_identifier" not in again.connack.properties


async def test_empty_client_id_on_v311(broker_with: Start) -> None:
    async with broker_with() as broker:
        await broker.client("", wire.V311, clean_start=True)
        persistent = await broker.open(wire.V311)
        await persistent.connect("", clean_start=False)
        assert persistent.connack.reason == 2  # [v3.1.1 MQTT-3.1.3-8]
        await persistent.closed()


async def test_empty_client_id_on_v31(broker_with: Start) -> None:
    # MQTT 3.1 section 3.1: the identifier has 1 to 23 characters, anything else is code 2.
    async with broker_with() as broker:
        client = await broker.open(wire.V31)
        await client.connect("")
        assert client.connack.reason == 2
        await client.closed()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_client_id_longer_than_the_limit(broker_with: Start, version: int) -> None:
    async with broker_with("mqtt.max_clientid_len = 23") as broker:
        await broker.client("x" * 23, version)
        client = await broker.open(version)
        await client.connect("x" * 24)
        expected = Reason.CLIENT_IDENTIFIER_NOT_VALID if version == wire.V5 else 2
        assert client.connack.reason == expected
        await client.closed()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_nobody_gets_in_without_an_authenticator(broker_with: Start, version: int) -> None:
    async with broker_with(base=LOOPBACK) as broker:
        client = await broker.open(version)
        await client.connect("c1", username="u", password="p")
        assert client.connack.reason == (Reason.NOT_AUTHORIZED if version == wire.V5 else 5)
        assert not client.connack.session_present
        await client.closed()


async def test_packets_of_a_refused_client_are_not_acted_on(broker_with: Start) -> None:
    text = """
    listeners.tcp.closed.bind = "127.0.0.1:0"
    """
    async with broker_with(text) as broker:
        watcher = await broker.client("watcher")
        await watcher.subscribe("#")
        port = broker.broker.listeners["tcp:closed"].port
        client = await type(watcher).open(port)
        await client.send(
            wire.connect("c1", will=Will(topic="will")),
            wire.publish("t", b"x", qos=1, packet_id=1),
        )
        await client.expect(Type.CONNACK, reason=Reason.NOT_AUTHORIZED)
        await client.closed()
        await client.aclose()
        await watcher.quiet()


async def test_connack_tells_the_limits(broker_with: Start) -> None:
    text = """
    mqtt { max_packet_size = 4KB, max_qos_allowed = 1, retain_available = false, max_topic_alias = 7
           wildcard_subscription = false, server_keepalive = 30, max_awaiting_rel = 9 }
    """
    async with broker_with(text) as broker:
        client = await broker.client("c1", properties={"session_expiry_interval": 60})
        told = client.connack.properties
        assert told["maximum_packet_size"] == 4096
        assert told["maximum_qos"] == 1
        assert told["retain_available"] == 0
        assert told["topic_alias_maximum"] == 7
        assert told["wildcard_subscription_available"] == 0
        assert told["server_keep_alive"] == 30
        assert told["receive_maximum"] == 9
        assert "session_expiry_interval" not in told


async def test_session_expiry_above_the_limit_is_told(broker_with: Start) -> None:
    async with broker_with("mqtt.max_session_expiry_interval = 1m") as broker:
        client = await broker.client("c1", properties={"session_expiry_interval": 61})
        assert client.connack.properties["session_expiry_interval"] == 60


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_refused_over_a_full_listener(broker_with: Start, version: int) -> None:
    async with broker_with("listeners.tcp.default.max_connections = 1") as broker:
        first = await broker.client("c1", version)
        second = await broker.open(version)
        await second.closed()
        await first.disconnect()
        await broker.client("c1", version)


async def test_stop_tells_clients(broker_with: Start) -> None:
    async with broker_with() as broker:
        five, three = await broker.client("five"), await broker.client("three", wire.V311)
        await broker.broker.stop()
        await five.refused(Reason.SERVER_SHUTTING_DOWN)
        await three.closed()
        await broker.broker.start()


@pytest.mark.parametrize("version", wire.VERSIONS)
async def test_disconnected_by_the_operator(broker_with: Start, version: int) -> None:
    async with broker_with() as broker:
        client = await broker.client("c1", version)
        assert broker.broker.disconnect("c1")
        await client.refused(Reason.ADMINISTRATIVE_ACTION)
        assert not broker.broker.disconnect("c2")
