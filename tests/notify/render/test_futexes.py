"""
Calls of the family ``futexes``: what strace 6.1 wrote when a program made them.

What it is not: by heart.  Each line was made in a process whose filter refuses every call, so that
what strace shows is what was asked for; those of s390x say the same from big-endian memory.
"""

# ruff: noqa: E501  # a line of strace's is as long as it is

from __future__ import annotations

import pytest

from monitor import testing
from monitor.abi.arch import Arch
from tests.notify.render.packed import u32, u64

X64 = Arch.X86_64
X86 = Arch.I386
S390 = Arch.S390X

CASES = [
    (X64, "futex", {"uaddr": 1, "futex_op": 0, "timeout": 0}, "futex(0x1, FUTEX_WAIT, 0, NULL)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 1, "timeout": 0}, "futex(0x1, FUTEX_WAKE, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 2, "timeout": 0}, "futex(0x1, FUTEX_FD, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 3, "timeout": 0}, "futex(0x1, FUTEX_REQUEUE, 0, 0, NULL)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 4, "timeout": 0}, "futex(0x1, FUTEX_CMP_REQUEUE, 0, 0, NULL, 0)"),
    (
        X64,
        "futex",
        {"uaddr": 1, "futex_op": 5, "timeout": 0},
        "futex(0x1, FUTEX_WAKE_OP, 0, 0, NULL, FUTEX_OP_SET<<28|0<<12|FUTEX_OP_CMP_EQ<<24|0)",
    ),
    (X64, "futex", {"uaddr": 1, "futex_op": 6, "timeout": 0}, "futex(0x1, FUTEX_LOCK_PI, NULL)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 7, "timeout": 0}, "futex(0x1, FUTEX_UNLOCK_PI)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 8, "timeout": 0}, "futex(0x1, FUTEX_TRYLOCK_PI)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 9, "timeout": 0}, "futex(0x1, FUTEX_WAIT_BITSET, 0, NULL, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 10, "timeout": 0}, "futex(0x1, FUTEX_WAKE_BITSET, 0, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 11, "timeout": 0}, "futex(0x1, FUTEX_WAIT_REQUEUE_PI, 0, NULL, NULL)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 12, "timeout": 0}, "futex(0x1, FUTEX_CMP_REQUEUE_PI, 0, 0, NULL, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 13, "timeout": 0}, "futex(0x1, FUTEX_LOCK_PI2, NULL)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 14, "timeout": 0}, "futex(0x1, 0xe /* FUTEX_??? */, 0, NULL, NULL, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 128, "timeout": 0}, "futex(0x1, FUTEX_WAIT_PRIVATE, 0, NULL)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 129, "timeout": 0}, "futex(0x1, FUTEX_WAKE_PRIVATE, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 130, "timeout": 0}, "futex(0x1, FUTEX_FD|FUTEX_PRIVATE_FLAG, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 131, "timeout": 0}, "futex(0x1, FUTEX_REQUEUE_PRIVATE, 0, 0, NULL)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 132, "timeout": 0}, "futex(0x1, FUTEX_CMP_REQUEUE_PRIVATE, 0, 0, NULL, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 137, "timeout": 0}, "futex(0x1, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, 0)"),
    (X64, "futex", {"uaddr": 1, "futex_op": 138, "timeout": 0}, "futex(0x1, FUTEX_WAKE_BITSET_PRIVATE, 0, 0)"),
    (
        X64,
        "futex",
        {"uaddr": 1, "futex_op": 139, "timeout": 0},
        "futex(0x1, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, NULL)",
    ),
    (X64, "futex", {"uaddr": 1, "futex_op": 256, "timeout": 0}, "futex(0x1, FUTEX_WAIT|FUTEX_CLOCK_REALTIME, 0, NULL)"),
    (
        X64,
        "futex",
        {"uaddr": 1, "futex_op": 384, "timeout": 0},
        "futex(0x1, FUTEX_WAIT_PRIVATE|FUTEX_CLOCK_REALTIME, 0, NULL)",
    ),
    (X64, "futex", {"uaddr": 1, "futex_op": 512, "timeout": 0}, "futex(0x1, 0x200 /* FUTEX_??? */, 0, NULL)"),
    (
        X86,
        "futex",
        {"uaddr": 0, "futex_op": 1, "val": -1, "timeout": u32(1, 2), "uaddr2": 5, "val3": 0},
        "futex(NULL, FUTEX_WAKE, 4294967295)",
    ),
    (
        X86,
        "futex",
        {"uaddr": 0, "futex_op": 2, "val": -1, "timeout": u32(1, 2), "uaddr2": 5, "val3": 0},
        "futex(NULL, FUTEX_FD, 4294967295)",
    ),
    (X86, "futex", {"uaddr": 1, "futex_op": 3, "timeout": 0}, "futex(0x1, FUTEX_REQUEUE, 0, 0, NULL)"),
    (
        X86,
        "futex",
        {"uaddr": 1, "futex_op": 5, "timeout": 0},
        "futex(0x1, FUTEX_WAKE_OP, 0, 0, NULL, FUTEX_OP_SET<<28|0<<12|FUTEX_OP_CMP_EQ<<24|0)",
    ),
    (
        X86,
        "futex",
        {"uaddr": 0, "futex_op": 7, "val": -1, "timeout": u32(1, 2), "uaddr2": 5, "val3": 0},
        "futex(NULL, FUTEX_UNLOCK_PI)",
    ),
    (
        X86,
        "futex",
        {"uaddr": 0, "futex_op": 8, "val": -1, "timeout": u32(1, 2), "uaddr2": 5, "val3": 0},
        "futex(NULL, FUTEX_TRYLOCK_PI)",
    ),
    (
        X86,
        "futex",
        {"uaddr": 0, "futex_op": 129, "val": -1, "timeout": u32(1, 2), "uaddr2": 5, "val3": 0},
        "futex(NULL, FUTEX_WAKE_PRIVATE, 4294967295)",
    ),
    (X86, "futex", {"uaddr": 1, "futex_op": 129, "timeout": 0}, "futex(0x1, FUTEX_WAKE_PRIVATE, 0)"),
    (
        X86,
        "futex",
        {"uaddr": 1, "futex_op": 133, "timeout": 0},
        "futex(0x1, FUTEX_WAKE_OP_PRIVATE, 0, 0, NULL, FUTEX_OP_SET<<28|0<<12|FUTEX_OP_CMP_EQ<<24|0)",
    ),
    (
        X86,
        "futex",
        {"uaddr": 1, "futex_op": 265, "timeout": 0},
        "futex(0x1, FUTEX_WAIT_BITSET|FUTEX_CLOCK_REALTIME, 0, NULL, 0)",
    ),
    (
        X86,
        "futex",
        {"uaddr": 1, "futex_op": 393, "timeout": 0},
        "futex(0x1, FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 0, NULL, 0)",
    ),
    (
        X86,
        "futex",
        {"uaddr": 1, "futex_op": 267, "timeout": 0},
        "futex(0x1, FUTEX_WAIT_REQUEUE_PI|FUTEX_CLOCK_REALTIME, 0, NULL, NULL)",
    ),
    (
        X86,
        "futex",
        {"uaddr": 1, "futex_op": 395, "timeout": 0},
        "futex(0x1, FUTEX_WAIT_REQUEUE_PI_PRIVATE|FUTEX_CLOCK_REALTIME, 0, NULL, NULL)",
    ),
    (
        X86,
        "futex_time64",
        {"uaddr": 0, "futex_op": 3, "val": -1, "timeout": u64(1, 2), "uaddr2": 5, "val3": 0},
        "futex_time64(NULL, FUTEX_REQUEUE, 4294967295, 1056768, 0x5)",
    ),
    (
        X86,
        "futex_time64",
        {"uaddr": 0, "futex_op": 10, "val": -1, "timeout": u64(1, 2), "uaddr2": 5, "val3": 0x12345678},
        "futex_time64(NULL, FUTEX_WAKE_BITSET, 4294967295, 0x12345678)",
    ),
    (
        X86,
        "futex_time64",
        {"uaddr": 0, "futex_op": 129, "val": -1, "timeout": u64(1, 2), "uaddr2": 5, "val3": 0},
        "futex_time64(NULL, FUTEX_WAKE_PRIVATE, 4294967295)",
    ),
    (
        X64,
        "futex_waitv",
        {
            "waiters": u64(1, 0x1000) + u32(130, 0) + u64(0, 0) + u32(0xFFFF, 5) + (u64(5, 6, 7)) * 60,
            "nr_futexes": 0,
            "flags": 1,
            "timeout": u64(1, 2),
            "clockid": 1,
        },
        "futex_waitv([], 0, 0x1, {tv_sec=1, tv_nsec=2}, CLOCK_MONOTONIC)",
    ),
    (
        S390,
        "futex_waitv",
        {
            "waiters": u64(1, 0x1000, order="big")
            + u32(130, 0, order="big")
            + u64(0, 0, order="big")
            + u32(0xFFFF, 5, order="big")
            + (u64(5, 6, 7, order="big")) * 60,
            "nr_futexes": 0,
            "flags": 1,
            "timeout": u64(1, 2, order="big"),
            "clockid": 1,
        },
        "futex_waitv([], 0, 0x1, {tv_sec=1, tv_nsec=2}, CLOCK_MONOTONIC)",
    ),
    (
        X64,
        "futex_waitv",
        {
            "waiters": u64(1, 0x1000) + u32(130, 0) + u64(0, 0) + u32(0xFFFF, 5) + (u64(5, 6, 7)) * 60,
            "nr_futexes": 1,
            "flags": 1,
            "timeout": u64(1, 2),
            "clockid": 1,
        },
        "futex_waitv([{val=0x1, uaddr=0x1000, flags=FUTEX_32|FUTEX_PRIVATE_FLAG}], 1, 0x1, {tv_sec=1, tv_nsec=2}, CLOCK_MONOTONIC)",
    ),
    (
        S390,
        "futex_waitv",
        {
            "waiters": u64(1, 0x1000, order="big")
            + u32(130, 0, order="big")
            + u64(0, 0, order="big")
            + u32(0xFFFF, 5, order="big")
            + (u64(5, 6, 7, order="big")) * 60,
            "nr_futexes": 1,
            "flags": 1,
            "timeout": u64(1, 2, order="big"),
            "clockid": 1,
        },
        "futex_waitv([{val=0x1, uaddr=0x1000, flags=FUTEX_32|FUTEX_PRIVATE_FLAG}], 1, 0x1, {tv_sec=1, tv_nsec=2}, CLOCK_MONOTONIC)",
    ),
    (
        X64,
        "futex_waitv",
        {
            "waiters": u64(1, 0x1000) + u32(130, 0) + u64(0, 0) + u32(0xFFFF, 5) + (u64(5, 6, 7)) * 60,
            "nr_futexes": 2,
            "flags": 1,
            "timeout": u64(1, 2),
            "clockid": 1,
        },
        "futex_waitv([{val=0x1, uaddr=0x1000, flags=FUTEX_32|FUTEX_PRIVATE_FLAG}, {val=0, uaddr=NULL, flags=FUTEX_32|FUTEX_PRIVATE_FLAG|0xff7d, __reserved=0x5}], 2, 0x1, {tv_sec=1, tv_nsec=2}, CLOCK_MONOTONIC)",
    ),
    (
        X64,
        "futex_waitv",
        {
            "waiters": u64(1, 0x1000) + u32(130, 0) + u64(0, 0) + u32(0xFFFF, 5) + (u64(5, 6, 7)) * 60,
            "nr_futexes": 3,
            "flags": 1,
            "timeout": u64(1, 2),
            "clockid": 1,
        },
        "futex_waitv([{val=0x1, uaddr=0x1000, flags=FUTEX_32|FUTEX_PRIVATE_FLAG}, {val=0, uaddr=NULL, flags=FUTEX_32|FUTEX_PRIVATE_FLAG|0xff7d, __reserved=0x5}, {val=0x5, uaddr=0x6, flags=FUTEX_32|0x5}], 3, 0x1, {tv_sec=1, tv_nsec=2}, CLOCK_MONOTONIC)",
    ),
    (X64, "futex_waitv", {"waiters": 16, "nr_futexes": 1}, "futex_waitv(0x10, 1, 0, NULL, CLOCK_REALTIME)"),
    (X64, "futex_waitv", {"waiters": 0, "nr_futexes": 1, "flags": 0}, "futex_waitv(NULL, 1, 0, NULL, CLOCK_REALTIME)"),
    (
        X86,
        "futex_waitv",
        {
            "waiters": u64(1, 0x1000) + u32(130, 0) + u64(0, 0) + u32(0xFFFF, 5) + (u64(5, 6, 7)) * 60,
            "nr_futexes": 0,
            "flags": 1,
            "timeout": u64(1, 2),
            "clockid": 1,
        },
        "futex_waitv([], 0, 0x1, {tv_sec=1, tv_nsec=2}, CLOCK_MONOTONIC)",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_futexes_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
