"""What libseccomp makes of overlapping rules, of 32-bit ABIs and of socketcall(2), against the library itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.policy.action import Action, Allow, Ask, Audit, Deny, KillProcess, KillThread, Trace, Trap
from monitor.policy.formats.scmp import MASKED_EQ, OPERATORS, Comparison, Line, rules_of
from monitor.policy.model import Policy
from tests.conftest import require
from tests.policy import libseccomp

HOST = frozenset({Arch.X86_64, Arch.I386, Arch.X32})
DEFAULT = Deny(38)
ACTIONS: list[Action] = [Allow(), Deny(1), Deny(22), KillThread(), Audit(), Trap(), Trace(5), Ask(38), KillProcess()]

CALLS = ("personality", "socket", "socketcall", "ioctl", "shmat", "ipc", "send", "umount", "prctl")

VALUES = (0, 1, 2, 3, 9, 16, 40, 0xFFFFFFFF, 0x80000000, 0x1_00000000, 0x1_00000010, 0xFFFFFFFF_FFFFFFFF)

values = st.sampled_from(VALUES)
small = st.sampled_from([value for value in VALUES if value < 1 << 32])
indices = st.integers(0, 2)
equal = st.builds(Comparison, indices, st.sampled_from(["SCMP_CMP_EQ", MASKED_EQ]), values, values)
unequal = st.builds(Comparison, indices, st.just("SCMP_CMP_NE"), values, values)
ordered = st.builds(Comparison, indices, st.sampled_from(sorted(OPERATORS)), small, small)

# What the library compiles wrongly is left out: orderings beside other comparisons, or of wide values.
wide_clauses = st.lists(equal, max_size=3, unique_by=lambda one: one.index).map(tuple) | unequal.map(lambda one: (one,))
small_clauses = ordered.map(lambda one: (one,))


def lists_of(clauses: st.SearchStrategy[tuple[Comparison, ...]]) -> st.SearchStrategy[list[Line]]:
    names = st.sampled_from(CALLS).map(lambda name: (name,))
    return st.lists(st.builds(Line, names, st.sampled_from(ACTIONS), clauses.map(lambda one: (one,))), max_size=6)


def near(number: int) -> list[int]:
    return [word for word in (number - 1, number, number + 1) if 0 <= word < 1 << 64]


words = st.sampled_from(sorted({word for value in VALUES for word in near(value)}))
registers = st.tuples(words, words, words, words, st.just(0), st.just(0))


HEAD = Line(("read",), Allow())
"""
A call of every ABI, without a condition: libseccomp 2.5.4 to 2.6 forget to load the number of the call
for x86_64 with x32 when the call with the fewest comparisons is one that these ABIs do not have
(src/gen_bpf.c, _gen_bpf_syscalls: the load belongs to the first call, which is then skipped).
"""


def agree(given_lines: Sequence[Line], args: tuple[int, ...], default: Action = DEFAULT) -> None:
    given_lines = [HEAD, *given_lines]
    rules = [
        libseccomp.Rule(name, line.action, clause)
        for line in given_lines
        if line.action != default
        for name in line.names
        for clause in line.clauses
    ]
    translated, findings = rules_of(given_lines, default, HOST)
    if any("upper half" in finding.message for finding in findings):
        return
    policy = Policy("one", default, rules=translated, arches=HOST)
    refused = any("EEXIST" in finding.message for finding in findings)
    with pytest.raises(libseccomp.Refused) if refused else nullcontext():
        program = libseccomp.compiled(default, rules, HOST)
    if refused:
        return
    for arch in HOST:
        for call in CALLS:
            nr = number_of(arch, call)
            if nr is None:
                continue
            # A 32-bit ABI has no more of a register; what our model reads of a wider word is its own matter.
            seen = tuple(word & 0xFFFFFFFF for word in args) if arch is Arch.I386 else args
            wanted = libseccomp.answer(program, arch, nr, seen)
            assert libseccomp.return_value(policy.decide(arch, nr, seen).action) == wanted, (arch, call, seen)


@given(given_lines=lists_of(wide_clauses) | lists_of(small_clauses), args=registers)
def test_first_match_rules_say_what_libseccomp_compiles(given_lines: list[Line], args: tuple[int, ...]) -> None:
    require("libseccomp", libseccomp.library() is not None)

    agree(given_lines, args)


def line(action: Action, *comparisons: tuple[int, str, int] | tuple[int, str, int, int], call: str = "socket") -> Line:
    return Line((call,), action, (tuple(Comparison(*one) for one in comparisons),))


def decided(given_lines: Sequence[Line], arch: Arch, call: str, *args: int, default: Action = DEFAULT) -> Action:
    nr = number_of(arch, call)
    assert nr is not None
    rules, _ = rules_of(given_lines, default, HOST)
    return Policy("one", default, rules=rules, arches=HOST).decide(arch, nr, (*args, *(0,) * (6 - len(args)))).action


EQ, NE, GT, LT = "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_GT", "SCMP_CMP_LT"


def test_of_two_rules_that_match_the_larger_value_wins_and_not_the_first() -> None:
    rules = [line(Deny(1), (0, EQ, 16)), line(Allow(), (0, NE, 40))]

    assert decided(rules, Arch.X86_64, "socket", 16) == Allow()
    assert decided([line(Deny(1), (0, EQ, 40)), line(Allow(), (0, NE, 16))], Arch.X86_64, "socket", 40) == Deny(1)


def test_the_higher_argument_is_looked_at_first() -> None:
    rules = [line(Deny(1), (0, EQ, 2)), line(Allow(), (1, EQ, 1))]

    assert decided(rules, Arch.X86_64, "socket", 2, 1) == Allow()


def test_a_rule_without_comparisons_wins_wherever_it_stands_and_the_first_of_two() -> None:
    rules = [line(Deny(1), (0, EQ, 2)), line(Allow()), line(KillProcess())]

    assert decided(rules, Arch.X86_64, "socket", 2) == Allow()


def test_a_rule_with_the_action_of_the_default_shields_nothing() -> None:
    rules = [line(DEFAULT, (0, EQ, 40)), line(Allow(), (0, NE, 16))]
    findings = rules_of(rules, DEFAULT, HOST)[1]

    assert decided(rules, Arch.X86_64, "socket", 40) == Allow()
    assert [finding.lost for finding in findings] == [False]


def test_registers_are_compared_whole_whatever_their_declared_type() -> None:
    """The kernel looks at 32 bits of a socket's family; libseccomp at 64, and at 32 of those of x32."""
    rules = [line(Allow(), (0, EQ, 2))]

    assert decided(rules, Arch.X86_64, "socket", 0x1_00000002) == DEFAULT
    assert decided(rules, Arch.X32, "socket", 0x1_00000002) == Allow()


def test_a_mask_comes_first_and_cuts_the_wanted_value() -> None:
    rules = [line(Allow(), (0, MASKED_EQ, 0xF0, 0x1F))]

    assert decided(rules, Arch.X86_64, "socket", 0x17) == Allow()
    assert decided(rules, Arch.X86_64, "socket", 0x27) == DEFAULT


def test_a_mask_of_no_bits_asks_nothing() -> None:
    assert decided([line(Allow(), (0, MASKED_EQ, 0, 7))], Arch.X86_64, "socket", 1) == Allow()


def test_a_rule_about_socket_is_one_about_socketcall_where_there_is_one() -> None:
    rules = [line(Allow(), (0, EQ, 2), (1, EQ, 1))]

    assert decided(rules, Arch.I386, "socket", 2, 1) == Allow()
    assert decided(rules, Arch.I386, "socketcall", 1, 1) == Allow()
    assert decided(rules, Arch.I386, "socketcall", 1, 0x1000) == DEFAULT


def test_a_call_that_i386_has_behind_socketcall_alone_is_found_there() -> None:
    assert decided([line(Allow(), call="send")], Arch.I386, "socketcall", 9) == Allow()


def test_a_name_means_the_call_of_that_very_name() -> None:
    """For us umount is another word for umount2 where there is no umount; for libseccomp it is not."""
    assert decided([line(Allow(), call="umount")], Arch.X86_64, "umount2") == DEFAULT
    assert decided([line(Allow(), call="umount")], Arch.I386, "umount") == Allow()


def test_what_libseccomp_refuses_is_named() -> None:
    _, findings = rules_of([line(Allow(), (0, EQ, 2)), line(Deny(1), (0, EQ, 2))], DEFAULT, HOST)

    assert any("EEXIST" in finding.message and finding.lost for finding in findings)


def test_what_libseccomp_has_dropped_contradicts_nothing() -> None:
    """The second rule about socketcall is one of the first with more to it, and is gone before the third comes."""
    rules = [line(Deny(1), (0, EQ, 2)), line(Allow(), (1, EQ, 0)), line(Deny(1), (0, EQ, 2))]

    assert not any("EEXIST" in finding.message for finding in rules_of(rules, DEFAULT, HOST)[1])
    agree(rules, (2, 0, 0, 0, 0, 0))


def test_two_inequalities_of_one_register_with_two_actions_are_named() -> None:
    _, findings = rules_of([line(Allow(), (0, NE, 2)), line(Deny(1), (0, NE, 3))], DEFAULT, HOST)

    assert any("upper half" in finding.message and finding.lost for finding in findings)


def test_many_rules_about_one_call_are_put_in_order_in_some_seconds() -> None:
    """Half a second; a minute when what a rule asks is gathered anew for each of the others."""
    rules = [line((Allow(), Deny(1))[value % 2], (0, EQ, value), (1, EQ, value)) for value in range(400)]
    begun = process_time()

    assert len(rules_of(rules, DEFAULT, frozenset({Arch.X86_64}))[0]) == len(rules)
    assert process_time() - begun < 8
