"""
Calls of the family ``tracing``: what strace 6.1 wrote when a program made them.

What it is not: by heart.  Each line was made in a process whose filter refuses every call, so that
what strace shows is what was asked for; those of s390x say the same from big-endian memory.
"""

# a line of strace's is as long as it is

from __future__ import annotations

import pytest

from monitor import testing
from monitor.abi.arch import Arch

X64 = Arch.X86_64
X86 = Arch.I386

CASES = [
    (X64, "ptrace", {"op": 0, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_TRACEME)"),
    (X64, "ptrace", {"op": 1, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_PEEKTEXT, 5, NULL, NULL)"),
    (X64, "ptrace", {"op": 1, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_PEEKTEXT, -1, 0x1, 0x9)"),
    (X64, "ptrace", {"op": 2, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_PEEKDATA, 5, NULL, NULL)"),
    (X64, "ptrace", {"op": 3, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_PEEKUSER, 5, 8*R15, NULL)"),
    (X64, "ptrace", {"op": 7, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_CONT, 5, NULL, 0)"),
    (X64, "ptrace", {"op": 7, "pid": 5, "addr": 61, "data": -1}, "ptrace(PTRACE_CONT, 5, 0x3d, -1)"),
    (X64, "ptrace", {"op": 8, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_KILL, 5)"),
    (X64, "ptrace", {"op": 8, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_KILL, -1)"),
    (X64, "ptrace", {"op": 9, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_SINGLESTEP, 5, NULL, 0)"),
    (X64, "ptrace", {"op": 12, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_GETREGS, 5, NULL)"),
    (X64, "ptrace", {"op": 12, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_GETREGS, -1, 0x9)"),
    (X64, "ptrace", {"op": 13, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_SETREGS, 5, NULL)"),
    (X64, "ptrace", {"op": 13, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_SETREGS, -1, 0x9)"),
    (X64, "ptrace", {"op": 14, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_GETFPREGS, 5, NULL)"),
    (X64, "ptrace", {"op": 14, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_GETFPREGS, -1, 0x9)"),
    (X64, "ptrace", {"op": 15, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_SETFPREGS, 5, NULL)"),
    (X64, "ptrace", {"op": 15, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_SETFPREGS, -1, 0x9)"),
    (X64, "ptrace", {"op": 16, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_ATTACH, 5)"),
    (X64, "ptrace", {"op": 16, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_ATTACH, -1)"),
    (X64, "ptrace", {"op": 17, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_DETACH, 5, NULL, 0)"),
    (X64, "ptrace", {"op": 17, "pid": 5, "addr": 61, "data": -1}, "ptrace(PTRACE_DETACH, 5, 0x3d, -1)"),
    (X64, "ptrace", {"op": 24, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_SYSCALL, 5, NULL, 0)"),
    (X64, "ptrace", {"op": 31, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_SYSEMU, 5, NULL, 0)"),
    (X64, "ptrace", {"op": 31, "pid": 5, "addr": 61, "data": -1}, "ptrace(PTRACE_SYSEMU, 5, 0x3d, -1)"),
    (X64, "ptrace", {"op": 0x4206, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_SEIZE, 5, NULL, 0)"),
    (X64, "ptrace", {"op": 0x4207, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_INTERRUPT, 5)"),
    (X64, "ptrace", {"op": 0x4207, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_INTERRUPT, -1)"),
    (X64, "ptrace", {"op": 0x4208, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_LISTEN, 5)"),
    (X64, "ptrace", {"op": 0x4208, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_LISTEN, -1)"),
    (X86, "ptrace", {"op": 0, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_TRACEME)"),
    (X86, "ptrace", {"op": 2, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_PEEKDATA, -1, 0x1, 0x9)"),
    (X86, "ptrace", {"op": 4, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_POKETEXT, 5, NULL, NULL)"),
    (X86, "ptrace", {"op": 4, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_POKETEXT, -1, 0x1, 0x9)"),
    (X86, "ptrace", {"op": 5, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_POKEDATA, 5, NULL, NULL)"),
    (X86, "ptrace", {"op": 5, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_POKEDATA, -1, 0x1, 0x9)"),
    (X86, "ptrace", {"op": 7, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_CONT, 5, NULL, 0)"),
    (X86, "ptrace", {"op": 7, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_CONT, -1, 0x1, SIGKILL)"),
    (X86, "ptrace", {"op": 9, "pid": 5, "addr": 61, "data": -1}, "ptrace(PTRACE_SINGLESTEP, 5, 0x3d, -1)"),
    (X86, "ptrace", {"op": 12, "pid": 5, "addr": 61, "data": -1}, "ptrace(PTRACE_GETREGS, 5, 0xffffffff)"),
    (X86, "ptrace", {"op": 13, "pid": 5, "addr": 61, "data": -1}, "ptrace(PTRACE_SETREGS, 5, 0xffffffff)"),
    (X86, "ptrace", {"op": 17, "pid": -1, "addr": 1, "data": 9}, "ptrace(PTRACE_DETACH, -1, 0x1, SIGKILL)"),
    (X86, "ptrace", {"op": 24, "pid": 5, "addr": 61, "data": -1}, "ptrace(PTRACE_SYSCALL, 5, 0x3d, -1)"),
    (X86, "ptrace", {"op": 33, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_SINGLEBLOCK, 5, NULL, 0)"),
    (X86, "ptrace", {"op": 0x420A, "pid": 5, "addr": 0, "data": 0}, "ptrace(PTRACE_GETSIGMASK, 5, 0, NULL)"),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_tracing_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
