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
from monitor.cli.running import LINGER_SECONDS
from monitor.policy.text import loads
from tests.bench.bench import BOUNDS, HERE, build, machine, pinned, printed, rounds, rows, timed, write

BEGIN, END = "<!-- broker tables: begin -->", "<!-- broker tables: end -->"

PINNINGS: Final[Mapping[str, str]] = {"one CPU": "0", "two CPUs": "0,1"}

OURS: Final = "monitor, 50 patterns, as `run` does"
LIBRARY: Final = "the same, where the loop has other tasks"
"""Without ``linger_seconds``: the next call is waited for in the scheduler."""

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


ALLOWING: Final = """
[policy]
version = 1
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
otherwise = "allow"
"""

PROGRAMS: Final[Mapping[str, list[str]]] = {
    "find /usr/include": ["find", "/usr/include", "-size", "+1"],
    "grep -r in /usr/include/linux": ["grep", "-rc", "define", "/usr/include/linux"],
    "gcc of one file": ["gcc", "-O1", "-fsyntax-only", str(HERE / "broker.c")],
}


async def supervised(words: list[str], linger_seconds: float) -> int:
    """Run *words* under the policy."""
    async with monitor.supervise(words, policy=loads(POLICY), linger_seconds=linger_seconds) as run:
        return await run.wait()


def table(directory: Path, what: str, cpus: str, calls: int, count: int) -> tuple[list[str], dict[str, float]]:
    """Return the lines of one table, and the ratios in it."""
    reference, program = build("broker", directory), build({"open": "opener", "stat": "looker"}[what], directory)
    call = {"open": "openat", "stat": "newfstatat"}[what]
    ours = [sys.executable, "-m", "tests.bench.brokered"]
    theirs = ["--supervise", program, str(calls)]
    strace = ["strace", "-f", "--seccomp-bpf", "-e", f"trace={call}", "-o", "/dev/null", program, str(calls)]
    commands = {
        "C reference": pinned(cpus, [reference, what, str(calls)]),
        OURS: pinned(cpus, [*ours, "--linger", str(LINGER_SECONDS), *theirs]),
        LIBRARY: pinned(cpus, [*ours, *theirs]),
        "strace -f --seccomp-bpf": pinned(cpus, strace),
    }
    BOUNDS.update(dict.fromkeys((OURS, LIBRARY), TO_REFERENCE))
    return rows(rounds(commands, printed, count), "us")


def programs(directory: Path, count: int) -> list[str]:
    """Return the tables of whole programs, natively, brokered and under strace."""
    policy = directory / "policy.toml"
    policy.write_text(ALLOWING)
    ours = [sys.executable, "-m", "monitor", "run", "-p", str(policy), "--"]
    strace = ["strace", "-f", "--seccomp-bpf", "-e", "trace=%file", "-o", "/dev/null"]
    lines: list[str] = []
    for title, words in PROGRAMS.items():
        commands = {
            "native": words,
            "monitor run": [*ours, *words],
            "strace -f --seccomp-bpf -e trace=%file": [*strace, *words],
        }
        made, _ = rows(rounds(commands, timed, count), "ms")
        lines += [f"### {title}, two CPUs", "", *made, ""]
    return lines


def main() -> int:
    """Measure, print, and do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--linger", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--supervise", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.supervise:
        return trio.run(supervised, options.supervise, options.linger)
    lines, broken = [machine(), ""], list[str]()
    with tempfile.TemporaryDirectory() as name:
        for what, title in (("open", "Opening and closing a file"), ("stat", "Looking at a file")):
            for label, cpus in PINNINGS.items():
                made, ratios = table(Path(name), what, cpus, options.calls, options.rounds)
                lines += [f"### {title}, {label}", "", *made, ""]
                for way in (OURS, LIBRARY):
                    if ratios[way] > TO_REFERENCE:
                        broken.append(f"{title}, {label}, {way}: {ratios[way]:.2f} > {TO_REFERENCE}")
                to_strace = ratios[OURS] / ratios["strace -f --seccomp-bpf"]
                if what == "open" and to_strace > TO_STRACE:
                    broken.append(f"{title}, {label}: {to_strace:.2f} of strace > {TO_STRACE}")
        lines += programs(Path(name), max(options.rounds // 2, 1))
    text = "\n".join(lines).rstrip() + "\n"
    print(text)
    if options.write:
        write(text, BEGIN, END)
    if broken:
        print("bounds that do not hold:", *broken, sep="\n  ")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
