"""What may sleep for ever for a program: signals do to it what they do natively, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import trio

import monitor
from monitor.broker.families import FAMILIES

Choreography = Callable[[int, Path], None]


@monitor.handles(*FAMILIES)
def emulate(call: monitor.Call) -> monitor.Verdict:
    """Do everything for the program."""
    return call.emulate()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it did not come to pass"
        sleep(0.002)


def helpers() -> list[int]:
    """Return the helpers of this process, whichever of its threads has cloned them."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):
            for pid in (task / "children").read_text().split():
                with suppress(FileNotFoundError):
                    if Path(f"/proc/{pid}/comm").read_text() == "monitor-helper\n":
                        found.append(int(pid))
    return found


def left() -> list[int]:
    """Return the helpers that are there a moment after nobody needs them any more."""
    for _ in range(200):
        if not helpers():
            return []
        sleep(0.01)
    return helpers()


# ---- what happens while it sleeps ----


def nothing(pid: int, path: Path) -> None:
    """It is left alone."""


def other_end(pid: int, path: Path) -> None:
    """Somebody opens the other end of the FIFO, and keeps it for longer than between two tries in a storm."""
    sleep(0.2)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    sleep(0.2)
    os.close(end)


def stop_and_go(pid: int, path: Path) -> None:
    """It is stopped, and goes on."""
    sleep(0.1)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state(pid) == "T")
    os.kill(pid, signal.SIGCONT)
    other_end(pid, path)


def many_stops(pid: int, path: Path) -> None:
    """It is stopped again and again."""
    for _ in range(5):
        stop_and_go_only(pid)
    other_end(pid, path)


def stop_and_go_only(pid: int) -> None:
    sleep(0.02)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state(pid) == "T")
    os.kill(pid, signal.SIGCONT)


def kill(pid: int, path: Path) -> None:
    sleep(0.1)
    os.kill(pid, signal.SIGKILL)


def interrupt(pid: int, path: Path) -> None:
    sleep(0.1)
    os.kill(pid, signal.SIGINT)


def quit_it(pid: int, path: Path) -> None:
    sleep(0.1)
    os.kill(pid, signal.SIGQUIT)


CASES: list[tuple[str, str, int, int, Choreography]] = [
    ("read", "plain", 50, 0, nothing),
    ("write", "plain", 50, 0, nothing),
    ("read", "none", 50, 0, nothing),
    ("read", "restart", 50, 0, other_end),
    ("write", "restart", 50, 0, other_end),
    ("read", "restart", 0, 0, other_end),
    ("read", "plain", 1, 1, nothing),
    ("read", "restart", 1, 1, other_end),
    ("write", "restart", 1, 1, other_end),
    ("read", "plain", 0, 0, stop_and_go),
    ("write", "none", 0, 0, stop_and_go),
    ("read", "restart", 7, 7, many_stops),
    ("read", "none", 0, 0, kill),
    ("read", "none", 0, 0, interrupt),
    ("read", "none", 0, 0, quit_it),
    ("read", "plain", 0, 0, interrupt),
]


def named(case: tuple[str, str, int, int, Choreography]) -> str:
    what, handler, first, then, others = case
    return f"{what}-{handler}-{first}-{then}-{others.__name__}"


def natively(argv: list[str], others: Choreography, path: Path) -> tuple[int, bytes]:
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        others(process.pid, path)
        said += process.stdout.read()
    return (128 - process.returncode if process.returncode < 0 else process.returncode), said


async def supervised(argv: list[str], others: Choreography, path: Path) -> tuple[int, bytes, monitor.Stats]:
    launch = monitor.Launch(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    async with monitor.supervise(launch, handlers=[emulate], otherwise=monitor.Allow()) as run:
        said = await run.stdout.receive_some(100)
        await trio.to_thread.run_sync(others, run.pid, path)
        with trio.fail_after(20):
            said += b"".join([chunk async for chunk in run.stdout])
            status = await run.wait()
    return status, said, run.stats


@pytest.mark.parametrize("case", CASES, ids=named)
async def test_a_signal_does_to_a_sleeping_open_what_it_does_natively(
    case: tuple[str, str, int, int, Choreography], compiled: Any, tmp_path: Path
) -> None:
    what, handler, first, then, others = case
    path = tmp_path / "fifo"
    os.mkfifo(path)
    argv = [compiled("k_sleeper"), what, str(path), handler, str(first), str(then)]

    wanted = await trio.to_thread.run_sync(natively, argv, others, path)
    *found, stats = await supervised(argv, others, path)

    assert tuple(found) == wanted
    assert stats.failures == 0
    assert not left()


async def test_an_open_ends_soon_after_its_program(compiled: Any, tmp_path: Path) -> None:
    """And not only with its run: others of the same tree go on."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = f"echo begins; cat {fifo} & sleep 0.3; kill -9 $!; sleep 1"
    seen: list[tuple[int, int]] = []

    def others(_pid: int, _path: Path) -> None:
        until(helpers)
        sleep(0.7)
        seen.append((len(helpers()), len([t for t in threading.enumerate() if t.name == "monitor waker"])))

    status, *_ = await supervised(["bash", "-c", script], others, fifo)

    assert (status, seen) == (0, [(0, 0)])


# ---- leases ----

_HOLDER = """
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, lambda *_: None)
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("holds", flush=True)
sys.stdin.readline()
"""


@contextmanager
def leased(path: Path) -> Iterator[Callable[[], None]]:
    """Have another process hold a lease on *path*, and give what has it let go."""
    with subprocess.Popen(
        ["python3", "-c", _HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"holds\n"
        try:
            yield holder.stdin.close
        finally:
            holder.kill()


LEASES = [
    ("write", "plain", 50, 0),
    ("truncate", "plain", 50, 0),
    ("write", "restart", 50, 0),
    ("truncate", "restart", 50, 0),
    ("truncate", "restart", 1, 1),
    ("truncate", "none", 0, 0),
    ("truncate", "none", 50, 0),
]


@pytest.mark.parametrize(("what", "handler", "first", "then"), LEASES)
async def test_a_signal_does_to_who_waits_for_a_lease_what_it_does_natively(
    what: str, handler: str, first: int, then: int, compiled: Any, tmp_path: Path
) -> None:
    path = tmp_path / "leased"
    argv = [compiled("k_sleeper"), what, str(path), handler, str(first), str(then)]
    results: list[tuple[int, bytes, str]] = []

    for run in (None, supervised):
        path.write_text("contents")
        with leased(path) as let_go:

            def others(_pid: int, _path: Path, let_go: Callable[[], None] = let_go) -> None:
                sleep(0.3)
                let_go()

            if run is None:
                status, said = await trio.to_thread.run_sync(natively, argv, others, path)
            else:
                status, said, _ = await run(argv, others, path)
        results.append((status, said, path.read_text()))

    assert results[0] == results[1]
    assert not left()


# ---- whose it is ----


async def test_nobody_sees_who_sleeps_for_a_program(tmp_path: Path) -> None:
    """It has our memory: for the program it is not there, as we are not."""
    fifo, number = tmp_path / "fifo", tmp_path / "number"
    os.mkfifo(fifo)
    script = f"""
        echo begins; cat {fifo} &
        while [ ! -s {number} ]; do sleep 0.02; done
        read -r pid < {number}
        for name in $pid $pid/stat self/../$pid/status; do [ -e /proc/$name ] && echo seen $name; done
        ls /proc/$pid 2>&1; kill $!; echo asked
    """

    def others(_pid: int, _path: Path) -> None:
        until(helpers)
        (pid,) = helpers()
        assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
        number.write_text(f"{pid}\n")

    _, said, _ = await supervised(["bash", "-c", script], others, fifo)

    assert b"seen" not in said
    assert b"No such file or directory" in said
    assert said.endswith(b"asked\n")


def test_what_is_opened_in_the_last_moment_is_neither_lost_nor_kept(tmp_path: Path, open_fds: Any) -> None:
    """
    Somebody opens the other end while the open is told to stop.

    Either it was opened, and we know its number; or it was not.  An fd that nobody knows would stay for ever.
    """
    from monitor._native import HELPER_OPEN, SIGNALLED, UNWANTED, Waiter, run_helper  # noqa: PLC0415

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    proc, held = os.open("/proc", os.O_PATH), os.open(fifo, os.O_PATH)
    ends = {True: 0, False: 0}
    until(lambda: not any("[eventfd]" in one for one in open_fds()))  # the last worker of a run that ended closes them
    before = open_fds()

    for number in range(400):
        cancel = os.eventfd(0)
        result: list[tuple[int, int]] = []
        waiter = Waiter(-1, 0, os.getpid(), cancel, heeds_signals=False)

        def sleeper(waiter: Waiter = waiter, result: list[tuple[int, int]] = result) -> None:
            result.append(run_helper(waiter, proc, held, HELPER_OPEN, os.O_RDONLY, 0))

        threads = [
            threading.Thread(target=sleeper),
            threading.Thread(target=lambda cancel=cancel: os.eventfd_write(cancel, 1)),
        ]
        for thread in threads if number % 2 else reversed(threads):
            thread.start()
        end = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        for thread in threads:
            thread.join()
        os.close(end)
        os.close(cancel)
        ((opened, why),) = result
        ends[opened >= 0] += 1
        if opened >= 0:
            os.close(opened)
        else:
            assert (opened, why) == (-512, UNWANTED)
            assert why != SIGNALLED

    assert open_fds() == before
    assert not left()
    os.close(proc)
    os.close(held)
    assert all(ends.values()), ends


def test_a_signal_that_is_meant_for_the_whole_group_ends_no_open(tmp_path: Path) -> None:
    """It is the helper's own signal, and reaches it with the host program's; nobody has told it to stop."""
    from monitor._native import HELPER_OPEN, Waiter, run_helper  # noqa: PLC0415

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    proc, held = os.open("/proc", os.O_PATH), os.open(fifo, os.O_PATH)
    waiter = Waiter(-1, 0, os.getpid(), -1, heeds_signals=False)
    result: list[tuple[int, int]] = []
    thread = threading.Thread(target=lambda: result.append(run_helper(waiter, proc, held, HELPER_OPEN, os.O_RDONLY, 0)))
    thread.start()
    until(helpers)
    (pid,) = helpers()
    for number in (signal.SIGURG, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        for _ in range(20):
            os.kill(pid, number)
            sleep(0.001)
    assert not result

    end = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    thread.join()
    for fd in (end, result[0][0], proc, held):
        os.close(fd)
    assert result[0][1] == 0
