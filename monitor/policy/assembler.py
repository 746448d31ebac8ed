"""
An assembler: instructions with labels become a ``Program`` with offsets.

What it is not: a compiler.  It knows where words lie in ``struct seccomp_data`` and how far
a jump reaches; what a program says is decided by its callers, ``policy.compile`` and
``policy.notify_program``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, assert_never

import attrs

from monitor.abi.seccomp import OFFSET_ARCH, OFFSET_ARGS, OFFSET_NR
from monitor.policy.bpf import MAX_BRANCH, WORD_SIZE, Instruction, Op, Program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.abi.arch import Arch

ARGUMENT_COUNT: Final = 6
ARGUMENT_SIZE: Final = 8


@attrs.frozen(eq=False)
class Label:
    """A place in a program, named before it is known.  Equal to itself alone."""

    name: str


@attrs.frozen
class Assembly:
    """
    What was assembled: perhaps a program, perhaps too long for one.

    Attributes:
        instructions: as they follow each other, the jumps with their offsets.
        marks: for each instruction the ``Assembler.mark`` under which it was added.
        labels: the names of the labels at an index.
    """

    instructions: tuple[Instruction, ...]
    marks: tuple[int, ...]
    labels: Mapping[int, tuple[str, ...]]


class Assembler:
    """
    Collects instructions and labels, then makes a ``Program`` of them.

    Jumps go forward, as the kernel demands.  Where a label is ``None``, the jump goes to the
    instruction that is added next.  A conditional jump reaches 255 instructions; a label
    further away is reached over a ``JA`` within its reach.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.mark = 0
        """A number of the caller's, which the instructions added from now on bear."""
        self._items: list[tuple[_Item, int]] = []
        self._placed: set[Label] = set()
        self._shared_returns: dict[int, tuple[Label, int]] = {}

    def place(self, label: Label) -> None:
        """Let *label* name the instruction that is added next."""
        if label in self._placed:
            message = f"label {label.name!r} is placed twice"
            raise ValueError(message)
        self._placed.add(label)
        self._add(label)

    def shared_return(self, value: int, mark: int = 0) -> Label:
        """Return the label of the one ``ret(value)`` behind everything else; it bears the *mark* it first got."""
        return self._shared_returns.setdefault(value, (Label(""), mark))[0]

    def load_nr(self) -> None:
        """Load the number of the call."""
        self._add(Instruction(Op.LD_ABS, OFFSET_NR))

    def load_arch(self) -> None:
        """Load the audit value of the call's arch."""
        self._add(Instruction(Op.LD_ABS, OFFSET_ARCH))

    def load(self, offset: int) -> None:
        """Load the word at *offset* of ``struct seccomp_data``."""
        self._add(Instruction(Op.LD_ABS, offset))

    def load_argument_low(self, index: int, arch: Arch) -> None:
        """Load the low 32 bits of argument *index*, 0 to 5, of a call of *arch*."""
        self.load(low_offset(index, arch))

    def load_argument_high(self, index: int, arch: Arch) -> None:
        """Load the high 32 bits of argument *index*, 0 to 5, of a call of *arch*."""
        self.load(high_offset(index, arch))

    def mask(self, k: int) -> None:
        """Keep of what is loaded the bits that *k* has."""
        self._add(Instruction(Op.AND_K, k))

    def flip(self, k: int) -> None:
        """Turn round, in what is loaded, the bits that *k* has."""
        self._add(Instruction(Op.XOR_K, k))

    def ret(self, value: int) -> None:
        """Return *value*: an action with its data."""
        self._add(Instruction(Op.RET_K, value))

    def jump(self, label: Label) -> None:
        """Go to *label*."""
        self._add(_Goto(label))

    def jump_equal(self, k: int, true: Label | None = None, false: Label | None = None) -> None:
        """Go to *true* if what is loaded equals *k*, else to *false*."""
        self._add(_Branch(Op.JEQ_K, k, true, false))

    def jump_at_least(self, k: int, true: Label | None = None, false: Label | None = None) -> None:
        """Go to *true* if what is loaded is *k* or more, unsigned, else to *false*."""
        self._add(_Branch(Op.JGE_K, k, true, false))

    def jump_above(self, k: int, true: Label | None = None, false: Label | None = None) -> None:
        """Go to *true* if what is loaded is more than *k*, unsigned, else to *false*."""
        self._add(_Branch(Op.JGT_K, k, true, false))

    def jump_any_set(self, k: int, true: Label | None = None, false: Label | None = None) -> None:
        """Go to *true* if what is loaded has any bit that *k* has, else to *false*."""
        self._add(_Branch(Op.JSET_K, k, true, false))

    def jump_if(self, op: Op, k: int, true: Label, false: Label) -> None:
        """Go to *true* if *op*, a jump with a constant, says so of what is loaded, else to *false*."""
        self._add(_Branch(op, k, true, false))

    def assemble(self) -> Program:
        """
        Return the program.

        Raises:
            ProgramTooLongError: it is longer than 4096 instructions.
            ValueError: a label is not placed behind the jump to it, or the kernel would
                refuse the program.
        """
        return Program(self.assembly().instructions)

    def assembly(self) -> Assembly:
        """
        Return the instructions, however many they are, with what is known of each.

        Raises:
            ValueError: a label is not placed behind the jump to it.
        """
        items = [*self._items]
        for value, (label, mark) in self._shared_returns.items():
            items += [(label, mark), (Instruction(Op.RET_K, value), mark)]
        return _assembled(items)

    def _add(self, item: _Item) -> None:
        self._items.append((item, self.mark))


class _Goto(NamedTuple):
    """A jump still without an offset."""

    label: Label


class _Branch(NamedTuple):
    """A conditional jump still without offsets; ``None`` is the next instruction."""

    op: Op
    k: int
    true: Label | None
    false: Label | None


_Item: TypeAlias = Instruction | Label | _Goto | _Branch


def low_offset(index: int, arch: Arch) -> int:
    """Return where the low 32 bits of argument *index*, 0 to 5, of a call of *arch* lie."""
    return _argument(index) + (0 if arch.little_endian else WORD_SIZE)


def high_offset(index: int, arch: Arch) -> int:
    """Return where the high 32 bits of argument *index*, 0 to 5, of a call of *arch* lie."""
    return _argument(index) + (WORD_SIZE if arch.little_endian else 0)


def _argument(index: int) -> int:
    """Return the offset of argument *index*."""
    if not 0 <= index < ARGUMENT_COUNT:
        message = f"argument index {index} is not in 0..{ARGUMENT_COUNT - 1}"
        raise ValueError(message)
    return OFFSET_ARGS + ARGUMENT_SIZE * index


def _assembled(items: Iterable[tuple[_Item, int]]) -> Assembly:
    """Return *items* as instructions, the jumps with their offsets."""
    # From the last item to the first: as all jumps go forward, every distance is known when
    # it is needed, and no jump has to be made longer in a second pass.
    tail = _Tail()
    for item, mark in reversed([*items]):
        tail.mark = mark
        match item:
            case Instruction():
                tail.add(item)
            case Label():
                tail.places[item] = len(tail.instructions)
                tail.labels.append((len(tail.instructions), item.name))
            case _Goto(label):
                tail.add_goto(label)
            case _Branch():
                tail.add_branch(item)
            case _:
                assert_never(item)
    return tail.assembly()


@attrs.define
class _Tail:
    """
    The end of a program, last instruction first, as far as it is known.

    Attributes:
        instructions: the instructions, the last one first.
        marks: theirs, likewise.
        places: for each label, how many instructions there are from it to the end.
        labels: the same for all labels, however a jump to them may begin.
        mark: of what is added next.
    """

    instructions: list[Instruction] = attrs.Factory(list[Instruction])
    marks: list[int] = attrs.Factory(list[int])
    places: dict[Label, int] = attrs.Factory(dict[Label, int])
    labels: list[tuple[int, str]] = attrs.Factory(list[tuple[int, str]])
    mark: int = 0

    def assembly(self) -> Assembly:
        """Return it in the right order."""
        names: dict[int, tuple[str, ...]] = {}
        for place, name in reversed(self.labels):
            index = len(self.instructions) - place
            names[index] = (*names.get(index, ()), name)
        return Assembly(tuple(reversed(self.instructions)), tuple(reversed(self.marks)), MappingProxyType(names))

    def add(self, instruction: Instruction) -> None:
        """Add *instruction*."""
        self.instructions.append(instruction)
        self.marks.append(self.mark)

    def offset(self, label: Label) -> int:
        """Return how far *label* is from the instruction behind the one to be added."""
        if label not in self.places:
            message = f"label {label.name!r} is not placed behind the jump to it"
            raise ValueError(message)
        return len(self.instructions) - self.places[label]

    def add_goto(self, label: Label) -> None:
        """Add a jump that reaches everything."""
        self.add(Instruction(Op.JA, self.offset(label)))

    def add_branch(self, branch: _Branch) -> None:
        """Add *branch*, and behind it a ``JA`` to each label that is out of its reach."""
        following = Label("next")
        self.places[following] = len(self.instructions)
        true, false = branch.true or following, branch.false or following
        while self.offset(further := max(true, false, key=self.offset)) > MAX_BRANCH:
            self.add_goto(further)
            # Jumps from further up take this JA as their first step, and need none of their own.
            self.places[further] = len(self.instructions)
        self.add(Instruction(branch.op, branch.k, jt=self.offset(true), jf=self.offset(false)))
