"""
Redirect opens: what a program opens under one name is another file.

    python examples/redirect.py
    seccomp-monitor run --handlers examples/redirect.py -- cat /etc/hostname /etc/debian_version

You will see the program read a file of ours in the place of /etc/hostname, and everything else as it
is: ``emulate`` has the broker open it on the program's behalf.

What it is not: a look at strings.  ``call.path`` is looked up once, links and dots followed, and what
was found is what is opened; whatever the program writes over its string meanwhile changes nothing.
"""

import os
import tempfile

import trio

import monitor

INSTEAD = tempfile.NamedTemporaryFile()  # noqa: SIM115  # for as long as the program runs
INSTEAD.write(b"somewhere-else\n")
INSTEAD.flush()


@monitor.handles("open", "openat", "openat2")
def redirect(call: monitor.Call) -> monitor.Verdict:
    """Open another file in the place of one; the verdict owns the fd."""
    if call.path("pathname").canonical != b"/etc/hostname":
        return call.emulate()
    return monitor.InjectFd(os.open(INSTEAD.name, os.O_RDONLY | os.O_CLOEXEC), close_on_exec=False)


async def main() -> None:
    """Let cat read the file by three of its names."""
    command = ["sh", "-c", "cat /etc/hostname; cat /etc/../etc/hostname; cd /etc && cat hostname"]
    async with monitor.supervise(command, handlers=[redirect]) as run:
        status = await run.wait()
    print(f"status {status}, {run.stats.injected} redirected", flush=True)


if __name__ == "__main__":
    trio.run(main)
