"""
From the text of a ``when`` condition to its tree (``syntax``).

What it is not: its meaning.  Which register a name stands for and what a constant is worth depends
on the call and on the ABI, and is found out in ``expression``.

The grammar, loosest first; ``x ...`` repeats::

    condition   all || all ...
    all         not && not ...
    not         ! not  |  ( condition )  |  test
    test        operand (== | != | < | <= | > | >=) value
                operand in ( item, item ... )
    operand     argument  |  argument & mask  |  ( operand )
    item        value  |  value .. value
    value       bits | bits ...
    mask        bits
    bits        integer  |  constant  |  ~ bits  |  ( value )

It is C with three differences.  ``&`` binds tighter than a comparison, so that ``flags & O_ACCMODE
== O_RDONLY`` compares what the mask leaves, as everybody reads it.  ``!`` binds looser than one, so
that ``!fd == 0`` is ``fd != 0``; in C it would compare a truth value.  And a leading zero makes no
number octal; ``0o644`` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, NoReturn

from monitor.errors import PolicyError
from monitor.policy.condition import OPERATORS
from monitor.policy.syntax import (
    Comparison,
    Complement,
    Conjunction,
    Constant,
    Disjunction,
    Integer,
    Membership,
    Negation,
    Operand,
    Range,
    Span,
    Tree,
    Union,
    Value,
    complaint,
)

MAX_LENGTH: Final = 16384
MAX_DEPTH: Final = 48
"""How deep parentheses, ``!`` and ``~`` may nest: far more than anybody reads, far less than Python's stack."""

_MAX_DIGITS: Final = 72
"""64 binary digits, their prefix, and some underscores."""


def parse(source: str) -> Tree:
    """
    Return the tree of *source*.

    Raises:
        PolicyError: it is no condition; the message shows where.
    """
    if len(source) > MAX_LENGTH:
        message = f"a condition of {len(source)} characters; at most {MAX_LENGTH} are read"
        raise PolicyError(message)
    return _Parser(source).condition()


# Text to tokens.


class _Token(NamedTuple):
    kind: str  # "name", "integer", "end", or the very text of a symbol
    text: str
    span: Span


_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<integer>[0-9](?:[0-9A-Za-z_])*)
    | (?P<name>[A-Za-z_][0-9A-Za-z_]*)
    | (?P<symbol>\|\||&&|==|!=|<=|>=|\.\.|->|[<>!&|~()\[\],-])
    """,
    re.VERBOSE,
)

_INTEGER: Final = re.compile(r"0[xX](?P<hex>[0-9a-fA-F_]+)|0[oO](?P<oct>[0-7_]+)|0[bB](?P<bin>[01_]+)|(?P<dec>[0-9_]+)")

_BASES: Final = (("hex", 16), ("oct", 8), ("bin", 2), ("dec", 10))

_POINTED_TO: Final = "only registers can be compared, not what they point to"

_HINTS: Final = {
    "=": "one = compares nothing; write ==",
    '"': f"a string stands behind a pointer, and {_POINTED_TO}; paths and addresses belong in [files] and [network]",
    "'": f"a string stands behind a pointer, and {_POINTED_TO}; paths and addresses belong in [files] and [network]",
    ".": f"a field of a struct stands behind a pointer, and {_POINTED_TO}",
    "*": f"{_POINTED_TO}",
    "->": f"a field of a struct stands behind a pointer, and {_POINTED_TO}",
    "+": "there is no arithmetic here; write the number",
    "^": "there is no exclusive or here; write the number",
}

_NAMES: Final = {"integer": "a number"}

_MASK_OF_SEVERAL: Final = "a mask of several constants needs parentheses: `argument & (A|B) == value`"

_WORDS: Final = {"and": "&&", "or": "||", "not": "!"}


def _tokens(source: str) -> Iterator[_Token]:
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None or match[0] == "->":
            sign = source[at : at + 2] if match is not None else source[at]
            message = _HINTS.get(sign, f"{sign!r} has no meaning here")
            raise complaint(source, Span(at, at + len(sign)), message)
        if match.lastgroup == "symbol" or match[0] == "in":
            yield _Token(match[0], match[0], Span(at, match.end()))
        elif match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match[0], Span(at, match.end()))
        at = match.end()
    yield _Token("end", "", Span(len(source), len(source) + 1))


# Tokens to a tree.


class _Parser:
    """One reading of *source*, by recursive descent."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = list(_tokens(source))
        self._closing = _pairs(self._tokens)
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _fail(self, message: str, span: Span | None = None) -> NoReturn:
        raise complaint(self._source, span or self._next.span, message)

    def _expect(self, kind: str, where: str) -> _Token:
        if self._next.kind != kind:
            self._fail(f"{_NAMES.get(kind, repr(kind))} is missing {where}; found {_shown(self._next)}")
        return self._take()

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"nested more than {MAX_DEPTH} deep")

    def condition(self) -> Tree:
        if self._next.kind == "end":
            self._fail("an empty condition; a rule without one has no `when`")
        tree = self._disjunction()
        if self._tokens[self._at].kind != "end":
            self._unexpected()
        return tree

    def _unexpected(self) -> NoReturn:
        token = self._next
        if token.kind in OPERATORS:
            self._fail("comparisons do not chain; write `a && b`, or `in (low..high)`")
        if token.text.lower() in _WORDS:
            self._fail(f"write {_WORDS[token.text.lower()]} for {token.text!r}")
        if token.kind == "&":
            self._fail("a mask belongs to the argument: `argument & mask == value`; write && for `and`")
        self._fail(f"{token.text!r} is not expected here; conditions are joined by && and ||")

    def _disjunction(self) -> Tree:
        parts = self._chain("||", self._conjunction)
        return parts[0] if len(parts) == 1 else Disjunction(parts)

    def _conjunction(self) -> Tree:
        parts = self._chain("&&", self._negation)
        return parts[0] if len(parts) == 1 else Conjunction(parts)

    def _chain(self, symbol: str, part: Callable[[], Tree]) -> tuple[Tree, ...]:
        parts = [part()]
        while self._next.kind == symbol:
            self._take()
            parts.append(part())
        return tuple(parts)

    def _negation(self) -> Tree:
        if self._next.kind == "!":
            self._deeper()
            self._take()
            part = self._negation()
            self._depth -= 1
            return Negation(part)
        if self._next.kind == "(" and not self._operand_in_parentheses():
            self._deeper()
            self._take()
            tree = self._disjunction()
            if self._next.kind not in {")", "end"}:
                self._unexpected()
            self._expect(")", "here")
            self._depth -= 1
            return tree
        return self._test()

    def _operand_in_parentheses(self) -> bool:
        """Whether the parenthesis closes before a comparison: ``(flags & 3) == 1``."""
        closing = self._closing.get(self._at)
        return closing is not None and self._tokens[closing + 1].kind in {*OPERATORS, "in"}

    def _test(self) -> Tree:
        operand = self._operand()
        token = self._next
        if token.kind == "in":
            self._take()
            items = self._items()
            return Membership(operand, items, span=Span(operand.span.start, self._tokens[self._at - 1].span.end))
        for operator in OPERATORS:
            if token.kind == operator:
                self._take()
                value = self._value()
                return Comparison(operand, operator, value, span=Span(operand.span.start, value.span.end))
        raise complaint(self._source, operand.span, self._what_is_missing(operand))

    def _what_is_missing(self, operand: Operand) -> str:
        if operand.mask is None:
            return "a comparison is missing: `argument == value`"
        return _MASK_OF_SEVERAL if self._next.kind == "|" else "a comparison is missing; for any of these bits: `!= 0`"

    def _operand(self) -> Operand:
        opening = self._next
        if opening.kind == "(":
            self._deeper()
            self._take()
            operand = self._operand()
            if operand.mask is not None and self._next.kind == "|":
                self._fail(_MASK_OF_SEVERAL)
            closing = self._expect(")", "behind the argument")
            self._depth -= 1
            return Operand(operand.name, operand.index, operand.mask, span=Span(opening.span.start, closing.span.end))
        token = self._next
        if token.kind != "name":
            if token.kind in {"integer", "-"}:
                self._fail("an argument stands on the left of a comparison, the number on the right")
            self._fail(f"the name of an argument is missing; found {_shown(token)}")
        if token.text.lower() in _WORDS:
            self._fail(f"write {_WORDS[token.text.lower()]} for {token.text!r}")
        self._take()
        index, end = self._index(token)
        if self._next.kind != "&":
            return Operand(token.text, index, span=Span(token.span.start, end))
        self._take()
        mask = self._bits()
        return Operand(token.text, index, mask, span=Span(token.span.start, mask.span.end))

    def _index(self, name: _Token) -> tuple[int | None, int]:
        if self._next.kind != "[":
            return None, name.span.end
        self._take()
        number = self._expect("integer", "in the brackets")
        closing = self._expect("]", "behind the number of the argument")
        if name.text != "args" or not (len(number.text) == 1 and number.text <= "5"):
            self._fail("registers are args[0] to args[5]", Span(name.span.start, closing.span.end))
        return int(number.text), closing.span.end

    def _items(self) -> tuple[Value | Range, ...]:
        self._expect("(", "behind `in`")
        items: list[Value | Range] = []
        while self._next.kind != ")":
            items.append(self._item())
            if self._next.kind != ",":
                break
            self._take()
        if not items:
            self._fail("a list of no values; `in` needs one at least")
        self._expect(")", "behind the values")
        return tuple(items)

    def _item(self) -> Value | Range:
        low = self._value()
        if self._next.kind != "..":
            return low
        self._take()
        high = self._value()
        return Range(low, high, span=Span(low.span.start, high.span.end))

    def _value(self) -> Value:
        parts = [self._bits()]
        while self._next.kind == "|":
            self._take()
            parts.append(self._bits())
        if len(parts) == 1:
            return parts[0]
        return Union(tuple(parts), span=Span(parts[0].span.start, parts[-1].span.end))

    def _bits(self) -> Value:
        token = self._take()
        match token.kind:
            case "integer":
                return self._integer(token)
            case "-":
                number = self._integer(self._expect("integer", "behind the minus"))
                return Integer(-number.value, number.base, span=Span(token.span.start, number.span.end))
            case "name":
                return Constant(token.text, span=token.span)
            case "~":
                self._deeper()
                part = self._bits()
                self._depth -= 1
                return Complement(part, span=Span(token.span.start, part.span.end))
            case "(":
                self._deeper()
                value = self._value()
                self._expect(")", "behind the value")
                self._depth -= 1
                return value
            case _:
                message = f"a number or a constant is missing; found {_shown(token)}"
                raise complaint(self._source, token.span, message)

    def _integer(self, token: _Token) -> Integer:
        match = _INTEGER.fullmatch(token.text)
        if match is None or token.text.endswith("_") or "__" in token.text:
            self._fail(f"{token.text!r} is no number", token.span)
        if len(token.text) > _MAX_DIGITS:
            self._fail("no register holds so large a number", token.span)
        group, base = next((group, base) for group, base in _BASES if match[group] is not None)
        digits = match[group].replace("_", "")
        if match["dec"] and len(digits) > 1 and digits.startswith("0"):
            self._fail(f"a leading zero means octal in C and nothing here; write 0o{digits.lstrip('0')}", token.span)
        return Integer(int(digits, base), base, span=token.span)


def _shown(token: _Token) -> str:
    return "the end" if token.kind == "end" else repr(token.text)


def _pairs(tokens: Sequence[_Token]) -> dict[int, int]:
    """Return for each opening parenthesis that closes where it does."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for place, token in enumerate(tokens):
        if token.kind == "(":
            opened.append(place)
        elif token.kind == ")" and opened:
            pairs[opened.pop()] = place
    return pairs
