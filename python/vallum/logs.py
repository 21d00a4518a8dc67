"""Log lines on standard error: `key=value` for people, or one JSON object a line for machines.

Everything in a line may come from a client, so nothing is written raw: control characters and line
ends are escaped, values with blanks are quoted, and whatever looks like a token is masked.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

from vallum._printable import escaped, masked

if TYPE_CHECKING:
    from vallum.config.models.log import LogHandler

Format = Literal["console", "json"]

_LEVELS = {
    "all": logging.NOTSET + 1,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": logging.INFO + 5,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "alert": logging.CRITICAL + 5,
    "emergency": logging.CRITICAL + 10,
    "none": logging.CRITICAL + 20,
}
_COLORS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


def setup(
    handler: LogHandler | None = None, *, format: Format | None = None, stream: TextIO | None = None
) -> None:
    """Write log lines of this program, and of the libraries it uses, to a stream.

    Args:
        handler: `log.console` of the configuration; None: warnings, as text.
        format: overrides the handler's `formatter`.
        stream: standard error if None.
    """
    stream = stream or sys.stderr
    level, epoch = _LEVELS["warning"], False
    if handler is not None:
        level = _LEVELS["none" if handler.enable is False else handler.level]
        epoch = handler.timestamp_format == "epoch"
        format = format or ("json" if handler.formatter == "json" else "console")
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt=None if epoch else "iso", utc=True),
    ]
    renderer: structlog.typing.Processor = _json if format == "json" else _Console(_colors(stream))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a reload may change all of this
    )
    output = logging.StreamHandler(stream)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _mask,
                renderer,
            ],
        )
    )
    logging.raiseExceptions = False  # a closed standard error is no reason to stop serving
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level)


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: masked(value) if isinstance(value, str) else value for key, value in event.items()}


def _json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return json.dumps(event, default=str)


class _Console:
    """`TIME LEVEL EVENT key=value ...`, as one line but for tracebacks."""

    def __init__(self, colors: bool) -> None:
        self._colors = colors

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        fields = dict(event)
        time, level = str(fields.pop("timestamp", "")), str(fields.pop("level", ""))
        name, exception = str(fields.pop("event", "")), fields.pop("exception", None)
        head = [self._colored("2", time), self._colored(_COLORS.get(level, ""), f"{level:7}")]
        pairs = [f"{key}={_value(value)}" for key, value in fields.items()]
        line = " ".join([*head, self._colored("1", escaped(name)), *pairs])
        if exception is None:
            return line
        return "\n    ".join([line, *map(escaped, str(exception).splitlines())])

    def _colored(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._colors and color else text


def _value(value: Any) -> str:
    """A value of `key=value`; quoted where a reader could not tell its end."""
    text = escaped(str(value))
    if text and not any(c.isspace() or c in '"=' for c in text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _colors(stream: TextIO) -> bool:
    """NO_COLOR, if not empty, means none (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
