"""Dotted paths of options, `authentication[0].checks[1].result`, and the places they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vallum.config.hocon import ArrayNode, Node, ObjectNode, Origin
from vallum.config.hocon.tree import child

Step = str | int
_STEP = re.compile(r'\.?"((?:[^"\\]|\\.)*)"|\.?([^.\[\]"]+)|\[([0-9]{1,9})\]')
_PLAIN_KEY = re.compile(r'[^.\[\]"\s]+')


def dotted(steps: Sequence[Step]) -> str:
    """Write a path; a key that is no plain word is put in double quotes."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        if not _PLAIN_KEY.fullmatch(step):
            escaped = step.replace("\\", "\\\\").replace('"', '\\"')
            step = f'"{escaped}"'
        text += f".{step}" if text else step
    return text


def parse(path: str) -> tuple[Step, ...]:
    """Read a path; what is not understood ends it."""
    steps: list[Step] = []
    at = 0
    while found := _STEP.match(path, at):
        if found[3] is not None:
            steps.append(int(found[3]))
        elif found[1] is not None:
            steps.append(re.sub(r"\\(.)", r"\1", found[1]))
        else:
            steps.append(found[2])
        at = found.end()
    return tuple(steps)


def locate(tree: Node, steps: Sequence[Step]) -> Origin | None:
    """Where an option was written, or else the innermost thing around it; None: nothing was."""
    origin = None
    node = tree
    for step in steps:
        if isinstance(node, ObjectNode) and isinstance(step, str) and step in node.fields:
            origin = node.key_origins.get(step, node.fields[step].origin)
            node = node.fields[step]
            continue
        inner = child(node, step)
        if inner is None:
            break
        if inner is not node:
            origin, node = inner.origin, inner
    return origin


def find(tree: Node, pattern: Sequence[str]) -> Iterator[tuple[Step, ...]]:
    """Paths of what matches `pattern`, whose `*` stands for any key or index."""
    if not pattern:
        yield ()
        return
    head, *rest = pattern
    if isinstance(tree, ArrayNode):
        inner: list[tuple[Step, Node]] = list(enumerate(tree.items)) if head == "*" else []
    elif isinstance(tree, ObjectNode):
        inner = [(key, node) for key, node in tree.fields.items() if head in ("*", key)]
    else:
        inner = []
    for step, node in inner:
        for tail in find(node, rest):
            yield (step, *tail)
