"""`node`: of the machine; all but the data directory belongs to the reference's run-time system."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from vallum.config.models.section import Section
from vallum.config.models.types import Text

NodeName = Annotated[Text, Field(min_length=1, max_length=255, pattern=r"^[^\s/+#\x00-\x1f]+$")]


class Node(Section):
    """`node`: keys other than these are accepted and mean nothing."""

    model_config = ConfigDict(extra="ignore")

    name: NodeName = "vallum@127.0.0.1"
    """Name of this broker, in the topics below `$SYS/brokers/NAME/`."""
    data_dir: Text | None = None
    """Where sessions and generated secrets are kept; None: as the command says."""
