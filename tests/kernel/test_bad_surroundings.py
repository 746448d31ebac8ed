"""Calls that are done for a program fail as the kernel lets them fail, whatever it passes and whatever happens to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor.broker.broker import FAMILIES
from tests.conftest import require


@monitor.handles(*FAMILIES)
def emulate(call: monitor.Call) -> monitor.Verdict:
    """Do everything for the program."""
    return call.emulate()


async def brokered(*argv: str, cwd: Path, **options: Any) -> tuple[int, str]:
    """Run a program for which everything is done that can be; its status, and what it wrote."""
    launch = monitor.Launch(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=str(cwd))
    async with monitor.supervise(launch, handlers=[emulate], otherwise=monitor.Allow(), **options) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        status = await run.wait()
    assert run.stats.failures == 0
    return status, output


def native(*argv: str, cwd: Path) -> tuple[int, str]:
    """Run it by itself."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, check=False)
    return done.returncode, done.stdout.decode()


# ---- what is passed ----


async def test_wrong_addresses_descriptors_and_buffers_fail_as_they_do_in_the_kernel(
    tmp_path: Path, compiled: Callable[..., str]
) -> None:
    """Every call with each of them, also several at once: the kernel's order of failures."""
    (tmp_path / "file").touch()

    expected = native(compiled("b_wrong"), cwd=tmp_path)
    found = await brokered(compiled("b_wrong"), cwd=tmp_path)

    pairs = zip(expected[1].splitlines(), found[1].splitlines(), strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
    assert found[0] == expected[0] == 0
    assert len(expected[1].splitlines()) > 1000


# ---- the supervisor has no fds ----

_EXHAUSTED = """
import os, resource, subprocess, sys, trio, monitor
from monitor.broker.broker import FAMILIES
held, events = [], []
@monitor.handles(*FAMILIES)
def emulate(call):
    return call.emulate()
@monitor.handles("getppid")
def exhaust(call):
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            return monitor.Return(0)
@monitor.handles("getpgid")
def relieve(call):
    while held:
        os.close(held.pop())
    return monitor.Return(0)
async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    launch = monitor.Launch(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    async with monitor.supervise(
        launch, handlers=[emulate, exhaust, relieve], otherwise=monitor.Allow(), events=events.append
    ) as run:
        output = b"".join([chunk async for chunk in run.stdout])
        status = await run.wait()
    print(output.decode().strip(), status, run.stats.failures)
    print(len([event for event in events if isinstance(event, monitor.OutOfFds)]) > 0)
trio.run(main)
"""

_ASKING = """
import errno, os
def asked(function, *args):
    try:
        return str(function(*args) is not None)
    except OSError as error:
        return errno.errorcode[error.errno]
def all_of_them():
    os.umask(0o22)
    return [asked(os.stat, "/etc/passwd"), asked(os.open, "/etc/passwd", os.O_RDONLY), asked(os.listdir, "/etc"),
            asked(os.open, "missing/file", os.O_RDONLY), asked(os.open, "/dev/null", os.O_WRONLY),
            asked(os.open, "/proc/self/stat", os.O_RDONLY), asked(os.readlink, "/proc/self/exe")]
os.getppid()
lacking = all_of_them()
os.getpgid(0)
print(*lacking, *all_of_them())
"""


def test_a_supervisor_without_fds_says_so_and_goes_on(python_as_user: Any) -> None:
    """The program hears of an errno, never of a success that was none; and all is well when there are fds again."""
    with python_as_user(_EXHAUSTED, sys.executable, "-c", _ASKING, ordinary=False) as process:
        lines = process.communicate(timeout=50)[0].decode().splitlines()

    assert len(lines) == 2, lines
    *words, status, failures = lines[0].split()
    assert (status, failures) == ("0", "0")
    assert set(words[:7]) <= {"ENFILE", "ENOENT", "EMFILE", "True"}
    assert "ENFILE" in words[:7]
    assert words[7:] == ["True", "True", "True", "ENOENT", "True", "True", "True"]
    assert lines[1] == "True"
