"""
Calls of the family ``registrations``: what strace 6.1 wrote when a program made them.

What it is not: by heart.  Each line was made in a process whose filter refuses every call, so that
what strace shows is what was asked for; those of s390x say the same from big-endian memory.
"""

# a line of strace's is as long as it is

from __future__ import annotations

import pytest

from monitor import testing
from monitor.abi.arch import Arch
from tests.notify.render.packed import u32, u64

X64 = Arch.X86_64
X86 = Arch.I386
S390 = Arch.S390X

CASES = [
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 0, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_BUFFERS, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 0, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_BUFFERS, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 1, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_UNREGISTER_BUFFERS, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 1, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_UNREGISTER_BUFFERS, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 2, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_FILES, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 2, "arg": u32(5, -1, 6, 7, 8, 9, 10, 11, 12), "nr_args": 2},
        "io_uring_register(3, IORING_REGISTER_FILES, [5, -1], 2)",
    ),
    (
        S390,
        "io_uring_register",
        {"fd": 3, "opcode": 2, "arg": u32(5, -1, 6, 7, 8, 9, 10, 11, 12, order="big"), "nr_args": 2},
        "io_uring_register(3, IORING_REGISTER_FILES, [5, -1], 2)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 2, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_FILES, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 3, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_UNREGISTER_FILES, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 3, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_UNREGISTER_FILES, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 4, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_EVENTFD, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 4, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_EVENTFD, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 5, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_UNREGISTER_EVENTFD, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 5, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_UNREGISTER_EVENTFD, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 6, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_FILES_UPDATE, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 6, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_FILES_UPDATE, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 7, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_EVENTFD_ASYNC, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 7, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_EVENTFD_ASYNC, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 8, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_PROBE, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 8, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_PROBE, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 9, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_PERSONALITY, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 9, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_PERSONALITY, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 10, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_UNREGISTER_PERSONALITY, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 11, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_RESTRICTIONS, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 12, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_ENABLE_RINGS, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 13, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_FILES2, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 13, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_FILES2, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 15, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_BUFFERS2, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 15, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_BUFFERS2, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 17, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_IOWQ_AFF, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 17, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_IOWQ_AFF, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 18, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_UNREGISTER_IOWQ_AFF, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 18, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_UNREGISTER_IOWQ_AFF, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 20, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_RING_FDS, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 20, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_RING_FDS, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 21, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_UNREGISTER_RING_FDS, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 21, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_UNREGISTER_RING_FDS, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 22, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_PBUF_RING, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 22, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_PBUF_RING, 0x10, 1)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 23, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_UNREGISTER_PBUF_RING, NULL, 0)",
    ),
    (
        X64,
        "io_uring_register",
        {"fd": 3, "opcode": 23, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_UNREGISTER_PBUF_RING, 0x10, 1)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 2, "arg": u32(5, -1, 6, 7, 8, 9, 10, 11, 12), "nr_args": 2},
        "io_uring_register(3, IORING_REGISTER_FILES, [5, -1], 2)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 4, "arg": u32(5, -1, 6, 7, 8, 9, 10, 11, 12), "nr_args": 2},
        "io_uring_register(3, IORING_REGISTER_EVENTFD, [5, -1], 2)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 7, "arg": u32(5, -1, 6, 7, 8, 9, 10, 11, 12), "nr_args": 2},
        "io_uring_register(3, IORING_REGISTER_EVENTFD_ASYNC, [5, -1], 2)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 10, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_UNREGISTER_PERSONALITY, 0x10, 1)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 11, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_RESTRICTIONS, 0x10, 1)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 12, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_ENABLE_RINGS, 0x10, 1)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 14, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_FILES_UPDATE2, NULL, 0)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 14, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_FILES_UPDATE2, 0x10, 1)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 16, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_BUFFERS_UPDATE, NULL, 0)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 16, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_BUFFERS_UPDATE, 0x10, 1)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 17, "arg": u32(5, -1, 6, 7, 8, 9, 10, 11, 12), "nr_args": 2},
        "io_uring_register(3, IORING_REGISTER_IOWQ_AFF, [0 2], 2)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 19, "arg": 0, "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_IOWQ_MAX_WORKERS, NULL, 0)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 19, "arg": 16, "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_IOWQ_MAX_WORKERS, 0x10, 1)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 0, "arg": u32(-1, 5) + u64(7, 8, 9) + u32(10, 11) + u64(12, 13, 14, 15), "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_BUFFERS, [], 0)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 2, "arg": u32(-1, 5) + u64(7, 8, 9) + u32(10, 11) + u64(12, 13, 14, 15), "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_FILES, [], 0)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 2, "arg": u32(-1, 5) + u64(7, 8, 9) + u32(10, 11) + u64(12, 13, 14, 15), "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_FILES, [-1], 1)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 4, "arg": u32(-1, 5) + u64(7, 8, 9) + u32(10, 11) + u64(12, 13, 14, 15), "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_EVENTFD, [], 0)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 4, "arg": u32(-1, 5) + u64(7, 8, 9) + u32(10, 11) + u64(12, 13, 14, 15), "nr_args": 1},
        "io_uring_register(3, IORING_REGISTER_EVENTFD, [-1], 1)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 17, "arg": u32(-1, 5) + u64(7, 8, 9) + u32(10, 11) + u64(12, 13, 14, 15), "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_IOWQ_AFF, [], 0)",
    ),
    (
        X86,
        "io_uring_register",
        {"fd": 3, "opcode": 20, "arg": u32(-1, 5) + u64(7, 8, 9) + u32(10, 11) + u64(12, 13, 14, 15), "nr_args": 0},
        "io_uring_register(3, IORING_REGISTER_RING_FDS, [], 0)",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_registrations_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
