"""Revocation: lists that client certificates are checked against, and stapled OCSP responses."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPCertStatus
from support import deadline
from support.broker import Start
from support.certificates import Authority, Issued, Pki
from support.http import web_server
from support.logs import watched_log
from support.tls import MUTUAL, TLS, admitted, context_of, port_of

CRL = MUTUAL + ", enable_crl_check = true"


def pem_of(ca: Authority, *revoked: Issued, days: tuple[int, int] = (-1, 7)) -> bytes:
    return ca.revocation_list(revoked, days=days).public_bytes(Encoding.PEM)


async def test_revocation_list_in_a_file(broker_with: Start, pki: Pki) -> None:
    ca = pki.intermediate
    good, bad = ca.issue("good"), ca.issue("bad")
    crl = pki.directory / "ca.crl"
    crl.write_bytes(pem_of(ca, bad))
    contexts = [context_of(pki, each.write(pki.directory, "client")) for each in (good, bad)]

    async def check(port: int, *expected: bool) -> None:
        assert [await admitted(port, context) for context in contexts] == [*expected]

    with watched_log() as logs:
        async with broker_with(TLS % f"{CRL}, crlfile = ca.crl", base_dir=pki.directory) as broker:
            port = port_of(broker)
            await check(port, True, False)
            crl.write_bytes(pem_of(ca, good, bad))
            assert await broker.broker.reload_certificates() == ["ssl:default"]
            await check(port, False, False)
            crl.write_bytes(pem_of(ca, days=(-9, -1)))  # out of date
            await broker.broker.reload_certificates()
            await check(port, False, False)
            crl.write_bytes(pem_of(Authority.root("Test Intermediate")))  # forged
            await broker.broker.reload_certificates()
            await check(port, False, False)
    reasons = [line["reason"] for line in logs.of("tls_handshake_failed")]
    assert reasons[:2] == ["certificate_revoked", "crl_expired"]


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_revocation_list_that_is_fetched(
    broker_with: Start, pki: Pki, encoding: Encoding
) -> None:
    """The first client whose list is not known yet is refused; then the list is there."""
    ca = pki.intermediate
    async with web_server() as web:
        good = ca.issue("good", crl_url=web.url("/crl"))
        bad = ca.issue("bad", crl_url=web.url("/crl"))
        web.answers["/crl"] = ca.revocation_list([bad]).public_bytes(encoding)
        contexts = [context_of(pki, each.write(pki.directory, "client")) for each in (good, bad)]
        with watched_log() as logs:
            async with broker_with(TLS % CRL, base_dir=pki.directory) as broker:
                assert not await admitted(port_of(broker), contexts[0])
                await logs.until("crl_in_force")
                assert await admitted(port_of(broker), contexts[0])
                assert not await admitted(port_of(broker), contexts[1])
    reasons = [line["reason"] for line in logs.of("tls_handshake_failed")]
    assert reasons == ["crl_unavailable", "certificate_revoked"]


async def test_revocation_list_that_cannot_be_had(broker_with: Start, pki: Pki) -> None:
    async with web_server() as web:
        issued = pki.intermediate.issue("c", crl_url=web.url("/nothing"))
        context = context_of(pki, issued.write(pki.directory, "client"))
        with watched_log() as logs:
            async with broker_with(TLS % CRL, base_dir=pki.directory) as broker:
                assert not await admitted(port_of(broker), context)
                await logs.until("crl_unavailable")
                assert not await admitted(port_of(broker), context)
        [line] = logs.of("crl_unavailable")
        assert line["problem"] == "status 404"
        assert line["address"] == web.url("/nothing")


async def test_only_addresses_an_issuer_signed_are_asked(broker_with: Start, pki: Pki) -> None:
    """A certificate that merely claims to be ours makes the broker fetch nothing."""
    async with web_server() as web:
        forger = Authority.root("Test Intermediate")
        # With the real key identifier it is taken for a child of the real authority.
        real = pki.intermediate.issued
        forger = Authority(Issued(real.certificate, forger.issued.key, real.chain))
        forged = forger.issue("c", crl_url=web.url("/forged"))
        context = context_of(pki, forged.write(pki.directory, "client"))
        real_one = pki.intermediate.issue("c", crl_url=web.url("/real"))
        real_context = context_of(pki, real_one.write(pki.directory, "real"))
        async with broker_with(TLS % CRL, base_dir=pki.directory) as broker:
            assert not await admitted(port_of(broker), context)
            assert not await admitted(port_of(broker), real_context)
            async with asyncio.timeout(deadline.SECONDS):
                assert await web.asked.get() == "/real"


# -- stapling ---------------------------------------------------------------------------------


OCSP = 'ocsp { enable_ocsp_stapling = true, responder_url = "%s", issuer_pem = issuer.pem }'


async def staple_of(port: int) -> str:
    """What openssl says of the response that is sent along."""
    process = await asyncio.create_subprocess_exec(
        *["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-status"],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(deadline.SECONDS):
        out, _ = await process.communicate()
    return out.decode(errors="replace")


async def test_stapling(broker_with: Start, pki: Pki) -> None:
    ca = pki.intermediate
    ca.write(pki.directory, "issuer")
    async with web_server(ocsp=ca.ocsp_response(pki.server)) as web:
        with watched_log() as logs:
            text = TLS % (OCSP % web.url("/ocsp"))
            async with broker_with(text, base_dir=pki.directory) as broker:
                await logs.until("ocsp_stapled")
                out = await staple_of(port_of(broker))
    assert "OCSP Response Status: successful" in out
    assert "Cert Status: good" in out


@pytest.mark.parametrize("kind", ["revoked", "other certificate", "forged", "noise"])
async def test_responses_that_are_not_stapled(broker_with: Start, pki: Pki, kind: str) -> None:
    ca = pki.intermediate
    ca.write(pki.directory, "issuer")
    answer = {
        "revoked": lambda: ca.ocsp_response(pki.server, OCSPCertStatus.REVOKED),
        "other certificate": lambda: ca.ocsp_response(ca.issue("x")),
        "forged": lambda: Authority.root("Test Intermediate").ocsp_response(pki.server),
        "noise": lambda: b"noise",
    }[kind]()
    async with web_server(ocsp=answer) as web:
        with watched_log() as logs:
            text = TLS % (OCSP % web.url("/ocsp"))
            async with broker_with(text, base_dir=pki.directory) as broker:
                await logs.until("ocsp_unavailable")
                assert "OCSP response: no response sent" in await staple_of(port_of(broker))
