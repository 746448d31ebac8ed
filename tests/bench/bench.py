"""
What supervision costs, next to the least it could cost: makes the tables of docs/performance.md.

What it is not: a test of single absolute times.  Everything that is compared runs in turn in one
round, pinned alike; the tables show medians, and ratios of medians and of rounds.

    python tests/bench/bench.py                 print the tables
    python tests/bench/bench.py --write         and put them into docs/performance.md
    python tests/bench/bench.py --check         and fail where a bound does not hold

The starts are those of an installed package: with an editable one Python looks for each module in
one place more.  So the package is installed into a fresh venv first (pip, gcc).
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

PINNINGS = {"one CPU": "0", "two CPUs": "0,1"}

USED = "from monitor import Allow, Deny, handles, supervise"
BOUNDS = {
    "inline handler": 2.2,
    "async handler": 12.0,
    "import monitor": 1.15,
    USED: 1.15,
    "seccomp-monitor run -- true": 1.6,
}
"""The most that each may cost, as a multiple of its base (the first row of its table)."""


def build(name: str, directory: Path) -> str:
    """Compile one of the C programs."""
    output = directory / name
    subprocess.run(["gcc", "-O2", "-o", str(output), str(HERE / f"{name}.c")], check=True)
    return str(output)


def printed(command: Sequence[str]) -> float:
    """Return the number on the last line that *command* prints."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def timed(command: Sequence[str]) -> float:
    """Return how long *command* takes as a whole process, in milliseconds."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


def rounds(
    commands: Mapping[str, Sequence[str]], measure: Callable[[Sequence[str]], float], count: int
) -> dict[str, list[float]]:
    """Run all commands in turn, *count* times; a first round is not counted."""
    results: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(count + 1):
        for name, command in commands.items():
            value = measure(command)
            if number:
                results[name].append(value)
    return results


def rows(results: dict[str, list[float]], unit: str) -> tuple[list[str], dict[str, float]]:
    """Return a table's lines and each command's ratio to the first one, the median over the rounds."""
    base = next(iter(results.values()))
    lines = [f"| what | median {unit} | lowest | highest | ratio | bound |", "| --- | --- | --- | --- | --- | --- |"]
    ratios: dict[str, float] = {}
    for name, values in results.items():
        ratios[name] = statistics.median(value / reference for value, reference in zip(values, base, strict=True))
        bound = f"{BOUNDS[name]}" if name in BOUNDS else ""
        lines.append(
            f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} "
            f"| {ratios[name]:.2f} | {bound} |"
        )
    return lines, ratios


def pinned(cpus: str, command: Sequence[str]) -> list[str]:
    """Return *command* bound to *cpus*."""
    return ["taskset", "-c", cpus, *command]


def round_trips(directory: Path, calls: int, count: int) -> tuple[list[str], list[tuple[str, float]]]:
    """Measure one notified getppid(2) under everything that can notify it."""
    reference, caller = build("reference", directory), build("caller", directory)
    ours = [sys.executable, str(HERE / "supervised.py")]
    strace = ["strace", "-f", "--seccomp-bpf", "-e", "trace=getppid", "-o", "/dev/null", caller]
    lines: list[str] = []
    ratios: list[tuple[str, float]] = []
    for label, cpus in PINNINGS.items():
        commands = {
            "C reference": pinned(cpus, [reference, str(calls)]),
            "inline handler": pinned(cpus, [*ours, "inline", caller, str(calls)]),
            "async handler": pinned(cpus, [*ours, "async", caller, str(calls // 4)]),
            "strace -f --seccomp-bpf": pinned(cpus, [*strace, str(calls // 4)]),
        }
        table, found = rows(rounds(commands, printed, count), "us")
        lines += [f"### One notified call, {label}", "", *table, ""]
        ratios += found.items()
    return lines, ratios


def installed(directory: Path) -> Path:
    """Install the package, and nothing else, into a venv; its programs."""
    venv = directory / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    source = directory / "source"
    shutil.copytree(HERE.parents[1], source, ignore=shutil.ignore_patterns(".git", ".venv", "build", "*.so"))
    subprocess.run([str(venv / "bin" / "pip"), "install", "-q", str(source)], check=True)
    return venv / "bin"


def starts(directory: Path, count: int) -> tuple[list[str], list[tuple[str, float]]]:
    """Measure whole processes."""
    programs = installed(directory)
    python, command = str(programs / "python"), str(programs / "seccomp-monitor")
    commands = {
        "python -c 'import trio'": [python, "-c", "import trio"],
        "import monitor": [python, "-c", "import monitor"],
        USED: [python, "-c", USED],
        "seccomp-monitor run -- true": [command, "run", "--", "true"],
    }
    table, ratios = rows(rounds(commands, timed, count), "ms")
    return ["### Starting up, whole processes", "", *table, ""], list(ratios.items())


def memory(directory: Path, calls: int) -> list[str]:
    """Measure how much our memory grows while a program makes *calls* notified calls."""
    caller = build("caller", directory)
    growth = printed([sys.executable, str(HERE / "supervised.py"), "memory", caller, str(calls)])
    return ["### Memory", "", f"Growth of the supervisor over {calls} notified calls: {growth:.0f} KiB.", ""]


def machine() -> str:
    """Describe where this was measured."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "unknown CPU")
    versions = f"Linux {platform.release()}, Python {platform.python_version()}"
    today = dt.datetime.now(tz=dt.UTC).date()
    return f"Measured on {today}: {os.cpu_count()} CPUs ({model}), {versions}; medians of interleaved runs."


def write(text: str, begin: str = BEGIN, end: str = END) -> None:
    """Put the tables into the page, between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")


def main() -> int:
    """Measure, print, and do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--memory-calls", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is measured is an installed package
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        lines, ratios = round_trips(directory, options.calls, options.rounds)
        start_lines, start_ratios = starts(directory, 4 * options.rounds)
        lines += start_lines + memory(directory, options.memory_calls)
    ratios += start_ratios
    text = "\n".join([machine(), "", *lines]).rstrip() + "\n"
    print(text)
    if options.write:
        write(text)
    broken = [f"{name}: {ratio:.2f} > {BOUNDS[name]}" for name, ratio in ratios if ratio > BOUNDS.get(name, ratio)]
    broken += strace_is_slower(ratios)
    if broken:
        print("bounds that do not hold:", *broken, sep="\n  ")
    return 1 if broken and options.check else 0


def strace_is_slower(ratios: Sequence[tuple[str, float]]) -> list[str]:
    """Compare each table's inline handler with its strace."""
    inline = [ratio for name, ratio in ratios if name == "inline handler"]
    strace = [ratio for name, ratio in ratios if name.startswith("strace")]
    pairs = zip(inline, strace, strict=True)
    return [f"inline handler {one:.2f} against strace {other:.2f}" for one, other in pairs if one >= other]


if __name__ == "__main__":
    sys.exit(main())
