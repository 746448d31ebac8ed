"""Where libseccomp can say the same as a policy, its program and ours return the same."""

from __future__ import annotations

import random
from functools import cache

import pytest

from monitor.abi.arch import Arch
from monitor.abi.seccomp import ACTION_MASK, RetValue
from monitor.abi.syscalls import call_table, names, number_of
from monitor.policy.action import Action, Allow, Ask, Audit, Deny, KillProcess, Trace, Trap
from monitor.policy.bpf import Program
from monitor.policy.compile import compile_policy
from monitor.policy.condition import AllOf, Condition, Operator, Test
from monitor.policy.formats.scmp import Comparison
from monitor.policy.model import Policy, Rule
from tests.conftest import require
from tests.policy import libseccomp
from tests.policy.drawn import EDGES, EXAMPLES, only

pytestmark = pytest.mark.usefixtures("_library")


@pytest.fixture
def _library() -> None:
    require("libseccomp", libseccomp.library() is not None)


MACHINES: tuple[tuple[Arch, ...], ...] = (
    (Arch.X86_64,),
    (Arch.X86_64, Arch.I386),
    (Arch.X86_64, Arch.X32, Arch.I386),
    (Arch.I386,),
    (Arch.AARCH64, Arch.ARM),
    (Arch.ARM,),
    (Arch.RISCV64,),
    (Arch.PPC64LE,),
    (Arch.S390X,),
)
"""Each is one program.  libseccomp 2.5.4 knows no loongarch64."""

ACTIONS: tuple[Action, ...] = (Allow(), Deny(1), Deny(38), KillProcess(), Trap(), Trace(7), Audit(), Ask())

OPERATIONS: dict[str, Operator] = {
    "SCMP_CMP_NE": "!=", "SCMP_CMP_LT": "<", "SCMP_CMP_LE": "<=",
    "SCMP_CMP_EQ": "==", "SCMP_CMP_GE": ">=", "SCMP_CMP_GT": ">",
}  # fmt: skip

PROGRAMS = 12
CALLS = 300


@cache
def comparable_calls() -> tuple[str, ...]:
    """Return the calls of all ABIs that libseccomp knows and finds behind no other call, seccomp(2) excepted."""
    everywhere = frozenset.intersection(*(names(arch) for arch in Arch)) - {"seccomp"}
    arches = {arch for machine in MACHINES for arch in machine}
    return tuple(
        name
        for name in sorted(everywhere)
        if all(libseccomp.their_number(arch, name) == number_of(arch, name) for arch in arches)
    )


def comparison(rng: random.Random, index: int, highest: int) -> tuple[Comparison, Test]:
    """Return one comparison in both languages: libseccomp compares whole registers, unsigned."""
    width = highest.bit_length()
    value = (rng.choice(EDGES) if rng.random() < 0.5 else rng.getrandbits(64)) & highest
    if rng.random() < 0.3:
        mask = rng.choice([1, 8, 0x7E020000, 0xFFFF, highest, highest ^ 0xFF])
        value &= mask
        return (
            Comparison(index, "SCMP_CMP_MASKED_EQ", mask, value),
            Test(index, "==", width=width, mask=mask, value=value),
        )
    operation = rng.choice(sorted(OPERATIONS))
    return Comparison(index, operation, value), Test(index, OPERATIONS[operation], width=width, value=value)


def registers(rng: random.Random, tests: list[Test], highest: int) -> list[int]:
    near = [test.value for test in tests] or [0]
    return [
        (rng.choice(near) + rng.choice([0, 0, -1, 1]) if rng.random() < 0.7 else rng.choice(EDGES)) & highest
        for _ in range(6)
    ]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: "+".join(arch.table for arch in machine))
def test_programs_agree(machine: tuple[Arch, ...]) -> None:
    rng = random.Random(str(machine))
    highest = (1 << min(32 if arch is Arch.X32 else arch.register_bits for arch in machine)) - 1
    for _ in range(PROGRAMS):
        default, *actions = rng.sample(ACTIONS, 4)
        theirs: list[libseccomp.Rule] = []
        ours: list[Rule] = []
        tests: list[Test] = []
        chosen = rng.sample(comparable_calls(), rng.randint(1, 60))
        for name in chosen:
            action = rng.choice(actions)
            if rng.random() < 0.5:
                theirs.append(libseccomp.Rule(name, action))
                ours.append(Rule([name], action))
                continue
            pairs = [comparison(rng, index, highest) for index in rng.sample(range(6), rng.randint(1, 3))]
            condition: Condition = AllOf(tuple(test for _, test in pairs))
            theirs.append(libseccomp.Rule(name, action, tuple(one for one, _ in pairs)))
            ours.append(only(condition, action, name))
            tests += [test for _, test in pairs]
        their_program = libseccomp.compiled(default, theirs, machine, native=Arch.native() in machine)
        our_program = compile_policy(Policy("p", default, rules=ours), machine).program
        for _ in range(CALLS):
            arch = rng.choice(machine)
            known = number_of(arch, rng.choice(chosen))
            nr = known if known is not None and rng.random() < 0.8 else arch.nr_bit | rng.randrange(700)
            if nr != number_of(arch, "seccomp"):
                compare(their_program, our_program, arch, nr, registers(rng, tests, highest))
                EXAMPLES["calls that end as with libseccomp"] += 1


def in_order(value: int) -> int:
    """
    Return what libseccomp meant by *value*.

    On a little-endian machine 2.5.4 writes some of the returns of a longer big-endian program in the
    wrong order: ``ff 7f 00 00`` with jumps and loads around it that are right.
    """
    if value and value & ACTION_MASK not in {*RetValue} - {RetValue.KILL_THREAD}:
        return int.from_bytes(value.to_bytes(4, "little"), "big")
    return value


def compare(theirs: Program, ours: Program, arch: Arch, nr: int, args: list[int]) -> None:
    expected = in_order(libseccomp.answer(theirs, arch, nr, args))
    found = libseccomp.answer(ours, arch, nr, args)
    call = call_table(arch).get(nr, nr)

    assert hex(found) == hex(expected), f"{arch.table} {call} {[hex(each) for each in args]}"
