"""
The doctor where something is missing: that row changes, and those that depend on it, and no other.

Two ways to take a feature away.  A filter refuses its call with ENOSYS, as an old kernel or a
container's profile does, or with EPERM, as other profiles do; being under a filter is a finding by
itself, so it is compared with a doctor under a filter that allows everything.  What a filter cannot
see, because it lies behind a pointer, is taken away by a library that stands before libc.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from errno import ENOSYS, EPERM, errorcode
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import frozen

from monitor.abi.arch import X32_BIT, Arch
from monitor.abi.seccomp import OFFSET_ARCH, OFFSET_ARGS, OFFSET_NR, SET_MODE_FILTER, FilterFlag, RetValue
from monitor.abi.syscalls import number_of
from monitor.policy.bpf import Instruction, Op, Program
from tests.conftest import require

DOCTOR: Final = [sys.executable, "-m", "monitor", "doctor", "--json"]
RUN: Final = [sys.executable, "-m", "monitor", "run", "-e", "openat", "--", "true"]

OUR_FAILURE: Final = 125

PR_SET_DUMPABLE: Final = 4
PR_GET_SECCOMP: Final = 21
PR_SET_NO_NEW_PRIVS: Final = 38
PTRACE_SEIZE: Final = 0x4206
CLONE_NEWUSER: Final = 0x10000000
PIDFD_THREAD: Final = 0o200
WORD: Final = 0xFFFFFFFF

NOTIF_RECV: Final = 0xC0502100
NOTIF_SEND: Final = 0xC0182101
NOTIF_ID_VALID: Final = 0x40082102
NOTIF_ADDFD: Final = 0x40182103
NOTIF_SET_FLAGS: Final = 0x40082104


@frozen
class Refusal:
    """A call, and what its arguments have to be: index, mask, value."""

    call: str
    arguments: tuple[tuple[int, int, int], ...] = ()
    arch: Arch = Arch.X86_64
    bit: int = 0

    def program(self, errno: int) -> Program:
        """Return the filter that refuses it and allows everything else."""
        number = number_of(self.arch, self.call)
        assert number is not None
        tests = [(OFFSET_ARCH, WORD, self.arch.audit_value), (OFFSET_NR, WORD, number | self.bit)]
        tests += [(OFFSET_ARGS + 8 * index, mask, value) for index, mask, value in self.arguments]
        code: list[Instruction] = []
        for place, (offset, mask, value) in enumerate(tests):
            behind = 3 * (len(tests) - place - 1) + 1  # of this test: the others, and the refusal
            code += [
                Instruction(Op.LD_ABS, offset),
                Instruction(Op.AND_K, mask),
                Instruction(Op.JEQ_K, value, jt=0, jf=behind),
            ]
        code += [Instruction(Op.RET_K, RetValue.ERRNO | errno), Instruction(Op.RET_K, RetValue.ALLOW)]
        return Program(code)


ALLOW_EVERYTHING: Final = Program([Instruction(Op.RET_K, RetValue.ALLOW)])


def _flags(flags: int) -> tuple[tuple[int, int, int], ...]:
    return ((0, WORD, SET_MODE_FILTER), (1, flags, flags))


def _first(value: int) -> tuple[tuple[int, int, int], ...]:
    return ((0, WORD, value),)


def _second(value: int) -> tuple[tuple[int, int, int], ...]:
    return ((1, WORD, value),)


REFUSALS: Final[Mapping[str, Refusal]] = {
    "no_new_privs": Refusal("prctl", _first(PR_SET_NO_NEW_PRIVS)),
    "close_range": Refusal("close_range"),
    "clone3": Refusal("clone3"),
    "pidfd_open": Refusal("pidfd_open"),
    "pidfd_getfd": Refusal("pidfd_getfd"),
    "listener": Refusal("seccomp", _flags(FilterFlag.NEW_LISTENER)),
    "receive": Refusal("ioctl", _second(NOTIF_RECV)),
    "id valid": Refusal("ioctl", _second(NOTIF_ID_VALID)),
    "respond": Refusal("ioctl", _second(NOTIF_SEND)),
    "add fd": Refusal("ioctl", _second(NOTIF_ADDFD)),
    "wait killable": Refusal("seccomp", _flags(FilterFlag.WAIT_KILLABLE_RECV)),
    "sync wake-up": Refusal("ioctl", _second(NOTIF_SET_FLAGS)),
    "all threads": Refusal("seccomp", _flags(FilterFlag.NEW_LISTENER | FilterFlag.TSYNC)),
    "process_vm_readv": Refusal("process_vm_readv"),
    "PIDFD_THREAD": Refusal("pidfd_open", ((1, PIDFD_THREAD, PIDFD_THREAD),)),
    "dumpable": Refusal("prctl", _first(PR_SET_DUMPABLE)),
    "Landlock": Refusal("landlock_create_ruleset"),
    "Landlock signals": Refusal("landlock_create_ruleset", _second(24)),  # the size that has scopes
    "user namespaces": Refusal("clone", ((0, CLONE_NEWUSER, CLONE_NEWUSER),)),
    "cgroup": Refusal("mkdir"),
    "ptrace seize": Refusal("ptrace", _first(PTRACE_SEIZE)),
    "openat2": Refusal("openat2"),
    "fchmodat2": Refusal("fchmodat2"),
    "statx mount id": Refusal("statx"),
    "i386 entry": Refusal("getpid", arch=Arch.I386),
    "x32 entry": Refusal("getpid", bit=X32_BIT),
    "io_uring": Refusal("io_uring_setup"),
    "own seccomp": Refusal("prctl", _first(PR_GET_SECCOMP)),
}

BEHIND_A_POINTER: Final = (
    "/proc/PID/children",
    "/proc/PID/mem",
    "continue",
    "add fd and respond",
    "RESOLVE_CACHED",
    "suspend seccomp",
    "filter dump",
)
"""What tests/targets/d_absent.c takes away."""

STATES: Final = {("clone3", ENOSYS): "noted"}
"""libc and we use clone(2) then."""

TAKEN_AWAY_ELSEWHERE: Final = {
    *("processes", "open files", "/proc"),  # tests/cli/test_doctor.py: limits, another root
    *("YAMA", "security modules", "container"),  # tests/features: what is read, is read from files made for it
    "second listener",  # no kernel has it
}


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


_libc = ctypes.CDLL(None, use_errno=True)


def under(program: Program, flags: int = 0) -> Callable[[], None]:
    """Return what a child has to do before it executes something, to be under *program*."""
    packed = program.pack()
    fprog = _SockFprog(len(packed) // struct.calcsize("=HBBI"), packed)
    seccomp = number_of(Arch.native(), "seccomp")

    def install() -> None:
        assert _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        assert _libc.syscall(seccomp, SET_MODE_FILTER, flags, ctypes.byref(fprog)) == 0

    return install


@frozen
class Report:
    """What a doctor said: its exit status, and its rows by name."""

    status: int
    rows: Mapping[str, Mapping[str, Any]]

    def changes(self, other: Report) -> set[str]:
        """Return the names of the rows that say something else."""
        return {name for name, row in self.rows.items() if said(row) != said(other.rows[name])}

    def dependents(self, name: str) -> set[str]:
        """Return *name* and all that the table marks as depending on it."""
        found = {name}
        for row in self.rows.values():  # what is needed stands above
            if found.intersection(row["needs"]):
                found.add(row["name"])
        return found


def said(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["state"], row["detail"]


def doctor(**options: Any) -> Report:
    done = subprocess.run(DOCTOR, capture_output=True, text=True, check=False, **options)
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    rows = {row["name"]: row for row in answer["features"]}
    assert "timed out" not in {row["state"] for row in rows.values()}, "no probe hangs for want of a feature"
    return Report(done.returncode, rows)


@pytest.fixture(scope="module")
def filtered() -> Report:
    """The doctor under a filter that allows everything."""
    return doctor(preexec_fn=under(ALLOW_EVERYTHING))


@pytest.fixture(scope="module")
def library(compiled: Callable[..., str]) -> str:
    return compiled("d_absent", "-shared", "-fPIC", "-ldl")


@pytest.fixture(scope="module")
def preloaded(library: str) -> Report:
    """The doctor with a library before libc that changes nothing."""
    return doctor(env={**os.environ, "LD_PRELOAD": library})


def check(present: Report, absent: Report, name: str, errno: int) -> None:
    """Compare two doctors, the second of which lacks one feature."""
    require(name, present.rows[name]["state"] != "unknown" and present.rows[name]["errno_name"] != "ENODEV")
    row = absent.rows[name]
    same = present.rows[name]["errno"] == errno  # no kernel here has x32

    assert absent.changes(present) == (set() if same else present.dependents(name))
    assert row["state"] == STATES.get((name, errno), "missing" if errno == ENOSYS else "forbidden")
    assert row["errno_name"] == errorcode[errno]
    for dependent in present.dependents(name):
        assert absent.rows[dependent]["without"].endswith(".")
        if dependent != name:
            assert said(absent.rows[dependent])[0] == "unknown"
            assert said(absent.rows[dependent])[1].startswith("needs ")


@pytest.mark.parametrize("errno", [ENOSYS, EPERM], ids=errorcode.get)
@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_filter_refuses_is_found_with_what_depends_on_it_and_nothing_else(
    name: str, errno: int, filtered: Report
) -> None:
    options: dict[str, Any] = {"preexec_fn": under(REFUSALS[name].program(errno))}

    with subprocess.Popen(RUN, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options) as run:
        absent = doctor(**options)

    check(filtered, absent, name, errno)
    assert "seccomp filter" in absent.rows[name]["advice"] or absent.rows[name]["state"] == "noted"
    assert run.returncode == (OUR_FAILURE if absent.status else 0), "the doctor says what run does"


@pytest.mark.parametrize("errno", [ENOSYS, EPERM], ids=errorcode.get)
@pytest.mark.parametrize("name", BEHIND_A_POINTER)
def test_what_a_kernel_lacks_behind_a_pointer_is_found_likewise(
    name: str, errno: int, library: str, preloaded: Report
) -> None:
    env = {**os.environ, "LD_PRELOAD": library, "ABSENT": name, "ERRNO": str(errno)}

    check(preloaded, doctor(env=env), name, errno)


def test_each_feature_is_taken_away_by_some_test(filtered: Report) -> None:
    assert filtered.rows.keys() == {*REFUSALS, *BEHIND_A_POINTER} | TAKEN_AWAY_ELSEWHERE


def test_a_filter_alone_changes_what_it_must(filtered: Report) -> None:
    """Why the comparison above is with a filtered doctor and not with a free one."""
    free = doctor()
    expected = {"own seccomp", "suspend seccomp", "filter dump"}
    if free.rows["no_new_privs"]["detail"] == "":
        expected.add("no_new_privs")

    assert filtered.changes(free) - expected == set()
    assert "own seccomp" in filtered.changes(free)
    assert filtered.status == free.status == 0


MOUNT_AND_UNMOUNT: Final = """
import ctypes, sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
assert libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0
assert libc.mount(b"none", sys.argv[1].encode(), b"tmpfs", 0, None) == 0
print("mounts", flush=True)
while True:
    libc.mount(b"none", sys.argv[1].encode(), b"tmpfs", 0, None)
    libc.umount(sys.argv[1].encode())
"""


def test_a_machine_that_is_busy_mounting_lacks_nothing(tmp_path: Path) -> None:
    """A mount anywhere lets a look-up with RESOLVE_CACHED answer EAGAIN (fs/namei.c, try_to_unlazy)."""
    quiet = doctor()

    with subprocess.Popen([sys.executable, "-c", MOUNT_AND_UNMOUNT, str(tmp_path)], stdout=subprocess.PIPE) as mounter:
        assert mounter.stdout is not None
        try:
            assert mounter.stdout.readline() == b"mounts\n"
            found = [doctor().changes(quiet) for _ in range(20)]
        finally:
            mounter.kill()

    assert found == [set()] * 20


@pytest.mark.parametrize("name", ["close_range", "pidfd_open", "clone3"])
def test_a_launch_that_is_refused_something_points_to_the_doctor(name: str) -> None:
    done = subprocess.run(
        RUN, capture_output=True, text=True, check=False, preexec_fn=under(REFUSALS[name].program(EPERM))
    )

    assert done.returncode == OUR_FAILURE
    assert "`seccomp-monitor doctor` tells" in done.stderr


LAUNCH_WITH_AN_OLD_THREAD: Final = """
import sys, monitor, trio

sys.path[:0] = sys.argv[1:]
from tests.kernel.test_doctor_absence import REFUSALS, EPERM, FilterFlag, under

async def main():
    await trio.to_thread.run_sync(bool)  # this thread waits for more work, so none is started below
    under(REFUSALS["clone3"].program(EPERM), FilterFlag.TSYNC)()
    async with monitor.supervise(["true"], handlers=[]) as run:
        print(await run.wait())

trio.run(main)
"""


def test_a_launch_goes_on_with_clone_where_clone3_is_refused() -> None:
    """Profiles of old say EPERM, for which libc starts no thread; but the launch does not fail for that."""
    command = [sys.executable, "-c", LAUNCH_WITH_AN_OLD_THREAD, str(Path(__file__).parents[2])]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("0\n", "")
