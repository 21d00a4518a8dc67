"""Fixtures for the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import RULES, SECURED, Vallum


@pytest.fixture(name="vallum")
def _vallum(tmp_path: Path) -> Vallum:
    """The command, in a directory with `secured.conf` and its `acl.conf`."""
    vallum = Vallum(tmp_path)
    vallum.write("secured.conf", SECURED)
    vallum.write("acl.conf", RULES)
    return vallum
