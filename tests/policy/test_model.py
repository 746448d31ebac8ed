"""What a policy plainly means: the first match, the default, layers, extends, and what is newer than it."""

from __future__ import annotations

from errno import EACCES, ENOSYS, EPERM
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names, number_of, since
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.action import (
    Action,
    Allow,
    Ask,
    Audit,
    Deny,
    Handle,
    KillProcess,
    KillThread,
    Log,
    Return,
    Trace,
    Trap,
    rank,
)
from monitor.policy.expression import Expression
from monitor.policy.model import FALLBACKS, Policy, Rule

NO_ARGS = (0,) * 6

wrong: Any = "deny"

IN_ORDER: tuple[tuple[Action, ...], ...] = (
    (KillProcess(),),
    (KillThread(),),
    (Trap(),),
    (Deny(EACCES), Return(3)),
    (Ask(),),
    (Handle("h"),),
    (Trace(),),
    (Audit(),),
    (Log(),),
    (Allow(),),
)
"""From the most restrictive; those in one place are equal."""


def decided(policy: Policy, call: str, *args: int, arch: Arch = Arch.X86_64) -> Action:
    nr = number_of(arch, call)
    assert nr is not None
    return policy.decide(arch, nr, (*args, *NO_ARGS)[:6]).action


def ruled(*rules: Rule, **more: Any) -> Policy:
    return Policy("p", rules=rules, **more)


class TestRules:
    def test_the_first_that_matches_wins(self) -> None:
        policy = ruled(
            Rule(["openat"], Log(), when=Expression("dirfd == AT_FDCWD")),
            Rule(["%file", "!stat"], Deny(EACCES)),
            Rule(["openat"], KillProcess()),
        )

        assert decided(policy, "openat", (1 << 64) - 100) == Log()
        assert decided(policy, "openat", 3) == Deny(EACCES)
        assert decided(policy, "stat") == Allow()

    def test_a_decision_says_where_it_comes_from(self) -> None:
        rule = Rule(["open"], Deny(), origin=Origin("a", 3))
        policy = ruled(rule)

        assert policy.decide(Arch.X86_64, 2, NO_ARGS) == (Deny(), rule, policy)
        assert policy.decide(Arch.X86_64, 0, NO_ARGS) == (Allow(), None, policy)

    def test_a_rule_stands_on_its_arches(self) -> None:
        policy = ruled(Rule(["read"], Deny(), arches=frozenset({Arch.AARCH64})))

        assert decided(policy, "read") == Allow()
        assert decided(policy, "read", arch=Arch.AARCH64) == Deny()

    def test_a_name_that_one_abi_lacks_is_another_s(self) -> None:
        policy = ruled(Rule(["open", "riscv_hwprobe"], Deny()))

        assert decided(policy, "open") == Deny()
        assert decided(policy, "riscv_hwprobe", arch=Arch.RISCV64) == Deny()

    @pytest.mark.parametrize("call", sorted(FALLBACKS & names(Arch.X86_64)))
    def test_a_libc_is_told_to_fall_back_where_nobody_chose_the_errno(self, call: str) -> None:
        chosen = ruled(Rule([call], Deny(EPERM)))
        left_open = ruled(Rule([call, "ptrace"], Deny(), exact_errno=False))
        by_default = Policy("p", Deny(), exact_errno=False)

        assert decided(chosen, call) == Deny(EPERM)
        assert decided(left_open, call) == decided(by_default, call) == Deny(ENOSYS)
        assert decided(left_open, "ptrace") == decided(by_default, "ptrace") == Deny(EPERM)

    @pytest.mark.parametrize(
        ("make", "error"),
        [
            (lambda: Rule([], Deny()), ValueError),
            (lambda: Rule("open", Deny()), TypeError),
            (lambda: Rule(["open"], wrong), TypeError),
            (lambda: Rule(["opne"], Deny()), PolicyError),
            (lambda: Rule(["!@nothing"], Deny()), PolicyError),
            (lambda: Policy(""), ValueError),
            (lambda: Policy("p", wrong), TypeError),
            (lambda: Policy("p", other_arch=wrong), ValueError),
            (lambda: Deny(-1), ValueError),
            (lambda: Deny(4096), ValueError),
            (lambda: Ask(0), ValueError),
            (lambda: Return(-1), ValueError),
            (lambda: Trap(1 << 16), ValueError),
            (lambda: Handle(""), ValueError),
        ],
    )
    def test_what_cannot_be_meant_cannot_be_built(self, make: Any, error: type[Exception]) -> None:
        with pytest.raises(error):
            make()


class TestLayers:
    @pytest.mark.parametrize("place", range(len(IN_ORDER) - 1))
    def test_the_most_restrictive_wins(self, place: int) -> None:
        for stronger in IN_ORDER[place]:
            for weaker in IN_ORDER[place + 1]:
                assert rank(stronger) > rank(weaker)
                for policy in (
                    ruled(Rule(["read"], stronger), includes=(ruled(Rule(["read"], weaker)),)),
                    ruled(Rule(["read"], weaker), includes=(ruled(Rule(["read"], stronger)),)),
                ):
                    assert decided(policy, "read") == stronger

    def test_of_equals_the_including_one_wins_then_the_includes_in_their_order(self) -> None:
        a, b, c = (ruled(Rule(["read", "write"][: 1 + n], Deny(40 + n))) for n in range(3))
        policy = Policy("top", includes=(Policy("mid", includes=(b,)), c))

        assert decided(Policy("top", rules=a.rules, includes=(b, c)), "read") == Deny(40)
        assert decided(policy, "read") == Deny(41)
        assert [layer.name for layer in policy.layers()] == ["top", "mid", "p", "p"]

    def test_a_layer_s_default_counts_as_much_as_a_rule(self) -> None:
        policy = ruled(Rule(["read"], Allow()), includes=(Policy("strict", KillProcess()),))

        assert decided(policy, "read") == KillProcess()

    @given(st.lists(st.sampled_from([action for equals in IN_ORDER for action in equals]), min_size=1, max_size=5))
    def test_a_layer_more_never_loosens(self, defaults: list[Action]) -> None:
        top, *beneath = (Policy("p", default) for default in defaults)
        stack = Policy("top", top.default, includes=beneath)
        more = Policy("top", top.default, includes=(*beneath, Policy("last", Log())))

        assert rank(decided(stack, "read")) == max(map(rank, defaults))
        assert rank(decided(more, "read")) >= rank(decided(stack, "read"))


class TestExtends:
    def test_its_rules_follow_and_its_default_is_not_used(self) -> None:
        base = ruled(Rule(["read", "write"], Deny(EACCES)), default=KillProcess())
        policy = ruled(Rule(["read"], Log()), extends=base)

        assert [decided(policy, call) for call in ("read", "write", "open")] == [Log(), Deny(EACCES), Allow()]

    def test_what_it_includes_is_included_however_deep(self) -> None:
        deepest = Policy("c", extends=Policy("d", includes=(Policy("layer", KillProcess()),)))
        policy = Policy("a", extends=Policy("b", extends=deepest))

        assert [layer.name for layer in policy.layers()] == ["a", "layer"]
        assert decided(policy, "read") == KillProcess()


class TestVersions:
    def test_calls_that_are_newer_fail_with_enosys_unless_a_rule_names_them(self) -> None:
        policy = ruled(Rule(["openat2"], Log()), known_as_of=(5, 4))

        assert since("faccessat2") == (5, 8)
        assert decided(policy, "faccessat2") == Deny(ENOSYS)
        assert decided(policy, "openat2") == Log()
        assert decided(policy, "clone3") == Allow()  # 5.3

    def test_numbers_without_a_name_are_newer(self) -> None:
        assert Policy("p", known_as_of=(99, 0)).decide(Arch.X86_64, 5000, NO_ARGS).action == Deny(ENOSYS)
        assert Policy("p").decide(Arch.X86_64, 5000, NO_ARGS).action == Allow()

    @given(st.sampled_from(sorted(names(Arch.X86_64))), st.tuples(st.integers(2, 7), st.integers(0, 20)))
    def test_no_call_of_the_version_itself_is_newer(self, call: str, known: tuple[int, int]) -> None:
        first = since(call)

        newer = decided(Policy("p", known_as_of=known), call) == Deny(ENOSYS)

        assert newer == (first is not None and first > known)


class TestArches:
    @pytest.mark.parametrize(("other", "action"), [("kill", KillProcess()), ("enosys", Deny(ENOSYS))])
    def test_calls_of_other_abis(self, other: Any, action: Action) -> None:
        policy = ruled(Rule(["all"], Allow()), arches=frozenset({Arch.X86_64}), other_arch=other)

        assert decided(policy, "read") == Allow()
        assert decided(policy, "read", arch=Arch.I386) == action
        assert decided(policy, "read", arch=Arch.X32) == action

    def test_a_register_of_a_32_bit_abi_has_32_bits(self) -> None:
        """What a 64-bit program left above them does not reach the kernel."""
        policy = ruled(Rule(["read"], Deny(), when=Expression("arg0 == 7")))

        assert decided(policy, "read", 0xFFFFFFFF_00000007, arch=Arch.I386) == Deny()
        assert decided(policy, "read", 0xFFFFFFFF_00000007) == Allow()


def test_policies_and_rules_are_values() -> None:
    def made() -> Policy:
        return ruled(Rule(["read"], Handle("h", {"a": [1]}), when=Expression("fd == 1")), tables={"x": [1]})

    assert (made(), hash(made())) == (made(), hash(made()))
