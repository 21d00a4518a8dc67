"""How the benches measure.

Cost is CPU time of the broker: what the scheduler gave to all threads of its process and of the
processes below it, user and system together, between the moment the load begins and the moment the
broker has nothing left to do. It does not depend on how busy the rest of the machine is, as a rate
does. The broker is on one core, the load on another.

All brokers of a question are measured in turn, and the turn begins with another one in each repeat.
A ratio is taken within a repeat; of figures and ratios the median counts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from broker import Recipe, Running

ROOT = Path(__file__).resolve().parent.parent
_CRATE = ROOT / "bench" / "load" / "Cargo.toml"
_TARGET = ROOT / "target" / "bench-load"
_RUN_SECONDS = 180.0
"""A load that takes longer is ended; it counts as failed."""
_QUIET_SHARE = 0.005
"""A broker that uses less than this share of a core has nothing left to do."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Question:
    """What is asked, and what the answer may be at most."""

    name: str
    asks: str
    unit: str
    load: tuple[str, ...]
    """Arguments of the load generator."""
    budget: float
    """The most it may cost: so many times what the base costs, or so many units."""
    absolute: bool = False
    """Whether `budget` counts units."""
    against: str = ""
    """Name of the question whose answer by the base is compared with; empty: of this one."""

    @property
    def limit(self) -> str:
        """The budget in words."""
        return f"{self.budget:g} {self.unit}" if self.absolute else f"{self.budget:g} x base"


@dataclass(frozen=True)
class Sample:
    """One run on one broker."""

    value: float | None
    """The figure asked for; None if the run failed."""
    operations: int
    per_second: float
    p50_us: float | None
    p99_us: float | None
    lost: int
    broker_share: float
    """Of its core, while the load ran."""
    load_share: float
    """Of its core; near 1 the rate says more about the load generator than about the broker."""
    error: str | None = None


@dataclass
class Answer:
    """What one broker answered to one question."""

    question: Question
    broker: str
    version: str
    samples: list[Sample] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """To the base, repeat by repeat."""

    @property
    def values(self) -> list[float]:
        """The figures of the runs that did not fail."""
        return [sample.value for sample in self.samples if sample.value is not None]

    @property
    def value(self) -> float | None:
        """The median figure."""
        return statistics.median(self.values) if self.values else None

    @property
    def ratio(self) -> float | None:
        """The median ratio to the base."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def failed(self) -> list[str]:
        """What went wrong, run by run."""
        return [sample.error for sample in self.samples if sample.error is not None]

    @property
    def within_budget(self) -> bool | None:
        """Whether it costs no more than asked for; None if that cannot be said."""
        figure = self.value if self.question.absolute else self.ratio
        return None if figure is None else figure <= self.question.budget

    def compare(self, base: Answer) -> None:
        """Take the ratios to `base`."""
        self.ratios = [
            mine.value / theirs.value
            for mine, theirs in zip(self.samples, base.samples, strict=True)
            if mine.value is not None and theirs.value
        ]


@dataclass(frozen=True)
class Setup:
    """What all questions share."""

    quick: bool
    repeats: int
    ours: Recipe
    peers: list[Recipe]
    load: Load
    broker_cpu: int
    wanted: Callable[[Question], bool]
    """Whether a question is to be asked."""
    base: str
    """Name of the broker the others are compared with."""

    def running(self, recipe: Recipe) -> Running:
        """Start a broker."""
        return Running(recipe, self.broker_cpu)

    def note(self, question: Question, broker: str, repeat: int, sample: Sample) -> None:
        """Say how far it is."""
        said = sample.error or f"{sample.value:.3f} {question.unit}"
        line = f"{question.name:12} {broker:10} {repeat + 1}/{self.repeats}  {said}"
        print(line, file=sys.stderr, flush=True)


class Load:
    """The load generator of `bench/load`."""

    def __init__(self, cpu: int) -> None:
        self._cpu = cpu
        self._program = _TARGET / "release" / "load"

    def build(self) -> None:
        """Build it.

        Raises:
            CalledProcessError: it cannot be built.
        """
        command = ["cargo", "build", "--release", "--locked", "--quiet"]
        places = ["--manifest-path", str(_CRATE), "--target-dir", str(_TARGET)]
        subprocess.run([*command, *places], check=True)

    def run(
        self, broker: Running, arguments: Sequence[str], figure: Callable[[Meter], float | None]
    ) -> Sample:
        """Put load on a broker; `figure` says what to take from the meter in the end."""
        address = f"127.0.0.1:{broker.port}"
        mode, *options = arguments
        command = ["taskset", "-c", str(self._cpu), str(self._program), mode]
        process = subprocess.Popen(
            [*command, "--address", address, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ender = threading.Timer(_RUN_SECONDS, process.kill)
        ender.start()
        try:
            return _drive(process, broker.pid, figure)
        finally:
            ender.cancel()
            with suppress(BrokenPipeError):
                process.communicate()  # ends its input, and with that the program


@dataclass(frozen=True)
class Meter:
    """What is read before and after a run."""

    report: dict[str, Any]
    """Of the load generator."""
    cpu_us: float
    rss_bytes: int
    """Growth."""


def cpu_per_operation(meter: Meter) -> float | None:
    """Microseconds of CPU for each operation."""
    done: int = meter.report["operations"]
    return meter.cpu_us / done if done else None


def memory_per_operation(meter: Meter) -> float | None:
    """Bytes of growth for each operation."""
    done: int = meter.report["operations"]
    return meter.rss_bytes / done if done else None


def latency_p99(meter: Meter) -> float | None:
    """Microseconds that 99 of 100 operations did not exceed."""
    return meter.report.get("p99_us")


def _drive(
    process: subprocess.Popen[str], pid: int, figure: Callable[[Meter], float | None]
) -> Sample:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the load generator has no pipes")
    first = process.stdout.readline()
    if first.strip() != "ready":
        return _failed(first)
    before, before_load, before_rss = quiet_cpu(pid), cpu_ns(process.pid), rss(pid)
    with suppress(BrokenPipeError):
        process.stdin.write("\n")
        process.stdin.flush()
    line = process.stdout.readline()
    during, load = cpu_ns(pid), cpu_ns(process.pid)
    after = quiet_cpu(pid)
    try:
        report = json.loads(line)
    except ValueError:
        return _failed(line)
    if not report["operations"]:
        return _failed(line)
    meter = Meter(report, (after - before) / 1000, rss(pid) - before_rss)
    elapsed = report["elapsed_s"] or 1e-9
    return Sample(
        value=figure(meter) if report["ok"] else None,
        operations=report["operations"],
        per_second=report["operations"] / elapsed,
        p50_us=report.get("p50_us"),
        p99_us=report.get("p99_us"),
        lost=report["lost"],
        broker_share=(during - before) / 1e9 / elapsed,
        load_share=(load - before_load) / 1e9 / elapsed,
        error=None if report["ok"] else report.get("error", f"{report['lost']} lost"),
    )


def _failed(line: str) -> Sample:
    try:
        error = str(json.loads(line)["error"])
    except (ValueError, KeyError):
        error = f"the load generator ended without an answer: {line.strip()!r}"
    return Sample(None, 0, 0.0, None, None, 0, 0.0, 0.0, error)


def interleaved(
    setup: Setup,
    plan: Mapping[Question, Sequence[Running]],
    figure: Callable[[Meter], float | None] = cpu_per_operation,
) -> list[Answer]:
    """Ask every question of its brokers in turn, `repeats` times."""
    answers = {
        (question.name, broker.name): Answer(question, broker.name, broker.recipe.version)
        for question, brokers in plan.items()
        for broker in brokers
    }
    for repeat in range(setup.repeats):
        for question, brokers in plan.items():
            for broker in rotated(brokers, repeat):
                sample = setup.load.run(broker, question.load, figure)
                answers[question.name, broker.name].samples.append(sample)
                setup.note(question, broker.name, repeat, sample)
    return compared(answers.values(), setup.base)


def rotated(items: Sequence[_T], by: int) -> Iterator[_T]:
    """The items, beginning with another one each time."""
    return (items[(n + by) % len(items)] for n in range(len(items)))


def compared(answers: Iterable[Answer], base: str) -> list[Answer]:
    """The answers, each with its ratios to the base's answer."""
    found = [*answers]
    of_base = {answer.question.name: answer for answer in found if answer.broker == base}
    for answer in found:
        other = of_base.get(answer.question.against or answer.question.name)
        if other is not None:
            answer.compare(other)
    return found


def quiet_cpu(pid: int, patience: float = 5.0) -> int:
    """`cpu_ns` once the process has nothing to do, or has been waited for long enough."""
    step = 0.05
    end = time.monotonic() + patience
    last = cpu_ns(pid)
    while True:
        time.sleep(step)
        now = cpu_ns(pid)
        if now - last < step * 1e9 * _QUIET_SHARE or time.monotonic() > end:
            return now
        last = now


def cpu_ns(pid: int) -> int:
    """Nanoseconds of CPU the process and those below it have had, in all threads they have now."""
    total = 0
    for process in _family(pid):
        for file in Path(f"/proc/{process}/task").glob("*/schedstat"):
            with suppress(OSError):  # it has ended
                total += int(file.read_text().split()[0])
    return total


def rss(pid: int) -> int:
    """Bytes of memory the process and those below it have resident."""
    pages = 0
    for process in _family(pid):
        with suppress(OSError):  # it has ended
            pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _family(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it has ended
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    family = {pid}
    while more := {p for p, parent in parents.items() if parent in family} - family:
        family |= more
    return family
