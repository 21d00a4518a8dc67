"""Fixtures for all tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("support")  # before the first import from there

from support.broker import Start, broker_with  # noqa: E402


@pytest.fixture(name="broker_with")
def _broker_with() -> Start:
    """Start a broker: `async with broker_with("mqtt.max_inflight = 1") as broker`."""
    return broker_with
