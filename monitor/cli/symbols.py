"""
An ELF file as far as it names places in it: which function lies at an offset, and where in memory that is meant to be.

What it is not: careful with time and memory beyond the limits that stand here, or sure not to raise: the file is
the target's, and is read in a process that may die of it (``symbolizer``).

Addresses are those that the file is linked for, whatever it was loaded at: program headers lead to them from
offsets, in the same way for ET_EXEC and ET_DYN, so that nothing has to be known of the loader.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from attrs import frozen
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section
from elftools.elf.segments import NoteSegment

from monitor.cli.naming import Symbol

MOST_SEGMENTS: Final = 256

MOST_SECTIONS: Final = 4096

MOST_BYTES: Final = 1 << 25
"""Of a table of symbols, and of their names."""

MOST_NAME: Final = 256
"""Bytes of a name that are told."""

_LOOKED_BACK: Final = 32
"""Symbols below the nearest one that may be longer, and end behind it."""

_NOTHING: Final = 0  # SHN_UNDEF
_RESERVED: Final = 0xFF00  # SHN_LORESERVE
_FUNCTIONS: Final = frozenset({2, 10})  # STT_FUNC, STT_GNU_IFUNC
_EXECUTABLE: Final = 1  # PF_X

_SYMBOL: Final = {64: struct.Struct("<IBBHQQ"), 32: struct.Struct("<IIIBBH")}


class Segment(NamedTuple):
    """What is loaded: *size* bytes at *offset* of the file, for *address*."""

    offset: int
    size: int
    address: int
    executable: bool


class _Function(NamedTuple):
    """One symbol; of those at one address the least *rank* is the name that people know."""

    start: int
    end: int
    sized: bool
    rank: tuple[bool, int, int]
    name: bytes


@frozen
class Functions:
    """The functions of one table of symbols, by their addresses."""

    found: tuple[_Function, ...]

    def at(self, address: int) -> Symbol | None:
        """
        Return the function in which *address* lies; None: in none.

        One that says how long it is ends there.  One that does not reaches to the next, within its section.
        """
        place = bisect_right(self.found, address, key=_start) - 1
        if place < 0:
            return None
        nearest = self.found[place].start
        below = [self.found[one] for one in range(place, max(-1, place - _LOOKED_BACK), -1)]
        holding = [one for one in below if address < one.end and (one.sized or one.start == nearest)]
        if not holding:
            return None
        best = min(holding, key=lambda one: (-one.start, not one.sized, one.rank, one.name))
        return Symbol(best.name, address - best.start)


def _start(function: _Function) -> int:
    return function.start


class Image:
    """One ELF file of a little-endian machine; the stream is borrowed."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Read the headers.  May raise anything."""
        self._elf = ELFFile(stream)
        if not self._elf.little_endian or self._elf.num_segments() > MOST_SEGMENTS:
            message = "no file that a machine of ours could have loaded"
            raise ValueError(message)
        self.stream = stream
        self.bits: int = self._elf.elfclass
        self.machine: object = self._elf["e_machine"]
        self._loaded = [
            Segment(one["p_offset"], one["p_filesz"], one["p_vaddr"], bool(one["p_flags"] & _EXECUTABLE))
            for one in self._elf.iter_segments("PT_LOAD")
        ]

    def address_of(self, offset: int) -> int | None:
        """Return the address of what lies at *offset* of the file and is executed; None: nothing is."""
        for one in self._loaded:
            if one.executable and one.offset <= offset < one.offset + one.size:
                return one.address + offset - one.offset
        return None

    def read(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes that are loaded at *address*, or none."""
        for one in self._loaded:
            if one.address <= address < one.address + one.size:
                self.stream.seek(one.offset + address - one.address)
                return self.stream.read(min(size, one.address + one.size - address, MOST_BYTES))
        return b""

    def unwinding(self) -> int | None:
        """Return the address of the header of its unwinding tables."""
        return next((one["p_vaddr"] for one in self._elf.iter_segments("PT_GNU_EH_FRAME")), None)

    def section(self, name: str) -> tuple[int, int]:
        """Return the address of the section called *name*, and its size; zeros: there is none."""
        if self._elf.num_sections() > MOST_SECTIONS:
            return 0, 0
        found = next((one for one in self._elf.iter_sections() if one.name == name), None)
        return (0, 0) if found is None else (found["sh_addr"], found["sh_size"])

    def build_id(self) -> str:
        """Return its build-id, in hex; empty: it has none."""
        for segment in self._elf.iter_segments("PT_NOTE"):
            assert isinstance(segment, NoteSegment)
            for note in segment.iter_notes():
                if note["n_type"] == "NT_GNU_BUILD_ID":
                    return str(note["n_desc"])
        return ""

    def functions(self, kind: str) -> Functions | None:
        """Return those of its table of symbols of *kind*, SHT_SYMTAB or SHT_DYNSYM; None: it has no such table."""
        if self._elf.num_sections() > MOST_SECTIONS:
            return None
        sections = list(self._elf.iter_sections())
        table = next((one for one in sections if one["sh_type"] == kind and not one.compressed), None)
        if table is None or table["sh_size"] > MOST_BYTES:
            return None
        ends = {index: one["sh_addr"] + one["sh_size"] for index, one in enumerate(sections)}
        link: int = table["sh_link"]
        names = self._contents(sections[link])
        return Functions(tuple(sorted(self._read_functions(self._contents(table), names, ends))))

    def _contents(self, section: Section) -> bytes:
        self.stream.seek(section["sh_offset"])
        return self.stream.read(min(section["sh_size"], MOST_BYTES))

    def _read_functions(self, table: bytes, names: bytes, ends: dict[int, int]) -> Iterator[_Function]:
        form = _SYMBOL[self.bits]
        for fields in form.iter_unpack(table[: len(table) // form.size * form.size]):
            if self.bits == 64:  # noqa: PLR2004  # or 32
                name, info, _, section, start, size = fields
            else:
                name, start, size, info, _, section = fields
            if info & 0xF not in _FUNCTIONS or section == _NOTHING or section >= _RESERVED:
                continue
            text = names[name : name + MOST_NAME].partition(b"\0")[0]
            if text:
                rank = info >> 4 == 0, len(text) - len(text.lstrip(b"_")), len(text)
                yield _Function(start, start + size if size else ends.get(section, 0), size > 0, rank, text)


DEBUG: Final = "/usr/lib/debug"
"""Where the symbols lie of what was stripped (GDB, "Debugging Information in Separate Files")."""


def debug_file(build_id: str, folder: str = DEBUG) -> str | None:
    """Return the name of the file below *folder* that has the symbols of what has this build-id, in hex."""
    if len(build_id) < 4 or not all(one in "0123456789abcdef" for one in build_id):  # noqa: PLR2004  # two parts
        return None
    return os.path.join(folder, ".build-id", build_id[:2], f"{build_id[2:]}.debug")  # noqa: PTH118  # a name
