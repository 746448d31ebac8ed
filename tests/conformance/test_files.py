"""
A call that is done for its target is the kernel's own, to every bit that a program can see.

The same random calls are made natively and brokered, in two equal trees; results, errnos, buffers, the
state of new fds, and the trees afterwards are compared.  What may differ has a reason below.  A failure
is made as short as it can be, and then printed as it would stand among the cases.

    MONITOR_FILE_CALLS=1000000 MONITOR_FILE_SEED=7 python -m pytest tests/conformance/test_files.py
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve, frozen

from tests.conformance.files_calls import (
    ACCESS_MODES,
    AT_FLAGS,
    BEFORE,
    BROKERED,
    OPEN_FLAGS,
    RESOLVE_FLAGS,
    drawn,
    flags_in,
)
from tests.conformance.files_changes import CHANGES
from tests.conformance.files_changes import FLAGS as CHANGE_FLAGS
from tests.conformance.files_paths import AT_FDCWD
from tests.conformance.files_runs import AS_ITS_SUPERVISOR, STANDINGS, Difference, Place, Ran, Standing, differences
from tests.conformance.files_script import HIDDEN, KERNEL, READ_ONLY, UNMAPPED, Call, Room, Struct, Text
from tests.conformance.files_tree import NOW, USER
from tests.conftest import require

CALLS: Final = int(os.environ.get("MONITOR_FILE_CALLS", "50000" if os.environ.get("CI") else "5000"))
SEED: Final = int(os.environ.get("MONITOR_FILE_SEED", "1"))

OTHER_CALLS: Final = max(CALLS // 40, 300)
"""Calls of each program that has other rights than its supervisor, or another view."""

BATCH: Final = 6000
"""Calls in one run: a failure costs less than that of all, a run of it more than nothing."""

WHOLE: Final = 50_000
FLAG_AT_LEAST: Final = 50
ERRNO_AT_LEAST: Final = 20
SUCCESS_AT_LEAST: Final = 0.4
"""Of so many calls; of fewer, fewer are asked for."""

ERRNOS: Final = (
    "E2BIG", "EACCES", "EAGAIN", "EBADF", "EEXIST", "EFAULT", "EINVAL", "EISDIR", "ELOOP", "EMFILE", "ENAMETOOLONG",
    "ENODATA", "ENOENT", "ENOTDIR", "ENXIO", "EOPNOTSUPP", "EPERM", "ERANGE", "EROFS", "ETXTBSY", "EXDEV",
)  # fmt: skip
"""
What the manual pages of these calls have, but for what no single program brings about: EBUSY, EDQUOT,
EFBIG, EINTR, EIO, ENFILE, ENODEV, ENOMEM, ENOSPC, EOVERFLOW, EWOULDBLOCK.
"""


@frozen
class Known:
    """A difference that stays: why, and which differences are of this kind."""

    why: str
    explains: Callable[[Difference], bool]
    under_policies_only: bool = False

    def holds(self, difference: Difference, place: Place) -> bool:
        """Whether *difference*, in *place*, is of this kind."""
        return (place.way != "handler" or not self.under_policies_only) and self.explains(difference)


def _is_cached_only(difference: Difference) -> bool:
    call = difference.call
    how = call.args[2] if call is not None and call.name == "openat2" else None
    if not isinstance(how, Struct) or len(how.data) < 24 or not how.data[16] & RESOLVE_FLAGS["RESOLVE_CACHED"]:
        return False
    return -errno.EAGAIN in {getattr(difference.native, "value", 0), getattr(difference.brokered, "value", 0)}


def _is_time_of_link(difference: Difference) -> bool:
    """Whether a link was read that the kernel did not read, and nothing else differs of it."""
    if difference.call is not None:
        return False
    one, other = (entry[1] for entry in (difference.native, difference.brokered) if isinstance(entry, tuple))
    if one is None or other is None:
        return False
    return (*one[:-2], NOW, one[-1]) == other and stat.S_ISLNK(int(str(one[0]), 8))


def _holds_by_memory(difference: Difference) -> bool:
    call = difference.call
    how = call.args[2] if call is not None and call.name == "openat2" else None
    if not isinstance(how, Struct) or len(how.data) < 8 or not int.from_bytes(how.data[:8], "little") & os.O_PATH:
        return False
    return getattr(difference.brokered, "value", 0) == -errno.ENOSYS


def _has_no_name(difference: Difference) -> bool:
    texts = [] if difference.call is None else [one.text for one in difference.call.args if isinstance(one, Text)]
    led_there = any(b"/ns/mnt" in text for text in texts)
    return led_there and getattr(difference.brokered, "value", 0) == -errno.EACCES


def _leads_nowhere_within(difference: Difference) -> bool:
    call = difference.call
    how = call.args[2] if call is not None and call.name == "openat2" else None
    if not isinstance(how, Struct) or len(how.data) < 24 or not any(how.data[16:24]):
        return False
    return getattr(difference.native, "value", 0) < 0 and getattr(difference.brokered, "value", 0) == -errno.EACCES


def _is_in_own_table(difference: Difference) -> bool:
    """Whether a change in a directory of links to one's own fds is refused otherwise than the kernel refuses it."""
    if difference.call is None or getattr(difference.brokered, "value", 0) != -errno.EACCES:
        return False
    texts = [one.text for one in difference.call.args if isinstance(one, Text)]
    led_there = any(name in text for text in texts for name in (b"self", b"/fd", b"map_files", b"to-fd"))
    if not led_there or difference.call.name not in CHANGES:
        return False
    return -getattr(difference.native, "value", 0) in {errno.EPERM, errno.ENOTDIR, errno.EOPNOTSUPP}


KNOWN: Final[tuple[Known, ...]] = (
    Known(
        why="an O_PATH descriptor is for the kernel to make, and the flags of openat2 stand in memory: ENOSYS",
        explains=_holds_by_memory,
    ),
    Known(
        why="memory is read through PROT_NONE, where the kernel says EFAULT: a target that can undo it gains nothing",
        explains=lambda difference: difference.call is not None and HIDDEN in difference.call.args,
    ),
    Known(
        why="what a call cannot mean, or has no room for, the kernel says before it follows a link; policies ask first",
        explains=_is_time_of_link,
    ),
    Known(
        why="a policy refuses what has no name that can be believed, such as a namespace: EACCES",
        explains=_has_no_name,
        under_policies_only=True,
    ),
    Known(
        why="likewise what a path that is confined would be, where it leads nowhere: which way it went is not known",
        explains=_leads_nowhere_within,
        under_policies_only=True,
    ),
    Known(
        why="in /proc/self/fd a process may do what it likes, and can do nothing; others may not: EACCES, not EPERM",
        explains=_is_in_own_table,
    ),
    Known(
        why="RESOLVE_CACHED asks what is in the kernel's cache, where our own look-ups put it",
        explains=_is_cached_only,
    ),
)


@frozen
class Case:
    """Calls that once differed, and in what place."""

    calls: Sequence[Call]
    user: int = 0
    standing: str = ""
    """One of ``STANDINGS``, or none."""


def _limit(fds: int) -> Call:
    return Call("prlimit64", (0, 7, Struct(struct.pack("=QQ", fds, 1024)), 0))


def _openat2(path: bytes, flags: int, resolve: int, directory: int = AT_FDCWD) -> Call:
    mode = 0o644 if flags & os.O_CREAT else 0
    return Call("openat2", (directory, Text(path), Struct(struct.pack("=QQQ", flags, mode, resolve)), 24))


def _open(path: bytes, flags: int) -> Call:
    return Call("open", (Text(path), flags, 0o666))


_BENEATH, _NO_XDEV, _IN_ROOT, _NO_MAGICLINKS, _CACHED = 8, 1, 16, 2, 32
_OMIT: Final = 0x3FFFFFFE
_O_TMPFILE: Final = OPEN_FLAGS["__O_TMPFILE"]

CASES: Final[Mapping[str, Case]] = {
    "without room nothing is looked for": Case([_limit(4), _open(b"nothing", 0), _open(b"plain/", 0), _open(b"", 0)]),
    "without room nothing is emptied": Case(
        [_limit(4), _open(b"plain", os.O_WRONLY | os.O_TRUNC), _open(b"hard", os.O_RDWR | os.O_TRUNC | os.O_CREAT)]
    ),
    "fds above a lowered limit take no room": Case([_limit(8), _open(b"made", os.O_CREAT), _open(b"plain", 0)]),
    "a directory that is a FIFO, without room": Case([_limit(4), Call("openat", (3, Text(b"plain"), 0))]),
    "an empty path below no directory": Case([Call("openat", (99, Text(b""), 0)), Call("openat", (-1, Text(b""), 0))]),
    "an absolute path beneath no directory": Case([_openat2(b"/dev/null", 0, _BENEATH, 99)]),
    "no fd is left of a file that only grows": Case(
        [_open(b"grows", os.O_WRONLY | os.O_APPEND | os.O_TRUNC), _open(b"grows", os.O_TRUNC), _open(b"plain", 0)]
    ),
    "no fd is left of a file that runs": Case([_open(b"/proc/self/exe", os.O_TRUNC), _open(b"plain", 0)]),
    "no fd is left of a file that may only be read": Case(
        [_open(b"readable", os.O_TRUNC), _open(b"plain", os.O_TRUNC), _open(b"empty", 0)], USER
    ),
    "directories are not emptied": Case([_open(b"sub", os.O_TRUNC), _open(b"to-self", os.O_TRUNC)]),
    "access mode 3 empties": Case([_open(b"plain", 3 | os.O_TRUNC)]),
    "slashes behind the name of a file that is to be made": Case(
        [_open(path, os.O_CREAT | os.O_WRONLY) for path in (b"plain/", b"to-plain-slash", b"no/where/", b"to-nowhere/",
                                                            b"plain/x/", b"sub/", b"to-itself/", b"/proc/self/comm/")]
        + [_open(b"sub/", os.O_CREAT | os.O_EXCL), _open(b"sub", os.O_CREAT | os.O_EXCL)]
    ),
    "slashes in a directory that may not be searched": Case([_open(b"listed/inside/", os.O_CREAT)], USER),
    "magic links that are not wanted": Case([_openat2(b"/proc/self/fd/3/../made", os.O_CREAT, _NO_MAGICLINKS)]),
    "contradictions come before the cache": Case([_openat2(b"made", os.O_CREAT | _O_TMPFILE | 1, _CACHED)]),
    "a link that leads nowhere yet, within confines": Case(
        [_openat2(b"to-to-nothing", os.O_CREAT | os.O_RDWR, resolve) for resolve in (_NO_XDEV, _BENEATH, _IN_ROOT)]
        + [_openat2(b"to-plain-slash", os.O_CREAT | os.O_RDWR, _BENEATH), _openat2(b"to-nowhere", os.O_CREAT, _BENEATH)]
    ),
    "links of others in a sticky directory": Case([_open(b"sticky/link", os.O_CREAT | os.O_NOFOLLOW)], USER),
    "flags that there are not, beside an fd": Case(
        [Call("newfstatat", (3, Text(b""), Room(144), 0x1200)), Call("statx", (3, Text(b""), 0x1200, 0x7FF, Room(256))),
         Call("newfstatat", (3, Text(b"plain"), Room(144), 0x1200)),
         Call("statx", (-100, Text(b""), 0x1200, 0, Room(256)))]
    ),
    "a link in the place of the last component": Case(
        [Call("lstat", (Text(b"to-plain"), Room(144))), Call("newfstatat", (-100, Text(b"to-sub"), Room(144), 0x100)),
         Call("stat", (Text(b"to-plain"), Room(144))), Call("lstat", (Text(b"to-sub/"), Room(144))),
         _open(b"to-plain", OPEN_FLAGS["O_NOFOLLOW"]), Call("readlink", (Text(b"to-plain"), Room(64), 64))]
    ),
    "a file is made with the umask of the program": Case(
        [Call("umask", (0o77,)), Call("open", (Text(b"made"), os.O_CREAT, 0o666)), Call("umask", (0,)),
         Call("creat", (Text(b"made-2"), 0o7777))]
    ),
    "an fd is closed on exec where that is asked for": Case(
        [_open(b"plain", os.O_CLOEXEC), _open(b"plain", 0), _open(b"made", os.O_CREAT | os.O_CLOEXEC),
         _open(b"made-2", os.O_CREAT), Call("openat", (-100, Text(b"sub"), os.O_DIRECTORY | os.O_CLOEXEC))]
    ),
    "what may not be written to is not": Case(
        [Call("stat", (Text(b"plain"), READ_ONLY)), Call("stat", (Text(b"plain"), UNMAPPED)),
         Call("newfstatat", (-100, Text(b"plain"), KERNEL, 0)), Call("statfs", (Text(b"plain"), READ_ONLY))]
    ),
    "links of /proc lead where those of the program do": Case(
        [_open(path, 0) for path in (b"/proc/self/cwd/plain", b"/proc/self/fd/4/one", b"/dev/fd/5", b"to-self/cwd/sub")]
        + [Call("stat", (Text(b"/proc/thread-self/cwd/plain"), Room(144)))]
    ),
    "above a directory that was removed": Case(
        [Call("openat", (AT_FDCWD, Text(b"rmdir"), os.O_RDONLY | os.O_DIRECTORY)), Call("rmdir", (Text(b"rmdir"),)),
         *(Call("newfstatat", (4, Text(path), Room(144), 0)) for path in (b"..", b".", b"../plain", b"./..", b"x/.."))]
    ),
    "an absolute path that leads nowhere within confines": Case(
        [_openat2(path, os.O_CREAT | os.O_WRONLY, _IN_ROOT) for path in (b"/no/where", b"/plain/x", b"/nothing")]
    ),
    "no path beside an fd": Case(
        [Call("newfstatat", (3, 0, Room(144), 0x1000)), Call("statx", (99, 0, 0x1000, 0x7FF, Room(256)))]
    ),
    "slashes behind names that are taken away": Case(
        [Call("unlink", (Text(b"plain/"),)), Call("unlink", (Text(b"to-plain/"),)), Call("rmdir", (Text(b"to-sub/"),)),
         Call("rmdir", (Text(b"rmdir//"),)), Call("mkdir", (Text(b"made/"), 0o755)), Call("unlink", (Text(b"made/"),)),
         Call("mknod", (Text(b"new/"), 0o644, 0)), Call("rename", (Text(b"plain/"), Text(b"made-2"))),
         Call("rename", (Text(b"made/"), Text(b"made-2/"))), Call("symlink", (Text(b"x"), Text(b"new/"))),
         Call("link", (Text(b"empty"), Text(b"new/")))]
    ),
    "names that are none": Case(
        [Call(name, (Text(path), *more)) for name, more in
         (("mkdir", (0o755,)), ("unlink", ()), ("rmdir", ()), ("mknod", (0o644, 0)), ("rename", (Text(b"new"),)))
         for path in (b".", b"..", b"/", b"sub/.", b"sub/..", b"", b"//", b"nothing/.")]
        + [Call("rename", (Text(b"plain"), Text(path))) for path in (b".", b"..", b"/", b"sub/..", b"")]
        + [Call("link", (Text(b"plain"), Text(path))) for path in (b".", b"..", b"/", b"")]
    ),
    "times that are left as they are": Case(
        [Call("utimensat", (AT_FDCWD, Text(b"no/where"), Struct(struct.pack("=qqqq", 1, _OMIT, 1, _OMIT)), 0)),
         Call("utimensat", (AT_FDCWD, Text(b"plain"), Struct(struct.pack("=qqqq", 1, _OMIT, 7, 8)), 0)),
         Call("utimensat", (5, 0, 0, 0)), Call("utimensat", (6, 0, 0, 0)), Call("utimensat", (AT_FDCWD, 0, 0, 0)),
         Call("stat", (Text(b"plain"), Room(144)))]
    ),
    "a watch of a link itself": Case(
        [Call("inotify_add_watch", (107, Text(path), mask)) for path in (b"to-plain", b"to-nothing", b"sub", b"plain")
         for mask in (0x02000000, 0x02000002, 0x03000002, 0xFFF, 0)]
    ),
    "attributes of no place": Case(
        [Call("removexattrat", (AT_FDCWD, Text(b""), 0x1000, Text(b"user.one"))),
         Call("listxattrat", (AT_FDCWD, Text(b""), 0x1000, Room(100), 100)),
         Call("listxattrat", (4, Text(b""), 0x1000, Room(100), 100)),
         Call("listxattrat", (6, Text(b""), 0x1000, Room(100), 100))]
    ),
    "a link that is in a refused call is not read": Case([
        Call("newfstatat", (8, Text(b"to-plain"), Room(144), 0x7200)),
    ]),
    "one's own fds": Case([Call("access", (Text(b"/proc/self/fd/"), 2)), Call("access", (Text(b"/dev/fd"), 7)),
                           Call("access", (Text(b"/proc/self/map_files"), 7)), Call("access", (Text(b"/proc/self"), 2)),
                           _open(b"/proc/self/fd", _O_TMPFILE | os.O_DIRECTORY | 1)], USER),
    "a socket that was given away, made anew": Case([
        Call("fchownat", (102, Text(b""), 99, 1, 0x1000)), Call("creat", (Text(b"/proc/self/fd/102"), 0o644)),
        _open(b"/proc/self/fd/102", os.O_RDWR), _open(b"/dev/fd/102", os.O_CREAT | os.O_WRONLY),
    ]),
    "a file of somebody else in a sticky directory, by its fd": Case([
        _open(b"sticky/other", os.O_RDWR), _open(b"sticky/other", os.O_CREAT | os.O_WRONLY),
        _open(b"/proc/self/fd/4", os.O_CREAT | os.O_WRONLY), _open(b"/dev/fd/4", os.O_CREAT | os.O_TRUNC | os.O_RDWR),
        _open(b"/proc/self/cwd/sticky/other", os.O_CREAT | os.O_WRONLY),
    ]),
    "beneath one's own fds, with other real ids": Case(
        [Call("chdir", (Text(b"/proc/self/fd/"),)), Call("access", (Text(b"sub/up"), 0)),
         Call("access", (Text(b"3"), 0)), Call("access", (Text(b"99"), 0)), Call("access", (Text(b"."), 7)),
         Call("faccessat", (-100, Text(b"../fd/3"), 4))], 0, "real ids"
    ),
    "the root itself, of a program with another": Case(
        [Call("rename", (Text(b"/"), Text(b"%"))), Call("rename", (Text(b"%"), Text(b"/"))),
         Call("renameat2", (-100, Text(b"to-root/../deep"), -100, Text(b"//"), 2)),
         Call("renameat2", (-100, Text(b"/"), 4, Text(b"%/"), 4)), Call("rename", (Text(b"/"), Text(b"/"))),
         Call("rename", (Text(b"/"), Text(b"/proc/x"))), Call("link", (Text(b"/"), Text(b"%"))),
         Call("rename", (Text(b"plain"), Text(b"/.")))], 0, "another root"
    ),
    "a name of one's own threads, asked about with other real ids": Case(
        [Call(name, (*first, Text(path), mode, *flags)) for path in (b"/proc/thread-self/comm", b"/proc/self/comm",
                                                                     b"/proc/self/task/../comm")
         for mode in (0, 1, 2, 4, 6, 7)
         for name, first, flags in (("access", (), ()), ("faccessat", (8,), ()), ("faccessat2", (8,), (0,)),
                                    ("faccessat2", (8,), (0x200,)))], 0, "real ids"
    ),
}  # fmt: skip
"""What once differed; each begins with a FIFO at 3."""


@pytest.fixture(scope="module")
def program(public_directory: Path) -> Path:
    """The compiled files_target.c."""
    require("root", os.geteuid() == 0)
    require("unshare", shutil.which("unshare") is not None and shutil.which("setpriv") is not None)
    made = public_directory / "files_target"
    source = Path(__file__).parent / "files_target.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(made), str(source)], check=True)
    made.chmod(0o777)  # whoever runs it may write to it, and is told that it runs
    return made


@pytest.fixture(scope="module")
def places(program: Path, public_directory: Path) -> Iterator[Callable[[int, str], Place]]:
    """Return a function that makes a place for a user; in memory, or *on* a disk."""
    memory = Path("/dev/shm", public_directory.name)
    require("/dev/shm", memory.parent.is_dir())
    memory.mkdir(mode=0o755)
    memory.chmod(0o755)
    count = iter(range(1_000_000))

    def make(user: int, on: str = "memory", way: str = "handler", standing: Standing = AS_ITS_SUPERVISOR) -> Place:
        above = memory if on == "memory" else public_directory
        return Place(above / f"files-{next(count)}", program, user, reuses=on != "memory", way=way, standing=standing)

    yield make
    shutil.rmtree(memory)


class Compared:
    """What came of all random calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.succeeded: Counter[str] = Counter()
        self.errnos: Counter[str] = Counter()
        self.flags: Counter[tuple[str, str]] = Counter()
        self.unexplained: list[str] = []

    def add(self, sequences: Sequence[Sequence[Call]], ran: Ran) -> None:
        """Count what *ran* came to."""
        for calls, answers in zip(sequences, ran.answers, strict=True):
            for call, answer in list(zip(calls, answers, strict=True))[len(BEFORE) :]:
                if call.name in BROKERED:
                    self.calls[call.name] += 1
                    self.succeeded[call.name] += answer.value >= 0
                    self.flags.update((call.name, flag) for flag in flags_in(call))
                    if answer.value < 0:
                        self.errnos[errno.errorcode[-answer.value].replace("ENOTSUP", "EOPNOTSUPP")] += 1


def _compare(place: Place, number: int, calls: int, into: Compared) -> None:
    sequences = [[*BEFORE, *calls] for calls in drawn(calls, number)]
    ran, found = place.compare(sequences)
    into.add(sequences, ran)
    for difference in found:
        if not any(known.holds(difference, place) for known in KNOWN) and len(into.unexplained) < 10:
            shortest = place.minimised(sequences[difference.sequence], kept=3)
            shown = "".join(f"        {call!r},\n" for call in shortest[3:])
            into.unexplained.append(f"{difference}\n    Case([\n{shown}    ], {place.user}),")


@pytest.fixture(scope="module")
def compared(places: Callable[..., Place]) -> Compared:
    """Every random call, made both ways: half of them by root, two thirds under policies that allow all."""
    found = Compared()
    batches = -(-CALLS // BATCH)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        jobs = []
        for index in range(max(batches, 2)):
            way = ("handler", "policy", "hiding")[index // 2 % 3]
            place = places((0, USER)[index % 2], "disk" if index % 8 in {2, 5} else "memory", way)
            jobs.append(pool.submit(_compare, place, SEED * 1000 + index, min(CALLS // 2, BATCH), found))
        for job in jobs:
            job.result()
    return found


@pytest.mark.root
@pytest.mark.seconds(300 + CALLS // 100)
def test_random_calls_have_the_same_results(compared: Compared) -> None:
    assert not compared.unexplained, "\n\n".join(compared.unexplained)


@pytest.mark.root
@pytest.mark.seconds(300 + CALLS // 100)
def test_the_random_calls_are_not_dull(compared: Compared) -> None:
    """Many get somewhere, every call has every flag of its, and whatever can go wrong does."""
    share = min(CALLS / WHOLE, 1)
    wanted = {
        **dict.fromkeys(("open", "openat"), OPEN_FLAGS),
        "openat2": {**OPEN_FLAGS, **RESOLVE_FLAGS},
        **dict.fromkeys(("newfstatat", "statx", "faccessat2"), AT_FLAGS),
        **dict.fromkeys(("access", "faccessat"), ACCESS_MODES),
        **{name: table for name, (_, table) in CHANGE_FLAGS.items()},
    }

    rare_flags = {
        (call, flag): compared.flags[call, flag]
        for call, flags in wanted.items()
        for flag in flags
        if compared.flags[call, flag] < FLAG_AT_LEAST * share
    }
    rare_calls = {name: compared.calls[name] for name in BROKERED if compared.calls[name] < FLAG_AT_LEAST * share}
    rare_errnos = {name: compared.errnos[name] for name in ERRNOS if compared.errnos[name] < ERRNO_AT_LEAST * share}

    assert (rare_calls, rare_flags, rare_errnos) == ({}, {}, {})
    assert compared.calls.total() >= CALLS * 0.8
    assert compared.succeeded.total() >= SUCCESS_AT_LEAST * compared.calls.total()


@pytest.mark.root
@pytest.mark.seconds(120 + OTHER_CALLS // 20)
@pytest.mark.parametrize("way", ["handler", "policy"])
@pytest.mark.parametrize("standing", STANDINGS)
def test_calls_of_who_stands_otherwise_have_the_same_results(
    places: Callable[..., Place], standing: str, way: str
) -> None:
    """The supervisor is root; the program has other rights, or another view, and comes to them under its eyes."""
    found = Compared()
    number = SEED * 1000 + 500 + 2 * list(STANDINGS).index(standing) + (way == "policy")

    _compare(places(0, way=way, standing=STANDINGS[standing]), number, OTHER_CALLS, found)

    assert not found.unexplained, "\n\n".join(found.unexplained)
    assert found.calls.total() >= OTHER_CALLS * 0.8
    assert found.succeeded.total() >= found.calls.total() // 4


@pytest.mark.root
@pytest.mark.seconds(120)
@pytest.mark.parametrize("way", ["handler", "policy", "hiding"])
def test_cases_have_the_same_results(places: Callable[..., Place], way: str) -> None:
    for user, standing in dict.fromkeys((case.user, case.standing) for case in CASES.values()):
        names = [name for name, case in CASES.items() if (case.user, case.standing) == (user, standing)]

        place = places(user, way=way, standing=STANDINGS.get(standing, AS_ITS_SUPERVISOR))
        _, found = place.compare([[*BEFORE[:3], *CASES[name].calls] for name in names])

        found = [one for one in found if not any(known.holds(one, place) for known in KNOWN)]
        assert not found, "\n".join(f"{names[one.sequence]}: {one}" for one in found)


@pytest.mark.root
def test_the_comparison_sees_a_difference(places: Callable[..., Place]) -> None:
    """One number more, one link less; but not the number of a process, which no two runs share."""
    sequences = [[*BEFORE, Call("readlink", (Text(b"/proc/self"), Room(20), 20))]]
    native, found = places(0).compare(sequences)
    last = native.answers[0][-1]
    other_value = native._replace(answers=[[*native.answers[0][:-1], evolve(last, value=last.value + 1)]])
    other_tree = native._replace(trees=[{name: native.trees[0][name] for name in list(native.trees[0])[1:]}])

    seen = [len(differences(sequences, native, other)) for other in (other_value, other_tree)]

    assert last.written[0] == b"PID"
    assert (found, seen) == ([], [1, 1])
