"""
What policies cost to compile, and what their programs cost the kernel: makes the table in docs/performance.md.

What it is not: a comparison with other compilers in time; theirs run in C.  The sizes are compared with
what libseccomp makes of the same list, where it is installed.

    python -m tests.bench.policies               print the table
    python -m tests.bench.policies --write       and put it into docs/performance.md
    python -m tests.bench.policies --check       and fail where a bound does not hold
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Final

from attrs import frozen

from monitor.abi.arch import Arch
from monitor.abi.syscalls import call_table, number_of
from monitor.policy.action import Allow, Deny
from monitor.policy.bpf import Program
from monitor.policy.compile import compile_policy
from monitor.policy.interpret import evaluate
from monitor.policy.model import Policy
from tests.bench.bench import machine, write
from tests.policy import docker, libseccomp

BEGIN, END = "<!-- policy tables: begin -->", "<!-- policy tables: end -->"

MILLISECONDS_AT_MOST: Final = 50.0
"""For one ABI."""

X86 = (Arch.X86_64, Arch.X32, Arch.I386)


@frozen
class Row:
    """One policy for some ABIs, measured."""

    title: str
    arches: int
    size: int
    executed: int
    milliseconds: tuple[float, ...]

    @property
    def bound(self) -> float:
        """How long it may take."""
        return MILLISECONDS_AT_MOST * self.arches

    def line(self) -> str:
        """Return it as a row of Markdown."""
        median, low, high = statistics.median(self.milliseconds), min(self.milliseconds), max(self.milliseconds)
        times = " | ".join(f"{value:.1f}" for value in (median, low, high))
        return f"| {self.title} | {self.size} | {self.executed} | {times} | {self.bound:.0f} |"


def executed(program: Program, arches: tuple[Arch, ...]) -> int:
    """Return how many instructions run at most for a call; seccomp(2), whose arguments are looked at, excepted."""
    return max(
        len(evaluate(program, audit_value=arch.audit_value, nr=nr, little_endian=arch.little_endian).path)
        for arch in arches
        for nr in call_table(arch)
        if nr != number_of(arch, "seccomp")
    )


def measured(title: str, make: Callable[[], Policy], arches: tuple[Arch, ...], rounds: int) -> Row:
    """Compile a policy some times, and look at the program."""
    taken: list[float] = []
    program = compile_policy(make(), arches).program  # the tables are read once, and not counted
    for _ in range(rounds):
        policy = make()
        begin = time.perf_counter()
        compile_policy(policy, arches)
        taken.append((time.perf_counter() - begin) * 1000)
    return Row(title, len(arches), len(program), executed(program, arches), tuple(taken))


def theirs() -> str:
    """Return what libseccomp makes of Docker's list, as a row."""
    if libseccomp.library() is None:
        return "| Docker's list by libseccomp (not installed here) | | | | | | |"
    rules = [libseccomp.Rule(call, Allow()) for call in docker.unconditional()]
    program = libseccomp.compiled(Deny(), rules, [Arch.X86_64])
    return f"| Docker's list by libseccomp, x86_64 | {len(program)} | {executed(program, (Arch.X86_64,))} | | | | |"


def main() -> int:
    """Measure, print, and do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    rows = [
        measured("Docker's list, x86_64", docker.plain, (Arch.X86_64,), options.rounds),
        measured("Docker's profile, x86_64", docker.whole, (Arch.X86_64,), options.rounds),
        measured("Docker's profile, aarch64", docker.whole, (Arch.AARCH64,), options.rounds),
        measured("Docker's profile, s390x", docker.whole, (Arch.S390X,), options.rounds),
        measured("Docker's profile, x86_64, x32 and i386 in one program", docker.whole, X86, options.rounds),
    ]
    head = [
        "| what | instructions | executed at most | median ms | lowest | highest | bound |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    text = "\n".join([machine(), "", *head, *(row.line() for row in rows), theirs()]) + "\n"
    print(text)
    if options.write:
        write(text, BEGIN, END)
    broken = [row.title for row in rows if statistics.median(row.milliseconds) > row.bound]
    if broken:
        print("bounds that do not hold:", *broken, sep="\n  ")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
