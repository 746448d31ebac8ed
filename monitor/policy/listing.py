"""
A program as text: one line for each instruction, with the names of what it compares and returns.

What it is not: a second interpreter.  What a constant means depends on what is loaded, and on which arch:
both are followed along every way through the program, and where two ways disagree nothing is claimed.

The notation is that of bpf_asm(1) of the kernel (Documentation/networking/filter.rst, "Linux Socket
Filtering", "BPF engine and instruction set"), with names behind the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from attrs import frozen

from monitor.abi.arch import Arch
from monitor.abi.constants import errno_name
from monitor.abi.seccomp import ACTION_MASK, DATA_MASK, OFFSET_ARCH, OFFSET_ARGS, OFFSET_IP, OFFSET_NR, RetValue
from monitor.abi.syscalls import name_of
from monitor.policy.bpf import BRANCHES, WORD_MASK, Instruction, Op, Program, offsets
from monitor.policy.compile import CompiledPolicy
from monitor.policy.numbers import owner
from monitor.policy.ranges import described
from monitor.policy.sections import Note

_MNEMONICS: Final = {
    Op.LD_IMM: "ld", Op.LD_ABS: "ld", Op.LD_MEM: "ld", Op.LD_LEN: "ld",
    Op.LDX_IMM: "ldx", Op.LDX_MEM: "ldx", Op.LDX_LEN: "ldx", Op.ST: "st", Op.STX: "stx",
    Op.ADD_K: "add", Op.ADD_X: "add", Op.SUB_K: "sub", Op.SUB_X: "sub", Op.MUL_K: "mul", Op.MUL_X: "mul",
    Op.DIV_K: "div", Op.DIV_X: "div", Op.OR_K: "or", Op.OR_X: "or", Op.AND_K: "and", Op.AND_X: "and",
    Op.LSH_K: "lsh", Op.LSH_X: "lsh", Op.RSH_K: "rsh", Op.RSH_X: "rsh", Op.NEG: "neg",
    Op.XOR_K: "xor", Op.XOR_X: "xor", Op.JA: "jmp",
    Op.JEQ_K: "jeq", Op.JEQ_X: "jeq", Op.JGT_K: "jgt", Op.JGT_X: "jgt", Op.JGE_K: "jge", Op.JGE_X: "jge",
    Op.JSET_K: "jset", Op.JSET_X: "jset", Op.RET_K: "ret", Op.RET_A: "ret", Op.TAX: "tax", Op.TXA: "txa",
}  # fmt: skip

_WITH_X: Final = frozenset(op for op in Op if op.name.endswith("_X"))
_WITH_MEMORY: Final = frozenset({Op.LD_MEM, Op.LDX_MEM, Op.ST, Op.STX})
_WITH_LENGTH: Final = frozenset({Op.LD_LEN, Op.LDX_LEN})
_WITH_NOTHING: Final = frozenset({Op.NEG, Op.TAX, Op.TXA})
_KEEPING: Final = frozenset({Op.ST, Op.STX, Op.TAX, Op.LDX_IMM, Op.LDX_MEM, Op.LDX_LEN, Op.JA, *BRANCHES})
"""What leaves the accumulator as it is."""

_SHOWN: Final = 3
"""How many of the rules behind one instruction are named."""

_DECIMAL: Final = 1 << 16
"""Constants below it are written as people count."""


class _Known(NamedTuple):
    """
    What is known before an instruction runs, on whichever way it was reached.

    Attributes:
        loaded: the offset of the word of ``struct seccomp_data`` in the accumulator, if it is one, unchanged.
        audit_value: the arch of the call, if it was compared.
    """

    loaded: int | None
    audit_value: int | None


@frozen
class Line:
    """
    One instruction as text.

    Attributes:
        index: which.
        labels: names of the place.
        text: ``jeq #257 openat, L5, L9``.
        note: why it is there, where that is known.
    """

    index: int
    labels: tuple[str, ...]
    text: str
    note: str


def lines(
    program: Program,
    *,
    arch: Arch | None = None,
    labels: Mapping[int, Sequence[str]] | None = None,
    notes: Sequence[str] | None = None,
) -> list[Line]:
    """
    Return the instructions of *program* as text.

    *arch* is that of a program which does not ask for it; *labels* and *notes* are what its compiler
    knows, by index.
    """
    known = _followed(program, None if arch is None else arch.audit_value)
    names = _place_names(program, labels or {})
    return [
        Line(index, names.get(index, ()), _text(index, instruction, known[index], names), notes[index] if notes else "")
        for index, instruction in enumerate(program.instructions)
    ]


def lines_of(compiled: CompiledPolicy) -> list[Line]:
    """Return the instructions of a policy's program, with the rules behind them."""
    notes = [_note_text(note) for note in compiled.notes]
    return lines(compiled.program, labels=compiled.labels, notes=notes)


def _note_text(note: Note) -> str:
    said = tuple(dict.fromkeys(described(one) for one in note.behind))
    more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return ", ".join(said[:_SHOWN]) + more


def listing(listed: Sequence[Line]) -> str:
    """Return *listed* as it is printed, in columns."""
    label_width = max((len(_labels(line)) for line in listed), default=0)
    text_width = max((len(line.text) for line in listed if line.note), default=0)
    index_width = len(str(len(listed) - 1))
    printed: list[str] = []
    for line in listed:
        start = f"{line.index:{index_width}}  {_labels(line):{label_width}}  "
        printed.append(f"{start}{line.text:{text_width}}  ; {line.note}" if line.note else f"{start}{line.text}")
    return "".join(f"{line}\n" for line in printed)


def _labels(line: Line) -> str:
    return "".join(f"{label}:" for label in line.labels)


def _place_names(program: Program, given: Mapping[int, Sequence[str]]) -> dict[int, tuple[str, ...]]:
    """Return the names of the places that are jumped to, or that have one from their compiler; none twice."""
    targets = {target for index, each in enumerate(program.instructions) for target in _targets(index, each)}
    result: dict[int, tuple[str, ...]] = {}
    taken: set[str] = set()
    for index in sorted(targets | given.keys()):
        named = [name for name in given.get(index, ()) if name]
        if not named and index not in targets:
            continue
        unique = (name if name not in taken else f"{name}.{index}" for name in named or [_own_name(index, program)])
        result[index] = tuple(dict.fromkeys(unique))
        taken.update(result[index])
    return result


def _own_name(index: int, program: Program) -> str:
    """Return a name for a place that has none: what is returned there, or its index."""
    instruction = program.instructions[index]
    return return_name(instruction.k) if instruction.code == Op.RET_K else f"L{index}"


def _targets(index: int, instruction: Instruction) -> Iterator[int]:
    """Yield where *instruction* jumps to, other than the next one."""
    for offset in offsets(instruction):
        if offset:
            yield index + 1 + offset


def _text(index: int, instruction: Instruction, known: _Known, names: Mapping[int, tuple[str, ...]]) -> str:
    op = Op(instruction.code)
    words = [_MNEMONICS[op]]
    operand = _operand(op, instruction.k, known)
    if op is Op.JA:
        words.append(_place(index, instruction.k, names))
    elif op in BRANCHES:
        true, false = _place(index, instruction.jt, names), _place(index, instruction.jf, names)
        words.append(f"{operand}, {true}, {false}")
    elif operand:
        words.append(operand)
    return " ".join(words)


def _place(index: int, offset: int, names: Mapping[int, tuple[str, ...]]) -> str:
    return names[index + 1 + offset][0] if offset else "next"


def _operand(op: Op, k: int, known: _Known) -> str:  # noqa: PLR0911  # one for each kind
    if op is Op.LD_ABS:
        return f"[{k}] {_word_name(k, known.audit_value)}"
    if op is Op.RET_K:
        return f"#{k:#010x} {return_name(k, known.audit_value)}"
    if op is Op.RET_A:
        return "a"
    if op in _WITH_NOTHING:
        return ""
    if op in _WITH_X:
        return "x"
    if op in _WITH_MEMORY:
        return f"M[{k}]"
    if op in _WITH_LENGTH:
        return "len"
    constant = f"#{k}" if k < _DECIMAL else f"#{k:#x}"
    name = _constant_name(op, k, known)
    return f"{constant} {name}" if name else constant


def _word_name(offset: int, audit_value: int | None) -> str:
    """Return the name of a word of ``struct seccomp_data``."""
    if offset in {OFFSET_NR, OFFSET_ARCH}:
        return {OFFSET_NR: "nr", OFFSET_ARCH: "arch"}[offset]
    orders = {arch.little_endian for arch in Arch if audit_value in {None, arch.audit_value}}
    name = f"args[{(offset - OFFSET_ARGS) // 8}]" if offset >= OFFSET_ARGS else "ip"
    first = offset % 8 == OFFSET_IP % 8
    if len(orders) != 1:
        return f"{name} {'first' if first else 'second'} half"
    return f"{name} {'low' if first in orders else 'high'} half"


def _constant_name(op: Op, k: int, known: _Known) -> str:
    """Return what a constant stands for, where it is compared with what tells so."""
    if op not in {Op.JEQ_K, Op.JGE_K, Op.JGT_K}:
        return ""
    if known.loaded == OFFSET_ARCH:
        return "/".join(arch.table for arch in Arch if arch.audit_value == k)
    if known.loaded == OFFSET_NR and known.audit_value is not None:
        arch = owner(known.audit_value, k)
        return (arch and name_of(arch, k)) or ""
    return ""


def return_name(value: int, audit_value: int | None = None) -> str:
    """Return what a filter's return value says: ``ERRNO EPERM``, ``TRAP 3``, ``ALLOW``."""
    action, data = value & ACTION_MASK, value & DATA_MASK
    try:
        name = RetValue(action).name
    except ValueError:
        return "KILL_PROCESS (no such action)"  # kernel/seccomp.c, __seccomp_filter: what it does not know kills
    if action == RetValue.ERRNO:
        arch = next((each for each in Arch if each.audit_value == audit_value), Arch.X86_64)
        return f"{name} {errno_name(data, arch) if data else 0}"
    return f"{name} {data}" if data else name


def _followed(program: Program, audit_value: int | None) -> list[_Known]:
    """Return what is known before each instruction."""
    states: list[_Known | None] = [None] * len(program.instructions)
    states[0] = _Known(None, audit_value)
    for index, instruction in enumerate(program.instructions):
        state = states[index]
        if state is None:
            continue  # no way leads here
        for target, after in _after(index, instruction, state):
            there = states[target]
            states[target] = after if there is None else _Known(*map(_agreed, there, after))
    return [state or _Known(None, None) for state in states]


def _agreed(one: int | None, other: int | None) -> int | None:
    return one if one == other else None


def _after(index: int, instruction: Instruction, state: _Known) -> Iterator[tuple[int, _Known]]:
    """Yield where *instruction* goes, and what is known there."""
    op = Op(instruction.code)
    if op in {Op.RET_K, Op.RET_A}:
        return
    if op is Op.JA:
        yield index + 1 + instruction.k, state
    elif op in BRANCHES:
        same_arch = op is Op.JEQ_K and state.loaded == OFFSET_ARCH
        yield index + 1 + instruction.jf, state
        yield index + 1 + instruction.jt, state._replace(audit_value=instruction.k) if same_arch else state
    elif op is Op.LD_ABS:
        yield index + 1, state._replace(loaded=instruction.k)
    elif op in _KEEPING or (op is Op.AND_K and instruction.k == WORD_MASK):
        yield index + 1, state
    else:
        yield index + 1, state._replace(loaded=None)
