"""Fixtures for the tests of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.certificates import pki

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def base_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files that configurations in the documentation name."""
    directory = tmp_path_factory.mktemp("documented")
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / "public.pem").write_bytes(pem)
    certificates = pki(directory)
    certificates.server.write(directory, "other")
    return directory
