"""Calls that are done for a program fail as the kernel lets them fail, whatever it passes and whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from errno import EMFILE, ENFILE
from pathlib import Path
from typing import Any

import pytest

import monitor
from monitor.broker.acting import Acting
from monitor.broker.families import FAMILIES
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
from monitor.policy.text import loads
from monitor.broker.families import FAMILIES
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
    for _ in range(call.args[0] or len(held)):
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

    assert len(lines) == 2, "\n".join(lines)
    *words, status, failures = lines[0].split()
    assert (status, failures) == ("0", "0")
    assert set(words[:7]) <= {"ENFILE", "ENOENT", "EMFILE", "True"}
    assert "ENFILE" in words[:7]
    assert words[7:] == ["True", "True", "True", "ENOENT", "True", "True", "True"]
    assert lines[1] == "True"


_ASKING_WITH_FEW = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
here, listed, group, buffer = os.getcwd(), os.open(".", os.O_RDONLY), libc.fanotify_init(0x200, 0), bytes(4096)
def call(*arguments):
    result = libc.syscall(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result
def entries():
    assert call(217, listed, buffer, len(buffer)) == whole  # none was lost when it failed
    os.lseek(listed, 0, os.SEEK_SET)
def confined():
    try:
        call(437, -100, b"none/none", (ctypes.c_uint64 * 3)(0, 0, 8), 24)  # RESOLVE_BENEATH
    except FileNotFoundError:
        pass  # as ever
whole = call(217, listed, buffer, len(buffer))
os.lseek(listed, 0, os.SEEK_SET)
def opened(path, flags):
    os.close(os.open(os.path.join(here, path), flags, 0o600))
ways = {
    "fifo": lambda: opened("fifo", os.O_RDWR), "read": lambda: opened("file", os.O_RDONLY),
    "write": lambda: opened("file", os.O_RDWR), "null": lambda: opened("/dev/null", os.O_RDWR),
    "made": lambda: opened("made", os.O_CREAT | os.O_RDWR), "nameless": lambda: opened(".", os.O_TMPFILE | os.O_RDWR),
    "truncate": lambda: os.truncate("file", 1),
    "chmod": lambda: os.chmod("file", 0o600), "list": lambda: os.listdir("."), "entries": entries,
    "own link": lambda: os.readlink("/proc/self"), "own fd": lambda: os.stat(f"/proc/self/fd/{listed}"),
    "confined": confined, "mark": lambda: call(301, group, 1, 2, listed, None),
}
for name, way in ways.items():
    said = []
    for few in range(1, 16):
        os.getppid()
        os.getpgid(few)
        try:
            way()
            said.append("done")
        except OSError as error:
            said.append(errno.errorcode[error.errno])
        os.getpgid(0)
        made = os.path.exists("made")
        if made:
            os.unlink("made")
        assert made == (name == "made" and said[-1] == "done"), (name, few, said)
    print(name, *said, sep=",")
"""


_BY_A_HANDLER = "handlers=[emulate, exhaust, relieve], otherwise=monitor.Allow()"
_UNDER_A_POLICY = """policy=loads('''
[policy]
version = 1
known-as-of = "6.12"
syscalls-default = "allow"
[files]
otherwise = "allow"
exec = "unverified"
hide = ["**/.hidden"]
'''), handlers=[exhaust, relieve]"""


@pytest.mark.parametrize("given", [_BY_A_HANDLER, _UNDER_A_POLICY], ids=["by a handler", "under a policy"])
def test_a_lack_of_fds_of_ours_is_never_told_as_one_of_the_program(
    python_as_user: Any, tmp_path: Path, given: str
) -> None:
    """However few we have left when it asks: they may do for the look-up, and not for what is done then."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_text("contents")
    script = f"import os; os.chdir({str(tmp_path)!r})" + _ASKING_WITH_FEW
    code = _EXHAUSTED.replace(_BY_A_HANDLER, given)
    with python_as_user(code, sys.executable, "-c", script, ordinary=False) as process:
        lines = process.communicate(timeout=50)[0].decode().splitlines()

    *told, last, _ = lines
    assert last.endswith("0 0"), "\n".join(lines)
    said = {name: set(words) for name, *words in (line.split(",") for line in [*told, last.removesuffix(" 0 0")])}
    assert len(said) == 14
    assert said == {name: {"ENFILE", "done"} for name in said}


async def test_entries_that_cannot_be_written_for_want_of_an_fd_are_there_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = [OSError(EMFILE, "")]
    write = Acting.write

    def lacking(self: Acting, call: monitor.Call, address: int, data: bytes) -> None:
        if call.name == "getdents64" and call.args[2] == 999 and lacks:
            raise lacks.pop()
        write(self, call, address, data)

    monkeypatch.setattr(Acting, "write", lacking)
    script = """
import ctypes, os
libc, buffer, fd = ctypes.CDLL(None, use_errno=True), bytes(999), os.open(".", os.O_RDONLY)
print([libc.syscall(217, fd, buffer, 999) for _ in range(3)], ctypes.get_errno())
"""
    done = await brokered("/usr/bin/python3", "-I", "-S", "-c", script, cwd=tmp_path)

    assert done == (0, f"[-1, 48, 0] {ENFILE}\n")  # . and ..


# ---- file systems ----


def may_mount() -> bool:
    """Whether we can make mounts, in a namespace of our own."""
    return subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def in_own_mounts(script: str, *words: str) -> list[str]:
    """Return the words of a program that runs *words*, or what *script* runs, behind mounts that are its own."""
    return ["unshare", "--mount", "--propagation=private", "sh", "-ec", f'{script}\nexec "$@"', "sh", *words]


_BROKERED = """
import subprocess, sys, trio, monitor
from monitor.broker.families import FAMILIES
@monitor.handles(*FAMILIES)
def emulate(call):
    return call.emulate()
async def main():
    async with monitor.supervise(sys.argv[1:], handlers=[emulate], otherwise=monitor.Allow()) as run:
        status = await run.wait()
    assert run.stats.failures == 0 and run.stats.emulated > 0
    sys.exit(status)
trio.run(main)
"""

ON_ONE_FULL_DISK = """
mkdir disk && mount -t tmpfs -o size=64k,nr_inodes=8,mode=755 none disk && cd disk
"""

FILLS_IT = """
head -c 1000000 /dev/zero > big; stat -c %s big; echo more >> big
for i in 1 2 3 4 5 6 7 8 9; do : > $i; echo $?; done; ls; : > 1; rm big; echo x > 2; cat 2
"""

READ_ONLY = """
mkdir disk && mount -t tmpfs none disk && cd disk && echo text > file && mkdir made && mount -o remount,ro .
"""

WRITES_THERE = """
cat file; echo x > file; echo x >> file; : > new; echo x > made/new; test -w file; echo $?; test -r file; echo $?
cd made && pwd; stat -fc %T .; cat <> ../file
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("before", "script"), [(ON_ONE_FULL_DISK, FILLS_IT), (READ_ONLY, WRITES_THERE)], ids=["full", "read-only"]
)
def test_a_full_disk_and_one_that_cannot_be_written_to_are_what_they_are(
    tmp_path: Path, before: str, script: str
) -> None:
    require("unshare --mount", may_mount())
    ran = []
    for way, words in (("native", []), ("brokered", [sys.executable, "-c", _BROKERED])):
        place = tmp_path / way / "place"  # of the same depth
        place.mkdir(parents=True)
        ran.append(
            subprocess.run(
                in_own_mounts(before, *words, "/bin/sh", "-c", script),
                cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )
        )  # fmt: skip
    natively, brokered = ran

    assert brokered.stdout.replace(b"/brokered/", b"/native/").splitlines() == natively.stdout.splitlines()
    assert brokered.returncode == natively.returncode
    assert b"cannot create" in natively.stdout


MOUNTS = """
import os, subprocess, sys
def tell(*words):
    try:
        print(*words, os.listdir("disk"), open("disk/file").read(), os.stat("disk").st_dev == os.stat(".").st_dev)
    except OSError as error:
        print(*words, error)
def run(*words):
    subprocess.run(words, check=True)
tell("before")
for round in range(10):
    run("mount", "-t", "tmpfs", "none", "disk")
    tell(round, "empty")
    open("disk/file", "w").write("above")
    tell(round, "written")
    held = open("disk/file")
    os.chdir("disk")
    here = os.getcwd()
    run("umount", "-l", ".")
    print(round, held.read(), open("file").read(), os.listdir("."), here == os.readlink("/proc/self/cwd"))
    os.chdir("/")
    os.chdir(sys.argv[1])
    tell(round, "behind")
    run("mount", "--bind", "other", "disk")
    tell(round, "bound")
    run("umount", "disk")
"""


@pytest.mark.root
def test_mounts_that_come_and_go_are_seen_at_once(tmp_path: Path) -> None:
    """By the next call, without a policy: each look-up is made in the tree as it is."""
    require("unshare --mount", may_mount())
    for directory, text in (("disk", "below"), ("other", "bound")):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "file").write_text(text)

    def ran(*words: str) -> list[str]:
        program = [sys.executable, "-c", MOUNTS, str(tmp_path)]
        done = subprocess.run(
            in_own_mounts("", *words, *program),
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        return [*done.stdout.decode().splitlines(), str(done.returncode)]

    natively = ran()

    assert ran(sys.executable, "-c", _BROKERED) == natively
    assert natively[-1] == "0"
    assert natively[2] == "0 written ['file'] above False"


UNDER_A_POLICY = """
[policy]
version = 1
name = "mounts"
known-as-of = "6.12"
syscalls-default = "allow"
[files]
read = ["/usr", "/bin", "/lib", "/lib64", "/etc", "$HERE/disk", "$HERE/go"]
exec = "unverified"
"""


@pytest.mark.root
def test_what_is_mounted_while_a_program_runs_is_judged_by_its_name(tmp_path: Path) -> None:
    """A file that is held from a tree that was taken away has no name, and is not opened again."""
    require("unshare --mount", may_mount())
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "file").write_text("below\n")
    (tmp_path / "policy.toml").write_text(UNDER_A_POLICY.replace("$HERE", str(tmp_path)))
    os.mkfifo(tmp_path / "go")
    script = f"""
        cat disk/file; read line < go; read line < go
        cat disk/file; exec 3< disk/file; cd disk; read line < {tmp_path}/go; read line < {tmp_path}/go
        cat file; cat /dev/fd/3; cat {tmp_path}/disk/file
    """
    outside = f"""
        {sys.executable} -m monitor run -p policy.toml -- /bin/sh -c '{script}' &
        echo > go; mount -t tmpfs none disk; echo above > disk/file; sleep 0.1; echo > go
        sleep 0.1; echo > go; umount -l disk; sleep 0.1; echo > go; wait
    """  # who opens the FIFO waits for the other; the pauses keep two lines from one reader
    done = subprocess.run(
        ["unshare", "--mount", "--propagation=private", "sh", "-c", outside],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=20,
        env={**os.environ, "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip

    assert done.stdout.splitlines() == ["below", "above", "below"], done.stderr
    assert done.stderr.count("<denied: no name that can be believed>") == 2


_MOUNTED_MEANWHILE = """
import subprocess, trio, monitor
names = []
@monitor.handles("openat")
def see(call):
    names.append(call.path("pathname").canonical)
    return call.emulate()
@monitor.handles("newfstatat")
def emulate(call):
    return call.emulate()
async def main():
    script = ["sh", "-c", "read line; [ -e disk/no/such ]; : < disk/file"]
    launch = monitor.Launch(script, stdin=subprocess.PIPE)
    async with monitor.supervise(launch, handlers=[see, emulate], otherwise=monitor.Allow()) as run:
        await trio.sleep(0.3)
        subprocess.run("mount -t tmpfs none disk; echo > disk/file", shell=True, check=True)
        await run.stdin.send_all(b"go\\n")
        await run.wait()
    print(names[-1].decode())
trio.run(main)
"""


@pytest.mark.root
def test_a_call_that_fails_is_no_reason_to_forget_that_the_mounts_were_changed(tmp_path: Path) -> None:
    require("unshare --mount", may_mount())
    (tmp_path / "disk").mkdir()
    done = subprocess.run(
        in_own_mounts("", sys.executable, "-c", _MOUNTED_MEANWHILE),
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout == f"{tmp_path}/disk/file\n", done.stderr


GONE = """
import os, sys
def asked(function, *args, **kwargs):
    try:
        found = function(*args, **kwargs)
        print(function.__name__, args, found if isinstance(found, (str, list, bytes)) else "done")
    except OSError as error:
        print(function.__name__, args, error.errno)
os.makedirs("a/b"); open("a/file", "w").close()
os.chdir("a/b")
held = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
os.rmdir("../b")
for name in (".", "..", "../file", "x", "./x", "", "../b", "../b/x"):
    asked(os.stat, name); asked(os.open, name, os.O_RDONLY); asked(os.open, name, os.O_CREAT | os.O_WRONLY, 0o600)
    asked(os.access, name, os.R_OK); asked(os.stat, name, dir_fd=held); asked(os.open, name, os.O_RDONLY, dir_fd=held)
    asked(os.readlink, name); asked(os.chdir, name) if name not in {"..", "."} else None
asked(os.listdir, "."); asked(os.listdir, held); asked(os.listdir, ".."); asked(os.getcwd)
asked(os.open, ".", os.O_TMPFILE | os.O_RDWR, 0o600)
print(os.readlink("/proc/self/cwd").endswith("/a/b (deleted)"), os.path.exists("/proc/self/cwd"))
asked(os.mkdir, "../b"); asked(os.stat, "../b"); asked(os.stat, "."); asked(os.chdir, "..")
asked(os.chdir, "../.."); asked(os.listdir, "a")
"""


async def test_a_directory_that_was_removed_under_its_feet_is_what_it_is(tmp_path: Path) -> None:
    found = []
    for way in ("native", "brokered"):
        (tmp_path / way).mkdir()
        run = (sys.executable, "-c", GONE)
        ran = native(*run, cwd=tmp_path / way) if way == "native" else await brokered(*run, cwd=tmp_path / way)
        found.append((ran[0], ran[1].replace(way, "").splitlines()))

    assert found[1][1] == found[0][1]
    assert found[1] == found[0]
    assert found[0][0] == 0
