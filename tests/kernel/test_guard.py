"""The guard: whatever the tree does, and however the supervisor ends, nothing of it is left."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import monitor
from monitor import _native
from monitor.abi.arch import Arch
from monitor.policy.notify_program import compile_notify
from monitor.sources.launch import Launch, _request, start
from monitor.sources.process import Process
from monitor.sources.prologue import new_cookie, prologue

ALLOW_ALL = compile_notify({Arch.native(): frozenset()})


@monitor.handles("all")
def allow(_call: monitor.Call) -> monitor.Verdict:
    return monitor.Allow()


def marked(mark: str) -> set[int]:
    """Return the processes that have *mark* among their words, zombies excluded: those have no words left."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.add(int(entry.name))
    return found


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Look again and again until *condition* holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def guard_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> Iterator[str]:
    """A word that no other process has; what still has it afterwards is told and killed."""
    word = f"mark-{os.getpid()}-{random.getrandbits(64):x}"
    yield word
    left = marked(word)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, f"left behind: {left}"


async def ready(run: monitor.ProcessRun) -> None:
    """Wait for the target's first line."""
    assert await run.stdout.receive_some(6) == b"ready\n"


def no_child_is_left() -> bool:
    """Whether this process has no child at all, the guards included (``__WALL``)."""
    try:
        os.waitpid(-1, os.WNOHANG | 0x40000000)
    except ChildProcessError:
        return True
    return False


# ---- the end of a tree ----


@pytest.mark.parametrize(
    "kinds",
    [
        ["daemon", "daemon"],
        ["stopped", "deaf", "stopped"],
        ["reaper", "daemon"],
        ["sibling", "sibling"],
        ["pidns"],
        ["daemon", "stopped", "deaf", "reaper", "sibling", "untied", "pidns"],
    ],
    ids="+".join,
)
@pytest.mark.parametrize("handlers", [[], [allow]], ids=["unheard", "heard"])
async def test_leaving_the_block_ends_the_tree_whatever_it_is_made_of(
    compiled: Any, mark: str, kinds: list[str], handlers: Any
) -> None:
    launch = Launch([compiled("g_tree"), mark, *kinds], stdout=subprocess.PIPE)
    async with monitor.supervise(launch, handlers=handlers) as run:
        await ready(run)
        assert len(marked(mark)) > len(kinds)

    assert not marked(mark)
    assert run.returncode == 128 + signal.SIGKILL
    assert no_child_is_left()


async def test_a_crowd_of_two_hundred_is_ended(compiled: Any, mark: str) -> None:
    """More numbers than one read of the list of children holds, if they are long; and many ends at once."""
    launch = Launch([compiled("g_tree"), mark, *["daemon", "deaf"] * 100], stdout=subprocess.PIPE)
    async with monitor.supervise(launch) as run:
        await ready(run)
        assert len(marked(mark)) > 200

    assert not marked(mark)


async def test_processes_that_fork_and_end_without_a_pause_are_caught(compiled: Any, mark: str) -> None:
    """
    The guard reads the list of its children and kills them; but each has forked the next and
    ended by then, and the next is the guard's child only from that moment on.  It has to win
    one of the many rounds.
    """
    async with monitor.supervise(Launch([compiled("g_runaway"), mark, "3"], stdout=subprocess.PIPE)) as run:
        await ready(run)

    assert not marked(mark)


async def test_sigterm_comes_first_and_reaches_everybody(mark: str, tmp_path: Path) -> None:
    loop = "trap 'echo got; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    with (tmp_path / "out").open("w+b", buffering=0) as out:
        launch = Launch(["/bin/sh", "-c", f"({loop}) & {loop}", mark], stdout=out)
        async with monitor.supervise(launch, grace_seconds=20) as run:
            with trio.fail_after(20):
                while (tmp_path / "out").read_bytes().count(b"ready") < 2:
                    await trio.sleep(0.005)

    assert (tmp_path / "out").read_bytes().count(b"got") == 2
    assert run.returncode == 0


async def test_the_end_of_the_first_process_leaves_the_others_until_the_block_is_left(mark: str) -> None:
    launch = Launch(["/bin/sh", "-c", "sleep 1000 & echo $! ; exit 7", mark], stdout=subprocess.PIPE)
    async with monitor.supervise(launch) as run:
        sleeper = int(await run.stdout.receive_some())
        assert await run.wait() == 7
        assert state(sleeper) in {"R", "S"}
    assert not Path(f"/proc/{sleeper}").exists()


async def test_orphans_that_end_are_reaped(compiled: Any, mark: str) -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do (sleep 0.01 & ) ; done; sleep 0.2; echo done; read x"
    launch = Launch(["/bin/sh", "-c", script, mark], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    async with monitor.supervise(launch) as run:
        assert await run.stdout.receive_some() == b"done\n"
        guard = guard_of(run.pid)
        children = Path(f"/proc/{guard}/task/{guard}/children")
        with trio.fail_after(20):
            while children.read_text().split() != [str(run.pid)]:
                await trio.sleep(0.005)


async def test_children_made_with_clone_parent_are_not_the_hosts(compiled: Any, mark: str) -> None:
    async with monitor.supervise(Launch([compiled("g_tree"), mark, "sibling"], stdout=subprocess.PIPE)) as run:
        await ready(run)
        (sibling,) = marked(mark) - {run.pid}

        assert guard_of(sibling) == guard_of(run.pid) != os.getpid()


async def test_the_host_has_no_child_that_it_did_not_make() -> None:
    """The guard has no exit signal, so an ordinary wait(2) does not see it."""
    async with monitor.supervise(["/bin/sleep", "1000"]):
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
    assert no_child_is_left()


async def test_a_host_that_waits_for_just_any_child_does_not_break_the_end() -> None:
    """With __WALL, waitpid(-1) sees the guard too, and may reap it before we do."""
    async with monitor.supervise(["/bin/sleep", "1000"]) as run:
        await trio.testing.wait_all_tasks_blocked()
        run.kill()
        assert os.waitpid(-1, 0x40000000)[0] == run._process._guard.guard_pid
    assert run.returncode == 128 + signal.SIGKILL


# ---- attacks on the guard ----


async def test_a_killed_guard_is_status_137_and_no_hang(compiled: Any, mark: str) -> None:
    async with monitor.supervise(Launch([compiled("g_tree"), mark], stdout=subprocess.PIPE)) as run:
        await ready(run)
        os.kill(guard_of(run.pid), signal.SIGKILL)

        assert await run.wait() == 128 + signal.SIGKILL
    assert no_child_is_left()


async def test_a_first_process_that_took_off_its_tie_dies_with_its_guard_all_the_same(compiled: Any, mark: str) -> None:
    """prctl(PR_SET_PDEATHSIG, 0) is the target's to call; then the supervisor has to notice and kill."""
    async with monitor.supervise(Launch([compiled("g_tree"), mark, "untied"], stdout=subprocess.PIPE)) as run:
        await ready(run)
        os.kill(guard_of(run.pid), signal.SIGKILL)

        assert await run.wait() == 128 + signal.SIGKILL


async def test_a_guard_that_the_tree_stops_over_and_over_still_ends_it(compiled: Any, mark: str) -> None:
    """A target of our user may send SIGSTOP to the guard, which can neither block nor ignore it."""
    async with monitor.supervise(Launch([compiled("g_stopper"), mark], stdout=subprocess.PIPE)) as run:
        await ready(run)

    assert not marked(mark)


@pytest.mark.parametrize("program", [["g_tree", "daemon"], ["g_stopper"]], ids="+".join)
async def test_the_tree_is_ended_even_if_the_task_that_watches_it_has_failed(
    compiled: Any, mark: str, monkeypatch: pytest.MonkeyPatch, program: list[str], open_fds: Any
) -> None:
    """Then the end of the guard is noticed where it is waited for, stopped guard or not."""

    async def fail(_process: Process) -> None:
        await trio.sleep(0.05)
        raise RuntimeError("planted")

    monkeypatch.setattr(Process, "_watch_first", fail)
    before = open_fds()
    with pytest.raises(monitor.SupervisorError, match="planted"):
        async with monitor.supervise(Launch([compiled(program[0]), mark, *program[1:]], stdout=subprocess.PIPE)):
            await trio.sleep_forever()

    assert not marked(mark)
    assert no_child_is_left()
    assert open_fds() == before


async def test_the_status_is_right_even_if_the_guard_was_stopped(compiled: Any, mark: str) -> None:
    async with monitor.supervise([compiled("g_stopper"), mark, "once"]) as run:
        assert await run.wait() == 5


async def test_the_guard_outlives_the_thread_that_launched() -> None:
    """
    The guard shares our memory and has the thread pointer of the thread that launched.  That
    thread ends when it has been idle for some seconds, and glibc unmaps its stack if it has more
    than 40 MB of such stacks.  The stack protector reads its canary through that pointer: a guard
    built with it died of SIGSEGV at the next thing it had to do, and the tree ran on.
    """
    launched: list[_native.Launched] = []
    cookie = new_cookie()
    request = _request(Launch(["/bin/sleep", "1000"]), ALLOW_ALL.prepended(prologue(Arch.native(), cookie)), cookie, {})
    before = threading.stack_size(64 << 20)
    try:
        thread = threading.Thread(target=lambda: launched.append(_native.launch(request, -1)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    (one,) = launched
    os.write(one.control, _native.GUARD_KILL)

    _pid, status = os.waitpid(one.guard_pid, 0x40000000)

    for fd in (one.control, one.pidfd, one.listener):
        os.close(fd)
    _native.guard_release(one.guard_pidfd, one.guard_stack)
    assert os.waitstatus_to_exitcode(status) == 0


async def test_the_guard_takes_no_signal_but_those_nobody_can_block() -> None:
    """Not even the two that libc keeps for itself, and leaves out of every mask it is given."""
    async with monitor.supervise(["/bin/sleep", "1000"]) as run:
        status = Path(f"/proc/{guard_of(run.pid)}/status").read_text()

    blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk")).split()[1], 16)
    assert blocked == ~(1 << (signal.SIGKILL - 1) | 1 << (signal.SIGSTOP - 1)) & (1 << 64) - 1


@pytest.mark.root  # an ordinary user may not look into a guard that is not dumpable
async def test_the_guard_holds_no_fd_and_no_directory_of_the_host(tmp_path: Path) -> None:
    held = os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(held, True)
    here = Path.cwd()
    try:
        async with monitor.supervise(["/bin/sleep", "1000"]) as run:
            guard = Path(f"/proc/{guard_of(run.pid)}")
            fds = [str(entry.readlink()) for entry in (guard / "fd").iterdir()]
            cwd = (guard / "cwd").readlink()
    finally:
        os.close(held)

    assert len(fds) == 4, fds
    assert sum(fd.startswith("socket:") for fd in fds) == 1
    assert sum(fd.endswith("/children") for fd in fds) == 1
    assert sum("signalfd" in fd for fd in fds) == 1
    assert sum("pidfd" in fd for fd in fds) == 1
    assert (cwd, Path.cwd()) == (Path("/"), here)


# ---- the supervisor is gone ----

SUPERVISE = """
import subprocess, sys, trio, monitor
from monitor.sources.launch import Launch

@monitor.handles("all")
def allow(call): return monitor.Allow()

async def main():
    kind, *argv = sys.argv[1:]
    launch = Launch(argv, stdout=subprocess.PIPE, end_with_supervisor="untied" not in kind)
    options = dict(leave_running=True) if "leave" in kind else dict(handlers=[] if "plain" in kind else [allow])
    async with monitor.supervise(launch, **options) as run:
        await run.stdout.receive_some(6)
        print("running", run.pid, flush=True)
        if "leave" not in kind:
            await trio.sleep_forever()
    print("left", run.returncode, flush=True)

print("begins", flush=True)
trio.run(main)
"""


@contextmanager
def supervisor(kind: str, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor in a process of its own, which is killed in the end."""
    process = subprocess.Popen([sys.executable, "-c", SUPERVISE, kind, *argv], stdout=subprocess.PIPE)
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begins\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["heard", "plain"])
def test_a_supervisor_killed_by_sigkill_takes_the_whole_tree_along(compiled: Any, mark: str, kind: str) -> None:
    kinds = ["daemon", "stopped", "deaf", "reaper", "sibling", "untied"]
    with supervisor(kind, compiled("g_tree"), mark, *kinds) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"running")
        pids = marked(mark) - {process.pid}
        guard = {guard_of(int(pid)) for pid in pids} & {int(p) for p in children_of(process.pid)}
        process.kill()

    assert len(pids) > len(kinds)
    assert len(guard) == 1
    wait_until(lambda: not marked(mark) and not any(Path(f"/proc/{pid}").exists() for pid in guard))


def children_of(pid: int) -> set[int]:
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return found


@pytest.mark.parametrize("kind", ["tied", "untied"])
def test_a_supervisor_killed_while_it_launches_leaves_nothing(compiled: Any, mark: str, kind: str) -> None:
    """
    Between its clone and its execve the child waits for the supervisor without a system call, and
    would wait for ever.  Its guard ends it when the supervisor is gone, although the program would
    have been left alone: it does not run yet.
    """
    forks = 0
    for number in range(12):
        with supervisor(kind, compiled("g_tree"), mark, "daemon") as process:
            # Somewhere between the first lines of main() and the first lines of the program.
            time.sleep(0.0008 * number * random.random() * 4)
            forks += bool(children_of(process.pid))
            process.kill()
    if kind == "untied":  # those that had begun are left alone, and are ours to end
        wait_until(lambda: all(program_runs(pid) for pid in marked(mark)))
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)

    wait_until(lambda: not marked(mark))


def program_runs(pid: int) -> bool:
    """Whether *pid* executes the target, and is no copy of the supervisor that waits in between."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.startswith("g_tree")
    except OSError:
        return True  # it is gone


@pytest.mark.parametrize("tied", [True, False])
def test_a_launch_whose_supervisor_is_gone_is_undone_even_if_the_tree_is_not_tied(mark: str, tied: bool) -> None:
    """
    The story of the test above without its luck.  The supervisor dies at exactly the moment when the child
    waits to have its listener fetched: a filter of its own kills it for the attempt.
    """
    code = """
import ctypes, resource, struct, sys, trio, monitor
from monitor.sources.launch import start
from monitor.abi.arch import Arch
from monitor.policy.notify_program import compile_notify
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
libc = ctypes.CDLL(None)
words = [(0x20, 0, 0, 0), (0x15, 0, 1, 438), (0x06, 0, 0, 0x80000000), (0x06, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *word) for word in words))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(words), ctypes.addressof(text)))) == 0
launch = monitor.Launch(["/bin/true"], end_with_supervisor=sys.argv[2] == "True")
trio.run(start, launch, compile_notify({Arch.native(): frozenset()}))
"""
    done = subprocess.run([sys.executable, "-c", code, mark, str(tied)], check=False)

    assert done.returncode == -signal.SIGSYS
    wait_until(lambda: not marked(mark))  # guard and child have the supervisor's words


async def test_an_untied_tree_outlives_the_block_without_a_guard(compiled: Any, mark: str) -> None:
    with supervisor("leave", compiled("g_tree"), mark, "daemon") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().split()[1])
        assert process.stdout.readline() == b"left None\n"
        assert process.wait() == 0
    try:
        assert state(pid) == "S"
        assert len(marked(mark)) == 2
        assert b"monitor-guard" not in Path(f"/proc/{guard_of(pid)}/comm").read_bytes()
    finally:
        for left in marked(mark):
            os.kill(left, signal.SIGKILL)
    wait_until(lambda: not marked(mark))


async def test_a_program_that_is_left_running_has_no_status_and_no_event_of_its_end(mark: str) -> None:
    told: list[monitor.Event] = []
    launch = Launch(["/bin/sh", "-c", "read x", mark], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    async with monitor.supervise(launch, leave_running=True, events=told.append) as run:
        kept = os.dup(run.stdin.fileno())
        pid = run.pid
    try:
        assert run.returncode is None
        assert [type(event) for event in told] == [monitor.TargetStarted]
        wait_until(lambda: state(pid) == "S")  # waits for its input
    finally:
        os.close(kept)
    wait_until(lambda: not marked(mark))
    assert no_child_is_left()


async def test_leaving_a_program_that_has_ended_already_is_no_error() -> None:
    """
    The end of the guard has been noticed, but the task that will clean up after it has not run yet: it then
    closed the fd on which the leaving had begun to wait, and that waited for ever.
    """
    for _ in range(30):
        async with monitor.supervise(["/bin/sh", "-c", "exit 4"], leave_running=True) as run:
            assert await run.wait() == 4
        assert run.returncode == 4


# ---- the host program ----


@pytest.mark.seconds(120)  # until a fork comes at the wrong moment; one is enough
async def test_a_fork_of_the_host_hangs_neither_the_launch_nor_the_end(compiled: Any, mark: str) -> None:
    """
    A thread of the host forks, without an exec, while the launch has its sockets open: the copy keeps the
    far ends open for as long as it lives.  So neither the success of the execve nor the end of the guard
    may be taken from the end of a stream alone.
    """
    forker = ctypes.CDLL(compiled("g_forker", "-shared", "-fPIC"))
    copies, most = (ctypes.c_int * 4096)(), ctypes.c_int()
    hit = launches = 0
    with trio.fail_after(110):
        while hit < 1:
            launches += 1
            sockets = count_sockets()
            forker.forker_start()
            try:
                handover: Any = ["auto", "cookie"][launches % 2]
                async with monitor.supervise(Launch(["/bin/sh", "-c", "exit 3", mark], handover=handover)) as run:
                    assert await run.wait() == 3
            finally:
                made = copies[: forker.forker_stop(copies, ctypes.byref(most))]
                for pid in made:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
            hit += most.value >= sockets + 4  # two pairs


def count_sockets() -> int:
    count = 0
    for fd in range(256):
        with contextlib.suppress(OSError):
            count += stat.S_ISSOCK(os.fstat(fd).st_mode)
    return count


async def test_sigchld_ignored_by_the_host_loses_no_status() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        async with monitor.supervise(["/bin/sh", "-c", "exit 9"]) as run:
            assert await run.wait() == 9
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert no_child_is_left()


async def test_nothing_grows_over_two_hundred_launches(open_fds: Any) -> None:
    async def some(count: int) -> None:
        for _ in range(count):
            async with monitor.supervise(["/bin/true"], handlers=[allow] if count % 2 else []) as run:
                assert await run.wait() == 0

    def size() -> tuple[int, int, int]:
        status = Path("/proc/self/statm").read_text().split()
        return int(status[1]), len(Path("/proc/self/maps").read_text().splitlines()), threading.active_count()

    await some(20)
    fds, (pages, mappings, threads) = open_fds(), size()
    await some(200)
    pages_now, mappings_now, threads_now = size()

    assert {fd.split()[-1] for fd in open_fds()} == {fd.split()[-1] for fd in fds}
    assert pages_now - pages < 512, "2 MB"
    assert mappings_now - mappings < 20
    assert threads_now <= threads + 1
    assert no_child_is_left()


async def test_twenty_launches_at_once() -> None:
    statuses: list[int] = []

    async def one(number: int) -> None:
        async with monitor.supervise(["/bin/sh", "-c", f"exit {number}"], handlers=[allow]) as run:
            statuses.append(await run.wait())

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(one, number)

    assert sorted(statuses) == list(range(20))
    assert no_child_is_left()


async def test_cancelled_at_any_moment_a_launch_leaves_nothing(open_fds: Any) -> None:
    """Somewhere in the launch's one or two milliseconds, which a step of the loop crosses in 60 attempts."""
    async with monitor.supervise(["/bin/true"]):
        pass
    before = open_fds()
    mappings = len(Path("/proc/self/maps").read_text().splitlines())
    cancelled = 0
    for number in range(60):
        with trio.move_on_after(number * 0.00006) as scope:
            started = await start(Launch(["/bin/sleep", "1000"], stdout=subprocess.PIPE), ALLOW_ALL)
        if scope.cancelled_caught:
            cancelled += 1
        else:
            started.listener.close()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(started.process.watch)
                await started.process.end(0)
        assert no_child_is_left()

    assert cancelled
    assert open_fds() == before
    assert len(Path("/proc/self/maps").read_text().splitlines()) < mappings + 10


async def test_nothing_of_the_process_changes_but_its_dumpability() -> None:
    """Working directory, umask, handlers, masks, credentials of every thread: the host's own, as they were."""

    def look() -> Any:
        umask = os.umask(0)
        os.umask(umask)
        wanted = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "SigBlk", "SigIgn", "SigCgt", "CapEff", "CapPrm")
        tasks = set()
        for task in Path("/proc/self/task").iterdir():
            lines = (task / "status").read_text().splitlines()
            tasks.add(tuple(line for line in lines if line.split(":")[0] in wanted))
        handlers = [signal.getsignal(number) for number in signal.valid_signals()]
        reaper = ctypes.c_int()
        ctypes.CDLL(None).prctl(37, ctypes.byref(reaper))
        return Path.cwd(), umask, tasks, handlers, reaper.value, Path("/proc/self/comm").read_text()

    async with monitor.supervise(["/bin/true"]) as run:  # the worker thread is there from now on
        await run.wait()
    before = look()
    async with monitor.supervise(["/bin/true"], handlers=[allow]) as run:
        during = look()
        await run.wait()

    assert before == during == look()
