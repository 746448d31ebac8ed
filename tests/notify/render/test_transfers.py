"""Reading and writing at a place, moving data, and descriptors made from nothing."""

from __future__ import annotations

import struct

import pytest

from monitor import Arch
from tests.notify.render.shown import NOWHERE, A, B, Line, shown

VECTOR = {A: struct.pack("<QQ", B, 5), B: b"hello"}
VECTOR_32 = {A: struct.pack("<II", B, 5), B: b"hello"}


def place(*values: int) -> dict[int, bytes]:
    return {A + 0x10000 * number: struct.pack("<q", value) for number, value in enumerate(values)}


LINES: list[Line] = [
    ("readv", (3, A, 1), VECTOR, "readv(3, [{iov_base=0x30000, iov_len=5}], 1)"),
    ("readv", (3, NOWHERE, 1), {}, "readv(3, 0xdead0000, 1)"),
    ("writev", (3, A, 1), VECTOR, 'writev(3, [{iov_base="hello", iov_len=5}], 1)'),
    ("writev", (3, A, 0), {}, "writev(3, [], 0)"),
    ("writev", (3, A, -1), {}, "writev(3, 0x20000, 18446744073709551615)"),
    (
        "writev",
        (3, A, 40),
        {A: struct.pack("<QQ", B, 1) * 40, B: b"x"},
        (
            'writev(3, [{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, '
            '{iov_base="x", iov_len=1}, {iov_base="x", iov_len=1}, ...], 40)'
        ),
    ),
    (
        "writev",
        (3, A, 2),
        {A: struct.pack("<QQQQ", NOWHERE, 3, 0, 0)},
        "writev(3, [{iov_base=0xdead0000, iov_len=3}, {iov_base=NULL, iov_len=0}], 2)",
    ),
    ("preadv", (3, A, 1, 5, 9), VECTOR, "preadv(3, [{iov_base=0x30000, iov_len=5}], 1, 5)"),
    ("pwritev", (3, A, 1, -1), VECTOR, 'pwritev(3, [{iov_base="hello", iov_len=5}], 1, -1)'),
    ("preadv2", (3, A, 1, -1, -1, 0), VECTOR, "preadv2(3, [{iov_base=0x30000, iov_len=5}], 1, -1, 0)"),
    (
        "pwritev2",
        (3, A, 1, 5, 0, 0x1F),
        VECTOR,
        ('pwritev2(3, [{iov_base="hello", iov_len=5}], 1, 5, RWF_HIPRI|RWF_DSYNC|RWF_SYNC|RWF_NOWAIT|RWF_APPEND)'),
    ),
    ("vmsplice", (3, A, 1, 8), VECTOR, 'vmsplice(3, [{iov_base="hello", iov_len=5}], 1, SPLICE_F_GIFT)'),
    ("copy_file_range", (3, A, 4, B, 5, 0), place(-1, 7), "copy_file_range(3, [-1], 4, [7], 5, 0)"),
    ("copy_file_range", (3, 0, 4, NOWHERE, 5, 0), {}, "copy_file_range(3, NULL, 4, 0xdead0000, 5, 0)"),
    ("splice", (3, A, 4, B, 5, 3), place(1, 7), "splice(3, [1], 4, [7], 5, SPLICE_F_MOVE|SPLICE_F_NONBLOCK)"),
    ("sendfile", (3, 4, A, 5), place(-1), "sendfile(3, 4, [18446744073709551615], 5)"),
    ("sendfile", (3, 4, 0, 5), {}, "sendfile(3, 4, NULL, 5)"),
    ("tee", (3, 4, 5, 0xF), {}, "tee(3, 4, 5, SPLICE_F_MOVE|SPLICE_F_NONBLOCK|SPLICE_F_MORE|SPLICE_F_GIFT)"),
    ("lseek", (3, -1, 4), {}, "lseek(3, -1, SEEK_HOLE)"),
    ("pread64", (3, A, 5, -1), {}, "pread64(3, 0x20000, 5, -1)"),
    ("pwrite64", (3, A, 5, 7), {A: b"hello"}, 'pwrite64(3, "hello", 5, 7)'),
    (
        "write",
        (3, A, 1 << 63),
        {A: b"hello" * 800},
        'write(3, "hellohellohellohellohellohellohe"..., 9223372036854775808)',
    ),
    ("truncate", (A, -1), {A: b"x\0"}, 'truncate("x", 18446744073709551615)'),
    ("ftruncate", (3, -1), {}, "ftruncate(3, 18446744073709551615)"),
    ("fallocate", (3, 0, 2, 3), {}, "fallocate(3, 0, 2, 3)"),
    ("fallocate", (3, 3, 2, 3), {}, "fallocate(3, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 2, 3)"),
    ("fadvise64", (3, 1, 2, 4), {}, "fadvise64(3, 1, 2, POSIX_FADV_DONTNEED)"),
    (
        "sync_file_range",
        (3, 1, 2, 7),
        {},
        ("sync_file_range(3, 1, 2, SYNC_FILE_RANGE_WAIT_BEFORE|SYNC_FILE_RANGE_WRITE|SYNC_FILE_RANGE_WAIT_AFTER)"),
    ),
    ("readahead", (3, 1 << 40, 5), {}, "readahead(3, 1099511627776, 5)"),
    ("dup3", (3, 4, 0o2000000), {}, "dup3(3, 4, O_CLOEXEC)"),
    ("dup3", (3, 4, 3), {}, "dup3(3, 4, 0x3 /* O_??? */)"),
    ("pipe2", (A, 0o2004000), {}, "pipe2(0x20000, O_NONBLOCK|O_CLOEXEC)"),
    ("pipe2", (A, 0), {}, "pipe2(0x20000, 0)"),
    ("close_range", (3, -1, 4), {}, "close_range(3, 4294967295, CLOSE_RANGE_CLOEXEC)"),
    ("memfd_create", (A, 3), {A: b"n\0"}, 'memfd_create("n", MFD_CLOEXEC|MFD_ALLOW_SEALING)'),
    (
        "memfd_create",
        (A, 4 | 21 << 26),
        {A: b"n" * 40 + b"\0"},
        'memfd_create("nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"..., MFD_HUGETLB|21<<MFD_HUGE_SHIFT)',
    ),
    ("memfd_create", (A, 21 << 26), {A: b"n\0"}, 'memfd_create("n", 21<<MFD_HUGE_SHIFT)'),
    ("memfd_secret", (0o2000000,), {}, "memfd_secret(O_CLOEXEC)"),
    ("memfd_secret", (5,), {}, "memfd_secret(0x5)"),
    ("flock", (3, 6), {}, "flock(3, LOCK_EX|LOCK_NB)"),
    ("flock", (3, 0xD), {}, "flock(3, LOCK_SH|LOCK_NB|LOCK_UN)"),
    ("getdents64", (3, A, 5), {}, "getdents64(3, 0x20000, 5)"),
]

LINES_32: list[Line] = [
    ("readv", (3, A, 1), VECTOR_32, "readv(3, [{iov_base=0x30000, iov_len=5}], 1)"),
    ("preadv", (3, A, 1, 5, 1), VECTOR_32, "preadv(3, [{iov_base=0x30000, iov_len=5}], 1, 4294967301)"),
    ("pwritev2", (3, A, 1, -1, -1, 1), VECTOR_32, 'pwritev2(3, [{iov_base="hello", iov_len=5}], 1, -1, RWF_HIPRI)'),
    ("sendfile", (3, 4, A, 5), {A: struct.pack("<i", -1)}, "sendfile(3, 4, [4294967295], 5)"),
    ("sendfile64", (3, 4, A, 5), place(-1), "sendfile64(3, 4, [18446744073709551615], 5)"),
    ("lseek", (3, -1, 1), {}, "lseek(3, -1, SEEK_CUR)"),
    ("_llseek", (3, 1, 2, A, 0), {}, "_llseek(3, 4294967298, 0x20000, SEEK_SET)"),
    ("_llseek", (3, -1, -1, A, 1), {}, "_llseek(3, -1, 0x20000, SEEK_CUR)"),
    ("pread64", (3, A, 5, 1, 1), {}, "pread64(3, 0x20000, 5, 4294967297)"),
    ("readahead", (3, 1, 1, 6), {}, "readahead(3, 4294967297, 6)"),
    ("fadvise64", (3, 1, 2, 3, 4), {}, "fadvise64(3, 8589934593, 3, POSIX_FADV_DONTNEED)"),
    ("fadvise64_64", (3, 1, 2, 3, 4, 5), {}, "fadvise64_64(3, 8589934593, 17179869187, POSIX_FADV_NOREUSE)"),
    (
        "sync_file_range",
        (3, 1, 2, 3, 4, 7),
        {},
        (
            "sync_file_range(3, 8589934593, 17179869187, "
            "SYNC_FILE_RANGE_WAIT_BEFORE|SYNC_FILE_RANGE_WRITE|SYNC_FILE_RANGE_WAIT_AFTER)"
        ),
    ),
    ("fallocate", (3, 1, 2, 3, 4, 5), {}, "fallocate(3, FALLOC_FL_KEEP_SIZE, 12884901890, 21474836484)"),
    ("truncate", (A, -1), {A: b"x\0"}, 'truncate("x", 4294967295)'),
    ("truncate64", (A, 1, 2), {A: b"x\0"}, 'truncate64("x", 8589934593)'),
    ("ftruncate64", (3, -1, -1), {}, "ftruncate64(3, 18446744073709551615)"),
]


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES)
def test_places_and_flags_are_shown(name, registers, memory, line) -> None:
    assert shown(name, registers, memory) == line


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES_32)
def test_a_32_bit_program_has_places_in_halves(name, registers, memory, line) -> None:
    assert shown(name, registers, memory, Arch.I386) == line


def test_arm_pads_to_pairs_of_registers() -> None:
    assert shown("ftruncate64", (3, 0, 1, 2), {}, Arch.ARM) == "ftruncate64(3, 8589934593)"
    assert shown("pread64", (3, A, 5, 0, 1, 1), {}, Arch.ARM) == "pread64(3, 0x20000, 5, 4294967297)"


def test_a_place_behind_a_pointer_is_in_the_order_of_the_machine() -> None:
    memory = {A: struct.pack(">q", 7)}

    assert shown("splice", (3, A, 4, 0, 5, 0), memory, Arch.S390X) == "splice(3, [7], 4, NULL, 5, 0)"
