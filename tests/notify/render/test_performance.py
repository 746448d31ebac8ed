"""
Calls of the family ``performance``: what strace 6.1 wrote when a program made them.

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
    (
        X64,
        "perf_event_open",
        {
            "attr": u32(0, 8) + u64(5, 0xFA0, 0x100000001FF, 3, 3) + bytes(200),
            "pid": 0,
            "cpu": -1,
            "group_fd": -1,
            "flags": 8,
        },
        "perf_event_open(0x102000, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)",
    ),
    (
        S390,
        "perf_event_open",
        {
            "attr": u32(0, 8, order="big") + u64(5, 0xFA0, 0x100000001FF, 3, 3, order="big") + bytes(200),
            "pid": 0,
            "cpu": -1,
            "group_fd": -1,
            "flags": 8,
        },
        "perf_event_open(0x102000, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)",
    ),
    (
        X64,
        "perf_event_open",
        {
            "attr": u32(0, 112) + u64(0, 0xFA0, 0, 32, 0x18000) + bytes(200),
            "pid": -1,
            "cpu": 3,
            "group_fd": 5,
            "flags": -1,
        },
        "perf_event_open({type=PERF_TYPE_HARDWARE, size=PERF_ATTR_SIZE_VER5, config=PERF_COUNT_HW_CPU_CYCLES, sample_period=4000, sample_type=0, read_format=0x20 /* PERF_FORMAT_??? */, precise_ip=3 /* must have 0 skid */, ...}, -1, 3, 5, PERF_FLAG_FD_NO_GROUP|PERF_FLAG_FD_OUTPUT|PERF_FLAG_PID_CGROUP|PERF_FLAG_FD_CLOEXEC|0xfffffffffffffff0)",
    ),
    (
        X64,
        "perf_event_open",
        {
            "attr": u32(0, 112) + u64(0, 0xFA0, 0, 32, 0x4000000000) + bytes(200),
            "pid": -1,
            "cpu": 3,
            "group_fd": 5,
            "flags": -1,
        },
        "perf_event_open({type=PERF_TYPE_HARDWARE, size=PERF_ATTR_SIZE_VER5, config=PERF_COUNT_HW_CPU_CYCLES, sample_period=4000, sample_type=0, read_format=0x20 /* PERF_FORMAT_??? */, precise_ip=0 /* arbitrary skid */, __reserved_1=0x1 /* Bits 63..38 */, ...}, -1, 3, 5, PERF_FLAG_FD_NO_GROUP|PERF_FLAG_FD_OUTPUT|PERF_FLAG_PID_CGROUP|PERF_FLAG_FD_CLOEXEC|0xfffffffffffffff0)",
    ),
    (
        X64,
        "perf_event_open",
        {"attr": 16, "pid": 0, "cpu": 0, "group_fd": 0, "flags": 0},
        "perf_event_open(0x10, 0, 0, 0, 0)",
    ),
    (
        X64,
        "perf_event_open",
        {"attr": 0, "pid": 0, "cpu": 0, "group_fd": 0, "flags": 1},
        "perf_event_open(NULL, 0, 0, 0, PERF_FLAG_FD_NO_GROUP)",
    ),
    (
        X86,
        "perf_event_open",
        {
            "attr": u32(0, 112) + u64(0, 0xFA0, 0, 32, 0x400) + bytes(200),
            "pid": -1,
            "cpu": 3,
            "group_fd": 5,
            "flags": -1,
        },
        "perf_event_open({type=PERF_TYPE_HARDWARE, size=PERF_ATTR_SIZE_VER5, config=PERF_COUNT_HW_CPU_CYCLES, sample_freq=4000, sample_type=0, read_format=0x20 /* PERF_FORMAT_??? */, freq=1, precise_ip=0 /* arbitrary skid */, ...}, -1, 3, 5, PERF_FLAG_FD_NO_GROUP|PERF_FLAG_FD_OUTPUT|PERF_FLAG_PID_CGROUP|PERF_FLAG_FD_CLOEXEC|0xfffffff0)",
    ),
    (
        X86,
        "perf_event_open",
        {
            "attr": u32(0, 112) + u64(0, 0xFA0, 0, 32, 0x18000) + bytes(200),
            "pid": -1,
            "cpu": 3,
            "group_fd": 5,
            "flags": -1,
        },
        "perf_event_open({type=PERF_TYPE_HARDWARE, size=PERF_ATTR_SIZE_VER5, config=PERF_COUNT_HW_CPU_CYCLES, sample_period=4000, sample_type=0, read_format=0x20 /* PERF_FORMAT_??? */, precise_ip=3 /* must have 0 skid */, ...}, -1, 3, 5, PERF_FLAG_FD_NO_GROUP|PERF_FLAG_FD_OUTPUT|PERF_FLAG_PID_CGROUP|PERF_FLAG_FD_CLOEXEC|0xfffffff0)",
    ),
    (
        X86,
        "perf_event_open",
        {
            "attr": u32(0, 112) + u64(0, 0xFA0, 0, 32, 0x20000) + bytes(200),
            "pid": -1,
            "cpu": 3,
            "group_fd": 5,
            "flags": -1,
        },
        "perf_event_open({type=PERF_TYPE_HARDWARE, size=PERF_ATTR_SIZE_VER5, config=PERF_COUNT_HW_CPU_CYCLES, sample_period=4000, sample_type=0, read_format=0x20 /* PERF_FORMAT_??? */, precise_ip=0 /* arbitrary skid */, mmap_data=1, ...}, -1, 3, 5, PERF_FLAG_FD_NO_GROUP|PERF_FLAG_FD_OUTPUT|PERF_FLAG_PID_CGROUP|PERF_FLAG_FD_CLOEXEC|0xfffffff0)",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_performance_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
