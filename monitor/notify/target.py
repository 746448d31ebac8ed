"""
The waiting thread: its memory, read and written under one check of its notification.

What it is not: a process (``tid`` is a thread's number) or something to keep: once its call is
answered every method raises ``TargetGone``.

The rule that each method here keeps, so that no handler can forget it: bytes are returned only
if the thread still waited *after* they were read.  Otherwise they may be another process's that
got the number.  Source: seccomp_unotify(2), "Example"; ``native/memory.c`` says how, and why
through /proc/TID/mem.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from errno import EACCES, EFAULT, EINVAL, ENOMEM
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from monitor import _native
from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.reserve import FdReserve

PATH_MAX: Final = 4096
"""The longest path the kernel takes, its NUL included (include/uapi/linux/limits.h)."""

MAX_READ: Final = 1 << 20
"""The most that is read at once: a size is the target's to choose, our memory is not."""

IOV_MAX: Final = 1024
"""The longest array of struct iovec the kernel takes (``UIO_MAXIOV``, include/uapi/linux/uio.h)."""

_WORDS: Final = {4: struct.Struct("=I"), 8: struct.Struct("=Q")}


class Memory(Protocol):
    """The memory of one waiting thread: the kernel's, or the fake of ``monitor.testing``."""

    @property
    def tid(self) -> int:
        """The thread's number in our pid namespace; 0 when it has none there."""
        ...

    def process(self) -> int:
        """Return the number of the thread's process.  Raises TargetGone."""
        ...

    def comm(self) -> str:
        """Return the thread's command name, or an empty string."""
        ...

    def link(self, name: str) -> bytes:
        """Return where a link of the thread's folder in /proc points, or nothing.  Raises TargetGone."""
        ...

    def read(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes, fewer where the mapping ends, never none."""
        ...

    def read_string(self, address: int, limit: int) -> bytes:
        """Return the bytes before a NUL that comes within *limit* bytes."""
        ...

    def write(self, address: int, data: bytes) -> int:
        """Write *data*; the count, short where a page is missing."""
        ...


class KernelMemory:
    """The memory of a thread that waits behind one notification of a real listener."""

    __slots__ = ("_ident", "_listener", "_reserve", "tid")

    def __init__(self, listener: int, reserve: FdReserve, ident: int, tid: int) -> None:
        """Borrow the fd *listener*; nothing is opened before something is read."""
        self._listener = listener
        self._reserve = reserve
        self._ident = ident
        self.tid = tid

    def process(self) -> int:
        """Return the thread's process (proc_pid_status(5), ``Tgid``)."""
        if self.tid <= 0:
            return 0
        try:
            status = self._reserve.with_fd(Path(f"/proc/{self.tid}/status").read_bytes)
        except (FileNotFoundError, ProcessLookupError):
            raise TargetGone from None
        if not _native.listener_is_valid(self._listener, self._ident):
            raise TargetGone
        return int(status.partition(b"\nTgid:")[2].split(None, 1)[0])

    def comm(self) -> str:
        """Return the thread's command name (proc_pid_comm(5)); the target can set it to anything."""
        return _comm(self.tid)

    def link(self, name: str) -> bytes:
        """Return where ``/proc/TID/NAME`` points, such as ``fd/3``; proc(5) says what the text may be."""
        found = _link(self.tid, name)
        if not _native.listener_is_valid(self._listener, self._ident):
            raise TargetGone
        return found

    def read(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes; see ``mon_target_read`` in native/shim.h."""
        return self._reserve.with_fd(lambda: _native.target_read(self._listener, self._ident, self.tid, address, size))

    def read_string(self, address: int, limit: int) -> bytes:
        """Return a string; see ``mon_target_read_string`` in native/shim.h."""
        return self._reserve.with_fd(
            lambda: _native.target_read_string(self._listener, self._ident, self.tid, address, limit)
        )

    def write(self, address: int, data: bytes) -> int:
        """Write *data*; see ``mon_target_write`` in native/shim.h."""
        return self._reserve.with_fd(lambda: _native.target_write(self._listener, self._ident, self.tid, address, data))


class PeekedMemory:
    """
    The memory of whatever thread has the number ``tid``, read the fast way and for people only.

    Nothing says that it is the thread that waits: that is known when its answer has been
    delivered, and what was read is to be thrown away if it was not (``mon_target_peek``).
    """

    __slots__ = ("_peeker", "tid")

    def __init__(self) -> None:
        """Look at no thread yet: set ``tid``."""
        self._peeker = _native.Peeker()
        self.tid = 0

    def process(self) -> int:
        """Return the thread's process, or 0."""
        try:
            status = Path(f"/proc/{self.tid}/status").read_bytes()
        except OSError:
            return 0
        return int(status.partition(b"\nTgid:")[2].split(None, 1)[0])

    def comm(self) -> str:
        """Return the thread's command name."""
        return _comm(self.tid)

    def link(self, name: str) -> bytes:
        """Return where ``/proc/TID/NAME`` points, or nothing."""
        return _link(self.tid, name)

    def read(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes."""
        return self._peeker.read(self.tid, address, size)

    def read_string(self, address: int, limit: int) -> bytes:
        """Return a string."""
        return self._peeker.read_string(self.tid, address, limit)

    def write(self, address: int, data: bytes) -> int:
        """Write nothing: who only looks changes nothing."""
        raise TargetMemoryError(address, EACCES, f"write {len(data)} bytes")


def _comm(tid: int) -> str:
    try:
        fd = os.open(f"/proc/{tid}/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.fsdecode(os.read(fd, 64).removesuffix(b"\n"))
    except OSError:
        return ""
    finally:
        os.close(fd)


def _link(tid: int, name: str) -> bytes:
    if tid <= 0:
        return b""
    try:
        return os.fsencode(os.readlink(f"/proc/{tid}/{name}"))  # noqa: PTH115  # bytes, not a path
    except OSError:
        return b""


def _gone(*_arguments: object, **_named: object) -> NoReturn:
    raise TargetGone


class NoMemory:
    """The memory of a thread that is gone: every look raises TargetGone."""

    tid = 0
    process = link = read = read_string = write = staticmethod(_gone)

    def comm(self) -> str:
        """Return no name."""
        return ""


class _Looking:
    """The memory of a target, as ``render`` reads it; whatever was read counts as a look."""

    __slots__ = ("_memory", "_target", "tid")

    def __init__(self, target: Target, memory: Memory) -> None:
        self.tid = memory.tid
        self._target = target
        self._memory = memory

    def process(self) -> int:
        return self._memory.process()

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
