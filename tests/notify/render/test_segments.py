"""
Calls of the family ``segments``: what strace 6.1 wrote when a program made them.

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

CASES = [
    (X64, "arch_prctl", {"op": 0x1001, "addr": 0}, "arch_prctl(ARCH_SET_GS, 0)"),
    (X64, "arch_prctl", {"op": 0x1002, "addr": 0}, "arch_prctl(ARCH_SET_FS, 0)"),
    (X64, "arch_prctl", {"op": 0x1003, "addr": 0}, "arch_prctl(ARCH_GET_FS, NULL)"),
    (X64, "arch_prctl", {"op": 0x1004, "addr": 0}, "arch_prctl(ARCH_GET_GS, NULL)"),
    (X64, "arch_prctl", {"op": 0x1011, "addr": 0}, "arch_prctl(ARCH_GET_CPUID)"),
    (X64, "arch_prctl", {"op": 5, "addr": 0}, "arch_prctl(0x5 /* ARCH_??? */, 0)"),
    (X86, "arch_prctl", {"op": 0x1001, "addr": 0}, "arch_prctl(ARCH_SET_GS, 0)"),
    (X86, "arch_prctl", {"op": 0x1011, "addr": 0}, "arch_prctl(ARCH_GET_CPUID)"),
    (X86, "arch_prctl", {"op": 0x1012, "addr": 0}, "arch_prctl(ARCH_SET_CPUID, 0)"),
    (X86, "get_thread_area", {"u_info": u32(12, 0x1234, 0xFFFFF, 81)}, "get_thread_area({entry_number=12, ...})"),
    (
        X64,
        "modify_ldt",
        {"func": 1, "ptr": u32(5, 0, 0xFFFFFFFF, 255), "bytecount": 16},
        "modify_ldt(1, {entry_number=5, base_addr=00000000, limit=0xffffffff, seg_32bit=1, contents=3, read_exec_only=1, limit_in_pages=1, seg_not_present=1, useable=1, lm=1}, 16)",
    ),
    (X64, "modify_ldt", {"func": 1, "ptr": u32(5, 0, 0xFFFFFFFF, 255), "bytecount": 8}, "modify_ldt(1, 0x102000, 8)"),
    (
        X86,
        "modify_ldt",
        {"func": 1, "ptr": u32(5, 0, 0xFFFFFFFF, 255), "bytecount": 16},
        "modify_ldt(1, {entry_number=5, base_addr=00000000, limit=0xffffffff, seg_32bit=1, contents=3, read_exec_only=1, limit_in_pages=1, seg_not_present=1, useable=1}, 16)",
    ),
    (X86, "modify_ldt", {"func": 1, "ptr": u32(5, 0, 0xFFFFFFFF, 255), "bytecount": 8}, "modify_ldt(1, 0x102000, 8)"),
    (
        X86,
        "set_thread_area",
        {"u_info": u32(-1, 0x1234, 0xFFFFF, 81)},
        "set_thread_area({entry_number=-1, base_addr=0x001234, limit=0x0fffff, seg_32bit=1, contents=0, read_exec_only=0, limit_in_pages=1, seg_not_present=0, useable=1})",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_segments_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
