"""
The layout of C structs on each ABI: where a field lies, how wide it is, in which byte order.

What it is not: a parser of headers.  A struct is written down once, in C's order, and the rules of
each ABI's compiler give the offsets.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from attrs import field, frozen

from monitor.abi.arch import Arch

_SIZES: Final[Mapping[str, int]] = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "Q": 8}
_WORD_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "l": ("i", "q"),
    "L": ("I", "Q"),
    "P": ("I", "Q"),
    "t": ("i", "q"),
    "T": ("I", "Q"),
}
"""Code -> what it is with 32-bit pointers, and with 64-bit ones: long, pointer, time_t, with a sign and without."""


class Fields(dict[str, int]):
    """The integers of one struct, by name."""


@frozen
class Layout:
    """
    A struct as the headers have it.

    *declared* is ``code:name`` for each field, in order: the codes of Python's ``struct`` with
    their sizes there for a fixed width (``i`` 32 bits, ``q`` 64), ``l`` and ``L`` for long, ``P``
    for a pointer or size_t, ``t`` for the time_t of the kernel's interface and ``T`` for the same
    without a sign, ``Ns`` for N bytes that are skipped.
    Each is aligned to its size, but 64-bit fields to 4 bytes on i386.
    """

    declared: str = field()

    def size(self, arch: Arch, *, wide_time: bool = False) -> int:
        """Return the size in bytes, the padding at the end included."""
        return _laid_out(self.declared, arch, wide_time).size

    def read(self, data: bytes, arch: Arch, *, wide_time: bool = False) -> Fields:
        """
        Return the fields that *data*, which may be short, has whole.

        *wide_time* is for the calls that take 64-bit times on a 32-bit ABI (``..._time64``).
        """
        made = _laid_out(self.declared, arch, wide_time)
        fields = Fields()
        for name, offset, code in made.fields:
            if offset + code.size <= len(data):
                (fields[name],) = code.unpack_from(data, offset)
        return fields


@frozen
class _LaidOut:
    fields: tuple[tuple[str, int, struct.Struct], ...]
    size: int


@lru_cache(None)
def _laid_out(declared: str, arch: Arch, wide_time: bool) -> _LaidOut:  # noqa: FBT001  # a cache key
    order = "<" if arch.little_endian else ">"
    fields: list[tuple[str, int, struct.Struct]] = []
    offset, widest = 0, 1
    for item in declared.split():
        code, _, name = item.partition(":")
        if code.endswith("s"):
            offset += int(code[:-1])
            continue
        fixed = _fixed(code, arch, wide_time=wide_time)
        size = _SIZES[fixed]
        alignment = min(size, 4) if arch is Arch.I386 else size
        widest = max(widest, alignment)
        offset = -(-offset // alignment) * alignment
        fields.append((name, offset, struct.Struct(order + fixed)))
        offset += size
    return _LaidOut(tuple(fields), -(-offset // widest) * widest)


def _fixed(code: str, arch: Arch, *, wide_time: bool) -> str:
    if code not in _WORD_CODES:
        return code
    wide = arch.pointer_bits == 64  # noqa: PLR2004
    if code in {"t", "T"}:
        wide = wide or wide_time or arch is Arch.X32
    return _WORD_CODES[code][wide]
