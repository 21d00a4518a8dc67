"""Client certificates: which are let in, and what the pipeline learns from them."""

from __future__ import annotations

import base64
import hashlib
import ssl
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from support import wire
from support.broker import Start
from support.certificates import CLIENT, SERVER, Authority, Issued, Pki, name_of
from support.logs import watched_log
from support.tls import MUTUAL, TLS, admitted, context_of, open_tls, port_of


def refusals(pki: Pki) -> dict[str, tuple[Issued, str]]:
    """Client certificates that must be refused, and the reason."""
    ca = pki.intermediate
    return {
        "expired": (ca.issue("c", days=(-9, -1)), "certificate_expired"),
        "not yet": (ca.issue("c", days=(1, 9)), "certificate_not_yet_valid"),
        "server's": (ca.issue("c", usages=[SERVER]), "certificate_purpose"),
        "stranger": (Authority.root("Other").issue("c"), "certificate_unknown_ca"),
        "namesake": (Authority.root("Test Intermediate").issue("c"), "certificate_unknown_ca"),
        "no intermediate": (
            Issued(*(lambda i: (i.certificate, i.key))(ca.issue("c"))),
            "certificate_unknown_ca",
        ),
    }


@pytest.mark.parametrize(
    "name", ["expired", "not yet", "server's", "stranger", "namesake", "no intermediate"]
)
@pytest.mark.parametrize("required", [True, False])
async def test_refused(broker_with: Start, pki: Pki, name: str, required: bool) -> None:
    """A certificate that is presented must be good, whether one is demanded or not."""
    issued, reason = refusals(pki)[name]
    options = MUTUAL if required else MUTUAL.replace("cert = true", "cert = false")
    with watched_log() as logs:
        async with broker_with(TLS % options, base_dir=pki.directory) as broker:
            context = context_of(pki, issued.write(pki.directory, "client"))
            assert not await admitted(port_of(broker), context)
    [line] = logs.of("tls_handshake_failed")
    assert line["reason"] == reason


async def test_none(broker_with: Start, pki: Pki) -> None:
    for options, expected in (
        (MUTUAL, False),
        (MUTUAL.replace("cert = true", "cert = false"), True),
        ("", True),
    ):
        with watched_log() as logs:
            async with broker_with(TLS % options, base_dir=pki.directory) as broker:
                assert await admitted(port_of(broker), context_of(pki)) is expected
        reasons = [line["reason"] for line in logs.of("tls_handshake_failed")]
        assert reasons == ([] if expected else ["certificate_missing"])


@pytest.mark.parametrize(
    ("options", "anchors", "expected"),
    [
        ("depth = 1", "root", True),
        ("depth = 0", "root", False),
        ("", "intermediate", False),
        ("partial_chain = true", "intermediate", True),
        ("partial_chain = cacert_from_cacertfile", "intermediate other", False),
        ("partial_chain = two_cacerts_from_cacertfile", "intermediate other", True),
        ("partial_chain = two_cacerts_from_cacertfile", "intermediate other other", False),
        ("verify_peer_ext_key_usage = clientAuth", "root", True),
        ('verify_peer_ext_key_usage = "clientAuth,codeSigning"', "root", True),
        ('verify_peer_ext_key_usage = "clientAuth,emailProtection"', "root", False),
    ],
)
async def test_chains_and_usages(
    broker_with: Start, pki: Pki, options: str, anchors: str, expected: bool
) -> None:
    files = {
        "root": pki.root.pem(),
        "intermediate": pki.intermediate.pem(),
        "other": Authority.root("Other").intermediate().pem(),
    }
    (pki.directory / "anchors.pem").write_bytes(b"".join(files[name] for name in anchors.split()))
    options = MUTUAL.replace("ca.pem", "anchors.pem") + "\n" + options
    issued = pki.intermediate.issue("c", usages=[CLIENT, ExtendedKeyUsageOID.CODE_SIGNING])
    async with broker_with(TLS % options, base_dir=pki.directory) as broker:
        context = context_of(pki, issued.write(pki.directory, "client"))
        assert await admitted(port_of(broker), context) is expected


# -- identity ---------------------------------------------------------------------------------

SUBJECT = name_of("dev,7", COUNTRY_NAME="DE", ORGANIZATION_NAME="Müller + Söhne")


@pytest.mark.parametrize("field", ["cn", "dn", "md5", "pem", "crt"])
@pytest.mark.parametrize("option", ["peer_cert_as_username", "peer_cert_as_clientid"])
async def test_identity(broker_with: Start, pki: Pki, field: str, option: str) -> None:
    """A part of the certificate beats what CONNECT says; a rule shows what came of it."""
    issued = pki.intermediate.issue("", subject=SUBJECT)
    text = base64.b64encode(issued.der).decode()
    expected = {
        "cn": "dev,7",
        "dn": "CN=dev\\,7,O=Müller \\+ Söhne,C=DE",
        "md5": hashlib.md5(issued.der).hexdigest(),  # noqa: S324 - a name
        "pem": text,
        "crt": text,
    }[field]
    kind = "username" if option.endswith("username") else "clientid"
    config = f"""
    mqtt.{option} = {field}
    mqtt.client_attrs_init = [{{ expression = "hash(sha256, {kind})", set_as_attr = digest }}]
    authorization {{ no_match = deny, sources = [
      {{ type = file, rules = \"\"\"{{allow, all, all, ["${{client_attrs.digest}}"]}}.\"\"\" }}] }}
    """.replace("hash(sha256", "hash('sha256'")
    async with broker_with(TLS % MUTUAL + config, base_dir=pki.directory) as broker:
        context = context_of(pki, issued.write(pki.directory, "client"))
        client = await open_tls(port_of(broker), context)
        await client.connect("liar", username="liar")
        assert client.connack.reason == 0
        topic = hashlib.sha256(expected.encode()).hexdigest()
        assert await client.subscribe(topic, "another") == [0, 0x87]
        await client.aclose()


async def test_without_a_certificate_the_client_speaks_for_itself(
    broker_with: Start, pki: Pki
) -> None:
    options = MUTUAL.replace("cert = true", "cert = false")
    text = TLS % options + "mqtt { peer_cert_as_clientid = cn, peer_cert_as_username = cn }"
    async with broker_with(text, base_dir=pki.directory) as broker:
        client = await open_tls(port_of(broker), context_of(pki))
        await client.connect("own")
        assert broker.broker.disconnect("own")
        await client.expect(wire.Type.DISCONNECT, reason=0x98)
        await client.aclose()


EXPRESSIONS = [
    ("cert_common_name", "dev-1"),
    ("cn", "dev-1"),
    ("dn", "CN=dev-1"),
    ("cert_subject", "CN=dev-1"),
    ("peersni", "localhost"),
    ("nth(2, cert_san.dns)", "b.example"),
    ("nth(1, cert_san.ip)", "2001:db8::1"),
    ("nth(1, cert_san.uri)", "spiffe://x/y"),
    ("nth(1, cert_san.email)", "a@b.example"),
]


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS)
async def test_what_expressions_see(
    broker_with: Start, pki: Pki, expression: str, expected: str
) -> None:
    sans: list[x509.GeneralName] = [
        x509.DNSName("a.example"),
        x509.DNSName("b.example"),
        x509.IPAddress(ip_address("2001:db8::1")),
        x509.UniformResourceIdentifier("spiffe://x/y"),
        x509.RFC822Name("a@b.example"),
    ]
    issued = pki.intermediate.issue("dev-1", sans=sans)
    config = f"""
    mqtt.client_attrs_init = [{{ expression = "{expression}", set_as_attr = found }}]
    authorization {{ no_match = deny, sources = [
      {{ type = file, rules = \"\"\"{{allow, all, all, ["{expected}"]}}.\"\"\" }}] }}
    authentication = [{{ mechanism = cinfo, checks = [
      {{ is_match = "str_eq(client_attrs.found, '{expected}')", result = allow }} ] }}]
    """
    text = TLS.replace("enable_authn = false", "enable_authn = true") % MUTUAL + config
    async with broker_with(text, base_dir=pki.directory) as broker:
        context = context_of(pki, issued.write(pki.directory, "client"))
        assert await admitted(port_of(broker), context)


async def test_certificates_in_the_chain_and_in_rules(broker_with: Start, pki: Pki) -> None:
    """The pattern of the manual: client id bound to the certificate, topics by its name."""
    config = """
    authentication = [{ mechanism = cinfo, checks = [
      { is_match = "str_eq(cert_common_name, clientid)", result = allow } ] }]
    authorization { no_match = deny, sources = [
      { type = file, rules = \"\"\"{allow, all, all, ["dev/${cert_common_name}/#"]}.\"\"\" }] }
    """
    text = TLS.replace("enable_authn = false", "enable_authn = true") % MUTUAL + config
    async with broker_with(text, base_dir=pki.directory) as broker:
        certificate = pki.intermediate.issue("dev-1").write(pki.directory, "client")
        client = await open_tls(port_of(broker), context_of(pki, certificate))
        await client.connect("dev-1")
        assert client.connack.reason == 0
        assert await client.subscribe("dev/dev-1/x", "dev/dev-2/x") == [0, 0x87]
        await client.aclose()
        client = await open_tls(port_of(broker), context_of(pki, certificate))
        await client.connect("dev-2")
        assert client.connack.reason != 0
        await client.aclose()


@pytest.mark.parametrize(
    "issue",
    [
        lambda ca: ca.issue("admin\n"),
        lambda ca: ca.issue("admin\x00.evil"),
        lambda ca: ca.issue("a\x7f"),
        lambda ca: ca.issue("a", subject=name_of("a", ORGANIZATION_NAME="x\ry")),
        lambda ca: ca.issue("a", sans=[x509.DNSName("a\tb")]),
        lambda ca: ca.issue("a", sans=[x509.UniformResourceIdentifier("a\x00b")]),
    ],
    ids=["line-end", "zero", "delete", "organization", "dns", "uri"],
)
async def test_control_characters(broker_with: Start, pki: Pki, issue: object) -> None:
    """They could be smuggled into logs and requests (spec/hardening.md section 4)."""
    assert callable(issue)
    issued: Issued = issue(pki.intermediate)
    with watched_log() as logs:
        async with broker_with(TLS % MUTUAL, base_dir=pki.directory) as broker:
            context = context_of(pki, issued.write(pki.directory, "client"))
            assert not await admitted(port_of(broker), context)
    [line] = logs.of("refused")
    assert line["reason"] == "peer_certificate_field_rejected"


def test_contexts_check_the_server(pki: Pki) -> None:
    """The clients of these tests are not lenient: what they accept means something."""
    assert context_of(pki).verify_mode is ssl.CERT_REQUIRED
