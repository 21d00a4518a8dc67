r"""Expressions written with a doubled backslash where nothing is unescaped (`docs/design.md` 9).

In a triple-quoted text a backslash is literal, so the pattern `(^|\\s)` printed in one would look
for a backslash. What is meant is clear: in an expression option, `\\s` (likewise `\\d \\w \\b` and
their capitals) within a string of the expression is read as the class, with a warning that shows
the text to write. The expression engine itself stays exact.
"""

from __future__ import annotations

import re

from vallum.config.hocon import ObjectNode, ScalarNode
from vallum.config.hocon.source import Report
from vallum.config.hocon.tree import walk
from vallum.config.paths import Step, dotted, locate

_OPTIONS = frozenset({"expression", "clientid_override", "precondition", "is_match"})
_ROOTS = ("mqtt", "authentication", "authorization", "listeners", "zones")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_DOUBLED = re.compile(r"(?<!\\)\\\\(?=[sSdDwWbB])")


def set_right(tree: ObjectNode, report: Report) -> None:
    """Correct the expression options of a whole configuration in place."""
    for root in _ROOTS:
        if root not in tree.fields:
            continue
        for path, node in walk(tree.fields[root], (root,)):
            if isinstance(node, ScalarNode) and isinstance(node.value, str) and _is_option(path):
                _correct(tree, path, node, node.value, report)


def undoubled(text: str) -> str:
    """The expression with the doubled backslashes of its strings made single."""
    return _STRING.sub(lambda string: _DOUBLED.sub(r"\\", string[0]), text)


def _is_option(path: tuple[Step, ...]) -> bool:
    if path[-1] in _OPTIONS:
        return True
    # is_match may be an array, or an object of indices
    return len(path) > 1 and path[-2] == "is_match"


def _correct(
    tree: ObjectNode, path: tuple[Step, ...], node: ScalarNode, text: str, report: Report
) -> None:
    corrected = undoubled(text)
    if corrected == text:
        return
    node.value = node.raw = corrected
    report.warn(
        "a doubled backslash before a class such as \\s means a literal backslash here; it is read"
        f' as a single one: write """{corrected}"""',
        locate(tree, path),
        dotted(path),
    )
