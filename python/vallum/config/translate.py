"""Pydantic's errors as faults in our words, with their places and suggestions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import AliasChoices, ValidationError
from pydantic_core import ErrorDetails

from vallum.config.hocon import ObjectNode
from vallum.config.hocon.tree import array_index
from vallum.config.models import Context, Section
from vallum.config.models.authentication import AUTHENTICATOR_TAGS
from vallum.config.paths import Step, dotted, locate
from vallum.errors import Fault

_KIND_WORDS = {
    "model_type": "must be an object: { ... }",
    "model_attributes_type": "must be an object: { ... }",
    "dict_type": "must be an object: { ... }",
    "tuple_type": "must be an array: [ ... ]",
    "list_type": "must be an array: [ ... ]",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "missing": "required, but missing",
    "string_too_short": "must not be empty",
}


def faults_of(
    error: ValidationError,
    data: Mapping[str, Any],
    tree: ObjectNode,
    context: Context,
    root: tuple[Step, ...] = (),
) -> list[Fault]:
    """Translate all errors of one validation of `data`, which stands at `root` in `tree`."""
    faults = []
    for detail in error.errors(include_url=False):
        loc = detail["loc"]
        steps: tuple[Step, ...] = tuple(
            step
            for index, step in enumerate(loc)
            if not (step in AUTHENTICATOR_TAGS and index and isinstance(loc[index - 1], int))
        )
        for below, text in _texts(detail, steps, data, context):
            path = (*root, *steps, *below)
            origin = locate(tree, path)
            faults.append(Fault(dotted(path), text, str(origin) if origin else None))
    return faults


def _texts(
    detail: ErrorDetails, steps: tuple[Step, ...], data: Any, context: Context
) -> Iterable[tuple[tuple[Step, ...], str]]:
    kind = detail["type"]
    values = detail.get("ctx", {})
    if kind == "vallum":
        found: list[tuple[tuple[Step, ...], str]] = values["faults"]
        return found
    if kind == "extra_forbidden":
        return [((), _unknown_key(steps, data, context))]
    if kind == "literal_error":
        return [((), _not_one_of(str(values.get("expected", "")), detail.get("input")))]
    if kind in ("greater_than_equal", "greater_than"):
        return [((), f"must be at least {values.get('ge', values.get('gt'))}")]
    if kind in ("less_than_equal", "less_than"):
        return [((), f"must be at most {values.get('le', values.get('lt'))}")]
    return [((), _KIND_WORDS.get(kind, detail["msg"]))]


def _unknown_key(steps: tuple[Step, ...], data: Any, context: Context) -> str:
    key = str(steps[-1])
    model = context.models.get(id(_reach(data, steps[:-1])))
    if model is None or not issubclass(model, Section):
        return "unknown key"
    if key in model.elsewhere:
        return f"cannot be used here: it {model.elsewhere[key]}"
    close = get_close_matches(key, sorted(keys_of(model)), 1, 0.6)
    return f"unknown key; did you mean '{close[0]}'?" if close else "unknown key"


def keys_of(model: type[Section]) -> set[str]:
    """The keys a model accepts, old names included."""
    keys: set[str] = set()
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        if isinstance(alias, AliasChoices):
            keys.update(str(choice) for choice in alias.choices)
        else:
            keys.add(alias if isinstance(alias, str) else name)
    return keys


def _not_one_of(expected: str, given: Any) -> str:
    choices = re.findall(r"'([^']*)'", expected)
    text = f"must be one of {', '.join(choices)}" if len(choices) > 1 else f"must be {choices[0]}"
    close = get_close_matches(given, choices, 1) if isinstance(given, str) else []
    return f"{text}; did you mean '{close[0]}'?" if close else text


def _reach(data: Any, steps: tuple[Step, ...]) -> Any:
    """The raw value at a path, through index maps and single objects written for arrays."""
    for step in steps:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, dict):
            indexed = [v for k, v in data.items() if array_index(k) == int(step) + 1]
            data = indexed[0] if indexed else data
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data
