"""Run ``hidden_target.py`` under a policy that hides: ``hidden_run.py TREE STEPS``."""

from __future__ import annotations

import sys
from pathlib import Path

import trio

import monitor
from monitor.policy.text import loads

POLICY = """
[policy]
version = 1
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
read = ["/usr", "/bin", "/lib", "/lib64", "/etc", "$HERE", "$STEPS"]
write = ["$T"]
hide = ["$T/*/hidden", "$T/*/sub/hidden", "**/secret"]
"""


async def main(tree: str, steps: str) -> int:
    """Return the status of the program."""
    here = Path(__file__).parent
    policy = POLICY.replace("$T", tree).replace("$HERE", str(here)).replace("$STEPS", steps)
    words = ["/usr/bin/python3", "-S", str(here / "hidden_target.py"), steps]
    async with monitor.supervise(monitor.Launch(words, cwd="/"), policy=loads(policy)) as run:
        return await run.wait()


if __name__ == "__main__":
    sys.exit(trio.run(main, sys.argv[1], sys.argv[2]))
