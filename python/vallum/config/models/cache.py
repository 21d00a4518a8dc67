"""`node_cache`, which authentication and authorization have alike."""

from __future__ import annotations

from datetime import timedelta

from vallum.config.models.section import Section
from vallum.config.models.types import Bool, BytesizeOrUnlimited, Duration, IntOrUnlimited


class NodeCache(Section):
    """A cache of what backends answered (spec/authentication.md section 6)."""

    enable: Bool = True
    """Whether answers are kept."""
    cache_ttl: Duration = timedelta(minutes=1)
    """How long."""
    max_count: IntOrUnlimited = 1_000_000
    """Answers kept; None: without bound."""
    max_memory: BytesizeOrUnlimited = 100 * 1024 * 1024
    """Bytes kept; None: without bound."""
    cleanup_interval: Duration = timedelta(minutes=1)
    """Time between sweeps."""
    stat_update_interval: Duration = timedelta(seconds=5)
    """Time between counts."""
