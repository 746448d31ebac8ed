"""
Calls of the family ``policies``: what strace 6.1 wrote when a program made them.

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
        "get_mempolicy",
        {"mode": 1, "nodemask": 2, "maxnode": 3, "addr": 4, "flags": 7},
        "get_mempolicy(0x1, 0x2, 3, 0x4, MPOL_F_NODE|MPOL_F_ADDR|MPOL_F_MEMS_ALLOWED)",
    ),
    (
        X86,
        "get_mempolicy",
        {"mode": 0, "nodemask": 0, "maxnode": 3, "addr": 0, "flags": -1},
        "get_mempolicy(NULL, NULL, 3, NULL, MPOL_F_NODE|MPOL_F_ADDR|MPOL_F_MEMS_ALLOWED|0xfffffff8)",
    ),
    (
        X64,
        "mbind",
        {"addr": 1, "len": 2, "mode": 0, "nodemask": u64(5, 6, 7), "maxnode": 100, "flags": 3},
        "mbind(0x1, 2, MPOL_DEFAULT, [0x00000000000005, 0x00000000000006], 100, MPOL_MF_STRICT|MPOL_MF_MOVE)",
    ),
    (
        S390,
        "mbind",
        {"addr": 1, "len": 2, "mode": 0, "nodemask": u64(5, 6, 7, order="big"), "maxnode": 100, "flags": 3},
        "mbind(0x1, 2, MPOL_DEFAULT, [0x00000000000005, 0x00000000000006], 100, MPOL_MF_STRICT|MPOL_MF_MOVE)",
    ),
    (
        X64,
        "mbind",
        {"addr": 1, "len": 2, "mode": 1, "nodemask": u64(5, 6, 7), "maxnode": 100, "flags": 3},
        "mbind(0x1, 2, MPOL_PREFERRED, [0x00000000000005, 0x00000000000006], 100, MPOL_MF_STRICT|MPOL_MF_MOVE)",
    ),
    (
        S390,
        "mbind",
        {"addr": 1, "len": 2, "mode": 1, "nodemask": u64(5, 6, 7, order="big"), "maxnode": 100, "flags": 3},
        "mbind(0x1, 2, MPOL_PREFERRED, [0x00000000000005, 0x00000000000006], 100, MPOL_MF_STRICT|MPOL_MF_MOVE)",
    ),
    (
        X64,
        "mbind",
        {"addr": 1, "len": 2, "mode": 5, "nodemask": u64(5, 6, 7), "maxnode": 100, "flags": 3},
        "mbind(0x1, 2, MPOL_PREFERRED_MANY, [0x00000000000005, 0x00000000000006], 100, MPOL_MF_STRICT|MPOL_MF_MOVE)",
    ),
    (
        X64,
        "mbind",
        {"addr": 1, "len": 2, "mode": 255, "nodemask": u64(5, 6, 7), "maxnode": 100, "flags": 3},
        "mbind(0x1, 2, 0xff /* MPOL_??? */, [0x00000000000005, 0x00000000000006], 100, MPOL_MF_STRICT|MPOL_MF_MOVE)",
    ),
    (
        X64,
        "mbind",
        {"addr": 1, "len": 2, "mode": 2, "nodemask": 0, "maxnode": 5, "flags": 0},
        "mbind(0x1, 2, MPOL_BIND, NULL, 5, 0)",
    ),
    (
        X64,
        "mbind",
        {"addr": 1, "len": 2, "mode": 2, "nodemask": 16, "maxnode": 5, "flags": 4},
        "mbind(0x1, 2, MPOL_BIND, 0x10, 5, MPOL_MF_MOVE_ALL)",
    ),
    (
        X86,
        "mbind",
        {"addr": 1, "len": 2, "mode": 0, "nodemask": u64(5, 6, 7), "maxnode": 100, "flags": 3},
        "mbind(0x1, 2, MPOL_DEFAULT, [0x000005, 00000000, 0x000006, 00000000], 100, MPOL_MF_STRICT|MPOL_MF_MOVE)",
    ),
    (
        X86,
        "mbind",
        {"addr": 1, "len": 2, "mode": 1, "nodemask": u64(5, 6, 7), "maxnode": 100, "flags": 3},
        "mbind(0x1, 2, MPOL_PREFERRED, [0x000005, 00000000, 0x000006, 00000000], 100, MPOL_MF_STRICT|MPOL_MF_MOVE)",
    ),
    (
        X86,
        "mbind",
        {"addr": 1, "len": 2, "mode": 5, "nodemask": u64(5, 6, 7), "maxnode": 100, "flags": 3},
        "mbind(0x1, 2, MPOL_PREFERRED_MANY, [0x000005, 00000000, 0x000006, 00000000], 100, MPOL_MF_STRICT|MPOL_MF_MOVE)",
    ),
    (
        X64,
        "migrate_pages",
        {"pid": 0, "maxnode": 0, "old_nodes": u64(1, 2, 3) + bytes(64), "new_nodes": u64(3, 4) + bytes(64)},
        "migrate_pages(0, 0, [], [])",
    ),
    (
        S390,
        "migrate_pages",
        {
            "pid": 0,
            "maxnode": 0,
            "old_nodes": u64(1, 2, 3, order="big") + bytes(64),
            "new_nodes": u64(3, 4, order="big") + bytes(64),
        },
        "migrate_pages(0, 0, [], [])",
    ),
    (
        X64,
        "migrate_pages",
        {"pid": 0, "maxnode": 1, "old_nodes": u64(1, 2, 3) + bytes(64), "new_nodes": u64(3, 4) + bytes(64)},
        "migrate_pages(0, 1, 0x102000, 0x104000)",
    ),
    (
        S390,
        "migrate_pages",
        {
            "pid": 0,
            "maxnode": 1,
            "old_nodes": u64(1, 2, 3, order="big") + bytes(64),
            "new_nodes": u64(3, 4, order="big") + bytes(64),
        },
        "migrate_pages(0, 1, 0x102000, 0x104000)",
    ),
    (
        X86,
        "migrate_pages",
        {"pid": 0, "maxnode": 0, "old_nodes": u64(1, 2, 3) + bytes(64), "new_nodes": u64(3, 4) + bytes(64)},
        "migrate_pages(0, 0, [], [])",
    ),
    (
        X86,
        "migrate_pages",
        {"pid": 0, "maxnode": 2, "old_nodes": u64(1, 2, 3) + bytes(64), "new_nodes": u64(3, 4) + bytes(64)},
        "migrate_pages(0, 2, [0x000001], [0x000003])",
    ),
    (
        X86,
        "migrate_pages",
        {"pid": 0, "maxnode": 63, "old_nodes": u64(1, 2, 3) + bytes(64), "new_nodes": u64(3, 4) + bytes(64)},
        "migrate_pages(0, 63, [0x000001, 00000000], [0x000003, 00000000])",
    ),
    (
        X64,
        "move_pages",
        {
            "pid": 0,
            "count": 2,
            "pages": (u64(0x1000, 0x2000)) * 30,
            "nodes": (u32(1, -1)) * 30,
            "status": 5,
            "flags": 2,
        },
        "move_pages(0, 2, [0x1000, 0x2000], [1, -1], 0x5, MPOL_MF_MOVE)",
    ),
    (
        S390,
        "move_pages",
        {
            "pid": 0,
            "count": 2,
            "pages": (u64(0x1000, 0x2000, order="big")) * 30,
            "nodes": (u32(1, -1, order="big")) * 30,
            "status": 5,
            "flags": 2,
        },
        "move_pages(0, 2, [0x1000, 0x2000], [1, -1], 0x5, MPOL_MF_MOVE)",
    ),
    (
        X86,
        "move_pages",
        {
            "pid": 0,
            "count": 2,
            "pages": (u64(0x1000, 0x2000)) * 30,
            "nodes": (u32(1, -1)) * 30,
            "status": 5,
            "flags": 2,
        },
        "move_pages(0, 2, [0x1000, NULL], [1, -1], 0x5, MPOL_MF_MOVE)",
    ),
    (
        X64,
        "set_mempolicy",
        {"mode": 0, "nodemask": u64(5, 6, 7), "maxnode": 64},
        "set_mempolicy(MPOL_DEFAULT, [0x00000000000005], 64)",
    ),
    (
        S390,
        "set_mempolicy",
        {"mode": 0, "nodemask": u64(5, 6, 7, order="big"), "maxnode": 64},
        "set_mempolicy(MPOL_DEFAULT, [0x00000000000005], 64)",
    ),
    (
        X64,
        "set_mempolicy",
        {"mode": 1, "nodemask": u64(5, 6, 7), "maxnode": 64},
        "set_mempolicy(MPOL_PREFERRED, [0x00000000000005], 64)",
    ),
    (
        S390,
        "set_mempolicy",
        {"mode": 1, "nodemask": u64(5, 6, 7, order="big"), "maxnode": 64},
        "set_mempolicy(MPOL_PREFERRED, [0x00000000000005], 64)",
    ),
    (
        X64,
        "set_mempolicy",
        {"mode": 5, "nodemask": u64(5, 6, 7), "maxnode": 64},
        "set_mempolicy(MPOL_PREFERRED_MANY, [0x00000000000005], 64)",
    ),
    (
        X64,
        "set_mempolicy",
        {"mode": 0x8002, "nodemask": u64(5, 6, 7), "maxnode": 64},
        "set_mempolicy(MPOL_BIND|MPOL_F_STATIC_NODES, [0x00000000000005], 64)",
    ),
    (
        X64,
        "set_mempolicy",
        {"mode": 0x2001, "nodemask": u64(5, 6, 7), "maxnode": 64},
        "set_mempolicy(MPOL_PREFERRED|MPOL_F_NUMA_BALANCING, [0x00000000000005], 64)",
    ),
    (
        X64,
        "set_mempolicy",
        {"mode": 255, "nodemask": u64(5, 6, 7), "maxnode": 64},
        "set_mempolicy(0xff /* MPOL_??? */, [0x00000000000005], 64)",
    ),
    (
        X86,
        "set_mempolicy",
        {"mode": 0, "nodemask": u64(5, 6, 7), "maxnode": 64},
        "set_mempolicy(MPOL_DEFAULT, [0x000005, 00000000], 64)",
    ),
    (
        X86,
        "set_mempolicy",
        {"mode": 1, "nodemask": u64(5, 6, 7), "maxnode": 64},
        "set_mempolicy(MPOL_PREFERRED, [0x000005, 00000000], 64)",
    ),
    (
        X86,
        "set_mempolicy",
        {"mode": 5, "nodemask": u64(5, 6, 7), "maxnode": 64},
        "set_mempolicy(MPOL_PREFERRED_MANY, [0x000005, 00000000], 64)",
    ),
    (
        X64,
        "set_mempolicy_home_node",
        {"start": 1, "len": 2, "home_node": 3, "flags": 5},
        "set_mempolicy_home_node(0x1, 2, 3, 0x5)",
    ),
    (
        X86,
        "set_mempolicy_home_node",
        {"start": 1, "len": 2, "home_node": 3, "flags": 5},
        "set_mempolicy_home_node(0x1, 2, 3, 0x5)",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_policies_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
