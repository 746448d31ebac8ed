"""
The ``when`` language: what a condition means for the registers of one call of one ABI.

What it is not: its grammar (``parser``), or instructions (``compile``).

Names on the left are arguments of the call, compared with as many bits and with the sign that
their declared type has, since the kernel looks at no more.  ``arg0`` to ``arg5`` are whole
registers, 64 bits without a sign; ``args[0]`` is the same, and the only spelling where a call has
an argument of its own called ``arg2`` that lies in another register (prctl(2), keyctl(2)).

Names on the right are the constants of that argument, as that ABI has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Final, NamedTuple, NoReturn, assert_never

from attrs import Factory, field, frozen

from monitor.abi.arch import Arch
from monitor.abi.syscalls import Argument, Signature, names, signature_of
from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy import condition as meaning
from monitor.policy.condition import Condition
from monitor.policy.parser import parse
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
    unparse,
)
from monitor.policy.vocabulary import constants_of, groups_with, is_pointer, nearest

REGISTER_BITS: Final = 64
"""Of ``arg0`` to ``arg5``: what ``struct seccomp_data`` has of every register, on every ABI."""

_POSITION: Final = re.compile(r"arg([0-5])")


def _placed(error: PolicyError, origin: Origin) -> PolicyError:
    return error if origin == NOWHERE else error.at(origin)


def _parsed(expression: Expression) -> Tree:
    try:
        return parse(expression.source)
    except PolicyError as error:
        raise _placed(error, expression.origin) from None


@frozen
class Expression:
    """
    A condition as somebody wrote it.

    Raises PolicyError when built of a text that is none.  Equal to another of the same text.
    """

    source: str
    """Its text, as it was written."""
    origin: Origin = field(default=NOWHERE, eq=False, kw_only=True)
    """Where: the errors of ``bind`` say so, too."""
    _tree: Tree = field(init=False, eq=False, repr=False, default=Factory(_parsed, takes_self=True))

    def __str__(self) -> str:
        """Return its canonical text: conditions of the same structure look the same."""
        return unparse(self._tree)

    def bind(self, signature: Signature, arch: Arch) -> Condition:
        """
        Return what it means for the registers of a call.

        Raises:
            PolicyError: it names an argument or a constant that the call has not, or a value that
                no register can have; the message shows where.
        """
        try:
            return _Binding(self.source, signature, arch).condition(self._tree)
        except PolicyError as error:
            raise _placed(error, self.origin) from None

    @classmethod
    def of(cls, condition: Condition, calls: Iterable[str] = (), *, origin: Origin = NOWHERE) -> Expression:
        """
        Return the text of a condition that is known by registers alone, as foreign formats have them.

        *calls* are those it will stand for: where one of them calls another register ``arg2``,
        ``args[2]`` is written.  It binds to what means the same as *condition*, for every call.
        """
        return cls(unparse(_tree_of(condition, _brackets(tuple(calls)))), origin=origin)


# A tree to a condition.


class _Register(NamedTuple):
    """
    What a name on the left stands for.

    Attributes:
        place: the register, 0 to 5.
        width: how many bits of it count.
        signed: whether the top one is a sign.
        argument: the declared argument there, for its constants; None where the call has none.
        whole: whether it was named by its place.
    """

    place: int
    width: int
    signed: bool
    argument: Argument | None
    whole: bool

    def cut(self, value: int) -> int:
        """Return *value* as the register would show it, from whatever bits C would store there."""
        value &= (1 << self.width) - 1
        return value - (1 << self.width) if self.signed and value >> (self.width - 1) else value


class _Binding:
    """One condition, for one call."""

    def __init__(self, source: str, signature: Signature, arch: Arch) -> None:
        self._source = source
        self._signature = signature
        self._arch = arch

    def _fail(self, span: Span, message: str) -> NoReturn:
        raise complaint(self._source, span, message)

    def condition(self, tree: Tree) -> Condition:
        match tree:
            case Conjunction(parts):
                return meaning.AllOf(tuple(self.condition(part) for part in parts))
            case Disjunction(parts):
                return meaning.AnyOf(tuple(self.condition(part) for part in parts))
            case Negation(part):
                return meaning.Not(self.condition(part))
            case Comparison(operand, operator, value):
                register, mask = self._operand(operand)
                number = self._number(value, register, mask)
                return _test(register, mask, operator, number)
            case Membership(operand, items):
                register, mask = self._operand(operand)
                return meaning.AnyOf(tuple(self._item(item, register, mask) for item in items))
            case _:
                assert_never(tree)

    def _item(self, item: Value | Range, register: _Register, mask: int | None) -> Condition:
        if not isinstance(item, Range):
            return _test(register, mask, "==", self._number(item, register, mask))
        low, high = (self._limit(end, register, mask) for end in (item.low, item.high))
        if low > high:
            self._fail(item.span, f"a range from {low} down to {high} has nothing in it")
        return meaning.AllOf((_test(register, mask, ">=", low), _test(register, mask, "<=", high)))

    def _operand(self, operand: Operand) -> tuple[_Register, int | None]:
        register = self._register(operand)
        if operand.mask is None:
            return register, None
        mask = self._evaluate(operand.mask, register) & ((1 << register.width) - 1)
        if not mask and not register.whole:
            self._fail(operand.mask.span, "a mask of no bits leaves nothing to compare")
        return register, mask

    def _register(self, operand: Operand) -> _Register:
        arguments = self._signature.arguments
        found = next((index for index, argument in enumerate(arguments) if argument.name == operand.name), None)
        position = _position(operand)
        if operand.index is None and found is not None and position not in {None, found}:
            self._fail(operand.span, self._ambiguous(operand.name, found))
        if position is not None:
            there = arguments[position] if position < len(arguments) else None
            return _Register(position, REGISTER_BITS, signed=False, argument=there, whole=True)
        if found is None:
            self._fail(operand.span, self._no_argument(operand.name))
        argument = arguments[found]
        return _Register(found, argument.width, argument.signed, argument, whole=False)

    def _ambiguous(self, name: str, index: int) -> str:
        return (
            f"{name!r} is ambiguous: {self._signature.name} calls its argument {index} so;"
            f" write args[{index}] for that one, args[{name[-1]}] for register {name[-1]}"
        )

    def _no_argument(self, name: str) -> str:
        arguments = self._signature.arguments
        having = ", ".join(argument.name for argument in arguments) or "none"
        near = nearest(name, [argument.name for argument in arguments])
        pointers = [argument.name for argument in arguments if is_pointer(argument)]
        message = f"{self._signature.name} has no argument {name!r}{near}; its arguments: {having}"
        if pointers and not near:
            message += f"; only registers can be compared, not what {' or '.join(pointers)} points to"
        return f"{message}{self._here()}"

    def _here(self) -> str:
        """Return the name of the ABI, where it is worth a word: on others the call looks different."""
        others = [signature_of(arch, self._signature.name) for arch in Arch]
        alike = all(other is None or other.arguments == self._signature.arguments for other in others)
        return "" if alike else f" (on {self._arch.table})"

    def _number(self, value: Value, register: _Register, mask: int | None) -> int:
        """Return what *value* is as the comparison sees it."""
        number = self._limit(value, register, mask)
        if mask is not None and number & ~mask and not register.whole:
            self._fail(value.span, f"{number:#x} has bits that the mask {mask:#x} has not: they are never equal")
        return number

    def _limit(self, value: Value, register: _Register, mask: int | None) -> int:
        number = self._evaluate(value, register)
        if mask is not None:
            number &= (1 << register.width) - 1
        low = -(1 << (register.width - 1)) if register.signed and mask is None else 0
        high = low + (1 << register.width) - 1
        # C stores a constant, or several, by its bits: 1<<31 into an int, -100 into an unsigned one.
        if not isinstance(value, Integer):
            number = register.cut(number) if mask is None else number
        if not low <= number <= high:
            self._fail(value.span, self._out_of_range(number, register, low, high))
        return number

    def _out_of_range(self, number: int, register: _Register, low: int, high: int) -> str:
        name = (
            register.argument.name if register.argument is not None and not register.whole else f"arg{register.place}"
        )
        sign = "signed" if register.signed else "unsigned"
        return f"{number} does not fit: {name} has {register.width} bits, {sign}, and is in {low}..{high}"

    def _evaluate(self, value: Value, register: _Register) -> int:
        """Return the number that *value* stands for: what fits into the register, with a sign or by its bits."""
        match value:
            case Integer(number):
                pass
            case Constant(name):
                number = self._constant(name, value.span, register)
            case Union(parts):
                number = 0
                number = reduce(int.__or__, [self._evaluate(part, register) for part in parts])
            case Complement(part):
                number = ~self._evaluate(part, register) & ((1 << register.width) - 1)
            case _:
                assert_never(value)
        if not -(1 << (register.width - 1)) <= number < 1 << register.width:
            low = -(1 << (register.width - 1)) if register.signed else 0
            self._fail(value.span, self._out_of_range(number, register, low, low + (1 << register.width) - 1))
        return number

    def _constant(self, name: str, span: Span, register: _Register) -> int:
        known = constants_of(self._signature.name, register.argument, self._arch)
        if name in known:
            return known[name]
        raise complaint(self._source, span, self._no_constant(name, register, known))

    def _no_constant(self, name: str, register: _Register, known: Mapping[str, int]) -> str:
        argument = register.argument
        of = self._signature.name if argument is None else f"{argument.name} of {self._signature.name}"
        if any(name == other.name for other in self._signature.arguments):
            return f"{name!r} is an argument; a comparison is with a number or a constant, not with another register"
        elsewhere = [arch.table for arch in Arch if name in constants_of(self._signature.name, argument, arch)]
        if elsewhere:
            return f"{self._arch.table} has no {name}; it exists on {', '.join(elsewhere)}"
        near = nearest(name, known)
        groups = () if near else groups_with(name)
        other = f"; it belongs to: {', '.join(groups)}" if groups else ""
        pointer = argument is not None and is_pointer(argument) and not register.whole
        if pointer:
            other += "; only registers can be compared, not what they point to"
        return f"{name!r} is no constant for {of}{near}{other}"


def _test(register: _Register, mask: int | None, operator: meaning.Operator, value: int) -> Condition:
    signed = register.signed and mask is None
    return meaning.Test(register.place, operator, width=register.width, signed=signed, mask=mask, value=value)


def _position(operand: Operand) -> int | None:
    if operand.index is not None:
        return operand.index
    match = _POSITION.fullmatch(operand.name)
    return None if match is None else int(match[1])


# A condition to a tree.


_ALWAYS: Final = Comparison(Operand("arg0"), ">=", Integer(0))
_NEVER: Final = Comparison(Operand("arg0"), "<", Integer(0))


def _brackets(calls: tuple[str, ...]) -> frozenset[int]:
    """Return the registers that one of *calls* would take ``argN`` for another of."""
    found: set[int] = set()
    for arch in Arch:
        for call in set(calls) & names(arch):
            signature = signature_of(arch, call)
            for index, argument in enumerate(() if signature is None else signature.arguments):
                match = _POSITION.fullmatch(argument.name)
                if match is not None and int(match[1]) != index:
                    found.add(int(match[1]))
    return frozenset(found)


def _tree_of(condition: Condition, brackets: frozenset[int]) -> Tree:
    match condition:
        case meaning.Test():
            tree = _test_tree(condition, brackets)
        case meaning.Not(part):
            tree = Negation(_tree_of(part, brackets))
        case meaning.AllOf(parts):
            trees = tuple(_tree_of(part, brackets) for part in parts)
            tree = Conjunction(trees) if len(trees) > 1 else trees[0] if trees else _ALWAYS
        case meaning.AnyOf(parts):
            trees = tuple(_tree_of(part, brackets) for part in parts)
            tree = Disjunction(trees) if len(trees) > 1 else trees[0] if trees else _NEVER
        case _:
            assert_never(condition)
    return tree


def _test_tree(test: meaning.Test, brackets: frozenset[int]) -> Tree:
    mask = test.mask if test.mask is not None else (1 << test.width) - 1
    operand = Operand(
        "args" if test.argument in brackets else f"arg{test.argument}",
        test.argument if test.argument in brackets else None,
        None if mask == (1 << REGISTER_BITS) - 1 else Integer(mask, 16),
    )
    if test.signed and test.mask is None and test.operator not in {"==", "!="}:
        return _signed_tree(test, operand)
    value = test.value % (1 << test.width)
    return Comparison(operand, test.operator, Integer(value, 10 if test.mask is None else 16))


def _signed_tree(test: meaning.Test, operand: Operand) -> Tree:
    """Return an ordering of signed numbers as ranges of the same bits without a sign."""
    modulus, half = 1 << test.width, 1 << (test.width - 1)
    low, high = {
        "<": (-half, test.value - 1),
        "<=": (-half, test.value),
        ">": (test.value + 1, half - 1),
        ">=": (test.value, half - 1),
    }[test.operator]
    if low > high:
        return _NEVER
    pieces = [(max(low, 0), high)] if high >= 0 else []
    pieces += [(low + modulus, min(high, -1) + modulus)] if low < 0 else []
    return Membership(operand, tuple(Range(Integer(first), Integer(last)) for first, last in pieces))
