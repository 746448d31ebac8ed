"""
Serve files that are nowhere: each open of one gets a sealed memfd with what we say.

    python examples/synthetic.py
    seccomp-monitor run --handlers examples/synthetic.py -- sh -c 'cat /etc/monitor/motd; ls /etc/monitor'

You will see a file that no directory lists.  It is sealed: the program can neither write to it nor
make it longer, so that one memfd could serve many.

What it is not: a file system.  stat(2) and ls(1) ask the kernel, which knows of no such file.
"""

import fcntl
import os

import trio

import monitor

CONTENTS = {b"/etc/monitor/motd": b"made of nothing\n"}
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def sealed(content: bytes) -> int:
    """Return an fd, at its start, of a file that nobody can change any more."""
    fd = os.memfd_create("synthetic", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


@monitor.handles("open", "openat", "openat2")
def serve(call: monitor.Call) -> monitor.Verdict:
    """Open what is ours; whatever else is opened by the broker, by the name that was looked up."""
    content = CONTENTS.get(call.path("pathname").path)
    if content is None:
        return call.emulate()
    return monitor.InjectFd(sealed(content), close_on_exec=False)


async def main() -> None:
    """Read the file, and try to write to it."""
    script = "cat /etc/monitor/motd; (echo more >/etc/monitor/motd) 2>/dev/null || echo sealed; ls /etc/monitor 2>&-"
    async with monitor.supervise(["sh", "-c", script], handlers=[serve]) as run:
        await run.wait()
    print(f"{run.stats.injected} injected", flush=True)


if __name__ == "__main__":
    trio.run(main)
