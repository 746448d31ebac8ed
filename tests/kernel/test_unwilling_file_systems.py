"""A file system that fails, is slow, or never answers is so for whoever asked, and for nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from time import monotonic, sleep
from typing import Any

import pytest
import trio

import monitor
from monitor.broker.families import FAMILIES
from tests.conftest import HERE, require

PLACES = ("lookup", "open", "getattr", "readdir")

WHILE_IT_HANGS_MS = 100
"""What another process may have to wait for an open at the most; alone it takes less than one."""

MOST_SECONDS = 8
"""How long it hangs at the most: were we to wait for it ourselves, only its end would end that."""

# Both the look-up and what is behind it: names are kept by the kernel, so that the second is not on a worker's way.
TOUCH = {
    "lookup": "cat {0}/{1}-lookup",
    "open": "stat -c %s {0}/{1}-open; cat {0}/{1}-open",
    "getattr": "stat -c %s {0}/{1}-getattr",
    "readdir": "stat -c %F {0}/{1}-readdir; ls {0}/{1}-readdir",
}


@monitor.handles(*FAMILIES)
def emulate(call: monitor.Call) -> monitor.Verdict:
    """Do everything for the program."""
    return call.emulate()


@pytest.fixture(scope="module")
def unwilling(public_directory: Path) -> Callable[[Path], subprocess.Popen[bytes]]:
    """Return a function that mounts tests/targets/f_unwilling.c."""
    require("libfuse3-dev", subprocess.run(["pkg-config", "--exists", "fuse3"], check=False).returncode == 0)
    require("/dev/fuse", os.access("/dev/fuse", os.R_OK | os.W_OK))
    program = public_directory / "f_unwilling"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True, text=True, check=True)
    source = str(HERE / "targets" / "f_unwilling.c")
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-o", str(program), source, *flags.stdout.split()], check=True)

    def mount(point: Path) -> subprocess.Popen[bytes]:
        point.mkdir()
        server = subprocess.Popen([program, point])
        killer = Timer(MOST_SECONDS, server.kill)  # whoever waits for it cannot even be killed
        killer.daemon = True
        killer.start()
        deadline = monotonic() + 10
        while not os.path.ismount(point):
            assert monotonic() < deadline, "it was not mounted"
            sleep(0.01)
        return server

    return mount


@pytest.fixture
def mounted(tmp_path: Path, unwilling: Callable[[Path], subprocess.Popen[bytes]]) -> Iterator[Path]:
    """The directory on which it is mounted.  Whoever still waits for it hears at the end that it is gone."""
    point = tmp_path / "fuse"
    server = unwilling(point)
    yield point
    server.kill()
    server.wait()
    subprocess.run(["umount", "-l", str(point)], check=True)


def script_of(what: str, place: str, point: Path) -> str:
    """Return what asks the file system mounted at *point* for what it does not want to answer."""
    return TOUCH[place].format(point, what)


def launch(script: str) -> monitor.Launch:
    return monitor.Launch(["/bin/sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/")


@pytest.mark.root
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", ["good", "fail", "slow", "stale"])
async def test_what_it_says_reaches_the_program(mounted: Path, what: str, place: str) -> None:
    script = script_of(what, place, mounted)
    native = subprocess.run(
        ["/bin/sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", check=False
    )

    async with monitor.supervise(launch(script), handlers=[emulate], otherwise=monitor.Allow()) as run:
        output = b"".join([chunk async for chunk in run.stdout])
        status = await run.wait()

    assert (status, output) == (native.returncode, native.stdout)
    assert (b"Input/output error" in output) == (what == "fail")
    assert (b"Stale file handle" in output) == (what == "stale")
    assert run.stats.failures == 0


@pytest.mark.root
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", ["slow", "hang"])
async def test_nobody_else_waits_for_it(
    mounted: Path, compiled: Callable[..., str], what: str, place: str, open_fds: Any
) -> None:
    """
    Somebody's call waits for an answer that does not come, and another one's opens are made meanwhile.

    What had been looked up once is known to the kernel, so that nothing but the open itself, or the
    question for attributes or entries, would have told us that it may take long.
    """
    slow = f"{script_of(what, place, mounted)}; {script_of(what, place, mounted)}"
    script = f"({slow}) >/dev/null 2>&1 & sleep 0.1; {compiled('b_patience')} /etc/passwd 700"
    longest = ended = float("inf")
    for _ in range(3):  # a machine that has other things to do is late now and then, a loop that waits each time
        async with monitor.supervise(launch(script), handlers=[emulate], otherwise=monitor.Allow()) as run:
            longest = min(longest, float((await run.stdout.receive_some(100)).strip()))
            began = monotonic()
        ended = min(ended, monotonic() - began)
        if longest < WHILE_IT_HANGS_MS:
            break

    assert longest < WHILE_IT_HANGS_MS
    assert ended < 5


@pytest.mark.root
async def test_a_name_on_which_it_is_mounted_is_not_a_question_to_it(
    tmp_path: Path, unwilling: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    """What is there is EEXIST, natively as soon as here; its file system answers nobody."""
    point = tmp_path / "fuse"
    server = unwilling(point)
    server.send_signal(signal.SIGSTOP)
    try:
        with trio.fail_after(10):
            async with monitor.supervise(
                launch(f"mknod {point} p; mkdir {point}"),
                handlers=[names],
                otherwise=monitor.Allow(),
            ) as run:
                output = b"".join([chunk async for chunk in run.stdout])
    finally:
        server.kill()
        server.wait()
        subprocess.run(["umount", "-l", str(point)], check=True)

    assert output.count(b"File exists") == 2


@monitor.handles("mknod", "mknodat", "mkdir", "mkdirat")
def names(call: monitor.Call) -> monitor.Verdict:
    """Make names for the program."""
    return call.emulate()


@pytest.mark.root
async def test_one_that_is_mounted_while_a_program_runs_holds_up_nobody_either(
    tmp_path: Path, compiled: Callable[..., str], unwilling: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    """The very first call after that meets it: no call before could have told."""
    patience = compiled("b_patience")
    longest = float("inf")
    for number in range(3):  # as above
        top = tmp_path / str(number)
        top.mkdir()
        longest = min(longest, await _longest_while_it_is_mounted(top, patience, unwilling))
        if longest < WHILE_IT_HANGS_MS:
            break

    assert longest < WHILE_IT_HANGS_MS


async def _longest_while_it_is_mounted(
    top: Path, patience: str, unwilling: Callable[[Path], subprocess.Popen[bytes]]
) -> float:
    """Return how long an open of another file has taken at most, in milliseconds."""
    point, go = top / "fuse", top / "go"
    os.mkfifo(go)
    script = f"""
        (exec 3< {go}; read line <&3; : < {point}/hang-lookup) 2>/dev/null &
        sleep 0.8; {patience} /etc/passwd 500
    """
    server = None
    try:
        async with monitor.supervise(launch(script), handlers=[emulate], otherwise=monitor.Allow()) as run:
            await trio.sleep(0.3)
            server = unwilling(point)
            await trio.to_thread.run_sync(go.write_text, "go\n")
            return float((await run.stdout.receive_some(100)).strip())
    finally:
        if server is not None:
            server.kill()
            server.wait()
            subprocess.run(["umount", "-l", str(point)], check=True)
