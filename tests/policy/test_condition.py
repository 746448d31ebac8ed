"""What one comparison asks of a register, written down: width, sign, mask; registers of 32 bits; negation."""

from __future__ import annotations

import pytest

from monitor.policy.cases import Truths, cases_of
from monitor.policy.condition import ALWAYS, NEVER, AllOf, AnyOf, Condition, Not, Test, cut, negation, positive
from monitor.policy.formats.cubes import Cube, cubes_of

HIGH = 1 << 32


@pytest.mark.parametrize(
    ("test", "holding", "others"),
    [
        (Test(0, "==", value=3), [3], [HIGH | 3, 2]),
        (Test(0, "==", width=32, value=3), [3, HIGH | 3], [2, HIGH]),
        (Test(0, "<", width=32, value=3), [2, HIGH | 2], [3, 0xFFFFFFFF]),
        (Test(0, "<", width=32, signed=True, value=0), [0xFFFFFFFF, 1 << 31], [0, 0x7FFFFFFF, HIGH]),
        (Test(0, "==", width=32, signed=True, value=-1), [0xFFFFFFFF, (1 << 64) - 1], [1, (1 << 31) - 1]),
        (Test(0, "==", mask=0xF0, value=0x30), [0x30, 0x3F, HIGH | 0x31], [0x31 << 4, 0x70]),
        (Test(0, "!=", width=32, mask=8, value=0), [8, 0xF], [0, 7, HIGH << 3]),
        (Test(0, "<", width=32, signed=True, mask=1 << 31, value=1), [0, 1], [1 << 31, 0xFFFFFFFF]),
    ],
)
def test_what_holds_and_what_does_not(test: Test, holding: list[int], others: list[int]) -> None:
    for word in holding + others:
        assert test.holds((word, 0, 0, 0, 0, 0)) == (word in holding)


@pytest.mark.parametrize(
    ("test", "meaning"),
    [
        (Test(0, "==", value=HIGH), NEVER),
        (Test(0, "!=", value=HIGH), ALWAYS),
        (Test(0, "<", value=HIGH), ALWAYS),
        (Test(0, ">=", value=HIGH), NEVER),
        (Test(0, ">", signed=True, value=-1), ALWAYS),
        (Test(0, "<=", signed=True, value=-1), NEVER),
        (Test(0, "<", value=7), Test(0, "<", width=32, value=7)),
        (Test(0, "==", mask=HIGH | 1, value=1), Test(0, "==", width=32, mask=1, value=1)),
    ],
)
def test_what_no_register_of_32_bits_can_hold_is_never_met(test: Test, meaning: Condition) -> None:
    assert cut(test, 32) == meaning
    assert cut(Not(test), 32) == Not(meaning)
    assert cut(test, 64) == test


def test_the_negation_of_all_is_any_negation() -> None:
    first, second = Test(0, "==", value=1), Test(1, "<", value=2)
    negated = (Test(0, "!=", value=1), Test(1, ">=", value=2))

    assert negation(AllOf((first, second))) == AnyOf(negated)
    assert negation(AnyOf((first, second))) == AllOf(negated)
    assert positive(Not(AllOf((first, Not(second))))) == AnyOf((negated[0], second))


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_negative_numbers_are_those_with_the_sign(width: int) -> None:
    """As cases, and as the masked comparisons that go into a profile."""
    sign = 1 << (width - 1)
    negative = Test(0, "<", width=width, signed=True, value=0)

    assert {case.outcome: case.example[0] for case in cases_of(Truths().of(negative))} == {False: 0, True: sign}
    assert cubes_of(negative) == [Cube(sign, sign)]
    assert cubes_of(Test(0, "<", width=width, value=0)) == []
