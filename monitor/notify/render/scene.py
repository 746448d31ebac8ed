"""
One call while it is being written down: its registers, the memory behind them, what was asked for.

What it is not: the target that a handler sees.  What is read here is for people to read and not
for a decision, so it does not count as a look at memory; and it is bounded everywhere, since sizes
and counts are the target's to choose.
"""

from __future__ import annotations

from errno import EFAULT
from typing import Final, Literal

from monitor.abi.arch import Arch
from monitor.abi.syscalls import Argument, Signature
from monitor.errors import TargetMemoryError
from monitor.notify.look import Look
from monitor.notify.memory import Memory
from monitor.notify.render.layout import Fields, Layout
from monitor.notify.render.text import address, array, bracketed, quoted
from monitor.notify.target import PATH_MAX

MOST_ITEMS: Final = 4096
"""How many items of an array are ever read, whatever the string limit."""


_WIDE_TIME: Final = frozenset({"epoll_pwait2", "futex_wait", "futex_waitv"})
"""Calls that came after 32-bit times had gone, besides those that say so in their names."""


class Scene:
    """
    One call in the middle of being written down.

    Every read raises ``TargetMemoryError`` where memory cannot be read; whoever writes the
    argument down then shows the address.
    """

    __slots__ = ("arch", "look", "memory", "name", "order", "registers", "signature", "strings", "wide_time", "word")

    def __init__(
        self, name: str, arch: Arch, signature: Signature, registers: tuple[int, ...], memory: Memory, look: Look
    ) -> None:
        """Be ready; nothing is read."""
        self.name = name
        self.arch = arch
        self.signature = signature
        self.registers = registers
        self.memory = memory
        self.look = look
        self.word = arch.pointer_bits // 8
        """The size of a pointer in bytes."""
        self.order: Literal["little", "big"] = "little" if arch.little_endian else "big"
        self.wide_time = name.endswith("time64") or name in _WIDE_TIME
        """Whether times are of 64 bits although the ABI's long is not."""
        self.strings: dict[str, bytes] = {}
        """Argument name -> a path or string of it, whole, for those who want no text."""

    # ---- registers ----

    def argument(self, index: int) -> Argument:
        """Return what is known of the argument in register *index*."""
        return self.signature.arguments[index]

    def value(self, index: int) -> int:
        """Return the argument in register *index*, cut to its declared width, with its sign."""
        return self.signature.arguments[index].value(self.registers[index])

    def bits(self, index: int) -> int:
        """Return the argument in register *index*, cut to its declared width, never negative."""
        return self.registers[index] & ((1 << self.signature.arguments[index].width) - 1)

    def get(self, name: str) -> int:
        """Return the argument called *name*; KeyError if there is none."""
        return self.value(self.signature.index_of(name))

    def pointer(self, index: int) -> int:
        """Return the address in register *index*."""
        return self.registers[index] & (0xFFFFFFFF if self.arch.register_bits == 32 else 0xFFFFFFFFFFFFFFFF)  # noqa: PLR2004

    # ---- memory ----

    def read(self, start: int, size: int) -> bytes:
        """Return exactly *size* bytes."""
        data = self.read_some(start, size)
        if len(data) < size:
            raise TargetMemoryError(start + len(data), EFAULT, f"read {size - len(data)} bytes")
        return data

    def read_some(self, start: int, size: int) -> bytes:
        """Return up to *size* bytes, at least one unless *size* is 0; fewer where the mapping ends."""
        return self.memory.read(start, size) if size else b""

    def struct(self, start: int, layout: Layout) -> Fields:
        """Return the fields of the struct at *start*."""
        size = layout.size(self.arch, wide_time=self.wide_time)
        return layout.read(self.read(start, size), self.arch, wide_time=self.wide_time)

    def words(self, start: int, count: int) -> list[int]:
        """Return up to *count* pointers, fewer where the mapping ends."""
        data = self.read_some(start, count * self.word)
        whole = len(data) // self.word * self.word
        return [int.from_bytes(data[at : at + self.word], self.order) for at in range(0, whole, self.word)]

    def integer(self, start: int, size: int = 4, *, signed: bool = False) -> int:
        """Return the integer of *size* bytes at *start*."""
        return int.from_bytes(self.read(start, size), self.order, signed=signed)

    # ---- text ----

    def path(self, start: int) -> bytes:
        """Return the path at *start*."""
        return self.memory.read_string(start, PATH_MAX)

    def string(self, start: int) -> str:
        """Return the C string at *start*, cut at the limit."""
        limit = self.look.string_limit
        data = self.read_some(start, limit + 1)
        end = data.find(0)
        if end >= 0:
            return quoted(data[:end])
        if len(data) <= limit:  # the mapping ends before the string does
            raise TargetMemoryError(start + len(data), EFAULT, "read a string")
        return quoted(data[:limit], cut=True)

    def buffer(self, start: int, size: int) -> str:
        """Return *size* bytes at *start*, cut at the limit; the address where they cannot be read."""
        if not start:
            return "NULL"
        wanted = min(size, self.look.string_limit)
        if size <= 0 or wanted == 0:
            return '""' if size == 0 else address(start) if size < 0 else '""...'
        try:
            return quoted(self.read(start, wanted), cut=size > wanted)
        except TargetMemoryError:
            return address(start)

    def string_array(self, start: int) -> str:
        """Return the strings of an array that ends with NULL, such as argv."""
        shown: list[str] = []
        while True:
            (pointer,) = self.words(start + len(shown) * self.word, 1) or (None,)
            if pointer is None:
                return array([*shown, f"... /* {address(start + len(shown) * self.word)} */"])
            if pointer == 0:
                return array(shown)
            if len(shown) >= self.look.string_limit:
                return array(shown, cut=True)
            try:
                shown.append(self.string(pointer))
            except TargetMemoryError:
                shown.append(address(pointer))

    # ---- fds ----

    def fd(self, number: int) -> str:
        """Return an fd, with what it is open on if that is wanted."""
        return f"{number}{self.opened(f'fd/{number}')}" if self.look.fd_paths and number >= 0 else str(number)

    def opened(self, link: str) -> str:
        """Return ``</path>`` for a link of the thread's folder in /proc; nothing where there is none."""
        target = self.memory.link(link)
        return bracketed(target) if target else ""
