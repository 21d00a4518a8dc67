"""A small MQTT 5 client for the stories: it does one thing and returns the broker's answer.

paho-mqtt calls back on a thread of its own; here every callback puts its answer into a queue, and
the caller waits for it.
"""

from __future__ import annotations

import queue
from types import TracebackType

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

PATIENCE = 10.0
"""Seconds to wait for an answer before giving up with `queue.Empty`."""


class Client:
    """A connection; `with` closes it."""

    def __init__(self, host: str, port: int, client_id: str, password: str | None) -> None:
        self._connected: queue.Queue[ReasonCode] = queue.Queue()
        self._answers: queue.Queue[ReasonCode] = queue.Queue()
        self._messages: queue.Queue[str] = queue.Queue()
        self._closed: queue.Queue[ReasonCode] = queue.Queue()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.username_pw_set("unused", password)
        self._client.on_connect = lambda _c, _u, _f, code, _p: self._connected.put(code)
        self._client.on_subscribe = lambda _c, _u, _m, codes, _p: self._answers.put(codes[0])
        self._client.on_publish = lambda _c, _u, _m, code, _p: self._answers.put(code)
        self._client.on_message = lambda _c, _u, message: self._messages.put(message.topic)
        self._client.on_disconnect = lambda _c, _u, _f, code, _p: self._closed.put(code)
        self._address = (host, port)

    def will(self, topic: str, payload: str) -> None:
        """Set a retained will; call it before `connect`."""
        self._client.will_set(topic, payload, qos=1, retain=True)

    def connect(self) -> int:
        """Connect; the reason code of CONNACK."""
        self._client.connect(*self._address)
        self._client.loop_start()
        return self._connected.get(timeout=PATIENCE).value

    def subscribe(self, topic_filter: str) -> int:
        """Subscribe with QoS 1; the reason code of SUBACK."""
        self._client.subscribe(topic_filter, qos=1)
        return self._answers.get(timeout=PATIENCE).value

    def publish(self, topic: str, payload: str) -> int:
        """Publish with QoS 1; the reason code of PUBACK."""
        self._client.publish(topic, payload, qos=1)
        return self._answers.get(timeout=PATIENCE).value

    def next_topic(self) -> str:
        """Wait for a message; its topic."""
        return self._messages.get(timeout=PATIENCE)

    def closed(self) -> int:
        """Wait until the broker ends the connection; the reason code of its DISCONNECT."""
        return self._closed.get(timeout=PATIENCE).value

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
