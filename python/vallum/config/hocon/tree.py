"""The result of reading: objects, arrays and scalars, each with its place.

Nodes are made by the resolver and changed only while layers are laid over each other (`merge`,
environment overrides, expression texts set right); afterwards they are read only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from vallum.config.hocon.source import Origin

Form = Literal["bare", "quoted", "triple"]
Scalar = str | int | float | bool | None


@dataclass(slots=True)
class ScalarNode:
    """A text, number, boolean or null."""

    value: Scalar
    raw: str
    """As written, quotes and escapes undone."""
    form: Form
    origin: Origin


@dataclass(slots=True)
class ArrayNode:
    """An ordered list."""

    items: list[Node]
    origin: Origin


@dataclass(slots=True)
class ObjectNode:
    """Named fields, in the order in which their names first appeared."""

    fields: dict[str, Node]
    origin: Origin
    key_origins: dict[str, Origin] = field(default_factory=dict)
    """Where each name was last written."""


Node = ScalarNode | ArrayNode | ObjectNode


def merge(base: Node | None, over: Node, problems: list[tuple[Origin, str]]) -> Node:
    """Lay `over` on `base`: objects merge, indices are laid over an array, all else replaces.

    `base` may be changed and must not be used afterwards. Faults of indices go to `problems`.
    """
    if isinstance(base, ObjectNode) and isinstance(over, ObjectNode):
        for key, value in over.fields.items():
            base.fields[key] = merge(base.fields.get(key), value, problems)
            base.key_origins[key] = over.key_origins.get(key, value.origin)
        return base
    if isinstance(base, ArrayNode) and isinstance(over, ObjectNode) and over.fields:
        for key, value in over.fields.items():
            index = array_index(key)
            if index is None or index > len(base.items) + 1:
                advice = "indices count from 1 and leave no gap"
                if len(base.items) >= 9:
                    advice += "; environment variables are applied in the order of their names:"
                    advice += " pad with zeros (02, 10)"
                where = over.key_origins.get(key, value.origin)
                problems.append(
                    (where, f"no element {key} in an array of {len(base.items)}: {advice}")
                )
            elif index == len(base.items) + 1:
                base.items.append(value)
            else:
                base.items[index - 1] = merge(base.items[index - 1], value, problems)
        return base
    return over


def array_index(key: str) -> int | None:
    """The 1-based index that a key such as `2` or `02` stands for; None if it is another name."""
    if key.isascii() and key.isdigit() and len(key) <= 6 and int(key) > 0:
        return int(key)
    return None


def plain(node: Node) -> Any:
    """Turn a tree into dicts, lists and scalars; null fields are left out (section 1.1)."""
    if isinstance(node, ObjectNode):
        return {
            key: plain(value)
            for key, value in node.fields.items()
            if not (isinstance(value, ScalarNode) and value.value is None)
        }
    if isinstance(node, ArrayNode):
        return [plain(item) for item in node.items]
    return node.value


def child(node: Node, step: str | int) -> Node | None:
    """The field or element (from 0) `step`; index maps and single objects count as arrays."""
    if isinstance(node, ArrayNode):
        index = step if isinstance(step, int) else (array_index(step) or 0) - 1
        return node.items[index] if 0 <= index < len(node.items) else None
    if isinstance(node, ObjectNode):
        if isinstance(step, str):
            return node.fields.get(step)
        for key, value in node.fields.items():
            if array_index(key) == step + 1:
                return value
        return node if step == 0 else None
    return node if step == 0 else None


def walk(
    node: Node, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Node]]:
    """All nodes with their paths, parents first."""
    yield path, node
    if isinstance(node, ObjectNode):
        for key, value in node.fields.items():
            yield from walk(value, (*path, key))
    elif isinstance(node, ArrayNode):
        for index, item in enumerate(node.items):
            yield from walk(item, (*path, index))
