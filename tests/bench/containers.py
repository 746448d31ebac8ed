"""
What a call costs in a container, next to the same under ``run``: makes the tables of containers in docs/performance.md.

What it is not: a test of single absolute times, but for the one bound that is one.  The containers are programs with
a filter that hand their listeners over as runtimes do; what a runtime does before that is not measured.

    python -m tests.bench.containers            print the tables
    python -m tests.bench.containers --write    and put them into docs/performance.md
    python -m tests.bench.containers --check    and fail where a bound does not hold
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.bench import HERE, PINNINGS, build, machine, pinned, printed, rounds, rows, write

BEGIN, END = "<!-- container tables: begin -->", "<!-- container tables: end -->"

UNDER_RUN: Final = "seccomp-monitor run"
IN_CONTAINER: Final = "in a container"

MOST: Final = 1.15
"""That an inline handler in a container may cost, as a multiple of the same under ``run``."""

CONTAINERS, RATE, SECONDS = 50, 100, 20
WARM: Final = 3
"""Seconds that are not counted: until all of them are there."""

P99_US: Final = 2000.0

HANDLERS: Final = """
import monitor


@monitor.handles("getppid")
def inline(_call):
    return monitor.Allow()
"""

POLICY: Final = '[policy]\nversion = 1\nname = "open"\nsyscalls-default = "allow"\n'

MESSAGE: Final = '{"fds":["seccompFd"],"pid":@PID@,"state":{"id":"%s","status":"creating"}}'

GETPPID: Final = "110"


class Place:
    """A directory with what both need."""

    def __init__(self, directory: Path) -> None:
        """Write it, and compile."""
        self.socket = directory / "agent.sock"
        self.handlers = directory / "handlers.py"
        self.policies = directory / "policies"
        self.handlers.write_text(HANDLERS)
        self.policies.mkdir()
        (self.policies / "open.toml").write_text(POLICY)
        self.runtime = str(directory / "o_runtime")
        source = HERE.parent / "targets/o_runtime.c"
        subprocess.run(["gcc", "-O2", "-o", self.runtime, str(source)], check=True)
        self.caller, self.pacer = build("caller", directory), build("pacer", directory)

    def contained(self, ident: str, words: Sequence[str]) -> list[str]:
        """Return the command of a container."""
        return [self.runtime, str(self.socket), MESSAGE % ident, GETPPID, *words]

    def run(self, words: Sequence[str]) -> list[str]:
        """Return the command that runs *words* under the same handler and policy."""
        options = ["--handlers", str(self.handlers), "-p", str(self.policies / "open.toml"), "--quiet"]
        return [sys.executable, "-m", "monitor", "run", *options, "--", *words]

    @contextmanager
    def agent(self, cpus: str) -> Iterator[None]:
        """Have an agent for the length of the block."""
        options = ["--handlers", self.handlers, "--policies", self.policies, "--default", "open", "--control", ""]
        words = [sys.executable, "-m", "monitor", "agent", "--socket", self.socket, *options, "--quiet"]
        with subprocess.Popen(pinned(cpus, list(map(str, words)))) as process:
            while not _is_served(self.socket):
                time.sleep(0.01)
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
        return True


def round_trips(place: Place, calls: int, count: int) -> tuple[list[str], list[tuple[str, float]]]:
    """Measure one notified call with an inline handler, alone."""
    lines: list[str] = []
    ratios: list[tuple[str, float]] = []
    for label, cpus in PINNINGS.items():
        commands = {
            UNDER_RUN: pinned(cpus, place.run([place.caller, str(calls)])),
            IN_CONTAINER: pinned(cpus, place.contained("bench", [place.caller, str(calls)])),
        }
        with place.agent(cpus):
            table, found = rows(rounds(commands, printed, count), "us")
        lines += [f"### One call with an inline handler, {label}", "", *table, ""]
        ratios += [(f"{name}, {label}", ratio) for name, ratio in found.items()]
    return lines, ratios


def many(place: Place, seconds: int) -> tuple[list[str], float]:
    """Measure the calls of many containers at once; the table, and the 99th percentile in us."""
    with place.agent("0,1"):
        commands = [
            pinned("0,1", place.contained(f"c{number}", [place.pacer, str(RATE), str(seconds + WARM), str(WARM)]))
            for number in range(CONTAINERS)
        ]
        processes = [subprocess.Popen(one, stdout=subprocess.PIPE, text=True) for one in commands]
        took = sorted(float(line) for process in processes for line in process.communicate()[0].split())
    shares = {"median": 0.5, "90 %": 0.9, "99 %": 0.99, "99.9 %": 0.999}
    found = {name: took[int(len(took) * share)] for name, share in shares.items()}
    lines = [
        f"### {CONTAINERS} containers, {RATE} calls a second each, two CPUs",
        "",
        f"| {' | '.join(found)} | longest | calls |",
        f"|{' --- |' * (len(found) + 2)}",
        f"| {' | '.join(f'{value:.0f} us' for value in found.values())} | {took[-1]:.0f} us | {len(took)} |",
        "",
    ]
    return lines, found["99 %"]


def main() -> int:
    """Measure, print, and do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name))
        lines, ratios = round_trips(place, options.calls, options.rounds)
        many_lines, p99 = many(place, options.seconds)
    text = "\n".join([machine(), "", *lines, *many_lines]).rstrip() + "\n"
    print(text)
    if options.write:
        write(text, BEGIN, END)
    broken = [f"{name}: {ratio:.2f} > {MOST}" for name, ratio in ratios if ratio > MOST]
    if p99 > P99_US:
        broken.append(f"{CONTAINERS} containers: 99 % within {p99:.0f} us > {P99_US:.0f}")
    if broken:
        print("bounds that do not hold:", *broken, sep="\n  ")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
