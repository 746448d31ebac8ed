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
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from attrs import field, frozen

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
from tests.conformance.files_runs import Difference, Place, Ran
from tests.conformance.files_script import Call, Room, Struct, Text
from tests.conformance.files_tree import USER
from tests.conftest import require

CALLS: Final = int(os.environ.get("MONITOR_FILE_CALLS", "50000" if os.environ.get("CI") else "5000"))
SEED: Final = int(os.environ.get("MONITOR_FILE_SEED", "1"))

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


def _is_cached_only(difference: Difference) -> bool:
    call = difference.call
    how = call.args[2] if call is not None and call.name == "openat2" else None
    if not isinstance(how, Struct) or len(how.data) < 24 or not how.data[16] & RESOLVE_FLAGS["RESOLVE_CACHED"]:
        return False
    return -errno.EAGAIN in {getattr(difference.native, "value", 0), getattr(difference.brokered, "value", 0)}


def _is_time_of_link(difference: Difference) -> bool:
    """Whether only the first of the two times differs, of a link, where some open found no room for an fd."""
    if difference.call is not None or not difference.full:
        return False
    one, other = (entry[1] for entry in (difference.native, difference.brokered) if isinstance(entry, tuple))
    if one is None or other is None:
        return False
    return one[:-1] == other[:-1] and one[-1][1] == other[-1][1] and stat.S_ISLNK(int(str(one[0]), 8))


KNOWN: Final[tuple[Known, ...]] = (
    Known(
        why="without room for an fd the kernel looks for nothing; we do, and a link that is followed was read",
        explains=_is_time_of_link,
    ),
    Known(
        why="RESOLVE_CACHED asks what is in the kernel's cache, where our own look-ups put it",
        explains=_is_cached_only,
    ),
)


@frozen
class Case:
    """Calls that once differed, and in what place."""

    calls: Sequence[Call] = field(converter=tuple)
    user: int = 0


CASES: Final[Mapping[str, Case]] = {}


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

    def make(user: int, on: str = "memory") -> Place:
        return Place((memory if on == "memory" else public_directory) / f"files-{next(count)}", program, user)

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
    ran, differences = place.compare(sequences)
    into.add(sequences, ran)
    for difference in differences:
        if not any(known.explains(difference) for known in KNOWN) and len(into.unexplained) < 10:
            shortest = place.minimised(sequences[difference.sequence], kept=3)
            shown = "".join(f"        {call!r},\n" for call in shortest[3:])
            into.unexplained.append(f"{difference}\n    Case(\n        *BEFORE[:3],\n{shown}    )")


@pytest.fixture(scope="module")
def compared(places: Callable[..., Place]) -> Compared:
    """Every random call, made both ways: half of them by root, half by an ordinary user."""
    found = Compared()
    batches = -(-CALLS // BATCH)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        jobs = []
        for index in range(max(batches, 2)):
            place = places((0, USER)[index % 2], "disk" if index % 8 in {2, 5} else "memory")
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
    """Most calls get somewhere, every flag is used with every call that has it, and nothing that can go wrong does not."""
    share = min(CALLS / WHOLE, 1)
    wanted = {
        **dict.fromkeys(("open", "openat"), OPEN_FLAGS),
        "openat2": {**OPEN_FLAGS, **RESOLVE_FLAGS},
        **dict.fromkeys(("newfstatat", "statx", "faccessat2"), AT_FLAGS),
        **dict.fromkeys(("access", "faccessat"), ACCESS_MODES),
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
@pytest.mark.seconds(120)
def test_cases_have_the_same_results(places: Callable[..., Place]) -> None:
    for user in (0, USER):
        named = [(name, case.calls) for name, case in CASES.items() if case.user == user]

        _, differences = places(user).compare([calls for _, calls in named])

        assert not differences, "\n".join(f"{named[one.sequence][0]}: {one}" for one in differences)


@pytest.mark.root
def test_the_comparison_sees_a_difference(places: Callable[..., Place]) -> None:
    """A process whose name differs in the two runs, were it not for the numbers that are left out, is seen."""
    native, differences = places(0).compare([[*BEFORE, Call("readlink", (Text(b"/proc/self"), Room(20), 20))]])

    assert native.answers[0][-1].written[0] == b"PID"
    assert differences == []
