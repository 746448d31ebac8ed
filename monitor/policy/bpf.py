"""
Classic BPF as seccomp takes it: instructions, and programs that cannot be built wrong.

What it is not: a way to write them (``policy.assembler``), their meaning
(``policy.interpret``), or the door to the kernel, which gets the bytes of ``Program.pack``.

Source: include/uapi/linux/bpf_common.h and filter.h for the numbers; net/core/filter.c,
``bpf_check_classic`` and ``check_load_and_stores``, and kernel/seccomp.c,
``seccomp_check_filter``, for what is refused.
"""

from __future__ import annotations

import enum
import operator
import struct
from typing import TYPE_CHECKING, Final

import attrs

from monitor.abi.seccomp import DATA_SIZE, MAX_INSTRUCTIONS
from monitor.errors import ProgramTooLongError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WORD_SIZE: Final = 4
"""Loads are of 32 bits, and aligned."""

WORD_MASK: Final = 0xFFFFFFFF
WORD_BITS: Final = 32

SCRATCH_WORDS: Final = 16
"""The words of scratch memory, ``M[0]`` to ``M[15]`` (``BPF_MEMWORDS``)."""

MAX_BRANCH: Final = 0xFF
"""The furthest that a conditional jump reaches: its offsets are bytes."""

_SOCK_FILTER: Final = struct.Struct("=HBBI")


class Op(enum.IntEnum):
    """Every opcode seccomp admits (``seccomp_check_filter``).  ``MOD`` and loads of bytes are not among them."""

    LD_IMM = 0x00
    LD_ABS = 0x20
    LD_MEM = 0x60
    LD_LEN = 0x80
    LDX_IMM = 0x01
    LDX_MEM = 0x61
    LDX_LEN = 0x81
    ST = 0x02
    STX = 0x03
    ADD_K = 0x04
    ADD_X = 0x0C
    SUB_K = 0x14
    SUB_X = 0x1C
    MUL_K = 0x24
    MUL_X = 0x2C
    DIV_K = 0x34
    DIV_X = 0x3C
    OR_K = 0x44
    OR_X = 0x4C
    AND_K = 0x54
    AND_X = 0x5C
    LSH_K = 0x64
    LSH_X = 0x6C
    RSH_K = 0x74
    RSH_X = 0x7C
    NEG = 0x84
    XOR_K = 0xA4
    XOR_X = 0xAC
    JA = 0x05
    JEQ_K = 0x15
    JEQ_X = 0x1D
    JGT_K = 0x25
    JGT_X = 0x2D
    JGE_K = 0x35
    JGE_X = 0x3D
    JSET_K = 0x45
    JSET_X = 0x4D
    RET_K = 0x06
    RET_A = 0x16
    TAX = 0x07
    TXA = 0x87


BRANCHES: Final = frozenset({Op.JEQ_K, Op.JEQ_X, Op.JGT_K, Op.JGT_X, Op.JGE_K, Op.JGE_X, Op.JSET_K, Op.JSET_X})
"""The conditional jumps: *jt* and *jf* mean something in these alone."""

_OPCODES: Final = frozenset(Op)
_RETURNS: Final = frozenset({Op.RET_K, Op.RET_A})
_STORES: Final = frozenset({Op.ST, Op.STX})
_SCRATCH_LOADS: Final = frozenset({Op.LD_MEM, Op.LDX_MEM})
_ALL_SCRATCH: Final = (1 << SCRATCH_WORDS) - 1


def _refuse_wide(limit: int) -> Callable[[object, attrs.Attribute[int], int], None]:
    """Return a validator for unsigned fields of the kernel's struct, up to *limit*."""

    def check_field(_instance: object, attribute: attrs.Attribute[int], value: int) -> None:
        if not 0 <= value <= limit:
            message = f"{attribute.name} {value:#x} is not in 0..{limit:#x}"
            raise ValueError(message)

    return check_field


@attrs.frozen
class Instruction:
    """One ``struct sock_filter``.  Whether it may stand in a program is for ``check`` to say."""

    code: int = attrs.field(validator=_refuse_wide(0xFFFF))
    k: int = attrs.field(default=0, converter=operator.index, validator=_refuse_wide(WORD_MASK))
    jt: int = attrs.field(default=0, kw_only=True, validator=_refuse_wide(MAX_BRANCH))
    jf: int = attrs.field(default=0, kw_only=True, validator=_refuse_wide(MAX_BRANCH))


def check(instructions: Sequence[Instruction]) -> None:
    """
    Refuse what the kernel refuses.

    Raises:
        ProgramTooLongError: more than 4096 instructions.
        ValueError: anything else that seccomp(2) answers with ``EINVAL``.
    """
    if len(instructions) > MAX_INSTRUCTIONS:
        message = f"the filter needs {len(instructions)} instructions; the kernel takes {MAX_INSTRUCTIONS}"
        raise ProgramTooLongError(message)
    if not instructions:
        message = "a program needs at least one instruction"
        raise ValueError(message)
    for index, instruction in enumerate(instructions):
        fault = _fault_of(instruction) or _fault_of_jump(instruction, len(instructions) - index - 1)
        if fault:
            message = f"instruction {index}: {fault}"
            raise ValueError(message)
    if instructions[-1].code not in _RETURNS:
        message = "the last instruction is not a return"
        raise ValueError(message)
    _check_scratch(instructions)


def _fault_of(instruction: Instruction) -> str:
    """Say what is wrong with *instruction* wherever it stands, or nothing."""
    code, k = instruction.code, instruction.k
    if code not in _OPCODES:
        return f"opcode {code:#x} is not one that seccomp admits"
    match Op(code):
        case Op.LD_ABS if k >= DATA_SIZE or k % WORD_SIZE:
            return f"load at {k}: not an aligned word of the {DATA_SIZE} bytes of seccomp_data"
        case Op.DIV_K if k == 0:
            return "division by the constant zero"
        case Op.LSH_K | Op.RSH_K if k >= WORD_BITS:
            return f"shift by {k}: a word has {WORD_BITS} bits"
        case Op.ST | Op.STX | Op.LD_MEM | Op.LDX_MEM if k >= SCRATCH_WORDS:
            return f"M[{k}] is not one of the {SCRATCH_WORDS} words of scratch memory"
        case _:
            return ""


def _fault_of_jump(instruction: Instruction, behind: int) -> str:
    """Say what is wrong with a jump that has *behind* instructions behind it, or nothing."""
    if all(offset < behind for offset in offsets(instruction)):
        return ""
    if instruction.code == Op.JA and instruction.k >> (WORD_BITS - 1):
        back = (1 << WORD_BITS) - instruction.k
        return f"jump backwards, if its offset is read as -{back}; offsets are unsigned, and programs have no loops"
    return f"jump past the end of the program, by {max(offsets(instruction)) - behind + 1}"


def offsets(instruction: Instruction) -> tuple[int, ...]:
    """Return the offsets to which *instruction* may jump; none for one that does not jump."""
    if instruction.code == Op.JA:
        return (instruction.k,)
    if instruction.code in BRANCHES:
        return (instruction.jt, instruction.jf)
    return ()


def _check_scratch(instructions: Sequence[Instruction]) -> None:
    """
    Refuse a read of scratch memory that some path reaches without a store.

    The same single pass as the kernel's ``check_load_and_stores``: what lies behind a
    return counts as reached from it, which refuses a little more than it must.
    """
    stored_at = [_ALL_SCRATCH] * len(instructions)
    stored = 0
    for index, instruction in enumerate(instructions):
        stored &= stored_at[index]
        if instruction.code in _STORES:
            stored |= 1 << instruction.k
        elif instruction.code in _SCRATCH_LOADS and not stored & 1 << instruction.k:
            message = f"instruction {index}: M[{instruction.k}] is read and may not have been written"
            raise ValueError(message)
        for offset in offsets(instruction):
            stored_at[index + 1 + offset] &= stored
        if offsets(instruction):
            stored = _ALL_SCRATCH


def _as_tuple(instructions: Iterable[Instruction]) -> tuple[Instruction, ...]:
    return tuple(instructions)


def _refuse_unaccepted(
    _program: object, _attribute: attrs.Attribute[tuple[Instruction, ...]], value: tuple[Instruction, ...]
) -> None:
    check(value)


@attrs.frozen
class Program:
    """Instructions that the kernel accepts as a filter: 1 to 4096 of them, and nothing that ``check`` refuses."""

    instructions: tuple[Instruction, ...] = attrs.field(converter=_as_tuple, validator=_refuse_unaccepted)

    def __len__(self) -> int:
        """Return the number of instructions."""
        return len(self.instructions)

    def prepended(self, instructions: Iterable[Instruction]) -> Program:
        """
        Return a program that runs *instructions* first, and this one where they fall through.

        Raises:
            ProgramTooLongError: together they are more than 4096 instructions.
        """
        return Program((*instructions, *self.instructions))

    def pack(self) -> bytes:
        """Return the array of ``struct sock_filter``, in the byte order of this machine."""
        return b"".join(_SOCK_FILTER.pack(each.code, each.jt, each.jf, each.k) for each in self.instructions)
