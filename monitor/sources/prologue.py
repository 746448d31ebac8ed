"""
What the launcher puts before a program, so that it can make two calls of its own unhindered.

What it is not: part of the policy.  After the filter is installed the child still has to make
one execve(2), and, where its fd may not be fetched, one sendmsg(2); the policy may refuse both,
and nobody answers yet.  The prologue lets pass exactly those calls whose three *unused* argument
registers hold 192 random bits.

Registers, not memory: no other thread can change them between check and use.  The bits are
known to the supervisor and to the child until it executes the program; the program never sees
them, so it cannot use the door behind it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.seccomp import OFFSET_ARCH, OFFSET_ARGS, OFFSET_NR, RetValue
from monitor.abi.syscalls import number_of
from monitor.policy.bpf import Instruction, Op

Cookie = tuple[int, int, int]
"""Three random 64-bit words, for the argument registers 3 to 5."""

CALLS: Final = ("execve", "sendmsg")
"""The launcher's own calls; both take three arguments."""

_FIRST_UNUSED: Final = 3


def new_cookie() -> Cookie:
    """Return 192 bits that nobody can guess."""
    return (secrets.randbits(64), secrets.randbits(64), secrets.randbits(64))


def prologue(arch: Arch, cookie: Cookie) -> Sequence[Instruction]:
    """
    Return the instructions that let the launcher's own calls pass, and go on with what follows.

    It looks at arguments only for the two numbers, so that every other call keeps its place in
    the kernel's cache of constant answers (kernel/seccomp.c, ``seccomp_cache_prepare``).
    """
    doors = [_door(arch, name, cookie) for name in CALLS]
    length = sum(len(door) for door in doors)
    head = [
        Instruction(Op.LD_ABS, OFFSET_ARCH),
        Instruction(Op.JEQ_K, arch.audit_value, jt=0, jf=length + 1),
        Instruction(Op.LD_ABS, OFFSET_NR),
    ]
    return [*head, *(instruction for door in doors for instruction in door)]


def _door(arch: Arch, name: str, cookie: Cookie) -> Sequence[Instruction]:
    """Return the test for one call, with the number loaded before and, if it is not that call, after."""
    number = number_of(arch, name)
    assert number is not None, name
    low, high = (0, 4) if arch.little_endian else (4, 0)
    tests = [
        (OFFSET_ARGS + 8 * (_FIRST_UNUSED + place) + half, (word >> shift) & 0xFFFFFFFF)
        for place, word in enumerate(cookie)
        for half, shift in ((low, 0), (high, 32))
    ]
    # number?, then a load and a comparison for each half word, then "allow"; a call of this number
    # without the cookie loads the number again for what follows.
    body_length = 2 * len(tests) + 1
    body: list[Instruction] = []
    for place, (offset, value) in enumerate(tests):
        remaining = body_length - 2 * (place + 1)
        body += [Instruction(Op.LD_ABS, offset), Instruction(Op.JEQ_K, value, jt=0, jf=remaining)]
    body.append(Instruction(Op.RET_K, RetValue.ALLOW))
    return [
        Instruction(Op.JEQ_K, number, jt=0, jf=body_length + 1),
        *body,
        Instruction(Op.LD_ABS, OFFSET_NR),
    ]
