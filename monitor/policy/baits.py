"""
Bits of a register that change a policy's answer, though the kernel does not look at them.

What it is not: a look at how a condition is written.  Whether an answer depends on a bit is known
exactly (``cases``): a program that sets it makes the same call, and is answered differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, assert_never

from monitor.abi.syscalls import names, signature_of
from monitor.policy.action import Action
from monitor.policy.cases import REGISTER_BITS, Args, Cases, Fork, Truths, cases_of, walked
from monitor.policy.condition import AllOf, AnyOf, Condition, Not, Test
from monitor.policy.explain import Heard
from monitor.policy.findings import Finding, Look, said
from monitor.policy.table import Alternative, Chain


class _Bait(NamedTuple):
    """
    A register of which more bits are compared than the kernel looks at.

    Attributes:
        register: which.
        plain: what happens without those bits.
        baited: what happens with them.
        example: registers with which it does.
    """

    register: int
    plain: Action
    baited: Action
    example: Args


def ignored_bits(look: Look) -> Iterator[Finding]:
    """Yield the calls whose answer depends on bits of a register that the kernel does not look at."""
    for call in sorted(names(look.arch)):
        chains = look.chains(call)
        if all(len(chain) == 1 for chain in chains):
            continue
        for bait in _baits(look, call, chains):
            decision = next(one.decision for one in _wide(look, call, chains, bait.register))
            width = _width(look, call, bait.register)
            ignored = f"of which the kernel sees {width} bits" if width else "at which the kernel does not look"
            yield look.finding(
                "E-ARG-SIGN",
                f"{_register(look, call, bait.register)} of {call}: {said(bait.plain)} becomes {said(bait.baited)}"
                f" with {bait.example[bait.register]:#x}, {ignored}",
                "compare the argument by its name, which has as many bits as its type"
                if width
                else "the call has no such argument here; a program may put there what it likes",
                decision,
            )


def _register(look: Look, call: str, register: int) -> str:
    signature = signature_of(look.arch, call)
    arguments = () if signature is None else signature.arguments
    return arguments[register].name if register < len(arguments) else f"register {register}"


def _width(look: Look, call: str, register: int) -> int:
    """Return how many bits of a register the kernel looks at: none, where the call has no such argument."""
    signature = signature_of(look.arch, call)
    arguments = () if signature is None else signature.arguments
    return arguments[register].width if register < len(arguments) else 0


def _baits(look: Look, call: str, chains: Sequence[Chain]) -> Iterator[_Bait]:
    """Yield for each register the lowest bit that changes the answer and that the kernel does not look at."""
    heard = Heard()
    actions: list[Action] = []
    kinds: Cases[int] = Cases()

    def kind(place: int, _: bool) -> int:  # noqa: FBT001  # an outcome
        action = heard.decisions[place].action
        if action not in actions:
            actions.append(action)
        return actions.index(action)

    root = kinds.joined(heard.layers(chains), Truths().end(outcome=True), kind)
    lowest: dict[int, tuple[int, Fork[int], Args]] = {}
    for node, args in walked(root):
        if isinstance(node, Fork):
            register, bit = node.place
            if _width(look, call, register) <= bit < lowest.get(register, (REGISTER_BITS, node, args))[0]:
                lowest[register] = (bit, node, args)
    for _, fork, args in lowest.values():
        yield _bait(fork, args, actions)


def _bait(fork: Fork[int], args: Args, actions: Sequence[Action]) -> _Bait:
    """Return two calls that differ in the bit of *fork* alone, and are answered differently."""
    pairs: Cases[tuple[int, int]] = Cases()
    register, bit = fork.place
    for (plain, baited), example in cases_of(pairs.joined(fork.clear, fork.set, lambda one, other: (one, other))):
        if plain != baited:
            words = [mine | theirs for mine, theirs in zip(args, example, strict=True)]
            words[register] |= 1 << bit
            return _Bait(register, actions[plain], actions[baited], tuple(words))
    raise AssertionError(fork)  # a fork whose two ways are alike is none


def _wide(look: Look, call: str, chains: Iterable[Chain], register: int) -> Iterator[Alternative]:
    """Yield what compares more of *register* than the kernel looks at."""
    width = _width(look, call, register)
    for chain in chains:
        for alternative in chain:
            tests = () if alternative.condition is None else _tests(alternative.condition)
            if any(test.argument == register and _bits(test) > width for test in tests):
                yield alternative


def _tests(condition: Condition) -> Iterator[Test]:
    match condition:
        case Test():
            yield condition
        case Not(part):
            yield from _tests(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _tests(part)
        case _:
            assert_never(condition)


def _bits(test: Test) -> int:
    return test.width if test.mask is None else test.mask.bit_length()
