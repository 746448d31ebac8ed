"""
Conditions on the six registers of a call: what a rule's ``when`` means for one call of one ABI.

What it is not: the language in which people write them (``expression``), or instructions
(``compile``).  A test looks at as much of a register as the declared type has, never more: the
kernel ignores the rest, and a target may put there what it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import eq, ge, gt, le, lt, ne
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, assert_never

import attrs
from attrs import field, frozen, validators

Operator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]

OPERATORS: Final[Mapping[Operator, Callable[[int, int], bool]]] = MappingProxyType(
    {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
)

NEGATED: Final[Mapping[Operator, Operator]] = MappingProxyType(
    {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
)
"""Operator -> the one that holds exactly where it does not."""


def _fits(test: Test, attribute: attrs.Attribute[int], value: int) -> None:
    low = -(1 << (test.width - 1)) if test.signed and test.mask is None else 0
    high = (1 << (test.width - 1 if test.signed and test.mask is None else test.width)) - 1
    if not low <= value <= high:
        sign = "signed" if test.signed else "unsigned"
        message = f"{attribute.name} {value} does not fit into {test.width} bits, {sign}"
        raise ValueError(message)


def _mask_fits(test: Test, _attribute: attrs.Attribute[int | None], mask: int | None) -> None:
    if mask is not None and not 0 <= mask < 1 << test.width:
        message = f"mask {mask:#x} does not fit into {test.width} bits"
        raise ValueError(message)


@frozen
class Test:
    """
    One comparison of one argument.

    With a *mask* the bits it has are compared as an unsigned number; without one the argument is
    signed or not as its type says.
    """

    __test__ = False  # the word is ours; pytest collects classes of that name

    argument: int = field(validator=[validators.ge(0), validators.le(5)])
    """The register, 0 to 5."""
    operator: Operator = field(validator=validators.in_(OPERATORS))
    width: int = field(default=64, kw_only=True, validator=validators.in_((8, 16, 32, 64)))
    signed: bool = field(default=False, kw_only=True)
    mask: int | None = field(default=None, kw_only=True, validator=_mask_fits)
    value: int = field(kw_only=True, validator=_fits)

    def holds(self, args: Sequence[int]) -> bool:
        """Whether it holds for *args*, six unsigned 64-bit words."""
        found = args[self.argument] & ((1 << self.width) - 1)
        if self.mask is not None:
            found &= self.mask
        elif self.signed and found >> (self.width - 1):
            found -= 1 << self.width
        return OPERATORS[self.operator](found, self.value)


def _parts(parts: Iterable[Condition]) -> tuple[Condition, ...]:
    return tuple(parts)


@frozen
class AllOf:
    """Holds where all of *parts* hold; of no part, always."""

    parts: tuple[Condition, ...] = field(converter=_parts)

    def holds(self, args: Sequence[int]) -> bool:
        """Whether it holds for *args*."""
        return all(part.holds(args) for part in self.parts)


@frozen
class AnyOf:
    """Holds where any of *parts* holds; of no part, never."""

    parts: tuple[Condition, ...] = field(converter=_parts)

    def holds(self, args: Sequence[int]) -> bool:
        """Whether it holds for *args*."""
        return any(part.holds(args) for part in self.parts)


@frozen
class Not:
    """Holds where *part* does not."""

    part: Condition

    def holds(self, args: Sequence[int]) -> bool:
        """Whether it holds for *args*."""
        return not self.part.holds(args)


Condition: TypeAlias = Test | AllOf | AnyOf | Not

ALWAYS: Final = AllOf(())
NEVER: Final = AnyOf(())


def cut(condition: Condition, register_bits: int) -> Condition:
    """
    Return what *condition* means where registers have *register_bits*, 32 or 64.

    A 32-bit program has no more of a register than that, but the word in which a filter finds it has 64.
    The upper half is no promise: the kernel of x86 shows to a filter what the 64-bit register holds
    (arch/x86/include/asm/syscall.h, ``syscall_get_arguments``), a 64-bit program may have put there what
    it likes before ``int $0x80``, and the call itself sees the low half alone
    (arch/x86/include/asm/syscall_wrapper.h, ``SC_IA32_REGS_TO_ARGS``).
    """
    match condition:
        case Test():
            return _cut_test(condition, register_bits)
        case AllOf(parts):
            return AllOf(tuple(cut(part, register_bits) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(cut(part, register_bits) for part in parts))
        case Not(part):
            return Not(cut(part, register_bits))
        case _:
            assert_never(condition)


def _cut_test(test: Test, bits: int) -> Condition:
    if test.width <= bits:
        return test
    highest = (1 << bits) - 1
    mask = None if test.mask is None else test.mask & highest
    if 0 <= test.value <= highest:
        return Test(test.argument, test.operator, width=bits, mask=mask, value=test.value)
    # The register is zero or more, and *highest* at most: any value between it and the one asked for will do.
    return ALWAYS if OPERATORS[test.operator](0, -1 if test.value < 0 else 1) else NEVER


def negation(condition: Condition) -> Condition:
    """Return what holds exactly where *condition* does not, with no ``Not`` in it."""
    match condition:
        case Test():
            return attrs.evolve(condition, operator=NEGATED[condition.operator])
        case AllOf(parts):
            return AnyOf(tuple(negation(part) for part in parts))
        case AnyOf(parts):
            return AllOf(tuple(negation(part) for part in parts))
        case Not(part):
            return positive(part)
        case _:
            assert_never(condition)


def positive(condition: Condition) -> Condition:
    """Return the same condition with no ``Not`` in it."""
    match condition:
        case Test():
            return condition
        case AllOf(parts):
            return AllOf(tuple(positive(part) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(positive(part) for part in parts))
        case Not(part):
            return negation(part)
        case _:
            assert_never(condition)
