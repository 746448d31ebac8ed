"""
Programs as bytes: arrays of ``struct sock_filter``, as seccomp(2), bwrap(1) and libseccomp's export have them.

What it is not: a listing (``listing``).  A blob says neither its byte order nor its arch: the first is that
of the machine it is for, and has to be told where that is another one.
"""

from __future__ import annotations

import struct
import sys
from typing import Final, Literal, TypeAlias

from monitor.abi.seccomp import MAX_INSTRUCTIONS
from monitor.errors import PolicyError, ProgramTooLongError
from monitor.origin import Origin
from monitor.policy.bpf import Instruction, Op, Program

ByteOrder: TypeAlias = Literal["little", "big"]

_STRUCTS: Final = {"little": struct.Struct("<HBBI"), "big": struct.Struct(">HBBI")}
_OTHER: Final[dict[ByteOrder, ByteOrder]] = {"little": "big", "big": "little"}
_OPCODES: Final = frozenset(Op)

INSTRUCTION_SIZE: Final = 8
"""``sizeof(struct sock_filter)``."""


def write_blob(program: Program, byte_order: ByteOrder = sys.byteorder) -> bytes:
    """Return *program* as the bytes that a machine of *byte_order* takes."""
    layout = _STRUCTS[byte_order]
    return b"".join(layout.pack(each.code, each.jt, each.jf, each.k) for each in program.instructions)


def read_blob(data: bytes, byte_order: ByteOrder = sys.byteorder, *, name: str = "blob") -> Program:
    """
    Return the program that *data* holds; *name* is the file's, for messages.

    Raises:
        ProgramTooLongError: more than 4096 instructions.
        PolicyError: it is no program, or one that the kernel refuses; it says which instruction, and why.
    """
    origin = Origin(name)
    if not data:
        message = "empty: a program has at least one instruction"
        raise PolicyError(message, origin)
    if len(data) % INSTRUCTION_SIZE:
        whole, left = divmod(len(data), INSTRUCTION_SIZE)
        message = f"{len(data)} bytes: instruction {whole} has {left} bytes of {INSTRUCTION_SIZE}"
        raise PolicyError(message, origin)
    count = len(data) // INSTRUCTION_SIZE
    if count > MAX_INSTRUCTIONS:
        message = f"{count} instructions; the kernel takes {MAX_INSTRUCTIONS}"
        raise ProgramTooLongError(message, origin)
    fields = list(_STRUCTS[byte_order].iter_unpack(data))
    try:
        return Program(tuple(Instruction(code, k, jt=jt, jf=jf) for code, jt, jf, k in fields))
    except ValueError as error:
        message = f"{error}{_hint(data, byte_order)}"
        raise PolicyError(message, origin) from None


def _hint(data: bytes, byte_order: ByteOrder) -> str:
    """Say so if *data* would be better read in the other byte order."""
    here, there = (
        all(code in _OPCODES for code, *_ in _STRUCTS[order].iter_unpack(data))
        for order in (byte_order, _OTHER[byte_order])
    )
    return f"; its opcodes are those of a {_OTHER[byte_order]}-endian machine" if there and not here else ""
