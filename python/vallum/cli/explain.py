"""`vallum explain`: would this client be let in, may it do this, and why?

The pipeline is the one a broker runs with the same configuration; only the client is made up. No
password, token or secret is in an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vallum.cli.explanation import Request, connect_answer, print_answer, request_answer
from vallum.cli.options import At, ConfigFile, DataDir, Json, load_config, read_input
from vallum.cli.output import NO, YES, failures, print_json

if TYPE_CHECKING:
    from vallum._core import Client, Decision, Verdict
    from vallum.config import Config

app = typer.Typer(help="Why a client is let in or refused.", no_args_is_help=True)

ListenerId = Annotated[
    str | None, typer.Option(metavar="TYPE:NAME", help="Listener it comes to; as tcp:default.")
]
ClientId = Annotated[str, typer.Option(help="Client identifier.")]
Username = Annotated[str | None, typer.Option(help="User name; absent if not given.")]
PasswordFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="File with the password or token; - for standard input."),
]
ProtoVer = Annotated[int, typer.Option(min=3, max=5, help="MQTT: 3 is 3.1, 4 is 3.1.1, 5 is 5.0.")]
Peer = Annotated[str, typer.Option(metavar="IP", help="Address it comes from.")]
Topic = Annotated[str, typer.Option(help="Topic name, or filter of a subscription.")]
Qos = Annotated[int, typer.Option(min=0, max=2, help="QoS asked for.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Who connects to what, and when."""

    config: Path | None
    data_dir: Path | None
    listener: str | None
    clientid: str
    username: str | None
    password_file: str | None
    proto_ver: int
    peer: str
    at: float | None
    json: bool

    @classmethod
    def of(cls, options: dict[str, Any]) -> Situation:
        """Take the options of this name from those of a command."""
        return cls(**{field.name: options[field.name] for field in fields(cls)})


@app.command("connect")
def connect(
    *,
    clientid: ClientId,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    listener: ListenerId = None,
    username: Username = None,
    password_file: PasswordFile = None,
    proto_ver: ProtoVer = 5,
    peer: Peer = "127.0.0.1",
    at: At = None,
    json: Json = False,
) -> None:
    """Would this client be let in?"""
    _explain(Situation.of(locals()), None)


@app.command("publish")
def publish(
    *,
    clientid: ClientId,
    topic: Topic,
    qos: Qos = 0,
    retain: Annotated[bool, typer.Option("--retain", help="A retained message.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    listener: ListenerId = None,
    username: Username = None,
    password_file: PasswordFile = None,
    proto_ver: ProtoVer = 5,
    peer: Peer = "127.0.0.1",
    at: At = None,
    json: Json = False,
) -> None:
    """Would this client be let in, and might it publish to this topic?"""
    _explain(Situation.of(locals()), Request(action="publish", topic=topic, qos=qos, retain=retain))


@app.command("subscribe")
def subscribe(
    *,
    clientid: ClientId,
    topic: Topic,
    qos: Qos = 0,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    listener: ListenerId = None,
    username: Username = None,
    password_file: PasswordFile = None,
    proto_ver: ProtoVer = 5,
    peer: Peer = "127.0.0.1",
    at: At = None,
    json: Json = False,
) -> None:
    """Would this client be let in, and might it subscribe to this filter?"""
    _explain(
        Situation.of(locals()), Request(action="subscribe", topic=topic, qos=qos, retain=False)
    )


def _explain(situation: Situation, request: Request | None) -> None:
    import asyncio

    with failures(situation.json):
        config = load_config(situation.config, situation.data_dir)
        password = _password(situation.password_file)
        client = _client(config, situation, password)
        decision, verdict = asyncio.run(_decide(config, client, situation.at, request))
    answer = connect_answer(config, decision, password)
    if request is not None:
        answer = request_answer(config, request, answer, verdict)
    if situation.json:
        print_json(answer)
    else:
        print_answer(answer, request)
    raise typer.Exit(YES if answer["result"] == "allow" else NO)


async def _decide(
    config: Config, client: Client, at: float | None, request: Request | None
) -> tuple[Decision, Verdict | None]:
    from vallum.pipeline import Pipeline

    pipeline = Pipeline(config)
    decision = await pipeline.connect(client, at=at)
    if request is None or decision.result != "allow":
        return decision, None
    verdict = await pipeline.authorize(
        decision, request.action, request.topic, qos=request.qos, retain=request.retain, at=at
    )
    return decision, verdict


def _password(name: str | None) -> bytes | None:
    if name is None:
        return None
    password = read_input(name)
    # One line end belongs to the file, as editors write it, not to the password.
    return password.removesuffix(b"\n").removesuffix(b"\r")


def _client(config: Config, situation: Situation, password: bytes | None) -> Client:
    from vallum._core import Client

    listeners = {f"{kind}:{name}": listener for kind, name, listener in config.enabled_listeners()}
    id = situation.listener
    if id is None:
        id = "tcp:default" if "tcp:default" in listeners else next(iter(listeners), None)
    if id not in listeners:
        known = ", ".join(listeners) or "none"
        raise typer.BadParameter(f"no such listener: {id}; enabled are: {known}")
    try:
        return Client(
            situation.clientid,
            username=situation.username,
            password=password,
            peerhost=situation.peer,
            proto_ver=situation.proto_ver,
            listener=id,
            zone=listeners[id].zone,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
