"""`ssl_options`: what is wrong with them, or with files they name, is said before a start."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.certificates import Authority, Pki

from vallum.config import Config, load
from vallum.errors import ConfigError

TLS = """
listeners.ssl.default { bind = 8883, ssl_options { certfile = server.pem, keyfile = server.key
%s } }"""


def read(pki: Pki, options: str) -> Config:
    return load(text=TLS % options, base_dir=pki.directory, env={})


def faults(pki: Pki, options: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(pki, options)
    return [str(fault) for fault in caught.value.faults]


FAULTS = [
    ("certfile = nothing.pem", "certfile: cannot read {}/nothing.pem: there is no such file"),
    ("certfile = noise.pem", "certfile: {}/noise.pem holds no certificate in PEM"),
    ("keyfile = noise.pem", "keyfile: {}/noise.pem holds no private key in PEM"),
    (
        "keyfile = other.key",
        "keyfile: the key in {}/other.key is not that of the first certificate",
    ),
    ("keyfile = locked.key", "password: {}/locked.key is encrypted: its password is required"),
    ("keyfile = locked.key, password = wrong", "password: it does not open {}/locked.key"),
    ("keyfile = locked.key, password = file://gone", "password: cannot read {}/gone"),
    ("verify = verify_peer", "cacertfile: cannot read {}/certs/cacert.pem: there is no such file"),
    ("verify = verify_peer, cacertfile = noise.pem", "cacertfile: {}/noise.pem holds no certif"),
    ("fail_if_no_peer_cert = true", "verify must be verify_peer when fail_if_no_peer_cert is"),
    ("enable_crl_check = true", "verify must be verify_peer when CRL check is enabled"),
    ("crlfile = a.crl", "crlfile: the lists are not looked at unless enable_crl_check is true"),
    (
        "verify = verify_peer, cacertfile = ca.pem, enable_crl_check = true, crlfile = gone.crl",
        "crlfile: cannot read {}/gone.crl",
    ),
    ("versions = [tlsv1.2, tlsv1.1]", "versions: tlsv1.1: not safe (RFC 8996) and not available"),
    ("versions = []", "versions: must not be empty"),
    (
        "ciphers = [nope, TLS_AES_128_GCM_SHA256]",
        "ciphers: bad_ciphers: OpenSSL does not have nope",
    ),
    (
        "versions = [tlsv1.3], ciphers = [ECDHE-RSA-AES256-GCM-SHA384]",
        "ciphers: none of these suites is of a version that `versions` allows",
    ),
    ("dhfile = noise.pem", "dhfile: {}/noise.pem holds no Diffie-Hellman parameters"),
    ("ocsp.enable_ocsp_stapling = true", "ocsp.responder_url: required when enable_ocsp_stapl"),
    (
        'ocsp { enable_ocsp_stapling = true, responder_url = "http://x", issuer_pem = gone.pem }',
        "ocsp.issuer_pem: cannot read {}/gone.pem",
    ),
    ("ocsp.refresh_interval = 59s", "ocsp.refresh_interval: must be at least 1m"),
    (
        "sni_certificates = [{ server_names = a, certfile = other.pem, keyfile = server.key }]",
        "sni_certificates[0].keyfile: the key in",
    ),
    ("sni_certificates = [{ certfile = a, keyfile = b }]", "sni_certificates[0].server_names: req"),
    ("verify_peer_ext_key_usage = clientauth", "did you mean 'clientAuth'?"),
    ("managed_certs.bundle_name = x", "managed certificates are (see sni_certificates) not avail"),
]


@pytest.fixture(autouse=True)
def _files(pki: Pki) -> None:
    pki.intermediate.server("other").write(pki.directory, "other")
    pki.server.write(pki.directory, "locked", "secret")
    (pki.directory / "noise.pem").write_text("noise\n")


@pytest.mark.parametrize(("options", "expected"), FAULTS)
def test_faults(pki: Pki, options: str, expected: str) -> None:
    found = faults(pki, options)
    expected = expected.replace("{}", str(pki.directory))
    assert any(expected in fault for fault in found), found
    assert all(fault.startswith("<text>:") for fault in found)
    assert "wrong" not in str(found)


def test_all_at_once(pki: Pki) -> None:
    found = faults(pki, "certfile = gone.pem, keyfile = noise.pem, dhfile = noise.pem, ciphers = x")
    assert len(found) == 4


def test_good_ones(pki: Pki) -> None:
    config = read(pki, "keyfile = locked.key, password = secret")
    assert not [warning for warning in config.warnings if "ssl_options" in str(warning)]
    assert "secret" not in repr(config)
    directory = str(pki.directory)
    text = TLS.replace("server.pem", '"${EMQX_ETC_DIR}/server.pem"') % ""
    assert load(text=text, base_dir=directory, env={"EMQX_ETC_DIR": directory})
    absolute = TLS.replace("server.", f"{directory}/server.") % ""
    assert load(text=absolute, base_dir="/", env={})


@pytest.mark.parametrize(
    ("days", "expected"), [((-9, -1), "expired on"), ((1, 9), "is valid only from")]
)
def test_dates_warn(pki: Pki, days: tuple[int, int], expected: str) -> None:
    Authority.root().server("localhost", days=days).write(pki.directory, "server")
    warnings = [str(warning) for warning in read(pki, "").warnings]
    [warning] = [warning for warning in warnings if "ssl_options.certfile" in warning]
    assert expected in warning


def test_disabled_listeners_are_not_looked_into(tmp_path: Path) -> None:
    text = "listeners { ssl.default.enable = false, wss.default.enable = false }"
    assert load(text=text, base_dir=tmp_path, env={}).enabled_listeners() == []


@pytest.mark.parametrize("option", ["client_renegotiation", "secure_renegotiate"])
def test_renegotiation_is_never_allowed(pki: Pki, option: str) -> None:
    warnings = [str(warning) for warning in read(pki, f"{option} = false").warnings]
    assert any("renegotiation is never allowed" in warning for warning in warnings)
