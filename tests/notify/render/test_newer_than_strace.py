"""
What strace 6.1 does not know or shows only when a call is over, written in its manner.

What it is not: compared with strace; the values are those of the kernel's headers.
"""

from __future__ import annotations

import time

import pytest

from monitor import testing
from monitor.abi.arch import Arch
from tests.notify.render.packed import u32, u64

X64 = Arch.X86_64
X86 = Arch.I386
S390 = Arch.S390X

TIMEX = (
    "adjtimex({modes=ADJ_OFFSET|ADJ_SETOFFSET, offset=2, freq=3, maxerror=4, esterror=5, status=STA_PLL, constant=7, "
    "precision=8, tolerance=9, time={tv_sec=10, tv_usec=11}, tick=12, ppsfreq=13, jitter=14, shift=15, stabil=16, "
    "jitcnt=17, calcnt=18, errcnt=19, stbcnt=20, tai=21})"
)

CASES = [
    # The waiters of futex_requeue(2) are always two.
    (
        X64,
        "futex_requeue",
        {"waiters": u64(1, 0x1000) + u32(2, 0) + u64(2, 0x2000) + u32(0x80, 0) + u64(3, 3, 3), "nr_wake": 1},
        (
            "futex_requeue([{val=0x1, uaddr=0x1000, flags=FUTEX_32}, "
            "{val=0x2, uaddr=0x2000, flags=FUTEX_PRIVATE_FLAG}], FUTEX2_SIZE_U8, 1, 0)"
        ),
    ),
    (
        X86,
        "futex_wait",
        {"uaddr": 0x1000, "val": 255, "mask": 0xFFFFFFFF, "flags": 0x82, "timeout": u64(1, 2), "clockid": 1},
        (
            "futex_wait(0x1000, 0xff, FUTEX_BITSET_MATCH_ANY, FUTEX2_SIZE_U32|FUTEX2_PRIVATE, {tv_sec=1, tv_nsec=2}, "
            "CLOCK_MONOTONIC)"
        ),
    ),
    (X64, "futex_wake", {"uaddr": 0, "mask": 5, "nr": 1, "flags": 2}, "futex_wake(NULL, 0x5, 1, FUTEX2_SIZE_U32)"),
    (X64, "mseal", {"addr": 0x1000, "len": 4096, "flags": 17}, "mseal(0x1000, 4096, 0x11)"),
    # strace reads what stime(2) and adjtimex(2) are given when they return, and so after what is asked here.
    (X86, "stime", {"tptr": u32(-1)}, "stime([-1 /* 1969-12-31T23:59:59+0000 */])"),
    (X86, "stime", {"tptr": u32(0)}, "stime([0])"),
    (
        X64,
        "adjtimex",
        {
            "buf": u32(0x101, 0)
            + u64(2, 3, 4, 5)
            + u32(1, 0)
            + u64(*range(7, 15))
            + u32(15, 0)
            + u64(*range(16, 21))
            + u32(21)
            + bytes(44)
        },
        TIMEX,
    ),
    (X86, "adjtimex", {"buf": u32(0x101, 2, 3, 4, 5, 1, *range(7, 22)) + bytes(44)}, TIMEX),
    (
        S390,
        "adjtimex",
        {
            "buf": u32(0x101, 0, order="big")
            + u64(2, 3, 4, 5, order="big")
            + u32(1, 0, order="big")
            + u64(*range(7, 15), order="big")
            + u32(15, 0, order="big")
            + u64(*range(16, 21), order="big")
            + u32(21, order="big")
            + bytes(44)
        },
        TIMEX,
    ),
    (
        X86,
        "clock_adjtime64",
        {
            "clk_id": 0,
            "buf": u32(0x101, 0)
            + u64(2, 3, 4, 5)
            + u32(1, 0)
            + u64(*range(7, 15))
            + u32(15, 0)
            + u64(*range(16, 21))
            + u32(21)
            + bytes(44),
        },
        TIMEX.replace("adjtimex(", "clock_adjtime64(CLOCK_REALTIME, "),
    ),
    # A struct that cannot be read whole is its address.
    (X64, "adjtimex", {"buf": bytes(207)}, "adjtimex(0x102000)"),
    # On 64-bit programs landlock and clone3 are as in the headers of Linux 7.2, and so are the newer flags.
    (
        X64,
        "clone3",
        {"cl_args": u64(1 << 37, 0, 0, 0, 0, 0, 0, 0), "size": 64},
        "clone3({flags=CLONE_EMPTY_MNTNS, exit_signal=0, stack=NULL, stack_size=0}, 64)",
    ),
    (
        X64,
        "landlock_create_ruleset",
        {"attr": u64(1, 2, 3, 0), "size": 32},
        (
            "landlock_create_ruleset({handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE, "
            "handled_access_net=LANDLOCK_ACCESS_NET_CONNECT_TCP, "
            "scoped=LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET|LANDLOCK_SCOPE_SIGNAL, ...}, 32, 0)"
        ),
    ),
    # SIG_ERR, which strace has for 64 bits only.
    (X86, "signal", {"signum": 2, "handler": -1}, "signal(SIGINT, SIG_ERR)"),
    # i386's own offsets in struct user, where strace for x86_64 has those of x86_64.
    (X86, "ptrace", {"op": 6, "pid": 5, "addr": 48, "data": 1}, "ptrace(PTRACE_POKEUSER, 5, 4*EIP, 0x1)"),
]


@pytest.fixture(autouse=True)
def _universal_time(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC0")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_in_the_manner_of_strace(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected


def test_the_thread_local_storage_of_i386_is_a_descriptor():
    made = testing.call("clone", Arch.I386, flags=0x80000, tls=u32(6, 0x1234, 0xFFFFF, 0x51))
    shown = "entry_number=6, base_addr=0x001234, limit=0x0fffff, seg_32bit=1, contents=0, read_exec_only=0"
    assert str(made).startswith(f"clone(child_stack=NULL, flags=CLONE_SETTLS, tls={{{shown}, limit_in_pages=1, ")
