"""Each step of a launch that can fail: which stage and errno are told, and that nothing is left of it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from errno import E2BIG, EACCES, EAGAIN, EBADF, EMFILE, ENOENT, ENOEXEC, ENOTDIR, EPERM
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor import LaunchStage, _native
from monitor.abi.arch import Arch
from monitor.policy.notify_program import compile_notify
from monitor.sources import launch as launch_module
from monitor.sources.launch import start

ALLOW_ALL = compile_notify({Arch.native(): frozenset()})


@monitor.handles("all")
def allow(_call: monitor.Call) -> monitor.Verdict:
    return monitor.Allow()


@pytest.fixture(autouse=True)
def _nothing_is_left(open_fds: Callable[[], set[str]]) -> Iterator[None]:
    """No process (the guard included), no fd, no mapping of a guard's stack."""
    before, mappings = open_fds(), len(Path("/proc/self/maps").read_text().splitlines())
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG | 0x40000000)
    assert open_fds() == before
    assert len(Path("/proc/self/maps").read_text().splitlines()) < mappings + 8


async def failure(argv: Any, **launch: Any) -> monitor.LaunchError:
    """Return how a launch fails, with and without a filter that stops everything; both fail alike."""
    errors = []
    for handlers in ([], [allow]):
        with pytest.raises(monitor.LaunchError) as caught:
            async with monitor.supervise(monitor.Launch(argv, **launch), handlers=handlers):
                pytest.fail("it started")
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    return errors[0]


def told(error: monitor.LaunchError) -> tuple[LaunchStage, int, str]:
    return error.stage, error.errno, error.subject


# ---- the program ----


async def test_a_program_that_is_not_there() -> None:
    assert told(await failure(["/nonexistent/x"])) == (LaunchStage.EXEC, ENOENT, "/nonexistent/x")


async def test_a_program_that_is_nowhere_in_path() -> None:
    error = await failure(["no-such-program"], env={"PATH": "/bin:/nonexistent"})

    assert told(error) == (LaunchStage.EXEC, ENOENT, "no-such-program")


@pytest.mark.parametrize(("program", "path"), [("cat", ""), ("", "/bin")])
async def test_an_empty_name_or_path_finds_nothing(program: str, path: str) -> None:
    assert (await failure([program], env={"PATH": path})).errno == ENOENT


async def test_a_program_that_is_not_executable(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    error = await failure([tmp_path / "tool"])

    assert told(error) == (LaunchStage.EXEC, EACCES, str(tmp_path / "tool"))
    assert "not executable" in str(error)


async def test_a_refusal_on_the_way_along_path_is_remembered(tmp_path: Path) -> None:
    """As execvp(3): the first EACCES is told, although the last directory said ENOENT."""
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    error = await failure(["tool"], env={"PATH": f"/nonexistent:{tmp_path}:/bin"})

    assert told(error) == (LaunchStage.EXEC, EACCES, str(tmp_path / "tool"))


async def test_a_directory() -> None:
    error = await failure(["/tmp"])

    assert told(error) == (LaunchStage.EXEC, EACCES, "/tmp")
    assert "it is a directory" in str(error)


async def test_a_script_whose_interpreter_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/nonexistent/interpreter -x\n")
    (tmp_path / "script").chmod(0o755)
    error = await failure([tmp_path / "script"])

    assert told(error)[:2] == (LaunchStage.EXEC, ENOENT)
    assert "its interpreter /nonexistent/interpreter does not exist" in str(error)


async def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("echo no first line\n")
    (tmp_path / "text").chmod(0o755)
    error = await failure([tmp_path / "text"])

    assert told(error)[:2] == (LaunchStage.EXEC, ENOEXEC)
    assert "#!" in str(error)


async def test_words_that_are_too_long() -> None:
    assert told(await failure(["/bin/true", "x" * (1 << 20)]))[:2] == (LaunchStage.EXEC, E2BIG)


# ---- the surroundings ----


@pytest.mark.parametrize(("directory", "errno"), [("/nonexistent", ENOENT), ("/bin/true", ENOTDIR)])
async def test_a_working_directory_that_is_none(directory: str, errno: int) -> None:
    assert told(await failure(["/bin/true"], cwd=directory)) == (LaunchStage.DIRECTORY, errno, directory)


async def test_an_fd_that_is_not_open(open_fds: Any) -> None:
    """
    Whichever number is free: the launch's own sockets take the lowest free numbers, and the program must
    not be given the one that leads to its guard.
    """
    free = [number for number in range(3, 40) if not any(fd.startswith(f"{number} ") for fd in open_fds())]
    for number in free[:12]:
        error = await failure(["/bin/true"], fds={9: number})
        assert told(error) == (LaunchStage.FILE_DESCRIPTORS, EBADF, "fd 9")
        error = await failure(["/bin/true"], stdout=number, stdin=subprocess.PIPE)
        assert told(error) == (LaunchStage.FILE_DESCRIPTORS, EBADF, "fd 1")
    assert told(await failure(["/bin/true"], fds={9: -1})) == (LaunchStage.FILE_DESCRIPTORS, EBADF, "fd 9")


async def test_an_fd_number_above_the_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        error = await failure(["/bin/true"], fds={5000: 2})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert error.stage is LaunchStage.FILE_DESCRIPTORS


async def test_a_limit_above_what_is_possible() -> None:
    limits = {resource.RLIMIT_NOFILE: (1 << 40, 1 << 40)}  # above fs.nr_open: not for root either
    error = await failure(["/bin/true"], rlimits={resource.RLIMIT_CORE: (0, 0)} | limits)

    assert told(error) == (LaunchStage.RESOURCE_LIMITS, EPERM, f"limit {resource.RLIMIT_NOFILE}")


@pytest.mark.parametrize("limits", [{1: (1,)}, {1: (1, 2, 3)}, {1: ("1", 2)}, {"1": (1, 2)}, {1: (0, 1 << 64)}])
def test_a_limit_that_cannot_be_meant_is_refused_before_anything_is_started(limits: Any) -> None:
    with pytest.raises(ValueError, match="rlimits"):
        monitor.Launch(["/bin/true"], rlimits=limits)


CODE = """
import sys, trio, monitor
async def main():
    try:
        async with monitor.supervise(monitor.Launch(["/bin/true"], {})): pass
    except monitor.MonitorError as error: print(type(error).__name__, error)
{}
trio.run(main)
"""


def as_user(python_as_user: Any, arguments: str, before: str = "", *, ordinary: bool = True) -> str:
    """Return what a launch with *arguments* raises in a process of its own, after *before*."""
    with python_as_user(CODE.format(arguments, before), ordinary=ordinary) as process:
        text, _ = process.communicate()
    assert process.returncode == 0, text.decode()
    return text.decode()


def test_an_ordinary_user_cannot_become_another(python_as_user: Any) -> None:
    assert "setting the supplementary groups failed: EPERM" in as_user(python_as_user, "uid=1, gid=1")
    assert "setting the group id failed: EPERM" in as_user(python_as_user, "gid=1")


async def test_a_group_id_that_does_not_exist_in_the_namespace() -> None:
    """Here the map has 0 and nothing else."""
    code = CODE.format("gid=5", "")
    done = await trio.run_process(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", code], capture_stdout=True
    )
    assert b"setting the group id failed: EINVAL" in done.stdout


@pytest.mark.parametrize("kind", ["pid", "mount", "net", "ipc"])
def test_an_ordinary_user_may_make_no_namespace_but_a_users(python_as_user: Any, kind: str) -> None:
    text = as_user(python_as_user, f'namespaces={{"{kind}"}}')

    assert "creating the process failed: EPERM" in text
    assert f"this user may not make new namespaces ({kind})" in text


FILTER = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
def forbid(*words):
    words = [*words, (0x06, 0, 0, 0x7fff0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *word) for word in words))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(Program(len(words), ctypes.addressof(code)))) == 0
"""
NO_CLONE3 = "forbid((0x20, 0, 0, 0), (0x15, 0, 1, 435), (0x06, 0, 0, 0x00050000 | 38))"
NO_USER_NAMESPACE = (  # clone(2) with CLONE_NEWUSER
    "forbid((0x20, 0, 0, 0), (0x15, 0, 3, 56), (0x20, 0, 0, 16), (0x45, 0, 1, 0x10000000), (0x06, 0, 0, 0x00050001))"
)


def test_a_container_that_forbids_user_namespaces_is_told_of(python_as_user: Any) -> None:
    """As container profiles do it: clone3(2) does not exist, so that clone(2)'s flags can be looked at."""
    before = FILTER + NO_CLONE3 + "\n" + NO_USER_NAMESPACE
    text = as_user(python_as_user, 'namespaces={"user"}', before)

    assert "creating the process failed: EPERM" in text
    assert "this user may not make new namespaces (user)" in text


@pytest.mark.parametrize("arguments", ["", 'namespaces={"user"}'])
def test_without_clone3_the_launch_works_as_well(python_as_user: Any, arguments: str) -> None:
    assert as_user(python_as_user, arguments, FILTER + NO_CLONE3) == ""


def test_a_limit_of_namespaces_is_told_of() -> None:
    """In a user namespace of its own, where the limit is ours to set: user.max_user_namespaces."""
    code = CODE.format('namespaces={"user"}', "open('/proc/sys/user/max_user_namespaces', 'w').write('0')")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", code], stdout=subprocess.PIPE, check=True
    )
    assert b"creating the process failed: ENOSPC" in done.stdout
    assert b"max_*_namespaces" in done.stdout


# ---- the kernel and the host ----


async def test_a_supervised_program_cannot_supervise() -> None:
    """The kernel allows one listener; ours refuses a second even when it is closed."""
    launch = monitor.Launch([sys.executable, "-c", CODE.format("", "")], stdout=subprocess.PIPE)
    async with monitor.supervise(launch) as run:
        text = b"".join([chunk async for chunk in run.stdout])
        assert await run.wait() == 0

    assert b"LaunchError installing the filter failed: EBUSY" in text
    assert b"itself supervised" in text


def test_a_system_without_the_list_of_children_is_told_of() -> None:
    """Without it the guard could not end a tree, and a launch would promise what it cannot keep."""
    script = 'mount -t tmpfs none /proc && exec "$@"'
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    done = subprocess.run([*argv, sys.executable, "-c", CODE.format("", "")], stdout=subprocess.PIPE, check=True)

    assert done.stdout.startswith(b"KernelFeatureError CONFIG_PROC_CHILDREN")


@pytest.mark.parametrize("spare", [*range(16), 40])
async def test_a_supervisor_without_fds_is_told_so(spare: int) -> None:
    """With none, one, two ... left: each opening on the way fails in its turn, until the launch succeeds."""
    async with monitor.supervise(["/bin/true"]) as run:  # what is imported when it is first used takes fds too
        await run.wait()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    held = []
    try:
        while True:
            try:
                held.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
            except OSError:
                break
        for fd in [held.pop() for _ in range(spare)]:
            os.close(fd)
        launch = monitor.Launch(["/bin/true"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            async with monitor.supervise(launch) as run:
                assert await run.wait() == 0
        except monitor.LaunchError as error:
            assert error.errno == EMFILE  # noqa: PT017  # it may succeed too
            started = False
        else:
            started = True
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if not 4 <= spare < 40:
        assert started == (spare == 40)


def test_a_user_at_the_limit_of_processes_is_told_so(python_as_user: Any) -> None:
    """No thread, then no guard: RLIMIT_NPROC counts both."""
    text = as_user(
        python_as_user,
        "",
        "import resource, threading\n"
        "trio.run(trio.to_thread.run_sync, int)\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n",
    )
    assert "LaunchError" in text
    assert "EAGAIN" in text


async def test_no_thread_is_a_launch_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: object) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr(trio.lowlevel, "start_thread_soon", refuse)

    assert told(await failure(["/bin/true"])) == (LaunchStage.PREPARE, EAGAIN, "")


async def test_what_fails_when_it_all_works_already_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program runs, and then its listener cannot be taken over."""

    def fail(*_words: object, **_options: object) -> None:
        raise OSError(EMFILE, "x")

    monkeypatch.setattr(launch_module, "Listener", fail)

    assert told(await failure(["/bin/sleep", "1000"])) == (LaunchStage.LISTENER, EMFILE, "")


async def test_a_cancelled_block_is_cancelled_even_when_the_launch_failed() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        async with monitor.supervise(["/nonexistent"]):
            pytest.fail("it started")
    assert scope.cancelled_caught


async def test_an_interrupt_during_a_launch_leaves_as_itself() -> None:
    """^C while the thread is in C: the launch is given up, and no group hides the KeyboardInterrupt."""
    code = """
import os, signal, threading, trio, monitor
from monitor import _native
from monitor.sources import launch as module
real = _native.launch
def interrupted(request, cancel_fd):
    os.kill(os.getpid(), signal.SIGINT)
    return real(request, cancel_fd)
_native.launch = interrupted
async def main():
    try:
        async with monitor.supervise(["/bin/sleep", "1000"]): print("started")
    except KeyboardInterrupt: print("KeyboardInterrupt")
    try: os.waitpid(-1, os.WNOHANG | 0x40000000)
    except ChildProcessError: print("nothing left")
trio.run(main)
"""
    done = await trio.run_process([sys.executable, "-c", code], capture_stdout=True)
    assert done.stdout == b"KeyboardInterrupt\nnothing left\n"


async def test_a_target_that_is_killed_while_it_is_launched_is_a_status_or_an_error() -> None:
    """Somebody kills our children as soon as they appear: the launch fails, or its program was killed."""
    stop = threading.Event()

    def kill_whatever_appears() -> None:
        tasks = Path("/proc/self/task")
        while not stop.is_set():
            for task in tasks.iterdir():
                try:
                    guards = (task / "children").read_text().split()
                    for guard in guards:
                        for child in Path(f"/proc/{guard}/task/{guard}/children").read_text().split():
                            os.kill(int(child), signal.SIGKILL)
                except OSError:
                    continue

    thread = threading.Thread(target=kill_whatever_appears)
    thread.start()
    outcomes: set[Any] = set()
    try:
        for number in range(20):
            namespaces: Any = {"user"} if number % 2 else set()
            try:
                async with monitor.supervise(monitor.Launch(["/bin/sleep", "1000"], namespaces=namespaces)) as run:
                    outcomes.add(await run.wait())
            except monitor.LaunchError as error:
                outcomes.add(error.stage)
    finally:
        stop.set()
        thread.join()

    assert outcomes
    assert all(outcome == 128 + signal.SIGKILL or isinstance(outcome, LaunchStage) for outcome in outcomes)


async def test_a_guard_that_is_killed_while_it_launches_is_an_error_and_leaves_nothing() -> None:
    stop = threading.Event()

    def kill_guards() -> None:
        while not stop.is_set():
            for task in Path("/proc/self/task").iterdir():
                try:
                    for guard in (task / "children").read_text().split():
                        os.kill(int(guard), signal.SIGKILL)
                except OSError:
                    continue

    thread = threading.Thread(target=kill_guards)
    thread.start()
    outcomes: set[Any] = set()
    try:
        for _ in range(20):
            try:
                async with monitor.supervise(["/bin/sleep", "1000"]) as run:
                    outcomes.add(await run.wait())
            except monitor.LaunchError as error:
                outcomes.add(error.stage)
    finally:
        stop.set()
        thread.join()

    assert outcomes
    assert all(outcome == 128 + signal.SIGKILL or isinstance(outcome, LaunchStage) for outcome in outcomes)


async def test_the_shim_gives_up_at_once_when_it_is_told_to_before_it_begins() -> None:
    cancel_fd = os.eventfd(1, os.EFD_CLOEXEC)
    try:
        request = launch_module._request(monitor.Launch(["/bin/sleep", "1000"]), ALLOW_ALL, (0, 0, 0), {})
        with pytest.raises(monitor.LaunchError, match="ECANCELED"):
            _native.launch(request, cancel_fd)
    finally:
        os.close(cancel_fd)


async def test_a_started_program_is_the_callers_to_end() -> None:
    started = await start(monitor.Launch(["/bin/sleep", "1000"]), ALLOW_ALL)
    started.listener.close()
    await started.process.discard()

    assert started.process.status == 128 + signal.SIGKILL
