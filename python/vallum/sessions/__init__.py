"""Session lifecycle: what happens to sessions as time passes."""

from vallum.sessions.timers import SessionTimers

__all__ = ["SessionTimers"]
