"""Access rules by themselves: the text of an `acl.conf`, or a preset from a token.

`Rules` is the stage the broker runs, not a model of it (spec/authorization.md).
"""

from vallum._core import Rules
from vallum.errors import AclError

__all__ = ["AclError", "Rules"]
