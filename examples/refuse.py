"""
Refuse directories called "secret".

    python examples/refuse.py
    seccomp-monitor run --handlers examples/refuse.py -- sh -c 'mkdir plain secret'

You will see that mkdir makes the one directory and is told "Permission denied" for the other.

What it is not: a wall.  ``Allow`` lets the kernel read the path again, and a hostile program can
change it in between.  So the answer says ``racy``, which is legal only with ``strict=False``;
refusing, on the other hand, is always safe.
"""

import errno
import tempfile

import trio

import monitor

OBSERVATION = "an example for programs that do not fight back"


@monitor.handles("mkdir", "mkdirat")
def no_secrets(call: monitor.Call) -> monitor.Verdict:
    """Look at the path in the target's memory, and decide."""
    path = call.read("pathname")
    if path.rstrip(b"/").rpartition(b"/")[2] == b"secret":
        return monitor.Deny(errno.EACCES)
    return monitor.Allow(racy=OBSERVATION)


async def main() -> None:
    """Make a plain and a secret directory under supervision."""
    with tempfile.TemporaryDirectory() as directory:
        program = monitor.Launch(["sh", "-c", "mkdir plain secret; ls"], cwd=directory, env={"PATH": "/usr/bin:/bin"})
        async with monitor.supervise(program, handlers=[no_secrets], strict=False) as run:
            status = await run.wait()
        print(f"status {status}, {run.stats.allowed} allowed, {run.stats.denied} denied", flush=True)


if __name__ == "__main__":
    trio.run(main)
