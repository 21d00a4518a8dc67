"""Compare Vallum with the brokers found on this machine: `make bench [ARGS="--quick"]`.

Writes a table to standard output and everything that was measured to `bench/results/`. Each
question and its method stand in a file of their own: `connect.py`, `pubsub.py`, `idle.py`. How the
figures come about is told in `measure.py`, on what terms the peers run in `peers.py`.

Exit status: 0 every run was good, 1 something was lost, wrong or refused, 2 it could not be run.
A budget that is missed is shown and changes nothing here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import connect
import idle
import ours
import peers
import pubsub
from measure import ROOT, Answer, Load, Question, Setup

FILES = {"connect": connect, "pubsub": pubsub, "idle": idle}
FILES_NEEDED = 10_500
"""Each of 10,000 idle connections is a descriptor at either end, and there are some others."""
BUSY = 0.7
"""A load average above which the table says so."""
NAMES = sorted({*FILES, *(name for file in FILES.values() for name in file.NAMES)})


def main() -> int:
    options = _options()
    cpus = sorted(os.sched_getaffinity(0))
    load = Load(cpus[-1])
    try:
        _prepare()
        load.build()
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2

    only = set(options.only or NAMES)

    def wanted(question: Question) -> bool:
        return question.name in only or bool(only & _files_of(question.name))

    setup = Setup(
        quick=options.quick,
        repeats=options.repeats or (3 if options.quick else 7),
        ours=ours.open_to_all(),
        peers=[each for each in peers.found() if each.name in (options.peers or [each.name])],
        load=load,
        broker_cpu=cpus[0],
        wanted=wanted,
        base=peers.BASE,
    )
    answers: list[Answer] = []
    about = _about(setup, cpus)
    for name, file in FILES.items():
        if only & {name, *file.NAMES}:
            answers += file.answers(setup)
    _print(about, answers)
    print(f"\n{_write(options.out, about, answers)}")
    return 1 if any(answer.failed for answer in answers) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="short runs, three of each")
    parser.add_argument("--only", action="append", choices=NAMES, help="ask only this; repeatable")
    parser.add_argument("--peers", nargs="*", metavar="NAME", help="only these, if they are found")
    parser.add_argument("--repeats", type=int, help="runs of each (7; quick: 3)")
    parser.add_argument("--out", type=Path, help="file for the results instead of bench/results")
    return parser.parse_args()


def _files_of(question: str) -> set[str]:
    return {name for name, file in FILES.items() if question in file.NAMES}


def _prepare() -> None:
    """Raise the limit of open files; see that all programs are there.

    Raises:
        RuntimeError: something is missing.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < FILES_NEEDED:
        raise RuntimeError(f"{FILES_NEEDED} open files are needed, {hard} are allowed")
    if shutil.which("taskset") is None:
        raise RuntimeError("taskset is needed (util-linux)")
    ours.check_installed()


def _about(setup: Setup, cpus: list[int]) -> dict[str, Any]:
    """What the figures hang on."""
    model = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["bench/run.py", *sys.argv[1:]]),
        "commit": _git("rev-parse", "HEAD") + (" and changes" if _git("status", "-s") else ""),
        "machine": {
            "cpu": model[0].partition(":")[2].strip() if model else platform.machine(),
            "cores": os.cpu_count(),
            "memory": memory[0].partition(":")[2].strip() if memory else "",
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "pinned": {"brokers": cpus[0], "load": cpus[-1]},
        "brokers": {each.name: each.version for each in [setup.ours, *setup.peers]},
        "load_average": round(os.getloadavg()[0], 2),
        "quick": setup.quick,
        "repeats": setup.repeats,
    }


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text().splitlines()
    except OSError:
        return []


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or ("unknown" if done.returncode else "")


def _print(about: dict[str, Any], answers: Iterable[Answer]) -> None:
    machine, pinned = about["machine"], about["pinned"]
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}")
    versions = ", ".join(f"{name} {version}" for name, version in about["brokers"].items())
    print(f"{versions}; commit {about['commit']}; {about['date']}")
    print(f"{about['command']}; runs of each: {about['repeats']}, the median counts")
    if about["load_average"] > BUSY:
        print(
            f"The machine was not idle (load average {about['load_average']} at the start):"
            " a broker that is interrupted pays for cold caches, most of all where nothing can"
            " be batched, and latencies say little."
        )
    if pinned["brokers"] == pinned["load"]:
        print("Broker and load share the only core: take the rates with care.")
    for question, group in groupby(answers, key=lambda answer: answer.question):
        print(f"\n{question.name}: {question.asks} (budget: {question.limit})")
        print(_row("", question.unit, "lowest", "highest", "x base", "per s", "p99 us", "load %"))
        for answer in group:
            print(_answer_row(answer))
            for error in answer.failed:
                print(f"    failed: {error}")


def _answer_row(answer: Answer) -> str:
    values = answer.values
    if not values:
        return _row(answer.broker, *["-"] * 7)
    good = [sample for sample in answer.samples if sample.value is not None]
    rate = statistics.median(sample.per_second for sample in good)
    share = statistics.median(sample.load_share for sample in good)
    p99 = [sample.p99_us for sample in good if sample.p99_us is not None]
    verdict = {True: "within budget", False: "OVER BUDGET", None: ""}[answer.within_budget]
    return _row(
        answer.broker,
        _figure(answer.value),
        _figure(min(values)),
        _figure(max(values)),
        "-" if answer.ratio is None else f"{answer.ratio:.3f}",
        f"{rate:,.0f}",
        _figure(statistics.median(p99) if p99 else None),
        f"{100 * share:.0f}",
        verdict if answer.broker == "vallum" else "",
    )


def _row(name: str, *cells: str) -> str:
    return f"  {name:10}" + "".join(f"{cell:>12}" for cell in cells[:7]) + "  " + "".join(cells[7:])


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _write(out: Path | None, about: dict[str, Any], answers: list[Answer]) -> Path:
    if out is None:
        stamp = about["date"].partition("+")[0].replace(":", "")
        out = ROOT / "bench" / "results" / f"{stamp}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    found = [
        asdict(answer)
        | {"median": answer.value, "ratio": answer.ratio, "within_budget": answer.within_budget}
        for answer in answers
    ]
    out.write_text(json.dumps({**about, "answers": found}, indent=1) + "\n")
    return out


if __name__ == "__main__":
    sys.exit(main())
