"""What of a new policy an installed program stands in the way of is known exactly, in every case of every call."""

from __future__ import annotations

from collections.abc import Sequence
from errno import EACCES, EBUSY
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.policy.action import Action, Allow, Audit, Deny, Handle, KillThread, Log, Return, Trace, Trap
from monitor.policy.answers import LISTENER_REFUSED, NOTIFY, value_of
from monitor.policy.compile import CompiledPolicy, compile_policy
from monitor.policy.condition import Test
from monitor.policy.model import Policy, Rule
from monitor.policy.replacing import ELSEWHERE, Obstacle, Obstructed, differing, obstructed
from monitor.policy.routes import Routes
from tests.policy.drawn import EXAMPLES, Caller, machines, numbers_for, only, policies, run

NATIVE = [Arch.X86_64]

ALONE, FILTERS_ONLY = Obstacle.DECIDED_ALONE, Obstacle.FILTERS_ONLY


def compiled(*rules: Rule, default: Action | None = None, **rest: Any) -> CompiledPolicy:
    return compile_policy(Policy("p", default or Allow(), rules=rules, **rest), NATIVE)


def in_the_way(before: CompiledPolicy, after: CompiledPolicy) -> Sequence[Obstructed]:
    return list(obstructed(before.routes, after.routes))


def test_the_same_in_other_words_is_not_in_the_way() -> None:
    once = compiled(Rule(["read", "write"], Deny(EACCES)))
    layered = compiled(Rule(["read"], Deny(EACCES)), includes=[Policy("q", rules=[Rule(["write"], Deny(EACCES))])])

    assert in_the_way(once, layered) == []
    assert in_the_way(layered, once) == []


def test_a_mutable_rule_with_a_condition_can_be_replaced_although_bpf_decides_the_rest() -> None:
    on_five = Test(0, "==", width=32, value=5)
    shut = compiled(only(on_five, Deny(EACCES), "read", mutable=True))

    assert in_the_way(shut, compiled()) == []
    assert in_the_way(shut, compiled(only(on_five, Log(), "read"))) == []
    assert in_the_way(shut, compiled(only(Test(0, "==", width=32, value=6), Deny(), "read"))) == [("read", ALONE)]


def test_what_bpf_decides_alone_is_in_the_way_in_both_directions() -> None:
    assert in_the_way(compiled(), compiled(Rule(["read"], Deny()))) == [("read", ALONE)]
    assert in_the_way(compiled(Rule(["read"], Deny())), compiled()) == [("read", ALONE)]
    assert in_the_way(compiled(Rule(["read"], Deny())), compiled(Rule(["read"], Handle("h")))) == [("read", ALONE)]


def test_what_is_said_otherwise_and_does_the_same_is_not_in_the_way() -> None:
    assert in_the_way(compiled(Rule(["read"], Deny(0))), compiled(Rule(["read"], Return(0)))) == []


@pytest.mark.parametrize("action", [Trap(), KillThread(), Trace(), Audit()])
def test_what_only_a_filter_does_cannot_be_put_where_calls_are_notified(action: Action) -> None:
    asked = compiled(Rule(["read"], Log()))

    assert in_the_way(asked, compiled(Rule(["read"], action))) == [("read", FILTERS_ONLY)]
    assert in_the_way(compiled(Rule(["read"], action)), compiled(Rule(["read"], action))) == []


def test_what_other_abis_get_is_compared() -> None:
    killing, missing = compiled(), compiled(other_arch="enosys")

    assert in_the_way(killing, missing) == [(ELSEWHERE, ALONE)]
    assert list(differing(killing.routes, missing.routes)) == [ELSEWHERE]
    assert in_the_way(killing, compiled()) == []


def test_who_observes_can_be_told_of_other_refusals_and_of_no_new_ones() -> None:
    observed = compile_policy(Policy("p", rules=[Rule(["read"], Deny())]), NATIVE, observe=True)
    other = compile_policy(Policy("p", rules=[Rule(["read"], Trap())]), NATIVE, observe=True)
    more = compile_policy(Policy("p", rules=[Rule(["read", "write"], Deny())]), NATIVE, observe=True)

    assert list(obstructed(observed.routes, other.routes)) == []
    assert list(obstructed(observed.routes, more.routes)) == [("write", ALONE)]


def test_calls_without_a_name_are_compared() -> None:
    assert ("x86_64 calls without a name", ALONE) in in_the_way(compiled(), compiled(default=Deny(EBUSY)))


class TestRefusalsThatAreNotified:
    @pytest.mark.parametrize(
        ("action", "notified"), [(Deny(), True), (Deny(38), False), (Deny(0), False), (Trap(), False)]
    )
    def test_only_what_a_response_refuses_as_well(self, action: Action, notified: bool) -> None:
        program = compile_policy(Policy("p", rules=[Rule(["read"], action)]), NATIVE, refusals=True).program
        value = run(program, Arch.X86_64.audit_value, number_of(Arch.X86_64, "read") or 0).value

        assert value == (NOTIFY if notified else value_of(action))


@given(policies(), policies(), machines, st.data())
def test_a_policy_that_is_not_obstructed_can_be_what_happens(
    first: Policy, second: Policy, machine: Sequence[Arch], data: st.DataObject
) -> None:
    """The program answers as the new policy says, or it asks us, and we can."""
    wanted = {machine[0]: data.draw(numbers_for(machine[0]))}
    observe, refusals = data.draw(st.booleans()), data.draw(st.booleans())
    before, after = (
        compile_policy(policy, machine, notified=wanted, observe=observe, refusals=refusals)
        for policy in (first, second)
    )
    found = set(obstructed(before.routes, after.routes))
    for policy in (first, second):
        caller = Caller(data.draw(st.integers(0, 1 << 32)), policy, machine)
        for _ in range(20):
            (audit_value, nr), args = caller.call(), caller.args()
            value = run(before.program, audit_value, nr, args).value
            says = value_of(after.routes.of(audit_value, nr).decide(args).action)
            is_guarded = value == LISTENER_REFUSED and before.routes.of(audit_value, nr).name == "seccomp"
            if value not in {NOTIFY, says} and not is_guarded:
                assert (_called(before.routes, after.routes, audit_value, nr), ALONE) in found
    EXAMPLES["a policy that is not obstructed can be what happens, 40 calls each"] += 1


def _called(first: Routes, second: Routes, audit_value: int, nr: int) -> str:
    """Return how the call is called, here and there."""
    arch = first.of(audit_value, nr).arch
    if arch is None:
        return ELSEWHERE
    if (arch, nr) not in first.known and (arch, nr) not in second.known:
        return f"{arch.table} calls without a name"
    name = first.of(audit_value, nr).name or str(nr)
    return name if arch is next(iter(first.others)) else f"{arch.table} {name}"
