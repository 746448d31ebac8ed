"""
What is told of a place in code: the function that it lies in, and how to find who called that.

What it is not: how it is found (``symbols``, ``frames``), which needs what reads ELF files; who only shows it does not.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from attrs import frozen

RBP: Final = 6
RSP: Final = 7
"""Their numbers in DWARF (System V ABI, AMD64 supplement, 3.6)."""


class Symbol(NamedTuple):
    """A function, and how far into it an address lies.  Whoever shows the name escapes it."""

    name: bytes
    into: int


@frozen
class Rules:
    """
    What holds of the caller's frame at one address.

    Attributes:
        base: the register, RSP or RBP, that the frame's address is counted from.
        offset: how far above it that is.
        return_address: where the return address lies, from the frame's address.
        rbp: where the caller's RBP lies, likewise; None: nowhere.
        keeps_rbp: whether the caller's RBP is what RBP is now.
    """

    base: int
    offset: int
    return_address: int
    rbp: int | None
    keeps_rbp: bool


@frozen
class Found:
    """
    What is known of one place.

    Attributes:
        symbol: the function; None: not known.
        rules: how to find who called it; None: not known.
    """

    symbol: Symbol | None = None
    rules: Rules | None = None


UNKNOWN: Final = Found()
