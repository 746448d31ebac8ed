"""
Calls and their arguments, and how files_target.c reads a script of them and writes its answers.

What it is not: which calls are made (``files_calls``), or what is compared (``files_compare``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from attrs import NOTHING, AttrsInstance, fields, frozen

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of

INPUT: Final = 0x20000000
INPUT_END: Final = INPUT + 0x10000
OUTPUT: Final = 0x20100000
OUTPUT_END: Final = OUTPUT + 0x20000
READ_ONLY: Final = 0x20200000
UNMAPPED: Final = 0x20300000
HIDDEN: Final = 0x20400000
KERNEL: Final = 0xFFFF888000000000
"""Addresses of files_target.c; behind INPUT_END and OUTPUT_END nothing is mapped, and HIDDEN is ``PROT_NONE``."""

_NUMBERS: Final[dict[str, int]] = {}


def nr_of(name: str) -> int:
    """Return the number of the call *name* of this machine's own ABI."""
    if name not in _NUMBERS:
        number = number_of(Arch.native(), name)
        assert number is not None
        _NUMBERS[name] = number
    return _NUMBERS[name]


class _Shown(AttrsInstance):
    """What is shown as it would be written in a case of test_files.py."""

    def __repr__(self) -> str:
        """Leave out what is not said."""
        parts = [
            repr(value) if one.default is NOTHING else f"{one.name}={value!r}"
            for one in fields(type(self))
            if (value := getattr(self, one.name)) != one.default
        ]
        return f"{type(self).__name__}({', '.join(parts)})"


@frozen(repr=False)
class Text(_Shown):
    """
    A string, with a NUL behind it.

    Attributes:
        text: its bytes; ``@`` at the start stands for the tree, ``%`` for the program itself.
        length: how long it is made, by ``./`` and slashes where it starts that change nothing; 0: as it is.
        edge: whether the last byte that is mapped is its NUL; None: the NUL is not mapped.
    """

    text: bytes
    length: int = 0
    edge: bool | None = False

    def bytes_of(self, tree: bytes, program: bytes) -> bytes:
        """Return the bytes, NUL included if it is written."""
        text = self.text
        if text[:1] in {b"@", b"%"}:
            text = (tree if text[:1] == b"@" else program) + text[1:]
        more = self.length - len(text)
        if more > 0:
            text = (
                b"/" * more + text if text.startswith(b"/") else b"./" * (more // 2 - 1) + b".//"[: more % 2 + 2] + text
            )
        return text if self.edge is None else text + b"\0"


@frozen(repr=False)
class Struct(_Shown):
    """
    Bytes that are read.

    Attributes:
        data: the first of them.
        zeros: how many zeros follow.
        last: whether the last of the zeros is none.
        edge: whether the last byte is the last one that is mapped.
    """

    data: bytes
    zeros: int = 0
    last: bool = False
    edge: bool = False

    @property
    def bytes_of(self) -> bytes:
        """All of them."""
        return (self.data + bytes(self.zeros))[: -1 if self.last else None] + b"\1" * self.last


@frozen(repr=False)
class Room(_Shown):
    """Where a result is written: *size* bytes, of which the last *beyond* are not mapped."""

    size: int
    beyond: int = 0


Argument: TypeAlias = int | Text | Struct | Room


@frozen(repr=False)
class Call(_Shown):
    """One call: its name and its arguments, numbers as the 64 bits that the register holds."""

    name: str
    args: tuple[Argument, ...]

    @property
    def text(self) -> bytes:
        """The path that is named, as it was meant."""
        return next((one.text for one in self.args if isinstance(one, Text)), b"")


Sequences: TypeAlias = Sequence[Sequence[Call]]

WATCHED: Final = frozenset({"open", "openat", "openat2", "creat"})
"""Calls that give fds, which are then looked at."""


@frozen
class Answer:
    """What came of a call: a value or -errno, the bytes of its ``Room``s, and what the new fd is."""

    value: int
    written: tuple[bytes, ...]
    seen: Seen | None


@frozen
class Seen:
    """What files_target.c finds of a new fd."""

    flags: int
    descriptor_flags: int
    error: int
    count: int
    text: bytes
    status: bytes


_SEEN: Final = struct.Struct("=iiii24s144s")
_CALL: Final = struct.Struct("=II6QII")
_INPUT: Final = struct.Struct("=QI")


class _Placed:
    """Where the arguments of one call lie."""

    def __init__(self, call: Call, tree: bytes, program: bytes) -> None:
        self.inputs: list[tuple[int, bytes]] = []
        self.outputs: list[tuple[int, int]] = []
        self._in, self._out = INPUT, OUTPUT
        self._tree, self._program = tree, program
        self.registers = [self._register(argument) for argument in call.args]
        self.registers += [0] * (6 - len(self.registers))

    def _register(self, argument: Argument) -> int:
        if isinstance(argument, int):
            return argument & 0xFFFFFFFFFFFFFFFF
        if isinstance(argument, Room):
            return self._room(argument)
        if isinstance(argument, Text):
            data, edge = argument.bytes_of(self._tree, self._program), argument.edge is not False
        else:
            data, edge = argument.bytes_of, argument.edge
            if edge:  # not where a path may end
                self.inputs.append((OUTPUT_END - len(data), data))
                return self.inputs[-1][0]
        address = INPUT_END - len(data) if edge else self._in
        if not edge:
            self._in += len(data) + 16
        self.inputs.append((address, data))
        return address

    def _room(self, room: Room) -> int:
        if room.beyond:
            self.outputs.append((OUTPUT_END - (room.size - room.beyond), room.size - room.beyond))
            return self.outputs[-1][0]
        self.outputs.append((self._out, room.size + 8))  # and what must not be touched
        self._out += room.size + 16
        return self.outputs[-1][0]


def encoded(sequences: Sequences, trees: Sequence[bytes], program: bytes) -> bytes:
    """Return the script of *sequences*, each of which is made in its own tree."""
    parts = [struct.pack("=I", len(sequences))]
    for calls, tree in zip(sequences, trees, strict=True):
        parts.append(struct.pack("=I", len(calls)))
        for call in calls:
            placed = _Placed(call, tree, program)
            watched = call.name in WATCHED
            counts = len(placed.inputs), len(placed.outputs)
            parts.append(_CALL.pack(nr_of(call.name), watched, *placed.registers, *counts))
            for address, data in placed.inputs:
                parts += (_INPUT.pack(address, len(data)), data)
            parts += (_INPUT.pack(*output) for output in placed.outputs)
    return b"".join(parts)


def decoded(sequences: Sequences, data: bytes) -> tuple[int, list[list[Answer]]]:
    """Return the pid of the target, and its answers."""
    pid, *_ = struct.unpack_from("=I", data)
    reader = _Reader(data, 4)
    answers = [[reader.answer(call) for call in calls] for calls in sequences]
    assert reader.at == len(data)
    return pid, answers


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def answer(self, call: Call) -> Answer:
        (value,) = struct.unpack("=q", self._take(8))
        written = tuple(self._take(size) for size in _sizes(call))
        seen = None
        if call.name in WATCHED and value >= 0:
            flags, descriptor_flags, error, count, text, status = _SEEN.unpack(self._take(_SEEN.size))
            seen = Seen(flags, descriptor_flags, error, count, text, status)
        return Answer(value, written, seen)

    def _take(self, size: int) -> bytes:
        self.at += size
        return self._data[self.at - size : self.at]


def _sizes(call: Call) -> Iterator[int]:
    for argument in call.args:
        if isinstance(argument, Room):
            yield argument.size - argument.beyond if argument.beyond else argument.size + 8
