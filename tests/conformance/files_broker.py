"""
Run a program whose file calls are all done for it: ``files_broker.py handler|policy|nobody NAMESPACES PROGRAM...``.

By a handler that decides nothing, or under a policy that allows everything: then plain calls are done on the
fast path.  By nobody, for comparison, in the same namespaces.

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
unix = "unmediated"
exec = "unverified"
[[syscalls]]
names = ["chroot"]
action = "allow"
"""


@monitor.handles(*FAMILIES)
def broker(call: monitor.Call) -> monitor.Verdict:
    return call.emulate()


async def main(way: str, namespaces: str, program: list[str]) -> int:
    """Return the status of *program*."""
    options: dict[str, Any] = {"policy": loads(POLICY)}
    if way == "handler":
        options = {"handlers": [broker], "otherwise": monitor.Allow()}
    elif way == "nobody":
        options = {"handlers": []}
    asked: Any = frozenset(namespaces.split())
    launch = monitor.Launch(program, namespaces=asked)
    async with monitor.supervise(launch, **options) as run:
        status = await run.wait()
    stats = run.stats
    if stats.failures or (stats.emulated == 0) != (way == "nobody"):
        print(stats, file=sys.stderr)
        return 98
    return status


if __name__ == "__main__":
    _, *words = sys.argv
    sys.exit(trio.run(main, words[0], words[1], words[2:]))
