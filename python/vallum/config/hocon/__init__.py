"""HOCON text to a tree that knows where every value came from.

The dialect is that of spec/management.md sections 1.1 to 1.3, read a little more kindly: an
unquoted address, path or decimal duration is taken as the text it plainly is. The stages:

- `source`    a text and its line numbers; reading files within bounds
- `scanner`   text to tokens
- `parser`    tokens to expressions (`syntax`), with includes put in place
- `resolver`  expressions to the `tree`: merging, dotted keys, `${substitutions}`
- `reader`    the entry points, which run all of it and report every fault at once
"""

from vallum.config.hocon.reader import read_file, read_text, read_value
from vallum.config.hocon.source import MAX_BYTES, MAX_DEPTH, Origin
from vallum.config.hocon.tree import ArrayNode, Node, ObjectNode, ScalarNode, plain

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "ArrayNode",
    "Node",
    "ObjectNode",
    "Origin",
    "ScalarNode",
    "plain",
    "read_file",
    "read_text",
    "read_value",
]
