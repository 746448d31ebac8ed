"""
What random calls have in common: choices out of bytes, paths, fds, and addresses of all kinds.

What it is not: the calls (``files_calls``).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, TypeVar

from tests.conformance.files_script import HIDDEN, KERNEL, READ_ONLY, UNMAPPED, Argument, Room, Text
from tests.conformance.files_tree import DIRECTORIES, FILES, HARD_LINKS, LINKS, LONGEST, NODES

T = TypeVar("T")


class Draw:
    """Choices out of bytes, the first of every choice where they are zero or at an end."""

    def __init__(self, data: bytes) -> None:
        self._numbers = iter(struct.unpack(f"={len(data) // 2}H", data))

    def below(self, end: int) -> int:
        """Return a number from 0 up to, and without, *end*."""
        return next(self._numbers, 0) % end

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of *choices*."""
        return choices[self.below(len(choices))]

    def one_in(self, count: int) -> bool:
        """Whether something happens that does so once in *count* times."""
        return self.below(count) == count - 1


AT_FDCWD: Final = -100

FDS: Final = (3, 4, 4, 5, 5, 6, 6, 7, 8, 9, 9, 9, 10, 11, 12, 13, 100, 101, 102, 103, 104, 0, 1, 2, 99, 1000)
DIRECTORY_FDS: Final = (AT_FDCWD, *(AT_FDCWD, AT_FDCWD, 4, 8, 8) * 24, *FDS, -1, -99, -101, 0x7FFFFFFF, -0x80000000)

NEW: Final = (b"made", b"made-2", b"sub/made", b"acl/made", b"group/made", b"sticky/made", b"drop/made", b"closed/made")

NAMES: Final = (
    *(name for name, _, _ in FILES),
    *(name for name, _ in DIRECTORIES),
    *(name for name, _ in LINKS),
    *(name for name, _, _ in NODES),
    *(name for name, _ in HARD_LINKS),
)

ORDINARY: Final = (
    b"plain", b"empty", b"tool", b"sub", b"to-plain", b"to-sub", b"to-here", b"hard", b"with space", b".",
    b"private", b"one", b"deep", b"sub/one", b"sub/deep/three", b"@/to-inside", b"@/sub/up/plain",
)  # fmt: skip

BEFORE_NAMES: Final = (
    b"./", b"sub/../", b"sub/up/", b"@/", b"//", b"to-here/", b"to-sub/up/", b"to-sub/../", b"sub//..///",
    b"to-root/../", b"plain/../", b"nothing/../", b"../", b"sub/deep/../../", b"to-self/cwd/", b"/proc/self/cwd/",
    b"/proc/thread-self/cwd/", b"/proc/self/root/", b"/dev/fd/8/", b"/proc/self/fd/4/", b"/proc/self/fd/4/../",
    b"/proc/self/fd/6/up/", b"to-fd-of-self/", b"to-itself/", b"@/to-absolute/../",
)  # fmt: skip
BEHIND_NAMES: Final = (
    b"/", b"//", b"/.", b"/./", b"/..", b"/../", b"/../sub", b"/nothing", b"/one", b"/../plain", b"/" + LONGEST,
    b"/" + LONGEST + b"n",
)  # fmt: skip

SPECIAL: Final = (
    b"", b"", b"/", b"//", b"/..", b"@", b"@/", b"..", b"./", b".//.", b"nothing", b"nothing/", b"no/where",
    b"made/", LONGEST + b"n", LONGEST + b"/n", b"to-here/" * 39 + b"plain", b"to-here/" * 40 + b"plain",
    b"to-here/" * 39 + b"to-plain", b"to-here/" * 40 + b"to-plain", b"to-here/" * 41, b"%", b"%", b"%", b"%", b"%",
    b"%/", b"/proc/self/exe", b"/proc/self/exe", b"/dev/null", b"/dev/zero", b"/dev/full", b"/dev/tty", b"/dev",
    b"/dev/null/", b"/dev/fd", b"/dev/stdin", b"/usr",
)  # fmt: skip

IN_PROC: Final = (
    b"/proc", b"/proc/", b"/proc/self", b"/proc/self/", b"/proc/thread-self", b"/proc/thread-self/",
    b"/proc/self/status", b"/proc/self/comm", b"/proc/thread-self/comm", b"/proc/self/cwd", b"/proc/self/cwd/",
    b"/proc/self/cwd/plain", b"/proc/self/root", b"/proc/self/root/proc/self/comm", b"/proc/self/exe",
    b"/proc/self/exe/", b"/proc/self/fd", b"/proc/self/fd/", b"/proc/self/fd/5", b"/proc/self/fd/6",
    b"/proc/self/fd/7", b"/proc/self/fd/8", b"/proc/self/fd/9", b"/proc/self/fd/10", b"/proc/self/fd/4/one",
    b"/proc/self/fd/6/one", b"/proc/self/fd/5/", b"/proc/self/fd/4/", b"/proc/self/fd/100", b"/proc/self/fd/101",
    b"/proc/self/fd/102", b"/proc/self/fd/103", b"/proc/self/fd/104", b"/proc/self/fd/99", b"/proc/self/fd/-1",
    b"/proc/self/fd/05", b"/proc/self/fd/x", b"/dev/fd/4", b"/dev/fd/5", b"/dev/fd/8", b"/dev/fd/99",
    b"/dev/fd/100", b"/dev/fd/4/../plain", b"/proc/self/fdinfo/5", b"/proc/self/task", b"/proc/self/nothing",
    b"/proc/nothing", b"/proc/self/../self/comm", b"/proc/self/cwd/../..", b"/proc/mounts",
    b"/proc/sys/kernel/ostype", b"/proc/self/ns/mnt", b"/proc/self/ns/", b"/proc/self/status/", b"/proc/net",
    b"/proc/net/", b"/proc/self/attr/current", b"/proc/.", b"/proc/..", b"/proc/self/.", b"/proc/self/..",
    b"/proc/./self/comm", b"//proc//self//comm", b"/proc/self/fd/3", b"/proc/self/cwd/to-plain",
    b"/proc/self/cwd/to-nothing", b"to-self", b"/proc/self/cwd/made", b"/proc/self/fd/8/made", b"/proc/version",
    b"/proc/self/map_files", b"/proc/self/fd/4/../made",
)  # fmt: skip

LONE: Final = b"lone"
"""The FIFO that nobody holds: nobody may wait for it."""

ATTRIBUTES: Final = (
    *(b"user.one", b"user.one", b"user.long") * 12, b"user.empty", b"user.of-directory", b"user.theirs",
    b"user.nothing", b"trusted.one", b"security.selinux", b"security.capability", b"system.posix_acl_access",
    b"system.posix_acl_default", b"nothing", b"user.", b"", b"user." + b"x" * 250, b"user." + b"x" * 251,
    b"other.one", b"one.user.",
)  # fmt: skip

GARBAGE: Final = (0, 0, 0, 0, 0, 0, 1 << 32, 0xFFFFFFFF00000000, 0x8000000000000000, 0xDEADBEEF00000000)


def as_int(draw: Draw, number: int) -> int:
    """Return a register that holds *number* in its lower half: the kernel looks at no more of an int."""
    return number & 0xFFFFFFFF | draw.pick(GARBAGE)


def _plain_path(draw: Draw) -> bytes:
    kind = draw.below(12)
    if kind < 5:
        return draw.pick(ORDINARY)
    if kind < 8:
        return draw.pick(NAMES)
    if kind < 9:
        return draw.pick(NEW)
    if kind < 10:
        return draw.pick(SPECIAL)
    return draw.pick(IN_PROC)


def _path_bytes(draw: Draw) -> bytes:
    path = _plain_path(draw)
    if not path.startswith((b"/", b"@", b"%")) and draw.one_in(2):
        path = b"@/" + path
    while not path.startswith((b"/", b"@", b"%")) and draw.one_in(8):
        path = draw.pick(BEFORE_NAMES) + path
    if draw.one_in(8):
        path += draw.pick(BEHIND_NAMES)
    return path


def any_path(draw: Draw) -> Argument:
    """Return a path, or an address that is none."""
    text = _path_bytes(draw)
    if not draw.one_in(30):
        return Text(text)
    odd = draw.below(10)
    if odd < 4:
        return Text(text, length=draw.pick([4094, 4095, 4096, 4097]))
    if odd < 5:
        return Text(text, edge=True)
    beyond: tuple[Argument, ...] = (Text(text, edge=None), 0, UNMAPPED, KERNEL, HIDDEN)
    return beyond[odd - 5]


def room(draw: Draw, size: int) -> Argument:
    if not draw.one_in(30):
        return Room(size)
    odd: tuple[Argument, ...] = (0, READ_ONLY, UNMAPPED, KERNEL, HIDDEN, Room(size, beyond=1), Room(size, beyond=size))
    return draw.pick(odd)


def directory(draw: Draw) -> int:
    return as_int(draw, draw.pick(DIRECTORY_FDS))
