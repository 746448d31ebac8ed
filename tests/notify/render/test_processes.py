"""
Calls of the family ``processes``: what strace 6.1 wrote when a program made them.

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
    (
        X64,
        "execve",
        {"pathname": b"/bin/x", "argv": [b"x", b"y z"], "envp": [b"A=1"]},
        'execve("/bin/x", ["x", "y z"], 0x10c000 /* 1 var */)',
    ),
    (
        X64,
        "execveat",
        {"dirfd": -100, "pathname": b"", "argv": [b"x"], "envp": [], "flags": 0x1100},
        'execveat(AT_FDCWD, "", ["x"], 0x108000 /* 0 vars */, AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH)',
    ),
    (X64, "exit", {"status": -1}, "exit(-1)"),
    (X64, "exit_group", {"status": 5}, "exit_group(5)"),
    (X64, "get_robust_list", {"pid": 1, "head_ptr": 5, "sizep": 6}, "get_robust_list(1, 0x5, 0x6)"),
    (X64, "getcpu", {"cpu": 1, "node": 2, "tcache": 3}, "getcpu(0x1, 0x2, 0x3)"),
    (X64, "getpgid", {"pid": 0}, "getpgid(0)"),
    (X64, "getsid", {"pid": -1}, "getsid(-1)"),
    (X64, "gettid", {}, "gettid()"),
    (X64, "kcmp", {"pid1": 1, "pid2": 2, "type": 1, "idx1": 3, "idx2": 4}, "kcmp(1, 2, KCMP_VM)"),
    (X64, "kcmp", {"pid1": 1, "pid2": 2, "type": 2, "idx1": 3, "idx2": 4}, "kcmp(1, 2, KCMP_FILES)"),
    (X64, "kcmp", {"pid1": 1, "pid2": 2, "type": 3, "idx1": 3, "idx2": 4}, "kcmp(1, 2, KCMP_FS)"),
    (X64, "kcmp", {"pid1": 1, "pid2": 2, "type": 4, "idx1": 3, "idx2": 4}, "kcmp(1, 2, KCMP_SIGHAND)"),
    (X64, "kcmp", {"pid1": 1, "pid2": 2, "type": 5, "idx1": 3, "idx2": 4}, "kcmp(1, 2, KCMP_IO)"),
    (X64, "kcmp", {"pid1": 1, "pid2": 2, "type": 8, "idx1": 3, "idx2": 4}, "kcmp(1, 2, 0x8 /* KCMP_??? */, 0x3, 0x4)"),
    (X86, "kcmp", {"pid1": 1, "pid2": 2, "type": 1, "idx1": 3, "idx2": 4}, "kcmp(1, 2, KCMP_VM)"),
    (X86, "kcmp", {"pid1": 1, "pid2": 2, "type": 6, "idx1": 3, "idx2": 4}, "kcmp(1, 2, KCMP_SYSVSEM)"),
    (X86, "kcmp", {"pid1": 1, "pid2": 2, "type": 8, "idx1": 3, "idx2": 4}, "kcmp(1, 2, 0x8 /* KCMP_??? */, 0x3, 0x4)"),
    (X64, "personality", {"persona": 0}, "personality(PER_LINUX)"),
    (X64, "personality", {"persona": 8}, "personality(PER_LINUX32)"),
    (X64, "personality", {"persona": 0x40000}, "personality(PER_LINUX|ADDR_NO_RANDOMIZE)"),
    (X64, "personality", {"persona": 0xFFFFFFFF}, "personality(0xffffffff)"),
    (X64, "personality", {"persona": 1}, "personality(0x1 /* PER_??? */)"),
    (X64, "personality", {"persona": 6}, "personality(PER_BSD)"),
    (X86, "personality", {"persona": 0x400000}, "personality(PER_LINUX|READ_IMPLIES_EXEC)"),
    (X86, "personality", {"persona": 1}, "personality(0x1 /* PER_??? */)"),
    (X86, "personality", {"persona": 0x100008}, "personality(PER_LINUX32|MMAP_PAGE_ZERO)"),
    (X64, "pidfd_getfd", {"pidfd": 1, "targetfd": 2, "flags": 1}, "pidfd_getfd(1, 2, 0x1)"),
    (X86, "pidfd_getfd", {"pidfd": 1, "targetfd": 2, "flags": 1}, "pidfd_getfd(1, 2, 0x1)"),
    (X64, "pidfd_open", {"pid": 1, "flags": 0}, "pidfd_open(1, 0)"),
    (X64, "pidfd_open", {"pid": 1, "flags": 1}, "pidfd_open(1, 0x1 /* PIDFD_??? */)"),
    (X64, "process_mrelease", {"pidfd": 3, "flags": 17}, "process_mrelease(3, 0x11)"),
    (X86, "process_mrelease", {"pidfd": 3, "flags": 17}, "process_mrelease(3, 0x11)"),
    (
        X64,
        "process_vm_readv",
        {"pid": 1, "local_iov": [b"abc"], "liovcnt": 1, "remote_iov": [b"defg"], "riovcnt": 1, "flags": 0},
        "process_vm_readv(1, [{iov_base=0x102000, iov_len=3}], 1, [{iov_base=0x106000, iov_len=4}], 1, 0)",
    ),
    (
        X86,
        "process_vm_readv",
        {"pid": 1, "local_iov": [b"abc"], "liovcnt": 1, "remote_iov": [b"defg"], "riovcnt": 1, "flags": 0},
        "process_vm_readv(1, [{iov_base=0x102000, iov_len=3}], 1, [{iov_base=0x106000, iov_len=4}], 1, 0)",
    ),
    (
        X64,
        "process_vm_writev",
        {"pid": 1, "local_iov": [b"abc"], "liovcnt": 1, "remote_iov": [b"defg"], "riovcnt": 1, "flags": 5},
        'process_vm_writev(1, [{iov_base="abc", iov_len=3}], 1, [{iov_base=0x106000, iov_len=4}], 1, 5)',
    ),
    (
        X86,
        "process_vm_writev",
        {"pid": 1, "local_iov": [b"abc"], "liovcnt": 1, "remote_iov": [b"defg"], "riovcnt": 1, "flags": 5},
        'process_vm_writev(1, [{iov_base="abc", iov_len=3}], 1, [{iov_base=0x106000, iov_len=4}], 1, 5)',
    ),
    (X64, "rseq", {"rseq": 0x1000, "rseq_len": 32, "flags": 0, "sig": 0x53053053}, "rseq(0x1000, 0x20, 0, 0x53053053)"),
    (X86, "rseq", {"rseq": 0x1000, "rseq_len": 32, "flags": 0, "sig": 0x53053053}, "rseq(0x1000, 0x20, 0, 0x53053053)"),
    (X64, "sched_yield", {}, "sched_yield()"),
    (X64, "set_robust_list", {"head": 0x1000, "len": 24}, "set_robust_list(0x1000, 24)"),
    (X64, "set_tid_address", {"tidptr": 0}, "set_tid_address(0)"),
    (X86, "set_tid_address", {"tidptr": 0}, "set_tid_address(0)"),
    (X64, "setpgid", {"pid": 0, "pgid": -1}, "setpgid(0, -1)"),
    (X64, "setsid", {}, "setsid()"),
    (X86, "sgetmask", {}, "sgetmask()"),
    (X64, "times", {"buf": 5}, "times(0x5)"),
    (X64, "umask", {"mask": 0x1FFFFF}, "umask(0177777)"),
    (X86, "umask", {"mask": 0x1FFFFF}, "umask(0177777)"),
    (X64, "wait4", {"pid": -1, "wstatus": 16, "options": 0, "rusage": 0}, "wait4(-1, 0x10, 0, NULL)"),
    (X64, "wait4", {"pid": -1, "wstatus": 16, "options": 1, "rusage": 0}, "wait4(-1, 0x10, WNOHANG, NULL)"),
    (X64, "wait4", {"pid": -1, "wstatus": 16, "options": 2, "rusage": 0}, "wait4(-1, 0x10, WSTOPPED, NULL)"),
    (X64, "wait4", {"pid": -1, "wstatus": 16, "options": 4, "rusage": 0}, "wait4(-1, 0x10, WEXITED, NULL)"),
    (X64, "wait4", {"pid": -1, "wstatus": 16, "options": 8, "rusage": 0}, "wait4(-1, 0x10, WCONTINUED, NULL)"),
    (X64, "wait4", {"pid": -1, "wstatus": 16, "options": 0x1000000, "rusage": 0}, "wait4(-1, 0x10, WNOWAIT, NULL)"),
    (X86, "wait4", {"pid": -1, "wstatus": 16, "options": 3, "rusage": 0}, "wait4(-1, 0x10, WNOHANG|WSTOPPED, NULL)"),
    (X86, "wait4", {"pid": -1, "wstatus": 16, "options": 0x40000000, "rusage": 0}, "wait4(-1, 0x10, __WALL, NULL)"),
    (
        X86,
        "wait4",
        {"pid": -1, "wstatus": 16, "options": 43, "rusage": 0},
        "wait4(-1, 0x10, WNOHANG|WSTOPPED|WCONTINUED|0x20, NULL)",
    ),
    (
        X64,
        "waitid",
        {"idtype": 0, "id": -1, "infop": 16, "options": 0, "rusage": 0},
        "waitid(P_ALL, -1, 0x10, 0, NULL)",
    ),
    (
        X64,
        "waitid",
        {"idtype": 1, "id": -1, "infop": 16, "options": 1, "rusage": 0},
        "waitid(P_PID, -1, 0x10, WNOHANG, NULL)",
    ),
    (
        X64,
        "waitid",
        {"idtype": 2, "id": -1, "infop": 16, "options": 2, "rusage": 0},
        "waitid(P_PGID, -1, 0x10, WSTOPPED, NULL)",
    ),
    (
        X64,
        "waitid",
        {"idtype": 3, "id": -1, "infop": 16, "options": 3, "rusage": 0},
        "waitid(P_PIDFD, -1, 0x10, WNOHANG|WSTOPPED, NULL)",
    ),
    (
        X64,
        "waitid",
        {"idtype": 4, "id": -1, "infop": 16, "options": 4, "rusage": 0},
        "waitid(0x4 /* P_??? */, -1, 0x10, WEXITED, NULL)",
    ),
    (
        X64,
        "waitid",
        {"idtype": 8, "id": -1, "infop": 16, "options": 8, "rusage": 0},
        "waitid(0x8 /* P_??? */, -1, 0x10, WCONTINUED, NULL)",
    ),
    (
        X86,
        "waitid",
        {"idtype": 0x1000000, "id": -1, "infop": 16, "options": 0x1000000, "rusage": 0},
        "waitid(0x1000000 /* P_??? */, -1, 0x10, WNOWAIT, NULL)",
    ),
    (
        X86,
        "waitid",
        {"idtype": 0x40000000, "id": -1, "infop": 16, "options": 0x40000000, "rusage": 0},
        "waitid(0x40000000 /* P_??? */, -1, 0x10, __WALL, NULL)",
    ),
    (
        X86,
        "waitid",
        {"idtype": 43, "id": -1, "infop": 16, "options": 43, "rusage": 0},
        "waitid(0x2b /* P_??? */, -1, 0x10, WNOHANG|WSTOPPED|WCONTINUED|0x20, NULL)",
    ),
    (X86, "waitpid", {"pid": -1, "options": 3}, "waitpid(-1, NULL, WNOHANG|WSTOPPED)"),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_processes_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
