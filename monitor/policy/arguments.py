"""
From conditions on registers to branches on words: a register has 64 bits, a program compares 32.

What it is not: instructions, or a reading of what a register means: a ``condition.Test`` says its width
and its sign.  A word that a test does not need is not loaded.

Signed numbers are compared as unsigned ones with the sign bit turned round on both sides, which keeps
their order: a program has no signed comparison.  64 bits are compared as people compare numbers of two
digits: the high one decides, unless it is equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from monitor.policy.assembler import high_offset, low_offset
from monitor.policy.bpf import WORD_BITS, WORD_MASK, Op
from monitor.policy.condition import AllOf, AnyOf, Condition, Not, Test
from monitor.policy.diagram import Comparison, Diagram, Node, Word

if TYPE_CHECKING:
    from monitor.abi.arch import Arch
    from monitor.policy.model import Rule


class Translator(NamedTuple):
    """
    Adds conditions to a diagram.

    Attributes:
        diagram: where the nodes come from.
        arch: whose registers are looked at: it has a byte order.
        rule: for which rule.
    """

    diagram: Diagram
    arch: Arch
    rule: Rule | None

    def branch_on(self, condition: Condition, true: Node, false: Node) -> Node:
        """Return a node that goes on with *true* where *condition* holds, and with *false* elsewhere."""
        match condition:
            case Test():
                return self._branch_on_test(condition, true, false)
            case AllOf(parts):
                for part in reversed(parts):
                    true = self.branch_on(part, true, false)
                return true
            case AnyOf(parts):
                for part in reversed(parts):
                    false = self.branch_on(part, true, false)
                return false
            case Not(part):
                return self.branch_on(part, false, true)
            case _:
                assert_never(condition)

    def _branch_on_test(self, test: Test, true: Node, false: Node) -> Node:
        pair = _pair(test, self.arch)
        match test.operator:
            case "==":
                return self._equal(pair, true, false)
            case "!=":
                return self._equal(pair, false, true)
            case ">":
                return self._above(pair, Op.JGT_K, true, false)
            case "<=":
                return self._above(pair, Op.JGT_K, false, true)
            case ">=":
                return self._above(pair, Op.JGE_K, true, false)
            case "<":
                return self._above(pair, Op.JGE_K, false, true)
            case _:
                assert_never(test.operator)

    def _equal(self, pair: _Pair, true: Node, false: Node) -> Node:
        low = self._compare(pair.low, Op.JEQ_K, pair.low_value, true, false)
        return self._compare(pair.high, Op.JEQ_K, pair.high_value, low, false)

    def _above(self, pair: _Pair, op: Op, true: Node, false: Node) -> Node:
        """Compare by size; *op* says what becomes of equal numbers."""
        low = self._compare(pair.low, op, pair.low_value, true, false)
        if low is true:
            return self._compare(pair.high, Op.JGE_K, pair.high_value, true, false)
        equal = self._compare(pair.high, Op.JEQ_K, pair.high_value, low, false)
        return self._compare(pair.high, Op.JGT_K, pair.high_value, true, equal)

    def _compare(self, word: Word, op: Op, k: int, true: Node, false: Node) -> Node:
        """Compare one word, unless the outcome is known without a look."""
        known = _known(word, op, k)
        if known is not None:
            return true if known else false
        if op is Op.JEQ_K and word.mask != WORD_MASK and not word.flip:
            # Whether a bit is set needs no mask, so that tests of several flags share one load.
            whole = Word(word.offset)
            if k == 0:
                return self.diagram.branch(Comparison(whole, Op.JSET_K, word.mask), false, true, self.rule)
            if k == word.mask and k.bit_count() == 1:
                return self.diagram.branch(Comparison(whole, Op.JSET_K, k), true, false, self.rule)
        return self.diagram.branch(Comparison(word, op, k), true, false, self.rule)


class _Pair(NamedTuple):
    """A register and the value that it is compared with, as two words each."""

    high: Word
    high_value: int
    low: Word
    low_value: int


def _pair(test: Test, arch: Arch) -> _Pair:
    full = (1 << test.width) - 1
    mask = full if test.mask is None else test.mask
    ordered = test.operator not in {"==", "!="}
    flip = 1 << (test.width - 1) if ordered and test.signed and test.mask is None else 0
    value = (test.value & full) ^ flip
    high = Word(high_offset(test.argument, arch), mask >> WORD_BITS, flip >> WORD_BITS)
    low = Word(low_offset(test.argument, arch), mask & WORD_MASK, flip & WORD_MASK)
    return _Pair(high, value >> WORD_BITS, low, value & WORD_MASK)


def _known(word: Word, op: Op, k: int) -> bool | None:
    """Return the outcome of a comparison that is the same for every word, if it is."""
    # What is compared lies in 0..word.mask: the flipped bits are among those that the mask keeps.
    match op:
        case Op.JEQ_K if word.mask == 0:
            return k == 0
        case Op.JEQ_K if k & ~word.mask:
            return False
        case Op.JGT_K if k >= word.mask:
            return False
        case Op.JGE_K if k == 0:
            return True
        case Op.JGE_K if k > word.mask:
            return False
        case _:
            return None
