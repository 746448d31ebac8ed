"""
What a program may notice of a broker: each line of the list in docs/files.md has a test, and each of these a line.

What it is not: the comparison that finds such differences (``tests/conformance``).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pty
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
import trio

import monitor
from monitor._native import landlock_abi
from monitor.policy.text import loads
from tests.conftest import require

ROOT: Final = Path(__file__).parents[2]
SECTION: Final = "## What a brokered program may notice"

TESTED: Final[Mapping[str, str]] = {
    "A handler of a signal": "tests/kernel/test_signals.py::test_a_signal_handler_waits_for_the_answer",
    "A program that sleeps": "tests/kernel/test_job_control.py::"
    "test_what_waits_is_stopped_goes_on_and_reads_each_line_once",
    "Where such a signal": "tests/kernel/test_invisible.py::test_whatever_a_signal_interrupts_is_done_once",
    "What is open for reading": "::test_a_lock_on_what_is_read_is_held_for_a_moment_after_it_was_closed",
    "A directory whose name": "tests/conformance/test_hostile.py::test_the_answers_are_the_kernel_s",
    "A socket of AF_UNIX": "::test_a_socket_gets_no_name_in_a_directory",
    "With `unix =": "tests/kernel/test_hidden.py::test_names_of_sockets_are_looked_up_by_the_kernel",
    "A process that names": "::test_a_process_that_names_itself_by_its_number_is_taken_for_another",
    "openat2(2) with `O_PATH`": "tests/kernel/test_files_attacked.py::"
    "test_an_openat2_whose_flags_can_be_changed_is_not_run_by_the_kernel",
    "`O_NOFOLLOW` may be missing": "::test_no_follow_is_missing_from_the_flags_of_what_is_open",
    "Opening a terminal": "::test_a_terminal_that_is_opened_is_not_the_controlling_one",
    "A device that is bound": "::test_a_device_that_is_bound_to_its_opener_is_ours",
    "In /proc/self/fd and": "tests/conformance/test_files.py::_is_in_own_table",
    "Memory without the right": "tests/kernel/test_memory.py::test_prot_none_is_read_through_and_not_written_to",
    "Of a call that cannot": "tests/conformance/test_files.py::_is_time_of_link",
    "RESOLVE_CACHED": "tests/conformance/test_files.py::_is_cached_only",
    "Under a policy, a confined": "tests/conformance/test_files.py::_leads_nowhere_within",
    "truncate(2) heeds": "::test_a_file_is_made_longer_than_the_limit_of_the_program",
    "A name that is made": "tests/kernel/test_names.py::test_what_is_moved_is_what_was_decided_about",
    "inotify and fanotify events": "::test_events_of_an_open_tell_of_us",
    "Names that are hidden": "tests/kernel/test_hidden.py::test_hidden_entries_count_in_the_links_of_their_directory",
    "A mount below": "::test_a_hidden_mount_is_in_the_list_of_mounts",
    "Of /proc, what shows": "tests/kernel/test_files_attacked.py::"
    "test_what_shows_the_namespaces_of_its_opener_is_not_opened_for_a_program_with_others",
    "Locks of fcntl(2)": "::test_a_lock_of_ours_is_gone_when_the_program_has_opened_the_file",
    "Landlock says": "::test_a_domain_of_its_own_is_not_promised",
    "In a user namespace where": "tests/kernel/test_rights.py::"
    "test_capabilities_of_another_namespace_are_worth_something_where_every_id_is_mapped",
    "In a user namespace no file": "tests/kernel/test_rights.py::"
    "test_in_a_user_namespace_no_file_is_given_capabilities",
    "Lists of acl(5)": "tests/kernel/test_rights.py::"
    "test_lists_of_others_ids_are_neither_told_nor_made_where_ids_are_called_otherwise",
    "What is in a /proc of another": "tests/kernel/test_rights.py::"
    "test_a_procfs_of_another_pid_namespace_tells_nothing",
    "What is outside of the root": "tests/kernel/test_rights.py::"
    "test_a_policy_knows_names_as_they_are_under_the_other_root",
    "Core dumps are off": "tests/kernel/test_files.py::test_no_core_is_dumped",
    "A file system that hangs": "tests/kernel/test_files_attacked.py::"
    "test_what_lies_on_a_file_system_that_may_hang_is_done_by_a_worker",
}
"""How a line of the list begins, and what shows that it is so."""

POLICY: Final = """
[policy]
version = 1
known-as-of = "6.12"
syscalls-default = "allow"
[files]
otherwise = "allow"
exec = "unverified"
"""

BOTH: Final = pytest.mark.parametrize("brokered", [False, True], ids=["natively", "brokered"])


async def said(script: str, *words: str, brokered: bool, lists: str = "") -> str:
    """Return what a Python script says, brokered or not."""
    launch = monitor.Launch(
        ["/usr/bin/python3", "-I", "-S", "-c", script, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
    )
    if not brokered:
        done = await trio.run_process(launch.argv, capture_stdout=True, check=False)
        return done.stdout.decode()
    async with monitor.supervise(launch, policy=loads(POLICY + lists)) as run:
        assert run.stdout is not None
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        await run.wait()
    return output


def test_every_line_of_the_list_has_a_test() -> None:
    section = (ROOT / "docs/files.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    lines = [line.removeprefix("* ") for line in section.splitlines() if line.startswith("* ")]

    assert {line: [start for start in TESTED if line.startswith(start)] for line in lines} == {
        line: [start] for line, start in zip(lines, TESTED, strict=True)
    }


@pytest.mark.parametrize("where", TESTED.values())
def test_what_shows_a_line_of_the_list_is_there(where: str) -> None:
    file, _, name = where.partition("::")

    assert f"def {name}(" in (ROOT / (file or "tests/kernel/test_known_differences.py")).read_text()


@BOTH
async def test_no_follow_is_missing_from_the_flags_of_what_is_open(tmp_path: Path, brokered: bool) -> None:
    script = "import fcntl, os, sys\nfd = os.open(sys.argv[1], os.O_NOFOLLOW)\n"
    script += "print(bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NOFOLLOW))"
    (tmp_path / "file").touch()

    assert await said(script, f"{tmp_path}/file", brokered=brokered) == f"{not brokered}\n"


@BOTH
async def test_a_terminal_that_is_opened_is_not_the_controlling_one(brokered: bool) -> None:
    master, slave = pty.openpty()
    script = "import os, sys\nif os.fork() == 0:\n  os.setsid(); os.open(sys.argv[1], os.O_RDWR)\n"
    script += "  try:\n    os.open('/dev/tty', 0); print('has one', flush=True)\n"
    script += "  except OSError:\n    print('has none', flush=True)\n  os._exit(0)\nos.wait()"
    told = await said(script, os.ttyname(slave), brokered=brokered)
    os.close(slave)
    os.close(master)

    assert told == ("has none\n" if brokered else "has one\n")


@pytest.mark.root
async def test_a_device_that_is_bound_to_its_opener_is_ours() -> None:
    """/dev/net/tun is of the network namespace of who opens it: SIOCGSKNS tells which."""
    require("root and /dev/net/tun", os.geteuid() == 0 and _opens("/dev/net/tun"))
    script = "import fcntl, os\nfd = os.open('/dev/net/tun', os.O_RDWR)\n"
    script += "print(os.fstat(fcntl.ioctl(fd, 0x894c)).st_ino, os.readlink('/proc/self/ns/net')[5:-1])"
    launch = monitor.Launch(["/usr/bin/python3", "-I", "-S", "-c", script], stdout=subprocess.PIPE, namespaces={"net"})
    async with monitor.supervise(launch, policy=loads(POLICY)) as run:
        assert run.stdout is not None
        output = b"".join([chunk async for chunk in run.stdout]).decode()
    device, own = output.split()

    assert device == str(Path("/proc/self/ns/net").stat().st_ino) != own


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError:
        return False
    return True


@BOTH
async def test_a_file_is_made_longer_than_the_limit_of_the_program(tmp_path: Path, brokered: bool) -> None:
    script = "import os, resource, signal, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
    script += "got = []\nsignal.signal(signal.SIGXFSZ, lambda *_: got.append(1))\n"
    script += "try:\n  os.truncate(sys.argv[1], 100)\nexcept OSError as error:\n  print(error.strerror)\n"
    script += "print(len(got), os.stat(sys.argv[1]).st_size)"
    (tmp_path / "file").touch()
    told = await said(script, f"{tmp_path}/file", brokered=brokered)

    assert told == ("0 100\n" if brokered else "File too large\n1 0\n")


@BOTH
@pytest.mark.root
async def test_events_of_an_open_tell_of_us(tmp_path: Path, brokered: bool) -> None:
    require("root", os.geteuid() == 0)
    libc = ctypes.CDLL(None, use_errno=True)
    (tmp_path / "file").touch()
    group = libc.fanotify_init(0x2, os.O_RDONLY)  # FAN_NONBLOCK
    require("fanotify", group >= 0)
    try:
        assert libc.fanotify_mark(group, 1, ctypes.c_uint64(0x20), -100, os.fsencode(tmp_path / "file")) == 0
        told = await said(
            "import os, sys\nos.open(sys.argv[1], 0)\nprint(os.getpid())", f"{tmp_path}/file", brokered=brokered
        )
        events = os.read(group, 24 * 100)
    finally:
        os.close(group)
    opened = {struct.unpack_from("=IBBHQii", events, place)[5:] for place in range(0, len(events), 24)}
    for fd, _ in opened:
        os.close(fd)
    tids = {int(task.name) for task in Path("/proc/self/task").iterdir()}

    assert {pid in tids for _, pid in opened} == {brokered}
    assert (int(told) in {pid for _, pid in opened}) is not brokered


async def test_a_hidden_mount_is_in_the_list_of_mounts() -> None:
    told = await said(
        "import os\nprint(os.path.exists('/dev/pts'), ' /dev/pts ' in open('/proc/self/mountinfo').read())",
        brokered=True,
        lists='hide = ["/dev/pts"]\n',
    )

    assert told.split() == ["False", str(" /dev/pts " in Path("/proc/self/mountinfo").read_text())]


_LOCKED: Final = """
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("free")
except OSError:
    print("held")
"""


@BOTH
async def test_a_lock_of_ours_is_gone_when_the_program_has_opened_the_file(tmp_path: Path, brokered: bool) -> None:
    (tmp_path / "file").touch()
    with (tmp_path / "file").open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        await said("import sys\nopen(sys.argv[1])", f"{tmp_path}/file", brokered=brokered)
        done = subprocess.run([sys.executable, "-c", _LOCKED, f"{tmp_path}/file"], capture_output=True, check=True)

    assert done.stdout == (b"free\n" if brokered else b"held\n")


@BOTH
async def test_a_lock_on_what_is_read_is_held_for_a_moment_after_it_was_closed(tmp_path: Path, brokered: bool) -> None:
    script = "import fcntl, os, sys\nheld = 0\nother = os.open(sys.argv[1], os.O_RDWR)\n"
    script += "for _ in range(300):\n    fd = os.open(sys.argv[1], os.O_RDONLY)\n"
    script += "    fcntl.flock(fd, fcntl.LOCK_EX)\n    os.close(fd)\n    try:\n"
    script += "        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)\n        fcntl.flock(other, fcntl.LOCK_UN)\n"
    script += "    except BlockingIOError:\n        held += 1\nprint(held > 0)"
    (tmp_path / "file").touch()

    assert await said(script, f"{tmp_path}/file", brokered=brokered) == f"{brokered}\n"


@BOTH
async def test_a_socket_gets_no_name_in_a_directory(tmp_path: Path, brokered: bool) -> None:
    require("Landlock", landlock_abi() > 0)
    script = "import errno, socket, sys\ntry:\n    socket.socket(socket.AF_UNIX).bind(sys.argv[1]); print('made')\n"
    script += "except OSError as error:\n    print(errno.errorcode[error.errno])"

    answer = await said(script, f"{tmp_path}/socket", brokered=brokered, lists='unix = "unmediated"\n')

    assert answer == ("EACCES\n" if brokered else "made\n")


@BOTH
async def test_a_process_that_names_itself_by_its_number_is_taken_for_another(brokered: bool) -> None:
    script = "import os\nfor number in (0, os.getpid()):\n    try:\n"
    script += "        os.setpriority(os.PRIO_PROCESS, number, 5); print('set')\n"
    script += "    except PermissionError:\n        print('refused')"

    assert await said(script, brokered=brokered) == ("set\nrefused\n" if brokered else "set\nset\n")


@BOTH
async def test_a_domain_of_its_own_is_not_promised(brokered: bool) -> None:
    require("Landlock", landlock_abi() > 0)
    script = "import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    script += "print(libc.syscall(444, None, 0, 1) > 0 or errno.errorcode[ctypes.get_errno()])"

    assert await said(script, brokered=brokered) == ("ENOTSUP\n" if brokered else "True\n")
