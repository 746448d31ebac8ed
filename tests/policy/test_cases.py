"""Cases: the diagram of a condition holds where the condition does, and lists what can be reached, no more."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import PolicyError
from monitor.policy import cases as module
from monitor.policy.cases import Args, Cases, End, Fork, Node, Truths, cases_of, walked
from monitor.policy.condition import ALWAYS, NEVER, AllOf, AnyOf, Condition, Not, Test
from tests.policy.drawn import conditions, registers

args = st.tuples(*[registers] * 6)


def followed(node: Node[bool], registers: Args) -> bool:
    """Return the outcome of *node* for *registers*."""
    while not isinstance(node, End):
        register, place = node.place
        node = node.set if registers[register] >> place & 1 else node.clear
    return node.outcome


@given(conditions, args)
def test_a_diagram_holds_where_its_condition_does(condition: Condition, registers: Args) -> None:
    assert followed(Truths().of(condition), registers) == condition.holds(registers)


@given(conditions)
def test_every_case_that_is_listed_can_be_reached_and_its_example_shows_it(condition: Condition) -> None:
    for outcome, example in cases_of(Truths().of(condition)):
        assert condition.holds(example) == outcome


@given(conditions, conditions, args)
def test_a_choice_is_one_of_two(condition: Condition, other: Condition, registers: Args) -> None:
    truths = Truths()

    node = truths.chosen(condition, truths.of(other), truths.end(outcome=False))

    assert followed(node, registers) == (condition.holds(registers) and other.holds(registers))


@given(conditions, conditions)
def test_what_means_the_same_is_the_same_node(one: Condition, other: Condition) -> None:
    truths = Truths()

    assert truths.of(Not(AllOf((one, other)))) is truths.of(AnyOf((Not(one), Not(other))))


@given(conditions, args)
def test_nothing_depends_on_what_is_known(condition: Condition, registers: Args) -> None:
    known = dict(enumerate(registers))

    assert cases_of(Truths(known).of(condition), known) == [(condition.holds(registers), registers)]


def test_a_condition_that_leaves_nothing_open_has_one_case() -> None:
    below, above = Test(0, "<", value=7), Test(0, ">=", value=7)

    assert cases_of(Truths().of(AnyOf((below, above)))) == [(True, (0,) * 6)]
    assert cases_of(Truths().of(AllOf((below, above)))) == [(False, (0,) * 6)]
    assert cases_of(Truths().of(ALWAYS)) == [(True, (0,) * 6)]
    assert cases_of(Truths().of(NEVER)) == [(False, (0,) * 6)]


def test_two_diagrams_are_joined_case_by_case() -> None:
    truths: Truths = Truths()
    pairs: Cases[tuple[bool, bool]] = Cases()
    first = truths.of(Test(0, "==", width=32, value=5))
    second = truths.of(Test(0, "!=", width=32, mask=1, value=0))

    found = cases_of(pairs.joined(first, second, lambda one, other: (one, other)))

    assert {case.outcome for case in found} == {(True, True), (False, True), (False, False)}


def test_a_fork_knows_its_register_and_bit() -> None:
    node = Truths().of(Test(2, "!=", width=32, mask=8, value=0))

    forks = [each.place for each, _ in walked(node) if not isinstance(each, End)]

    assert forks == [(2, 3)]


def test_what_would_take_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 10)

    with pytest.raises(PolicyError, match="too many to be told apart"):
        Truths().of(Test(0, "==", value=1))


def test_a_long_list_of_values_is_told_apart_in_no_time() -> None:
    begun = process_time()
    node = Truths().of(AnyOf(tuple(Test(1, "==", value=value * 7919) for value in range(1000))))

    assert isinstance(node, Fork)
    assert process_time() - begun < 5  # a tenth of that; a minute when each value is walked for every other
