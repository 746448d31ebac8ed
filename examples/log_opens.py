"""
Log opens: every name that a program opens, links and dots followed, and what became of it.

    python examples/log_opens.py
    seccomp-monitor run --handlers examples/log_opens.py -- head -c 0 /etc/hostname

You will see names and not strings: ``../etc/./hostname`` and a link to it are the same file.  The
handler decides nothing; ``Pass`` would have the kernel open the file, ``emulate`` has the broker do it,
so that what was logged is what was opened.

What it is not: a trace.  ``seccomp-monitor trace`` shows calls as the program made them.
"""

import os
import subprocess
import sys

import trio

import monitor


@monitor.handles("open", "openat", "openat2", "creat")
def log(call: monitor.Call) -> monitor.Verdict:
    """Say what is opened, and have it opened."""
    path = call.path("pathname")
    name = path.canonical or path.path
    if b"/etc/" in name and not name.endswith(b".so.cache"):
        print("opens" if path.exists else "looks for", os.fsdecode(name), file=sys.stdout, flush=True)
    return call.emulate()


async def main() -> None:
    """Open one file under two names, and one that is not there."""
    script = "cd /usr; read -r line < ../etc/./hostname; read -r line < /etc/hostname; read -r line < /etc/no"
    launch = monitor.Launch(["sh", "-c", script], stderr=subprocess.DEVNULL)
    async with monitor.supervise(launch, handlers=[log]) as run:
        await run.wait()


if __name__ == "__main__":
    trio.run(main)
