"""Whole configurations: the article's, faulty ones, the environment, both profiles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vallum.config import Config, Secret, jwt_stage, load, policy_document
from vallum.config.models import DEFAULT_RULES, JwtHmac
from vallum.errors import ConfigError, Fault, VallumError

DATA = Path(__file__).parent / "data"
JWT = 'authentication = { mechanism = jwt, algorithm = hmac-based, secret = "s3cret" }\n'


def load_text(text: str, env: dict[str, str] | None = None, base_dir: Path = DATA) -> Config:
    return load(text=text, env=env or {}, base_dir=base_dir)


def faults(text: str, env: dict[str, str] | None = None, base_dir: Path = DATA) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_text(text, env, base_dir)
    return [str(fault) for fault in caught.value.faults]


# -- the article ------------------------------------------------------------------------------


def test_story_1_loads_unchanged() -> None:
    config = load(DATA / "story1.conf", env={})
    assert config.warnings == ()
    chain = policy_document(config)["authentication"]["chain"]
    assert [stage["id"] for stage in chain] == ["cinfo", "jwt"]
    assert chain[0]["checks"] == [
        {
            "is_match": ["str_neq(nth(4, tokens(jwt_value(password, 'sub'), ':')), clientid)"],
            "result": "deny",
        }
    ]
    assert chain[1]["key"] == {"kind": "hmac", "secret_base64": "and0cGFzc2ZvcnRlc3Qx"}
    assert chain[1]["on_missing_jwt"] == "deny"


def test_story_2_loads_unchanged_and_its_backslashes_are_read_as_meant() -> None:
    text = (DATA / "story2.conf").read_text()
    text += 'authorization.sources = [{ type = file, path = "story2_acl.conf" }]\n'
    config = load_text(text)
    meant = r"""nth(2, regex_extract(jwt_value(password, 'scp'), '(^|\s)(read)(\s|$)'))"""
    assert config.mqtt.client_attrs_init[0].expression == meant
    [warning] = config.warnings
    assert warning.path == "mqtt.client_attrs_init[0].expression"
    assert warning.origin == "<text>:4:7"
    assert f'write """{meant}"""' in warning.problem
    [source] = policy_document(config)["authorization"]["sources"]
    assert source["path"] == str(DATA / "story2_acl.conf")
    assert source["text"] == (DATA / "story2_acl.conf").read_text()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"regex_match(a, '\\d+')", r"regex_match(a, '\d+')"),
        (r'regex_match(a, "\\b\\S\\W")', r'regex_match(a, "\b\S\W")'),
        (r"regex_match(a, '\s')", r"regex_match(a, '\s')"),
        (r"regex_match(a, '\\.x')", r"regex_match(a, '\\.x')"),
        (r"regex_match(a, '\\\\s')", r"regex_match(a, '\\\\s')"),
    ],
)
def test_doubled_backslashes(written: str, meant: str) -> None:
    config = load_text(
        f'mqtt.clientid_override = """{written}"""\n'
        "authentication = [{ mechanism = cinfo\n"
        f'  precondition = """{written}"""\n'
        f'  checks = [{{ is_match = ["true", """{written}"""], result = deny }}] }}]'
    )
    stage = policy_document(config)["authentication"]["chain"][0]
    assert config.mqtt.clientid_override == stage["precondition"] == meant
    assert stage["checks"][0]["is_match"] == ["true", meant]
    assert [warning.path for warning in config.warnings] == (
        [
            "mqtt.clientid_override",
            "authentication[0].precondition",
            "authentication[0].checks[0].is_match[1]",
        ]
        if written != meant
        else []
    )


# -- faults -----------------------------------------------------------------------------------

MANY = """\
mqtt { max_inflght = 3, max_qos_allowed = 3 }
authentication = [
  { mechanism = jwt, algorithm = "hmac-based", verify_claims { username = 5, exp = "x" } }
  { mechanism = cinfo, checks = [{ is_match = ["", "x"], result = dney }] }
  { mechanism = scram, backend = http }
]
mqqt {}
listeners.tcp.default { bind = "1.2.3:99" }
authorization { no_match = denny, sources = [{ type = file, path = gone }, { type = redis }] }
"""


def test_all_faults_at_once_sorted_by_line() -> None:
    found = faults(MANY)
    assert [fault.split(": ")[:2] for fault in found] == [
        ["<text>:1:8", "mqtt.max_inflght"],
        ["<text>:1:25", "mqtt.max_qos_allowed"],
        ["<text>:3:3", "authentication[0].secret"],
        ["<text>:3:64", "authentication[0].verify_claims.username"],
        ["<text>:3:78", "authentication[0].verify_claims.exp"],
        ["<text>:4:48", "authentication[1].checks[0].is_match[0]"],
        ["<text>:4:58", "authentication[1].checks[0].result"],
        ["<text>:5:3", "authentication[2]"],
        ["<text>:7:1", "mqqt"],
        ["<text>:8:25", "listeners.tcp.default.bind"],
        ["<text>:9:17", "authorization.no_match"],
        ["<text>:9:61", "authorization.sources[0].path"],
        ["<text>:9:76", "authorization.sources[1]"],
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("mqtt.max_inflght = 3", "unknown key; did you mean 'max_inflight'?"),
        ("mqqt {}", "unknown root; did you mean 'mqtt'?"),
        ("authentcation = []", "did you mean 'authentication'?"),
        ("authorization.no_match = denny", "did you mean 'deny'?"),
        ("listeners.tcp.default.acces_rules = []", "did you mean 'access_rules'?"),
        ("listeners.tpc.default {}", "did you mean 'tcp'?"),
        ("authentication = {mechanism = jwt, algoritm = x}", "did you mean 'algorithm'?"),
        (JWT.replace("}", ', verify_claims {a = "${user}"} }'), "did you mean ${username}?"),
        ("authorization.sources = [{type = fiel}]", "did you mean file?"),
        ('authorization.sources = [{type = file, rulez = "", rules = ""}]', "mean 'rules'?"),
        ("security_profile = hard", "must be hardened or legacy"),
    ],
)
def test_suggestions(text: str, part: str) -> None:
    assert any(part in fault for fault in faults(text))


AUTHENTICATION_FAULTS = [
    ("{ mechanism = cinfo, checks = [] }", "authentication[0].checks: needs at least one check"),
    ("{ mechanism = cinfo }", "authentication[0].checks: required"),
    (
        '{ mechanism = cinfo, checks = [{ is_match = "", result = deny }] }',
        "authentication[0].checks[0].is_match: should not be an empty text",
    ),
    (
        "{ mechanism = cinfo, checks = [{ is_match = [], result = deny }] }",
        "authentication[0].checks[0].is_match: needs at least one",
    ),
    ("{ mechanism = jwt, secret = x }", "authentication[0].algorithm: required"),
    (
        "{ mechanism = jwt, algorithm = public-key, secret = x }",
        "authentication[0].secret: cannot be used here: it goes with algorithm = hmac-based",
    ),
    (
        "{ mechanism = jwt, algorithm = hmac-based, secret = x, use_jwks = true }",
        "authentication[0].endpoint: required",
    ),
    (
        "{ mechanism = jwt, algorithm = hmac-based, secret = abc, secret_base64_encoded = true }",
        "authentication[0].secret: not standard base64",
    ),
    (
        '{ mechanism = jwt, algorithm = hmac-based, secret = "" }',
        "authentication[0].secret: must not be empty",
    ),
    (
        '{ mechanism = jwt, algorithm = hmac-based, secret = "file://gone" }',
        "authentication[0].secret: cannot read",
    ),
    (
        "{ mechanism = jwt, algorithm = public-key, public_key = gone.pem }",
        "authentication[0].public_key: neither PEM text nor a readable file",
    ),
    (
        "{ mechanism = jwt, algorithm = hmac-based, secret = x, verify_claims = ["
        '{name = a, value = "1"} {name = a, value = "2"}] }',
        "authentication[0].verify_claims[1].value: claim 'a' is already named",
    ),
    (
        '{ mechanism = jwt, algorithm = hmac-based, secret = x, verify_claims = "a" }',
        "authentication[0].verify_claims: must be an object",
    ),
    ("{ mechanism = password_based, backend = http }", "password_based:http is not available"),
    ("{ mechanism = password_based }", "needs a backend"),
    ("{ mechanism = gssapi, backend = kerberos }", "gssapi:kerberos is not available"),
    ("[jwt]", "authentication[0]: must be an object"),
    ("jwt", "authentication: must be an array"),
    (
        "[{ mechanism = jwt, algorithm = hmac-based, secret = x }"
        " { mechanism = jwt, algorithm = hmac-based, secret = y }]",
        "authentication[1].mechanism: 'jwt' is already in this chain, at authentication[0]",
    ),
]


@pytest.mark.parametrize(("value", "expected"), AUTHENTICATION_FAULTS)
def test_authentication_faults(value: str, expected: str) -> None:
    found = faults(f"authentication = {value}")
    assert any(expected in fault for fault in found)
    assert all(fault.startswith("<text>:1:") for fault in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "listeners.ssl.default { bind = 8883 }",
            "listeners.ssl.default.ssl_options.certfile: cannot read ",
        ),
        ("listeners.wss.x { bind = 1, websocket { mqtt_pth = x } }", "did you mean 'mqtt_path'?"),
        ("listeners.tcp.x {}", "listeners.tcp.x.bind: required"),
        ('listeners.tcp { a.bind = 99, "b c" { bind = 98 } }', "not a name"),
        (
            'listeners.tcp { a.bind = 99, b.bind = "127.0.0.1:99" }',
            "listeners.tcp.b.bind: 127.0.0.1:99 is taken by tcp:a",
        ),
        ('listeners.tcp.default.mountpoint = "x/"', "not available in this version"),
        ('listeners.tcp.default.proxy_protocol_trusted = "10.0.0.0/33"', "not an address or CIDR"),
        ("authorization.include_mountpoint = true", "not available in this version"),
        ("flapping_detect.enable = true", "not available in this version"),
        ("zones.z.flapping_detect.enable = true", "zones.z.flapping_detect.enable: not available"),
        ("zones.z.mqtt.max_inflight = 0", "zones.z.mqtt.max_inflight: must be at least 1"),
        ("zones.z.mqtt.max_infligt = 1", "did you mean 'max_inflight'?"),
        ("zones.z.mqt {}", "zones.z.mqt: unknown key; did you mean 'mqtt'?"),
        ("zones.z = 1", "zones.z: must be an object"),
        ("zones = 1", "zones: must be an object"),
        ("zones { z.mqtt = 1 }", "zones.z.mqtt: must be an object"),
        ('zones { "a b" {} }', "not a name"),
        (
            "listeners.tcp.default.zone = zne, zones.zone {}",
            "listeners.tcp.default.zone: no zone 'zne'; did you mean 'zone'?",
        ),
        ("listeners.tcp.default.zone = z", "no zone 'z'; write zones.z.mqtt"),
        (
            'authorization.sources = [{type = file, rules = ""}, {type = file, rules = ""}]',
            "authorization.sources[1].type: a second source of type file",
        ),
        ('authorization.sources = {type = file, path = a, rules = ""}', "either 'path' or 'rules'"),
        ('mqtt.client_attrs_init = [{expression = x, set_as_attr = "a b"}]', "is not a name"),
    ],
)
def test_other_faults(text: str, expected: str) -> None:
    assert any(expected in fault for fault in faults(text))


def test_zones() -> None:
    config = load_text(r'''
    mqtt { max_inflight = 9, limiter { messages_rate = "1/s", messages_burst = "2/s" }
           keepalive_multiplier = 4, use_username_as_clientid = true }
    zones { z.mqtt { max_topic_levels = 5, limiter.messages_rate = "7/s", keepalive_backoff = 1
                     client_attrs_init = [{ expression = """regex_extract(clientid, '\\s')"""
                                            set_as_attr = a }] }
            default.mqtt { max_inflight = 10 }
            empty {} }
    ''')
    assert [*config.zones] == ["default", "z", "empty"]
    default, own, empty = (zone.mqtt for zone in config.zones.values())
    assert (config.mqtt.max_inflight, default.max_inflight, own.max_inflight) == (9, 10, 9)
    assert (default.max_topic_levels, own.max_topic_levels) == (128, 5)
    assert own.limiter.messages_burst == config.mqtt.limiter.messages_burst
    assert own.limiter.messages_rate != config.mqtt.limiter.messages_rate
    assert (own.keepalive_multiplier, empty.keepalive_multiplier) == (2, 4)
    assert own.use_username_as_clientid
    assert empty == config.mqtt
    assert own.client_attrs_init[0].expression == r"regex_extract(clientid, '\s')"
    shown = [str(warning) for warning in config.warnings]
    assert any("mqtt.limiter, zones.z.mqtt.limiter: no effect" in warning for warning in shown)


def test_a_fault_of_the_root_is_not_one_of_every_zone() -> None:
    found = faults("mqtt.max_inflight = 0, zones { a.mqtt.max_topic_levels = 0, b {} }")
    assert len(found) == 2
    assert "mqtt.max_inflight" in found[0]
    assert "zones.a.mqtt.max_topic_levels" in found[1]


def test_faults_of_a_file_name_it(tmp_path: Path) -> None:
    (tmp_path / "vallum.conf").write_text('include "more.conf"\n')
    (tmp_path / "more.conf").write_text("\nmqtt.max_inflight = many\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "vallum.conf", env={})
    assert caught.value.origin == f"{tmp_path}/more.conf:2:1"
    assert caught.value.path == "mqtt.max_inflight"
    assert isinstance(caught.value, VallumError)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "gone.conf", env={})


def test_secrets_are_not_shown() -> None:
    config = load_text(JWT)
    assert "s3cret" not in repr(config) + str(config.authentication)
    text = JWT.replace('"s3cret"', '"s3cret!", secret_base64_encoded = true')
    assert "s3cret" not in "".join(faults(text))


def test_config_error_sorts_by_number() -> None:
    error = ConfigError([Fault("b", "x", "f:10:1"), Fault("a", "y", "f:9:2"), Fault("c", "z")])
    assert [fault.path for fault in error.faults] == ["a", "b", "c"]
    assert str(error) == "f:9:2: a: y\nf:10:1: b: x\nc: z"
    assert str(ConfigError.of("a.b", "wrong", origin="f:1:1")) == "f:1:1: a.b: wrong"


# -- places -----------------------------------------------------------------------------------


def test_locate() -> None:
    config = load_text(
        "mqtt.client_attrs_init = [\n  { expression = username, set_as_attr = x }\n]\n"
        "authentication {\n  mechanism = cinfo\n"
        "  checks = [{\n    is_match = clientid\n    result = deny }] }\n",
        {"EMQX_MQTT__MAX_INFLIGHT": "5"},
    )

    def at(path: str) -> str:
        return str(config.locate(path))

    assert at("mqtt.client_attrs_init[0].expression") == "<text>:2:5"
    assert at("authentication[0].checks[0].is_match[0]") == "<text>:7:5"
    assert at("authentication[0].checks[0]") == "<text>:6:13"
    assert at("authentication[0].nothing") == "<text>:4:1"
    assert at("mqtt.max_inflight") == "environment variable EMQX_MQTT__MAX_INFLIGHT"
    assert config.locate("retainer.enable") is None
    assert config.locate("") is None
    assert config.locate("]]..[x") is None
    error = config.error([("authentication[0].checks[0].is_match[0]", "syntax")])
    assert str(error) == "<text>:7:5: authentication[0].checks[0].is_match[0]: syntax"


# -- the environment --------------------------------------------------------------------------


def test_environment_builds_and_overrides() -> None:
    env = {
        "EMQX_AUTHENTICATION__1__MECHANISM": "jwt",
        "EMQX_AUTHENTICATION__1__ALGORITHM": "hmac-based",
        "EMQX_AUTHENTICATION__1__SECRET": '"from emqx"',
        "VALLUM_AUTHENTICATION__1__SECRET": "from vallum",
        "EMQX_LISTENERS__TCP__DEFAULT__BIND": "0.0.0.0:0",
        "EMQX_MQTT__MAX_INFLIGHT": "7",
        "EMQX_HOST": "ignored",
        "VALLUM_TEST_X": "ignored",
    }
    config = load_text("mqtt.max_inflight = 5", env)
    [stage] = config.authentication
    assert isinstance(stage, JwtHmac)
    assert stage.secret.reveal() == "from vallum"
    assert config.mqtt.max_inflight == 7
    assert str(config.listeners.tcp["default"].bind) == "IpPort(host='0.0.0.0', port=0)"
    assert config.env_overrides[-1] == "VALLUM_AUTHENTICATION__1__SECRET"


def test_environment_over_arrays() -> None:
    text = 'authentication = [{mechanism = cinfo, checks = [{is_match = "true", result = deny}]}]'
    env = {
        "EMQX_AUTHENTICATION__1__CHECKS__1__RESULT": "allow",
        "EMQX_AUTHENTICATION__2": "{mechanism = jwt, algorithm = hmac-based, secret = x}",
    }
    chain = policy_document(load_text(text, env))["authentication"]["chain"]
    assert chain[0]["checks"] == [{"is_match": ["true"], "result": "allow"}]
    assert chain[1]["id"] == "jwt"


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("EMQX_MQTT__MAX_INFLIGHT", "many", "environment variable EMQX_MQTT__MAX_INFLIGHT: mqtt."),
        ("EMQX_MQTT__MAX_INFLGHT", "1", "did you mean 'max_inflight'?"),
        ("EMQX_AUTHENTICATION__3__MECHANISM", "jwt", "no element 3 in an array of 1"),
        ("EMQX_AUTHENTICATION", "[{mechanism = ", "expected a value"),
        ("EMQX_MQTT____X", "1", "not a path"),
        ("VALLUM_SECURITY_PROFILE", "soft", "must be hardened or legacy"),
        ("EMQX_MQTT__CLIENTID_OVERRIDE", "\udcff", "not UTF-8"),
    ],
)
def test_environment_faults(name: str, value: str, part: str) -> None:
    text = 'authentication = [{mechanism = cinfo, checks = [{is_match = "true", result = deny}]}]'
    assert any(part in fault for fault in faults(text, {name: value}))


def test_values_that_are_no_hocon_are_plain_text() -> None:
    for value in ("a = b", "x y, z", "${b}", 'include "x"', "don't", "{{x}}x"):
        config = load_text(JWT, {"VALLUM_NODE__DATA_DIR": f"p{value}"})
        assert config.node.data_dir == f"p{value}"
    assert load_text(JWT, {"VALLUM_NODE__DATA_DIR": ""}).node.data_dir == ""


def test_misspelt_root_in_our_own_variable_warns() -> None:
    [warning] = load_text(JWT, {"VALLUM_MQT__MAX_INFLIGHT": "7"}).warnings
    assert "did you mean 'mqtt'?" in warning.problem


# -- profiles ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "env", "profile"),
    [
        ("", {}, "hardened"),
        ("security_profile = legacy", {}, "legacy"),
        ("security_profile = hardened", {"EMQX_SECURITY_PROFILE": "legacy"}, "legacy"),
        (
            "",
            {"EMQX_SECURITY_PROFILE": "legacy", "VALLUM_SECURITY_PROFILE": "hardened"},
            "hardened",
        ),
        ("security_profile = legacy", {"EMQX_SECURITY_PROFILE": ""}, "legacy"),
    ],
)
def test_profile(text: str, env: dict[str, str], profile: str) -> None:
    assert load_text(text, env).profile == profile


def test_defaults_by_profile() -> None:
    text = JWT + "listeners.tcp.default.bind = 1884\n"
    hard = load_text(text)
    soft = load_text(text + "security_profile = legacy")
    assert policy_document(hard)["authentication"]["chain"][0]["on_missing_jwt"] == "deny"
    assert policy_document(soft)["authentication"]["chain"][0]["on_missing_jwt"] == "ignore"
    assert policy_document(hard)["authorization"]["sources"][0]["text"] == DEFAULT_RULES


def test_unknown_claim_variable_is_kept_in_legacy() -> None:
    text = JWT.replace("}", ', verify_claims {a = "${user}"} }') + "security_profile = legacy"
    config = load_text(text)
    assert [warning.path for warning in config.warnings] == ["authentication[0].verify_claims.a"]


# -- warnings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("cluster { name = x }\nrpc {}", "without effect in this version: cluster, rpc"),
        ("node { name = x, data_dir = d }", "without effect in this version: node.name"),
        ("mqtt.keepalive_check_interval = 20s", "mqtt.keepalive_check_interval: no effect"),
        (
            "listeners.tcp { default.acceptors = 4, b { bind = 9, acceptors = 5 } }",
            "listeners.tcp.default.acceptors, listeners.tcp.b.acceptors: no effect",
        ),
        ("log.audit.enable = true", "log.audit: no effect"),
        ('listeners.tcp.d { bind = "0.0.0.0:1", enable_authn = false }', "everybody who reaches"),
    ],
)
def test_warnings(text: str, part: str) -> None:
    [warning] = load_text(JWT + text).warnings
    assert part in str(warning)


@pytest.mark.parametrize(
    "text",
    [
        "mqtt.keepalive_check_interval = 30s",
        "dashboard.listeners.http.bind = 0",
        "listeners.tcp.default { enable = true, enable_authn = true, acceptors = 16 }",
        "listeners.ssl.default.enable = false",
        "flapping_detect.enable = false\n" + "#",
    ],
)
def test_defaults_written_out_do_not_warn(text: str) -> None:
    warnings = [str(warning) for warning in load_text(JWT + text).warnings]
    assert [warning for warning in warnings if "without effect" not in warning] == []


def test_no_authenticator_warns() -> None:
    assert "every client is refused" in str(load_text("").warnings[0])
    assert "accepted as anonymous" in str(load_text("security_profile = legacy").warnings[0])
    assert load_text("listeners.tcp.default.enable_authn = false").warnings == ()


def test_allow_on_an_unverified_claim_warns() -> None:
    text = (
        "authentication = {mechanism = cinfo, checks = [\n"
        """{is_match = "str_eq(jwt_value(password, 'a'), 'b')", result = allow}]}"""
    )
    [warning] = load_text(text).warnings
    assert warning.path == "authentication[0].checks[0].result"


def test_acl_file_that_nothing_names_warns(tmp_path: Path) -> None:
    (tmp_path / "acl.conf").write_text("{deny, all}.")
    [warning] = load_text(JWT, base_dir=tmp_path).warnings
    assert "acl.conf is not read" in warning.problem


# -- files ------------------------------------------------------------------------------------


def test_paths_start_at_the_configuration(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "acl.conf").write_bytes(b'%% coding: latin-1\n{deny, {user, "\xe9"}}.')
    (etc / "secret").write_text("from a file\n")
    (etc / "key.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    (etc / "vallum.conf").write_text(
        'authorization.sources = { type = file, path = "${EMQX_ETC_DIR}/acl.conf" }\n'
        'authentication = { mechanism = jwt, algorithm = hmac-based, secret = "file://secret" }\n'
        "listeners.tcp.default.authentication = "
        "{ mechanism = jwt, algorithm = public-key, public_key = key.pem }\n"
    )
    config = load(etc / "vallum.conf", env={})
    document = policy_document(config)
    assert "é" in document["authorization"]["sources"][0]["text"]
    assert document["authentication"]["chain"][0]["key"]["secret_base64"] == "ZnJvbSBhIGZpbGU="
    own = document["authentication"]["listeners"]["tcp:default"]["chain"]
    assert own[0]["key"] == {"kind": "public_key", "pem": "-----BEGIN PUBLIC KEY-----\n"}
    assert repr(config.authentication[0]).count("file://secret") == 1

    (tmp_path / "acl.conf").write_text("{allow, all}.")
    config = load(etc / "vallum.conf", env={"EMQX_ETC_DIR": str(tmp_path)})
    assert config.authorization.sources[0].rules == "{allow, all}."


def test_keys_that_look_like_our_own_marks() -> None:
    assert faults('mqtt { "=" = x, "[key]" = y }') == [
        "<text>:1:8: mqtt.=: unknown key",
        '<text>:1:17: mqtt."[key]": unknown key',
    ]
    found = faults('authentication { mechanism = cinfo, checks = [], "=cinfo" = x }')
    assert "authentication[0].=cinfo: unknown key" in found[1]


def test_secret() -> None:
    assert repr(Secret("x")) == str(Secret("x")) == f"{Secret('x')}" == "******"
    assert Secret("x").reveal() == "x"


def test_jwt_stage() -> None:
    stage = jwt_stage({"algorithm": "hmac-based", "secret": "x"}, "legacy")
    assert stage["on_missing_jwt"] == "ignore"
    assert jwt_stage({"use_jwks": True, "endpoint": "https://x/y"})["key"] == {
        "kind": "jwks",
        "endpoint": "https://x/y",
    }
    with pytest.raises(ConfigError) as caught:
        jwt_stage({"algorithm": "hmac-based", "secrt": "x", "verify_claims": {"exp": "1"}})
    assert [fault.path for fault in caught.value.faults] == ["secret", "secrt", "verify_claims.exp"]


# -- anything ---------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *("mqtt", "listeners", "tcp", "default", "authentication", "mechanism", "jwt", "cinfo"),
        *("checks", "is_match", "result", "deny", "secret", "algorithm", "hmac-based", "bind"),
        *("verify_claims", "authorization", "sources", "type", "file", "rules", "path", "zones"),
        *("node", "log", "console", "dashboard", "retainer", "backend", "security_profile"),
        *("legacy", "1", "2", "-1", "1.5", "true", "null", "infinity", "${a}", "{}", "[]"),
        *"{}[]=,.:\n",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(WORDS, max_size=30).map(" ".join))
def test_any_configuration_loads_or_is_a_config_error(text: str) -> None:
    try:
        config = load_text(text)
    except ConfigError as error:
        str(error)
    else:
        json.dumps(policy_document(config))


VALUES = st.recursive(
    st.sampled_from(["x", "", "jwt", "5", 5, -1, 1.5, True, None, "infinity", "${clientid}"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["mqtt", "listeners", "authentication", "authorization", "retainer", "log"])
    | st.sampled_from(["dashboard", "node", "zones", "flapping_detect", "security_profile"]),
    VALUES,
)
def test_any_value_of_a_root_loads_or_is_a_config_error(root: str, value: object) -> None:
    try:
        load_text(json.dumps({root: value}))
    except ConfigError as error:
        str(error)


def test_an_address_in_brackets_is_no_array() -> None:
    env = {"VALLUM_LISTENERS__TCP__DEFAULT__BIND": "[::1]:1883"}
    [(_, _, listener)] = load(text="", env=env).enabled_listeners()
    assert str(listener.bind).endswith("[::1]:1883") or "::1" in str(listener.bind)
