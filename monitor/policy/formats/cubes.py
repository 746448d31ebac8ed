"""
Tests of registers in the words of libseccomp, which knows whole registers, equality under a mask, and no sign.

What it is not: exact by accident.  A comparison of 32 bits, with a sign, or unequal under a mask is not
among its words; it becomes several rules, each of which asks for some bits.  A *cube* is a mask and
the bits that must be seen under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final, NamedTuple

from monitor.policy.condition import Test
from monitor.policy.formats.regions import MAX_CLAUSES, Clause, TooManyClausesError
from monitor.policy.formats.scmp import MASKED_EQ, Comparison

_REGISTER_BITS: Final = 64

_NAMES: Final = {
    "!=": "SCMP_CMP_NE",
    "<": "SCMP_CMP_LT",
    "<=": "SCMP_CMP_LE",
    "==": "SCMP_CMP_EQ",
    ">=": "SCMP_CMP_GE",
    ">": "SCMP_CMP_GT",
}


class Cube(NamedTuple):
    """The registers that show *value* under *mask*."""

    mask: int
    value: int

    def both(self, other: Cube) -> Cube | None:
        """Return what is in this one and in the *other*; None: nothing."""
        if (self.value ^ other.value) & self.mask & other.mask:
            return None
        return Cube(self.mask | other.mask, self.value | other.value)


def comparisons_of(clause: Clause) -> Sequence[tuple[Comparison, ...]]:
    """
    Return rules, each of one comparison per register, of which one holds exactly where *clause* does.

    Raises:
        TooManyClausesError: there would be more than ``MAX_CLAUSES``.
    """
    by_register: dict[int, list[Test]] = {}
    for test in clause:
        if test not in by_register.setdefault(test.argument, []):
            by_register[test.argument].append(test)
    choices = [_of_register(index, tests, alone=len(by_register) == 1) for index, tests in sorted(by_register.items())]
    total = 1
    for choice in choices:
        total *= len(choice)
    if total > MAX_CLAUSES:
        raise TooManyClausesError
    return list(product(*choices))


def _of_register(index: int, tests: Sequence[Test], *, alone: bool) -> Sequence[Comparison]:
    if len(tests) == 1 and (plain := _plain(tests[0], alone=alone)) is not None:
        return [plain]
    cubes: Iterable[Cube] = [Cube(0, 0)]
    for test in tests:
        cubes = [common for cube in cubes for other in cubes_of(test) if (common := cube.both(other)) is not None]
    return [Comparison(index, MASKED_EQ, cube.mask, cube.value) for cube in cubes]


def _plain(test: Test, *, alone: bool) -> Comparison | None:
    """Return *test* as one comparison; None where it takes several, or one that libseccomp gets wrong."""
    if test.width != _REGISTER_BITS or test.mask is not None or test.signed:
        return None
    # Orderings beside comparisons of other registers are compiled wrongly (``scmp``).
    if test.operator not in {"==", "!="} and not alone:
        return None
    return Comparison(test.argument, _NAMES[test.operator], test.value)


def cubes_of(test: Test) -> Sequence[Cube]:
    """Return cubes of which one has a register exactly where *test* holds of it."""
    everything = (1 << test.width) - 1
    mask = everything if test.mask is None else test.mask
    value = test.value & everything
    if test.operator == "==":
        return [Cube(mask, value)] if not value & ~mask else []
    if test.operator == "!=":
        return _unequal(mask, value)
    # Numbers with a sign are in the order of those without, when the sign is turned around.
    sign = 1 << (test.width - 1) if test.signed and test.mask is None else 0
    found = _ordered(test.operator, mask, value ^ sign, test.width)
    return [Cube(cube.mask, cube.value ^ (sign & cube.mask)) for cube in found]


def _unequal(mask: int, value: int) -> Sequence[Cube]:
    if value & ~mask:
        return [Cube(0, 0)]
    return [Cube(bit, ~value & bit) for bit in _bits(mask)]


def _ordered(operator: str, mask: int, value: int, width: int) -> Sequence[Cube]:
    """Go down the bits: the first that differs decides, and before it all are those of *value*."""
    less = operator in {"<", "<="}
    cubes: list[Cube] = []
    agreed = Cube(0, 0)
    for bit in reversed(_bits((1 << width) - 1)):
        wanted, there = value & bit, mask & bit
        # A bit outside the mask is seen as 0.
        if wanted and less:
            cubes.append(Cube(agreed.mask | there, agreed.value))
        elif not wanted and not less and there:
            cubes.append(Cube(agreed.mask | bit, agreed.value | bit))
        if wanted and not there:
            return cubes
        agreed = Cube(agreed.mask | there, agreed.value | wanted)
    return [*cubes, agreed] if operator in {"<=", ">="} else cubes


def _bits(mask: int) -> list[int]:
    return [1 << position for position in range(mask.bit_length()) if mask >> position & 1]
