"""
The waiting thread: its memory, read and written under one check of its notification.

What it is not: a process (``tid`` is a thread's number) or something to keep: once its call is
answered every method raises ``TargetGone``.

Bytes are returned only if the thread still waited after they were read: ``memory`` sees to that.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from errno import EFAULT, EINVAL, ENOMEM
from typing import Any, Final

from monitor.errors import TargetMemoryError
from monitor.notify.memory import Memory

PATH_MAX: Final = 4096
"""The longest path the kernel takes, its NUL included (include/uapi/linux/limits.h)."""

MAX_READ: Final = 1 << 20
"""The most that is read at once: a size is the target's to choose, our memory is not."""

IOV_MAX: Final = 1024
"""The longest array of struct iovec the kernel takes (``UIO_MAXIOV``, include/uapi/linux/uio.h)."""

_WORDS: Final = {4: struct.Struct("=I"), 8: struct.Struct("=Q")}


class _Looking:
    """The memory of a target, as ``render`` reads it; whatever was read counts as a look."""

    __slots__ = ("_memory", "_target", "tid")

    def __init__(self, target: Target, memory: Memory) -> None:
        self.tid = memory.tid
        self._target = target
        self._memory = memory

    def process(self) -> int:
        return self._memory.process()

    def started(self) -> int:
        return self._memory.started()

    def executed(self) -> tuple[int, int] | None:
        return self._memory.executed()

    def comm(self) -> str:
        return self._memory.comm()

    def link(self, name: str) -> bytes:
        self._target.looked = True
        return self._memory.link(name)

    def read(self, address: int, size: int) -> bytes:
        self._target.looked = True
        return self._memory.read(address, size)

    def read_string(self, address: int, limit: int) -> bytes:
        self._target.looked = True
        return self._memory.read_string(address, limit)

    def write(self, address: int, data: bytes) -> int:
        return self._memory.write(address, data)


def glimpsed(target: Target) -> Memory:
    """
    Return the memory behind *target* without a word of it being a look.

    For observers, who come after the decision; here, and not a method, so that no handler has it at hand.
    """
    return target._memory  # noqa: SLF001  # of this module


class Target:
    """
    The thread that waits for an answer.

    Addresses are numbers in *its* address space, sizes are bytes, results are ``bytes`` of our
    own: what the target does to its memory afterwards does not change them.  Every method
    raises ``TargetGone`` when the thread no longer waits (the bytes are thrown away), and
    ``TargetMemoryError`` when the memory cannot be accessed; a handler that lets that pass
    answers with its errno.
    """

    __slots__ = ("_memory", "looked")

    def __init__(self, memory: Memory) -> None:
        """Look through *memory*."""
        self._memory = memory
        self.looked = False
        """Whether memory was read: then a plain ``Allow`` would be a race, and is refused."""

    def for_rendering(self) -> Memory:
        """Return the memory behind this object for ``render``; reading there is a look too."""
        return _Looking(self, self._memory)

    @property
    def tid(self) -> int:
        """The number of the *thread* in our pid namespace; 0 when it has none there."""
        return self._memory.tid

    @property
    def pid(self) -> int:
        """The number of the thread's process in our pid namespace; 0 when it has none there."""
        return self._memory.process()

    @property
    def comm(self) -> str:
        """The thread's command name, which it chose itself: for messages, never for a decision."""
        return self._memory.comm()

    def read(self, address: int, size: int) -> bytes:
        """Return exactly *size* bytes at *address*, at most ``MAX_READ``."""
        if size > MAX_READ:
            raise TargetMemoryError(address, ENOMEM, f"read {size} bytes, more than {MAX_READ},")
        data = self._read_some(address, size)
        if len(data) < size:
            raise TargetMemoryError(address + len(data), EFAULT, f"read {size - len(data)} bytes")
        return data

    def read_string(self, address: int, limit: int = PATH_MAX) -> bytes:
        """
        Return the bytes at *address* up to, and without, the first NUL.

        *limit* counts the NUL, as ``PATH_MAX`` does: without one in that many bytes the error is
        ENAMETOOLONG, as the kernel's is.  A string that ends just before an unmapped page is
        read whole.
        """
        self.looked = True
        return self._memory.read_string(address, min(limit, MAX_READ))

    def read_struct(self, address: int, layout: struct.Struct) -> tuple[Any, ...]:
        """Return the fields of the structure at *address*, as ``layout.unpack`` gives them."""
        return layout.unpack(self.read(address, layout.size))

    def read_iovecs(self, address: int, count: int, *, word: int = 8) -> Sequence[tuple[int, int]]:
        """
        Return the (address, size) pairs of an array of *count* struct iovec.

        *word* is the target's pointer size in bytes, 4 or 8.  More than ``IOV_MAX`` entries are
        EINVAL, as in the kernel; the sizes are the target's words and may be anything.
        """
        if not 0 <= count <= IOV_MAX:
            raise TargetMemoryError(address, EINVAL, f"read {count} iovecs")
        words = self._read_words(address, 2 * count, word)
        return list(zip(words[::2], words[1::2], strict=True))

    def read_gathered(self, address: int, count: int, *, word: int = 8) -> bytes:
        """Return the bytes that an array of *count* struct iovec points to, in order."""
        pairs = self.read_iovecs(address, count, word=word)
        total = sum(size for _, size in pairs)
        if total > MAX_READ:
            raise TargetMemoryError(address, ENOMEM, f"read {total} bytes, more than {MAX_READ},")
        return b"".join(self.read(start, size) for start, size in pairs if size)

    def read_strings(self, address: int, *, limit: int = MAX_READ, word: int = 8) -> Sequence[bytes]:
        """
        Return the strings of an array that ends with NULL, such as argv; NULL itself is no string.

        *limit* bounds the bytes of all of them together.
        """
        strings: list[bytes] = []
        while pointer := self._read_words(address + word * len(strings), 1, word)[0]:
            if limit <= 0:
                raise TargetMemoryError(address, ENOMEM, "read so many strings")
            strings.append(self.read_string(pointer, limit))
            limit -= len(strings[-1]) + 1 + word
        return strings

    def write(self, address: int, data: bytes) -> None:
        """
        Write *data* at *address*, as the kernel would: a page the target may not write is EFAULT.

        All of it or, where a page in the middle is missing, an error after what came before.
        """
        done = self._memory.write(address, data) if data else 0
        if done < len(data):
            raise TargetMemoryError(address + done, EFAULT, f"write {len(data) - done} bytes")

    def _read_some(self, address: int, size: int) -> bytes:
        if size < 0:
            msg = f"size must not be negative: {size}"
            raise ValueError(msg)
        self.looked = True
        return self._memory.read(address, size) if size else b""

    def _read_words(self, address: int, count: int, word: int) -> Sequence[int]:
        data = self.read(address, count * word)
        return [value for (value,) in _WORDS[word].iter_unpack(data)]
