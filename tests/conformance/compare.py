"""
Two runs of one program, call by call and thread by thread: how much is equal, and what is not.

What it is not: a judgement.  Which differences there may be is for the test to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from attrs import frozen

from tests.conformance.strace_lines import Call


@frozen
class Difference:
    """A call that the two runs show differently, or one that only one of them shows (the other is None)."""

    first: Call | None
    second: Call | None

    @property
    def name(self) -> str:
        """The call's name."""
        call = self.first or self.second
        assert call is not None
        return call.name

    @property
    def texts(self) -> tuple[str, str]:
        """What was compared; empty for a call that is not there."""
        return self.first.text if self.first else "", self.second.text if self.second else ""

    def __str__(self) -> str:
        """Show both as they were compared."""
        call = self.first or self.second
        assert call is not None
        first, second = self.texts
        return f"thread {call.thread}:\n    - {first or '(nothing)'}\n    + {second or '(nothing)'}"


@frozen
class Comparison:
    """The whole of two runs."""

    equal: int
    differences: tuple[Difference, ...]

    @property
    def total(self) -> int:
        """Every call of either run; a call of both counts once."""
        return self.equal + len(self.differences)

    @property
    def share(self) -> float:
        """How much of it is equal, 0 to 1."""
        return self.equal / self.total if self.total else 0.0

    def __str__(self) -> str:
        """Show the share, and every difference below it."""
        counted = Counter(str(difference) for difference in self.differences)
        shown = [f"{text}\n      {count} times" if count > 1 else text for text, count in counted.items()]
        return "\n".join([f"{self.equal} of {self.total} equal ({self.share:.2%})", *shown])


def compare(first: Sequence[Call], second: Sequence[Call]) -> Comparison:
    """Align the calls of each thread of the two runs, and return what came of all threads together."""
    equal, differences = 0, list[Difference]()
    for thread in dict.fromkeys(call.thread for call in [*first, *second]):
        one = [call for call in first if call.thread == thread]
        other = [call for call in second if call.thread == thread]
        found = list(_differences(one, other))
        equal += len(one) - sum(difference.first is not None for difference in found)
        differences += found
    return Comparison(equal, tuple(differences))


def _differences(one: Sequence[Call], other: Sequence[Call]) -> Iterator[Difference]:
    """Yield what is different in one thread; what is different in the same call comes in pairs."""
    matcher = SequenceMatcher(None, [call.text for call in one], [call.text for call in other], autojunk=False)
    for tag, low, high, other_low, other_high in matcher.get_opcodes():
        if tag != "equal":
            yield from _pairs(one[low:high], other[other_low:other_high])


def _pairs(one: Sequence[Call], other: Sequence[Call]) -> Iterator[Difference]:
    """Pair calls of the same name, in their order."""
    matcher = SequenceMatcher(None, [call.name for call in one], [call.name for call in other], autojunk=False)
    for tag, low, high, other_low, other_high in matcher.get_opcodes():
        if tag == "equal":
            yield from map(Difference, one[low:high], other[other_low:other_high])
        else:
            yield from (Difference(call, None) for call in one[low:high])
            yield from (Difference(None, call) for call in other[other_low:other_high])
