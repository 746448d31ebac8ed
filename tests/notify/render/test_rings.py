"""
Calls of the family ``rings``: what strace 6.1 wrote when a program made them.

What it is not: by heart.  Each line was made in a process whose filter refuses every call, so that
what strace shows is what was asked for; those of s390x say the same from big-endian memory.
"""

# ruff: noqa: E501  # a line of strace's is as long as it is

from __future__ import annotations

import pytest

from monitor import testing
from monitor.abi.arch import Arch
from tests.notify.render.packed import u16, u32, u64

X64 = Arch.X86_64
X86 = Arch.I386
S390 = Arch.S390X

CASES = [
    (
        X64,
        "io_cancel",
        {
            "ctx_id": 1,
            "iocb": u64(5) + u32(0, 0) + u16(0, 0) + u32(3) + u64(0x1020C8, 5, -1, 0) + u32(0, 9),
            "result": 5,
        },
        "io_cancel(0x1, {aio_data=0x5, aio_lio_opcode=IOCB_CMD_PREAD, aio_fildes=3}, 0x5)",
    ),
    (
        S390,
        "io_cancel",
        {
            "ctx_id": 1,
            "iocb": u64(5, order="big")
            + u32(0, 0, order="big")
            + u16(0, 0, order="big")
            + u32(3, order="big")
            + u64(0x1020C8, 5, -1, 0, order="big")
            + u32(0, 9, order="big"),
            "result": 5,
        },
        "io_cancel(0x1, {aio_data=0x5, aio_lio_opcode=IOCB_CMD_PREAD, aio_fildes=3}, 0x5)",
    ),
    (
        X64,
        "io_cancel",
        {
            "ctx_id": 1,
            "iocb": u64(5) + u32(0, 0) + u16(5, 0) + u32(3) + u64(0x1020C8, 5, -1, 0) + u32(0, 9),
            "result": 5,
        },
        "io_cancel(0x1, {aio_data=0x5, aio_lio_opcode=IOCB_CMD_POLL, aio_fildes=3}, 0x5)",
    ),
    (
        S390,
        "io_cancel",
        {
            "ctx_id": 1,
            "iocb": u64(5, order="big")
            + u32(0, 0, order="big")
            + u16(5, 0, order="big")
            + u32(3, order="big")
            + u64(0x1020C8, 5, -1, 0, order="big")
            + u32(0, 9, order="big"),
            "result": 5,
        },
        "io_cancel(0x1, {aio_data=0x5, aio_lio_opcode=IOCB_CMD_POLL, aio_fildes=3}, 0x5)",
    ),
    (
        X64,
        "io_cancel",
        {
            "ctx_id": 1,
            "iocb": u64(5) + u32(0, 0) + u16(6, 0) + u32(3) + u64(0x1020C8, 5, -1, 0) + u32(0, 9),
            "result": 5,
        },
        "io_cancel(0x1, {aio_data=0x5, aio_lio_opcode=IOCB_CMD_NOOP, aio_fildes=3}, 0x5)",
    ),
    (
        X86,
        "io_cancel",
        {
            "ctx_id": 1,
            "iocb": u64(5) + u32(0, 0) + u16(2, 0) + u32(3) + u64(0x1020C8, 5, -1, 0) + u32(0, 9),
            "result": 5,
        },
        "io_cancel(0x1, {aio_data=0x5, aio_lio_opcode=IOCB_CMD_FSYNC, aio_fildes=3}, 0x5)",
    ),
    (
        X86,
        "io_cancel",
        {
            "ctx_id": 1,
            "iocb": u64(5) + u32(0, 0) + u16(5, 0) + u32(3) + u64(0x1020C8, 5, -1, 0) + u32(0, 9),
            "result": 5,
        },
        "io_cancel(0x1, {aio_data=0x5, aio_lio_opcode=IOCB_CMD_POLL, aio_fildes=3}, 0x5)",
    ),
    (X64, "io_destroy", {"ctx_id": -1}, "io_destroy(0xffffffffffffffff)"),
    (X86, "io_destroy", {"ctx_id": -1}, "io_destroy(0xffffffff)"),
    (
        X64,
        "io_getevents",
        {"ctx_id": 1, "min_nr": -1, "nr": 5, "events": 6, "timeout": u64(1, 2)},
        "io_getevents(0x1, -1, 5, 0x6, {tv_sec=1, tv_nsec=2})",
    ),
    (
        S390,
        "io_getevents",
        {"ctx_id": 1, "min_nr": -1, "nr": 5, "events": 6, "timeout": u64(1, 2, order="big")},
        "io_getevents(0x1, -1, 5, 0x6, {tv_sec=1, tv_nsec=2})",
    ),
    (
        X86,
        "io_getevents",
        {"ctx_id": 1, "min_nr": -1, "nr": 5, "events": 6, "timeout": u32(1, 2)},
        "io_getevents(0x1, -1, 5, 0x6, {tv_sec=1, tv_nsec=2})",
    ),
    (
        X64,
        "io_pgetevents",
        {"ctx_id": 1, "min_nr": -1, "nr": 5, "events": 6, "usig": u64(0x102010, 8) + u64(0x4001)},
        "io_pgetevents(0x1, -1, 5, 0x6, NULL, {sigmask=[HUP TERM], sigsetsize=8})",
    ),
    (
        S390,
        "io_pgetevents",
        {
            "ctx_id": 1,
            "min_nr": -1,
            "nr": 5,
            "events": 6,
            "usig": u64(0x102010, 8, order="big") + u64(0x4001, order="big"),
        },
        "io_pgetevents(0x1, -1, 5, 0x6, NULL, {sigmask=[HUP TERM], sigsetsize=8})",
    ),
    (
        X64,
        "io_pgetevents",
        {"ctx_id": 1, "min_nr": -1, "nr": 5, "events": 6, "usig": u64(16, 8)},
        "io_pgetevents(0x1, -1, 5, 0x6, NULL, {sigmask=0x10, sigsetsize=8})",
    ),
    (
        S390,
        "io_pgetevents",
        {"ctx_id": 1, "min_nr": -1, "nr": 5, "events": 6, "usig": u64(16, 8, order="big")},
        "io_pgetevents(0x1, -1, 5, 0x6, NULL, {sigmask=0x10, sigsetsize=8})",
    ),
    (
        X64,
        "io_pgetevents",
        {"ctx_id": 1, "min_nr": -1, "nr": 5, "events": 6, "usig": u64(0, 0)},
        "io_pgetevents(0x1, -1, 5, 0x6, NULL, {sigmask=NULL, sigsetsize=0})",
    ),
    (
        X86,
        "io_pgetevents",
        {"ctx_id": 1, "min_nr": -1, "nr": 5, "events": 6, "timeout": u32(1, 2), "usig": u32(0x104000, 8)},
        "io_pgetevents(0x1, -1, 5, 0x6, {tv_sec=1, tv_nsec=2}, {sigmask=[TERM TTIN RT_4], sigsetsize=8})",
    ),
    (
        X86,
        "io_pgetevents",
        {"ctx_id": 1, "min_nr": -1, "nr": 5, "events": 6, "usig": u32(0, 0)},
        "io_pgetevents(0x1, -1, 5, 0x6, NULL, {sigmask=NULL, sigsetsize=0})",
    ),
    (
        X86,
        "io_pgetevents_time64",
        {"ctx_id": 0x1000, "min_nr": 1, "nr": 2, "events": 32, "timeout": u64(1, 2), "usig": u32(16, 8)},
        "io_pgetevents_time64(0x1000, 1, 2, 0x20, {tv_sec=1, tv_nsec=2}, {sigmask=0x10, sigsetsize=8})",
    ),
    (
        X86,
        "io_pgetevents_time64",
        {"ctx_id": 0, "min_nr": 1, "nr": 2, "events": 32, "timeout": u64(1, 2), "usig": 0},
        "io_pgetevents_time64(NULL, 1, 2, 0x20, {tv_sec=1, tv_nsec=2}, NULL)",
    ),
    (X64, "io_setup", {"nr_events": -1, "ctx_idp": 5}, "io_setup(4294967295, 0x5)"),
    (X64, "io_submit", {"ctx_id": 0, "nr": 0, "iocbpp": 16}, "io_submit(NULL, 0, [])"),
    (X64, "io_submit", {"ctx_id": 0, "nr": -1, "iocbpp": 16}, "io_submit(NULL, -1, 0x10)"),
    (X64, "io_submit", {"ctx_id": 0, "nr": 2, "iocbpp": u64(16, 0)}, "io_submit(NULL, 2, [0x10, NULL])"),
    (S390, "io_submit", {"ctx_id": 0, "nr": 2, "iocbpp": u64(16, 0, order="big")}, "io_submit(NULL, 2, [0x10, NULL])"),
    (X86, "io_submit", {"ctx_id": 0, "nr": 0, "iocbpp": 16}, "io_submit(NULL, 0, [])"),
    (
        X86,
        "io_submit",
        {"ctx_id": -1, "nr": 40, "iocbpp": (u32(16)) * 80},
        "io_submit(0xffffffff, 40, [0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, ...])",
    ),
    (
        X64,
        "io_uring_enter",
        {"fd": 3, "to_submit": 1, "min_complete": 2, "flags": 0, "argp": u64(5), "argsz": 8},
        "io_uring_enter(3, 1, 2, 0, [HUP QUIT], 8)",
    ),
    (
        S390,
        "io_uring_enter",
        {"fd": 3, "to_submit": 1, "min_complete": 2, "flags": 0, "argp": u64(5, order="big"), "argsz": 8},
        "io_uring_enter(3, 1, 2, 0, [HUP QUIT], 8)",
    ),
    (
        X64,
        "io_uring_enter",
        {"fd": 3, "to_submit": 1, "min_complete": 2, "flags": 1, "argp": u64(5), "argsz": 8},
        "io_uring_enter(3, 1, 2, IORING_ENTER_GETEVENTS, [HUP QUIT], 8)",
    ),
    (
        S390,
        "io_uring_enter",
        {"fd": 3, "to_submit": 1, "min_complete": 2, "flags": 1, "argp": u64(5, order="big"), "argsz": 8},
        "io_uring_enter(3, 1, 2, IORING_ENTER_GETEVENTS, [HUP QUIT], 8)",
    ),
    (
        X64,
        "io_uring_enter",
        {"fd": 3, "to_submit": 1, "min_complete": 2, "flags": 0, "argp": 0, "argsz": 8},
        "io_uring_enter(3, 1, 2, 0, NULL, 8)",
    ),
    (
        X86,
        "io_uring_enter",
        {"fd": 3, "to_submit": 1, "min_complete": 2, "flags": 0, "argp": u64(5), "argsz": 8},
        "io_uring_enter(3, 1, 2, 0, [HUP QUIT], 8)",
    ),
    (
        X64,
        "io_uring_setup",
        {"entries": 8, "p": u32(1, 2, 0, 3, 4, 5, 6, 0, 0, 0) + bytes(80)},
        "io_uring_setup(8, {flags=0, sq_thread_cpu=0x3, sq_thread_idle=4})",
    ),
    (
        S390,
        "io_uring_setup",
        {"entries": 8, "p": u32(1, 2, 0, 3, 4, 5, 6, 0, 0, 0, order="big") + bytes(80)},
        "io_uring_setup(8, {flags=0, sq_thread_cpu=0x3, sq_thread_idle=4})",
    ),
    (X64, "io_uring_setup", {"entries": -1, "p": 16}, "io_uring_setup(4294967295, 0x10)"),
    (X64, "io_uring_setup", {"entries": -1, "p": 0}, "io_uring_setup(4294967295, NULL)"),
    (
        X86,
        "io_uring_setup",
        {"entries": 8, "p": u32(1, 2, 0, 3, 4, 5, 6, 0, 0, 0) + bytes(80)},
        "io_uring_setup(8, {flags=0, sq_thread_cpu=0x3, sq_thread_idle=4})",
    ),
    (
        X86,
        "io_uring_setup",
        {"entries": 8, "p": u32(1, 2, 1, 3, 4, 5, 6, 0, 0, 0) + bytes(80)},
        "io_uring_setup(8, {flags=IORING_SETUP_IOPOLL, sq_thread_cpu=0x3, sq_thread_idle=4})",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_rings_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
