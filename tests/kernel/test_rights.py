"""
A call is done with the rights of who makes it, and in its view: as the kernel would have done it.

Each script is run twice, in equal directories: by the kernel, and with all its file calls done for it by a
supervisor that is root.  What it prints is to be the same.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from errno import EMFILE, EPERM
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor._native import StrandedError, TakenRights
from monitor.broker import whose
from monitor.broker.broker import FileBroker
from monitor.broker.families import FAMILIES
from monitor.broker.ids import OVERFLOW, Extent, IdMaps, extents
from monitor.broker.rights import Ids, Rights, outside_worth
from monitor.broker.worker import Runner, Workers
from monitor.policy.text import loads
from tests.conftest import require

PYTHON = "/usr/bin/python3"
NOBODY = 65534

ALLOWING = """
[policy]
version = 1
known-as-of = "6.18"
syscalls-default = "allow"
[files]
otherwise = "allow"
exec = "unverified"
unix = "unmediated"
RULES
"""

LIFTING = """
[[syscalls]]
names = ["chroot", "unshare", "clone", "setns", "mount", "umount2"]
action = "allow"
"""

PRELUDE = """
import ctypes, os, stat, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    return -ctypes.get_errno() if result < 0 else result
def said(function, *arguments, **named):
    try:
        return function(*arguments, **named)
    except OSError as error:
        return error.strerror
def whole(path):
    with open(path) as file:
        return file.read()
def owner(path):
    found = os.lstat(path)
    return oct(found.st_mode), found.st_uid, found.st_gid
def make(path, mode=0o666):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    return owner(path)
"""

BECOMES_NOBODY = "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"

pytestmark = pytest.mark.root


def policy(rules: str = "") -> monitor.Policy:
    """Return the policy that allows everything but what *rules* say."""
    return loads(ALLOWING.replace("RULES", rules))


def lifting(rules: str = "") -> monitor.Policy:
    """Return one that lets programs come to another root, and to namespaces, too."""
    return policy(rules + LIFTING)


@pytest.fixture
def place(public_directory: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where scripts are run, which everybody may enter."""
    require("root", os.geteuid() == 0)
    made = public_directory / request.node.name.partition("[")[0]
    made.mkdir()
    yield made
    subprocess.run(["rm", "-rf", str(made)], check=True)


def fill(directory: Path) -> Path:
    """Make a directory with things of several owners in it."""
    directory.mkdir()
    directory.chmod(0o777)
    for name, mode, uid, gid in (
        ("roots", 0o600, 0, 0), ("readable", 0o644, 0, 0), ("nobodys", 0o600, NOBODY, NOBODY),
        ("groups", 0o640, 0, 7), ("closed-to-me", 0o066, NOBODY, NOBODY),
    ):  # fmt: skip
        (directory / name).write_text(f"{name}\n")
        os.chown(directory / name, uid, gid)
        (directory / name).chmod(mode)
    for name, mode, uid, gid in (
        ("closed", 0o700, 0, 0), ("shared", 0o2777, 0, 7), ("sticky", 0o1777, 0, 0), ("mine", 0o755, NOBODY, NOBODY)
    ):  # fmt: skip
        (directory / name).mkdir()
        os.chown(directory / name, uid, gid)
        (directory / name).chmod(mode)
    (directory / "closed" / "in").write_text("in\n")
    (directory / "sticky" / "roots").write_text("sticky\n")
    return directory


async def brokered(words: list[str], given: monitor.Policy | None, **options: Any) -> str:
    """Return what the program prints, whose file calls are done under a policy, or by a handler without one."""
    if given is None:
        ways: dict[str, Any] = {"handlers": [_emulates], "otherwise": monitor.Allow()}
    else:
        ways = {"policy": given}
    launch = monitor.Launch(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", env={}, **options)
    async with monitor.supervise(launch, **ways) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        await run.wait()
    return output


@monitor.handles(*FAMILIES)
def _emulates(call: monitor.Call) -> monitor.Verdict:
    return call.emulate()


def natively(words: list[str]) -> str:
    """Return what it prints of itself."""
    done = subprocess.run(
        words, check=False, cwd="/", env={}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
    )
    return done.stdout.decode()


async def same(
    place: Path,
    script: str,
    given: monitor.Policy | None,
    before: tuple[str, ...] = (),
    more: Callable[[Path], None] = lambda directory: None,
) -> str:
    """Run *script* both ways, as D a directory that is filled alike, and with *more*; return what it prints."""
    printed = []
    for way in ("native", "brokered"):
        directory = fill(place / "D")
        more(directory)
        text = PRELUDE + f"D = {str(directory)!r}\n" + textwrap.dedent(script)
        words = [*before, PYTHON, "-S", "-E", "-c", text]
        printed.append(natively(words) if way == "native" else await brokered(words, given))
        shutil.rmtree(directory)
    assert printed[1] == printed[0]
    assert "Traceback" not in printed[0], printed[0]
    return printed[0]


WAYS = pytest.mark.parametrize("given", [None, policy()], ids=["by a handler", "under a policy"])
"""Under the policy calls take the fast path, until one is heard that may change rights."""

VIEWS = pytest.mark.parametrize("given", [None, lifting()], ids=["by a handler", "under a policy"])

LOOKS_AND_CHANGES = """
for name in ("roots", "readable", "nobodys", "groups", "closed-to-me", "closed/in", "none"):
    print(name, said(whole, f"{D}/{name}"), said(os.stat, f"{D}/{name}") == "Permission denied")
    path = f"{D}/{name}"
    print(said(os.chmod, path, 0o606), said(os.chown, path, -1, 7), said(os.truncate, path, 1))
    print(said(os.utime, path), said(os.utime, path, (1, 1)), said(os.setxattr, path, "user.a", b""))
for name in ("new", "shared/new", "mine/new", "closed/new", "sticky/new"):
    path = f"{D}/{name}"
    print(name, said(make, path), said(os.rename, path, f"{path}-2"), said(os.unlink, f"{path}-2"))
    print(said(os.mkdir, path), said(owner, path), said(os.rmdir, path))
    print(said(os.symlink, "x", path), said(owner, path), said(os.readlink, path))
    print(said(os.mknod, f"{path}-n", 0o20666, os.makedev(1, 3)), said(os.mkfifo, f"{path}-f"))
print(said(os.unlink, f"{D}/sticky/roots"), said(os.rename, f"{D}/sticky/roots", f"{D}/x"))
print(said(os.link, f"{D}/roots", f"{D}/y"), said(os.listdir, f"{D}/closed"), said(os.chdir, f"{D}/closed"))
print(said(os.open, f"{D}/sticky/roots", os.O_CREAT | os.O_RDWR))
print(said(os.chroot, D) if os.geteuid() else None)
"""


@WAYS
@pytest.mark.parametrize(
    "becomes",
    [
        BECOMES_NOBODY,
        "os.setgroups([7, 33]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n",
        "os.setresuid(-1, 65534, -1)\n",
        "call(122, 65534)\n",  # setfsuid
        "call(123, 7)\n",  # setfsgid
        "os.umask(0o77)\n" + BECOMES_NOBODY,
    ],
)
async def test_a_program_that_takes_other_ids_may_do_what_they_may(
    place: Path, becomes: str, given: monitor.Policy | None
) -> None:
    printed = await same(place, becomes + LOOKS_AND_CHANGES, given)

    assert "Permission denied" in printed or "123" in becomes


@WAYS
@pytest.mark.parametrize("without", ["dac_override,-dac_read_search", "fowner", "chown", "fsetid", "mknod", "all"])
async def test_a_program_that_gives_capabilities_up_has_them_no_more(
    place: Path, without: str, given: monitor.Policy | None
) -> None:
    before = ("/usr/bin/setpriv", "--bounding-set", f"-{without}", "--inh-caps", "-all")

    await same(place, LOOKS_AND_CHANGES, given, before)


@WAYS
async def test_access_asks_for_real_ids_and_only_without_a_flag_for_that(
    place: Path, given: monitor.Policy | None
) -> None:
    asks = """
    def ask():
        for name in ("roots", "readable", "nobodys", "closed/in", "none"):
            path = f"{D}/{name}"
            print(name, [os.access(path, mode) for mode in (0, 4, 2, 1)], os.access(path, 4, effective_ids=True))
    ask()
    os.setresuid(65534, 0, 0); ask()
    os.setresuid(0, 65534, 0); ask()
    os.setresuid(65534, 65534, 65534); ask()
    """
    await same(place, asks, given)


@WAYS
async def test_each_thread_has_its_own_rights(place: Path, given: monitor.Policy | None) -> None:
    threads = """
    def other():
        print(call(117, 65534, 65534, 65534))  # setresuid, of this thread
        print(said(whole, f"{D}/roots"), make(f"{D}/by-nobody"))
    print(said(whole, f"{D}/roots"))
    thread = threading.Thread(target=other); thread.start(); thread.join()
    print(said(whole, f"{D}/roots"), make(f"{D}/by-root"))
    """
    printed = await same(place, threads, given)

    assert printed.splitlines()[0] == "roots"


@WAYS
async def test_a_program_that_gave_up_rights_finds_itself_in_proc(place: Path, given: monitor.Policy | None) -> None:
    """The kernel lets nobody look into it any more, but itself (ptrace(2), proc_pid_fd(5))."""
    looks = (
        BECOMES_NOBODY
        + """
    print(said(os.listdir, "/proc/self/fd") == said(os.listdir, "/dev/fd"), said(os.readlink, "/proc/self/fd/1")[:5])
    print(said(whole, "/proc/self/comm"), len(said(whole, "/proc/self/maps")) > 100, said(whole, "/proc/self/environ"))
    print(said(os.stat, "/proc/self/cwd/usr").st_uid, said(os.readlink, "/proc/self/exe"))
    print(said(os.listdir, "/proc/1/fd"))
    print(said(os.readlink, "/proc/1/exe"), said(whole, "/proc/self/status")[:5], said(os.readlink, "/proc/self/cwd"))
    """
    )
    await same(place, looks, given)


async def test_default_acls_and_set_gid_directories_work_as_ever(place: Path) -> None:
    acl = """
    import struct
    tags = ((1, 7, -1), (2, 6, 1), (4, 4, -1), (16, 6, -1), (32, 4, -1))
    entries = struct.pack("=I", 2) + b"".join(struct.pack("=HHi", *entry) for entry in tags)
    os.umask(0o77)
    print(said(os.setxattr, f"{D}/mine", "system.posix_acl_default", entries))
    """
    then = """
    print(make(f"{D}/mine/new"), said(os.mkdir, f"{D}/mine/sub"), owner(f"{D}/mine/sub"))
    print(make(f"{D}/shared/new", 0o2777), said(os.mkdir, f"{D}/shared/sub"), owner(f"{D}/shared/sub"))
    """
    await same(place, textwrap.dedent(acl) + BECOMES_NOBODY + textwrap.dedent(then), policy())


async def test_without_the_rights_to_take_others_nothing_is_done(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whose, "_NEEDED", 1 << 63)
    script = f"{PRELUDE}\n{BECOMES_NOBODY}print(said(os.stat, '/etc'))"

    assert await brokered([PYTHON, "-S", "-E", "-c", script], policy()) == "Permission denied\n"


async def test_a_call_is_answered_though_it_cannot_be_told_whose_it_is(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We may have no fd left when it is to be done; the thread waits for us all the same."""
    whose_of = FileBroker._whose

    def lacking(self: FileBroker, call: monitor.Call) -> whose.Whose:
        if call.name.startswith("mknod") and call.has_looked_up(FAMILIES[call.name].register):
            raise OSError(EMFILE, os.strerror(EMFILE))
        return whose_of(self, call)

    monkeypatch.setattr(FileBroker, "_whose", lacking)
    script = f"{PRELUDE}\nprint(said(os.mkfifo, '{place}/fifo'), said(whole, '/proc/self/comm'))"

    printed = await brokered([PYTHON, "-S", "-E", "-c", script], policy())

    assert printed == "Too many open files in system python3\n\n"


ASKS_THRICE = """
for name in ("first", "second"):
    print(said(os.mkdir, f"{D}/mine/{name}"), said(owner, f"{D}/mine/{name}"), os.stat("/etc").st_uid)
print(said(whole, f"{D}/roots"), said(whole, f"{D}/nobodys"))
"""
REFUSED_ONCE = (
    f"{{}} No such file or directory 0\nNone ('0o40755', {NOBODY}, {NOBODY}) 0\nPermission denied nobodys\n\n"
)


async def refused_once(place: Path, *handlers: Any) -> str:
    """Return what is said by a program whose first mkdir is not done, and see that we are who we were."""
    script = (
        f"{PRELUDE}D = {str(fill(place / 'D'))!r}\n{BECOMES_NOBODY}{ASKS_THRICE}sys.stdout.flush(); sys.stdin.read()"
    )
    launch = monitor.Launch(
        [PYTHON, "-S", "-E", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", env={}
    )
    before = set(Path("/proc/self/fd").iterdir())
    async with monitor.supervise(launch, policy=policy(), handlers=handlers) as run:
        output = b""
        while output.count(b"\n") < 4 and (chunk := await run.stdout.receive_some()):
            output += chunk
        ids = {_ids(task) for task in _tasks()}
        await run.stdin.aclose()
        await run.wait()
    assert ids == {_ids(Path("/proc/self"))}
    assert run.stats.failures == 0
    assert set(Path("/proc/self/fd").iterdir()) <= before
    return output.decode()


async def test_a_call_whose_rights_can_be_taken_on_no_more_is_refused_and_no_other(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could when it was decided about; the thread hears of it, and the next call is done."""
    of = whose.Owners.of
    refused: list[int] = []

    def losing(self: whose.Owners, call: monitor.Call) -> whose.Whose | None:
        if call.name == "mkdir" and call.has_looked_up(0) and not refused:
            refused.append(call.id)
            return None
        return of(self, call)

    monkeypatch.setattr(whose.Owners, "of", losing)

    assert await refused_once(place) == REFUSED_ONCE.format("Permission denied")


async def test_rights_may_be_lost_while_a_handler_thinks(place: Path) -> None:
    refused: list[int] = []

    @monitor.handles("mkdir")
    async def thinks(call: monitor.Call) -> monitor.Verdict:
        await trio.sleep(0.01)
        if not refused:
            refused.append(call.id)
            assert isinstance(call.broker, FileBroker)
            call.broker._owners._last = call.id, None  # as if it had been looked at anew
        return monitor.Pass()

    assert await refused_once(place, thinks) == REFUSED_ONCE.format("Permission denied")


async def test_rights_that_are_taken_on_by_half_are_given_back(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses a part of them: nothing is done with the others."""
    take = TakenRights.take
    refused: list[TakenRights] = []
    before: set[tuple[str, ...]] = set()

    def by_half(self: TakenRights) -> None:
        before.add(_ids(Path("/proc/thread-self")))
        take(self)
        if not refused and self.file_uid == NOBODY and (place / "D").exists():
            refused.append(self)
            raise PermissionError(EPERM, os.strerror(EPERM))

    monkeypatch.setattr(TakenRights, "take", by_half)

    assert await refused_once(place, _slow) == REFUSED_ONCE.format("Operation not permitted")
    assert before == {_ids(Path("/proc/self"))}


@monitor.handles("mkdir")
async def _slow(call: monitor.Call) -> monitor.Verdict:
    return monitor.Pass()


async def test_nobody_touches_who_acts_for_it(place: Path) -> None:
    """While a thread of ours waits with the ids of the program, those are no ids by which it could be reached."""
    os.mkfifo(place / "fifo")
    (place / "fifo").chmod(0o666)
    script = f"""
{PRELUDE}
import resource
{BECOMES_NOBODY}
how = ctypes.create_string_buffer(24)  # struct open_how: O_RDONLY
threading.Thread(target=call, args=(437, -100, {str(place / "fifo").encode()!r}, how, 24)).start()
ours = [int(number) for number in sys.stdin.readline().split()]
print({{call(62, tid, 0) for tid in ours}}, {{call(234, {os.getpid()}, tid, 0) for tid in ours}})
print({{call(101, 16, tid, 0, 0) for tid in ours}}, {{said(resource.prlimit, tid, 7, (0, 0)) for tid in ours}})
sys.stdout.flush()
os._exit(0)
"""
    # No policy: it is the kernel that says no.
    opens = monitor.handles("openat2")(lambda call: call.emulate())
    launch = monitor.Launch(
        [PYTHON, "-S", "-E", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        no_new_privs=True,
    )
    async with monitor.supervise(launch, handlers=[opens]) as run:
        with trio.fail_after(20):
            while not (waiting := [task for task in _tasks() if f"\t{NOBODY}\t" in _ids(task)[0]]):
                await trio.sleep(0.01)
        await run.stdin.send_all(b" ".join(task.name.encode() for task in _tasks()) + b"\n")
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        await run.wait()

    assert len(waiting) == 1
    assert output == "{-1} {-1}\n{-1} {'Operation not permitted'}\n"


def _tasks() -> list[Path]:
    return list(Path("/proc/self/task").iterdir())


async def test_nothing_is_left_of_rights_that_were_taken(place: Path) -> None:
    directory = fill(place / "D")
    script = (
        f"{PRELUDE}\n{BECOMES_NOBODY}print(said(whole, {str(directory)!r} + '/roots'), flush=True); sys.stdin.read()"
    )
    launch = monitor.Launch(
        [PYTHON, "-S", "-E", "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd="/", env={}
    )
    async with monitor.supervise(launch, policy=policy()) as run:
        assert await run.stdout.receive_some() == b"Permission denied\n"
        ids = {_ids(task) for task in _tasks()}
        await run.stdin.aclose()
        await run.wait()

    assert ids == {_ids(Path("/proc/self"))}


def _ids(task: Path) -> tuple[str, ...]:
    lines = (task / "status").read_text().splitlines()
    return (
        *(line for line in lines if line.startswith(("Uid", "Gid", "Groups", "CapPrm", "CapEff"))),
        str((task / "root").readlink()),
    )


async def test_who_cannot_come_back_does_nothing_more() -> None:
    """Of such a thread nobody knows with what rights it acts."""
    runner, workers, threads = Runner(), Workers(), []

    def strand() -> None:
        threads.append(threading.current_thread())
        raise StrandedError

    with pytest.raises(StrandedError):
        runner.run(strand)
    with pytest.raises(StrandedError):
        await workers.run(strand, lambda _done: None)

    assert runner.run(threading.current_thread) is not threads[0]
    assert await workers.run(threading.current_thread, lambda _done: None) is not threads[1]
    with trio.fail_after(10):
        while any(thread.is_alive() for thread in threads):
            await trio.sleep(0.01)
    runner.close()
    workers.close(lambda: None)


# ---- capabilities of files ----


async def test_a_program_that_its_file_takes_capabilities_from_has_them_no_more(place: Path) -> None:
    """
    Whoever is not root keeps what it has through exec(2) as ambient capabilities, but for a file with some of its own.

    No call tells of that: so under such a supervisor each thread is looked at.
    """
    require("setcap", shutil.which("setcap") is not None)
    directory = fill(place / "D")
    for name in ("plain", "capable"):
        shutil.copy("/usr/bin/cat", directory / name)
    subprocess.run(["setcap", "cap_net_raw=p", directory / "capable"], check=True)
    files = f"{directory}/readable {directory}/roots"
    script = ["/bin/sh", "-c", f"{directory}/plain {files}; {directory}/capable {files}"]
    code = f"""
import sys, subprocess, trio, monitor
sys.path[:0] = {sys.path!r}
from tests.kernel.test_rights import *
print(trio.run(brokered, {script!r}, policy()), end="")
"""
    held = "+dac_override,+setuid,+setgid,+sys_chroot,+sys_ptrace"
    words = ["/usr/bin/setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    words += ["--inh-caps", held, "--ambient-caps", held]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = await trio.run_process(
        [*words, sys.executable, "-P", "-c", code], capture_stdout=True, env=environment, stderr=subprocess.STDOUT
    )
    native = natively([*words, "--no-new-privs", *script])

    assert done.stdout.decode() == native
    assert native == f"readable\nroots\nreadable\n{directory}/capable: {directory}/roots: Permission denied\n"


CHANGES_CAPABLE = """
import struct
v2 = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
v3 = struct.pack("<6I", 0x03000001, 1 << 13, 0, 0, 0, 1000)
def held(flags, act):
    def way(path):
        fd = os.open(path, flags)
        try:
            act(fd)
        finally:
            os.close(fd)
    return way
ways = {
    "none": os.lstat, "v2": lambda path: os.setxattr(path, "security.capability", v2),
    "v3": lambda path: os.setxattr(path, "security.capability", v3),
    "wrong": lambda path: os.setxattr(path, "security.capability", b"wrong"),
    "replaced": lambda path: os.setxattr(path, "security.capability", v2, os.XATTR_REPLACE),
    "held v2": held(os.O_RDONLY, lambda fd: os.setxattr(fd, "security.capability", v2)),
    "removed": lambda path: os.removexattr(path, "security.capability"),
    "held removed": held(os.O_RDONLY, lambda fd: os.removexattr(fd, "security.capability")),
    "same owner": lambda path: os.chown(path, -1, -1), "group": lambda path: os.chown(path, -1, 7),
    "own group": lambda path: os.chown(path, -1, os.getegid()), "owner": lambda path: os.chown(path, 5, -1),
    "held owner": held(os.O_RDONLY, lambda fd: os.fchown(fd, -1, os.getegid())),
    "mode": lambda path: os.chmod(path, 0o6755), "truncated": lambda path: os.truncate(path, 1),
    "emptied": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
    "written": held(os.O_WRONLY, lambda fd: os.write(fd, b"x")),
    "held truncated": held(os.O_RDWR, lambda fd: os.ftruncate(fd, 1)),
    "opened": held(os.O_RDWR, lambda fd: None), "times": lambda path: os.utime(path, (1, 1)),
}
for whose in ("roots", "nobodys"):
    for name, way in ways.items():
        path = f"{D}/capable/{whose}/{name}"
        told = said(way, path)
        print(whose, name, told if isinstance(told, str) else "done", owner(path), os.stat(path).st_size, end=" ")
        print(said(os.getxattr, path, "security.capability"), said(os.listxattr, path))
"""

CAPABLE_NAMES = (
    "none", "v2", "v3", "wrong", "replaced", "held v2", "removed", "held removed", "same owner", "group", "own group",
    "owner", "held owner", "mode", "truncated", "emptied", "written", "held truncated", "opened", "times",
)  # fmt: skip
"""Of the ways above: each is tried with a file of its own."""


def make_capable(directory: Path) -> None:
    """Make files that have capabilities, and set-id bits, which everybody may write to."""
    for whose_file, uid in (("roots", 0), ("nobodys", NOBODY)):
        below = directory / "capable" / whose_file
        below.mkdir(parents=True)
        for name in CAPABLE_NAMES:
            (below / name).write_text("contents")
            os.chown(below / name, uid, uid)
            (below / name).chmod(0o6777)
            os.setxattr(below / name, "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))


def as_nobody(*capabilities: str) -> tuple[str, ...]:
    """Return the words before a program that has no more than these capabilities."""
    held = ",".join(f"+{capability}" for capability in capabilities)
    who = ("/usr/bin/setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    return (*who, "--inh-caps", held, "--ambient-caps", held) if held else who


def as_root_without(*capabilities: str) -> tuple[str, ...]:
    """Return the words before a program that has all capabilities but these."""
    without = ",".join(f"-{capability}" for capability in capabilities)
    return ("/usr/bin/setpriv", "--bounding-set", without, "--inh-caps", "-all")


@WAYS
@pytest.mark.parametrize(
    "before",
    [
        (), as_root_without("setfcap"), as_root_without("fsetid"), as_root_without("setfcap", "fsetid", "fowner"),
        as_root_without("fowner", "chown"), as_root_without("all"), as_nobody(), as_nobody("setfcap"),
        as_nobody("fsetid"), as_nobody("setfcap", "fowner", "chown", "fsetid"), as_nobody("chown", "dac_override"),
    ],
    ids=lambda before: "-".join(before[1:]) or "root",
)  # fmt: skip
async def test_capabilities_of_files_are_given_kept_and_lost_as_ever(
    place: Path, before: tuple[str, ...], given: monitor.Policy | None
) -> None:
    """CAP_SETFCAP gives and takes them; what is changed or written loses them (security/commoncap.c, fs/attr.c)."""
    printed = await same(place, CHANGES_CAPABLE, given, before, make_capable)

    assert len(printed.splitlines()) == 2 * len(CAPABLE_NAMES)
    assert "No data available" in printed


async def test_in_a_user_namespace_no_file_is_given_capabilities(place: Path) -> None:
    """By us they would be worth something outside of it, too.  All else is as ever, and they can be taken away."""
    said: list[list[str]] = []
    for given in (None, policy()):
        directory = fill(place / "D")
        make_capable(directory)
        words = [PYTHON, "-S", "-E", "-c", f"{PRELUDE}D = {str(directory)!r}\n{CHANGES_CAPABLE}"]
        launch = monitor.Launch(words, stdout=subprocess.PIPE, cwd="/", env={}, namespaces=frozenset({"user"}))
        async with monitor.supervise(launch, policy=given) as run:
            said.append(b"".join([chunk async for chunk in run.stdout]).decode().splitlines())
        shutil.rmtree(directory)
    differ = [(native, brokered) for native, brokered in zip(*said, strict=True) if native != brokered]

    gives = [
        f"{whose_file} {name} " for whose_file in ("roots", "nobodys") for name in CAPABLE_NAMES[1:6] if name != "wrong"
    ]
    assert [native.partition("done")[0] for native, _ in differ] == gives
    assert [brokered.partition("(")[0] for _, brokered in differ] == [f"{way}Operation not permitted " for way in gives]
    assert any(line.startswith("roots removed done") for line in said[1])


# ---- views ----


@pytest.fixture
def jail(place: Path) -> Path:
    """A directory to be a root."""
    made = place / "jail"
    for name in ("etc", "a/b", "proc", "tmp"):
        (made / name).mkdir(parents=True)
    (made / "etc" / "hosts").write_text("of the jail\n")
    (made / "a" / "absolute").symlink_to("/etc/hosts")
    (made / "a" / "up").symlink_to("../../../../../etc/hosts")
    return made


WITHIN = """
os.chroot(JAIL); os.chdir("/")
print(sorted(os.listdir("/")), said(whole, "/etc/hosts"), said(whole, "/a/absolute"), said(whole, "a/up"))
print(os.stat("/../../..").st_ino == os.stat("/").st_ino, said(os.stat, "/usr"), said(os.listdir, "/proc"))
print(said(make, "/a/new"), said(os.rename, "/a/new", "/a/b/new"), said(os.readlink, "/a/up"), said(os.getcwd))
print(said(os.symlink, "/etc", "/tmp/etc"), said(whole, "/tmp/etc/hosts"), said(os.access, "/tmp/etc/hosts", os.R_OK))
print(said(os.chdir, "a/b"), said(os.getcwd), said(whole, "../../etc/hosts"), said(os.link, "new", "../../newer"))
print(said(os.setxattr, "/newer", "user.x", b"1"), said(os.getxattr, "/newer", "user.x"), said(os.listdir, "/dev"))
"""


@VIEWS
@pytest.mark.parametrize("becomes", ["", BECOMES_NOBODY])
async def test_paths_lead_where_they_lead_under_another_root(
    place: Path, jail: Path, becomes: str, given: monitor.Policy | None
) -> None:
    prelude = "import encodings.idna\n"  # what Python would look for later is not under the other root
    both = []
    for run in (natively, None):
        words = [PYTHON, "-S", "-E", "-c", f"{prelude}{PRELUDE}JAIL = {str(jail)!r}\n" + WITHIN + becomes + WITHIN[32:]]
        both.append(run(words) if run is not None else await brokered(words, given))
        for made in ("a/b/new", "newer", "tmp/etc", "a/new"):
            (jail / made).unlink(missing_ok=True)

    assert both[1] == both[0]
    assert "of the jail" in both[0]


async def test_a_policy_knows_names_as_they_are_under_the_other_root(place: Path, jail: Path) -> None:
    (jail / "a" / "secret").write_text("secret\n")
    script = f"""{PRELUDE}
outside = os.open("/etc", os.O_RDONLY)
os.chroot({str(jail)!r})
print(said(whole, "/a/secret"), said(whole, "/etc/hosts"), said(os.stat, "hosts", dir_fd=outside), said(os.stat, "."))
os.chdir("/")
print(os.stat(".").st_ino == os.stat("/").st_ino)
"""
    given = lifting('deny = ["/a/secret"]')

    printed = await brokered([PYTHON, "-S", "-E", "-c", script], given)

    # Outside of its root nothing has a name, and what has no name is refused.
    assert printed == "Permission denied of the jail\n Permission denied Permission denied\nTrue\n"


async def test_a_procfs_as_root_is_no_view(place: Path) -> None:
    script = f"{PRELUDE}\nos.chroot('/proc'); print(said(os.stat, '/self'), said(os.stat, '/1'))"

    assert await brokered([PYTHON, "-S", "-E", "-c", script], lifting()) == "Permission denied Permission denied\n"


MOUNTS = """
mkdir -p $T/m; mount -t tmpfs none $T/m || exit 1
echo hello > $T/m/f; cat $T/m/f; ls -la $T/m | wc -l; stat -c '%u %g %a %F' $T/m/f
cat /proc/self/comm; ls /proc/self/fd | wc -l; mv $T/m/f $T/m/g; mkdir $T/m/d; rmdir $T/m/d; echo 2 >> $T/m/g
readlink /proc/self/exe; chmod 600 $T/m/g; stat -c '%a' $T/m/g; ln $T/m/g $T/m/h; ln -s g $T/m/l; cat $T/m/l
readlink /proc/self/cwd; sh -c 'cat /proc/$$/comm; readlink /proc/$$/exe'; test -e /proc/self/task/$$ ; echo $?
umount $T/m; ls $T/m
"""


@VIEWS
async def test_mounts_of_another_namespace_are_seen_as_they_are(place: Path, given: monitor.Policy | None) -> None:
    require("unshare", shutil.which("unshare") is not None)
    words = ["/usr/bin/unshare", "-m", "/bin/sh", "-c", MOUNTS.replace("$T", str(place))]

    native = natively(words)
    (place / "m").rmdir()

    assert await brokered(words, given) == native
    assert "hello" in native


@VIEWS
async def test_a_procfs_of_another_pid_namespace_tells_nothing(place: Path, given: monitor.Policy | None) -> None:
    """A number that we know as one of the program's is somebody else's there, or nobody's."""
    script = f"{PRELUDE}\nprint(os.getpid(), said(whole, '/proc/self/comm'), said(os.readlink, '/proc/self'))"
    script += (
        "; where = said(os.stat, f'/proc/{os.getpid()}/cwd/etc'); print(where if isinstance(where, str) else True)"
    )
    words = ["/usr/bin/unshare", "-mp", "-f", "--mount-proc", PYTHON, "-S", "-E", "-c", script]

    assert natively(words) == "1 python3\n 1\nTrue\n"
    assert await brokered(words, given) == "1 Permission denied Permission denied\nPermission denied\n"


@VIEWS
@pytest.mark.parametrize("leads", ["bind", "left"])
async def test_nobody_comes_to_us_by_a_procfs_that_has_another_name(
    place: Path, leads: str, given: monitor.Policy | None
) -> None:
    """Mounted once more below another root, with another thing called /proc there; or left behind, outside of it."""
    (place / "root" / "p").mkdir(parents=True)
    (place / "root" / "proc").mkdir()
    enter = {
        "bind": f"call(165, b'/proc', b'{place}/root/p', None, 4096 | 16384, None); os.chroot('{place}/root')",
        "left": f"os.chdir('/proc'); os.chroot('{place}/root')",
    }[leads]
    below = "/p" if leads == "bind" else "."
    script = f"""{PRELUDE}
call(272, 0x20000)  # a mount namespace of its own
call(165, b'none', b'/', None, 0x44000, None)  # which tells nobody
{enter}
for name in ("mem", "environ", "maps", "status", "fd", "task"):
    print(said(os.open, f"{below}/{os.getpid()}/{{name}}", os.O_RDONLY))
print(said(whole, "{below}/self/comm"), said(os.readlink, "{below}/self/exe"))
"""
    printed = await brokered([PYTHON, "-S", "-E", "-c", script], given)

    *ours, own = printed.splitlines()[:7]
    assert set(ours) <= {"No such file or directory", "Permission denied"}
    assert len(ours) == 6
    assert "seccomp" not in own


# ---- user namespaces ----


IN_A_NAMESPACE = """
made = f"{D}/made"
print(owner("/etc/passwd"), owner(D), said(make, made), said(os.chown, made, 5, 5), said(os.chown, made, 0, 0))
print(said(whole, f"{D}/roots"), said(whole, f"{D}/nobodys"), said(os.chmod, made, 0o600), said(os.chown, made, -1, -1))
print([entry.stat().st_uid for entry in sorted(os.scandir(D), key=lambda entry: entry.name)])
"""


@pytest.mark.parametrize("user", [0, NOBODY])
async def test_ids_of_a_user_namespace_are_shown_as_they_are_called_there(place: Path, user: int) -> None:
    """Under a supervisor of each kind; one that is no root has but its own id there."""
    code = f"""
import sys, subprocess, trio, monitor
sys.path[:0] = {sys.path!r}
from tests.kernel.test_rights import *
async def main(way):
    given = {{"policy": policy()}} if way == "brokered" else {{}}
    script = PRELUDE + "D = " + repr({str(place / "D")!r}) + IN_A_NAMESPACE
    launch = monitor.Launch([PYTHON, "-S", "-E", "-c", script], cwd="/", env={{}}, namespaces=frozenset({{"user"}}))
    async with monitor.supervise(launch, **given) as run:
        await run.wait()
trio.run(main, sys.argv[1])
"""
    printed = []
    for way in ("native", "brokered"):
        directory = fill(place / "D")
        words = ["/usr/bin/setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = await trio.run_process(
            [*words, sys.executable, "-P", "-c", code, way], capture_stdout=True, env=environment
        )
        printed.append(done.stdout.decode())
        shutil.rmtree(directory)

    assert printed[1] == printed[0]
    assert str(OVERFLOW) in printed[0] or user == 0


async def test_a_namespace_is_given_its_map_by_who_made_it(place: Path) -> None:
    """Opened by us, it would be ours that says which ids are there, and we are of another namespace."""
    words = ["/usr/bin/unshare", "--user", "--map-root-user", "/usr/bin/id", "-u"]

    assert natively(words) == "0\n"
    assert "uid_map: Operation not permitted" in await brokered(words, lifting())


GIVES_LISTS = """
import struct
def acl(user):
    tags = ((1, 7, -1), (2, 6, user), (4, 5, -1), (16, 7, -1), (32, 5, -1))
    return struct.pack("=I", 2) + b"".join(struct.pack("=HHi", *entry) for entry in tags)
there, held = f"{D}/shared", os.open(f"{D}/shared", os.O_RDONLY)
for name in ("system.posix_acl_access", "system.posix_acl_default"):
    print(said(os.getxattr, f"{D}/closed", name), said(os.getxattr, f"{D}/closed", name, follow_symlinks=False))
    print(said(os.setxattr, there, name, acl(0)), said(os.setxattr, there, name, acl(0), follow_symlinks=False))
    print(said(os.setxattr, held, name, acl(0)), said(os.removexattr, f"{D}/sticky", name))
print(said(os.setxattr, there, "user.a", b"1"), said(os.getxattr, there, "user.a"))
"""

ATTRIBUTES = sorted(name for name in FAMILIES if "xattr" in name)


async def with_lists(directory: Path, before: list[str], way: str, namespaces: Any) -> tuple[list[str], Any]:
    """Return what GIVES_LISTS says in a user namespace, and which attributes there are afterwards."""
    fill(directory)
    for name in ("closed", "sticky"):
        for kind in ("access", "default"):
            os.setxattr(directory / name, f"system.posix_acl_{kind}", acl(5))
    handlers = [monitor.handles(*ATTRIBUTES)(lambda call: call.emulate())] if way == "brokered" else []
    launch = monitor.Launch(
        [*before, PYTHON, "-S", "-E", "-c", f"{PRELUDE}D = {str(directory)!r}\n{GIVES_LISTS}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, namespaces=namespaces, env={},
    )  # fmt: skip
    async with monitor.supervise(launch, handlers=handlers, otherwise=monitor.Allow()) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode()
    names = ("closed", "shared", "sticky")
    kept = {name: {key: os.getxattr(directory / name, key) for key in os.listxattr(directory / name)} for name in names}
    shutil.rmtree(directory)
    return output.splitlines(), kept


def acl(user: int) -> bytes:
    """One user's list, as the kernel keeps it (posix_acl_xattr.h)."""
    tags = ((1, 7, -1), (2, 6, user), (4, 5, -1), (16, 7, -1), (32, 5, -1))
    return struct.pack("=I", 2) + b"".join(struct.pack("=HHi", *entry) for entry in tags)


async def test_lists_of_others_ids_are_neither_told_nor_made_where_ids_are_called_otherwise(place: Path) -> None:
    """Their ids would be ours, and not those of the same number there; they can be taken away."""
    told, kept = await with_lists(place / "D", ["/usr/bin/unshare", "--map-root-user"], "brokered", frozenset())

    refused = "Operation not supported"
    assert told == [f"{refused} {refused}", f"{refused} {refused}", f"{refused} None"] * 2 + ["None b'1'"]
    assert kept["shared"] == {"user.a": b"1"}
    assert kept["sticky"] == {}
    assert kept["closed"] == dict.fromkeys(("system.posix_acl_access", "system.posix_acl_default"), acl(5))


async def test_lists_of_ids_are_as_ever_where_every_id_is_called_the_same(place: Path) -> None:
    native, brokered = [await with_lists(place / "D", [], way, frozenset({"user"})) for way in ("native", "brokered")]

    assert brokered == native
    assert len(brokered[1]["shared"]) == 3
    assert str(acl(5)) in brokered[0][0]


def test_ids_are_mapped_by_extents() -> None:
    maps = IdMaps(extents(b"         0     1000          1\n         1   100000      65536\n"), (Extent(5, 7, 1),))
    status = bytes(28) + (1000).to_bytes(4, "little") + (7).to_bytes(4, "little") + b"rest"
    other = bytes(20) + (100001).to_bytes(4, "little") + (8).to_bytes(4, "little") + b"rest"

    assert maps.shown_in_stat(status)[28:] == bytes(4) + (5).to_bytes(4, "little") + b"rest"
    assert maps.shown_in_statx(other)[20:] == (2).to_bytes(4, "little") + OVERFLOW.to_bytes(4, "little") + b"rest"
    assert maps.meant(0, 5) == (1000, 7)
    assert maps.meant(0xFFFFFFFF, 0xFFFFFFFF) == (0xFFFFFFFF, 0xFFFFFFFF)
    for uid, gid in ((70000, 5), (0, 4)):
        with pytest.raises(OSError, match="no such id"):
            maps.meant(uid, gid)


def test_capabilities_of_another_namespace_are_worth_something_where_every_id_is_mapped() -> None:
    rights = Rights(Ids(0, 0, 0, 0), Ids(0, 0, 0, 0), (), (1 << 41) - 1, (1 << 41) - 1, 1)
    everything = (Extent(0, 0, 0xFFFFFFFF),)

    assert rights.for_files(outside_worth(IdMaps(everything, everything))).effective == 0b11111 | 1 << 31
    assert rights.for_files(outside_worth(IdMaps(everything, (Extent(0, 0, 1),)))).effective == 0
