"""The broker as a program: from a configuration to an exit code.

Standard output says what it does (a `listening` line per listener, `reloaded`, `stopped`), standard
error is the log. SIGTERM and SIGINT stop it, telling every client; a second one does not wait.
SIGHUP reloads the configuration; one that cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
import json as json_text
import os
import resource
import shlex
import signal
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import structlog
import uvloop

from vallum import embedded, jwt, logs
from vallum.broker import Broker
from vallum.cli.output import NO, USAGE, complain, print_faults
from vallum.config import Config, load
from vallum.errors import BrokerError, ConfigError, Fault

log = structlog.stdlib.get_logger("vallum")

HINT_LIFETIME = 24 * 3600
"""Seconds the tokens in the printed commands live: the day somebody spends on trying things."""
SUBSCRIBER, PUBLISHER = "demo-sub", "demo-pub"
"""Client identifiers in the printed commands."""


class Answers:
    """What the program says on standard output; when nobody reads it any more, nothing."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, text: str, event: str, **members: Any) -> None:
        """Print the text; for machines the event and its members instead."""
        line = json_text.dumps({"event": event, **members}) if self._as_json else text
        try:
            print(line, flush=True)
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open to the end


class Program:
    """One run of the broker, from configuration to exit code."""

    def __init__(
        self,
        *,
        file: Path | None,
        data_dir: Path,
        anonymous: bool,
        loops: int,
        log_format: logs.Format | None,
        answers: Answers,
    ) -> None:
        self._file = file
        self._data_dir = data_dir
        self._anonymous = anonymous
        self._loops = loops
        self._log_format = log_format
        self._json_lines = log_format == "json"
        self._answers = answers
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Event()

    def run(self) -> int:
        """Run until told to stop; the exit code."""
        logs.setup(format=self._log_format)
        _raise_open_files()
        try:
            config = self._read()
            self._set_up_log(config)
            self._warn(config)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(self._serve(config))
        except ConfigError as error:
            self._complain(error.faults)
        except BrokerError as error:
            self._complain([Fault("", _explained(str(error)))])
        return USAGE

    def _read(self) -> Config:
        if self._file is not None:
            return load(self._file)
        if self._anonymous:
            return embedded.anonymous_config()
        embedded.ensure_secret(self._data_dir)
        return embedded.config(self._data_dir)

    async def _serve(self, config: Config) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._reloading.set)
        async with Broker(config, loops=self._loops) as broker:
            for listener in broker.listeners.values():
                self._answers.say(
                    f"listening {listener}",
                    "listening",
                    id=listener.id,
                    host=listener.host,
                    port=listener.port,
                )
            self._show_commands(broker)
            waiting = [
                asyncio.create_task(self._stopping.wait()),
                asyncio.create_task(broker.failed.wait()),
                asyncio.create_task(self._reload_when_told(broker)),
            ]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()
            failed = broker.failed.is_set()
        if failed:
            complain("vallum: an event loop of the broker ended; the log says why")
            return NO
        self._answers.say("stopped", "stopped")
        return 0

    def _on_stop(self, number: signal.Signals) -> None:
        if self._stopping.is_set():  # told twice: end like a program that handles no signals
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._stopping.set()

    # -- reload -------------------------------------------------------------------------------

    async def _reload_when_told(self, broker: Broker) -> None:
        while True:
            await self._reloading.wait()
            self._reloading.clear()
            await self._reload(broker)

    async def _reload(self, broker: Broker) -> None:
        try:
            config = await asyncio.to_thread(self._read)  # clients are not kept waiting for a disk
            needs_restart = broker.reload(config)
            await broker.reload_certificates()
        except (ConfigError, BrokerError) as error:
            faults = error.faults if isinstance(error, ConfigError) else [Fault("", str(error))]
            log.error("reload_refused", problem="the configuration in force stays", n=len(faults))
            self._complain(faults)
            return
        except Exception:  # a fault of ours; the broker is not stopped by it
            log.exception("reload_failed")
            return
        self._set_up_log(config)
        self._warn(config)
        if needs_restart:
            log.warning(
                "restart_needed",
                roots=",".join(needs_restart),
                problem="these differ and stay as they were until the broker is started anew",
            )
        name = str(self._file) if self._file is not None else "the embedded default"
        self._answers.say(f"reloaded {name}", "reloaded", needs_restart=needs_restart)

    def _set_up_log(self, config: Config) -> None:
        console = config.log.console
        logs.setup(console, format=self._log_format)
        self._json_lines = (self._log_format or console.formatter) == "json"

    # -- talk ---------------------------------------------------------------------------------

    def _warn(self, config: Config) -> None:
        warnings = list(config.warnings)
        if self._anonymous:
            problem = "everybody on this machine is let in and may do nearly everything"
            warnings.append(Fault("", problem, "--anonymous"))
        self._tell("warning", warnings)

    def _complain(self, faults: Iterable[Fault]) -> None:
        self._tell("error", faults)

    def _tell(self, level: Literal["warning", "error"], faults: Iterable[Fault]) -> None:
        """Faults as they are for people, as log lines for machines.

        They are about the log too, so the level it is set to does not hold them back.
        """
        if not self._json_lines:
            print_faults(faults, "warning: " if level == "warning" else "")
            return
        for fault in faults:
            line = {"level": level, "event": f"config_{level}", "timestamp": _now()}
            place = {"origin": fault.origin, "path": fault.path, "problem": fault.problem}
            complain(json_text.dumps({**line, **place}))

    def _show_commands(self, broker: Broker) -> None:
        """For the embedded default: commands that work as they stand."""
        listener = broker.listeners.get("tcp:default")
        if self._file is not None or listener is None:
            return
        address = ["-h", listener.host, "-p", str(listener.port)]
        data_dir = ["--data-dir", os.path.abspath(self._data_dir)]
        who: dict[str, list[str]] = {
            client: ["-i", client, *self._credentials(client)] for client in (SUBSCRIBER, PUBLISHER)
        }
        commands = {
            "subscribe": ["mosquitto_sub", *address, *who[SUBSCRIBER], "-t", "demo/#", "-v"],
            "publish": [
                *["mosquitto_pub", *address, *who[PUBLISHER], "-q", "1"],
                *["-t", "demo/hello", "-m", "hello"],
            ],
        }
        titles = {
            "subscribe": "Listen:",
            "publish": "Say something, from another terminal:",
            "mint": "A token for a client of your own:",
            "explain": "Why another client may not use it:",
        }
        if not self._anonymous:
            commands["mint"] = ["vallum", "token", "mint", *data_dir, "--sub", "my-client"]
        shown = {name: shlex.join(command) for name, command in commands.items()}
        if not self._anonymous:
            explain = ["vallum", "explain", "connect", *data_dir, "--clientid", "another-client"]
            shown["explain"] = f"{shown['mint']} | {shlex.join(explain)} --password-file -"
        text = "".join(f"\n{titles[name]}\n  {command}\n" for name, command in shown.items())
        self._answers.say(text, "commands", **shown)

    def _credentials(self, client: str) -> list[str]:
        if self._anonymous:
            return []
        claims = {"sub": client, "exp": int(time.time()) + HINT_LIFETIME}
        token = jwt.mint(claims, embedded.read_secret(self._data_dir))
        # MQTT 3.1.1 has no password without a user name (section 3.1.2.9).
        return ["-u", client, "-P", token]


def _explained(problem: str) -> str:
    """What the system says about a listener, with what to do about it."""
    if "Address already in use" in problem:
        return f"{problem}; stop what listens there, or choose another port"
    if "Permission denied" in problem:
        return f"{problem}; ports below 1024 need a privilege"
    return problem


def _raise_open_files() -> None:
    """A connection is a file: allow as many as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):
        return  # the limit stays as it was, and accepting stops there


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
