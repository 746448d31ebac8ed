"""
The tree of a ``when`` condition, and its one spelling.

What it is not: the grammar (``parser``), or a meaning (``expression``).
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias, assert_never

from attrs import field, frozen

from monitor.errors import PolicyError
from monitor.policy.condition import Operator

_SHOWN: Final = 100
"""How much of a long line is shown above a caret."""


class Span(NamedTuple):
    """A piece of the text: from *start* up to, and without, *end*."""

    start: int
    end: int


_NO_SPAN: Final = Span(0, 0)
"""Spans are no part of what a text says: trees of differently spaced texts are equal."""


@frozen
class Integer:
    """A number; *base* is how it was written: 2, 8, 10 or 16."""

    value: int
    base: int = 10
    span: Span = field(default=_NO_SPAN, kw_only=True, eq=False, repr=False)


@frozen
class Constant:
    """A name that stands for a number."""

    name: str
    span: Span = field(default=_NO_SPAN, kw_only=True, eq=False, repr=False)


@frozen
class Union:
    """``A|B``: all the bits of *parts*."""

    parts: tuple[Value, ...]
    span: Span = field(default=_NO_SPAN, kw_only=True, eq=False, repr=False)


@frozen
class Complement:
    """``~A``: the bits that *part* has not, as many as the register has."""

    part: Value
    span: Span = field(default=_NO_SPAN, kw_only=True, eq=False, repr=False)


Value: TypeAlias = Integer | Constant | Union | Complement


@frozen
class Operand:
    """An argument by its name, or by *index* where it was written ``args[2]``; of it the bits of *mask*."""

    name: str
    index: int | None = None
    mask: Value | None = None
    span: Span = field(default=_NO_SPAN, kw_only=True, eq=False, repr=False)


@frozen
class Comparison:
    """``operand == value``."""

    operand: Operand
    operator: Operator
    value: Value
    span: Span = field(default=_NO_SPAN, kw_only=True, eq=False, repr=False)


@frozen
class Range:
    """``low..high``, both of them included."""

    low: Value
    high: Value
    span: Span = field(default=_NO_SPAN, kw_only=True, eq=False, repr=False)


@frozen
class Membership:
    """``operand in (1, 3..5)``."""

    operand: Operand
    items: tuple[Value | Range, ...]
    span: Span = field(default=_NO_SPAN, kw_only=True, eq=False, repr=False)


@frozen
class Conjunction:
    """All of *parts*."""

    parts: tuple[Tree, ...]


@frozen
class Disjunction:
    """Any of *parts*."""

    parts: tuple[Tree, ...]


@frozen
class Negation:
    """Not *part*."""

    part: Tree


Tree: TypeAlias = Comparison | Membership | Conjunction | Disjunction | Negation


def complaint(source: str, span: Span, message: str) -> PolicyError:
    """Return an error that shows the line of *source* where *span* begins, with carets below the span."""
    begin = source.rfind("\n", 0, span.start) + 1
    end = source.find("\n", begin)
    line = source[begin:] if end < 0 else source[begin:end]
    column = span.start - begin
    left = max(0, column - _SHOWN // 2) if len(line) > _SHOWN else 0
    shown = "".join(char if char.isprintable() else " " for char in line[left : left + _SHOWN])
    carets = "^" * max(1, min(span.end, begin + left + len(shown)) - span.start)
    return PolicyError(f"{message}\n    {shown}\n    {' ' * (column - left)}{carets}")


def unparse(tree: Tree) -> str:
    """Return *tree* in its one spelling: ``parse`` of it is *tree*."""
    match tree:
        case Comparison(operand, operator, value):
            return f"{_operand_text(operand)} {operator} {value_text(value)}"
        case Membership(operand, items):
            return f"{_operand_text(operand)} in ({', '.join(_item_text(item) for item in items)})"
        case Conjunction(parts):
            return " && ".join(_part_text(part, Conjunction, Disjunction) for part in parts)
        case Disjunction(parts):
            return " || ".join(_part_text(part, Disjunction) for part in parts)
        case Negation(part):
            return f"!{unparse(part)}" if isinstance(part, Negation) else f"!({unparse(part)})"
        case _:
            assert_never(tree)


def _part_text(part: Tree, *looser: type) -> str:
    return f"({unparse(part)})" if isinstance(part, looser) else unparse(part)


def _operand_text(operand: Operand) -> str:
    name = operand.name if operand.index is None else f"args[{operand.index}]"
    return name if operand.mask is None else f"{name} & {_bits_text(operand.mask)}"


def _item_text(item: Value | Range) -> str:
    return f"{value_text(item.low)}..{value_text(item.high)}" if isinstance(item, Range) else value_text(item)


def value_text(value: Value) -> str:
    """Return *value* in its one spelling."""
    if isinstance(value, Union):
        return "|".join(_bits_text(part) for part in value.parts)
    return _bits_text(value)


def _bits_text(value: Value) -> str:
    match value:
        case Integer(number, base):
            return _FORMATS[base].format(number)
        case Constant(name):
            return name
        case Complement(part):
            return f"~{_bits_text(part)}"
        case Union():
            return f"({value_text(value)})"
        case _:
            assert_never(value)


_FORMATS: Final = {2: "{:#b}", 8: "{:#o}", 10: "{}", 16: "{:#x}"}
