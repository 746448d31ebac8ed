"""A program starts as it was asked for: surroundings, descriptors, credentials, walls, and the ways of the listener."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from errno import EACCES, EBADF, ENOENT, EPERM
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor import _native
from monitor.abi.arch import Arch
from monitor.policy.notify_program import compile_notify
from monitor.policy.numbers import EVERY
from monitor.sources.launch import start
from tests.conftest import require

NOBODY = 65534


@monitor.handles("all")
def allow(_call: monitor.Call) -> monitor.Verdict:
    return monitor.Allow()


async def output(argv: Sequence[Any], handlers: Any = (), **launch: Any) -> bytes:
    """Return what a launched program writes; it has to end well."""
    async with monitor.supervise(monitor.Launch(argv, stdout=subprocess.PIPE, **launch), handlers=handlers) as run:
        text = b"".join([chunk async for chunk in run.stdout])
        assert await run.wait() == 0, text
    return text


async def status_of(*fields: str, **launch: Any) -> dict[str, str]:
    """Return some fields of /proc/self/status, as the program sees them."""
    lines = (await output(["/bin/cat", "/proc/self/status"], **launch)).decode().splitlines()
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {field: found[field].strip() for field in fields}


# ---- words and surroundings ----


async def test_words_arrive_byte_for_byte() -> None:
    words = [b"/bin/sh", b"-c", b'printf "%s|" "$0" "$@"', b"", b"a b", b"\xff\xfe", b"--"]

    assert await output(words) == b"|a b|\xff\xfe|--|"


async def test_the_environment_arrives_byte_for_byte() -> None:
    env: Any = {b"\xf0": b"\xf1=", b"EMPTY": b"", b"WITH LINES": b"a\nb"}

    assert await output(["/usr/bin/env", "-0"], env=env) == b"\xf0=\xf1=\0EMPTY=\0WITH LINES=a\nb\0"


async def test_the_environment_is_the_supervisors_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARK", "here")

    assert b"MARK=here\n" in await output(["/usr/bin/env"])
    assert await output(["/usr/bin/env"], env={}) == b""


async def test_the_working_directory_is_the_one_asked_for(tmp_path: Path) -> None:
    assert await output(["/bin/pwd"], cwd=tmp_path) == bytes(tmp_path) + b"\n"
    assert await output(["/bin/pwd"]) == bytes(Path.cwd()) + b"\n"


async def test_a_relative_program_is_found_from_the_new_working_directory(tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to("/bin/pwd")

    assert await output(["./here"], cwd=tmp_path) == bytes(tmp_path) + b"\n"


async def test_path_is_searched_past_what_is_missing_and_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat").write_text("not executable")
    (tmp_path / "file").touch()
    path = f"/nonexistent:{tmp_path}/file:{tmp_path}::/bin"

    assert await output(["cat", "/dev/null"], env={"PATH": path}) == b""


async def test_without_a_path_the_systems_own_is_searched() -> None:
    assert await output(["echo", "x"], env={}) == b"x\n"


# ---- descriptors ----


async def test_the_program_has_the_fds_that_were_asked_for_and_no_other(compiled: Any) -> None:
    """Whatever the host has open, inheritable or not; and with gaps between the numbers."""
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
    for fd in held[::2]:
        os.set_inheritable(fd, True)
    held.append(os.dup2(held[0], 900))  # inheritable, and above everything that the launch makes
    try:
        given = {3: held[0], 7: held[1], 200: held[2], held[3]: held[4]}
        numbers = (await output([compiled("g_fds")], fds=given, stdin=subprocess.DEVNULL)).split()
    finally:
        for fd in held:
            os.close(fd)

    assert [int(number) for number in numbers] == sorted({0, 1, 2} | given.keys())


async def test_fds_may_change_places() -> None:
    """Each number's source is the next number: no copy may close what another still needs."""
    pairs = [os.pipe() for _ in range(3)]
    numbers = [write for _read, write in pairs]
    try:
        swapped = {numbers[0]: numbers[1], numbers[1]: numbers[2], numbers[2]: numbers[0]}
        script = "; ".join(f"echo {number} >&{number}" for number in numbers)
        await output(["/bin/bash", "-c", script], fds=swapped)
        got = {write: os.read(read, 100) for read, write in pairs}
    finally:
        for pair in pairs:
            for fd in pair:
                os.close(fd)

    assert got == {source: f"{number}\n".encode() for number, source in swapped.items()}


async def test_stdio_can_be_piped_null_a_file_and_one_another(tmp_path: Path) -> None:
    script = "read line; echo out $line; echo err >&2; readlink /proc/self/fd/0 >&2"
    launch = monitor.Launch(
        ["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    async with monitor.supervise(launch) as run:
        await run.stdin.send_all(b"in\n")
        text = b"".join([chunk async for chunk in run.stdout])
        assert await run.wait() == 0
    assert text.startswith(b"out in\nerr\npipe:")

    with (tmp_path / "out").open("wb") as file:
        launch = monitor.Launch(["/bin/sh", "-c", script], stdin=subprocess.DEVNULL, stdout=file, stderr=file.fileno())
        async with monitor.supervise(launch) as run:
            await run.wait()
    assert (tmp_path / "out").read_bytes() == b"out\nerr\n/dev/null\n"


async def test_closing_stdin_is_the_end_of_file_for_the_program() -> None:
    launch = monitor.Launch(["/bin/cat"], stdin=subprocess.PIPE)
    async with monitor.supervise(launch) as run:
        await run.stdin.aclose()
        assert await run.wait() == 0


def test_a_host_without_stdin_gives_its_program_none_and_nothing_of_its_own(compiled: Any) -> None:
    """
    Where 0 is closed the next file that the host opens gets the number: trio's, or the listener of
    another supervision.  "The supervisor's own stdin" must not mean that.
    """
    code = """
import os, sys
os.close(0)
import subprocess, trio, monitor
async def main():
    async with monitor.supervise(["/bin/sleep", "1000"]):
        assert os.path.exists("/proc/self/fd/0")
        async with monitor.supervise(monitor.Launch([sys.argv[1]], stdout=subprocess.PIPE)) as run:
            print((await run.stdout.receive_some()).decode().split())
trio.run(main)
"""
    done = subprocess.run([sys.executable, "-c", code, compiled("g_fds")], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"['1', '2']\n"


async def test_a_limit_of_few_fds_leaves_room_for_the_listener() -> None:
    """The host has more fds open than the program may have; the listener's number comes from the program's."""
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)]
    try:
        limits = {resource.RLIMIT_NOFILE: (16, 16)}
        assert await output(["/bin/sh", "-c", "ulimit -n"], rlimits=limits) == b"16\n"
    finally:
        for fd in held:
            os.close(fd)


# ---- what a process carries ----


@pytest.mark.parametrize("handlers", [[], [allow]], ids=["unheard", "heard"])
async def test_signals_are_as_a_program_expects_them(handlers: Any) -> None:
    """Python ignores SIGPIPE and SIGXFSZ for itself; the worker thread's mask is nobody's wish."""
    shown = await status_of("SigBlk", "SigIgn", "SigCgt", "ShdPnd", "SigPnd", handlers=handlers)

    assert shown == dict.fromkeys(shown, "0" * 16)


async def test_what_the_user_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup(1) does
    try:
        shown = await status_of("SigIgn")
    finally:
        signal.signal(signal.SIGHUP, before)

    assert int(shown["SigIgn"], 16) == 1 << (signal.SIGHUP - 1)


async def test_the_hosts_handlers_never_run_in_the_child() -> None:
    """A signal that reaches the child before its execve finds no handler of the host's."""
    hits: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: hits.append(os.getpid()))
    try:
        assert int((await status_of("SigCgt"))["SigCgt"], 16) == 0
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert set(hits) <= {os.getpid()}


async def test_limits_are_set_soft_and_hard() -> None:
    limits = {resource.RLIMIT_NOFILE: (64, 128), resource.RLIMIT_CORE: (0, 0)}
    text = await output(["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c"], rlimits=limits)

    assert text.split() == [b"64", b"128", b"0"]


@pytest.mark.parametrize("new_session", [True, False])
async def test_a_new_session_is_one(new_session: bool) -> None:
    text = await output(["/bin/cat", "/proc/self/stat"], new_session=new_session)
    pid, session = int(text.split()[0]), int(text.rpartition(b")")[2].split()[3])

    assert (session == pid) is new_session


async def test_no_new_privs_is_set_unless_told_otherwise() -> None:
    assert await status_of("NoNewPrivs", "Seccomp") == {"NoNewPrivs": "1", "Seccomp": "2"}


@pytest.mark.root
@pytest.mark.parametrize("no_new_privs", [True, False])
async def test_without_no_new_privs_a_set_uid_program_gets_its_owners_rights(
    public_directory: Path, no_new_privs: bool
) -> None:
    program = public_directory / "whose"
    shutil.copy("/bin/cat", program)
    program.chmod(0o4755)
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "/proc/self/status"]
    text = await output(words, no_new_privs=no_new_privs, handlers=[allow])
    program.unlink()

    assert f"NoNewPrivs:\t{no_new_privs:d}\n".encode() in text
    assert f"Uid:\t65534\t{65534 if no_new_privs else 0}\t".encode() in text


@pytest.mark.root
async def test_without_no_new_privs_a_program_without_rights_gets_no_filter() -> None:
    with pytest.raises(monitor.LaunchError) as caught:
        await output(["/bin/true"], no_new_privs=False, uid=NOBODY, gid=NOBODY)

    assert (caught.value.stage, caught.value.errno) == (monitor.LaunchStage.FILTER, EACCES)


@pytest.mark.root
async def test_root_gives_user_group_and_groups_away() -> None:
    ids = await status_of("Uid", "Gid", "Groups", "CapEff", uid=NOBODY, gid=1234, groups=[5, 77], handlers=[allow])

    assert ids["Uid"].split() == [str(NOBODY)] * 4
    assert ids["Gid"].split() == ["1234"] * 4
    assert ids["Groups"].split() == ["5", "77"]
    assert int(ids["CapEff"], 16) == 0


@pytest.mark.root
async def test_a_user_without_groups_has_none() -> None:
    assert (await status_of("Groups", uid=NOBODY, gid=NOBODY))["Groups"] == ""


# ---- namespaces ----


async def test_in_a_new_user_namespace_ids_are_what_they_are_outside() -> None:
    ids = await status_of("Uid", "Gid", namespaces={"user"}, handlers=[allow])
    link = await output(["/bin/readlink", "/proc/self/ns/user"], namespaces={"user"})

    assert ids["Uid"].split() == [str(os.geteuid())] * 4
    assert ids["Gid"].split() == [str(os.getegid())] * 4
    assert link.decode().strip() != str(Path("/proc/self/ns/user").readlink())


KINDS = {"pid": "pid", "mount": "mnt", "net": "net", "ipc": "ipc"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_user", [pytest.param(False, marks=pytest.mark.root), True])
async def test_each_namespace_is_a_new_one(kind: str, with_user: bool) -> None:
    wanted: Any = {kind, "user"} if with_user else {kind}
    # Its own /proc is that of the old pid namespace; so the link is looked at from outside.
    launch = monitor.Launch(["/bin/cat"], stdin=subprocess.PIPE, namespaces=wanted)
    async with monitor.supervise(launch, handlers=[allow]) as run:
        there = {other: Path(f"/proc/{run.pid}/ns/{file}").readlink() for other, file in KINDS.items()}
        await run.stdin.aclose()
        assert await run.wait() == 0
    here = {other: Path(f"/proc/self/ns/{file}").readlink() for other, file in KINDS.items()}

    assert {other for other in KINDS if there[other] != here[other]} == {kind}


@pytest.mark.root
async def test_mounts_of_a_new_namespace_do_not_come_back(tmp_path: Path) -> None:
    await output(["/bin/mount", "-t", "tmpfs", "none", str(tmp_path)], namespaces={"mount"})

    assert not tmp_path.is_mount()


async def test_the_first_process_of_a_pid_namespace_is_number_one() -> None:
    launch = monitor.Launch(["/bin/sh", "-c", "echo $$; exit 6"], stdout=subprocess.PIPE, namespaces={"user", "pid"})
    async with monitor.supervise(launch, handlers=[allow]) as run:
        assert await run.stdout.receive_some() == b"1\n"
        assert run.pid > 1
        assert await run.wait() == 6


@pytest.mark.root
def test_group_ids_are_mapped_by_the_map_of_group_ids() -> None:
    """Where the host's two maps differ, a group id that is not mapped there cannot be mapped further."""
    code = """
import os, sys, ctypes
ready, go = os.pipe(), os.pipe()
pid = os.fork()
if pid:
    os.read(ready[0], 1)
    open(f"/proc/{pid}/uid_map", "w").write("0 0 1000")
    open(f"/proc/{pid}/gid_map", "w").write("0 0 10")
    os.write(go[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
assert ctypes.CDLL(None).unshare(0x10000000) == 0
os.write(ready[1], b"x"); os.read(go[0], 1)
import trio, monitor
async def main():
    async with monitor.supervise(monitor.Launch(["/bin/true"], namespaces={"user"})) as run:
        os._exit(await run.wait())
trio.run(main)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- the second wall ----

WALLED = ("write", "truncate", "create", "mkdir", "symlink", "mkfifo", "rename", "unlink")


@pytest.mark.parametrize("landlock", [True, False])
async def test_the_second_wall_refuses_changes_and_signals_but_no_open_fd(
    compiled: Any, tmp_path: Path, landlock: bool
) -> None:
    abi = _native.landlock_abi()
    require("landlock", abi > 0)
    (tmp_path / "old").touch()
    with (tmp_path / "given").open("wb") as given:
        argv = [compiled("g_walled"), str(tmp_path), str(os.getpid()), "9"]
        text = await output(argv, landlock=landlock, fds={9: given})
    got = {name: int(errno) for name, errno in (line.split("=") for line in text.decode().splitlines())}

    assert got["read"] == got["write fd"] == got["truncate fd"] == 0
    expected = EACCES if landlock else 0
    assert {name: got[name] for name in WALLED if name != "truncate" or abi >= 3} == {
        name: expected for name in WALLED if name != "truncate" or abi >= 3
    }
    assert got["kill"] == (EPERM if landlock and abi >= 6 else 0)
    if landlock:
        assert {entry.name for entry in tmp_path.iterdir()} == {"old", "given"}


# ---- how the listener comes ----

EVERYTHING = compile_notify({Arch.native(): EVERY})


@pytest.mark.parametrize("handover", ["auto", "cookie"])
@pytest.mark.parametrize("namespaces", [frozenset(), frozenset({"user"}), frozenset({"user", "pid"})])
async def test_a_program_starts_although_every_call_is_notified(handover: Any, namespaces: Any) -> None:
    launch = monitor.Launch(["/bin/true"], handover=handover, namespaces=namespaces)
    async with monitor.supervise(launch, handlers=[allow]) as run:
        assert await run.wait() == 0
        assert run.stats.received == run.stats.allowed > 10


@pytest.mark.parametrize("handover", ["auto", "cookie"])
async def test_the_launch_asks_nothing(handover: Any) -> None:
    """The launch is over before anybody answers, and its own calls are not among those that are queued."""
    started = await start(monitor.Launch(["/bin/true"], handover=handover), EVERYTHING)
    started.listener.close()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(started.process.watch)
        await started.process.end(0)


@pytest.mark.parametrize("handover", ["auto", "cookie"])
async def test_the_launch_passes_a_policy_that_refuses_execve_and_sendmsg(compiled: Any, handover: Any) -> None:
    """And the program itself does not: whatever it guesses, its calls are asked about."""
    asked: list[str] = []

    @monitor.handles("execve", "sendmsg")
    def refuse(call: monitor.Call) -> monitor.Verdict:
        asked.append(call.name)
        return monitor.Deny(77)

    text = await output([compiled("g_door")], handover=handover, handlers=[refuse])

    assert [int(errno) for errno in text.split()] == [77] * 10
    assert asked == ["execve", "sendmsg"] * 5


async def test_a_door_that_nobody_guards_shows_that_the_test_above_can_fail(compiled: Any) -> None:
    text = await output([compiled("g_door")])

    assert [int(errno) for errno in text.split()] == [ENOENT, EBADF] * 5


@pytest.mark.parametrize("ordinary", [pytest.param(False, marks=pytest.mark.root), True], ids=["root", "ordinary"])
@pytest.mark.parametrize("namespaces", [(), ("user",)])
@pytest.mark.parametrize("handover", ["auto", "cookie"])
def test_twice_in_a_row_under_strict_in_one_process(
    python_as_user: Any, ordinary: bool, namespaces: tuple[str, ...], handover: str
) -> None:
    """The second launch comes from a process that is not dumpable any more, which its child inherits."""
    code = """
import sys, threading, trio, monitor
@monitor.handles("all")
def allow(call): return monitor.Allow()
stop = False
def busy():
    while not stop: sum(range(1000))
async def main():
    for expected in (3, 4):
        launch = monitor.Launch(["/bin/sh", "-c", f"exit {expected}"], namespaces=sys.argv[2:], handover=sys.argv[1])
        async with monitor.supervise(launch, handlers=[allow], strict=True) as run:
            assert await run.wait() == expected
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads: thread.start()
try: trio.run(main)
finally: stop = True
"""
    with python_as_user(code, handover, *namespaces, ordinary=ordinary) as process:
        text, _ = process.communicate()
    assert process.returncode == 0, text.decode()


def test_where_pidfd_getfd_is_forbidden_the_child_sends_its_listener(python_as_user: Any) -> None:
    """A real filter, as a container's profile has it; and no fd may be looked at during the exec either."""
    code = """
import ctypes, errno, struct, sys, trio, monitor
from monitor.abi.arch import Arch
from monitor.sources.launch import start
from monitor.policy.notify_program import compile_notify
from monitor.policy.numbers import EVERY
libc = ctypes.CDLL(None, use_errno=True)
number = int(sys.argv[1])
words = [(0x20, 0, 0, 0), (0x15, 0, 1, 438), (0x06, 0, 0, 0x00050000 | number), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *word) for word in words))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(words), ctypes.addressof(code)))) == 0
assert libc.syscall(438, 0, 0, 0) == -1 and ctypes.get_errno() == number
async def main():
    started = await start(monitor.Launch(["/bin/true"]), compile_notify({Arch.native(): EVERY}))
    assert started.process._guard.by_cookie
    started.listener.close()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(started.process.watch)
        await started.process.end(0)
    @monitor.handles("all")
    def allow(call): return monitor.Allow()
    async with monitor.supervise(["/bin/sh", "-c", "exit 8"], handlers=[allow]) as run:
        assert await run.wait() == 8
trio.run(main)
"""
    for number in (1, 38):  # EPERM, ENOSYS
        with python_as_user(code, str(number)) as process:
            text, _ = process.communicate()
        assert process.returncode == 0, text.decode()


def test_another_process_of_the_user_cannot_take_the_listener_of_a_strict_supervisor(
    python_as_user: Any, compiled: Any
) -> None:
    """
    Between its clone and its execve the child is a copy of the supervisor, and has the listener.  Were it
    dumpable, a hostile program launched earlier, of the same user, could take both.
    """
    code = """
import subprocess, sys, trio, monitor
async def main():
    async with monitor.supervise(monitor.Launch([sys.argv[1]], stdout=subprocess.PIPE)) as thief:
        assert await thief.stdout.receive_some() == b"ready\\n"
        for _ in range(50):
            async with monitor.supervise(["/bin/true"]) as run:
                await run.wait()
        thief.kill()
        print(b"".join([chunk async for chunk in thief.stdout]).decode())
trio.run(main)
"""
    with python_as_user(code, compiled("g_thief")) as process:
        text, _ = process.communicate()
    assert process.returncode == 0, text.decode()
    assert b"taken" not in text


def test_strict_makes_the_supervisor_undumpable_and_nothing_else_does() -> None:
    """A dumpable supervisor can be robbed of its listener by any process of its user."""
    code = """
import ctypes, trio, monitor
def dumpable(): return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
async def main():
    async with monitor.supervise(["/bin/true"], strict=False) as run:
        assert dumpable() == 1
        await run.wait()
    async with monitor.supervise(["/bin/true"], strict=True) as run:
        assert dumpable() == 0
        await run.wait()
    assert dumpable() == 0
trio.run(main)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


# ---- odd hosts ----


async def test_a_thread_that_blocks_signals_does_not_hand_its_mask_to_the_guard_or_lose_it() -> None:
    """The launch blocks all signals in its thread for one clone, and gives the thread its mask back."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        shown = await status_of("SigIgn")
        assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == before | {signal.SIGUSR2}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert shown["SigIgn"] == "0" * 16


def test_a_host_with_few_fds_and_closed_stdio_can_launch() -> None:
    code = """
import os, resource, sys
for fd in (0, 1): os.close(fd)
resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
import trio, monitor
async def main():
    async with monitor.supervise(["/bin/sh", "-c", "exit 5"]) as run:
        sys.exit(await run.wait())
trio.run(main)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 5


async def test_a_launch_works_in_a_thread_that_is_not_the_main_one() -> None:
    statuses: list[int] = []

    async def main() -> None:
        async with monitor.supervise(["/bin/sh", "-c", "exit 3"], handlers=[allow]) as run:
            statuses.append(await run.wait())

    thread = threading.Thread(target=lambda: trio.run(main))
    thread.start()
    await trio.to_thread.run_sync(thread.join)

    assert statuses == [3]


async def test_a_socket_can_be_given_and_is_the_same_in_the_program() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"word\n")
        await output(["/bin/bash", "-c", "read -u 5 line; echo got $line >&5"], fds={5: theirs})
        assert ours.recv(100) == b"got word\n"
