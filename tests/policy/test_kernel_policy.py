"""Compiled policies in the kernel: a call ends as ``answers.answer`` says, natively and by the door of i386."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Sequence
from errno import EBUSY, ENOSYS

import pytest

from monitor.abi.arch import Arch
from monitor.abi.seccomp import ACTION_MASK, MAX_ERRNO, OFFSET_ARCH, OFFSET_ARGS, FilterFlag, RetValue
from monitor.abi.syscalls import number_of
from monitor.policy.action import Action, Allow, Ask, Audit, Deny, Handle, KillProcess, KillThread, Log, Return, Trap
from monitor.policy.answers import answer
from monitor.policy.bpf import Instruction, Op, Program
from monitor.policy.compile import compile_policy
from monitor.policy.condition import OPERATORS, AllOf, AnyOf, Condition, Not, Test
from monitor.policy.model import Policy, Rule
from tests.conftest import require
from tests.policy.children import has_i386, in_child, install, int80, raw_syscall, wait_status_and_report
from tests.policy.drawn import EDGES, EXAMPLES, Args, Caller, Fixed

NATIVE = Arch.native()

HARMLESS = ("getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "sched_yield", "getpid")
"""They take no argument, so that their registers can hold what a condition is about."""

PROGRAMS = 40
CALLS = 120
SEEDS = range(3)

ENDINGS: Sequence[Action] = (
    Allow(), Allow(), Deny(7), Deny(0), Deny(4095), Return(0), Return(9), Ask(5), Handle("x"), Log(),
)  # fmt: skip
"""Nobody listens, so that what would be notified fails with ENOSYS."""


def random_value(rng: random.Random, width: int) -> int:
    return (rng.choice(EDGES) if rng.random() < 0.6 else rng.getrandbits(64)) & ((1 << width) - 1)


def random_test(rng: random.Random) -> Test:
    width, signed = rng.choice([8, 16, 32, 64]), rng.random() < 0.5
    mask = random_value(rng, width) if rng.random() < 0.4 else None
    value = random_value(rng, width)
    if mask is not None and rng.random() < 0.5:
        value &= mask
    if mask is None and signed and value >> (width - 1):
        value -= 1 << width
    operator = rng.choice(sorted(OPERATORS))
    return Test(rng.randrange(6), operator, width=width, signed=signed, mask=mask, value=value)


def random_condition(rng: random.Random, depth: int = 2) -> Condition:
    if depth == 0 or rng.random() < 0.4:
        return random_test(rng)
    parts = [random_condition(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    made: list[Condition] = [AllOf(tuple(parts)), AnyOf(tuple(parts)), Not(parts[0])]
    return rng.choice(made)


def random_policy(rng: random.Random, depth: int = 1) -> Policy:
    rules = [
        Rule(
            tuple(rng.sample(HARMLESS, rng.randint(1, 3))),
            rng.choice(ENDINGS),
            when=Fixed(random_condition(rng)) if rng.random() < 0.8 else None,
            mutable=rng.random() < 0.1,
        )
        for _ in range(rng.randint(1, 6))
    ]
    beneath = [random_policy(rng, depth - 1) for _ in range(rng.randint(0, 2))] if depth else []
    return Policy("random", rules=rules, includes=beneath)


def ending(value: int) -> int:
    """Return the errno of a harmless call for which a filter returns *value*, with nobody listening."""
    match value & ACTION_MASK:
        case RetValue.ERRNO:
            return min(value & 0xFFFF, MAX_ERRNO)
        case RetValue.USER_NOTIF:
            return ENOSYS
        case _:
            assert value == RetValue.ALLOW
            return 0


def check_against_kernel(arch: Arch, machine: Sequence[Arch], seed: int, call: Callable[[int, Args], int]) -> None:
    rng = random.Random(f"{arch} {seed}")
    numbers = [nr for name in HARMLESS if (nr := number_of(arch, name)) is not None]
    seen: set[int] = set()
    for _ in range(PROGRAMS):
        policy = random_policy(rng)
        program = compile_policy(policy, machine).program
        caller = Caller(rng.getrandbits(64), policy, machine)
        cases = [(rng.choice(numbers), caller.args()) for _ in range(CALLS)]

        def ask(program: Program = program, cases: list[tuple[int, Args]] = cases) -> list[int]:
            return [install(program.pack()), *(call(nr, args) for nr, args in cases)]

        expected = [ending(answer(policy, machine, arch.audit_value, nr, args)) for nr, args in cases]
        assert in_child(ask) == [0, *expected]
        seen |= set(expected)
        EXAMPLES[f"calls of {arch.table} in the kernel end as the policy says"] += len(cases)
    assert {0, 7, ENOSYS} <= seen


@pytest.mark.parametrize("seed", SEEDS)
def test_kernel_ends_calls_as_the_policy_says(seed: int) -> None:
    check_against_kernel(NATIVE, [NATIVE], seed, raw_syscall)


@pytest.mark.parametrize("seed", SEEDS)
def test_kernel_ends_calls_of_i386_as_the_policy_says(seed: int) -> None:
    """All 64 bits of the registers are given, as a 64-bit program may do before ``int $0x80``."""
    require("i386 entry", has_i386())
    check_against_kernel(Arch.I386, [Arch.X86_64, Arch.I386], seed, int80)


def test_the_upper_half_of_a_register_is_bait_on_i386() -> None:
    """
    ``seccomp_data.args`` are not zero-extended: a filter sees what a 64-bit program left in the register.

    The call itself gets the low half, so a filter that compared all 64 bits could be walked around.
    """
    require("i386 entry", has_i386())

    def upper_half(index: int) -> Program:
        return Program(
            [
                Instruction(Op.LD_ABS, OFFSET_ARCH),
                Instruction(Op.JEQ_K, Arch.I386.audit_value, jt=1, jf=0),
                Instruction(Op.RET_K, RetValue.ALLOW),
                Instruction(Op.LD_ABS, OFFSET_ARGS + 8 * index + 4),
                Instruction(Op.AND_K, 0xFFF),
                Instruction(Op.OR_K, RetValue.ERRNO),
                Instruction(Op.RET_A),
            ]
        )

    registers = [(0x111 * index << 32) | 5 for index in range(1, 7)]

    def shown(index: int) -> int:
        return in_child(lambda: [install(upper_half(index).pack()), int80(20, registers)])[1]

    assert [shown(index) for index in range(6)] == [0x111, 0x222, 0x333, 0x444, 0x555, 0x666]
    policy = Policy("p", rules=[Rule(["getpid"], Deny(7), when=Fixed(Test(0, "==", value=5)))])
    program = compile_policy(policy, [Arch.X86_64, Arch.I386]).program
    assert in_child(lambda: [install(program.pack()), int80(20, registers), int80(20, [5] * 6)]) == [0, 7, 7]


def test_other_abis_are_refused_by_the_kernel_as_the_policy_says() -> None:
    require("i386 entry", has_i386())
    knows_not = compile_policy(Policy("p", other_arch="enosys"), [Arch.X86_64]).program
    kills = compile_policy(Policy("p"), [Arch.X86_64]).program

    assert in_child(lambda: [install(knows_not.pack()), int80(20, [0] * 6)]) == [0, ENOSYS]
    status, _ = wait_status_and_report(lambda: [install(kills.pack()), int80(20, [0] * 6)])
    assert os.WTERMSIG(status) == signal.SIGSYS


@pytest.mark.parametrize("action", [KillProcess(), KillThread(), Trap(3)])
def test_what_kills_kills(action: Action) -> None:
    program = compile_policy(Policy("p", rules=[Rule(["getppid"], action)]), [NATIVE]).program
    getppid = number_of(NATIVE, "getppid")
    assert getppid is not None

    status, _ = wait_status_and_report(lambda: [install(program.pack()), raw_syscall(getppid, [0] * 6)])

    assert os.WTERMSIG(status) == signal.SIGSYS


def test_what_is_audited_runs() -> None:
    program = compile_policy(Policy("p", rules=[Rule(["getppid"], Audit())]), [NATIVE]).program
    getppid = number_of(NATIVE, "getppid")
    assert getppid is not None

    assert in_child(lambda: [install(program.pack()), raw_syscall(getppid, [0] * 6)]) == [0, 0]


def test_a_listener_of_the_targets_own_is_refused_with_nobody_there() -> None:
    program = compile_policy(Policy("p"), [NATIVE]).program

    def ask() -> list[int]:
        plain, listening = install(program.pack()), install(program.pack(), FilterFlag.NEW_LISTENER)
        return [plain, listening, install(program.pack(), FilterFlag.NEW_LISTENER | 1 << 40), install(program.pack())]

    assert in_child(ask) == [0, EBUSY, EBUSY, 0]
