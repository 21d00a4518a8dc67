"""What does a message cost?

Method: publishers and subscribers (MQTT 3.1.1, clean sessions, anonymous) with payloads of 64
bytes, in a closed loop: a publisher has at most a window of messages on their way, sent and not yet
received by all or not acknowledged, and writes at most 16 at once. Everything received is checked:
topic, QoS, payload, order, nothing lost, nothing twice. CPU time of the broker from the first
message to the last acknowledgement, by messages received. An unmeasured run goes before.

- `qos0` `qos1` `qos2`  ten publishers to ten subscribers, a topic each, window 64.
- `one-by-one`          the same with QoS 0 and window 1: nothing can be batched.
- `fan-out`             one publisher to 1,000 subscribers, QoS 0, window 8; by delivery.
- `fan-in`              1,000 publishers to one subscriber, QoS 1, window 2.
- `latency`             ten to ten, QoS 1, 1,000 messages a second in all by a fixed schedule: the
  time from when a message is due to when it arrives, which 99 of 100 do not exceed.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from broker import Running
from measure import Answer, Question, Setup, interleaved, latency_p99

_PAIRS = ("traffic", "--publishers", "10", "--subscribers", "10")
_FAN_OUT = ("--publishers", "1", "--subscribers", "1000", "--layout", "all", "--window", "8")
_FAN_IN = ("--publishers", "1000", "--subscribers", "1", "--layout", "all", "--window", "2")

_COSTS = (
    Question("qos0", "QoS 0, 10 to 10, window 64", "us", (*_PAIRS, "--qos", "0"), 0.08),
    Question("qos1", "QoS 1, 10 to 10, window 64", "us", (*_PAIRS, "--qos", "1"), 0.06),
    Question("qos2", "QoS 2, 10 to 10, window 64", "us", (*_PAIRS, "--qos", "2"), 0.055),
    Question("one-by-one", "QoS 0, 10 to 10, window 1", "us", (*_PAIRS, "--window", "1"), 0.75),
    Question("fan-out", "QoS 0, 1 to 1,000, by delivery", "us", ("traffic", *_FAN_OUT), 0.15),
    Question("fan-in", "QoS 1, 1,000 to 1", "us", ("traffic", *_FAN_IN, "--qos", "1"), 0.3),
)
_LATENCY = Question(
    "latency",
    "QoS 1, 10 to 10, 1,000 messages/s: p99 latency",
    "us",
    (*_PAIRS, "--qos", "1", "--rate", "1000"),
    1.0,
)
NAMES = tuple(question.name for question in (*_COSTS, _LATENCY))


def answers(setup: Setup) -> list[Answer]:
    """Ask."""
    seconds = ("--seconds", "1.5", "--warmup", "0.3") if setup.quick else ("--seconds", "5")
    with ExitStack() as stack:
        recipes = [setup.ours, *setup.peers]
        brokers = [stack.enter_context(setup.running(recipe)) for recipe in recipes]

        def plan(*questions: Question) -> dict[Question, list[Running]]:
            timed = [replace(each, load=(*each.load, *seconds)) for each in questions]
            return {each: brokers for each in timed if setup.wanted(each)}

        costs = interleaved(setup, plan(*_COSTS))
        return costs + interleaved(setup, plan(_LATENCY), latency_p99)
