"""Why and diff: what they say is what ``Policy.decide`` does, and what they advise helps."""

from __future__ import annotations

from collections.abc import Sequence
from errno import EACCES, ENOSYS, EPERM

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.abi.arch import NO_CALL, Arch
from monitor.abi.syscalls import name_of, number_of
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy import cases
from monitor.policy.action import Action, Allow, Ask, Deny, KillProcess
from monitor.policy.difference import diff
from monitor.policy.explain import Ground, number_for, runs, why
from monitor.policy.expression import Expression
from monitor.policy.model import Policy, Rule
from tests.policy.drawn import Caller, policies

X86 = Arch.X86_64


def rule(action: Action, *calls: str, when: str | None = None) -> Rule:
    return Rule(calls, action, when=None if when is None else Expression(when))


def actions_of(policy: Policy, call: str, *words: str, arch: Arch = X86) -> list[Action]:
    return [answer.decision.action for answer in why(policy, arch, call, words).answers]


# ---- why ----


def test_the_deciding_rule_is_named_and_those_before_it() -> None:
    first = rule(Deny(EACCES), "socket", when="domain == AF_VSOCK")
    second = rule(Deny(EPERM), "%network")
    third = rule(Allow(), "socket")
    policy = Policy("one", Allow(), rules=[first, second, third])

    explanation = why(policy, X86, "socket", ["domain=AF_INET"])

    assert [(answer.decision.rule, answer.ground) for answer in explanation.answers] == [(second, Ground.RULE)]
    assert [(tried.rule, tried.matches) for tried in explanation.tried] == [(first, "no"), (second, "yes")]
    assert not explanation.always_runs


def test_what_the_arguments_leave_open_is_told_case_by_case() -> None:
    policy = Policy("one", Allow(), rules=[rule(Deny(EACCES), "socket", when="domain == AF_VSOCK")])

    assert set(actions_of(policy, "socket")) == {Allow(), Deny(EACCES)}
    assert actions_of(policy, "socket", "domain=AF_VSOCK") == [Deny(EACCES)]
    assert actions_of(policy, "socket", "0=40") == [Deny(EACCES)]
    assert actions_of(policy, "socket", "type=SOCK_STREAM", "domain=AF_INET") == [Allow()]


def test_an_example_comes_out_as_it_is_said() -> None:
    policy = Policy("one", Allow(), rules=[rule(Deny(EACCES), "socket", when="domain == AF_VSOCK && type != 1")])

    for answer in why(policy, X86, "socket", ["protocol=7"]).answers:
        assert policy.decide(X86, 41, answer.example).action == answer.decision.action
        assert answer.example[2] == 7


@pytest.mark.parametrize(
    ("policy", "call", "action", "ground"),
    [
        (Policy("p", Deny(EPERM)), "read", Deny(EPERM), Ground.DEFAULT),
        (Policy("p", Deny(EPERM), exact_errno=False), "clone3", Deny(ENOSYS), Ground.DEFAULT),
        (Policy("p", Allow(), known_as_of=(5, 14)), "mseal", Deny(ENOSYS), Ground.KNOWN_AS_OF),
        (Policy("p", Allow(), known_as_of=(5, 14)), "read", Allow(), Ground.DEFAULT),
        (Policy("p", Deny(ENOSYS), known_as_of=(5, 14)), "read", Deny(ENOSYS), Ground.DEFAULT),
        (Policy("p", Allow(), known_as_of=(5, 14)), "0x3fff", Deny(ENOSYS), Ground.KNOWN_AS_OF),
        (Policy("p", Allow(), arches=frozenset({Arch.ARM})), "read", KillProcess(), Ground.OTHER_ARCH),
    ],
)
def test_the_ground_is_told(policy: Policy, call: str, action: Action, ground: Ground) -> None:
    (answer,) = why(policy, X86, call).answers

    assert (answer.decision.action, answer.ground) == (action, ground)


def test_an_include_may_be_the_one_that_refuses() -> None:
    below = Policy("below", Allow(), rules=[rule(Deny(EACCES), "mount")])
    policy = Policy("above", Allow(), rules=[rule(Allow(), "mount")], includes=[below])

    explanation = why(policy, X86, "mount")

    assert explanation.answers[0].decision.policy is below
    assert [remedy.policy for remedy in explanation.remedies] == [below]


@pytest.mark.parametrize("words", [(), ("domain=AF_VSOCK",), ("domain=AF_VSOCK", "1=SOCK_STREAM|SOCK_CLOEXEC")])
def test_what_is_advised_lets_the_call_run_and_no_other(words: Sequence[str]) -> None:
    policy = Policy("one", Deny(EPERM), rules=[rule(Deny(EACCES), "socket", when="domain == AF_VSOCK")])

    (remedy,) = why(policy, X86, "socket", words).remedies
    assert remedy.rule is not None
    better = attrs.evolve(policy, rules=[remedy.rule, *policy.rules])

    assert why(better, X86, "socket", words).always_runs
    assert not why(better, X86, "socketpair").always_runs
    if words:
        assert not why(better, X86, "socket", ["domain=AF_INET"]).always_runs


def test_a_rule_that_refuses_stands_behind_what_is_advised() -> None:
    refusing = rule(Deny(EACCES), "mount")
    (remedy,) = why(Policy("one", Allow(), rules=[refusing]), X86, "mount").remedies

    assert remedy.before is refusing


@pytest.mark.parametrize(
    ("refusing", "words", "replaces"),
    [
        (rule(Deny(EACCES), "socket"), (), True),
        (rule(Deny(EACCES), "socket", "connect"), (), False),
        (rule(Deny(EACCES), "socket"), ("domain=1",), False),
        (rule(Deny(EACCES), "socket", when="domain == 1"), ("domain=1",), True),
        (rule(Deny(EACCES), "socket", when="domain == 1 && type == 2"), ("domain=1",), True),
    ],
)
def test_what_is_advised_takes_the_place_of_a_rule_of_which_it_leaves_nothing(
    refusing: Rule, words: Sequence[str], replaces: bool
) -> None:
    (remedy,) = why(Policy("one", Allow(), rules=[refusing]), X86, "socket", words).remedies

    assert (remedy.before, remedy.replaces) == (refusing, (refusing,) if replaces else ())


def test_what_is_advised_stands_before_every_rule_that_refuses() -> None:
    first = rule(Deny(EACCES), "socket", when="domain == AF_VSOCK")
    between = rule(Allow(), "socket", when="domain == AF_UNIX")
    last = rule(Deny(EPERM), "socket", when="domain == AF_ALG")
    (remedy,) = why(Policy("one", Allow(), rules=[first, between, last]), X86, "socket").remedies

    assert (remedy.before, remedy.replaces) == (first, (first, between, last))


def test_a_rule_of_what_is_extended_is_in_nobodys_way() -> None:
    own, extended = rule(Allow(), "socket", when="domain == AF_UNIX"), rule(Deny(EPERM), "socket")
    policy = Policy("one", Allow(), rules=[own], extends=Policy("below", Allow(), rules=[extended]))
    (remedy,) = why(policy, X86, "socket", ["domain=AF_INET"]).remedies

    assert (remedy.before, remedy.replaces) == (None, ())


@settings(max_examples=300, deadline=None)
@given(policies(0), st.sampled_from(Arch), st.sampled_from(["socket", "openat", "ioctl"]))
def test_what_is_advised_helps_whatever_the_policy(policy: Policy, arch: Arch, call: str) -> None:
    for remedy in why(policy, arch, call).remedies:
        if remedy.rule is not None:
            at = len(policy.rules) if remedy.before is None else [*map(id, policy.rules)].index(id(remedy.before))
            gone = {id(one) for one in remedy.replaces}
            kept = [one for one in policy.rules[at:] if id(one) not in gone]
            better = attrs.evolve(policy, rules=[*policy.rules[:at], remedy.rule, *kept])

            assert why(better, arch, call).always_runs


def test_no_rule_is_advised_where_none_can_help() -> None:
    nameless = Policy("p", Deny(EPERM))
    other = Policy("p", Allow(), arches=frozenset({Arch.ARM}))

    assert [remedy.rule for remedy in why(nameless, X86, "999").remedies] == [None]
    assert [remedy.rule for remedy in why(other, X86, "read").remedies] == [None]


def test_what_runs_needs_no_advice_and_what_is_asked_does() -> None:
    assert why(Policy("p", Allow()), X86, "read").remedies == ()
    assert why(Policy("p", Ask()), X86, "read").remedies != ()


def test_a_register_holds_a_negative_number_as_c_passes_it_on() -> None:
    policy = Policy("p", Allow(), rules=[rule(Deny(EACCES), "openat", when="arg0 == 0xffffffffffffff9c")])

    assert actions_of(policy, "openat", "dirfd=AT_FDCWD") == [Deny(EACCES)]


def test_arguments_of_a_number_without_a_name_are_whole_registers() -> None:
    assert actions_of(Policy("p", Deny(EPERM)), "999", "5=0xffffffffffffffff") == [Deny(EPERM)]


def test_registers_of_calls_with_arguments_named_like_others_are_meant_by_place() -> None:
    policy = Policy("p", Allow(), rules=[rule(Deny(EACCES), "prctl", when="args[1] == 4")])

    assert actions_of(policy, "prctl", "1=4") == [Deny(EACCES)]
    assert actions_of(policy, "prctl", "2=4", "1=5") == [Allow()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["domain"], "write NAME=VALUE"),
        (["=3"], "write NAME=VALUE"),
        (["domain="], "write NAME=VALUE"),
        (["family=3"], "has no argument 'family'"),
        (["6=3"], r"args\[6\]"),
        (["domain=AF_NOWHERE"], "AF_NOWHERE"),
        (["domain=1 || type == 2"], "one value is wanted"),
        (["domain=1", "0=2"], "another value already"),
    ],
)
def test_what_is_no_argument_is_refused(words: Sequence[str], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        why(Policy("p"), X86, "socket", words)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("opnat", "unknown call 'opnat'; did you mean 'openat'"),
        ("%network", "several calls"),
        ("@nothing", "unknown group"),
        ("all", "several calls"),
        ("12x", "neither a call nor a number"),
        ("0x40000001", "is not the number of a call of x86_64"),
        ("socketcall", "x86_64 has no call 'socketcall'"),
    ],
)
def test_what_is_no_call_is_refused(call: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        number_for(X86, call)


def test_a_call_is_known_by_its_other_names_and_by_its_number() -> None:
    assert number_for(X86, "fstatat") == number_for(X86, "newfstatat") == number_for(X86, "0x106")
    assert number_for(Arch.X32, "0x40000001") == number_of(Arch.X32, "write")


@settings(max_examples=60, deadline=None)
@given(policies(), st.sampled_from(Arch), st.integers(0, 1 << 32))
def test_why_agrees_with_decide(policy: Policy, arch: Arch, seed: int) -> None:
    """Each case that is told comes about with its example, and whatever happens is among them."""
    caller = Caller(seed, policy, [arch])
    for _ in range(10):
        nr, registers = caller.known(arch), caller.args()

        answers = why(policy, arch, f"{nr:#x}").answers

        assert policy.decide(arch, nr, registers).action in {answer.decision.action for answer in answers}
        for answer in answers:
            assert policy.decide(arch, nr, answer.example) == answer.decision


# ---- diff ----


def test_a_policy_differs_in_nothing_from_itself() -> None:
    policy = Policy("p", Deny(EPERM), rules=[rule(Allow(), "socket", when="domain == AF_INET")])

    assert list(diff(policy, attrs.evolve(policy, name="q"))) == []


def test_conditions_that_are_written_otherwise_and_mean_the_same_do_not_differ() -> None:
    one = Policy("p", Deny(EPERM), rules=[rule(Allow(), "socket", when="domain < 3 && domain > 0")])
    other = Policy("p", Deny(EPERM), rules=[rule(Allow(), "socket", when="domain in (AF_UNIX, AF_INET)")])

    assert list(diff(one, other)) == []


def test_a_difference_in_one_value_is_found_and_shown() -> None:
    one = Policy("p", Allow(), rules=[rule(Deny(EPERM), "clone", when="flags & 0x10000000 != 0")])
    other = Policy("p", Allow(), rules=[rule(Deny(EPERM), "clone", when="flags & 0x10020000 != 0")])

    (found,) = diff(one, other, [X86])

    assert (found.call, found.before.action, found.after.action) == ("clone", Allow(), Deny(EPERM))
    assert not found.always
    assert found.example[0] == 0x20000


def test_numbers_without_a_name_differ_once() -> None:
    found = list(diff(Policy("p", Allow(), known_as_of=(9, 0)), Policy("q", Allow()), [X86]))

    assert [(one.call, one.before.action, one.always) for one in found] == [(None, Deny(ENOSYS), True)]


def test_what_one_answers_in_two_ways_differs_twice() -> None:
    one = Policy("p", Allow())
    other = Policy("q", Allow(), rules=[rule(Ask(), "dup", when="oldfd == 1"), rule(Deny(EPERM), "dup")])

    found = list(diff(one, other, [X86]))

    assert {difference.after.action for difference in found} == {Ask(), Deny(EPERM)}
    assert not any(difference.always for difference in found)


@settings(max_examples=30, deadline=None)
@given(policies(1), policies(1), st.sampled_from(Arch), st.integers(0, 1 << 32))
def test_diff_agrees_with_decide(one: Policy, other: Policy, arch: Arch, seed: int) -> None:
    """What differs for some registers is among what is told, and what is told does differ."""
    told = list(diff(one, other, [arch]))

    for each in told:
        nr = number_of(arch, each.call) if each.call is not None else NO_CALL
        assert nr is not None
        assert one.decide(arch, nr, each.example).action == each.before.action
        assert other.decide(arch, nr, each.example).action == each.after.action
    for caller in (Caller(seed, one, [arch]), Caller(seed, other, [arch])):
        for _ in range(20):
            nr, registers = caller.known(arch), caller.args()
            before, after = one.decide(arch, nr, registers).action, other.decide(arch, nr, registers).action
            pairs = {(each.before.action, each.after.action) for each in told if each.call == name_of(arch, nr)}
            assert before == after or (before, after) in pairs


def test_what_runs_is_what_nobody_is_asked_about() -> None:
    assert runs(Allow())
    assert not runs(Ask())
    assert not runs(Deny(EPERM))


def test_the_rule_whose_condition_is_too_much_is_named() -> None:
    pairs = " || ".join(f"args[0] & {1 << bit} != 0 && args[4] & {1 << bit} != 0" for bit in range(12))
    refusing = attrs.evolve(rule(Deny(EPERM), "prctl", when=pairs), origin=Origin("p.toml", 7))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cases, "LIMIT", 500)
        with pytest.raises(PolicyError, match=r"p\.toml:7: the conditions are too many"):
            why(Policy("one", Allow(), rules=[refusing]), X86, "prctl")
