"""
Sets of call numbers, and which numbers belong to which ABI.

What it is not: names (``abi.syscalls``).  A filter sees numbers alone, those that no call has included,
so that every one of the 2^32 that can come with an audit value needs an owner.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, TypeAlias

from monitor.abi.arch import NO_CALL, Arch
from monitor.policy.bpf import WORD_MASK

if TYPE_CHECKING:
    from collections.abc import Mapping


class Every(enum.Enum):
    """The type of ``EVERY``."""

    EVERY = "every"


EVERY: Final = Every.EVERY
"""In the place of a set of numbers: each number, known or not."""

Numbers: TypeAlias = frozenset[int] | Every
"""Numbers of one arch; those of x32 include its bit."""


def spans(arch: Arch) -> tuple[range, ...]:
    """Return the numbers that, with the audit value of *arch*, make a call of *arch*."""
    x32 = range(Arch.X32.nr_bit, NO_CALL)
    match arch:
        case Arch.X32:
            return (x32,)
        case Arch.X86_64:
            return range(x32.start), range(NO_CALL, WORD_MASK + 1)
        case _:
            return (range(WORD_MASK + 1),)


def owner(audit_value: int, nr: int) -> Arch | None:
    """
    Return the arch of a call, or ``None`` for one we know nothing about.

    Every number of x86_64 from the x32 bit upwards counts as x32, those without the bit
    included: none of them is a call.  -1 is what a tracer skips a call with.
    """
    if audit_value == Arch.X86_64.audit_value:
        return Arch.X32 if Arch.X32.nr_bit <= nr < NO_CALL else Arch.X86_64
    return next((arch for arch in Arch if arch.audit_value == audit_value), None)


def refuse_impossible(numbers: Mapping[Arch, Numbers]) -> None:
    """
    Refuse numbers that no call can have.

    Raises:
        ValueError: it names the number and the arch.
    """
    for arch, some in numbers.items():
        of_arch = spans(arch)
        for nr in () if some is EVERY else some:
            if not any(nr in span for span in of_arch):
                message = f"{nr:#x} is not the number of a call of {arch.name}"
                raise ValueError(message)
