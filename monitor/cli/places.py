"""
Where a waiting thread made its call: the place in code, who called that, and who called them.

What it is not: the whole stack.  The kernel tells two registers, and what the unwinding tables say with no more
than those is followed; where that ends, nothing is said.  The stack is the target's, which may have written
anything there: a place that is shown is code that it has, and need not be where it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from monitor.approve.wire import Json, WireError, bytes_of, number_of
from monitor.cli.mapped import Mapping as Mapped
from monitor.cli.mapped import mapping_of
from monitor.cli.naming import RSP, Found, Rules
from monitor.cli.symbolizer import Symbolizer
from monitor.notify.render.text import printable

MOST: Final = 16
"""Places that are shown of one thread."""

_WORD: Final = 8
"""Bytes of a register."""

_MOST_ADDRESS: Final = 1 << 64


class Look(Protocol):
    """Asks the supervisor for *word* of an open question, as docs/control-socket.md has it."""

    def __call__(self, word: str, number: int, **fields: Json) -> Json:
        """Return what is replied.  Raises WireError."""
        ...


def places(look: Look, symbolizer: Symbolizer, question: Mapping[str, Json], most: int = MOST) -> Iterator[str]:
    """
    Yield the place of the call, and behind it at most *most* - 1 who called, the nearest first, each escaped.

    Raises:
        WireError: the thread cannot be looked at any more.
    """
    number, tid = number_of(question, "question"), number_of(question, "tid")
    place = look("place", number)
    if not isinstance(place, dict):
        return
    here, stack = number_of(place, "instruction_pointer"), number_of(place, "stack_pointer")
    rbp: int | None = None
    for depth in range(most):
        mapping = _mapping(look, number, here - 1) if here else None
        if mapping is None:
            if not depth:
                yield f"at {here:#x}"
            return
        if depth and not mapping.executable:
            return
        # The address is behind the call; what is asked about lies in it, and may be the last of its function.
        found = symbolizer.at(tid, mapping, here - 1 - mapping.start + mapping.offset)
        yield f"{'from' if depth else 'at'} {mapping.place(here)}{_name(found)}"
        if found.rules is None or question.get("arch") != "x86_64":
            return
        frame = _frame(found.rules, stack, rbp)
        back = None if frame is None else _word(look, number, frame + found.rules.return_address)
        if frame is None or back is None:
            return
        if not found.rules.keeps_rbp:
            rbp = None if found.rules.rbp is None else _word(look, number, frame + found.rules.rbp)
        here, stack = back, frame


def _frame(rules: Rules, stack: int, rbp: int | None) -> int | None:
    """Return the address of the frame, which lies above all that is below it; None: it cannot be known."""
    base = stack if rules.base == RSP else rbp
    if base is None or not stack < base + rules.offset < _MOST_ADDRESS:
        return None
    return base + rules.offset


def _mapping(look: Look, number: int, address: int) -> Mapped | None:
    lines = look("maps", number, address=address)
    if not isinstance(lines, list) or not lines:
        return None
    try:
        return mapping_of(bytes_of(lines[0]))
    except ValueError:
        return None


def _word(look: Look, number: int, address: int) -> int | None:
    """Return what lies on the stack at *address*; None: nothing that can be read."""
    if not 0 <= address < _MOST_ADDRESS:
        return None
    try:
        data = bytes.fromhex(str(look("mem", number, address=address, length=_WORD)))
    except WireError:
        return None
    return int.from_bytes(data, "little") if len(data) == _WORD else None


def _name(found: Found) -> str:
    if found.symbol is None:
        return ""
    name = printable(found.symbol.name.decode("utf-8", "surrogateescape"))
    return f" ({name}+{found.symbol.into + 1:#x})"
