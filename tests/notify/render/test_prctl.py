"""
Calls of the family ``prctl``: what strace 6.1 wrote when a program made them.

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
    (X64, "prctl", {"op": 1, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_PDEATHSIG, 0)"),
    (X64, "prctl", {"op": 1, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_PDEATHSIG, SIGHUP)"),
    (X64, "prctl", {"op": 1, "arg2": 2, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_PDEATHSIG, SIGINT)"),
    (X64, "prctl", {"op": 1, "arg2": 3, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_PDEATHSIG, SIGQUIT)"),
    (X64, "prctl", {"op": 1, "arg2": 5, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_PDEATHSIG, SIGTRAP)"),
    (X64, "prctl", {"op": 1, "arg2": 40, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_PDEATHSIG, SIGRT_8)"),
    (X64, "prctl", {"op": 2, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_PDEATHSIG, NULL)"),
    (X64, "prctl", {"op": 2, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_PDEATHSIG, 0x1)"),
    (X64, "prctl", {"op": 3, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_DUMPABLE)"),
    (X64, "prctl", {"op": 5, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_UNALIGN, NULL)"),
    (X64, "prctl", {"op": 5, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_UNALIGN, 0x1)"),
    (X64, "prctl", {"op": 6, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_UNALIGN, 0)"),
    (X64, "prctl", {"op": 7, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_KEEPCAPS)"),
    (X64, "prctl", {"op": 8, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_KEEPCAPS, 0)"),
    (X64, "prctl", {"op": 9, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_FPEMU, NULL)"),
    (X64, "prctl", {"op": 9, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_FPEMU, 0x1)"),
    (X64, "prctl", {"op": 10, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_FPEMU, 0)"),
    (X64, "prctl", {"op": 11, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_FPEXC, NULL)"),
    (X64, "prctl", {"op": 11, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_FPEXC, 0x1)"),
    (X64, "prctl", {"op": 12, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_FPEXC, 0)"),
    (X64, "prctl", {"op": 13, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_TIMING)"),
    (X64, "prctl", {"op": 14, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_TIMING, 0)"),
    (X64, "prctl", {"op": 15, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_NAME, NULL)"),
    (X64, "prctl", {"op": 15, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_NAME, 0x1)"),
    (X64, "prctl", {"op": 16, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_NAME, NULL)"),
    (X64, "prctl", {"op": 16, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_NAME, 0x1)"),
    (X64, "prctl", {"op": 19, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_ENDIAN, NULL)"),
    (X64, "prctl", {"op": 19, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_ENDIAN, 0x1)"),
    (X64, "prctl", {"op": 20, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_ENDIAN, 0)"),
    (X64, "prctl", {"op": 21, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_SECCOMP)"),
    (X64, "prctl", {"op": 23, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_CAPBSET_READ, CAP_CHOWN)"),
    (X64, "prctl", {"op": 23, "arg2": 3, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_CAPBSET_READ, CAP_FOWNER)"),
    (X64, "prctl", {"op": 23, "arg2": 5, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_CAPBSET_READ, CAP_KILL)"),
    (X64, "prctl", {"op": 24, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_CAPBSET_DROP, CAP_CHOWN)"),
    (X64, "prctl", {"op": 24, "arg2": 3, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_CAPBSET_DROP, CAP_FOWNER)"),
    (X64, "prctl", {"op": 24, "arg2": 5, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_CAPBSET_DROP, CAP_KILL)"),
    (X64, "prctl", {"op": 25, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_TSC, NULL)"),
    (X64, "prctl", {"op": 25, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_TSC, 0x1)"),
    (X64, "prctl", {"op": 26, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_TSC, PR_TSC_ENABLE)"),
    (X64, "prctl", {"op": 26, "arg2": 2, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_TSC, PR_TSC_SIGSEGV)"),
    (X64, "prctl", {"op": 27, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_SECUREBITS)"),
    (X64, "prctl", {"op": 28, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_SECUREBITS, 0)"),
    (X64, "prctl", {"op": 29, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_TIMERSLACK, 0)"),
    (X64, "prctl", {"op": 29, "arg2": -1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_TIMERSLACK, -1)"),
    (X64, "prctl", {"op": 30, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_TIMERSLACK)"),
    (X64, "prctl", {"op": 31, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_TASK_PERF_EVENTS_DISABLE)"),
    (X64, "prctl", {"op": 32, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_TASK_PERF_EVENTS_ENABLE)"),
    (X64, "prctl", {"op": 36, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_CHILD_SUBREAPER, 0)"),
    (X64, "prctl", {"op": 40, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_TID_ADDRESS, NULL)"),
    (X64, "prctl", {"op": 40, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_TID_ADDRESS, 0x1)"),
    (X64, "prctl", {"op": 45, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_FP_MODE, 0)"),
    (X64, "prctl", {"op": 46, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_FP_MODE)"),
    (X64, "prctl", {"op": 50, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SVE_SET_VL, 0)"),
    (X64, "prctl", {"op": 51, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SVE_GET_VL)"),
    (
        X64,
        "prctl",
        {"op": 60, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_PAC_SET_ENABLED_KEYS, 0, PR_PAC_APIAKEY, 0x2, 0x3)",
    ),
    (X64, "prctl", {"op": 63, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SME_SET_VL, 0)"),
    (X64, "prctl", {"op": 64, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SME_GET_VL)"),
    (
        X64,
        "prctl",
        {"op": 0x53564D41, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0x1, 2, 0x3)",
    ),
    (X64, "prctl", {"op": 0x59616D61, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_PTRACER, 0)"),
    (
        X64,
        "prctl",
        {"op": 0, "arg2": b"threadname-too-long\x00", "arg3": -1, "arg4": -2, "arg5": 0},
        "prctl(0 /* PR_??? */, 0x102000, 0xffffffffffffffff, 0xfffffffffffffffe, 0)",
    ),
    (X86, "prctl", {"op": 4, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)"),
    (X86, "prctl", {"op": 4, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_DUMPABLE, SUID_DUMP_USER)"),
    (X86, "prctl", {"op": 4, "arg2": 2, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_DUMPABLE, SUID_DUMP_ROOT)"),
    (
        X86,
        "prctl",
        {"op": 4, "arg2": 3, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_SET_DUMPABLE, 0x3 /* SUID_DUMP_??? */)",
    ),
    (X86, "prctl", {"op": 6, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_UNALIGN, PR_UNALIGN_NOPRINT)"),
    (X86, "prctl", {"op": 6, "arg2": 2, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_UNALIGN, PR_UNALIGN_SIGBUS)"),
    (
        X86,
        "prctl",
        {"op": 6, "arg2": 5, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_SET_UNALIGN, PR_UNALIGN_NOPRINT|0x4)",
    ),
    (X86, "prctl", {"op": 10, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_FPEMU, 0)"),
    (
        X86,
        "prctl",
        {"op": 22, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)",
    ),
    (X86, "prctl", {"op": 23, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_CAPBSET_READ, CAP_DAC_OVERRIDE)"),
    (
        X86,
        "prctl",
        {"op": 23, "arg2": 2, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_CAPBSET_READ, CAP_DAC_READ_SEARCH)",
    ),
    (X86, "prctl", {"op": 24, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)"),
    (
        X86,
        "prctl",
        {"op": 24, "arg2": 2, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH)",
    ),
    (X86, "prctl", {"op": 26, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_TSC, 0 /* PR_TSC_??? */)"),
    (X86, "prctl", {"op": 28, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)"),
    (X86, "prctl", {"op": 37, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_CHILD_SUBREAPER, NULL)"),
    (X86, "prctl", {"op": 37, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_GET_CHILD_SUBREAPER, 0x1)"),
    (
        X86,
        "prctl",
        {"op": 38, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_SET_NO_NEW_PRIVS, 0, 0x1, 0x2, 0x3)",
    ),
    (
        X86,
        "prctl",
        {"op": 39, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_GET_NO_NEW_PRIVS, 0, 0x1, 0x2, 0x3)",
    ),
    (
        X86,
        "prctl",
        {"op": 41, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_SET_THP_DISABLE, 0, 0x1, 0x2, 0x3)",
    ),
    (
        X86,
        "prctl",
        {"op": 42, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_GET_THP_DISABLE, 0, 0x1, 0x2, 0x3)",
    ),
    (X86, "prctl", {"op": 45, "arg2": 1, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_FP_MODE, PR_FP_MODE_FR)"),
    (X86, "prctl", {"op": 45, "arg2": 2, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_FP_MODE, PR_FP_MODE_FRE)"),
    (X86, "prctl", {"op": 45, "arg2": 5, "arg3": 1, "arg4": 2, "arg5": 3}, "prctl(PR_SET_FP_MODE, PR_FP_MODE_FR|0x4)"),
    (
        X86,
        "prctl",
        {"op": 54, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_PAC_RESET_KEYS, 0, 0x1, 0x2, 0x3)",
    ),
    (
        X86,
        "prctl",
        {"op": 57, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_SET_IO_FLUSHER, 0, 0x1, 0x2, 0x3)",
    ),
    (
        X86,
        "prctl",
        {"op": 58, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_GET_IO_FLUSHER, 0, 0x1, 0x2, 0x3)",
    ),
    (
        X86,
        "prctl",
        {"op": 60, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_PAC_SET_ENABLED_KEYS, 0, PR_PAC_APIAKEY, 0x2, 0x3)",
    ),
    (
        X86,
        "prctl",
        {"op": 0x53564D41, "arg2": 0, "arg3": 1, "arg4": 2, "arg5": 3},
        "prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0x1, 2, 0x3)",
    ),
    (
        X86,
        "prctl",
        {"op": 0, "arg2": b"threadname-too-long\x00", "arg3": -1, "arg4": -2, "arg5": 0},
        "prctl(0 /* PR_??? */, 0x102000, 0xffffffff, 0xfffffffe, 0)",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_prctl_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
