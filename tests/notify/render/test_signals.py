"""
Calls of the family ``signals``: what strace 6.1 wrote when a program made them.

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
    (X64, "kill", {"pid": -1, "sig": 0}, "kill(-1, 0)"),
    (X64, "kill", {"pid": -1, "sig": 1}, "kill(-1, SIGHUP)"),
    (X64, "kill", {"pid": -1, "sig": 9}, "kill(-1, SIGKILL)"),
    (X64, "kill", {"pid": -1, "sig": 17}, "kill(-1, SIGCHLD)"),
    (X64, "kill", {"pid": -1, "sig": 31}, "kill(-1, SIGSYS)"),
    (X64, "kill", {"pid": -1, "sig": -1}, "kill(-1, -1)"),
    (X86, "kill", {"pid": -1, "sig": 32}, "kill(-1, SIGRTMIN)"),
    (X86, "kill", {"pid": -1, "sig": 33}, "kill(-1, SIGRT_1)"),
    (X64, "mq_notify", {"mqdes": 3, "sevp": 0}, "mq_notify(3, NULL)"),
    (X64, "mq_notify", {"mqdes": 3, "sevp": bytes(64)}, "mq_notify(3, {sigev_signo=0, sigev_notify=SIGEV_SIGNAL})"),
    (X86, "mq_notify", {"mqdes": 3, "sevp": bytes(64)}, "mq_notify(3, {sigev_signo=0, sigev_notify=SIGEV_SIGNAL})"),
    (X64, "pause", {}, "pause()"),
    (
        X64,
        "rt_sigaction",
        {"signum": 2, "act": u64(0x1234, 0x14000004, 0x777) + u64(0x400), "sigsetsize": 8},
        "rt_sigaction(SIGINT, {sa_handler=0x1234, sa_mask=[SEGV], sa_flags=SA_RESTORER|SA_RESTART|SA_SIGINFO, sa_restorer=0x777}, NULL, 8)",
    ),
    (
        S390,
        "rt_sigaction",
        {"signum": 2, "act": u64(0x1234, 0x14000004, 0x777, order="big") + u64(0x400, order="big"), "sigsetsize": 8},
        "rt_sigaction(SIGINT, {sa_handler=0x1234, sa_mask=[SEGV], sa_flags=SA_RESTORER|SA_RESTART|SA_SIGINFO, sa_restorer=0x777}, NULL, 8)",
    ),
    (
        X64,
        "rt_sigaction",
        {"signum": 2, "act": u64(1, 4, 0x777) + u64(-1), "sigsetsize": 8, "oldact": 4},
        "rt_sigaction(SIGINT, {sa_handler=SIG_IGN, sa_mask=~[], sa_flags=SA_SIGINFO}, 0x4, 8)",
    ),
    (
        S390,
        "rt_sigaction",
        {"signum": 2, "act": u64(1, 4, 0x777, order="big") + u64(-1, order="big"), "sigsetsize": 8, "oldact": 4},
        "rt_sigaction(SIGINT, {sa_handler=SIG_IGN, sa_mask=~[], sa_flags=SA_SIGINFO}, 0x4, 8)",
    ),
    (
        X64,
        "rt_sigaction",
        {"signum": 64, "act": u64(0, 0x80000000, 0x777) + u64(0x80000000), "sigsetsize": 7},
        "rt_sigaction(SIGRT_32, {sa_handler=SIG_DFL, sa_mask=[RTMIN], sa_flags=SA_RESETHAND}, NULL, 7)",
    ),
    (X64, "rt_sigaction", {"signum": 65, "act": 0}, "rt_sigaction(65, NULL, NULL, 0)"),
    (X64, "rt_sigaction", {"signum": -1, "act": 16}, "rt_sigaction(-1, 0x10, NULL, 0)"),
    (
        X86,
        "rt_sigaction",
        {"signum": 2, "act": u32(1, 4, 0x777) + u64(-1), "sigsetsize": 8, "oldact": 4},
        "rt_sigaction(SIGINT, {sa_handler=SIG_IGN, sa_mask=~[], sa_flags=SA_SIGINFO}, 0x4, 8)",
    ),
    (X64, "rt_sigpending", {"set": 5, "sigsetsize": 8}, "rt_sigpending(0x5, 8)"),
    (
        X64,
        "rt_sigprocmask",
        {"how": 0, "set": u64(0x4002), "sigsetsize": 8},
        "rt_sigprocmask(SIG_BLOCK, [INT TERM], NULL, 8)",
    ),
    (
        S390,
        "rt_sigprocmask",
        {"how": 0, "set": u64(0x4002, order="big"), "sigsetsize": 8},
        "rt_sigprocmask(SIG_BLOCK, [INT TERM], NULL, 8)",
    ),
    (
        X64,
        "rt_sigprocmask",
        {"how": 5, "set": u64(0xFFFFFF), "sigsetsize": 8},
        "rt_sigprocmask(0x5 /* SIG_??? */, [HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU], NULL, 8)",
    ),
    (
        S390,
        "rt_sigprocmask",
        {"how": 5, "set": u64(0xFFFFFF, order="big"), "sigsetsize": 8},
        "rt_sigprocmask(0x5 /* SIG_??? */, [HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU], NULL, 8)",
    ),
    (
        X64,
        "rt_sigprocmask",
        {"how": 0, "set": u64(0x4002), "sigsetsize": 4},
        "rt_sigprocmask(SIG_BLOCK, 0x102000, NULL, 4)",
    ),
    (
        X64,
        "rt_sigprocmask",
        {"how": 5, "set": u64(0xFFFFFF), "sigsetsize": 4},
        "rt_sigprocmask(0x5 /* SIG_??? */, 0x102000, NULL, 4)",
    ),
    (
        X86,
        "rt_sigprocmask",
        {"how": 5, "set": u64(0xFFFFFF), "sigsetsize": 4},
        "rt_sigprocmask(0x5 /* SIG_??? */, ~[XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN], NULL, 4)",
    ),
    (X64, "rt_sigsuspend", {"mask": u64(0), "sigsetsize": 8}, "rt_sigsuspend([], 8)"),
    (S390, "rt_sigsuspend", {"mask": u64(0, order="big"), "sigsetsize": 8}, "rt_sigsuspend([], 8)"),
    (X64, "rt_sigsuspend", {"mask": u64(-1), "sigsetsize": 8}, "rt_sigsuspend(~[], 8)"),
    (S390, "rt_sigsuspend", {"mask": u64(-1, order="big"), "sigsetsize": 8}, "rt_sigsuspend(~[], 8)"),
    (X64, "rt_sigsuspend", {"mask": u64(-2), "sigsetsize": 8}, "rt_sigsuspend(~[HUP], 8)"),
    (X64, "rt_sigsuspend", {"mask": u64(-0x8000000000000000), "sigsetsize": 8}, "rt_sigsuspend([RT_32], 8)"),
    (X64, "rt_sigsuspend", {"mask": 0, "sigsetsize": 8}, "rt_sigsuspend(NULL, 8)"),
    (X64, "rt_sigsuspend", {"mask": 16, "sigsetsize": 8}, "rt_sigsuspend(0x10, 8)"),
    (X86, "rt_sigsuspend", {"mask": u64(0), "sigsetsize": 8}, "rt_sigsuspend([], 8)"),
    (
        X86,
        "rt_sigsuspend",
        {"mask": u64(0x1FFFFF), "sigsetsize": 4},
        "rt_sigsuspend(~[TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN], 4)",
    ),
    (X86, "rt_sigsuspend", {"mask": u64(0x3FFFFFFFFFF0), "sigsetsize": 4}, "rt_sigsuspend(~[HUP INT QUIT ILL], 4)"),
    (
        X64,
        "rt_sigtimedwait",
        {"set": u64(0x4001), "sigsetsize": 8, "timeout": u64(1, 2)},
        "rt_sigtimedwait([HUP TERM], NULL, {tv_sec=1, tv_nsec=2}, 8)",
    ),
    (
        S390,
        "rt_sigtimedwait",
        {"set": u64(0x4001, order="big"), "sigsetsize": 8, "timeout": u64(1, 2, order="big")},
        "rt_sigtimedwait([HUP TERM], NULL, {tv_sec=1, tv_nsec=2}, 8)",
    ),
    (
        X64,
        "rt_sigtimedwait",
        {"set": u64(0x4001), "sigsetsize": 4, "timeout": u64(1, 2)},
        "rt_sigtimedwait(0x102000, NULL, {tv_sec=1, tv_nsec=2}, 4)",
    ),
    (
        S390,
        "rt_sigtimedwait",
        {"set": u64(0x4001, order="big"), "sigsetsize": 4, "timeout": u64(1, 2, order="big")},
        "rt_sigtimedwait(0x102000, NULL, {tv_sec=1, tv_nsec=2}, 4)",
    ),
    (
        X86,
        "rt_sigtimedwait_time64",
        {"set": u64(5), "timeout": u64(4, 5), "sigsetsize": 8},
        "rt_sigtimedwait_time64([HUP QUIT], NULL, {tv_sec=4, tv_nsec=5}, 8)",
    ),
    (
        X86,
        "sigaction",
        {"signum": 2, "act": u32(0x1000, 0x4001, 0x14000000, 0x777)},
        "sigaction(SIGINT, {sa_handler=0x1000, sa_mask=[HUP TERM], sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x777}, NULL)",
    ),
    (
        X86,
        "sigaction",
        {"signum": -2, "act": u32(0, 0x4001, 0x10000000, 0x777), "oldact": 3},
        "sigaction(-2, {sa_handler=SIG_DFL, sa_mask=[HUP TERM], sa_flags=SA_RESTART}, 0x3)",
    ),
    (
        X64,
        "sigaltstack",
        {"ss": u64(0x1000) + u32(0, 0) + u64(0x2000)},
        "sigaltstack({ss_sp=0x1000, ss_flags=0, ss_size=8192}, NULL)",
    ),
    (
        S390,
        "sigaltstack",
        {"ss": u64(0x1000, order="big") + u32(0, 0, order="big") + u64(0x2000, order="big")},
        "sigaltstack({ss_sp=0x1000, ss_flags=0, ss_size=8192}, NULL)",
    ),
    (X86, "sigaltstack", {"ss": u32(0x1000, 0, 0x2000)}, "sigaltstack({ss_sp=0x1000, ss_flags=0, ss_size=8192}, NULL)"),
    (
        X86,
        "sigaltstack",
        {"ss": u32(0x1000, -1, 0x2000)},
        "sigaltstack({ss_sp=0x1000, ss_flags=SS_ONSTACK|SS_DISABLE|SS_AUTODISARM|0x7ffffffc, ss_size=8192}, NULL)",
    ),
    (
        X86,
        "sigaltstack",
        {"ss": u32(0x1000, 2, -0x2000)},
        "sigaltstack({ss_sp=0x1000, ss_flags=SS_DISABLE, ss_size=4294959104}, NULL)",
    ),
    (X86, "signal", {"signum": 2, "handler": 1}, "signal(SIGINT, SIG_IGN)"),
    (X86, "signal", {"signum": 2, "handler": 0}, "signal(SIGINT, SIG_DFL)"),
    (X86, "signal", {"signum": 0, "handler": 0x1000}, "signal(0, 0x1000)"),
    (X64, "signalfd", {"fd": 3, "mask": u64(1), "sizemask": 8}, "signalfd(3, [HUP], 8)"),
    (S390, "signalfd", {"fd": 3, "mask": u64(1, order="big"), "sizemask": 8}, "signalfd(3, [HUP], 8)"),
    (
        X64,
        "signalfd4",
        {"fd": -1, "mask": u64(1), "sizemask": 8, "flags": 0x80801},
        "signalfd4(-1, [HUP], 8, SFD_CLOEXEC|SFD_NONBLOCK|0x1)",
    ),
    (
        S390,
        "signalfd4",
        {"fd": -1, "mask": u64(1, order="big"), "sizemask": 8, "flags": 0x80801},
        "signalfd4(-1, [HUP], 8, SFD_CLOEXEC|SFD_NONBLOCK|0x1)",
    ),
    (X86, "sigpending", {"set": 4}, "sigpending(0x4)"),
    (X86, "sigprocmask", {"how": 1, "set": u32(5)}, "sigprocmask(SIG_UNBLOCK, [HUP QUIT], NULL)"),
    (X86, "sigprocmask", {"how": 1, "set": 0}, "sigprocmask(SIG_UNBLOCK, NULL, NULL)"),
    (X86, "sigsuspend", {"mask": 5}, "sigsuspend([HUP QUIT])"),
    (X86, "sigsuspend", {"mask": 0xFFFFFFF0}, "sigsuspend(~[HUP INT QUIT ILL])"),
    (X86, "ssetmask", {"newmask": 0x4001}, "ssetmask([HUP TERM])"),
    (X64, "tgkill", {"tgid": 1, "tid": 2, "sig": 0}, "tgkill(1, 2, 0)"),
    (X64, "tgkill", {"tgid": 1, "tid": 2, "sig": 1}, "tgkill(1, 2, SIGHUP)"),
    (X64, "tgkill", {"tgid": 1, "tid": 2, "sig": 9}, "tgkill(1, 2, SIGKILL)"),
    (X64, "tgkill", {"tgid": 1, "tid": 2, "sig": 17}, "tgkill(1, 2, SIGCHLD)"),
    (X64, "tgkill", {"tgid": 1, "tid": 2, "sig": 31}, "tgkill(1, 2, SIGSYS)"),
    (X64, "tgkill", {"tgid": 1, "tid": 2, "sig": -1}, "tgkill(1, 2, -1)"),
    (X86, "tgkill", {"tgid": 1, "tid": 2, "sig": 32}, "tgkill(1, 2, SIGRTMIN)"),
    (X86, "tgkill", {"tgid": 1, "tid": 2, "sig": 33}, "tgkill(1, 2, SIGRT_1)"),
    (
        X64,
        "timer_create",
        {"clockid": 1, "sevp": u64(0) + u32(-10, 0) + u64(5, 6) + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_signo=-10, sigev_notify=SIGEV_SIGNAL}, NULL)",
    ),
    (
        S390,
        "timer_create",
        {"clockid": 1, "sevp": u64(0, order="big") + u32(-10, 0, order="big") + u64(5, 6, order="big") + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_signo=-10, sigev_notify=SIGEV_SIGNAL}, NULL)",
    ),
    (
        X64,
        "timer_create",
        {"clockid": 1, "sevp": u64(0x1234567) + u32(10, 1) + u64(5, 6) + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_value={sival_int=19088743, sival_ptr=0x1234567}, sigev_signo=10, sigev_notify=SIGEV_NONE}, NULL)",
    ),
    (
        X64,
        "timer_create",
        {"clockid": 1, "sevp": u64(0) + u32(-10, 1) + u64(5, 6) + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_signo=4294967286, sigev_notify=SIGEV_NONE}, NULL)",
    ),
    (
        S390,
        "timer_create",
        {"clockid": 1, "sevp": u64(0, order="big") + u32(-10, 1, order="big") + u64(5, 6, order="big") + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_signo=4294967286, sigev_notify=SIGEV_NONE}, NULL)",
    ),
    (
        X64,
        "timer_create",
        {"clockid": 1, "sevp": u64(0) + u32(-10, 2) + u64(5, 6) + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_signo=-10, sigev_notify=SIGEV_THREAD, sigev_notify_function=0x5, sigev_notify_attributes=0x6}, NULL)",
    ),
    (
        X64,
        "timer_create",
        {"clockid": 1, "sevp": u64(0) + u32(-10, 4) + u64(5, 6) + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_signo=-10, sigev_notify=SIGEV_THREAD_ID, sigev_notify_thread_id=5}, NULL)",
    ),
    (
        X64,
        "timer_create",
        {"clockid": 1, "sevp": u64(0) + u32(-10, 3) + u64(5, 6) + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_signo=4294967286, sigev_notify=0x3 /* SIGEV_??? */}, NULL)",
    ),
    (
        X86,
        "timer_create",
        {"clockid": 1, "sevp": u32(0x1234567) + u32(10, 0) + u32(5, 6) + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_value={sival_int=19088743, sival_ptr=0x1234567}, sigev_signo=SIGUSR1, sigev_notify=SIGEV_SIGNAL}, NULL)",
    ),
    (
        X86,
        "timer_create",
        {"clockid": 1, "sevp": u32(0x1234567) + u32(10, 4) + u32(5, 6) + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_value={sival_int=19088743, sival_ptr=0x1234567}, sigev_signo=SIGUSR1, sigev_notify=SIGEV_THREAD_ID, sigev_notify_thread_id=5}, NULL)",
    ),
    (
        X86,
        "timer_create",
        {"clockid": 1, "sevp": u32(0x1234567) + u32(10, 3) + u32(5, 6) + bytes(64)},
        "timer_create(CLOCK_MONOTONIC, {sigev_value={sival_int=19088743, sival_ptr=0x1234567}, sigev_signo=10, sigev_notify=0x3 /* SIGEV_??? */}, NULL)",
    ),
    (X64, "tkill", {"tid": 3, "sig": 15}, "tkill(3, SIGTERM)"),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_signals_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
