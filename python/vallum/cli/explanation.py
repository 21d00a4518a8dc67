"""What `vallum explain` answers: a decision or verdict as JSON and as text, without secrets.

The names in the objects are those of `vallum.Decision` and `vallum.Verdict`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vallum._printable import MASK, masked
from vallum.cli.output import print_line, print_table

if TYPE_CHECKING:
    from vallum._core import Decision, Verdict
    from vallum.config import Config
    from vallum.pipeline import Action

_MARKS = {"ok": "✓", "deny": "✗", "error": "!"}
_RULE = re.compile(r"rule (\d+), line (\d+): (.*)", re.DOTALL)
_MIN_HIDDEN = 4
"""Characters of a password that is also hidden inside longer texts; a shorter one would be found in
anything, and is hidden only where it is the whole text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the client asks for once it is in."""

    action: Action
    topic: str
    qos: int
    retain: bool


def connect_answer(config: Config, decision: Decision, password: bytes | None) -> dict[str, Any]:
    """The decision as a JSON object, by the names of `vallum.Decision`, without secrets."""
    hidden = password.decode("utf-8", "replace") if password else ""
    secret = _token_is_username(config)
    mountpoint = _without(decision.mountpoint, hidden)
    username = _without(decision.username, hidden)
    return {
        "result": decision.result,
        "reason": decision.reason,
        "detail": _without(decision.detail, hidden),
        "reason_code": decision.reason_code,
        "decided_by": decision.decided_by,
        "clientid": decision.clientid,
        "username": MASK if secret and username else username,
        "client_attrs": _without(decision.client_attrs, hidden),
        "is_superuser": decision.is_superuser,
        "expire_at": decision.expire_at,
        "mountpoint": MASK if secret and decision.mountpoint else mountpoint,
        "acl": decision.acl,
        "steps": _without(decision.steps, hidden),
    }


def request_answer(
    config: Config, request: Request, connected: dict[str, Any], verdict: Verdict | None
) -> dict[str, Any]:
    """The verdict as a JSON object, by the names of `vallum.Verdict`, with the decision in it."""
    steps: list[dict[str, Any]] = [] if verdict is None else verdict.steps
    refused = verdict is not None and verdict.result == "deny"
    return {
        "action": request.action,
        "topic": request.topic,
        "qos": request.qos,
        "retain": request.retain,
        "result": "deny" if verdict is None else verdict.result,
        "decided_by": connected["decided_by"] if verdict is None else verdict.decided_by,
        "reason": steps[-1]["reason"] if steps else connected["reason"],
        "disconnect": refused and config.authorization.deny_action == "disconnect",
        "rule": _rule(config, steps),
        "steps": steps,
        "connect": connected,
    }


def _rule(config: Config, steps: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Where the deciding rule stands, if it is one of a file."""
    last = steps[-1] if steps else None
    if last is None or last["stage"] != "source" or not last["detail"]:
        return None
    found = _RULE.fullmatch(last["detail"])
    files = [source.shown for source in config.authorization.sources if source.enable]
    if found is None or not files:
        return None
    return {
        "file": files[0],  # there is at most one source of a type
        "line": int(found[2]),
        "number": int(found[1]),
        "text": found[3],
    }


def _token_is_username(config: Config) -> bool:
    """Whether some authenticator reads its token from the user name."""
    chains = [config.authentication]
    chains += [listener.authentication for _, _, listener in config.enabled_listeners()]
    return any(getattr(stage, "from_", None) == "username" for chain in chains for stage in chain)


def _without(value: Any, hidden: str) -> Any:
    """A value in which neither the password nor anything like a token can be read."""
    if isinstance(value, str):
        if len(hidden) >= _MIN_HIDDEN:
            value = value.replace(hidden, MASK)
        return MASK if hidden and value == hidden else masked(value)
    if isinstance(value, dict):
        return {name: _without(member, hidden) for name, member in value.items()}
    if isinstance(value, list):
        return [_without(member, hidden) for member in value]
    return value


def print_answer(answer: dict[str, Any], request: Request | None) -> None:
    """Print an answer for people: the steps, then one sentence."""
    connected = answer if request is None else answer["connect"]
    _print_steps("connect", connected["steps"])
    if request is not None and connected["result"] == "allow":
        _print_steps(request.action, answer["steps"])
    print_line(_sentence(answer, request))
    _print_granted(connected)


def _print_steps(title: str, steps: list[dict[str, Any]]) -> None:
    print_line(title)
    print_table(
        (
            f"  {_MARKS.get(step['result'], '-')}",
            step["stage"],
            step["name"],
            step["result"],
            step["reason"] or "",
            step["detail"] or "",
        )
        for step in steps
    )


def _sentence(answer: dict[str, Any], request: Request | None) -> str:
    allowed = answer["result"] == "allow"
    by = f"decided by {answer['decided_by']}"
    if request is None:
        if allowed:
            return f"Allowed: this client gets in, {by}."
        detail = f" ({answer['detail']})" if answer["detail"] else ""
        code = f"0x{answer['reason_code']:02X}"
        return f"Refused with {code}, {by}: {answer['reason']}{detail}."
    what = f"{request.action} {request.topic}"
    if answer["connect"]["result"] != "allow":
        return f"Refused: this client does not even get in, {by}: {answer['reason']}."
    rule = answer["rule"]
    why = f"{rule['file']}:{rule['line']}: {rule['text']}" if rule else answer["reason"]
    if allowed:
        return f"Allowed: {what}, {by}: {why}"
    after = " The client is disconnected." if answer["disconnect"] else ""
    return f"Refused: {what}, {by}: {why}.{after}"


def _print_granted(connected: dict[str, Any]) -> None:
    """What an accepted client is taken for."""
    if connected["result"] != "allow":
        return
    from datetime import UTC, datetime

    granted = [f"client id {connected['clientid']}"]
    granted += [f"{name} = {value}" for name, value in connected["client_attrs"].items()]
    if connected["is_superuser"]:
        granted.append("superuser")
    if connected["expire_at"] is not None:
        try:
            when = datetime.fromtimestamp(connected["expire_at"], UTC).isoformat()
        except (OverflowError, ValueError, OSError):
            when = str(connected["expire_at"])
        granted.append(f"until {when.replace('+00:00', 'Z')}")
    print_line(f"Known as: {', '.join(granted)}.")
