"""
What it costs to write every event down for a program: makes the tables of events in docs/performance.md.

What it is not: a test of single absolute times.  The same program makes the same notified calls, decided by
an inline handler, with and without a sink, in turn in one round and pinned alike.

    python -m tests.bench.telling               print the tables
    python -m tests.bench.telling --write       and put them into docs/performance.md
    python -m tests.bench.telling --check       and fail where a bound does not hold
    python -m tests.bench.telling --million     a million calls, and readers that stall: time and memory, checked
"""

from __future__ import annotations

import argparse
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

import monitor
from tests.bench.bench import PINNINGS, build, machine, pinned, printed, rounds, write
from tests.bench.supervised import resident_kib

BEGIN, END = "<!-- event tables: begin -->", "<!-- event tables: end -->"

ALONE: Final = "no sink"
FILE: Final = "JsonLines, to a file"
STALLED: Final = "JsonLines, to a pipe that nobody reads"

STALLED_SOCKET: Final = "JsonLines, to a UNIX socket that nobody reads"

GROWN_AT_MOST: Final = 8192
"""KiB that we may grow by while a million events are dropped."""

MILLION: Final = 1_000_000

FILE_AT_MOST: Final = 6.0
"""Microseconds that the lines in a file may add to a call without arguments."""

STALLED_AT_MOST: Final = 0.10
"""Of what a call without arguments costs without a sink: a stalled reader may not slow the loop down."""

PROGRAMS: Final[Mapping[str, str]] = {"getppid(2)": "caller", "openat(2)": "opener"}


@monitor.handles("getppid", "openat")
def inline(_call: monitor.Call) -> monitor.Verdict:
    """Let it run, by its number alone."""
    return monitor.Allow()


def sink(kind: str, directory: str) -> tuple[monitor.JsonLines | None, Sequence[int]]:
    """Return what events go to, and the fds that are to stay open meanwhile."""
    if kind == ALONE:
        return None, ()
    if kind == FILE:
        return monitor.JsonLines(os.path.join(directory, "events")), ()  # noqa: PTH118  # measured, and no more
    if kind == STALLED_SOCKET:
        ours, theirs = (end.detach() for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
        return monitor.JsonLines.to_fd(ours), (theirs,)
    reader, writer = os.pipe()
    return monitor.JsonLines.to_fd(writer), (reader,)


async def one(kind: str, directory: str, program: str, calls: str) -> None:
    """Measure once: the program prints us per call, and after it stands by how many KiB we have grown."""
    events, kept = sink(kind, directory)
    async with monitor.supervise([program, calls], handlers=[inline], events=events) as run:
        while run.stats.received < int(calls) // 5 and run.returncode is None:
            await trio.sleep(0.005)
        before = resident_kib()
        await run.wait()
        grown = resident_kib() - before
        dropped = 0 if events is None else events.dropped
    print(f"grown {grown}, dropped {dropped}", file=sys.stderr)
    for fd in kept:
        os.close(fd)


@frozen
class Table:
    """One call with several sinks, measured."""

    title: str
    bound: float | None
    results: Mapping[str, Sequence[float]]

    def added(self, name: str) -> float:
        """Return what a sink adds to a call: the median over the rounds."""
        pairs = zip(self.results[name], self.results[ALONE], strict=True)
        return statistics.median(value - alone for value, alone in pairs)

    def lines(self) -> list[str]:
        """Return it as Markdown."""
        lines = [f"### {self.title}", "", "| what | median us | lowest | highest | added us | bound |"]
        lines.append("| --- | --- | --- | --- | --- | --- |")
        alone = statistics.median(self.results[ALONE])
        for name, values in self.results.items():
            added = "" if name == ALONE else f"{self.added(name):.2f}"
            bounds = {FILE: self.bound, STALLED: self.bound and round(STALLED_AT_MOST * alone, 2)}
            bound = bounds.get(name) or ""
            middle = f"{statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f}"
            lines.append(f"| {name} | {middle} | {added} | {bound} |")
        return [*lines, ""]

    def broken(self) -> list[str]:
        """Return the bounds that do not hold."""
        found = []
        if self.added(FILE) > (self.bound or math.inf):
            found.append(f"{self.title}: a file adds {self.added(FILE):.2f} us > {self.bound}")
        alone = statistics.median(self.results[ALONE])
        if self.bound is not None and self.added(STALLED) > alone * STALLED_AT_MOST:
            found.append(f"{self.title}: a reader that stalls adds {self.added(STALLED):.2f} us to {alone:.2f}")
        return found


def tables(directory: Path, calls: int, count: int) -> list[Table]:
    """Measure everything."""
    found: list[Table] = []
    for title, program in PROGRAMS.items():
        built = build(program, directory)
        for label, cpus in PINNINGS.items():
            commands = {
                kind: pinned(cpus, [sys.executable, "-m", "tests.bench.telling", "--one", kind, str(directory), built])
                for kind in (ALONE, FILE, STALLED)
            }
            is_cheap = program == "caller"
            number = str(calls if is_cheap else calls // 5)
            measured = rounds({kind: [*words, number] for kind, words in commands.items()}, printed, count)
            found.append(Table(f"{title}, {label}", FILE_AT_MOST if is_cheap else None, measured))
    return found


def million(directory: Path, count: int) -> bool:
    """Make a million calls in front of readers that stall; print what becomes of us, and return whether it is right."""
    built = build("caller", directory)
    spent: dict[str, list[float]] = {}
    good = True
    for _ in range(count):
        for kind in (ALONE, STALLED, STALLED_SOCKET):
            words = [sys.executable, "-m", "tests.bench.telling", "--one", kind, str(directory), built, str(MILLION)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            us = float(done.stdout.split()[0])
            grown, dropped = (int(one.split()[1]) for one in done.stderr.split(","))
            spent.setdefault(kind, []).append(us)
            print(f"{kind}: {us:.2f} us a call; we have grown by {grown} KiB, and dropped {dropped} events")
            good = good and grown <= GROWN_AT_MOST and (kind == ALONE or dropped > MILLION // 2)
    for kind in (STALLED, STALLED_SOCKET):
        slower = statistics.median(spent[kind]) / statistics.median(spent[ALONE]) - 1
        print(f"{kind}: {slower:+.1%}")
        good = good and slower <= STALLED_AT_MOST
    return good


def main() -> int:
    """Measure, print, and do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--one", nargs=4, metavar=("KIND", "DIRECTORY", "PROGRAM", "CALLS"))
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.one:
        trio.run(one, *options.one)
        return 0
    with tempfile.TemporaryDirectory() as name:
        if options.million:
            return 0 if million(Path(name), min(options.rounds, 3)) else 1
        found = tables(Path(name), options.calls, options.rounds)
    text = "\n".join([machine(), "", *(line for table in found for line in table.lines())]).rstrip() + "\n"
    print(text)
    if options.write:
        write(text, BEGIN, END)
    broken = [line for table in found for line in table.broken()]
    if broken:
        print("bounds that do not hold:", *broken, sep="\n  ")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
