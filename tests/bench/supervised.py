"""
One measurement: ``caller`` under an inline or an asynchronous handler; its output is the result.

What it is not: the comparison (``bench``).  usage: supervised.py inline|async|count CALLER N
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

import monitor


@monitor.handles("getppid")
def inline(_call: monitor.Call) -> monitor.Verdict:
    """Let it run, by its number alone."""
    return monitor.Allow()


@monitor.handles("getppid")
async def asynchronous(_call: monitor.Call) -> monitor.Verdict:
    """Let it run, from a task."""
    return monitor.Allow()


def resident_kib() -> int:
    """Return the memory of this process that is in RAM."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


async def main(kind: str, caller: str, calls: str) -> int:
    """Run the caller; with "memory" also print the growth of our own memory in KiB."""
    handler = asynchronous if kind == "async" else inline
    async with monitor.supervise([caller, calls], handlers=[handler]) as run:
        while kind == "memory" and run.stats.received < int(calls) // 10:
            await trio.sleep(0.01)
        before = resident_kib()
        status = await run.wait()
    if kind == "memory":
        print(resident_kib() - before)
    return status


if __name__ == "__main__":
    sys.exit(trio.run(main, sys.argv[1], sys.argv[2], sys.argv[3]))
