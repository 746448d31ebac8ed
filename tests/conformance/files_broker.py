"""
Run a program whose file calls are all done for it: ``files_broker.py PROGRAM``.

What it is not: a policy; everything is allowed, and nothing that can be brokered is left to the kernel.
"""

from __future__ import annotations

import sys

import trio

import monitor
from monitor.broker.broker import FAMILIES


@monitor.handles(*FAMILIES)
def broker(call: monitor.Call) -> monitor.Verdict:
    return call.emulate()


async def main(program: str) -> int:
    """Return the status of *program*."""
    async with monitor.supervise([program], handlers=[broker], otherwise=monitor.Allow()) as run:
        status = await run.wait()
    stats = run.stats
    if stats.failures or stats.emulated == 0:
        print(stats, file=sys.stderr)
        return 98
    return status


if __name__ == "__main__":
    sys.exit(trio.run(main, sys.argv[1]))
