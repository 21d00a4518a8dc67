"""The one bound on every wait of these tests: a hang becomes a failure, never a stuck run."""

SECONDS = 10.0
"""Far above what a loaded machine needs, so that reaching it means a fault."""
