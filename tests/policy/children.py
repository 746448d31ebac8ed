"""Filters in children of the tests, and calls that run into them: natively, and by the door of i386."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
from collections.abc import Callable, Sequence
from functools import cache

from monitor.abi.arch import Arch
from monitor.abi.seccomp import SET_MODE_FILTER
from monitor.abi.syscalls import number_of

PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.argtypes = [ctypes.c_long, *[ctypes.c_ulong] * 6]
_libc.syscall.restype = ctypes.c_long


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def raw_syscall(nr: int, args: Sequence[int]) -> int:
    """Make a system call and return its errno, or 0."""
    ctypes.set_errno(0)
    return ctypes.get_errno() if _libc.syscall(nr, *args) == -1 else 0


def install(packed: bytes, flags: int = 0) -> int:
    """Install a filter and return the errno, or 0."""
    seccomp = number_of(Arch.native(), "seccomp")
    assert seccomp is not None
    fprog = _SockFprog(len(packed) // 8, packed)
    return raw_syscall(seccomp, (SET_MODE_FILTER, flags, ctypes.addressof(fprog), 0, 0, 0))


def wait_status_and_report(work: Callable[[], list[int]]) -> tuple[int, list[int]]:
    """Do *work* in a child that may install filters; return its wait status and what *work* returned."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            with os.fdopen(writer, "w") as report:
                json.dump(work(), report)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as report:
        text = report.read()
    _, status = os.waitpid(child, 0)
    return status, json.loads(text or "[]")


def in_child(work: Callable[[], list[int]]) -> list[int]:
    """Return what *work*, done in a child, returned."""
    status, result = wait_status_and_report(work)
    assert status == 0
    return result


_INT80 = bytes.fromhex(
    "53"  # push rbx
    "55"  # push rbp
    "57"  # push rdi
    "488b07"  # mov rax, [rdi]
    "488b5f08"  # mov rbx, [rdi + 8]
    "488b4f10"  # mov rcx, [rdi + 16]
    "488b5718"  # mov rdx, [rdi + 24]
    "488b7720"  # mov rsi, [rdi + 32]
    "488b6f30"  # mov rbp, [rdi + 48]
    "488b7f28"  # mov rdi, [rdi + 40]
    "cd80"  # int 0x80
    "5f"  # pop rdi
    "488907"  # mov [rdi], rax
    "5d"  # pop rbp
    "5b"  # pop rbx
    "c3"  # ret
)
"""Makes a call of i386 with all 64 bits of each register as they are given."""


@cache
def _int80() -> tuple[mmap.mmap, Callable[[int], None]]:
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(_INT80)
    return page, ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ctypes.addressof(ctypes.c_char.from_buffer(page)))


def int80(nr: int, args: Sequence[int]) -> int:
    """Make a call of i386 from this process of x86_64 and return its errno, or 0."""
    registers = (ctypes.c_uint64 * 7)(nr, *args)
    _int80()[1](ctypes.addressof(registers))
    result = ctypes.c_int32(registers[0] & 0xFFFFFFFF).value
    return -result if -4095 <= result < 0 else 0


@cache
def has_i386() -> bool:
    """Whether this machine runs calls of i386: getpid(2) by that door."""
    if os.uname().machine != "x86_64":
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(0 if int80(20, [0] * 6) == 0 else 1)
    return os.waitpid(pid, 0)[1] == 0
