"""Random policies, and calls that are interesting for them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import attrs
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import Signature, names, number_of
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
)
from monitor.policy.bpf import Program
from monitor.policy.condition import OPERATORS, AllOf, AnyOf, Condition, Not, Test
from monitor.policy.interpret import Evaluation, evaluate
from monitor.policy.model import Policy, Rule
from monitor.policy.numbers import EVERY, Numbers

Args = tuple[int, int, int, int, int, int]
NO_ARGS: Args = (0, 0, 0, 0, 0, 0)
X32_BIT = 0x40000000
MINUS_ONE = 0xFFFFFFFF

EXAMPLES: Counter[str] = Counter()
"""How many examples each property saw; ``conftest`` prints it."""


@attrs.frozen
class Fixed:
    """A ``when`` that means the same condition for every call."""

    condition: Condition
    source: str = "fixed"

    def bind(self, signature: Signature, arch: Arch) -> Condition:
        """Return the condition."""
        return self.condition


def only(condition: Condition, action: Action, *call_names: str, **more: Any) -> Rule:
    """Return a rule for the calls named that depends on *condition*."""
    return Rule(call_names, action, when=Fixed(condition), **more)


CALLS = ("read", "openat", "socket", "clone", "clone3", "statx", "ioctl", "seccomp", "mseal", "%memory", "@network-io")
"""Among them calls that not every ABI has, calls with a fallback, new ones, and groups."""

EDGES = (0, 1, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, 1 << 63, (1 << 63) - 1, (1 << 64) - 1)

words = st.integers(0, 0xFFFFFFFF)
registers = st.sampled_from(EDGES) | st.integers(0, 20) | st.integers(0, (1 << 64) - 1)
errnos = st.sampled_from([0, 1, 13, 38, 4095])
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(Allow),
    st.builds(Deny, errnos),
    st.builds(KillProcess),
    st.builds(KillThread),
    st.builds(Trap, st.sampled_from([0, 3, 0xFFFF])),
    st.builds(Return, st.sampled_from([0, 1, (1 << 63) - 1])),
    st.builds(Ask, st.sampled_from([1, 13])),
    st.builds(Handle, st.just("files")),
    st.builds(Trace, st.sampled_from([0, 5])),
    st.builds(Audit),
    st.builds(Log),
)


MASKS = (0, 1, 8, 0xF0, 0x80000000, 0xFFFFFFFF00000000, (1 << 64) - 1)


def _test_of(seed: int) -> Test:
    """Return one comparison of one of the first three arguments, so that rules meet."""
    rng = random.Random(seed)
    width, signed = rng.choice((8, 16, 32, 64)), rng.random() < 0.5
    mask, value = rng.choice((None, rng.choice(MASKS), _register_of(rng))), _register_of(rng) & ((1 << width) - 1)
    if mask is not None:
        mask &= (1 << width) - 1
        value &= mask if rng.random() < 0.5 else value
    elif signed and value >> (width - 1):
        value -= 1 << width
    return Test(rng.randrange(3), rng.choice(sorted(OPERATORS)), width=width, signed=signed, mask=mask, value=value)


def _register_of(rng: random.Random) -> int:
    return rng.choice((rng.choice(EDGES), rng.randrange(21), rng.getrandbits(rng.randrange(1, 65))))


def tests() -> st.SearchStrategy[Test]:
    """
    Return a strategy for comparisons, each of one drawn number.

    Drawn piece by piece they took most of the time of the properties.  Of numbers with more than 24 bits
    Hypothesis draws small ones again and again.
    """
    return st.integers(0, (1 << 24) - 1).map(_test_of)


conditions: st.SearchStrategy[Condition] = st.recursive(
    tests(),
    lambda parts: st.one_of(
        st.builds(AllOf, st.lists(parts, max_size=3)),
        st.builds(AnyOf, st.lists(parts, max_size=3)),
        st.builds(Not, parts),
    ),
    max_leaves=6,
)

some_arches = st.none() | st.frozensets(st.sampled_from(Arch), min_size=1)


def _rule(names: Sequence[str], action: Action, *, mutable: bool, **more: Any) -> Rule:
    """Return a rule; one that says what only a filter does cannot be mutable."""
    ours = not isinstance(action, KillThread | Trap | Trace | Audit)
    return Rule(tuple(names), action, mutable=mutable and ours, **more)


rules = st.builds(
    _rule,
    st.lists(st.sampled_from(CALLS), min_size=1, max_size=3),
    actions,
    when=st.none() | st.builds(Fixed, conditions),
    arches=some_arches,
    mutable=st.integers(0, 7).map(lambda number: number == 0),
    exact_errno=st.booleans(),
)


@cache
def policies(depth: int = 2) -> st.SearchStrategy[Policy]:
    """Return a strategy for policies with *depth* layers of includes beneath."""
    below = policies(depth - 1) if depth else None
    return st.builds(
        Policy,
        st.just("drawn"),
        actions,
        exact_errno=st.booleans(),
        rules=st.lists(rules, max_size=5),
        includes=st.just(()) if below is None else st.lists(below, max_size=2),
        extends=st.none() if below is None else st.none() | below,
        known_as_of=st.sampled_from([None, None, (5, 10), (6, 9)]),
        arches=some_arches,
        other_arch=st.sampled_from(["kill", "enosys"]),
    )


machines = st.lists(st.sampled_from(Arch), min_size=1, max_size=3, unique=True)


def is_possible(arch: Arch, nr: int) -> bool:
    """Say whether a call of *arch* can have number *nr*."""
    match arch:
        case Arch.X32:
            return X32_BIT <= nr < MINUS_ONE
        case Arch.X86_64:
            return nr < X32_BIT or nr == MINUS_ONE
        case _:
            return True


@cache
def numbers_of(arch: Arch) -> frozenset[int]:
    """Return every number that the table of *arch* has."""
    return frozenset(nr for name in names(arch) if (nr := number_of(arch, name)) is not None)


@cache
def numbers_for(arch: Arch) -> st.SearchStrategy[Numbers]:
    """Return a strategy for what handlers may want of *arch*."""
    named = st.sampled_from(sorted(numbers_of(arch)))
    other = words.map(lambda nr: nr | arch.nr_bit).filter(lambda nr: is_possible(arch, nr))
    return st.just(EVERY) | st.frozensets(named | st.sampled_from(interesting_numbers(arch)) | other, max_size=6)


@cache
def interesting_numbers(arch: Arch) -> Sequence[int]:
    """Return the numbers of the calls that the rules are about, and their neighbours."""
    found = {nr for name in CALLS if name[0] not in "%@" and (nr := number_of(arch, name)) is not None}
    return sorted(found | {nr + 1 for nr in found})


def values_in(condition: Condition) -> set[int]:
    """Return what *condition* compares with, the masks included."""
    match condition:
        case Test():
            return {condition.value, condition.mask or 0}
        case Not(part):
            return values_in(part)
        case AllOf(parts) | AnyOf(parts):
            return {value for part in parts for value in values_in(part)}


def values_of(policy: Policy) -> list[int]:
    """Return what the rules of *policy* compare registers with, and their masks."""
    every_rule = [rule for layer in policy.layers() for rule in layer.all_rules()]
    conditions = [rule.when.condition for rule in every_rule if isinstance(rule.when, Fixed)]
    return sorted({value for condition in conditions for value in values_in(condition)})


@cache
def _in_order(arch: Arch) -> Sequence[int]:
    return sorted(numbers_of(arch))


class Caller:
    """
    Makes calls that are interesting for a policy: they come near what its rules are about.

    From a seed, and not drawn one by one: a property looks at many calls of each policy it draws.
    """

    def __init__(self, seed: int, policy: Policy, machine: Sequence[Arch]) -> None:
        self.rng = random.Random(seed)
        self._values = values_of(policy) or [0]
        self._machine = machine

    def register(self) -> int:
        """Return a register that is often on the edge of a comparison, perhaps with bait in its upper bits."""
        rng = self.rng
        if rng.random() < 0.15:
            return rng.choice((1, 8, 9, 1 << 32 | 1, 5 << 32 | 8))  # what makes a listener, and nearly so
        if rng.random() < 0.25:
            return rng.choice(EDGES) if rng.random() < 0.5 else rng.getrandbits(64)
        bait = 1 << rng.choice((8, 16, 31, 32, 63)) if rng.random() < 0.2 else 0
        return (rng.choice(self._values) + rng.choice((0, 0, 0, -1, 1)) + bait) & ((1 << 64) - 1)

    def args(self) -> Args:
        """Return six registers."""
        first, second, third, fourth, fifth, sixth = (self.register() for _ in range(6))
        return first, second, third, fourth, fifth, sixth

    def arch(self) -> Arch:
        """Return an ABI of the machine."""
        return self.rng.choice(self._machine)

    def known(self, arch: Arch) -> int:
        """Return the number of a call, mostly of one that the rules are about."""
        return self.rng.choice(interesting_numbers(arch) if self.rng.random() < 0.7 else _in_order(arch))

    def call(self) -> tuple[int, int]:
        """Return audit value and number of a call, sometimes of an ABI that the machine has not, or of none."""
        if self.rng.random() < 0.1:
            strangers = [arch.audit_value for arch in Arch]
            return self.rng.choice([*strangers, self.rng.getrandbits(32)]), self.rng.getrandbits(32)
        arch = self.arch()
        if self.rng.random() < 0.8:
            return arch.audit_value, self.known(arch)
        around = (0, X32_BIT - 1, X32_BIT, X32_BIT + 1, 0x7FFFFFFF, 0x80000000, MINUS_ONE - 1, MINUS_ONE)
        return arch.audit_value, self.rng.choice([*around, self.rng.getrandbits(32)])


def is_little_endian(audit_value: int) -> bool:
    """Say whether a machine whose calls have *audit_value* is little-endian."""
    return all(arch.little_endian for arch in Arch if arch.audit_value == audit_value)


def run(program: Program, audit_value: int, nr: int, args: Args = NO_ARGS) -> Evaluation:
    """Run *program* as the machine of *audit_value* does."""
    return evaluate(program, audit_value=audit_value, nr=nr, args=args, little_endian=is_little_endian(audit_value))
