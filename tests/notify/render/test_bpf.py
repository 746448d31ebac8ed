"""
Calls of the family ``bpf``: what strace 6.1 wrote when a program made them.

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
        "bpf",
        {
            "cmd": 1,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_MAP_LOOKUP_ELEM, 0x102000, 0)",
    ),
    (
        S390,
        "bpf",
        {
            "cmd": 1,
            "attr": u32(2, 4, 8, 100, 3, -1, 0, order="big")
            + b"amap"
            + bytes(12)
            + u32(0, 5, 6, 7, 8, order="big")
            + u64(9, order="big")
            + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_MAP_LOOKUP_ELEM, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 2,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_MAP_UPDATE_ELEM, 0x102000, 0)",
    ),
    (
        S390,
        "bpf",
        {
            "cmd": 2,
            "attr": u32(2, 4, 8, 100, 3, -1, 0, order="big")
            + b"amap"
            + bytes(12)
            + u32(0, 5, 6, 7, 8, order="big")
            + u64(9, order="big")
            + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_MAP_UPDATE_ELEM, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 3,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_MAP_DELETE_ELEM, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 5,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_PROG_LOAD, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 6,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_OBJ_PIN, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 7,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_OBJ_GET, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 8,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_PROG_ATTACH, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 9,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_PROG_DETACH, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 10,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_PROG_TEST_RUN, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 22,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_MAP_FREEZE, 0x102000, 0)",
    ),
    (
        X64,
        "bpf",
        {
            "cmd": 22,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 1,
        },
        "bpf(BPF_MAP_FREEZE, {map_fd=2}, 1)",
    ),
    (
        X64,
        "bpf",
        {"cmd": 7, "attr": u64(0x102040) + u32(0, 0) + bytes(48) + b"/sys/fs/bpf/x\x00", "size": 12},
        'bpf(BPF_OBJ_GET, {pathname="/sys/fs/bpf/x", bpf_fd=0}, 12)',
    ),
    (X64, "bpf", {"cmd": 0, "attr": 16, "size": 16}, "bpf(BPF_MAP_CREATE, 0x10, 16)"),
    (X64, "bpf", {"cmd": 0, "attr": 0, "size": 16}, "bpf(BPF_MAP_CREATE, NULL, 16)"),
    (
        X86,
        "bpf",
        {
            "cmd": 4,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_MAP_GET_NEXT_KEY, 0x102000, 0)",
    ),
    (
        X86,
        "bpf",
        {
            "cmd": 11,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_PROG_GET_NEXT_ID, 0x102000, 0)",
    ),
    (
        X86,
        "bpf",
        {
            "cmd": 12,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_MAP_GET_NEXT_ID, 0x102000, 0)",
    ),
    (
        X86,
        "bpf",
        {
            "cmd": 13,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(BPF_PROG_GET_FD_BY_ID, 0x102000, 0)",
    ),
    (
        X86,
        "bpf",
        {
            "cmd": 22,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 8,
        },
        "bpf(BPF_MAP_FREEZE, {map_fd=2, ...}, 8)",
    ),
    (
        X86,
        "bpf",
        {
            "cmd": 99,
            "attr": u32(2, 4, 8, 100, 3, -1, 0) + b"amap" + bytes(12) + u32(0, 5, 6, 7, 8) + u64(9) + bytes(4000),
            "size": 0,
        },
        "bpf(0x63 /* BPF_??? */, 0x102000, 0)",
    ),
    (
        X86,
        "bpf",
        {"cmd": 7, "attr": u64(0x102040) + u32(0, 0) + bytes(48) + b"/sys/fs/bpf/x\x00", "size": 12},
        'bpf(BPF_OBJ_GET, {pathname="/sys/fs/bpf/x", bpf_fd=0}, 12)',
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_bpf_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
