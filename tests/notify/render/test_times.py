"""
Calls of the family ``times``: what strace 6.1 wrote when a program made them.

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
    (X64, "alarm", {"seconds": -1}, "alarm(4294967295)"),
    (X64, "clock_gettime", {"clockid": -6, "tp": 5}, "clock_gettime(0xfffffffa /* CLOCK_??? */, 0x5)"),
    (
        X64,
        "clock_nanosleep",
        {"clockid": 0, "flags": 1, "t": u64(1, 2), "remain": 16},
        "clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, {tv_sec=1, tv_nsec=2}, 0x10)",
    ),
    (
        S390,
        "clock_nanosleep",
        {"clockid": 0, "flags": 1, "t": u64(1, 2, order="big"), "remain": 16},
        "clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, {tv_sec=1, tv_nsec=2}, 0x10)",
    ),
    (
        X64,
        "clock_nanosleep",
        {"clockid": 0, "flags": 3, "t": u64(1, 2), "remain": 16},
        "clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME|0x2, {tv_sec=1, tv_nsec=2}, 0x10)",
    ),
    (
        S390,
        "clock_nanosleep",
        {"clockid": 0, "flags": 3, "t": u64(1, 2, order="big"), "remain": 16},
        "clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME|0x2, {tv_sec=1, tv_nsec=2}, 0x10)",
    ),
    (
        X86,
        "clock_nanosleep_time64",
        {"clockid": 1, "flags": 1, "t": u64(1, -2)},
        "clock_nanosleep_time64(CLOCK_MONOTONIC, TIMER_ABSTIME, {tv_sec=1, tv_nsec=18446744073709551614}, NULL)",
    ),
    (X64, "clock_settime", {"clockid": 1, "tp": u64(1, 5)}, "clock_settime(CLOCK_MONOTONIC, {tv_sec=1, tv_nsec=5})"),
    (
        S390,
        "clock_settime",
        {"clockid": 1, "tp": u64(1, 5, order="big")},
        "clock_settime(CLOCK_MONOTONIC, {tv_sec=1, tv_nsec=5})",
    ),
    (
        X64,
        "clock_settime",
        {"clockid": 77, "tp": u64(1, 5)},
        "clock_settime(0x4d /* CLOCK_??? */, {tv_sec=1, tv_nsec=5})",
    ),
    (
        S390,
        "clock_settime",
        {"clockid": 77, "tp": u64(1, 5, order="big")},
        "clock_settime(0x4d /* CLOCK_??? */, {tv_sec=1, tv_nsec=5})",
    ),
    (
        X86,
        "clock_settime64",
        {"clockid": 3, "tp": u64(1, 2)},
        "clock_settime64(CLOCK_THREAD_CPUTIME_ID, {tv_sec=1, tv_nsec=2})",
    ),
    (X64, "gettimeofday", {"tv": 5, "tz": 6}, "gettimeofday(0x5, 0x6)"),
    (
        X64,
        "mq_timedreceive",
        {"mqdes": 3, "msg_ptr": 16, "msg_len": 5, "msg_prio": 32, "abs_timeout": u64(1, 2)},
        "mq_timedreceive(3, 0x10, 5, 0x20, {tv_sec=1, tv_nsec=2})",
    ),
    (
        S390,
        "mq_timedreceive",
        {"mqdes": 3, "msg_ptr": 16, "msg_len": 5, "msg_prio": 32, "abs_timeout": u64(1, 2, order="big")},
        "mq_timedreceive(3, 0x10, 5, 0x20, {tv_sec=1, tv_nsec=2})",
    ),
    (
        X64,
        "mq_timedsend",
        {"mqdes": 3, "msg_ptr": b"hello", "msg_len": 5, "msg_prio": -1, "abs_timeout": u64(1, 2)},
        'mq_timedsend(3, "hello", 5, 4294967295, {tv_sec=1, tv_nsec=2})',
    ),
    (
        S390,
        "mq_timedsend",
        {"mqdes": 3, "msg_ptr": b"hello", "msg_len": 5, "msg_prio": -1, "abs_timeout": u64(1, 2, order="big")},
        'mq_timedsend(3, "hello", 5, 4294967295, {tv_sec=1, tv_nsec=2})',
    ),
    (X64, "nanosleep", {"duration": u64(1, 5)}, "nanosleep({tv_sec=1, tv_nsec=5}, NULL)"),
    (S390, "nanosleep", {"duration": u64(1, 5, order="big")}, "nanosleep({tv_sec=1, tv_nsec=5}, NULL)"),
    (X64, "nanosleep", {"duration": 16}, "nanosleep(0x10, NULL)"),
    (X64, "nanosleep", {}, "nanosleep(NULL, NULL)"),
    (X86, "nanosleep", {"duration": u32(-1, -5), "rem": 16}, "nanosleep({tv_sec=-1, tv_nsec=4294967291}, 0x10)"),
    (
        X64,
        "setitimer",
        {"which": 0, "new_value": u64(1, 2, 3, 4), "old_value": 16},
        "setitimer(ITIMER_REAL, {it_interval={tv_sec=1, tv_usec=2}, it_value={tv_sec=3, tv_usec=4}}, 0x10)",
    ),
    (
        S390,
        "setitimer",
        {"which": 0, "new_value": u64(1, 2, 3, 4, order="big"), "old_value": 16},
        "setitimer(ITIMER_REAL, {it_interval={tv_sec=1, tv_usec=2}, it_value={tv_sec=3, tv_usec=4}}, 0x10)",
    ),
    (X64, "setitimer", {"which": 9, "new_value": 16}, "setitimer(0x9 /* ITIMER_??? */, 0x10, NULL)"),
    (
        X86,
        "setitimer",
        {"which": 0, "new_value": u32(1, 2, 3, 4), "old_value": 16},
        "setitimer(ITIMER_REAL, {it_interval={tv_sec=1, tv_usec=2}, it_value={tv_sec=3, tv_usec=4}}, 0x10)",
    ),
    (
        X64,
        "settimeofday",
        {"tv": u64(1, -2), "tz": u32(60, 2)},
        "settimeofday({tv_sec=1, tv_usec=18446744073709551614}, {tz_minuteswest=60, tz_dsttime=2})",
    ),
    (
        S390,
        "settimeofday",
        {"tv": u64(1, -2, order="big"), "tz": u32(60, 2, order="big")},
        "settimeofday({tv_sec=1, tv_usec=18446744073709551614}, {tz_minuteswest=60, tz_dsttime=2})",
    ),
    (X64, "settimeofday", {"tv": 16, "tz": 16}, "settimeofday(0x10, 0x10)"),
    (
        X86,
        "settimeofday",
        {"tv": u32(1, -2), "tz": u32(60, 2)},
        "settimeofday({tv_sec=1, tv_usec=4294967294}, {tz_minuteswest=60, tz_dsttime=2})",
    ),
    (X86, "stime", {"tptr": 16}, "stime(0x10)"),
    (
        X64,
        "timer_settime",
        {"timerid": -44, "flags": 1, "new_value": u64(1, 2, 3, 4), "old_value": 9},
        "timer_settime(-44, TIMER_ABSTIME, {it_interval={tv_sec=1, tv_nsec=2}, it_value={tv_sec=3, tv_nsec=4}}, 0x9)",
    ),
    (
        S390,
        "timer_settime",
        {"timerid": -44, "flags": 1, "new_value": u64(1, 2, 3, 4, order="big"), "old_value": 9},
        "timer_settime(-44, TIMER_ABSTIME, {it_interval={tv_sec=1, tv_nsec=2}, it_value={tv_sec=3, tv_nsec=4}}, 0x9)",
    ),
    (X64, "timer_settime", {"timerid": 4, "flags": 6}, "timer_settime(4, 0x6 /* TIMER_??? */, NULL, NULL)"),
    (
        X86,
        "timer_settime64",
        {"timerid": 1, "flags": 1, "new_value": u64(1, 2, 3, 4)},
        "timer_settime64(1, TIMER_ABSTIME, {it_interval={tv_sec=1, tv_nsec=2}, it_value={tv_sec=3, tv_nsec=4}}, NULL)",
    ),
    (
        X64,
        "timerfd_create",
        {"clockid": 1, "flags": 0xFFFFFF},
        "timerfd_create(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME|TFD_TIMER_CANCEL_ON_SET|TFD_CLOEXEC|TFD_NONBLOCK|0xf7f7fc)",
    ),
    (
        X64,
        "timerfd_settime",
        {"fd": 4, "flags": 3, "new_value": u64(1, 2, 3, 4)},
        "timerfd_settime(4, TFD_TIMER_ABSTIME|TFD_TIMER_CANCEL_ON_SET, {it_interval={tv_sec=1, tv_nsec=2}, it_value={tv_sec=3, tv_nsec=4}}, NULL)",
    ),
    (
        S390,
        "timerfd_settime",
        {"fd": 4, "flags": 3, "new_value": u64(1, 2, 3, 4, order="big")},
        "timerfd_settime(4, TFD_TIMER_ABSTIME|TFD_TIMER_CANCEL_ON_SET, {it_interval={tv_sec=1, tv_nsec=2}, it_value={tv_sec=3, tv_nsec=4}}, NULL)",
    ),
    (
        X86,
        "timerfd_settime64",
        {"fd": 1, "flags": 1, "new_value": u64(1, 2, 3, 4)},
        "timerfd_settime64(1, TFD_TIMER_ABSTIME, {it_interval={tv_sec=1, tv_nsec=2}, it_value={tv_sec=3, tv_nsec=4}}, NULL)",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_times_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
