"""What all models share: strict keys, frozen values, and the context they are checked in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

Profile = Literal["hardened", "legacy"]

_LEADING_ENV = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


@dataclass(slots=True)
class Context:
    """Passed to every validator: what a text means depends on where and how it is loaded."""

    profile: Profile = "hardened"
    base_dir: Path = field(default_factory=Path)
    """Directory of the configuration file; relative paths start here."""
    env: Mapping[str, str] = field(default_factory=dict)
    models: dict[int, type[BaseModel]] = field(default_factory=dict)
    """Which model was tried on which object (by identity), for suggesting names of keys."""

    def path(self, text: str) -> Path:
        """Turn a path option into a path: `$NAME/...` and `${NAME}/...` expanded, made absolute.

        An unset `EMQX_ETC_DIR` stands for the directory of the configuration file; any other
        unset name is left as it is (spec/management.md section 1.2).
        """
        found = _LEADING_ENV.match(text)
        if found:
            name = found[1] or found[2]
            value = self.env.get(name)
            if value is None and name in ("EMQX_ETC_DIR", "VALLUM_ETC_DIR"):
                value = str(self.base_dir)
            if value is not None:
                text = value + text[found.end() :]
        return Path(os.path.abspath(self.base_dir / text))


def context_of(info: ValidationInfo) -> Context:
    """The context of this validation; outside a configuration file, the defaults."""
    return info.context if isinstance(info.context, Context) else Context()


class Section(BaseModel):
    """An object of the configuration. Unknown keys are faults; values never change."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    elsewhere: ClassVar[dict[str, str]] = {}
    """Keys that are refused here with better advice than a similar name."""

    @model_validator(mode="before")
    @classmethod
    def _remember(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, dict) and isinstance(info.context, Context):
            info.context.models[id(data)] = cls
        return data

    @classmethod
    def check(cls, data: Mapping[str, Any], context: Context | None = None) -> Self:
        """Validate `data`; raises pydantic's `ValidationError`."""
        return cls.model_validate(data, context=context or Context())


def problems(found: Iterable[tuple[tuple[str | int, ...], str]]) -> PydanticCustomError:
    """An error for several faults at once, each with its place below the value being checked."""
    return PydanticCustomError("vallum", "faults", {"faults": list(found)})


def problem(text: str, *at: str | int) -> PydanticCustomError:
    """An error for one fault, `at` a place below the value being checked."""
    return problems([(at, text)])
