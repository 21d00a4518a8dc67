"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("support")  # before the first import from there

from support.broker import Start, broker_with  # noqa: E402
from support.certificates import Pki, pki  # noqa: E402


@pytest.fixture(name="broker_with")
def _broker_with() -> Start:
    """Start a broker: `async with broker_with("mqtt.max_inflight = 1") as broker`."""
    return broker_with


@pytest.fixture(name="pki")
def _pki(tmp_path: Path) -> Pki:
    """Certificates in `tmp_path`: `ca.pem`, `server.pem`, `server.key`."""
    return pki(tmp_path)
