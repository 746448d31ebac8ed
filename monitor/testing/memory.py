"""
The memory of a fake thread.

What it is not: pages.  It has pieces of bytes at addresses; what lies between them is not mapped.
"""

from __future__ import annotations

from errno import EFAULT, ENAMETOOLONG
from typing import Final

from attrs import define, field

from monitor.errors import TargetGone, TargetMemoryError

_PAGE: Final = 4096
_FIRST_ADDRESS: Final = 0x10_0000


@define
class FakeMemory:
    """The memory of a fake thread: pieces of bytes at addresses, and nothing between them."""

    tid: int = 1
    pid: int = 1
    name: str = "fake"
    pieces: dict[int, bytearray] = field(factory=dict[int, bytearray])
    read_only: set[int] = field(factory=set[int])
    """Where pieces begin that the thread itself may not write."""
    waiting: bool = True
    """False: the thread is gone, and every look raises TargetGone."""
    executable: tuple[int, int] = (1, 1)
    """Device and inode of what it executes, if ``links`` has an ``exe``."""
    links: dict[str, bytes] = field(factory=dict[str, bytes])
    """Where the links of its folder in /proc point: ``fd/3``, ``cwd``."""

    def place(self, data: bytes, *, at: int | None = None) -> int:
        """Put *data* somewhere, followed by nothing; the address, which is never 0."""
        if at is None:
            end = max((start + len(piece) for start, piece in self.pieces.items()), default=_FIRST_ADDRESS)
            at = (end + 2 * _PAGE) // _PAGE * _PAGE
        self.pieces[at] = bytearray(data)
        return at

    def process(self) -> int:
        """Return the process of the thread."""
        self._check()
        return self.pid

    def started(self) -> int:
        """Return that it was there from the beginning."""
        self._check()
        return 0

    def executed(self) -> tuple[int, int] | None:
        """Return what it executes, if it was given a link called ``exe``."""
        self._check()
        return self.executable if "exe" in self.links else None

    def comm(self) -> str:
        """Return the name that was given."""
        return self.name

    def link(self, name: str) -> bytes:
        """Return where a link points, or nothing."""
        self._check()
        return self.links.get(name, b"")

    def read(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes."""
        self._check()
        data = self._piece(address, f"read {size} bytes")[1]
        return bytes(data[:size])

    def read_string(self, address: int, limit: int) -> bytes:
        """Return the bytes before the first NUL."""
        self._check()
        data = self._piece(address, "read a string")[1][:limit]
        end = data.find(0)
        if end < 0:
            raise TargetMemoryError(address, ENAMETOOLONG if len(data) == limit else EFAULT, "read a string")
        return bytes(data[:end])

    def write(self, address: int, data: bytes) -> int:
        """Write into one piece; the count."""
        self._check()
        start, rest = self._piece(address, f"write {len(data)} bytes")
        if start in self.read_only:
            raise TargetMemoryError(address, EFAULT, f"write {len(data)} bytes")
        count = min(len(rest), len(data))
        offset = address - start
        self.pieces[start][offset : offset + count] = data[:count]
        return count

    def _check(self) -> None:
        if not self.waiting:
            raise TargetGone

    def _piece(self, address: int, what: str) -> tuple[int, bytes]:
        for start, piece in self.pieces.items():
            if start <= address < start + len(piece):
                return start, bytes(piece[address - start :])
        raise TargetMemoryError(address, EFAULT, what)
