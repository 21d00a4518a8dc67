"""Enhanced authentication (MQTT 5 section 4.12): exchanges of several steps, decided in Python.

An authenticator speaks one Authentication Method. It is called once for every step of a client,
first with what came in CONNECT or AUTH 0x19, and answers `Challenge`, `Success` or `Refusal`. The
data plane sees to the order of packets, the bound on steps and the deadline before CONNACK.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from vallum.errors import BrokerError

log = structlog.stdlib.get_logger("vallum")

STEP_SECONDS = 10.0
"""Time an authenticator has for one step; later it counts as failed."""
MAX_EXCHANGES = 10_000
"""Exchanges under way at a time; what comes on top counts as failed."""

ConnectionId = tuple[int, int, int]
"""Loop, slot, generation."""


@dataclass(kw_only=True)
class Exchange:
    """One exchange with one client; the same object for all its steps."""

    method: str
    """Authentication Method."""
    data: bytes | None
    """Authentication Data of the client's last packet. Secret."""
    clientid: str
    username: str | None
    """User name of the CONNECT, which nobody has verified."""
    listener: str
    """`TYPE:NAME`."""
    peer: str
    """Address and port."""
    again: bool
    """The client is online and authenticates anew: it must turn out to be the same."""
    state: dict[str, Any] = field(default_factory=dict, repr=False)
    """What the authenticator keeps from one step to the next."""


@dataclass(frozen=True)
class Challenge:
    """The client has to answer that."""

    data: bytes | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Success:
    """The client is who it says, and may do that."""

    data: bytes | None = field(default=None, repr=False)
    """Last word to the client, such as the server's own proof."""
    is_superuser: bool = False
    client_attrs: Mapping[str, str] = field(default_factory=dict)
    acl: Any = None
    """An ACL claim, as in a token."""
    expire_at: int | None = None
    """Unix seconds at which the connection ends."""


@dataclass(frozen=True)
class Refusal:
    """The client is not who it says."""

    reason: str
    """Reason identifier, or a text for the log; never a secret."""
    reason_code: int = 0x87


Answer = Challenge | Success | Refusal | None
"""None: not a client of this authenticator; the next one of the method is asked."""
Authenticator = Callable[[Exchange], Awaitable[Answer]]


class DataPlane(Protocol):
    """What takes the answers."""

    def answer(self, connection: ConnectionId, answer: Mapping[str, Any]) -> None:
        """Answer a question about a connection; too late a one does nothing."""


class EnhancedAuthenticators:
    """The authenticators by method, and the exchanges under way."""

    def __init__(self) -> None:
        self._authenticators: dict[str, Authenticator] = {}
        self._exchanges: dict[ConnectionId, Exchange] = {}
        self._tasks: dict[ConnectionId, asyncio.Task[None]] = {}
        self._frozen = False

    def register(self, method: str, authenticator: Authenticator) -> None:
        """Let an authenticator speak a method; before the broker starts.

        Raises:
            BrokerError: the broker runs, or the method has an authenticator.
        """
        if self._frozen:
            raise BrokerError("authenticators are registered before the broker starts")
        if method in self._authenticators:
            raise BrokerError(f"the method {method} has an authenticator")
        self._authenticators[method] = authenticator

    @property
    def methods(self) -> Sequence[str]:
        """The methods that are spoken; the place of each is its handle."""
        return tuple(self._authenticators)

    def __len__(self) -> int:
        """Count the exchanges under way."""
        return len(self._exchanges)

    def start(self) -> None:
        """The methods are those of the pipeline from now on."""
        self._frozen = True

    async def stop(self) -> None:
        """Forget every exchange, and wait until no authenticator runs."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._exchanges.clear()
        self._frozen = False

    def on_authenticate(self, data_plane: DataPlane, event: Mapping[str, Any]) -> None:
        """A client took a step: ask its authenticator, and answer when it has."""
        connection: ConnectionId = event["connection"]
        exchange = self._exchanges.get(connection)
        if exchange is None:
            authenticator = self._authenticators.get(event["method"])
            if authenticator is None or len(self._exchanges) >= MAX_EXCHANGES:
                data_plane.answer(connection, _answer("error", reason="backend_unreachable"))
                return
            exchange = Exchange(
                method=event["method"],
                data=event["data"],
                clientid=event["clientid"],
                username=event["username"],
                listener=event["listener"],
                peer=event["peer"],
                again=event["again"],
            )
            self._exchanges[connection] = exchange
        exchange.data = event["data"]
        task = asyncio.get_running_loop().create_task(
            self._step(data_plane, connection, exchange), name=f"authenticate {exchange.clientid}"
        )
        self._tasks[connection] = task
        task.add_done_callback(lambda done: self._forget_task(connection, done))

    def on_ended(self, event: Mapping[str, Any]) -> None:
        """The connection is gone, or broke a rule: nobody waits for an answer."""
        connection: ConnectionId = event["connection"]
        self._exchanges.pop(connection, None)
        task = self._tasks.get(connection)
        if task is not None:
            task.cancel()

    async def _step(
        self, data_plane: DataPlane, connection: ConnectionId, exchange: Exchange
    ) -> None:
        authenticator = self._authenticators[exchange.method]
        try:
            async with asyncio.timeout(STEP_SECONDS):
                answer = await authenticator(exchange)
            document = _document(answer)
        except TimeoutError:
            answer, document = None, _answer("error", reason="backend_timeout")
        except Exception as error:  # whatever it is, the client must get an answer
            log.warning("authenticator_failed", method=exchange.method, error=type(error).__name__)
            answer, document = None, _answer("error", reason="backend_error")
        if not isinstance(answer, Challenge):
            self._exchanges.pop(connection, None)
        try:
            data_plane.answer(connection, document)
        except Exception as error:  # an ACL claim that is none
            log.warning("authenticator_failed", method=exchange.method, error=type(error).__name__)
            data_plane.answer(connection, _answer("error", reason="backend_error"))

    def _forget_task(self, connection: ConnectionId, done: asyncio.Task[None]) -> None:
        if self._tasks.get(connection) is done:
            del self._tasks[connection]


def _document(answer: Answer) -> dict[str, Any]:
    match answer:
        case Challenge(data):
            return _answer("continue", data=data)
        case Success():
            return _answer(
                "ok",
                data=answer.data,
                is_superuser=answer.is_superuser,
                client_attrs=dict(answer.client_attrs),
                acl=answer.acl,
                expire_at=answer.expire_at,
            )
        case Refusal(reason, code):
            return _answer("deny", reason=reason, reason_code=code)
        case None:
            return _answer("ignore", reason="user_not_found")


def _answer(result: str, **given: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "data": None,
        "reason": "",
        "reason_code": 0x87,
        "is_superuser": False,
        "client_attrs": {},
        "acl": None,
        "expire_at": None,
    }
    return {"result": result, **nothing, **given}
