"""
What calls that ask and change cost under a policy, and whole programs that make them: tables in docs/performance.md.

What it is not: the comparison of the answers (tests/conformance, tests/kernel/test_lanes.py).  The broker in C does the
same system calls, and makes files under the umask of who asks without another thread; strace traces the same calls.

    python -m tests.bench.changing               print the tables
    python -m tests.bench.changing --write       and put them into docs/performance.md
    python -m tests.bench.changing --check       and fail where a bound does not hold

The time of a program is taken from inside: the start of the supervisor has a table of its own (tests/bench/bench.py).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from monitor.policy.beneath import BROKERED
from tests.bench.bench import BOUNDS, PINNINGS, build, machine, pinned, printed, rounds, rows, write

BEGIN, END = "<!-- changing tables: begin -->", "<!-- changing tables: end -->"

NATIVE, OURS, REFERENCE, STRACE = "native", "monitor run", "C reference", "strace -f --seccomp-bpf"

TO_REFERENCE: Final = 2.0
"""The most that a call may cost, as a multiple of the reference."""

TO_REFERENCE_MAKING: Final = 3.0
"""The same of calls that make something, which another thread does."""

MAKE_TO_NATIVE: Final = 1.6
"""The most that ``make -j8`` may take, as a multiple of what it takes alone."""

KINDS: Final[Mapping[str, float]] = {
    "chmod": TO_REFERENCE,
    "utimensat": TO_REFERENCE,
    "rename": TO_REFERENCE,
    "link and unlink": TO_REFERENCE,
    "mkdir and rmdir": TO_REFERENCE_MAKING,
    "create and unlink": TO_REFERENCE_MAKING,
    "access": TO_REFERENCE,
    "access, missing": TO_REFERENCE,
    "readlink": TO_REFERENCE,
    "readlink of no link": TO_REFERENCE,
    "open, missing": TO_REFERENCE,
    "open to write": TO_REFERENCE,
    "open to empty": TO_REFERENCE,
}
"""What changer.c can do."""

ALLOWING: Final = """
[policy]
version = 1
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
unix = "unmediated"
otherwise = "allow"
"""

PARTS: Final = 20

MAKEFILE: Final = (
    f"OBJECTS = main.o $(patsubst %,part%.o,$(shell seq {PARTS}))\n"
    "program: $(OBJECTS)\n\t$(CC) -o $@ $^\n"
    "%.o: %.c parts.h\n\t$(CC) -O2 -c -o $@ $<\n"
)

HEADERS: Final = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n"

TRACED: Final = ",".join(f"?{name}" for name in sorted(BROKERED))
"""For strace: the calls that are brokered, those that it knows."""

STOPWATCH: Final = """
cd "$1"
eval "$2"
begin=$EPOCHREALTIME
eval "$3" >/dev/null 2>&1 || exit 1
end=$EPOCHREALTIME
echo $(((${end/./} - ${begin/./}) / 1000))
"""


class Program(NamedTuple):
    """A whole program: what is done before, untimed, and what is timed; and the most it may take of native."""

    before: str
    timed: str
    bound: float | None = None


PROGRAMS: Final[Mapping[str, Program]] = {
    f"make -j8 of {PARTS} files": Program("rm -f *.o program", "make -s -j8", MAKE_TO_NATIVE),
    "git clone and gc": Program("rm -rf clone", "git clone -q origin.git clone && git -C clone gc -q"),
    "tar c and x": Program(
        "rm -rf out; mkdir out", "tar cf archive.tar -C /usr/include linux && tar xf archive.tar -C out"
    ),
    "find and grep": Program("true", "find /usr/include -type f -size +1 | xargs grep -c define || true"),
}


def project(place: Path) -> None:
    """Write a C project of so many files, and a repository."""
    numbers = range(1, PARTS + 1)
    (place / "parts.h").write_text("".join(f"int part{number}(int);\n" for number in numbers))
    for number in numbers:
        functions = "".join(
            f'static int f{one}(int x) {{ char text[64]; snprintf(text, sizeof(text), "%d", x * {one}); '
            f"return (int)strlen(text) + x % {one + 1}; }}\n"
            for one in range(60)
        )
        used = " + ".join(f"f{one}(x)" for one in range(60))
        text = f'{HEADERS}#include "parts.h"\n{functions}int part{number}(int x) {{ return {used}; }}\n'
        (place / f"part{number}.c").write_text(text)
    called = " + ".join(f"part{number}({number})" for number in numbers)
    (place / "main.c").write_text(f'#include "parts.h"\nint main(void) {{ return ({called}) == 0; }}\n')
    (place / "Makefile").write_text(MAKEFILE)
    source = Path(__file__).parents[2]
    subprocess.run(["git", "clone", "-q", "--bare", str(source), str(place / "origin.git")], check=True)


def ways(cpus: str, policy: Path, words: list[str]) -> dict[str, list[str]]:
    """Return how *words* are run alone, by us, and under strace."""
    ours = [sys.executable, "-m", "monitor", "run", "-p", str(policy), "--"]
    strace = ["strace", "-f", "--seccomp-bpf", "-e", f"trace={TRACED}", "-o", "/dev/null"]
    return {name: pinned(cpus, [*way, *words]) for name, way in ((NATIVE, []), (OURS, ours), (STRACE, strace))}


def per_call(directory: Path, policy: Path, cpus: str, calls: int, count: int) -> tuple[list[str], list[str]]:
    """Return the lines of a table of single calls, and the bounds that do not hold."""
    changer, reference = build("changer", directory), build("broker", directory)
    lines = [
        "| what | native us | C reference us | ours us | strace us | of the reference | bound | of strace |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    broken: list[str] = []
    for kind, bound in KINDS.items():
        words = [changer, kind, str(calls)]
        commands = ways(cpus, policy, words)
        commands[REFERENCE] = pinned(cpus, [reference, "run", *words])
        results = rounds(commands, printed, count)
        medians = {name: sorted(values)[len(values) // 2] for name, values in results.items()}
        _, ratios = rows({REFERENCE: results[REFERENCE], OURS: results[OURS]}, "us")
        _, to_strace = rows({STRACE: results[STRACE], OURS: results[OURS]}, "us")
        shown = " | ".join(f"{medians[name]:.1f}" for name in (NATIVE, REFERENCE, OURS, STRACE))
        lines.append(f"| {kind} | {shown} | {ratios[OURS]:.2f} | {bound} | {to_strace[OURS]:.2f} |")
        if ratios[OURS] > bound:
            broken.append(f"{kind}, CPUs {cpus}: {ratios[OURS]:.2f} of the reference > {bound}")
    return lines, broken


def programs(directory: Path, policy: Path, cpus: str, label: str, count: int) -> tuple[list[str], list[str]]:
    """Return the tables of whole programs, and the bounds that do not hold."""
    lines: list[str] = []
    broken: list[str] = []
    for title, program in PROGRAMS.items():
        words = ["bash", "-c", STOPWATCH, "bash", str(directory), program.before, program.timed]
        BOUNDS.pop(OURS, None)
        if program.bound is not None:
            BOUNDS[OURS] = program.bound
        made, ratios = rows(rounds(ways(cpus, policy, words), printed, count), "ms")
        lines += [f"### {title}, {label}", "", *made, ""]
        if program.bound is None:
            continue
        if ratios[OURS] > program.bound:
            broken.append(f"{title}, {label}: {ratios[OURS]:.2f} of native > {program.bound}")
        if ratios[OURS] >= ratios[STRACE]:
            broken.append(f"{title}, {label}: {ratios[OURS]:.2f} of native, and strace {ratios[STRACE]:.2f}")
    return lines, broken


def main() -> int:
    """Measure, print, and do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    os.environ["LC_ALL"] = "C"  # programs are to do their work, and not to look for locales
    lines, broken = [machine(), ""], list[str]()
    directory = Path(tempfile.mkdtemp())
    try:
        (directory / "work").mkdir()
        (directory / "policy").mkdir()
        policy = directory / "policy" / "policy.toml"
        policy.write_text(ALLOWING)
        project(directory / "work")
        os.chdir(directory / "work")  # where changer makes its directories
        for label, cpus in PINNINGS.items():
            made, wrong = per_call(directory, policy, cpus, options.calls, options.rounds)
            lines += [f"### One call, {label}", "", *made, ""]
            broken += wrong
        for label, cpus in PINNINGS.items():
            made, wrong = programs(directory / "work", policy, cpus, label, max(options.rounds // 2, 1))
            lines += made
            broken += wrong
    finally:
        os.chdir("/")
        shutil.rmtree(directory)
    text = "\n".join(lines).rstrip() + "\n"
    print(text)
    if options.write:
        write(text, BEGIN, END)
    if broken:
        print("bounds that do not hold:", *broken, sep="\n  ")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
