"""fcntl(2): the command says whether there is an argument, and what it is."""

from __future__ import annotations

import struct

import pytest

from monitor import Arch
from monitor.notify.render import Look
from tests.notify.render.shown import NOWHERE, A, Line, shown

LOCK = struct.pack("<hhxxxxqqixxxx", 1, 0, 5, -7, 99)
LOCK_32 = struct.pack("<hhiii", 1, 0, 5, -7, 99)
LOCK64_32 = struct.pack("<hhqqi", 1, 0, 5, -7, 99)

LINES: list[Line] = [
    ("fcntl", (3, 0, 5), {}, "fcntl(3, F_DUPFD, 5)"),
    ("fcntl", (3, 0, -5), {}, "fcntl(3, F_DUPFD, -5)"),
    ("fcntl", (3, 1, 5), {}, "fcntl(3, F_GETFD)"),
    ("fcntl", (3, 2, 1), {}, "fcntl(3, F_SETFD, FD_CLOEXEC)"),
    ("fcntl", (3, 2, 5), {}, "fcntl(3, F_SETFD, FD_CLOEXEC|0x4)"),
    ("fcntl", (3, 2, 4), {}, "fcntl(3, F_SETFD, 0x4 /* FD_??? */)"),
    ("fcntl", (3, 2, 0), {}, "fcntl(3, F_SETFD, 0)"),
    ("fcntl", (3, 3, 5), {}, "fcntl(3, F_GETFL)"),
    ("fcntl", (3, 4, 0o2004001), {}, "fcntl(3, F_SETFL, O_WRONLY|O_NONBLOCK|O_CLOEXEC)"),
    ("fcntl", (3, 4, 3), {}, "fcntl(3, F_SETFL, O_ACCMODE)"),
    ("fcntl", (3, 5, A), {A: LOCK}, "fcntl(3, F_GETLK, 0x20000)"),
    ("fcntl", (3, 6, A), {A: LOCK}, "fcntl(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=-7})"),
    (
        "fcntl",
        (3, 7, A),
        {A: struct.pack("<hhxxxxqqixxxx", 2, 9, -1, 1 << 40, 0)},
        ("fcntl(3, F_SETLKW, {l_type=F_UNLCK, l_whence=0x9 /* SEEK_??? */, l_start=-1, l_len=1099511627776})"),
    ),
    (
        "fcntl",
        (3, 7, A),
        {A: struct.pack("<hhxxxxqqixxxx", -1, -1, 0, 0, 0)},
        ("fcntl(3, F_SETLKW, {l_type=0xffff /* F_??? */, l_whence=0xffff /* SEEK_??? */, l_start=0, l_len=0})"),
    ),
    ("fcntl", (3, 7, NOWHERE), {}, "fcntl(3, F_SETLKW, 0xdead0000)"),
    ("fcntl", (3, 7, 0), {}, "fcntl(3, F_SETLKW, NULL)"),
    ("fcntl", (3, 8, -5), {}, "fcntl(3, F_SETOWN, -5)"),
    ("fcntl", (3, 9, 5), {}, "fcntl(3, F_GETOWN)"),
    ("fcntl", (3, 10, 15), {}, "fcntl(3, F_SETSIG, SIGTERM)"),
    ("fcntl", (3, 10, 0), {}, "fcntl(3, F_SETSIG, 0)"),
    ("fcntl", (3, 11, 5), {}, "fcntl(3, F_GETSIG)"),
    ("fcntl", (3, 15, A), {A: struct.pack("<ii", 1, -5)}, "fcntl(3, F_SETOWN_EX, {type=F_OWNER_PID, pid=-5})"),
    ("fcntl", (3, 16, A), {A: bytes(8)}, "fcntl(3, F_GETOWN_EX, 0x20000)"),
    ("fcntl", (3, 17, A), {A: bytes(8)}, "fcntl(3, F_GETOWNER_UIDS, 0x20000)"),
    ("fcntl", (3, 36, A), {A: LOCK}, "fcntl(3, F_OFD_GETLK, 0x20000)"),
    ("fcntl", (3, 37, A), {A: LOCK}, "fcntl(3, F_OFD_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=-7})"),
    (
        "fcntl",
        (3, 38, A),
        {A: LOCK},
        "fcntl(3, F_OFD_SETLKW, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=-7})",
    ),
    ("fcntl", (3, 1024, 1), {}, "fcntl(3, F_SETLEASE, F_WRLCK)"),
    ("fcntl", (3, 1024, 5), {}, "fcntl(3, F_SETLEASE, 0x5 /* F_??? */)"),
    ("fcntl", (3, 1025, 5), {}, "fcntl(3, F_GETLEASE)"),
    ("fcntl", (3, 1026, 0x80000003), {}, "fcntl(3, F_NOTIFY, DN_ACCESS|DN_MODIFY|DN_MULTISHOT)"),
    ("fcntl", (3, 1029, 4), {}, "fcntl(3, F_CANCELLK, 0x4)"),
    ("fcntl", (3, 1030, 5), {}, "fcntl(3, F_DUPFD_CLOEXEC, 5)"),
    ("fcntl", (3, 1031, 4096), {}, "fcntl(3, F_SETPIPE_SZ, 4096)"),
    ("fcntl", (3, 1032, 5), {}, "fcntl(3, F_GETPIPE_SZ)"),
    (
        "fcntl",
        (3, 1033, 0x1F),
        {},
        "fcntl(3, F_ADD_SEALS, F_SEAL_SEAL|F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_WRITE|F_SEAL_FUTURE_WRITE)",
    ),
    ("fcntl", (3, 1034, 5), {}, "fcntl(3, F_GET_SEALS)"),
    ("fcntl", (3, 99, 7), {}, "fcntl(3, 0x63 /* F_??? */, 0x7)"),
    ("fcntl", (3, -1, 0), {}, "fcntl(3, 0xffffffff /* F_??? */, 0)"),
]

LINES_32: list[Line] = [
    ("fcntl", (3, 6, A), {A: LOCK_32}, "fcntl(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=-7})"),
    ("fcntl", (3, 13, A), {A: LOCK_32}, "fcntl(3, F_SETLK64, 0x20000)"),
    (
        "fcntl",
        (3, 37, A),
        {A: LOCK64_32},
        "fcntl(3, F_OFD_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=-7})",
    ),
    (
        "fcntl64",
        (3, 6, A),
        {A: LOCK_32},
        "fcntl64(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=-7})",
    ),
    ("fcntl64", (3, 12, A), {A: LOCK64_32}, "fcntl64(3, F_GETLK64, 0x20000)"),
    (
        "fcntl64",
        (3, 13, A),
        {A: LOCK64_32},
        "fcntl64(3, F_SETLK64, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=-7})",
    ),
    (
        "fcntl64",
        (3, 14, A),
        {A: LOCK64_32},
        "fcntl64(3, F_SETLKW64, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=-7})",
    ),
    (
        "fcntl64",
        (3, 38, A),
        {A: LOCK64_32},
        "fcntl64(3, F_OFD_SETLKW, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=-7})",
    ),
    ("fcntl64", (3, 8, -5), {}, "fcntl64(3, F_SETOWN, -5)"),
    ("fcntl64", (3, 99, 7), {}, "fcntl64(3, 0x63 /* F_??? */, 0x7)"),
]


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES)
def test_a_command_is_shown_with_its_argument(name, registers, memory, line) -> None:
    assert shown(name, registers, memory) == line


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES_32)
def test_a_32_bit_program_has_two_kinds_of_locks(name, registers, memory, line) -> None:
    assert shown(name, registers, memory, Arch.I386) == line


@pytest.mark.parametrize(("command", "hint"), [(1036, "[RWH_WRITE_LIFE_SHORT]"), (1038, "[RWH_WRITE_LIFE_SHORT]")])
def test_a_hint_of_how_long_data_live_is_a_number_of_64_bits(command: int, hint: str) -> None:
    """These commands are not known to strace 6.1."""
    assert shown("fcntl", (3, command, A), {A: struct.pack("<Q", 2)}).endswith(f"HINT, {hint})")


def test_a_lock_is_in_the_order_of_the_machine() -> None:
    memory = {A: struct.pack(">hhxxxxqqixxxx", 1, 2, 5, -7, 99)}

    assert shown("fcntl", (3, 6, A), memory, Arch.S390X) == (
        "fcntl(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_END, l_start=5, l_len=-7})"
    )


def test_an_fd_to_compare_with_is_shown_with_what_it_is_open_on() -> None:
    look = Look(fd_paths=True)

    assert shown("fcntl", (3, 1027, 5), look=look, links={"fd/5": b"/x"}) == "fcntl(3, F_DUPFD_QUERY, 5</x>)"
