"""The compiled program says what ``decide`` says, of every call, and is short."""

from __future__ import annotations

import math
from errno import EBUSY, ENOSYS

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.seccomp import OFFSET_ARCH, OFFSET_NR, RetValue
from monitor.abi.syscalls import number_of
from monitor.errors import ProgramTooLongError
from monitor.policy.bpf import BRANCHES, Op, Program
from monitor.policy.interpret import Evaluation
from monitor.policy.notify_program import compile_notify, decide
from monitor.policy.numbers import EVERY, Numbers
from tests.policy.drawn import MINUS_ONE, NO_ARGS, X32_BIT, Args, is_possible, numbers_of, run, words

Notified = dict[Arch, Numbers]

NEW_LISTENER_ARGS = (1, 8, 0, 0, 0, 0)

KILL = RetValue.KILL_PROCESS
ALLOW = RetValue.ALLOW
NOTIFY = RetValue.USER_NOTIF
NO_SUCH_CALL = RetValue.ERRNO | ENOSYS
REFUSED = RetValue.ERRNO | EBUSY

SECCOMP_NUMBERS = {arch: nr for arch in Arch if (nr := number_of(arch, "seccomp")) is not None}


def every_second_of(arch: Arch) -> frozenset[int]:
    """Return half of the numbers of *arch*, as scattered as they can be."""
    return frozenset(nr for nr in numbers_of(arch) if nr % 2)


edges = st.sampled_from([0, 1, X32_BIT - 1, X32_BIT, X32_BIT + 1, 0x7FFFFFFF, 0x80000000, MINUS_ONE - 1, MINUS_ONE])
small_numbers = st.builds(int.__or__, st.integers(0, 500), st.sampled_from([0, X32_BIT]))
call_numbers = st.sampled_from(sorted(SECCOMP_NUMBERS.values())) | small_numbers | edges | words
audit_values = st.sampled_from([arch.audit_value for arch in Arch]) | words
halves = st.sampled_from([0, 1, 2, 8, 9, 0xFFFFFFFF]) | words
registers = st.builds(lambda high, low: high << 32 | low, halves, halves)
arguments = st.tuples(registers, registers, registers, registers, registers, registers)


def numbers_for(arch: Arch) -> st.SearchStrategy[Numbers]:
    """Return a strategy for what may be said of *arch*."""
    possible = call_numbers.filter(lambda nr: is_possible(arch, nr))
    if arch is Arch.X32:
        possible = call_numbers.map(lambda nr: nr | X32_BIT).filter(lambda nr: is_possible(arch, nr))
    return st.just(EVERY) | st.frozensets(possible, max_size=40)


# Strategies that are made once: Hypothesis spends longer on looking at a new one than on drawing from it.
of_one_arch = st.one_of([st.tuples(st.just(arch), numbers_for(arch)) for arch in Arch])
notifieds = st.lists(of_one_arch, min_size=1, max_size=4, unique_by=lambda drawn: drawn[0]).map(dict)


@given(notified=notifieds, audit_value=audit_values, nr=call_numbers, args=arguments)
@example(notified={Arch.X86_64: EVERY}, audit_value=Arch.X86_64.audit_value, nr=MINUS_ONE, args=NO_ARGS)
@example(notified={Arch.X32: EVERY}, audit_value=Arch.X86_64.audit_value, nr=MINUS_ONE, args=NO_ARGS)
def test_program_agrees_with_decide(notified: Notified, audit_value: int, nr: int, args: Args) -> None:
    assert run(compile_notify(notified), audit_value, nr, args).value == decide(notified, audit_value, nr, args)


@given(notified=notifieds, data=st.data())
def test_program_agrees_with_decide_around_each_number(notified: Notified, data: st.DataObject) -> None:
    program = compile_notify(notified)
    arch = data.draw(st.sampled_from(sorted(notified, key=lambda arch: arch.name)))
    numbers = notified[arch]
    near = {SECCOMP_NUMBERS[arch]} | (set() if numbers is EVERY else set(numbers))
    args = data.draw(arguments)

    for nr in {(nr + step) & 0xFFFFFFFF for nr in near for step in (-1, 0, 1)}:
        assert run(program, arch.audit_value, nr, args).value == decide(notified, arch.audit_value, nr, args)


@given(notified=notifieds, arch=st.sampled_from(Arch), high=words, other_high=words)
def test_a_listener_of_the_targets_own_is_refused_whatever_the_high_halves_say(
    notified: Notified, arch: Arch, high: int, other_high: int
) -> None:
    args = (high << 32 | 1, other_high << 32 | 8 | 1, 0, 0, 0, 0)
    answer = run(compile_notify(notified), arch.audit_value, SECCOMP_NUMBERS[arch], args).value

    assert answer == REFUSED if arch in notified else answer in (NO_SUCH_CALL, KILL)


@pytest.mark.parametrize("arch", Arch)
@pytest.mark.parametrize("args", [NO_ARGS, NEW_LISTENER_ARGS, (1 << 32, 8, 0, 0, 0, 0), (1, 8 << 32, 0, 0, 0, 0)])
def test_program_agrees_with_decide_on_the_whole_table(arch: Arch, args: Args) -> None:
    for numbers in (EVERY, frozenset[int](), numbers_of(arch), every_second_of(arch)):
        notified: Notified = {arch: numbers}
        program = compile_notify(notified)

        for nr in range(arch.nr_bit, arch.nr_bit + 600):
            assert run(program, arch.audit_value, nr, args).value == decide(notified, arch.audit_value, nr, args)


X86_64, I386 = Arch.X86_64.audit_value, Arch.I386.audit_value


@pytest.mark.parametrize(
    ("notified", "audit_value", "nr", "args", "answer"),
    [
        ({Arch.X86_64: frozenset({257})}, X86_64, 257, NO_ARGS, NOTIFY),
        ({Arch.X86_64: frozenset({257})}, X86_64, 258, NO_ARGS, ALLOW),
        ({Arch.X86_64: frozenset({257})}, X86_64, MINUS_ONE, NO_ARGS, ALLOW),
        ({Arch.X86_64: EVERY}, X86_64, MINUS_ONE, NO_ARGS, NOTIFY),
        ({Arch.X86_64: frozenset({257})}, X86_64, X32_BIT | 257, NO_ARGS, NO_SUCH_CALL),
        ({Arch.X86_64: EVERY}, X86_64, MINUS_ONE - 1, NO_ARGS, NO_SUCH_CALL),
        ({Arch.X86_64: EVERY}, X86_64, 0x80000000, NO_ARGS, NO_SUCH_CALL),
        ({Arch.X86_64: EVERY}, I386, 5, NO_ARGS, NO_SUCH_CALL),
        ({Arch.X86_64: EVERY, Arch.I386: frozenset({5})}, I386, 5, NO_ARGS, NOTIFY),
        ({Arch.X86_64: EVERY, Arch.I386: frozenset({5})}, I386, 257, NO_ARGS, ALLOW),
        ({Arch.X32: frozenset({X32_BIT | 2})}, X86_64, X32_BIT | 2, NO_ARGS, NOTIFY),
        ({Arch.X32: frozenset({X32_BIT | 2})}, X86_64, 2, NO_ARGS, NO_SUCH_CALL),
        ({Arch.X86_64: frozenset({2}), Arch.X32: frozenset()}, X86_64, X32_BIT | 2, NO_ARGS, ALLOW),
        ({Arch.X86_64: EVERY}, Arch.AARCH64.audit_value, 56, NO_ARGS, KILL),
        ({Arch.X86_64: EVERY}, 0, 0, NO_ARGS, KILL),
        ({Arch.AARCH64: EVERY}, Arch.ARM.audit_value, 5, NO_ARGS, NO_SUCH_CALL),
        ({Arch.X86_64: EVERY}, X86_64, 317, NEW_LISTENER_ARGS, REFUSED),
        ({Arch.X86_64: frozenset()}, X86_64, 317, NEW_LISTENER_ARGS, REFUSED),
        ({Arch.X86_64: frozenset()}, X86_64, 317, (1, 0, 0, 0, 0, 0), ALLOW),
        ({Arch.X86_64: frozenset({317})}, X86_64, 317, (1, 0, 0, 0, 0, 0), NOTIFY),
        ({Arch.X86_64: frozenset()}, X86_64, 317, (2, 8, 0, 0, 0, 0), ALLOW),
        ({Arch.X86_64: EVERY, Arch.I386: EVERY}, I386, 354, NEW_LISTENER_ARGS, REFUSED),
        ({Arch.X32: frozenset()}, X86_64, X32_BIT | 317, NEW_LISTENER_ARGS, REFUSED),
    ],
)
def test_answers_that_are_written_down(notified: Notified, audit_value: int, nr: int, args: Args, answer: int) -> None:
    assert decide(notified, audit_value, nr, args) == answer
    assert run(compile_notify(notified), audit_value, nr, args).value == answer


def test_every_arch_has_one_family_and_a_number_for_seccomp() -> None:
    families = {arch.family() for arch in Arch}

    assert sorted((arch for family in families for arch in family), key=list(Arch).index) == list(Arch)
    assert SECCOMP_NUMBERS.keys() == set(Arch)


def test_no_arch_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no arch at all"):
        compile_notify({})


@pytest.mark.parametrize(
    ("arch", "nr"),
    [
        (Arch.X86_64, X32_BIT),
        (Arch.X86_64, MINUS_ONE - 1),
        (Arch.X32, 2),
        (Arch.X32, MINUS_ONE),
        (Arch.I386, -1),
        (Arch.I386, 1 << 32),
    ],
)
def test_a_number_that_no_call_of_the_arch_can_have_is_refused(arch: Arch, nr: int) -> None:
    with pytest.raises(ValueError, match=f"is not the number of a call of {arch.name}"):
        compile_notify({arch: frozenset({nr})})


def test_numbers_too_many_and_too_scattered_are_refused() -> None:
    with pytest.raises(ProgramTooLongError):
        compile_notify({Arch.X86_64: frozenset(range(0, 20000, 2))})


def comparisons(program: Program, evaluation: Evaluation) -> int:
    """Return how many comparisons a run made."""
    return sum(program.instructions[index].code in BRANCHES for index in evaluation.path)


@pytest.mark.parametrize("arch", Arch)
def test_a_call_costs_the_logarithm_of_the_numbers(arch: Arch) -> None:
    scattered = every_second_of(arch)
    program = compile_notify({arch: scattered})
    # Each number may end a range and begin another; one comparison is of the arch.
    bound = math.ceil(math.log2(2 * len(scattered))) + 2

    for nr in range(arch.nr_bit, arch.nr_bit + 600):
        assert comparisons(program, run(program, arch.audit_value, nr)) <= bound


@pytest.mark.parametrize("arch", Arch)
def test_no_call_but_seccomp_keeps_the_kernel_from_caching_its_answer(arch: Arch) -> None:
    """The opcodes and loads of kernel/seccomp.c, ``seccomp_is_const_allow``, and no others."""
    known = {Op.LD_ABS, Op.RET_K, Op.JA, Op.JEQ_K, Op.JGE_K, Op.JGT_K, Op.JSET_K, Op.AND_K}
    program = compile_notify({arch: every_second_of(arch)})

    for nr in {*range(arch.nr_bit, arch.nr_bit + 600)} - {SECCOMP_NUMBERS[arch]}:
        for index in run(program, arch.audit_value, nr).path:
            instruction = program.instructions[index]
            assert instruction.code in known
            assert instruction.code != Op.LD_ABS or instruction.k in {OFFSET_ARCH, OFFSET_NR}


def test_neighbours_are_compared_as_one_range() -> None:
    few = compile_notify({Arch.X86_64: frozenset({100, 101})})
    many = compile_notify({Arch.X86_64: frozenset(range(100, 300))})

    assert len(few) == len(many)


def test_the_full_table_of_x86_64_is_a_short_program() -> None:
    full = numbers_of(Arch.X86_64)

    assert len(compile_notify({Arch.X86_64: full})) < 40
    assert len(compile_notify({Arch.X86_64: EVERY})) < 25
    assert len(compile_notify({Arch.X86_64: every_second_of(Arch.X86_64)})) < len(full)


def test_thousands_of_scattered_numbers_fit() -> None:
    scattered = frozenset(range(0, 3000, 2))
    notified: Notified = {Arch.X86_64: scattered}
    program = compile_notify(notified)

    for nr in range(3002):
        assert run(program, X86_64, nr).value == decide(notified, X86_64, nr, NO_ARGS)
