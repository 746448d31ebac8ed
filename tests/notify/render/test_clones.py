"""
Calls of the family ``clones``: what strace 6.1 wrote when a program made them.

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
        "clone",
        {"flags": 17, "stack": 0x1000, "parent_tid": 4, "child_tid": 5, "tls": 6},
        "clone(child_stack=0x1000, flags=SIGCHLD)",
    ),
    (X64, "clone", {"flags": 17, "tls": u32(6, 0x1234, 0xFFFFF, 81)}, "clone(child_stack=NULL, flags=SIGCHLD)"),
    (
        S390,
        "clone",
        {"flags": 17, "tls": u32(6, 0x1234, 0xFFFFF, 81, order="big")},
        "clone(child_stack=NULL, flags=SIGCHLD)",
    ),
    (
        X64,
        "clone",
        {"flags": 0, "stack": 0x1000, "parent_tid": 4, "child_tid": 5, "tls": 6},
        "clone(child_stack=0x1000, flags=0)",
    ),
    (X64, "clone", {"flags": 0, "tls": u32(6, 0x1234, 0xFFFFF, 81)}, "clone(child_stack=NULL, flags=0)"),
    (S390, "clone", {"flags": 0, "tls": u32(6, 0x1234, 0xFFFFF, 81, order="big")}, "clone(child_stack=NULL, flags=0)"),
    (X64, "clone", {"flags": 256, "tls": u32(6, 0x1234, 0xFFFFF, 81)}, "clone(child_stack=NULL, flags=CLONE_VM)"),
    (X64, "clone", {"flags": 512, "tls": u32(6, 0x1234, 0xFFFFF, 81)}, "clone(child_stack=NULL, flags=CLONE_FS)"),
    (
        X64,
        "clone",
        {"flags": 768, "tls": u32(6, 0x1234, 0xFFFFF, 81)},
        "clone(child_stack=NULL, flags=CLONE_VM|CLONE_FS)",
    ),
    (
        X64,
        "clone",
        {"flags": 0x1200011, "tls": u32(6, 0x1234, 0xFFFFF, 81)},
        "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=NULL)",
    ),
    (
        X64,
        "clone",
        {"flags": 0x80000, "tls": u32(6, 0x1234, 0xFFFFF, 81)},
        "clone(child_stack=NULL, flags=CLONE_SETTLS, tls=0x102000)",
    ),
    (
        X64,
        "clone",
        {"flags": 0x1000, "tls": u32(6, 0x1234, 0xFFFFF, 81)},
        "clone(child_stack=NULL, flags=CLONE_PIDFD, parent_tid=NULL)",
    ),
    (
        X64,
        "clone",
        {"flags": 0x80000100, "tls": u32(6, 0x1234, 0xFFFFF, 81)},
        "clone(child_stack=NULL, flags=CLONE_VM|CLONE_IO)",
    ),
    (
        X64,
        "clone",
        {"flags": 18, "stack": 0x1000, "parent_tid": 4, "child_tid": 5, "tls": 6},
        "clone(child_stack=0x1000, flags=SIGCONT)",
    ),
    (X64, "clone", {"flags": 18, "tls": u32(6, 0x1234, 0xFFFFF, 81)}, "clone(child_stack=NULL, flags=SIGCONT)"),
    (X64, "clone", {"flags": 64, "tls": u32(6, 0x1234, 0xFFFFF, 81)}, "clone(child_stack=NULL, flags=SIGRT_32)"),
    (X86, "clone", {"flags": 0, "tls": u32(6, 0x1234, 0xFFFFF, 81)}, "clone(child_stack=NULL, flags=0)"),
    (
        X86,
        "clone",
        {"flags": 256, "stack": 0x1000, "parent_tid": 4, "child_tid": 5, "tls": 6},
        "clone(child_stack=0x1000, flags=CLONE_VM)",
    ),
    (
        X86,
        "clone",
        {"flags": 512, "stack": 0x1000, "parent_tid": 4, "child_tid": 5, "tls": 6},
        "clone(child_stack=0x1000, flags=CLONE_FS)",
    ),
    (
        X86,
        "clone",
        {"flags": 0x1200011, "tls": u32(6, 0x1234, 0xFFFFF, 81)},
        "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=NULL)",
    ),
    (
        X86,
        "clone",
        {"flags": 0x80000, "stack": 0x1000, "parent_tid": 4, "child_tid": 5, "tls": 6},
        "clone(child_stack=0x1000, flags=CLONE_SETTLS, tls=0x6)",
    ),
    (
        X86,
        "clone",
        {"flags": 0x1000, "tls": u32(6, 0x1234, 0xFFFFF, 81)},
        "clone(child_stack=NULL, flags=CLONE_PIDFD, parent_tid=NULL)",
    ),
    (
        X86,
        "clone",
        {"flags": 64, "stack": 0x1000, "parent_tid": 4, "child_tid": 5, "tls": 6},
        "clone(child_stack=0x1000, flags=SIGRT_32)",
    ),
    (
        X64,
        "clone3",
        {"cl_args": u64(0x1D1000, 1, 2, 3, 17, 0x4000, 0x5000, 0x6000, 0x102058, 0, 77) + bytes(100), "size": 64},
        "clone3({flags=CLONE_PIDFD|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|CLONE_PARENT_SETTID, pidfd=0x1, parent_tid=0x3, exit_signal=SIGCHLD, stack=0x4000, stack_size=0x5000, tls=0x6000}, 64)",
    ),
    (
        S390,
        "clone3",
        {
            "cl_args": u64(0x1D1000, 1, 2, 3, 17, 0x4000, 0x5000, 0x6000, 0x102058, 0, 77, order="big") + bytes(100),
            "size": 64,
        },
        "clone3({flags=CLONE_PIDFD|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|CLONE_PARENT_SETTID, pidfd=0x1, parent_tid=0x3, exit_signal=SIGCHLD, stack=0x4000, stack_size=0x5000, tls=0x6000}, 64)",
    ),
    (
        X64,
        "clone3",
        {"cl_args": u64(0x200000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) + bytes(7) + b"\x01" + bytes(100), "size": 64},
        "clone3({flags=CLONE_INTO_CGROUP, exit_signal=0, stack=NULL, stack_size=0}, 64)",
    ),
    (
        S390,
        "clone3",
        {
            "cl_args": u64(0x200000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, order="big") + bytes(7) + b"\x01" + bytes(100),
            "size": 64,
        },
        "clone3({flags=CLONE_INTO_CGROUP, exit_signal=0, stack=NULL, stack_size=0}, 64)",
    ),
    (
        X64,
        "clone3",
        {"cl_args": u64(0x1D1000, 1, 2, 3, 17, 0x4000, 0x5000, 0x6000, 0x102058, 0, 77) + bytes(100), "size": 72},
        "clone3({flags=CLONE_PIDFD|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|CLONE_PARENT_SETTID, pidfd=0x1, parent_tid=0x3, exit_signal=SIGCHLD, stack=0x4000, stack_size=0x5000, tls=0x6000, set_tid=0x102058, set_tid_size=0}, 72)",
    ),
    (
        X64,
        "clone3",
        {"cl_args": u64(0x1D1000, 1, 2, 3, 17, 0x4000, 0x5000, 0x6000, 0x102058, 0, 77) + bytes(100), "size": 88},
        "clone3({flags=CLONE_PIDFD|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|CLONE_PARENT_SETTID, pidfd=0x1, parent_tid=0x3, exit_signal=SIGCHLD, stack=0x4000, stack_size=0x5000, tls=0x6000, set_tid=0x102058, set_tid_size=0, cgroup=77}, 88)",
    ),
    (
        X64,
        "clone3",
        {"cl_args": u64(0x200000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) + bytes(7) + b"\x01" + bytes(100), "size": 88},
        "clone3({flags=CLONE_INTO_CGROUP, exit_signal=0, stack=NULL, stack_size=0, cgroup=0}, 88)",
    ),
    (
        X64,
        "clone3",
        {"cl_args": u64(0x200000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) + bytes(7) + b"\x01" + bytes(100), "size": 96},
        'clone3({flags=CLONE_INTO_CGROUP, exit_signal=0, stack=NULL, stack_size=0, cgroup=0, /* bytes 88..95 */ "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01"}, 96)',
    ),
    (
        X64,
        "clone3",
        {"cl_args": u64(0, 0, 0, 0, 0x200000000, 0, 0, 0, 0x102058, 2, 0) + u32(5, 6, 7, 8), "size": 88},
        "clone3({flags=0, exit_signal=8589934592, stack=NULL, stack_size=0, set_tid=[5, 6], set_tid_size=2}, 88)",
    ),
    (
        X64,
        "clone3",
        {"cl_args": u64(0, 0, 0, 0, 65, 0, 0, 0, 0x102058, 33, 0) + u32(5, 6, 7, 8), "size": 88},
        "clone3({flags=0, exit_signal=65, stack=NULL, stack_size=0, set_tid=0x102058, set_tid_size=33}, 88)",
    ),
    (
        X64,
        "clone3",
        {
            "cl_args": u64(0x80000, 0, 0, 0, 0x7FFFFFFF, 0, 0, 0x102058, 0, 2, 0) + u32(6, 0x1234, 0xFFFFF, 81),
            "size": 88,
        },
        "clone3({flags=CLONE_SETTLS, exit_signal=2147483647, stack=NULL, stack_size=0, tls=0x102058, set_tid=NULL, set_tid_size=2}, 88)",
    ),
    (
        X64,
        "clone3",
        {
            "cl_args": u64(0x80000, 0, 0, 0, 0x7FFFFFFE, 0, 0, 0x102000, 5, 0, 0) + u32(6, 0x1234, 0xFFFFF, 81),
            "size": 88,
        },
        "clone3({flags=CLONE_SETTLS, exit_signal=2147483646, stack=NULL, stack_size=0, tls=0x102000, set_tid=0x5, set_tid_size=0}, 88)",
    ),
    (X64, "clone3", {"cl_args": 16, "size": 88}, "clone3(0x10, 88)"),
    (X64, "clone3", {"cl_args": 0, "size": 88}, "clone3(NULL, 88)"),
    (
        X86,
        "clone3",
        {"cl_args": u64(0x200000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) + bytes(7) + b"\x01" + bytes(100), "size": 64},
        "clone3({flags=CLONE_INTO_CGROUP, exit_signal=0, stack=NULL, stack_size=0}, 64)",
    ),
    (
        X86,
        "clone3",
        {"cl_args": u64(0x200000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) + bytes(7) + b"\x01" + bytes(100), "size": 128},
        'clone3({flags=CLONE_INTO_CGROUP, exit_signal=0, stack=NULL, stack_size=0, cgroup=0, /* bytes 88..127 */ "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"...}, 128)',
    ),
    (
        X86,
        "clone3",
        {
            "cl_args": u64(0x80000, 0, 0, 0, 0x7FFFFFFF, 0, 0, 0x102058, 0, 2, 0) + u32(6, 0x1234, 0xFFFFF, 81),
            "size": 88,
        },
        "clone3({flags=CLONE_SETTLS, exit_signal=2147483647, stack=NULL, stack_size=0, tls={entry_number=6, base_addr=0x001234, limit=0x0fffff, seg_32bit=1, contents=0, read_exec_only=0, limit_in_pages=1, seg_not_present=0, useable=1}, set_tid=NULL, set_tid_size=2}, 88)",
    ),
    (
        X86,
        "clone3",
        {
            "cl_args": u64(0x80000, 0, 0, 0, 0x7FFFFFFE, 0, 0, 0x102000, 5, 0, 0) + u32(6, 0x1234, 0xFFFFF, 81),
            "size": 88,
        },
        "clone3({flags=CLONE_SETTLS, exit_signal=2147483646, stack=NULL, stack_size=0, tls={entry_number=524288, base_addr=00000000, limit=00000000, seg_32bit=0, contents=0, read_exec_only=0, limit_in_pages=0, seg_not_present=0, useable=0}, set_tid=0x5, set_tid_size=0}, 88)",
    ),
    (X64, "fork", {}, "fork()"),
    (X64, "setns", {"fd": 3, "nstype": 0x10000000}, "setns(3, CLONE_NEWUSER)"),
    (
        X64,
        "setns",
        {"fd": 3, "nstype": 0x7E020000},
        "setns(3, CLONE_NEWNS|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNET)",
    ),
    (X64, "setns", {"fd": 3, "nstype": 0}, "setns(3, 0)"),
    (X64, "setns", {"fd": 3, "nstype": 1}, "setns(3, 0x1 /* CLONE_NEW??? */)"),
    (
        X64,
        "setns",
        {"fd": 3, "nstype": -1},
        "setns(3, CLONE_NEWTIME|CLONE_NEWNS|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNET|0x81fdff7f)",
    ),
    (X64, "setns", {"fd": 3, "nstype": 128}, "setns(3, CLONE_NEWTIME)"),
    (X86, "setns", {"fd": 3, "nstype": 128}, "setns(3, CLONE_NEWTIME)"),
    (X64, "unshare", {"flags": 0x10000000}, "unshare(CLONE_NEWUSER)"),
    (
        X64,
        "unshare",
        {"flags": 0x7E020000},
        "unshare(CLONE_NEWNS|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNET)",
    ),
    (X64, "unshare", {"flags": 0}, "unshare(0)"),
    (X64, "unshare", {"flags": 1}, "unshare(0x1 /* CLONE_??? */)"),
    (X64, "unshare", {"flags": 128}, "unshare(CLONE_NEWTIME)"),
    (
        X86,
        "unshare",
        {"flags": -1},
        "unshare(CLONE_NEWTIME|CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_NEWNS|CLONE_SYSVSEM|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNET|0x81f8f07f)",
    ),
    (X86, "unshare", {"flags": 128}, "unshare(CLONE_NEWTIME)"),
    (X64, "vfork", {}, "vfork()"),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_clones_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
