"""
Memory of a target: C's integers in a row, as a struct without holes has them.

What it is not: the layouts of the package, which these tests are about.
"""

from __future__ import annotations

from typing import Final, Literal

FIRST: Final = 0x102000
"""Where ``monitor.testing.call`` places what the first of the arguments points to."""


def u64(*values: int, order: Literal["little", "big"] = "little") -> bytes:
    """Return *values*, which may be negative, in 64 bits each."""
    return _packed(values, 8, order)


def u32(*values: int, order: Literal["little", "big"] = "little") -> bytes:
    """Return *values* in 32 bits each."""
    return _packed(values, 4, order)


def u16(*values: int, order: Literal["little", "big"] = "little") -> bytes:
    """Return *values* in 16 bits each."""
    return _packed(values, 2, order)


def _packed(values: tuple[int, ...], size: int, order: Literal["little", "big"]) -> bytes:
    return b"".join((value % (1 << 8 * size)).to_bytes(size, order) for value in values)
