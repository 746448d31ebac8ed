"""
An assembler: instructions with labels become a ``Program`` with offsets.

What it is not: a compiler.  It knows where words lie in ``struct seccomp_data`` and how far
a jump reaches; what a program says is decided by its caller, ``policy.compile``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, assert_never

import attrs

from monitor.abi.seccomp import OFFSET_ARCH, OFFSET_ARGS, OFFSET_NR
from monitor.policy.bpf import MAX_BRANCH, WORD_SIZE, Instruction, Op, Program

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.abi.arch import Arch

ARGUMENT_COUNT: Final = 6
ARGUMENT_SIZE: Final = 8


@attrs.frozen(eq=False)
class Label:
    """A place in a program, named before it is known.  Equal to itself alone."""

    name: str


class Assembler:
    """
    Collects instructions and labels, then makes a ``Program`` of them.

    Jumps go forward, as the kernel demands.  Where a label is ``None``, the jump goes to the
    instruction that is added next.  A conditional jump reaches 255 instructions; a label
    further away is reached over a ``JA`` within its reach.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._items: list[_Item] = []
        self._placed: set[Label] = set()
        self._shared_returns: dict[int, Label] = {}

    def place(self, label: Label) -> None:
        """Let *label* name the instruction that is added next."""
        if label in self._placed:
            message = f"label {label.name!r} is placed twice"
            raise ValueError(message)
        self._placed.add(label)
        self._items.append(label)

    def shared_return(self, value: int) -> Label:
        """Return the label of the one ``ret(value)`` that ``assemble`` puts behind everything else."""
        return self._shared_returns.setdefault(value, Label(f"return {value:#x}"))

    def load_nr(self) -> None:
        """Load the number of the call."""
        self._items.append(Instruction(Op.LD_ABS, OFFSET_NR))

    def load_arch(self) -> None:
        """Load the audit value of the call's arch."""
        self._items.append(Instruction(Op.LD_ABS, OFFSET_ARCH))

    def load_argument_low(self, index: int, arch: Arch) -> None:
        """Load the low 32 bits of argument *index*, 0 to 5, of a call of *arch*."""
        self._items.append(Instruction(Op.LD_ABS, _argument(index) + (0 if arch.little_endian else WORD_SIZE)))

    def load_argument_high(self, index: int, arch: Arch) -> None:
        """Load the high 32 bits of argument *index*, 0 to 5, of a call of *arch*."""
        self._items.append(Instruction(Op.LD_ABS, _argument(index) + (WORD_SIZE if arch.little_endian else 0)))

    def mask(self, k: int) -> None:
        """Keep of what is loaded the bits that *k* has."""
        self._items.append(Instruction(Op.AND_K, k))

    def ret(self, value: int) -> None:
        """Return *value*: an action with its data."""
        self._items.append(Instruction(Op.RET_K, value))

    def jump(self, label: Label) -> None:
        """Go to *label*."""
        self._items.append(_Goto(label))

    def jump_equal(self, k: int, true: Label | None = None, false: Label | None = None) -> None:
        """Go to *true* if what is loaded equals *k*, else to *false*."""
        self._items.append(_Branch(Op.JEQ_K, k, true, false))

    def jump_at_least(self, k: int, true: Label | None = None, false: Label | None = None) -> None:
        """Go to *true* if what is loaded is *k* or more, unsigned, else to *false*."""
        self._items.append(_Branch(Op.JGE_K, k, true, false))

    def jump_above(self, k: int, true: Label | None = None, false: Label | None = None) -> None:
        """Go to *true* if what is loaded is more than *k*, unsigned, else to *false*."""
        self._items.append(_Branch(Op.JGT_K, k, true, false))

    def jump_any_set(self, k: int, true: Label | None = None, false: Label | None = None) -> None:
        """Go to *true* if what is loaded has any bit that *k* has, else to *false*."""
        self._items.append(_Branch(Op.JSET_K, k, true, false))

    def assemble(self) -> Program:
        """
        Return the program.

        Raises:
            ProgramTooLongError: it is longer than 4096 instructions.
            ValueError: a label is not placed behind the jump to it, or the kernel would
                refuse the program.
        """
        items = [*self._items]
        for value, label in self._shared_returns.items():
            items += [label, Instruction(Op.RET_K, value)]
        return Program(_assembled(items))


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


def _argument(index: int) -> int:
    """Return the offset of argument *index*."""
    if not 0 <= index < ARGUMENT_COUNT:
        message = f"argument index {index} is not in 0..{ARGUMENT_COUNT - 1}"
        raise ValueError(message)
    return OFFSET_ARGS + ARGUMENT_SIZE * index


def _assembled(items: Iterable[_Item]) -> list[Instruction]:
    """Return *items* as instructions, the jumps with their offsets."""
    # From the last item to the first: as all jumps go forward, every distance is known when
    # it is needed, and no jump has to be made longer in a second pass.
    tail = _Tail()
    for item in reversed([*items]):
        match item:
            case Instruction():
                tail.instructions.append(item)
            case Label():
                tail.places[item] = len(tail.instructions)
            case _Goto(label):
                tail.add_goto(label)
            case _Branch():
                tail.add_branch(item)
            case _:
                assert_never(item)
    return tail.instructions[::-1]


@attrs.define
class _Tail:
    """
    The end of a program, last instruction first, as far as it is known.

    Attributes:
        instructions: the instructions, the last one first.
        places: for each label, how many instructions there are from it to the end.
    """

    instructions: list[Instruction] = attrs.Factory(list[Instruction])
    places: dict[Label, int] = attrs.Factory(dict[Label, int])

    def offset(self, label: Label) -> int:
        """Return how far *label* is from the instruction behind the one to be added."""
        if label not in self.places:
            message = f"label {label.name!r} is not placed behind the jump to it"
            raise ValueError(message)
        return len(self.instructions) - self.places[label]

    def add_goto(self, label: Label) -> None:
        """Add a jump that reaches everything."""
        self.instructions.append(Instruction(Op.JA, self.offset(label)))

    def add_branch(self, branch: _Branch) -> None:
        """Add *branch*, and behind it a ``JA`` to each label that is out of its reach."""
        following = Label("next")
        self.places[following] = len(self.instructions)
        true, false = branch.true or following, branch.false or following
        while self.offset(further := max(true, false, key=self.offset)) > MAX_BRANCH:
            self.add_goto(further)
            # Jumps from further up take this JA as their first step, and need none of their own.
            self.places[further] = len(self.instructions)
        self.instructions.append(Instruction(branch.op, branch.k, jt=self.offset(true), jf=self.offset(false)))
