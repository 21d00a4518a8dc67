"""Log lines: one event a line, whatever is in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from vallum import logs
from vallum.config.models.log import LogHandler

log = structlog.stdlib.get_logger("test")
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising
    structlog.reset_defaults()


def written(handler: LogHandler | None = None, **options: object) -> io.StringIO:
    stream = io.StringIO()
    logs.setup(handler, stream=stream, **options)  # type: ignore[arg-type]
    return stream


def test_console_line() -> None:
    stream = written()
    log.warning("refused", clientid="c 1", stage="jwt", reason="expired", code=None)
    time, rest = stream.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == 'warning refused clientid="c 1" stage=jwt reason=expired code=None\n'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a/+/#", "a/+/#"),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('a"b', '"a\\"b"'),
        ("a\nb", "a\\nb"),
        ("\u2028\x9b", "\\u2028\\u009b"),
        ("é", "é"),
        (17, "17"),
    ],
)
def test_values(value: object, shown: str) -> None:
    stream = written()
    log.warning("e", value=value)
    assert stream.getvalue().endswith(f" e value={shown}\n")


@pytest.mark.parametrize("format", ["console", "json"])
def test_tokens_are_masked(format: str) -> None:
    stream = written(format=format)
    log.warning("refused", username=TOKEN, detail=f"<{TOKEN}>")
    logging.getLogger("library").warning("cannot use %s", TOKEN)
    assert "eyJ" not in stream.getvalue()
    assert "c2lnbmF0dXJl" not in stream.getvalue()
    assert stream.getvalue().count("******") == 3


def test_libraries_and_tracebacks() -> None:
    stream = written(format="json")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("library").exception("it %s", "failed")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"]) == ("it failed", "error")
    assert "ValueError: why" in line["exception"]
    stream = written()
    log.error("failed", exc_info=ValueError("why"))
    assert "\n    ValueError: why" in stream.getvalue()


def test_level_of_the_configuration() -> None:
    stream = written(LogHandler(level="error"))
    log.warning("quiet")
    log.error("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()
    stream = written(LogHandler(enable=False))
    log.critical("nothing")
    assert stream.getvalue() == ""
    stream = written(LogHandler(level="debug"))
    log.debug("detail")
    assert "detail" in stream.getvalue()


def test_format_and_time_of_the_configuration() -> None:
    stream = written(LogHandler(formatter="json", timestamp_format="epoch"))
    log.warning("e")
    assert isinstance(json.loads(stream.getvalue())["timestamp"], float)
    stream = written(LogHandler(formatter="json"), format="console")
    log.warning("e")
    assert "warning e" in stream.getvalue()


def test_colors_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    logs.setup(stream=terminal)
    log.warning("e", a="b")
    assert "\x1b[33m" in terminal.getvalue()
    assert "a=b" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    logs.setup(stream=terminal)
    log.warning("e", a="b")
    assert "\x1b" not in terminal.getvalue()


def test_closed_stream_does_not_matter() -> None:
    stream = written()
    stream.close()
    log.warning("e")
