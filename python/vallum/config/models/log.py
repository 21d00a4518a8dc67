"""`log` (spec/management.md section 3.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from vallum.config.models.section import Section
from vallum.config.models.types import Bool, BytesizeOrInfinity, Duration, Int, Text

Level = Literal[
    "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency", "all", "none"
]


class LogHandler(Section):
    """What console and file have."""

    level: Level = "warning"
    """Least severe messages written."""
    enable: Bool | None = None
    """Whether it writes; None: console only."""
    formatter: Literal["text", "json"] = "text"
    """Form of a line."""
    timestamp_format: Literal["auto", "epoch", "rfc3339"] = "auto"
    """Form of the time."""
    time_offset: Text = "system"
    """Time zone."""
    payload_encode: Literal["text", "hex", "hidden"] = "text"
    """Form of payloads."""


class FileHandler(LogHandler):
    """`log.file`."""

    path: Text = Field(default="log/vallum.log", validation_alias=AliasChoices("path", "to"))
    """The file."""
    rotation_count: Int = Field(default=10, ge=1, le=128)
    """Old files kept."""
    rotation_size: BytesizeOrInfinity = 50 * 1024 * 1024
    """Bytes of one."""


class Audit(FileHandler):
    """`log.audit`: what administrators did."""

    cache_size: Int = Field(
        default=5000,
        ge=10,
        le=30000,
        validation_alias=AliasChoices("cache_size", "max_filter_size"),
    )
    """Entries that can be asked for."""
    ignore_high_frequency_request: Bool = True
    """Leave out what monitoring asks."""


class Throttling(Section):
    """`log.throttling`."""

    time_window: Duration = timedelta(minutes=1)
    """A message of one kind is written once in this time."""


class Log(Section):
    """`log`: where messages go."""

    console: LogHandler = Field(default_factory=LogHandler)
    """Standard error."""
    file: dict[str, FileHandler] = Field(default_factory=dict)
    """Files, by name."""
    audit: Audit = Field(default_factory=Audit)
    """What administrators did."""
    throttling: Throttling = Field(default_factory=Throttling)
    """Against floods."""

    @model_validator(mode="before")
    @classmethod
    def _single_file(cls, data: Any) -> Any:
        """`log.file` may be one handler instead of a map of them."""
        if isinstance(data, dict) and isinstance(data.get("file"), dict):
            file = data["file"]
            if file and not all(isinstance(value, dict) for value in file.values()):
                return {**data, "file": {"default": file}}
        return data
