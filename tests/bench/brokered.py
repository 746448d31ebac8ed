"""
What opening and looking for a program costs, next to a broker in C and to strace: makes tables in docs/performance.md.

What it is not: the comparison of the answers (tests/conformance).  The broker in C does the same system
calls, and has a toy policy of 50 prefixes; ours has a policy of 50 patterns.

    python -m tests.bench.brokered               print the tables
    python -m tests.bench.brokered --write       and put them into docs/performance.md
    python -m tests.bench.brokered --check       and fail where a bound does not hold
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

import monitor
from monitor.policy.text import loads
from tests.bench.bench import BOUNDS, build, machine, pinned, printed, rounds, rows, write

BEGIN, END = "<!-- broker tables: begin -->", "<!-- broker tables: end -->"

PINNINGS: Final[Mapping[str, str]] = {"one CPU": "0", "two CPUs": "0,1"}

OURS: Final = "monitor, 50 patterns"

TO_REFERENCE: Final = 2.0
"""The most that a brokered call may cost, as a multiple of the reference."""

TO_STRACE: Final = 1.3
"""The most that a brokered open may cost, as a multiple of strace's."""

POLICY: Final = """
[policy]
version = 1
known-as-of = "6.12"
[files]
exec = "unverified"
base = false
read = ["/etc", "/tmp", "/lib", "/usr", {others}]
""".format(others=", ".join(f'"/srv/{number}"' for number in range(46)))


async def supervised(words: list[str]) -> int:
    """Run *words* under the policy."""
    async with monitor.supervise(words, policy=loads(POLICY), linger_seconds=0.005) as run:
        return await run.wait()


def table(directory: Path, what: str, cpus: str, calls: int, count: int) -> tuple[list[str], dict[str, float]]:
    """Return the lines of one table, and the ratios in it."""
    reference, program = build("broker", directory), build({"open": "opener", "stat": "looker"}[what], directory)
    call = {"open": "openat", "stat": "newfstatat"}[what]
    ours = [sys.executable, "-m", "tests.bench.brokered", "--supervise", program, str(calls)]
    strace = ["strace", "-f", "--seccomp-bpf", "-e", f"trace={call}", "-o", "/dev/null", program, str(calls)]
    commands = {
        "C reference": pinned(cpus, [reference, what, str(calls)]),
        OURS: pinned(cpus, ours),
        "strace -f --seccomp-bpf": pinned(cpus, strace),
    }
    BOUNDS[OURS] = TO_REFERENCE
    return rows(rounds(commands, printed, count), "us")


def main() -> int:
    """Measure, print, and do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--supervise", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.supervise:
        return trio.run(supervised, options.supervise)
    lines, broken = [machine(), ""], list[str]()
    with tempfile.TemporaryDirectory() as name:
        for what, title in (("open", "Opening and closing a file"), ("stat", "Looking at a file")):
            for label, cpus in PINNINGS.items():
                made, ratios = table(Path(name), what, cpus, options.calls, options.rounds)
                lines += [f"### {title}, {label}", "", *made, ""]
                if ratios[OURS] > TO_REFERENCE:
                    broken.append(f"{title}, {label}: {ratios[OURS]:.2f} > {TO_REFERENCE}")
                to_strace = ratios[OURS] / ratios["strace -f --seccomp-bpf"]
                if what == "open" and to_strace > TO_STRACE:
                    broken.append(f"{title}, {label}: {to_strace:.2f} of strace > {TO_STRACE}")
    text = "\n".join(lines).rstrip() + "\n"
    print(text)
    if options.write:
        write(text, BEGIN, END)
    if broken:
        print("bounds that do not hold:", *broken, sep="\n  ")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
