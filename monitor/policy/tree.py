"""
The search for a number: ranges become a balanced tree of comparisons.

What it is not: what happens to the calls of a range.  Every step leads to a label of the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from monitor.policy.assembler import Assembler, Label

if TYPE_CHECKING:
    from collections.abc import Sequence


class Step(NamedTuple):
    """
    Where the program goes with numbers from *first* up to the next step's.

    Attributes:
        first: the lowest of the numbers.
        target: where to go; two steps in a row never have the same one.
        mark: what comparisons that lead to *target* are marked with.
    """

    first: int
    target: Label
    mark: int = 0


def add_tree(assembler: Assembler, steps: Sequence[Step], mark: int = 0) -> None:
    """
    Add a balanced tree of comparisons that finds the step, of two or more, of the loaded number.

    Comparisons that lead to further ones alone are marked with *mark*.
    """
    match steps:
        case [below, alone, above] if above.first == alone.first + 1 and below.target is above.target:
            assembler.mark = alone.mark
            assembler.jump_equal(alone.first, true=alone.target, false=below.target)
        case _:
            _add_fork(assembler, steps[: len(steps) // 2], steps[len(steps) // 2 :], mark)


def _add_fork(assembler: Assembler, low: Sequence[Step], high: Sequence[Step], mark: int) -> None:
    """Add one comparison between *low* and *high*, and what each of them still needs."""
    low_label, high_label = _entry(low), _entry(high)
    assembler.mark = high[0].mark if len(high) == 1 else low[0].mark if len(low) == 1 else mark
    assembler.jump_at_least(high[0].first, true=high_label, false=low_label)
    for steps, label in ((low, low_label), (high, high_label)):
        if len(steps) > 1:
            assembler.place(label)
            add_tree(assembler, steps, mark)


def _entry(steps: Sequence[Step]) -> Label:
    """Return where to go for *steps*: to the target of a single one, or to a tree that is still to be placed."""
    return steps[0].target if len(steps) == 1 else Label("")
