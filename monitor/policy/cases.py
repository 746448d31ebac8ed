"""
Every case of a call: what conditions on its registers can come to, exactly, and with an example of each.

What it is not: a program (``diagram``), which compares words.  Here every bit of the six registers is a
variable of its own, so that tests of any width, mask and sign on one register are seen together: of
two conditions it is known whether one covers the other, and no case is listed that no call can reach.

The form is the reduced ordered decision diagram: registers in their order, in each the highest bit
first; equal parts are one object, and what does not depend on a bit does not ask for it.

Source: R. E. Bryant, "Graph-Based Algorithms for Boolean Function Manipulation", 1986.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar, assert_never

from attrs import frozen

from monitor.errors import PolicyError
from monitor.policy.condition import AllOf, AnyOf, Condition, Not, Test

REGISTERS: Final = 6
REGISTER_BITS: Final = 64

LIMIT: Final = 200_000
"""Forks after which a question is given up; conditions that people write need some hundreds."""

Args: TypeAlias = tuple[int, ...]
"""Six unsigned 64-bit words."""

T = TypeVar("T", bound=Hashable)
A = TypeVar("A", bound=Hashable)
B = TypeVar("B", bound=Hashable)

_NO_BIT: Final = REGISTERS * REGISTER_BITS
"""Where an end stands in the order of bits: behind all of them."""


@frozen(eq=False)
class End(Generic[T]):
    """An outcome."""

    outcome: T


@frozen(eq=False)
class Fork(Generic[T]):
    """
    A bit that matters.

    Attributes:
        bit: 64 times the register, and how many bits of it are higher than this one.
        clear: what follows where it is 0.
        set: what follows where it is 1.
    """

    bit: int
    clear: End[T] | Fork[T]
    set: End[T] | Fork[T]

    @property
    def place(self) -> tuple[int, int]:
        """The register, and the bit in it: 0 for the lowest."""
        register, above = divmod(self.bit, REGISTER_BITS)
        return register, REGISTER_BITS - 1 - above


Node: TypeAlias = End[T] | Fork[T]


class Case(NamedTuple, Generic[T]):
    """
    An outcome, and registers with which it comes about: bits that do not matter are 0.

    Attributes:
        outcome: the outcome.
        example: the registers.
    """

    outcome: T
    example: Args


class Cases(Generic[T]):
    """Makes nodes for one kind of outcome, no two of them alike."""

    def __init__(self, known: Mapping[int, int] | None = None) -> None:
        """Start with nothing.  *known* registers have the one value, so that nothing depends on them."""
        self._known = dict(known or {})
        self._ends: dict[T, End[T]] = {}
        self._forks: dict[tuple[int, int, int], Fork[T]] = {}

    def end(self, outcome: T) -> Node[T]:
        """Return what is *outcome* in every case."""
        if outcome not in self._ends:
            self._ends[outcome] = End(outcome)
        return self._ends[outcome]

    def chosen(self, condition: Condition, true: Node[T], false: Node[T]) -> Node[T]:
        """
        Return what is *true* where *condition* holds, and *false* elsewhere.

        Raises:
            PolicyError: it would take more than ``LIMIT`` forks.
        """
        return self._chosen(Truths(self._known).of(condition), true, false, {})

    def joined(self, first: Node[A], second: Node[B], outcome: Callable[[A, B], T]) -> Node[T]:
        """
        Return what is *outcome* of both, in every case.

        Raises:
            PolicyError: it would take more than ``LIMIT`` forks.
        """
        return self._joined(first, second, outcome, {})

    def _fork(self, bit: int, clear: Node[T], set_: Node[T]) -> Node[T]:
        register, above = divmod(bit, REGISTER_BITS)
        if register in self._known:
            return set_ if self._known[register] >> (REGISTER_BITS - 1 - above) & 1 else clear
        if clear is set_:
            return clear
        key = (bit, id(clear), id(set_))  # both live as long as this object does
        if key not in self._forks:
            if len(self._forks) == LIMIT:
                message = f"the conditions are too many to be told apart: more than {LIMIT} forks"
                raise PolicyError(message)
            self._forks[key] = Fork(bit, clear, set_)
        return self._forks[key]

    def _chosen(
        self, truth: Node[bool], true: Node[T], false: Node[T], done: dict[tuple[int, int, int], Node[T]]
    ) -> Node[T]:
        if isinstance(truth, End):
            return true if truth.outcome else false
        key = (id(truth), id(true), id(false))
        if key not in done:
            bit = min(_bit(truth), _bit(true), _bit(false))
            clear = self._chosen(_clear(truth, bit), _clear(true, bit), _clear(false, bit), done)
            set_ = self._chosen(_set(truth, bit), _set(true, bit), _set(false, bit), done)
            done[key] = self._fork(bit, clear, set_)
        return done[key]

    def _joined(
        self, first: Node[A], second: Node[B], outcome: Callable[[A, B], T], done: dict[tuple[int, int], Node[T]]
    ) -> Node[T]:
        if isinstance(first, End) and isinstance(second, End):
            return self.end(outcome(first.outcome, second.outcome))
        key = (id(first), id(second))
        if key not in done:
            bit = min(_bit(first), _bit(second))
            clear = self._joined(_clear(first, bit), _clear(second, bit), outcome, done)
            set_ = self._joined(_set(first, bit), _set(second, bit), outcome, done)
            done[key] = self._fork(bit, clear, set_)
        return done[key]


class Truths(Cases[bool]):
    """Where conditions hold."""

    def of(self, condition: Condition) -> Node[bool]:
        """Return where *condition* holds."""
        yes, no = self.end(outcome=True), self.end(outcome=False)
        match condition:
            case Test():
                return self._tested(condition)
            case Not(part):
                return self._chosen(self.of(part), no, yes, {})
            case AllOf(parts):
                return _folded(
                    [self.of(part) for part in parts], lambda one, other: self._chosen(one, other, no, {}), yes
                )
            case AnyOf(parts):
                return _folded(
                    [self.of(part) for part in parts], lambda one, other: self._chosen(one, yes, other, {}), no
                )
            case _:
                assert_never(condition)

    def _tested(self, test: Test) -> Node[bool]:
        """Return where *test* holds: from the lowest bit up, what the bits so far come to if all above are equal."""
        mask = (1 << test.width) - 1 if test.mask is None else test.mask
        sign = 1 << (test.width - 1) if test.signed and test.mask is None else 0
        value = test.value & ((1 << test.width) - 1)
        below, equal, above = _OUTCOMES[test.operator]
        node = self.end(outcome=equal)
        for place in range(test.width):
            bit, weight = test.argument * REGISTER_BITS + REGISTER_BITS - 1 - place, 1 << place
            # A sign turns the order of its bit round: the numbers that have it come first.
            is_less, is_more = (above, below) if weight == sign else (below, above)
            if value & weight:
                clear, set_ = self.end(outcome=is_less), node
            else:
                clear, set_ = node, self.end(outcome=is_more)
            node = self._fork(bit, clear, set_) if mask & weight else clear
        return node


def _folded(
    nodes: Sequence[Node[bool]], join: Callable[[Node[bool], Node[bool]], Node[bool]], none: Node[bool]
) -> Node[bool]:
    """Return *nodes* as one: neighbours first, then what these came to, so that none is walked for every other."""
    left = list(nodes)
    while len(left) > 1:
        odd = left[len(left) & ~1 :]
        left = [join(one, other) for one, other in zip(left[::2], left[1::2], strict=False)] + odd
    return left[0] if left else none


_OUTCOMES: Final[Mapping[str, tuple[bool, bool, bool]]] = {
    "==": (False, True, False),
    "!=": (True, False, True),
    "<": (True, False, False),
    "<=": (True, True, False),
    ">": (False, False, True),
    ">=": (False, True, True),
}
"""Operator -> whether it holds for what is less, equal, more."""


def _bit(node: Node[A]) -> int:
    return node.bit if isinstance(node, Fork) else _NO_BIT


def _clear(node: Node[A], bit: int) -> Node[A]:
    return node.clear if isinstance(node, Fork) and node.bit == bit else node


def _set(node: Node[A], bit: int) -> Node[A]:
    return node.set if isinstance(node, Fork) and node.bit == bit else node


def walked(root: Node[T]) -> Iterator[tuple[Node[T], Args]]:
    """Yield every node below *root* and itself, once, each with registers that lead to it."""
    seen: set[int] = set()
    waiting: list[tuple[Node[T], Args]] = [(root, (0,) * REGISTERS)]
    while waiting:
        node, args = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node, args
        if isinstance(node, Fork):
            register, place = node.place
            with_it = tuple(word | 1 << place if index == register else word for index, word in enumerate(args))
            waiting += [(node.set, with_it), (node.clear, args)]


def cases_of(root: Node[T], known: Mapping[int, int] | None = None) -> list[Case[T]]:
    """Return every outcome that *root* may have, each once with an example, which has the *known* registers."""
    return [
        Case(node.outcome, tuple((known or {}).get(index, word) for index, word in enumerate(args)))
        for node, args in walked(root)
        if isinstance(node, End)
    ]
