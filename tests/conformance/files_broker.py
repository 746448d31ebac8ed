"""
Run a program whose file calls are all done for it: ``files_broker.py WAY[,MORE...] PROGRAM ARGUMENT...``.

By a ``handler`` that decides nothing, or under a ``policy`` that allows everything: then plain calls are done on the
fast path; or under one that is ``hiding`` what nobody asks about: then paths are walked that are not straight.  By
``nobody``, for comparison.  More are namespaces in which it is started, and calls that are allowed.

What it is not: a policy to learn from; nothing that can be brokered is left to the kernel.
"""

from __future__ import annotations

import sys
from typing import Any

import trio

import monitor
from monitor.broker.families import FAMILIES
from monitor.policy.text import loads

POLICY = """
[policy]
version = 1
known-as-of = "7.1"
syscalls-default = "allow"
[files]
otherwise = "allow"
exec = "unverified"
unix = "unmediated"
"""

HIDING = 'base = false\nhide = ["**/hidden from nobody"]\n'

LIFTING = '[[syscalls]]\nnames = ["chroot"]\naction = "allow"\n'


@monitor.handles(*FAMILIES)
def broker(call: monitor.Call) -> monitor.Verdict:
    return call.emulate()


async def main(way: str, *command: str) -> int:
    """Return the status of the program."""
    way, *more = way.split(",")
    policy = POLICY + (HIDING if way == "hiding" else "") + (LIFTING if "chroot" in more else "")
    options: dict[str, Any] = {"policy": loads(policy)}
    if way == "handler":
        options = {"handlers": [broker], "otherwise": monitor.Allow()}
    elif way == "nobody":
        options = {"handlers": []}
    namespaces: Any = frozenset(more) - {"chroot"}
    async with monitor.supervise(monitor.Launch(command, namespaces=namespaces), **options) as run:
        status = await run.wait()
    stats = run.stats
    if stats.failures or (stats.emulated == 0) != (way == "nobody"):
        print(stats, file=sys.stderr)
        return 98
    return status


if __name__ == "__main__":
    sys.exit(trio.run(main, sys.argv[1], *sys.argv[2:]))
