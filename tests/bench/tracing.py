"""
What ``trace`` costs, next to strace: makes the tables of tracing in docs/performance.md.

What it is not: a test of single absolute times.  The same work runs alone, under strace and under
us, in turn in one round and pinned alike.  What is compared is what each adds to the work alone.

    python -m tests.bench.tracing               print the tables
    python -m tests.bench.tracing --write       and put them into docs/performance.md
    python -m tests.bench.tracing --check       and fail where a bound does not hold

Needs strace, gcc, make, bash and taskset; the package is installed into a fresh venv first (pip).
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.bench.bench import PINNINGS, build, installed, machine, pinned, printed, rounds, timed, write

BEGIN, END = "<!-- trace tables: begin -->", "<!-- trace tables: end -->"

ALONE, STRACE, OURS = "alone", "strace -f --seccomp-bpf -e trace=openat", "seccomp-monitor trace -e openat"

PER_CALL_AT_MOST: Final = 1.3
"""Of what strace adds to a call; for a loop that does nothing but make calls that are traced."""

PER_WORK_AT_MOST: Final = 0.5
"""Of what strace adds to work that mostly starts processes, and makes few calls that are traced."""

RULES: Final = 600

SUBPROCESSES: Final = 1000

MAKEFILE: Final = (
    f"all: $(addprefix made/,$(shell seq {RULES}))\n"
    "made/%: source | made\n\t@cp source $@\n"
    "made:\n\t@mkdir made\n"
    "source:\n\t@echo text > source\n"
)

MAKE: Final = "rm -rf made; make -s -j8"

LOOP: Final = f"for number in {{1..{SUBPROCESSES}}}; do /bin/true; done"

STOPWATCH: Final = """
set -e
cd "$1"
begin=$EPOCHREALTIME
eval "$2"
end=$EPOCHREALTIME
echo $(((${end/./} - ${begin/./}) / 1000))
"""
"""Prints how many ms a shell command took, seen from inside: the start of a tracer has a table of its own."""


@frozen
class Table:
    """The three ways to do one piece of work, measured."""

    title: str
    unit: str
    bound: float | None
    results: Mapping[str, Sequence[float]]

    def added(self, name: str) -> list[float]:
        """Return what a tracer adds to the work alone, round by round."""
        return [value - alone for value, alone in zip(self.results[name], self.results[ALONE], strict=True)]

    @property
    def ratio(self) -> float:
        """What we add, as a multiple of what strace adds: the median over the rounds."""
        pairs = zip(self.added(OURS), self.added(STRACE), strict=True)
        return statistics.median(ours / strace for ours, strace in pairs)

    def lines(self) -> list[str]:
        """Return it as Markdown."""
        heading = f"| what | median {self.unit} | lowest | highest | added | of strace's | bound |"
        lines = [f"### {self.title}", "", heading, "| --- | --- | --- | --- | --- | --- | --- |"]
        for name, values in self.results.items():
            added = "" if name == ALONE else f"{statistics.median(self.added(name)):.2f}"
            verdict = f"{self.ratio:.2f} | {self.bound or ''}" if name == OURS else " | "
            middle = f"{statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f}"
            lines.append(f"| {name} | {middle} | {added} | {verdict} |")
        return [*lines, ""]


def commands(cpus: str, ours: Path, output: Path, work: Sequence[str]) -> dict[str, list[str]]:
    """Return the three commands for one piece of work."""
    strace = ["strace", "-f", "--seccomp-bpf", "-e", "trace=openat", "-o", str(output), *work]
    trace = [str(ours), "trace", "-e", "openat", "-o", str(output), "--", *work]
    return {name: pinned(cpus, command) for name, command in [(ALONE, work), (STRACE, strace), (OURS, trace)]}


def tables(directory: Path, calls: int, count: int) -> list[Table]:
    """Measure everything."""
    ours, output = installed(directory) / "seccomp-monitor", directory / "trace"
    opener = [build("opener", directory), str(calls)]
    place = directory / "work"
    place.mkdir()
    (place / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    works: list[tuple[str, Sequence[str], Callable[[Sequence[str]], float], str, float | None]] = [
        ("One traced openat", opener, printed, "us", PER_CALL_AT_MOST),
        (f"make -j8 with {RULES} small rules", _watched(place, MAKE), printed, "ms", PER_WORK_AT_MOST),
        (f"bash with {SUBPROCESSES} subprocesses", _watched(place, LOOP), printed, "ms", PER_WORK_AT_MOST),
        ("Start and end", ["/bin/true"], timed, "ms", None),
    ]
    return [
        Table(f"{title}, {label}", unit, bound, rounds(commands(cpus, ours, output, work), measure, count))
        for title, work, measure, unit, bound in works
        for label, cpus in PINNINGS.items()
    ]


def _watched(directory: Path, command: str) -> list[str]:
    """Return a command that runs another in *directory* and prints its time."""
    return ["bash", "-c", STOPWATCH, "bash", str(directory), command]


def main() -> int:
    """Measure, print, and do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is measured is an installed package
    os.environ["LC_ALL"] = "C"  # work that starts processes is to do that, and not to look for locales
    with tempfile.TemporaryDirectory() as name:
        found = tables(Path(name), options.calls, options.rounds)
    text = "\n".join([machine(), "", *(line for table in found for line in table.lines())]).rstrip() + "\n"
    print(text)
    if options.write:
        write(text, BEGIN, END)
    broken = [
        f"{table.title}: {table.ratio:.2f} > {table.bound}"
        for table in found
        if table.ratio > (table.bound or math.inf)
    ]
    if broken:
        print("bounds that do not hold:", *broken, sep="\n  ")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
