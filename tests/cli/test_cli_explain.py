"""`vallum explain`: the broker's own decisions, offline, without secrets."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from command import SECRET, SECURED, Ended, Vallum
from support import token

EXP = 2_000_000_000


def minted(**claims: object) -> str:
    return token.mint({"sub": "c1", "exp": EXP, **claims}, SECRET)


def explain(vallum: Vallum, what: str, *args: str, password: str | None = None) -> Ended:
    given = [] if password is None else ["--password-file", "-"]
    return vallum(
        "explain", what, "-c", "secured.conf", *args, *given, "--json", stdin=password or ""
    )


def test_connect_allowed(vallum: Vallum) -> None:
    ended = explain(vallum, "connect", "--clientid", "c1", "--username", "u", password=minted())
    assert ended.code == 0
    assert ended.answer == {
        "result": "allow",
        "reason": None,
        "detail": None,
        "reason_code": 0,
        "decided_by": "jwt",
        "clientid": "c1",
        "username": "u",
        "client_attrs": {},
        "is_superuser": False,
        "expire_at": EXP,
        "mountpoint": None,
        "acl": None,
        "steps": [
            {
                "stage": "authenticator",
                "name": "jwt",
                "result": "ok",
                "reason": None,
                "detail": None,
            }
        ],
    }


REFUSED = [
    pytest.param("c2", minted(), [], "claim_mismatch", 0x86, id="other-client-id"),
    pytest.param("c1", None, [], "no_token", 0x86, id="no-password"),
    pytest.param("c1", minted() + "A", [], "bad_signature", 0x87, id="forged"),
    pytest.param("c1", minted(), ["--at", str(EXP)], "expired", 0x86, id="at-exp"),
    pytest.param("c1", minted(), ["--at", "2033-05-18T03:33:20Z"], "expired", 0x86, id="iso-time"),
    pytest.param("c1", minted(nbf=EXP - 10), [], "not_yet_valid", 0x86, id="too-early"),
]


@pytest.mark.parametrize(("client_id", "password", "more", "reason", "code"), REFUSED)
def test_connect_refused(
    vallum: Vallum, client_id: str, password: str | None, more: list[str], reason: str, code: int
) -> None:
    ended = explain(vallum, "connect", "--clientid", client_id, *more, password=password)
    assert ended.code == 1
    assert ended.answer["result"] == "deny"
    assert ended.answer["decided_by"] == "jwt"
    assert (ended.answer["reason"], ended.answer["reason_code"]) == (reason, code)
    assert ended.answer["steps"][-1]["reason"] == reason


def test_line_end_of_the_password_file_is_not_part_of_it(vallum: Vallum) -> None:
    vallum.write("password", minted() + "\n")
    ended = explain(vallum, "connect", "--clientid", "c1", "--password-file", "password")
    assert ended.code == 0


def test_publish_shows_the_rule(vallum: Vallum) -> None:
    args = ["--clientid", "c1", "--topic", "closed/a", "--qos", "1", "--retain"]
    ended = explain(vallum, "publish", *args, password=minted())
    assert ended.code == 1
    answer = ended.answer
    assert (answer["action"], answer["topic"], answer["qos"], answer["retain"]) == (
        "publish",
        "closed/a",
        1,
        True,
    )
    assert (answer["result"], answer["decided_by"]) == ("deny", "file[1]")
    assert answer["disconnect"] is False
    assert answer["rule"] == {
        "file": str(vallum.directory / "acl.conf"),
        "line": 2,
        "number": 1,
        "text": '{deny, all, publish, ["closed/#"]}',
    }
    assert answer["connect"]["result"] == "allow"


def test_subscribe(vallum: Vallum) -> None:
    args = ["--clientid", "c1", "--topic"]
    allowed = explain(vallum, "subscribe", *args, "open/c1/#", password=minted())
    assert (allowed.code, allowed.answer["decided_by"]) == (0, "file[2]")
    refused = explain(vallum, "subscribe", *args, "open/c2/#", password=minted())
    assert (refused.code, refused.answer["decided_by"]) == (1, "no_match")
    assert refused.answer["rule"] is None


def test_who_does_not_get_in_is_not_asked_further(vallum: Vallum) -> None:
    ended = explain(vallum, "publish", "--clientid", "c1", "--topic", "open/c1/x")
    assert ended.code == 1
    answer = ended.answer
    assert (answer["result"], answer["decided_by"], answer["reason"]) == ("deny", "jwt", "no_token")
    assert answer["steps"] == []
    assert answer["connect"]["reason_code"] == 0x86


def test_tells_when_a_denial_disconnects(vallum: Vallum) -> None:
    vallum.write("secured.conf", SECURED + "authorization.deny_action = disconnect\n")
    args = ["--clientid", "c1", "--topic", "closed/a"]
    assert explain(vallum, "publish", *args, password=minted()).answer["disconnect"] is True


def test_plain_answer_of_a_connect(vallum: Vallum) -> None:
    args = ["explain", "connect", "-c", "secured.conf", "--password-file", "-", "--clientid"]
    allowed = vallum(*args, "c1", stdin=minted())
    assert allowed.code == 0
    lines = allowed.out.splitlines()
    assert lines[0] == "connect"
    assert lines[1].split() == ["✓", "authenticator", "jwt", "ok"]
    assert lines[2] == "Allowed: this client gets in, decided by jwt."
    assert lines[3] == "Known as: client id c1, until 2033-05-18T03:33:20Z."
    refused = vallum(*args, "c2", stdin=minted())
    assert refused.code == 1
    assert "✗  authenticator  jwt  deny  claim_mismatch" in refused.out
    assert refused.out.splitlines()[-1].startswith("Refused with 0x86, decided by jwt: claim_mism")


def test_plain_answer_of_a_publish(vallum: Vallum) -> None:
    args = ["explain", "publish", "-c", "secured.conf", "--clientid", "c1", "--password-file", "-"]
    ended = vallum(*args, "--topic", "closed/a", stdin=minted())
    assert ended.code == 1
    rule = f'{vallum.directory / "acl.conf"}:2: {{deny, all, publish, ["closed/#"]}}'
    assert f"Refused: publish closed/a, decided by file[1]: {rule}." in ended.out


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_is_shown(vallum: Vallum, as_json: bool) -> None:
    """Not even where the configuration makes an attribute of it."""
    leaky = """
    mqtt.client_attrs_init = [
      {expression = "concat(['<', password, '>'])", set_as_attr = copied}
      {expression = "username", set_as_attr = user}
    ]
    """
    text = SECURED.replace("mechanism = jwt", "mechanism = jwt, from = username") + leaky
    vallum.write("leaky.conf", text)
    password = "the password of somebody"
    args = ["explain", "publish", "-c", "leaky.conf", "--clientid", "c1", "--topic", "open/c1/x"]
    args += ["--username", minted(), "--password-file", "-", *(["--json"] if as_json else [])]
    ended = vallum(*args, stdin=password)
    assert ended.code == 0
    assert "copied" in ended.out
    shown = ended.out + ended.err
    for hidden in (password, SECRET, *minted().split(".")):
        assert hidden not in shown


def test_hostile_names_do_nothing_to_the_terminal(vallum: Vallum) -> None:
    hostile = "a\x1b[2J\nb"
    args = ["explain", "connect", "-c", "secured.conf", "--clientid", hostile]
    ended = vallum(*args, "--password-file", "-", stdin=minted(sub=hostile))
    assert "Known as: client id a\\u001b[2J\\nb, " in ended.out


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        pytest.param(["--listener", "tcp:other"], "tcp:default", id="listener"),
        pytest.param(["--peer", "nowhere"], "nowhere", id="peer"),
        pytest.param(["--proto-ver", "6"], "proto-ver", id="version"),
        pytest.param(["--at", "later"], "later", id="time"),
        pytest.param(["--at", "nan"], "nan", id="nan"),
        pytest.param(["--password-file", "none"], "none", id="password-file"),
        pytest.param(["-c", "none.conf"], "none.conf", id="config"),
    ],
)
def test_wrong_usage(vallum: Vallum, args: list[str], problem: str) -> None:
    ended = vallum("explain", "connect", "-c", "secured.conf", "--clientid", "c", *args)
    assert ended.code == 2
    assert problem in ended.err
    assert "Traceback" not in ended.err


def test_faults_in_json(vallum: Vallum) -> None:
    vallum.write("secured.conf", "mqtt.max_inflight = 0\n")
    ended = explain(vallum, "connect", "--clientid", "c1")
    assert ended.code == 2
    [fault] = ended.answer["faults"]
    assert (fault["path"], fault["origin"]) == ("mqtt.max_inflight", "secured.conf:1:1")


def test_without_a_file_and_without_a_secret(vallum: Vallum) -> None:
    ended = vallum("explain", "connect", "--clientid", "c1")
    assert ended.code == 2
    assert "vallum run" in ended.err
    assert not vallum.data_dir.exists()


def test_listener_with_a_chain_of_its_own(vallum: Vallum, tmp_path: Path) -> None:
    open_listener = 'listeners.tcp.open { bind = "127.0.0.1:0", enable_authn = false }\n'
    vallum.write("secured.conf", SECURED + open_listener)
    ended = explain(vallum, "connect", "--clientid", "c1", "--listener", "tcp:open")
    assert (ended.code, ended.answer["decided_by"]) == (0, "enable_authn")


def test_exp_in_words_is_the_one_of_the_token(vallum: Vallum) -> None:
    password = minted(exp=int(time.time()) + 60)
    ended = explain(vallum, "connect", "--clientid", "c1", password=password)
    assert json.loads(ended.out)["expire_at"] is not None
