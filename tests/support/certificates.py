"""Certificates made for a test: authorities, servers, clients, revocation lists, OCSP responses."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
Key = ec.EllipticCurvePrivateKey


def name_of(common_name: str, **more: str) -> x509.Name:
    """A subject: organization and so on first, the common name last."""
    parts = [x509.NameAttribute(getattr(NameOID, key), value) for key, value in more.items()]
    if common_name:
        # The library keeps what a common name may not be out; tests put it in.
        cn = x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)
        parts.append(cn)
    return x509.Name(parts)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and the ones between it and the root."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.DER)

    def certificate_pem(self) -> bytes:
        """The certificate, and the intermediate ones behind it."""
        return b"".join(c.public_bytes(Encoding.PEM) for c in (self.certificate, *self.chain))

    def key_pem(self, password: str | None = None) -> bytes:
        """The key, encrypted if there is a password."""
        encryption: KeySerializationEncryption = NoEncryption()
        if password is not None:
            encryption = BestAvailableEncryption(password.encode())
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def write(self, directory: Path, name: str, password: str | None = None) -> tuple[str, str]:
        """Write `name.pem` and `name.key`; gives their paths."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(self.certificate_pem())
        key.write_bytes(self.key_pem(password))
        return str(certificate), str(key)


class Authority:
    """Somebody who issues certificates."""

    def __init__(self, issued: Issued) -> None:
        self.issued = issued

    @classmethod
    def root(cls, common_name: str = "Test Root") -> Authority:
        """A self-signed one."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = name_of(common_name)
        return cls(Issued(_sign(name, name, key, key, ca=True), key))

    def intermediate(self, common_name: str = "Test Intermediate") -> Authority:
        """One that this one issued."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.issued.certificate.subject
        made = _sign(name_of(common_name), issuer, key, self.issued.key, ca=True)
        return Authority(Issued(made, key, (made,)))

    def issue(
        self,
        common_name: str,
        *,
        sans: Sequence[x509.GeneralName] = (),
        usages: Sequence[ObjectIdentifier] = (CLIENT,),
        days: tuple[int, int] = (-1, 30),
        crl_url: str | None = None,
        subject: x509.Name | None = None,
    ) -> Issued:
        """A certificate for a client; `days` from now it begins and ends."""
        key = ec.generate_private_key(ec.SECP256R1())
        extensions: list[x509.ExtensionType] = []
        if sans:
            extensions.append(x509.SubjectAlternativeName(sans))
        if usages:
            extensions.append(x509.ExtendedKeyUsage(usages))
        if crl_url is not None:
            point = x509.DistributionPoint(
                [x509.UniformResourceIdentifier(crl_url)], None, None, None
            )
            extensions.append(x509.CRLDistributionPoints([point]))
        made = _sign(
            subject or name_of(common_name),
            self.issued.certificate.subject,
            key,
            self.issued.key,
            issuer_key=self.public_key(),
            extensions=extensions,
            days=days,
        )
        return Issued(made, key, self.issued.chain)

    def server(self, *names: str, days: tuple[int, int] = (-1, 30)) -> Issued:
        """A certificate for a server of these names and addresses."""
        sans = [
            x509.IPAddress(ip_address(name))
            if name[0].isdigit() or ":" in name
            else x509.DNSName(name)
            for name in names
        ]
        return self.issue(names[0], sans=sans, usages=(SERVER,), days=days)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key its certificate says it has."""
        key = self.issued.certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return key

    def pem(self) -> bytes:
        """Its own certificate."""
        return self.issued.certificate.public_bytes(Encoding.PEM)

    def write(self, directory: Path, name: str) -> str:
        """Write its own certificate as `name.pem`; gives the path."""
        path = directory / f"{name}.pem"
        path.write_bytes(self.pem())
        return str(path)

    def revocation_list(
        self, revoked: Sequence[Issued] = (), *, days: tuple[int, int] = (-1, 7)
    ) -> x509.CertificateRevocationList:
        """A list of what it revoked."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.issued.certificate.subject)
            .last_update(NOW + days[0] * DAY)
            .next_update(NOW + days[1] * DAY)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder()
            entry = entry.serial_number(each.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
        return builder.sign(self.issued.key, hashes.SHA256())

    def ocsp_response(
        self, of: Issued, status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    ) -> bytes:
        """What its responder says of a certificate."""
        revoked = NOW - DAY if status is ocsp.OCSPCertStatus.REVOKED else None
        builder = ocsp.OCSPResponseBuilder().add_response(
            of.certificate,
            self.issued.certificate,
            hashes.SHA1(),  # noqa: S303 - names the certificate, signs nothing
            status,
            NOW,
            NOW + DAY,
            revoked,
            None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.issued.certificate)
        return builder.sign(self.issued.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: Key,
    signer: Key,
    *,
    issuer_key: ec.EllipticCurvePublicKey | None = None,
    ca: bool = False,
    extensions: Sequence[x509.ExtensionType] = (),
    days: tuple[int, int] = (-1, 30),
) -> x509.Certificate:
    issuer_key = issuer_key or signer.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if ca:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, hashes.SHA256())


@dataclass(frozen=True)
class Pki:
    """What most tests need: a root, an intermediate below it, and a server of `localhost`."""

    directory: Path
    root: Authority
    intermediate: Authority
    server: Issued

    def path(self, name: str) -> str:
        """A file in the directory of the test."""
        return str(self.directory / name)


@functools.cache
def _authorities() -> tuple[Authority, Authority, Issued]:
    root = Authority.root()
    intermediate = root.intermediate()
    return root, intermediate, intermediate.server("localhost", "127.0.0.1")


def pki(directory: Path) -> Pki:
    """Write `ca.pem`, `server.pem`, `server.key` into a directory."""
    root, intermediate, server = _authorities()
    root.write(directory, "ca")
    server.write(directory, "server")
    return Pki(directory, root, intermediate, server)
