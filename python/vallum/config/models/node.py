"""`node`: of the machine; all but the data directory belongs to the reference's run-time system."""

from __future__ import annotations

from pydantic import ConfigDict

from vallum.config.models.section import Section
from vallum.config.models.types import Text


class Node(Section):
    """`node`: keys other than `data_dir` are accepted and mean nothing."""

    model_config = ConfigDict(extra="ignore")

    data_dir: Text | None = None
    """Where sessions and generated secrets are kept; None: as the command says."""
