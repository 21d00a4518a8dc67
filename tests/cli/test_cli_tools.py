"""`vallum check`, `expr`, `token`, `acl`, and what all commands have."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time

import pytest
from command import RULES, SECRET, SECURED, Vallum
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from support import token

import vallum as package
from vallum import embedded, jwt

EXP = 2_000_000_000


# -- all commands -----------------------------------------------------------------------------


def test_version(vallum: Vallum) -> None:
    ended = vallum("--version")
    assert (ended.code, ended.out) == (0, f"vallum {package.__version__}\n")


def test_version_loads_nothing_heavy() -> None:
    """So that it stays fast; a list of modules does not depend on the machine."""
    program = (
        "import sys; sys.argv = ['vallum', '--version']\n"
        "from vallum.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    heavy = {"pydantic", "structlog", "uvloop", "asyncio", "vallum.config", "vallum.broker"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["run", "--nonsense"],
        ["explain", "connect"],
        ["expr"],
        ["token", "mint", "--claims", "[]"],
        ["token", "mint", "--claim", "novalue", "--secret", "s"],
        ["token", "mint", "--claim", "a:=x", "--secret", "s"],
        ["token", "mint", "--secret", "s", "--exp", "1", "--exp-in", "1h"],
        ["token", "mint", "--secret", "s", "--exp-in", "soon"],
        ["token", "mint", "--secret", "s", "--secret-file", "f"],
        ["token", "mint", "--key-file", "f"],
        ["expr", "'a'", "--vars", "1"],
        ["acl", "lint", "none.conf"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(vallum: Vallum, args: list[str]) -> None:
    ended = vallum(*args)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err
    assert "Traceback" not in ended.err


# -- check ------------------------------------------------------------------------------------


def test_check_a_good_file(vallum: Vallum) -> None:
    ended = vallum("check", "-c", "secured.conf")
    assert ended.code == 0
    assert ended.out == "secured.conf: ok (hardened profile, tcp:default)\n"
    assert ended.err == ""


def test_check_names_every_fault_and_warning(vallum: Vallum) -> None:
    vallum.write("bad.conf", SECURED + "mqtt.max_inflight = 0\nmqtt.max_awaiting_rel = x\n")
    ended = vallum("check", "-c", "bad.conf")
    assert ended.code == 2
    assert ended.out == "bad.conf: 2 faults\n"
    first, second = ended.err.splitlines()
    assert first.startswith("bad.conf:8:1: mqtt.max_inflight: ")
    assert second.startswith("bad.conf:9:1: mqtt.max_awaiting_rel: ")
    vallum.write("warned.conf", SECURED + "mqtt.keepalive_check_interval = 20s\n")
    ended = vallum("check", "-c", "warned.conf")
    assert ended.code == 0
    assert ended.err.startswith("warning: warned.conf:8:1: ")


def test_check_compiles(vallum: Vallum) -> None:
    text = 'mqtt.client_attrs_init = [{ expression = "nth(", set_as_attr = a }]\n'
    vallum.write("bad.conf", text)
    ended = vallum("check", "-c", "bad.conf", "--json")
    assert ended.code == 2
    assert ended.answer["ok"] is False
    [fault] = ended.answer["faults"]
    assert fault["path"] == "mqtt.client_attrs_init[0].expression"
    assert fault["origin"].startswith("bad.conf:1:")


def test_check_in_json(vallum: Vallum) -> None:
    vallum.write("warned.conf", SECURED + "mqtt.keepalive_check_interval = 20s\n")
    ended = vallum("check", "-c", "warned.conf", "--json")
    assert ended.code == 0
    answer = ended.answer
    assert (answer["ok"], answer["profile"]) == (True, "hardened")
    assert answer["listeners"] == ["tcp:default"]
    assert answer["faults"] == []
    [warning] = answer["warnings"]
    assert warning["origin"] == "warned.conf:8:1"
    assert SECRET not in ended.out


def test_check_without_a_file_makes_no_secret(vallum: Vallum) -> None:
    ended = vallum("check")
    assert ended.code == 0
    assert not vallum.data_dir.exists()
    embedded.ensure_secret(vallum.data_dir).chmod(0o644)
    assert vallum("check").code == 2


# -- expr -------------------------------------------------------------------------------------


def test_expr(vallum: Vallum) -> None:
    args = ["expr", "nth(1, tokens(clientid, '-'))", "--vars", '{"clientid": "eu-17"}']
    ended = vallum(*args)
    assert (ended.code, ended.out, ended.err) == (0, "eu\n", "")
    assert vallum(*args, "--json").answer == {
        "result": "eu",
        "error": None,
        "detail": None,
        "warnings": [],
    }


def test_expr_without_a_value(vallum: Vallum) -> None:
    ended = vallum("expr", "nobody")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("var_unbound: nobody")
    answer = vallum("expr", "nobody", "--json").answer
    assert (answer["result"], answer["error"]) == (None, "var_unbound")


def test_expr_that_does_not_compile(vallum: Vallum) -> None:
    ended = vallum("expr", "nth(1")
    assert ended.code == 2
    assert ended.err.startswith("syntax: expected")


def test_expr_bytes(vallum: Vallum) -> None:
    args = ["expr", "base64_decode(x)", "--vars", '{"x": "//79"}']
    assert "fffefd" in vallum(*args).out
    assert vallum(*args, "--json").answer["result"] == {"$hex": "fffefd"}


def test_expr_warns_of_what_is_suspicious(vallum: Vallum) -> None:
    suspicious = r"regex_match(clientid, '(^|\\s)x')"
    args = ["expr", suspicious, "--vars", '{"clientid": "x"}']
    assert package.expr.lint(suspicious)
    assert vallum(*args).err.startswith("warning: line 1, column ")
    assert vallum(*args, "--json").answer["warnings"]


# -- token ------------------------------------------------------------------------------------


def test_mint_with_a_secret(vallum: Vallum) -> None:
    ended = vallum(
        *["token", "mint", "--secret", SECRET, "--sub", "c1", "--exp", str(EXP), "--kid", "k1"],
        *["--claims", '{"acl": {"pub": ["a"]}, "x": 1}', "--claim", "n=17", "--claim", "m:=[17]"],
    )
    assert ended.code == 0
    minted = ended.out.strip()
    header, claims = jwt.inspect(minted)
    assert header == {"alg": "HS256", "typ": "JWT", "kid": "k1"}
    acl = {"pub": ["a"]}
    assert claims == {"acl": acl, "x": 1, "n": "17", "m": [17], "sub": "c1", "exp": EXP}
    assert token.mint({}, SECRET).count(".") == minted.count(".")
    input_, _, signature = minted.rpartition(".")
    assert signature == _signature(input_, SECRET)


def _signature(text: str, secret: str) -> str:
    import hashlib
    import hmac

    return token.segment(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))


@pytest.mark.parametrize(
    ("args", "seconds"),
    [([], 3600), (["--exp-in", "90s"], 90), (["--exp-in", "-1h"], -3600), (["--exp-in", "5"], 5)],
)
def test_lifetime(vallum: Vallum, args: list[str], seconds: int) -> None:
    before = int(time.time())
    minted = vallum("token", "mint", "--secret", SECRET, *args).out.strip()
    exp = jwt.inspect(minted)[1]["exp"]
    assert before + seconds <= exp <= int(time.time()) + seconds


def test_no_expiry(vallum: Vallum) -> None:
    minted = vallum("token", "mint", "--secret", SECRET, "--exp-in", "never").out.strip()
    assert "exp" not in jwt.inspect(minted)[1]
    minted = vallum("token", "mint", "--secret", SECRET, "--claims", '{"exp": 5}').out.strip()
    assert jwt.inspect(minted)[1]["exp"] == 5


def test_secret_from_a_file(vallum: Vallum) -> None:
    vallum.write("secret", f"{SECRET}\n")
    args = ["token", "mint", "--exp", str(EXP)]
    plain = vallum(*args, "--secret", SECRET).out
    assert vallum(*args, "--secret-file", "secret").out == plain
    assert vallum(*args, "--secret-file", "-", stdin=SECRET).out == plain
    encoded = base64.b64encode(SECRET.encode()).decode()
    assert vallum(*args, "--base64", "--secret", encoded).out == plain
    assert vallum(*args, "--base64", "--secret", "no base64!").code == 2


def test_secret_of_the_embedded_default(vallum: Vallum) -> None:
    assert vallum("token", "mint").code == 2
    embedded.ensure_secret(vallum.data_dir)
    minted = vallum("token", "mint", "--sub", "c1").out
    args = ["explain", "connect", "--clientid", "c1", "--password-file", "-"]
    assert vallum(*args, stdin=minted).code == 0
    chosen = vallum("token", "mint", "--data-dir", vallum.data_dir, "--sub", "c1").out
    assert vallum(*args, stdin=chosen).code == 0


KEYS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_private_keys(vallum: Vallum, algorithm: str) -> None:
    key = KEYS[algorithm]()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    vallum.write("key.pem", pem.decode())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    vallum.write("public.pem", public.decode())
    vallum.write(
        "public.conf",
        "authentication = [{mechanism = jwt, algorithm = public-key, public_key = public.pem}]\n",
    )
    minted = vallum("token", "mint", "--key-file", "key.pem", "--alg", algorithm).out.strip()
    checked = vallum("token", "inspect", "-c", "public.conf", minted)
    assert checked.code == 0, checked
    assert vallum("token", "mint", "--key-file", "key.pem", "--alg", "none").code == 2


def test_mint_in_json(vallum: Vallum) -> None:
    answer = vallum("token", "mint", "--secret", SECRET, "--sub", "c1", "--json").answer
    assert jwt.inspect(answer["token"]) == (answer["header"], answer["claims"])
    assert SECRET not in json.dumps(answer)


def test_inspect(vallum: Vallum) -> None:
    minted = token.mint({"sub": "c1", "exp": EXP, "nbf": EXP - 7200}, SECRET)
    args = ["token", "inspect", "--at", str(EXP - 90)]
    ended = vallum(*args, minted)
    assert ended.code == 0
    assert "Nothing was verified" in ended.out
    assert "expires 2033-05-18T03:33:20Z, in 1 min 30 s" in ended.out
    assert "valid from 2033-05-18T01:33:20Z, 1 h 58 min ago" in ended.out
    assert vallum(*args, "-", stdin=f"{minted}\n").out == ended.out
    assert vallum(*args, stdin=minted).out == ended.out
    answer = vallum(*args, minted, "--json").answer
    assert answer["verified"] is False
    assert answer["claims"] == {"sub": "c1", "exp": EXP, "nbf": EXP - 7200}
    assert answer["header"] == {"alg": "HS256", "typ": "JWT"}


def test_inspect_what_is_no_token(vallum: Vallum) -> None:
    ended = vallum("token", "inspect", "nonsense")
    assert (ended.code, ended.out) == (1, "")
    assert "not a token" in ended.err


@pytest.mark.parametrize("value", ['"soon"', "1e300", "true"])
def test_inspect_times_that_are_none(vallum: Vallum, value: str) -> None:
    minted = token.mint({"exp": json.loads(value)}, SECRET)
    assert vallum("token", "inspect", minted).code == 0


def test_inspect_asks_a_configuration(vallum: Vallum) -> None:
    good = token.mint({"sub": "c1", "exp": EXP}, SECRET)
    forged = token.mint({"sub": "c1", "exp": EXP}, "another secret")
    args = ["token", "inspect", "-c", "secured.conf", "--clientid", "c1"]
    ended = vallum(*args, good)
    assert ended.code == 0
    assert "authentication[0]" in ended.out
    assert "Nothing was verified" not in ended.out
    assert vallum(*args, good, "--json").answer["verified"] is True
    ended = vallum(*args, forged, "--json")
    assert ended.code == 1
    assert ended.answer["verified"] is False
    assert ended.answer["checks"][0]["reason"] == "bad_signature"
    assert vallum("token", "inspect", "-c", "secured.conf", "--clientid", "c2", good).code == 1
    vallum.write("secured.conf", "mqtt.max_inflight = 0\n")
    assert vallum(*args, good).code == 2


# -- acl --------------------------------------------------------------------------------------


def test_acl_lint(vallum: Vallum) -> None:
    ended = vallum("acl", "lint", "acl.conf")
    assert (ended.code, ended.out, ended.err) == (0, "acl.conf: ok, 0 warnings\n", "")


def test_acl_lint_error(vallum: Vallum) -> None:
    vallum.write("acl.conf", RULES + "{allow all}.\n")
    ended = vallum("acl", "lint", "acl.conf")
    assert ended.code == 2
    assert ended.err.startswith("acl.conf:4:8: expected")
    answer = vallum("acl", "lint", "acl.conf", "--json").answer
    assert answer["ok"] is False
    assert (answer["faults"][0]["line"], answer["faults"][0]["column"]) == (4, 8)


def test_acl_lint_warning(vallum: Vallum) -> None:
    vallum.write("acl.conf", "{allow, all}.\n" + RULES)
    ended = vallum("acl", "lint", "acl.conf")
    assert ended.code == 0
    assert ended.err.splitlines()[0].startswith("warning: acl.conf:3:1: ")
    answer = vallum("acl", "lint", "acl.conf", "--json").answer
    assert answer["ok"] is True
    assert [warning["line"] for warning in answer["warnings"]] == [3]
