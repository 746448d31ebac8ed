"""
Calls of the family ``credentials``: what strace 6.1 wrote when a program made them.

What it is not: by heart.  Each line was made in a process whose filter refuses every call, so that
what strace shows is what was asked for; those of s390x say the same from big-endian memory.
"""

# ruff: noqa: E501  # a line of strace's is as long as it is

from __future__ import annotations

import pytest

from monitor import testing
from monitor.abi.arch import Arch
from tests.notify.render.packed import u32

X64 = Arch.X86_64
X86 = Arch.I386
S390 = Arch.S390X

CASES = [
    (
        X64,
        "capget",
        {"hdrp": u32(0x20080522, 0), "datap": 16},
        "capget({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, 0x10)",
    ),
    (
        S390,
        "capget",
        {"hdrp": u32(0x20080522, 0, order="big"), "datap": 16},
        "capget({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, 0x10)",
    ),
    (
        X64,
        "capget",
        {"hdrp": u32(0x20080522, 0), "datap": 0},
        "capget({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, NULL)",
    ),
    (
        S390,
        "capget",
        {"hdrp": u32(0x20080522, 0, order="big"), "datap": 0},
        "capget({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, NULL)",
    ),
    (
        X86,
        "capget",
        {"hdrp": u32(0x20080522, 0), "datap": 0},
        "capget({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, NULL)",
    ),
    (
        X64,
        "capset",
        {"hdrp": u32(0x19980330, 7), "datap": u32(0x200000, 0, 0, 0, 0, 0)},
        "capset({version=_LINUX_CAPABILITY_VERSION_1, pid=7}, {effective=1<<CAP_SYS_ADMIN, permitted=0, inheritable=0})",
    ),
    (
        S390,
        "capset",
        {"hdrp": u32(0x19980330, 7, order="big"), "datap": u32(0x200000, 0, 0, 0, 0, 0, order="big")},
        "capset({version=_LINUX_CAPABILITY_VERSION_1, pid=7}, {effective=1<<CAP_SYS_ADMIN, permitted=0, inheritable=0})",
    ),
    (
        X64,
        "capset",
        {"hdrp": u32(0x19980330, 7), "datap": u32(0, 0, 0, -1, 0, 0x400)},
        "capset({version=_LINUX_CAPABILITY_VERSION_1, pid=7}, {effective=0, permitted=0, inheritable=0})",
    ),
    (
        S390,
        "capset",
        {"hdrp": u32(0x19980330, 7, order="big"), "datap": u32(0, 0, 0, -1, 0, 0x400, order="big")},
        "capset({version=_LINUX_CAPABILITY_VERSION_1, pid=7}, {effective=0, permitted=0, inheritable=0})",
    ),
    (
        X64,
        "capset",
        {"hdrp": u32(5, 7), "datap": u32(0, 0, 0, -1, 0, 0x400)},
        "capset({version=0x5 /* _LINUX_CAPABILITY_VERSION_??? */, pid=7}, {effective=0, permitted=0, inheritable=0})",
    ),
    (
        X64,
        "capset",
        {"hdrp": u32(0x20080522, -1), "datap": 0},
        "capset({version=_LINUX_CAPABILITY_VERSION_3, pid=-1}, NULL)",
    ),
    (X64, "capset", {"hdrp": 0, "datap": u32(1, 2, 3)}, "capset(NULL, 0x102000)"),
    (X64, "capset", {"hdrp": 16, "datap": 16}, "capset(0x10, 0x10)"),
    (
        X86,
        "capset",
        {"hdrp": u32(0x19980330, 7), "datap": u32(0, 0, 0, -1, 0, 0x400)},
        "capset({version=_LINUX_CAPABILITY_VERSION_1, pid=7}, {effective=0, permitted=0, inheritable=0})",
    ),
    (
        X86,
        "capset",
        {"hdrp": u32(5, 7), "datap": u32(0x200000, 0, 0, 0, 0, 0)},
        "capset({version=0x5 /* _LINUX_CAPABILITY_VERSION_??? */, pid=7}, {effective=1<<CAP_SYS_ADMIN, permitted=0, inheritable=0})",
    ),
    (
        X86,
        "capset",
        {"hdrp": u32(0x20080522, -1), "datap": 0},
        "capset({version=_LINUX_CAPABILITY_VERSION_3, pid=-1}, NULL)",
    ),
    (X64, "getgroups", {"size": 5, "list": 16}, "getgroups(5, 0x10)"),
    (X64, "getresuid", {"ruid": 1, "euid": 2, "suid": 3}, "getresuid(0x1, 0x2, 0x3)"),
    (X64, "setfsuid", {"fsuid": 0}, "setfsuid(0)"),
    (X64, "setfsuid", {"fsuid": -1}, "setfsuid(-1)"),
    (X64, "setgid", {"gid": 0}, "setgid(0)"),
    (X64, "setgid", {"gid": -1}, "setgid(-1)"),
    (X64, "setgroups", {"size": 2, "list": u32(1, -1)}, "setgroups(2, [1, -1])"),
    (S390, "setgroups", {"size": 2, "list": u32(1, -1, order="big")}, "setgroups(2, [1, -1])"),
    (X64, "setgroups", {"size": 0, "list": u32(1, -1)}, "setgroups(0, [])"),
    (S390, "setgroups", {"size": 0, "list": u32(1, -1, order="big")}, "setgroups(0, [])"),
    (X64, "setgroups", {"size": 0, "list": 0}, "setgroups(0, NULL)"),
    (X64, "setgroups", {"size": -1, "list": u32(1, 2)}, "setgroups(-1, 0x102000)"),
    (X64, "setgroups", {"size": 3, "list": 16}, "setgroups(3, 0x10)"),
    (X86, "setgroups", {"size": 2, "list": u32(1, -1)}, "setgroups(2, [1, 0])"),
    (X86, "setgroups", {"size": 0, "list": u32(1, -1)}, "setgroups(0, [])"),
    (
        X86,
        "setgroups",
        {
            "size": 40,
            "list": u32(
                0,
                1,
                2,
                3,
                4,
                5,
                6,
                7,
                8,
                9,
                10,
                11,
                12,
                13,
                14,
                15,
                16,
                17,
                18,
                19,
                20,
                21,
                22,
                23,
                24,
                25,
                26,
                27,
                28,
                29,
                30,
                31,
                32,
                33,
                34,
                35,
                36,
                37,
                38,
                39,
                40,
                41,
                42,
                43,
                44,
                45,
                46,
                47,
                48,
                49,
                50,
                51,
                52,
                53,
                54,
                55,
                56,
                57,
                58,
                59,
                60,
                61,
                62,
                63,
            ),
        },
        "setgroups(40, [0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15, 0, ...])",
    ),
    (X86, "setgroups32", {"size": 2, "list": u32(7, -1)}, "setgroups32(2, [7, -1])"),
    (X86, "setresgid32", {"rgid": 0, "egid": 0, "sgid": 0}, "setresgid32(0, 0, 0)"),
    (X86, "setresgid32", {"rgid": -1, "egid": 0, "sgid": -1}, "setresgid32(-1, 0, -1)"),
    (X64, "setresuid", {"ruid": 0, "euid": 0, "suid": 0}, "setresuid(0, 0, 0)"),
    (X64, "setresuid", {"ruid": -1, "euid": -1, "suid": -1}, "setresuid(-1, -1, -1)"),
    (X64, "setreuid", {"ruid": 0, "euid": 0}, "setreuid(0, 0)"),
    (X64, "setreuid", {"ruid": -1, "euid": -1}, "setreuid(-1, -1)"),
    (X64, "setuid", {"uid": 0}, "setuid(0)"),
    (X64, "setuid", {"uid": -1}, "setuid(-1)"),
    (X86, "setuid32", {"uid": 0}, "setuid32(0)"),
    (X86, "setuid32", {"uid": -1}, "setuid32(-1)"),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_credentials_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
