"""
Calls of the family ``siginfo``: what strace 6.1 wrote when a program made them.

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
        X86,
        "pidfd_send_signal",
        {"pidfd": 1, "sig": 3, "info": u32(3, 0, -1, 0, 5, 6, 7, 8) + bytes(96), "flags": 0},
        "pidfd_send_signal(1, SIGQUIT, {si_signo=SIGQUIT, si_code=SI_QUEUE, si_pid=0, si_uid=5, si_int=6, si_ptr=0x6}, 0)",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 0, "info": u32(0, 0, 0, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, 0, {})",
    ),
    (
        S390,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 0, "info": u32(0, 0, 0, 0, order="big") + u32(0, 0, 0, 0, 0, 0, 0, order="big") + bytes(84)},
        "rt_sigqueueinfo(1, 0, {})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 1, "info": u32(1, 0, 1, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGHUP, {si_signo=SIGHUP, si_code=0x1})",
    ),
    (
        S390,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 1, "info": u32(1, 0, 1, 0, order="big") + u32(0, 0, 0, 0, 0, 0, 0, order="big") + bytes(84)},
        "rt_sigqueueinfo(1, SIGHUP, {si_signo=SIGHUP, si_code=0x1})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 1, "info": u32(1, 0, 128, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGHUP, {si_signo=SIGHUP, si_code=SI_KERNEL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 2, "info": u32(2, 0, 1, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGINT, {si_signo=SIGINT, si_code=0x1})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 2, "info": u32(2, 0, 128, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGINT, {si_signo=SIGINT, si_code=SI_KERNEL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 4, "info": u32(4, 0, 77, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGILL, {si_signo=SIGILL, si_code=0x4d, si_addr=NULL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 5, "info": u32(5, 0, 77, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGTRAP, {si_signo=SIGTRAP, si_code=0x4d, si_addr=NULL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 7, "info": u32(7, 0, 6, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGBUS, {si_signo=SIGBUS, si_code=0x6, si_addr=NULL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 8, "info": u32(8, 0, 77, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGFPE, {si_signo=SIGFPE, si_code=0x4d, si_addr=NULL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 11, "info": u32(11, 0, 77, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGSEGV, {si_signo=SIGSEGV, si_code=0x4d, si_addr=NULL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 29, "info": u32(29, 0, 128, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGIO, {si_signo=SIGIO, si_code=SI_KERNEL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 29, "info": u32(29, 0, 77, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGIO, {si_signo=SIGIO, si_code=0x4d})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 34, "info": u32(34, 0, 1, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGRT_2, {si_signo=SIGRT_2, si_code=0x1})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 34, "info": u32(34, 0, 128, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, SIGRT_2, {si_signo=SIGRT_2, si_code=SI_KERNEL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": -1, "info": u32(-1, 0, 0, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, -1, {si_signo=-1, si_code=SI_USER, si_pid=0, si_uid=0})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": -1, "info": u32(-1, 0, 1, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, -1, {si_signo=-1, si_code=0x1})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": -1, "info": u32(-1, 0, -1, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, -1, {si_signo=-1, si_code=SI_QUEUE, si_pid=0, si_uid=0})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": -1, "info": u32(-1, 0, -3, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, -1, {si_signo=-1, si_code=SI_MESGQ, si_pid=0, si_uid=0})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": -1, "info": u32(-1, 0, 128, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, -1, {si_signo=-1, si_code=SI_KERNEL})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 77, "info": u32(77, 0, 0, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, 77, {si_signo=77, si_code=SI_USER, si_pid=0, si_uid=0})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 77, "info": u32(77, 0, 1, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, 77, {si_signo=77, si_code=0x1})",
    ),
    (
        X64,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 77, "info": u32(77, 0, 128, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(84)},
        "rt_sigqueueinfo(1, 77, {si_signo=77, si_code=SI_KERNEL})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 0, "info": u32(0, 5, 0) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, 0, {})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 1, "info": u32(1, 5, 1) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, SIGHUP, {si_signo=SIGHUP, si_code=0x1, si_errno=EIO})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 1, "info": u32(1, 5, 128) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, SIGHUP, {si_signo=SIGHUP, si_code=SI_KERNEL, si_errno=EIO})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 2, "info": u32(2, 5, 1) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, SIGINT, {si_signo=SIGINT, si_code=0x1, si_errno=EIO})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 2, "info": u32(2, 5, 128) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, SIGINT, {si_signo=SIGINT, si_code=SI_KERNEL, si_errno=EIO})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 29, "info": u32(29, 5, 77) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, SIGIO, {si_signo=SIGIO, si_code=0x4d, si_errno=EIO})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 34, "info": u32(34, 5, 1) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, SIGRT_2, {si_signo=SIGRT_2, si_code=0x1, si_errno=EIO})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": -1, "info": u32(-1, 5, 1) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, -1, {si_signo=-1, si_code=0x1, si_errno=EIO})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": -1, "info": u32(-1, 5, 128) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, -1, {si_signo=-1, si_code=SI_KERNEL, si_errno=EIO})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 77, "info": u32(77, 5, 1) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, 77, {si_signo=77, si_code=0x1, si_errno=EIO})",
    ),
    (
        X86,
        "rt_sigqueueinfo",
        {"tgid": 1, "sig": 77, "info": u32(77, 5, 128) + u32(0, 0, 0, 0, 0, 0, 0) + bytes(88)},
        "rt_sigqueueinfo(1, 77, {si_signo=77, si_code=SI_KERNEL, si_errno=EIO})",
    ),
    (X64, "rt_tgsigqueueinfo", {"tgid": 1, "tid": 2, "sig": 3, "info": 16}, "rt_tgsigqueueinfo(1, 2, SIGQUIT, 0x10)"),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_siginfo_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
