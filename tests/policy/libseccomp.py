"""
The installed libseccomp as oracle: what it compiles of a profile, run by our interpreter.

What it is not: needed by the package.  Tests that use it say ``require("libseccomp", ...)``.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

from attrs import frozen

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names, number_of
from monitor.policy.action import Action, Allow, Ask, Audit, Deny, KillProcess, KillThread, Trace, Trap
from monitor.policy.blob import ByteOrder, read_blob
from monitor.policy.bpf import Program
from monitor.policy.formats.scmp import OPERATORS, Comparison
from monitor.policy.interpret import evaluate

# seccomp.h: the token of an ABI is its audit value, but of x32, which has none of its own.
_TOKENS = {arch: arch.audit_value for arch in Arch} | {Arch.X32: 0x4000003E}

_OPERATIONS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
assert _OPERATIONS.keys() == OPERATORS.keys()

EACCES, EEXIST = -13, -17


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


@cache
def library() -> Any:
    """Return libseccomp; None where it is not installed."""
    try:
        loaded = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    loaded.seccomp_init.restype = ctypes.c_void_p
    loaded.seccomp_init.argtypes = [ctypes.c_uint32]
    loaded.seccomp_release.argtypes = [ctypes.c_void_p]
    loaded.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    loaded.seccomp_arch_remove.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    loaded.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Compare)
    ]  # fmt: skip
    loaded.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    loaded.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    loaded.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    return loaded


@cache
def known(arch: Arch) -> frozenset[str]:
    """Return the calls of *arch* that the library knows: it may be older than our tables."""
    resolve = library().seccomp_syscall_resolve_name_arch
    return frozenset(name for name in names(arch) if resolve(_TOKENS[arch], name.encode()) == number_of(arch, name))


_RETURNS: dict[type, int] = {
    KillProcess: 0x80000000,
    KillThread: 0,
    Trap: 0x00030000,
    Deny: 0x00050000,
    Ask: 0x7FC00000,
    Trace: 0x7FF00000,
    Audit: 0x7FFC0000,
    Allow: 0x7FFF0000,
}


def return_value(action: Action) -> int:
    """Return what a filter returns for *action*; of an ask, that it notifies."""
    match action:
        case Deny(data) | Trap(data) | Trace(data):
            return _RETURNS[type(action)] | data
        case _:
            return _RETURNS[type(action)]


@frozen
class Rule:
    """A rule as a runtime adds it."""

    call: str
    action: Action
    comparisons: tuple[Comparison, ...] = ()


class Refused(Exception):
    """The library refused a rule; the errno is negative."""

    def __init__(self, errno: int, rule: Rule) -> None:
        super().__init__(errno, rule)
        self.errno = errno


def compiled(default: Action, rules: Iterable[Rule], arches: Collection[Arch], *, native: bool = True) -> Program:
    """Return what libseccomp makes of *rules*, for the machine's own ABI, unless not *native*, and *arches*."""
    lib = library()
    context = lib.seccomp_init(return_value(default))
    assert context
    try:
        if not native:
            assert lib.seccomp_arch_remove(context, 0) == 0
        for arch in arches:
            assert lib.seccomp_arch_add(context, _TOKENS[arch]) in {0, EEXIST}
        for rule in rules:
            _add(lib, context, rule)
        return _exported(lib, context, "little" if all(arch.little_endian for arch in arches) else "big")
    finally:
        lib.seccomp_release(context)


def their_number(arch: Arch, call: str) -> int:
    """Return the number that libseccomp has for *call*, a negative one where it has none or another call does it."""
    number: int = library().seccomp_syscall_resolve_name_arch(_TOKENS[arch], call.encode())
    return number


def _add(lib: Any, context: int, rule: Rule) -> None:
    number = lib.seccomp_syscall_resolve_name(rule.call.encode())
    if number == -1:
        return  # a call it does not know: runtimes go on
    asked = [_Compare(one.index, _OPERATIONS[one.operation], one.value, one.value_two) for one in rule.comparisons]
    result = lib.seccomp_rule_add_array(
        context, return_value(rule.action), number, len(asked), (_Compare * len(asked))(*asked)
    )
    if result:
        raise Refused(result, rule)


def _exported(lib: Any, context: int, byte_order: ByteOrder) -> Program:
    fd = os.memfd_create("filter")
    try:
        assert lib.seccomp_export_bpf(context, fd) == 0
        data = os.pread(fd, 1 << 20, 0)
    finally:
        os.close(fd)
    return read_blob(data, byte_order)


def answer(program: Program, arch: Arch, nr: int, args: Sequence[int]) -> int:
    """Return what *program* returns for a call."""
    return evaluate(program, audit_value=arch.audit_value, nr=nr, args=args, little_endian=arch.little_endian).value
