"""
Calls of the family ``limits``: what strace 6.1 wrote when a program made them.

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
    (X64, "getpriority", {"which": 0, "who": 0}, "getpriority(PRIO_PROCESS, 0)"),
    (X64, "getpriority", {"which": 3, "who": -1}, "getpriority(0x3 /* PRIO_??? */, -1)"),
    (X64, "getrlimit", {"resource": 3, "rlim": 16}, "getrlimit(RLIMIT_STACK, 0x10)"),
    (X64, "getrusage", {"who": -1, "usage": 5}, "getrusage(RUSAGE_CHILDREN, 0x5)"),
    (X64, "getrusage", {"who": -2, "usage": 5}, "getrusage(RUSAGE_BOTH, 0x5)"),
    (X64, "getrusage", {"who": 3, "usage": 5}, "getrusage(0x3 /* RUSAGE_??? */, 0x5)"),
    (X64, "getrusage", {"who": 0, "usage": 5}, "getrusage(RUSAGE_SELF, 0x5)"),
    (X64, "ioprio_get", {"which": 3, "who": -1}, "ioprio_get(IOPRIO_WHO_USER, -1)"),
    (
        X64,
        "ioprio_set",
        {"which": 1, "who": 0, "ioprio": 0},
        "ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 0))",
    ),
    (
        X64,
        "ioprio_set",
        {"which": 1, "who": 0, "ioprio": 0x2004},
        "ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 4))",
    ),
    (
        X64,
        "ioprio_set",
        {"which": 1, "who": 0, "ioprio": 0x4000},
        "ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 0))",
    ),
    (
        X64,
        "ioprio_set",
        {"which": 1, "who": 0, "ioprio": 0x6007},
        "ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 7))",
    ),
    (
        X64,
        "ioprio_set",
        {"which": 1, "who": 0, "ioprio": 0xA000},
        "ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(0x5 /* IOPRIO_CLASS_??? */, 0))",
    ),
    (
        X86,
        "ioprio_set",
        {"which": 1, "who": 0, "ioprio": 0},
        "ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 0))",
    ),
    (X86, "nice", {"inc": -5}, "nice(-5)"),
    (
        X64,
        "prlimit64",
        {"pid": 0, "resource": 3, "new_limit": u64(0, -1), "old_limit": 32},
        "prlimit64(0, RLIMIT_STACK, {rlim_cur=0, rlim_max=RLIM64_INFINITY}, 0x20)",
    ),
    (
        S390,
        "prlimit64",
        {"pid": 0, "resource": 3, "new_limit": u64(0, -1, order="big"), "old_limit": 32},
        "prlimit64(0, RLIMIT_STACK, {rlim_cur=0, rlim_max=RLIM64_INFINITY}, 0x20)",
    ),
    (
        X64,
        "prlimit64",
        {"pid": 0, "resource": 3, "new_limit": u64(0x400, 0x800), "old_limit": 32},
        "prlimit64(0, RLIMIT_STACK, {rlim_cur=1024, rlim_max=2*1024}, 0x20)",
    ),
    (
        S390,
        "prlimit64",
        {"pid": 0, "resource": 3, "new_limit": u64(0x400, 0x800, order="big"), "old_limit": 32},
        "prlimit64(0, RLIMIT_STACK, {rlim_cur=1024, rlim_max=2*1024}, 0x20)",
    ),
    (
        X64,
        "prlimit64",
        {"pid": 0, "resource": 3, "new_limit": u64(0x401, 0xBB8), "old_limit": 32},
        "prlimit64(0, RLIMIT_STACK, {rlim_cur=1025, rlim_max=3000}, 0x20)",
    ),
    (
        X64,
        "prlimit64",
        {"pid": 0, "resource": 3, "new_limit": u64(0x800000, -1), "old_limit": 32},
        "prlimit64(0, RLIMIT_STACK, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}, 0x20)",
    ),
    (
        X64,
        "prlimit64",
        {"pid": 0, "resource": 3, "new_limit": u64(0x80000000, 5), "old_limit": 32},
        "prlimit64(0, RLIMIT_STACK, {rlim_cur=2097152*1024, rlim_max=5}, 0x20)",
    ),
    (
        X64,
        "prlimit64",
        {"pid": 5, "resource": 77, "new_limit": 0, "old_limit": 0},
        "prlimit64(5, 0x4d /* RLIMIT_??? */, NULL, NULL)",
    ),
    (
        X86,
        "prlimit64",
        {"pid": 0, "resource": 3, "new_limit": u64(0x401, 0xBB8), "old_limit": 32},
        "prlimit64(0, RLIMIT_STACK, {rlim_cur=1025, rlim_max=3000}, 0x20)",
    ),
    (X64, "sched_get_priority_max", {"policy": 0}, "sched_get_priority_max(SCHED_OTHER)"),
    (X64, "sched_get_priority_max", {"policy": 1}, "sched_get_priority_max(SCHED_FIFO)"),
    (X64, "sched_get_priority_max", {"policy": 2}, "sched_get_priority_max(SCHED_RR)"),
    (X64, "sched_get_priority_max", {"policy": 3}, "sched_get_priority_max(SCHED_BATCH)"),
    (X64, "sched_get_priority_max", {"policy": 5}, "sched_get_priority_max(SCHED_IDLE)"),
    (X64, "sched_get_priority_max", {"policy": 6}, "sched_get_priority_max(SCHED_DEADLINE)"),
    (X64, "sched_getaffinity", {"pid": 0, "cpusetsize": 8, "mask": 16}, "sched_getaffinity(0, 8, 0x10)"),
    (X64, "sched_getattr", {"pid": 0, "attr": 5, "size": 48, "flags": 3}, "sched_getattr(0, 0x5, 48, 3)"),
    (
        X64,
        "sched_setaffinity",
        {"pid": 0, "cpusetsize": 0, "mask": b"\x05\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + bytes(6000)},
        "sched_setaffinity(0, 0, [])",
    ),
    (
        X64,
        "sched_setaffinity",
        {"pid": 0, "cpusetsize": 1, "mask": b"\x05\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + bytes(6000)},
        "sched_setaffinity(0, 1, [0 2])",
    ),
    (
        X64,
        "sched_setaffinity",
        {"pid": 0, "cpusetsize": 2, "mask": b"\x05\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + bytes(6000)},
        "sched_setaffinity(0, 2, [0 2 15])",
    ),
    (
        X64,
        "sched_setaffinity",
        {"pid": 0, "cpusetsize": 16, "mask": b"\x05\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + bytes(6000)},
        "sched_setaffinity(0, 16, [0 2 15 96])",
    ),
    (X64, "sched_setaffinity", {"pid": 0, "cpusetsize": 8, "mask": 0}, "sched_setaffinity(0, 8, NULL)"),
    (X64, "sched_setaffinity", {"pid": 0, "cpusetsize": 8, "mask": 16}, "sched_setaffinity(0, 8, 0x10)"),
    (
        X86,
        "sched_setaffinity",
        {"pid": 0, "cpusetsize": 0, "mask": b"\x05\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + bytes(6000)},
        "sched_setaffinity(0, 0, [])",
    ),
    (
        X86,
        "sched_setaffinity",
        {"pid": 0, "cpusetsize": 129, "mask": b"\x05\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + bytes(6000)},
        "sched_setaffinity(0, 129, [0 2 15 96 ...])",
    ),
    (
        X64,
        "sched_setattr",
        {"pid": 0, "attr": u32(0, 6) + u64(16) + u32(-5, 7) + u64(1, 2, 3) + u32(9, 10) + bytes(50), "flags": 1},
        "sched_setattr(0, {size=0, sched_flags=SCHED_FLAG_KEEP_PARAMS}, 1)",
    ),
    (
        S390,
        "sched_setattr",
        {
            "pid": 0,
            "attr": u32(0, 6, order="big")
            + u64(16, order="big")
            + u32(-5, 7, order="big")
            + u64(1, 2, 3, order="big")
            + u32(9, 10, order="big")
            + bytes(50),
            "flags": 1,
        },
        "sched_setattr(0, {size=0, sched_flags=SCHED_FLAG_KEEP_PARAMS}, 1)",
    ),
    (
        X64,
        "sched_setattr",
        {"pid": 0, "attr": u32(1, 6) + u64(0) + u32(-5, 7) + u64(1, 2, 3) + u32(9, 10) + bytes(50), "flags": 1},
        "sched_setattr(0, {size=1}, 1)",
    ),
    (
        S390,
        "sched_setattr",
        {
            "pid": 0,
            "attr": u32(1, 6, order="big")
            + u64(0, order="big")
            + u32(-5, 7, order="big")
            + u64(1, 2, 3, order="big")
            + u32(9, 10, order="big")
            + bytes(50),
            "flags": 1,
        },
        "sched_setattr(0, {size=1}, 1)",
    ),
    (
        X64,
        "sched_setattr",
        {"pid": 0, "attr": u32(56, 6) + u64(16) + u32(-5, 7) + u64(1, 2, 3) + u32(9, 10) + bytes(50), "flags": 1},
        "sched_setattr(0, {size=56, sched_flags=SCHED_FLAG_KEEP_PARAMS, sched_util_min=9, sched_util_max=10}, 1)",
    ),
    (
        X64,
        "sched_setattr",
        {"pid": 0, "attr": u32(64, 6) + u64(16) + u32(-5, 7) + u64(1, 2, 3) + u32(9, 10) + bytes(50), "flags": 1},
        "sched_setattr(0, {size=64, sched_flags=SCHED_FLAG_KEEP_PARAMS, sched_util_min=9, sched_util_max=10, ...}, 1)",
    ),
    (X64, "sched_setattr", {"pid": 0, "attr": 16}, "sched_setattr(0, 0x10, 0)"),
    (X64, "sched_setattr", {"pid": 0, "attr": 0}, "sched_setattr(0, NULL, 0)"),
    (
        X86,
        "sched_setattr",
        {"pid": 0, "attr": u32(0, 6) + u64(0) + u32(-5, 7) + u64(1, 2, 3) + u32(9, 10) + bytes(50), "flags": 1},
        "sched_setattr(0, {size=0, sched_policy=SCHED_DEADLINE, sched_flags=0, sched_nice=-5, sched_priority=7, sched_runtime=1, sched_deadline=2, sched_period=3}, 1)",
    ),
    (
        X86,
        "sched_setattr",
        {"pid": 0, "attr": u32(0, 6) + u64(8) + u32(-5, 7) + u64(1, 2, 3) + u32(9, 10) + bytes(50), "flags": 1},
        "sched_setattr(0, {size=0, sched_flags=SCHED_FLAG_KEEP_POLICY, sched_nice=-5, sched_priority=7, sched_runtime=1, sched_deadline=2, sched_period=3}, 1)",
    ),
    (
        X86,
        "sched_setattr",
        {"pid": 0, "attr": u32(1, 6) + u64(0) + u32(-5, 7) + u64(1, 2, 3) + u32(9, 10) + bytes(50), "flags": 1},
        "sched_setattr(0, {size=1}, 1)",
    ),
    (X64, "sched_setparam", {"pid": 1, "param": u32(-1)}, "sched_setparam(1, [-1])"),
    (S390, "sched_setparam", {"pid": 1, "param": u32(-1, order="big")}, "sched_setparam(1, [-1])"),
    (X64, "sched_setparam", {"pid": 1, "param": 0}, "sched_setparam(1, NULL)"),
    (X64, "sched_setparam", {"pid": 1, "param": 16}, "sched_setparam(1, 0x10)"),
    (X86, "sched_setparam", {"pid": 1, "param": u32(-1)}, "sched_setparam(1, [-1])"),
    (X64, "sched_setscheduler", {"pid": 0, "policy": 0, "param": u32(5)}, "sched_setscheduler(0, SCHED_OTHER, [5])"),
    (
        S390,
        "sched_setscheduler",
        {"pid": 0, "policy": 0, "param": u32(5, order="big")},
        "sched_setscheduler(0, SCHED_OTHER, [5])",
    ),
    (X64, "sched_setscheduler", {"pid": 0, "policy": 1, "param": u32(5)}, "sched_setscheduler(0, SCHED_FIFO, [5])"),
    (
        S390,
        "sched_setscheduler",
        {"pid": 0, "policy": 1, "param": u32(5, order="big")},
        "sched_setscheduler(0, SCHED_FIFO, [5])",
    ),
    (X64, "sched_setscheduler", {"pid": 0, "policy": 2, "param": u32(5)}, "sched_setscheduler(0, SCHED_RR, [5])"),
    (X64, "sched_setscheduler", {"pid": 0, "policy": 3, "param": u32(5)}, "sched_setscheduler(0, SCHED_BATCH, [5])"),
    (X64, "sched_setscheduler", {"pid": 0, "policy": 5, "param": u32(5)}, "sched_setscheduler(0, SCHED_IDLE, [5])"),
    (X64, "sched_setscheduler", {"pid": 0, "policy": 6, "param": u32(5)}, "sched_setscheduler(0, SCHED_DEADLINE, [5])"),
    (X86, "sched_setscheduler", {"pid": 0, "policy": 2, "param": u32(5)}, "sched_setscheduler(0, SCHED_RR, [5])"),
    (X64, "setpriority", {"which": 2, "who": 5, "prio": -20}, "setpriority(PRIO_USER, 5, -20)"),
    (
        X64,
        "setrlimit",
        {"resource": 7, "rlim": u64(0, -1)},
        "setrlimit(RLIMIT_NOFILE, {rlim_cur=0, rlim_max=RLIM64_INFINITY})",
    ),
    (
        S390,
        "setrlimit",
        {"resource": 7, "rlim": u64(0, -1, order="big")},
        "setrlimit(RLIMIT_NOFILE, {rlim_cur=0, rlim_max=RLIM64_INFINITY})",
    ),
    (
        X64,
        "setrlimit",
        {"resource": 7, "rlim": u64(0x400, 0x800)},
        "setrlimit(RLIMIT_NOFILE, {rlim_cur=1024, rlim_max=2*1024})",
    ),
    (
        S390,
        "setrlimit",
        {"resource": 7, "rlim": u64(0x400, 0x800, order="big")},
        "setrlimit(RLIMIT_NOFILE, {rlim_cur=1024, rlim_max=2*1024})",
    ),
    (
        X64,
        "setrlimit",
        {"resource": 7, "rlim": u64(0x401, 0xBB8)},
        "setrlimit(RLIMIT_NOFILE, {rlim_cur=1025, rlim_max=3000})",
    ),
    (
        X64,
        "setrlimit",
        {"resource": 7, "rlim": u64(0x800000, -1)},
        "setrlimit(RLIMIT_NOFILE, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY})",
    ),
    (
        X64,
        "setrlimit",
        {"resource": 7, "rlim": u64(0x80000000, 5)},
        "setrlimit(RLIMIT_NOFILE, {rlim_cur=2097152*1024, rlim_max=5})",
    ),
    (X64, "setrlimit", {"resource": 16, "rlim": 16}, "setrlimit(0x10 /* RLIMIT_??? */, 0x10)"),
    (
        X86,
        "setrlimit",
        {"resource": 7, "rlim": u32(0, -1)},
        "setrlimit(RLIMIT_NOFILE, {rlim_cur=0, rlim_max=RLIM_INFINITY})",
    ),
    (
        X86,
        "setrlimit",
        {"resource": 7, "rlim": u32(0x800000, -1)},
        "setrlimit(RLIMIT_NOFILE, {rlim_cur=8192*1024, rlim_max=RLIM_INFINITY})",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_limits_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
