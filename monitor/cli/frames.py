"""
Who called the function at some address of an ELF file: what its unwinding tables say, in the simple cases.

What it is not: a walk (``places``), or an unwinder: of all registers two are followed, and what takes more than
those (an expression, a signal's frame) ends a walk.  Only x86-64; like ``symbols`` it may raise anything.

The one entry is found by the sorted table of .eh_frame_hdr, and parsed alone: a big file has tens of thousands.
Source: Linux Standard Base, "Exception Frames"; System V ABI, AMD64 supplement, 3.6 and 6.2.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from elftools.dwarf.callframe import CIE, FDE, ZERO, CallFrameInfo, CFARule, CFIEntry, RegisterRule
from elftools.dwarf.structs import DWARFStructs

from monitor.cli.naming import RBP, RSP, Rules
from monitor.cli.symbols import Image

_RETURN_ADDRESS: Final = 16
"""Its number in DWARF."""

MOST_ENTRY: Final = 1 << 18
"""Bytes of one entry."""

_VERSION: Final = 1
_PCREL_SDATA4: Final = 0x1B
_UDATA4: Final = 0x03
_DATAREL_SDATA4: Final = 0x3B

_HEADER: Final = struct.Struct("<BBBBiI")
_ROW: Final = struct.Struct("<ii")
_ID: Final = 4  # bytes of what tells an entry from what several share
_ENTRY: Final = struct.Struct("<IIi")


class Frames:
    """The unwinding tables of one image, which is borrowed."""

    def __init__(self, image: Image) -> None:
        """Read nothing yet."""
        self._image = image
        self._index: list[tuple[int, int]] | None = None

    def rules_at(self, address: int) -> Rules | None:
        """Return what holds at *address*; None: that cannot be said with two registers."""
        if self._image.machine != "EM_X86_64":
            return None
        found = self._entry(address)
        if found is None:
            return None
        start, place = found
        entry = self._parsed(place)
        if entry is None or not 0 <= address - start < entry["address_range"]:
            return None
        into = address - start + entry["initial_location"]
        rows: list[dict[Any, Any]] = [row for row in entry.get_decoded().table if row["pc"] <= into]
        return _rules(rows[-1]) if rows else None

    # ---- the entry about an address: where its function begins, and where it lies itself ----

    def _entry(self, address: int) -> tuple[int, int] | None:
        header = self._image.unwinding()
        if header is not None:
            return self._by_header(header, address)
        if self._index is None:
            self._index = sorted(self._all())
        place = bisect_right(self._index, address, key=_start)
        return self._index[place - 1] if place else None

    def _by_header(self, header: int, address: int) -> tuple[int, int] | None:
        version, frame, counted, sorted_as, _, count = _HEADER.unpack(self._image.read(header, _HEADER.size))
        if (version, frame, counted, sorted_as) != (_VERSION, _PCREL_SDATA4, _UDATA4, _DATAREL_SDATA4):
            return None
        low, high = 0, count
        while low < high:  # the first row behind *address*
            middle = (low + high) // 2
            if header + self._row(header, middle)[0] <= address:
                low = middle + 1
            else:
                high = middle
        if not low:
            return None
        start, place = self._row(header, low - 1)
        return header + start, header + place

    def _row(self, header: int, number: int) -> tuple[int, int]:
        start, place = _ROW.unpack(self._image.read(header + _HEADER.size + number * _ROW.size, _ROW.size))
        return start, place

    def _all(self) -> Iterator[tuple[int, int]]:
        """Yield every entry of a file without the header: what is linked statically may have none."""
        place, size = self._image.section(".eh_frame")
        table = self._image.read(place, size)
        encodings: dict[int, object] = {}
        offset = 0
        while offset + _ENTRY.size <= len(table):
            length, back, start = _ENTRY.unpack_from(table, offset)
            if not length:
                return
            shared = place + offset + 4 - back
            if back and shared not in encodings:
                encodings[shared] = self._encoding(shared)
            if back and encodings[shared] == _PCREL_SDATA4:
                yield place + offset + 8 + start, place + offset
            offset += 4 + length

    def _encoding(self, place: int) -> object:
        """Return how the entries that share what lies at *place* write addresses; None: it is nothing to share."""
        shared = self._block(place)
        if shared is None or shared[4:8] != bytes(4):
            return None
        (found,) = _entries(shared)
        return found.augmentation_dict.get("FDE_encoding") if isinstance(found, CIE) else None

    # ---- one entry ----

    def _parsed(self, place: int) -> FDE | None:
        """Return the entry at *place*, read from a table that has it and what it shares with others, and no more."""
        own = self._block(place)
        if own is None:
            return None
        (back,) = struct.unpack_from("<I", own, 4)
        shared = self._block(place + 4 - back)
        if not back or shared is None or shared[4:8] != bytes(4):
            return None
        _, found = _entries(shared + own[:4] + struct.pack("<I", len(shared) + 4) + own[8:])
        return found if isinstance(found, FDE) else None

    def _block(self, place: int) -> bytes | None:
        """Return the entry at *place*, as it stands there; None: it is none that is read here."""
        (length,) = struct.unpack("<I", self._image.read(place, 4))
        if not _ID < length <= MOST_ENTRY:
            return None
        found = self._image.read(place, 4 + length)
        return found if len(found) == 4 + length else None


def _start(entry: tuple[int, int]) -> int:
    return entry[0]


def _entries(table: bytes) -> list[CFIEntry | ZERO]:
    structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
    return CallFrameInfo(BytesIO(table), len(table), 0, structs, for_eh_frame=True).get_entries()


def _rules(row: dict[Any, Any]) -> Rules | None:
    base, back, rbp = row["cfa"], row.get(_RETURN_ADDRESS), row.get(RBP)
    if not isinstance(base, CFARule) or base.reg not in {RBP, RSP} or base.offset is None:
        return None
    if not isinstance(back, RegisterRule) or back.type != RegisterRule.OFFSET or not isinstance(back.arg, int):
        return None
    if rbp is None or rbp.type == RegisterRule.SAME_VALUE:
        return Rules(base.reg, base.offset, back.arg, None, keeps_rbp=True)
    saved = int(rbp.arg) if rbp.type == RegisterRule.OFFSET else None
    return Rules(base.reg, base.offset, back.arg, saved, keeps_rbp=False)
