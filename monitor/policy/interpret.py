"""
An interpreter of classic BPF as seccomp runs it: what a program returns for a call, and on which path.

What it is not: fast, or a second opinion on what may run (``bpf.check`` gives that).  It is
the reference against which compiled programs are tested, and what explains them.

Source: net/core/filter.c, ``bpf_convert_filter``, which translates the instructions, and
kernel/seccomp.c, ``seccomp_check_filter``, for the loads.  Both accumulators start as zero.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import attrs

from monitor.abi.seccomp import DATA_SIZE, RetValue
from monitor.policy.bpf import SCRATCH_WORDS, WORD_BITS, WORD_MASK, WORD_SIZE, Instruction, Op, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_DOUBLE_WORD_MASK: Final = 0xFFFFFFFF_FFFFFFFF
_ARGUMENT_COUNT: Final = 6

_SOURCE_X: Final = 0x08
"""The bit of an opcode that makes the second operand ``X`` (``BPF_X``)."""


@attrs.frozen
class Evaluation:
    """
    The outcome of a run.

    Attributes:
        value: what the filter returns, an action with its data.
        path: the indices of the instructions that ran, in order.
    """

    value: int
    path: tuple[int, ...]


def evaluate(
    program: Program,
    *,
    audit_value: int,
    nr: int,
    ip: int = 0,
    args: Sequence[int] = (0,) * _ARGUMENT_COUNT,
    little_endian: bool = True,
) -> Evaluation:
    """
    Run *program* over a call.

    What is given is cut to its width: 32 bits for *audit_value* and *nr*, 64 bits for *ip*
    and each of the six *args*.
    """
    machine = _Machine(_words(audit_value, nr, ip, args, little_endian=little_endian))
    path: list[int] = []
    index = 0
    while True:
        path.append(index)
        instruction = program.instructions[index]
        value = _returned(machine, instruction)
        if value is not None:
            return Evaluation(value, tuple(path))
        index += 1 + _run(machine, instruction)


def _words(audit_value: int, nr: int, ip: int, args: Sequence[int], *, little_endian: bool) -> tuple[int, ...]:
    """Return ``struct seccomp_data`` as the 32-bit words that a program can load."""
    if len(args) != _ARGUMENT_COUNT:
        message = f"{len(args)} arguments given; a call has {_ARGUMENT_COUNT}"
        raise ValueError(message)
    order = "<" if little_endian else ">"
    wide = (value & _DOUBLE_WORD_MASK for value in (ip, *args))
    data = struct.pack(f"{order}II7Q", nr & WORD_MASK, audit_value & WORD_MASK, *wide)
    return struct.unpack(f"{order}{DATA_SIZE // WORD_SIZE}I", data)


@attrs.define
class _Machine:
    """The state of a run: the data it looks at, two accumulators, the scratch memory."""

    data: tuple[int, ...]
    a: int = 0
    x: int = 0
    scratch: list[int] = attrs.Factory(lambda: [0] * SCRATCH_WORDS)


def _returned(machine: _Machine, instruction: Instruction) -> int | None:
    """Return the value with which *instruction* ends the run, if it does."""
    match Op(instruction.code):
        case Op.RET_K:
            return instruction.k
        case Op.RET_A:
            return machine.a
        case Op.DIV_X if machine.x == 0:
            # A division by zero ends the run with 0, says bpf_convert_filter.
            return RetValue.KILL_THREAD.value
        case _:
            return None


def _run(machine: _Machine, instruction: Instruction) -> int:
    """Do what *instruction*, which is no return, does; return how many instructions behind it are left out."""
    op, k = Op(instruction.code), instruction.k
    operand = machine.x if op & _SOURCE_X else k
    with_k = op & ~_SOURCE_X
    if op is Op.JA:
        return k
    if with_k in _CONDITIONS:
        return instruction.jt if _CONDITIONS[with_k](machine.a, operand) else instruction.jf
    if with_k in _ARITHMETIC:
        machine.a = _ARITHMETIC[with_k](machine.a, operand) & WORD_MASK
    else:
        _move(machine, op, k)
    return 0


_CONDITIONS: Final[Mapping[int, Callable[[int, int], bool]]] = {
    Op.JEQ_K: lambda a, b: a == b,
    Op.JGT_K: lambda a, b: a > b,
    Op.JGE_K: lambda a, b: a >= b,
    Op.JSET_K: lambda a, b: a & b != 0,
}

# A shift by X uses the low five bits of X (kernel/bpf/core.c, ALU32 LSH and RSH); one by a
# constant of 32 or more is refused by ``check``.
_ARITHMETIC: Final[Mapping[int, Callable[[int, int], int]]] = {
    Op.ADD_K: lambda a, b: a + b,
    Op.SUB_K: lambda a, b: a - b,
    Op.MUL_K: lambda a, b: a * b,
    Op.DIV_K: lambda a, b: a // b,
    Op.AND_K: lambda a, b: a & b,
    Op.OR_K: lambda a, b: a | b,
    Op.XOR_K: lambda a, b: a ^ b,
    Op.LSH_K: lambda a, b: a << (b % WORD_BITS),
    Op.RSH_K: lambda a, b: a >> (b % WORD_BITS),
    Op.NEG: lambda a, _: -a,
}


def _move(machine: _Machine, op: Op, k: int) -> None:
    """Do one of the instructions that only move a word."""
    match op:
        case Op.ST:
            machine.scratch[k] = machine.a
        case Op.STX:
            machine.scratch[k] = machine.x
        case Op.TAX | Op.LDX_IMM | Op.LDX_LEN | Op.LDX_MEM:
            machine.x = _loaded(machine, op, k)
        case _:
            machine.a = _loaded(machine, op, k)


def _loaded(machine: _Machine, op: Op, k: int) -> int:
    """Return the word that *op* moves into an accumulator."""
    match op:
        case Op.LD_ABS:
            return machine.data[k // WORD_SIZE]
        case Op.LD_LEN | Op.LDX_LEN:
            return DATA_SIZE
        case Op.LD_MEM | Op.LDX_MEM:
            return machine.scratch[k]
        case Op.TAX:
            return machine.a
        case Op.TXA:
            return machine.x
        case _:
            return k
