"""
Answer calls without running them: with a number, and with a file that does not exist.

    python examples/answer.py
    seccomp-monitor run --handlers examples/answer.py -- sh -c 'echo $PPID; cat /monitor/hello'

You will see a shell whose parent has the number 4711, and the content of /monitor/hello, which is
nowhere on the disk: the supervisor writes it into a memfd and puts that into the target.

What it is not: a redirection of every open.  The two answers here cannot be raced, because the
kernel reads nothing again; the opens of other paths run on, and say so with ``racy``.
"""

import os

import trio

import monitor

MAGIC = b"/monitor/hello"
PARENT = 4711
OBSERVATION = "only the magic path is decided here; every other open is the kernel's business"


@monitor.handles("getppid")
def adopted(_call: monitor.Call) -> monitor.Verdict:
    """Claim another parent."""
    return monitor.Return(PARENT)


@monitor.handles("open", "openat")
def hello(call: monitor.Call) -> monitor.Verdict:
    """Open the magic path as a file of our own; the verdict owns the fd, and closes it."""
    if call.read("pathname") != MAGIC:
        return monitor.Allow(racy=OBSERVATION)
    fd = os.memfd_create("hello", os.MFD_CLOEXEC)
    os.write(fd, b"hello from the supervisor\n")
    os.lseek(fd, 0, os.SEEK_SET)
    return monitor.InjectFd(fd, close_on_exec=bool(call.args.flags & os.O_CLOEXEC))


async def main() -> None:
    """Ask a shell for its parent, and cat for the file."""
    program = ["sh", "-c", "echo my parent is $PPID; cat /monitor/hello"]
    async with monitor.supervise(program, handlers=[adopted, hello], strict=False) as run:
        await run.wait()
    print(f"{run.stats.returned} returned, {run.stats.injected} injected", flush=True)


if __name__ == "__main__":
    trio.run(main)
