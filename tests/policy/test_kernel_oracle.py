"""
The kernel as oracle: it accepts what ``check`` accepts, and computes what ``evaluate`` computes.

Filters can only be added, so all of it happens in forked children.  A child asks about many
programs at once, in two ways:

- acceptance: a thread whose filters have a listener gets ``EBUSY`` for a program with
  another one, and gets it only after the program was found good (kernel/seccomp.c,
  ``seccomp_set_mode_filter``: ``seccomp_prepare_user_filter`` comes first).  Nothing is installed.
- results: each program answers a number of its own that no kernel uses, and allows the rest.
"""

from __future__ import annotations

import os
import random
import signal
import struct
from errno import EBUSY, EINVAL, ENOSYS
from typing import TYPE_CHECKING

import pytest

from monitor.abi.arch import Arch
from monitor.abi.seccomp import MAX_ERRNO, OFFSET_ARGS, FilterFlag, RetValue
from monitor.abi.syscalls import number_of
from monitor.policy.bpf import Instruction, Op, Program, check
from monitor.policy.interpret import evaluate
from monitor.policy.notify_program import compile_notify, decide
from tests.policy.children import in_child, install, raw_syscall, wait_status_and_report

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_UNUSED_NR = 9000
SEEDS = range(4)
PROGRAMS_PER_CHILD = 250

INTERESTING = (0, 1, 2, 7, 8, 31, 32, 33, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def pack(instructions: Sequence[Instruction]) -> bytes:
    """Pack instructions that may be no program."""
    return b"".join(struct.pack("=HBBI", each.code, each.jt, each.jf, each.k) for each in instructions)


def is_accepted(instructions: Sequence[Instruction]) -> bool:
    """Say what ``check`` says."""
    try:
        check(instructions)
    except ValueError:
        return False
    return True


def random_constant(rng: random.Random, op: int) -> int:
    """Return a constant that suits *op*, mostly."""
    if op in {Op.ST, Op.STX, Op.LD_MEM, Op.LDX_MEM}:
        return rng.choice([0, 0, 0, 1, 1, 15]) if rng.random() < 0.97 else rng.choice([16, 17, 0xFFFFFFFF])
    if op == Op.LD_ABS:
        return rng.randrange(0, 64, 4) if rng.random() < 0.95 else rng.choice([1, 2, 62, 64, 68, 0xFFFFF000])
    if op in {Op.LSH_K, Op.RSH_K} and rng.random() < 0.9:
        return rng.randrange(32)
    return rng.choice(INTERESTING) if rng.random() < 0.5 else rng.getrandbits(32)


def random_instruction(rng: random.Random, behind: int) -> Instruction:
    """Return an instruction that would, mostly, be accepted with *behind* instructions behind it."""
    code = rng.choice(list(Op)) if rng.random() < 0.97 else rng.getrandbits(rng.choice([8, 8, 16]))
    reach = behind if rng.random() < 0.03 else max(behind - 1, 0)
    jt, jf = rng.randint(0, reach), rng.randint(0, reach)
    k = rng.randint(0, reach) if code == Op.JA else random_constant(rng, code)
    return Instruction(code, k, jt=jt, jf=jf)


def random_instructions(rng: random.Random) -> list[Instruction]:
    """Return instructions of which the kernel may accept each, and about half of the time all."""
    size = rng.randint(0, 14)
    last = rng.choice([Op.RET_K, Op.RET_A]) if rng.random() < 0.97 else rng.choice(list(Op))
    return [random_instruction(rng, size - index) for index in range(size)] + [Instruction(last, rng.getrandbits(32))]


@pytest.mark.parametrize("seed", SEEDS)
def test_kernel_accepts_what_check_accepts(seed: int) -> None:
    rng = random.Random(seed)
    candidates = [random_instructions(rng) for _ in range(2000)]

    def ask() -> list[int]:
        # EBUSY already here: the tests themselves run below a listener, which does as well.
        assert install(Program([Instruction(Op.RET_K, RetValue.ALLOW)]).pack(), FilterFlag.NEW_LISTENER) in {0, EBUSY}
        return [install(pack(each), FilterFlag.NEW_LISTENER) for each in candidates]

    answers = in_child(ask)
    expected = [EBUSY if is_accepted(each) else EINVAL for each in candidates]
    wrong = [each for each, answer, wanted in zip(candidates, answers, expected, strict=True) if answer != wanted]

    assert wrong == []
    assert 0.2 < expected.count(EBUSY) / len(expected) < 0.8


def test_kernel_admits_the_opcodes_of_op_and_no_others() -> None:
    ending = [Instruction(Op.ST, 1), Instruction(Op.RET_K, RetValue.ALLOW)]
    codes = range(0x400)
    # M[1] is written first, so that reads of it are good; k is 1, which is good for all but LD_ABS.
    programs = [[Instruction(Op.ST, 1), Instruction(code, 0 if code == Op.LD_ABS else 1), *ending] for code in codes]

    def ask() -> list[int]:
        assert install(Program(ending).pack(), FilterFlag.NEW_LISTENER) in {0, EBUSY}
        return [install(pack(each), FilterFlag.NEW_LISTENER) for each in programs]

    admitted = {code for code, answer in zip(codes, in_child(ask), strict=True) if answer == EBUSY}

    assert admitted == set(Op)


def random_body(rng: random.Random) -> list[Instruction]:
    """Return instructions that compute something from the arguments, and return nothing but an errno."""
    # The address of the calling instruction is not known beforehand; A may be any action.
    unsuitable = {(Op.LD_ABS, 8), (Op.LD_ABS, 12)}
    body = [Instruction(Op.LDX_IMM, rng.getrandbits(32)), Instruction(Op.LD_ABS, OFFSET_ARGS), Instruction(Op.ST)]
    size = rng.randint(1, 25)
    while len(body) < size:
        each = random_instruction(rng, size - len(body))
        if each.code == Op.RET_K:
            body.append(Instruction(Op.RET_K, RetValue.ERRNO | rng.getrandbits(16)))
        elif each.code in set(Op) - {Op.RET_A} and (each.code, each.k) not in unsuitable:
            body.append(each)
    return body


def random_program(rng: random.Random, nr: int) -> Program:
    """Return a program that fails the calls with number *nr* with an errno it computes, and allows the rest."""
    only_nr = [Instruction(Op.LD_ABS, 0), Instruction(Op.JEQ_K, nr, jt=1, jf=0), Instruction(Op.RET_K, RetValue.ALLOW)]
    while True:
        to_errno = [
            Instruction(Op.RSH_K, rng.randrange(32)),
            Instruction(Op.AND_K, 0xFFF),
            Instruction(Op.OR_K, RetValue.ERRNO),
            Instruction(Op.RET_A),
        ]
        instructions = [*only_nr, *random_body(rng), *to_errno]
        if is_accepted(instructions):
            return Program(instructions)


def random_register(rng: random.Random) -> int:
    """Return an argument, its halves interesting or not."""
    halves = [rng.choice(INTERESTING) if rng.random() < 0.5 else rng.getrandbits(32) for _ in range(2)]
    return halves[0] << 32 | halves[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_kernel_computes_what_evaluate_computes(seed: int) -> None:
    rng, arch = random.Random(seed), Arch.native()
    programs = [random_program(rng, FIRST_UNUSED_NR + index) for index in range(PROGRAMS_PER_CHILD)]
    cases: list[tuple[Program, int, list[int], int]] = []
    for index, program in enumerate(programs):
        nr = FIRST_UNUSED_NR + index
        for _ in range(10):
            args = [random_register(rng) for _ in range(6)]
            value = evaluate(
                program, audit_value=arch.audit_value, nr=nr, args=args, little_endian=arch.little_endian
            ).value
            # A division by zero kills; the test below has it.
            if value != RetValue.KILL_THREAD:
                cases.append((program, nr, args, min(value & 0xFFFF, MAX_ERRNO)))

    def ask() -> list[int]:
        assert [install(program.pack()) for program in programs] == [0] * len(programs)
        return [raw_syscall(nr, args) for _, nr, args, _ in cases]

    answers = in_child(ask)
    wrong = [(case, answer) for case, answer in zip(cases, answers, strict=True) if case[-1] != answer]

    assert wrong == []
    assert len(cases) > 5 * PROGRAMS_PER_CHILD
    assert len(set(answers)) > PROGRAMS_PER_CHILD / 4


def test_a_division_by_zero_kills() -> None:
    nr = FIRST_UNUSED_NR
    program = Program(
        [
            Instruction(Op.LD_ABS, 0),
            Instruction(Op.JEQ_K, nr, jt=1, jf=0),
            Instruction(Op.RET_K, RetValue.ALLOW),
            Instruction(Op.DIV_X),
            Instruction(Op.RET_K, RetValue.ALLOW),
        ]
    )
    assert evaluate(program, audit_value=0, nr=nr).value == RetValue.KILL_THREAD

    status, _ = wait_status_and_report(lambda: [install(program.pack()), raw_syscall(nr, [0] * 6)])

    assert os.WTERMSIG(status) == signal.SIGSYS


def test_a_compiled_program_refuses_a_listener_without_any_listener_there() -> None:
    """What keeps a target from a take-over when the supervisor is gone."""
    program = compile_notify({Arch.native(): frozenset()})

    def ask() -> list[int]:
        plain = install(program.pack())
        listening = install(program.pack(), FilterFlag.NEW_LISTENER)
        bait = install(program.pack(), FilterFlag.NEW_LISTENER | 1 << 40)
        return [plain, listening, bait, install(program.pack())]

    assert in_child(ask) == [0, EBUSY, EBUSY, 0]


HARMLESS = ("getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "sched_yield")


@pytest.mark.parametrize("seed", range(20))
def test_kernel_runs_a_compiled_program_as_decide_says(seed: int) -> None:
    """Nobody listens, so that a call which would notify fails with ``ENOSYS``."""
    arch = Arch.native()
    harmless = [nr for name in HARMLESS if (nr := number_of(arch, name)) is not None]
    notified = {arch: frozenset(random.Random(seed).sample(harmless, seed % len(harmless)))}
    program = compile_notify(notified)

    def ask() -> list[int]:
        return [install(program.pack()), *(raw_syscall(nr, [0] * 6) for nr in harmless)]

    answers = in_child(ask)

    notifies = [decide(notified, arch.audit_value, nr, [0] * 6) == RetValue.USER_NOTIF for nr in harmless]
    assert answers == [0, *(ENOSYS if each else 0 for each in notifies)]
