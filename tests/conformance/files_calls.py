"""
Sequences of file calls, drawn by hypothesis: ordinary ones mostly, and whatever else a register can hold.

What it is not: their paths (``files_paths``), the tree in which they are made (``files_tree``), or what is compared.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.conformance.files_changes import CHANGES
from tests.conformance.files_changes import FLAGS as CHANGE_FLAGS
from tests.conformance.files_paths import (
    AT_FDCWD,
    ATTRIBUTES,
    GARBAGE,
    IN_PROC,
    LONE,
    Draw,
    any_path,
    as_int,
    directory,
    room,
)
from tests.conformance.files_script import KERNEL, UNMAPPED, Argument, Call, Room, Struct, Text
from tests.conformance.files_tree import LINKS

OPEN_FLAGS: Final = {
    "O_WRONLY": 0o1,
    "O_RDWR": 0o2,
    "O_CREAT": 0o100,
    "O_EXCL": 0o200,
    "O_NOCTTY": 0o400,
    "O_TRUNC": 0o1000,
    "O_APPEND": 0o2000,
    "O_NONBLOCK": 0o4000,
    "O_DSYNC": 0o10000,
    "FASYNC": 0o20000,
    "O_DIRECT": 0o40000,
    "O_LARGEFILE": 0o100000,
    "O_DIRECTORY": 0o200000,
    "O_NOFOLLOW": 0o400000,
    "O_NOATIME": 0o1000000,
    "O_CLOEXEC": 0o2000000,
    "__O_SYNC": 0o4000000,
    "O_PATH": 0o10000000,
    "__O_TMPFILE": 0o20000000,
}
"""The kernel's, each bit by itself: include/uapi/asm-generic/fcntl.h."""

RESOLVE_FLAGS: Final = {
    "RESOLVE_NO_XDEV": 1,
    "RESOLVE_NO_MAGICLINKS": 2,
    "RESOLVE_NO_SYMLINKS": 4,
    "RESOLVE_BENEATH": 8,
    "RESOLVE_IN_ROOT": 16,
    "RESOLVE_CACHED": 32,
}

AT_FLAGS: Final = {
    "AT_SYMLINK_NOFOLLOW": 0x100,
    "AT_EACCESS": 0x200,
    "AT_NO_AUTOMOUNT": 0x800,
    "AT_EMPTY_PATH": 0x1000,
    "AT_STATX_FORCE_SYNC": 0x2000,
    "AT_STATX_DONT_SYNC": 0x4000,
}

ACCESS_MODES: Final = {"X_OK": 1, "W_OK": 2, "R_OK": 4}

O_CREAT: Final = OPEN_FLAGS["O_CREAT"]
O_NONBLOCK: Final = OPEN_FLAGS["O_NONBLOCK"]
O_PATH: Final = OPEN_FLAGS["O_PATH"]
O_TMPFILE: Final = OPEN_FLAGS["__O_TMPFILE"]
O_DIRECTORY: Final = OPEN_FLAGS["O_DIRECTORY"]

FIFO_HELD: Final = 105

BEFORE: Final = (
    Call("chdir", (Text(b"@"),)),
    Call("openat", (AT_FDCWD, Text(b"fifo"), os.O_RDWR | O_NONBLOCK)),  # then no open of it has to wait
    Call("fcntl", (3, 0, FIFO_HELD)),
    Call("openat", (AT_FDCWD, Text(b"sub"), O_DIRECTORY)),
    Call("open", (Text(b"plain"), os.O_RDWR)),
    Call("openat", (AT_FDCWD, Text(b"sub"), O_PATH)),
    Call("openat", (AT_FDCWD, Text(b"to-plain"), O_PATH | OPEN_FLAGS["O_NOFOLLOW"])),
    Call("open", (Text(b"."), os.O_RDONLY)),
    Call("open", (Text(b"@/plain"), O_PATH)),
    Call("open", (Text(b"rmdir"), os.O_RDONLY)),
)
"""What every sequence begins with: fds 3 to 9 of some kinds.  Those of 100 and above were there before."""

MODES: Final = (
    0o644,
    0o666,
    0o666,
    0o600,
    0o777,
    0,
    0o7777,
    0o1777,
    0o2755,
    0o4755,
    0o444,
    0o100644,
    0xFFFF,
    0x10000 | 0o644,
)


def _flags_of(draw: Draw, table: dict[str, int], most: int) -> int:
    flags = 0
    for _ in range(draw.below(most + 1)):
        flags |= draw.pick(list(table.values()))
    return flags


SANE: Final = (
    0, 0, 0, 1, 2, 2, O_CREAT | 1, O_CREAT | 2, O_CREAT | 0o1001, O_CREAT | 0o201, O_DIRECTORY, O_DIRECTORY, 0o1001,
    0o2001, O_PATH, O_PATH | O_DIRECTORY, O_PATH | 0o400000, 0o400000, O_TMPFILE | O_DIRECTORY | 2,
    O_TMPFILE | O_DIRECTORY | 1, O_TMPFILE | O_DIRECTORY | 0o202, 0o1000, O_CREAT,
)  # fmt: skip


HARMLESS: Final = {
    name: bit
    for name, bit in OPEN_FLAGS.items()
    if name
    not in {"O_WRONLY", "O_RDWR", "O_CREAT", "O_EXCL", "O_DIRECTORY", "O_NOFOLLOW", "O_PATH", "__O_TMPFILE", "O_TRUNC"}
}
"""Flags that change how a file is open, and not whether it can be."""


def _open_flags(draw: Draw, path: Argument) -> int:
    flags = draw.pick(SANE)
    if draw.one_in(2):
        flags |= _flags_of(draw, HARMLESS if draw.one_in(2) else OPEN_FLAGS, 3)
    if draw.one_in(6):
        flags = _flags_of(draw, OPEN_FLAGS, 6)
    if draw.one_in(2) or _may_wait(path):
        flags |= O_NONBLOCK
    return flags


def _fitting(draw: Draw, path: Argument, flags: int) -> Argument:
    """Return a path that *flags* can be used with, or *path*, with which they perhaps cannot."""
    if flags & O_DIRECTORY and not draw.one_in(4):
        return Text(
            draw.pick([b".", b"..", b"@", b"@/sub", b"@/to-sub", b"@/to-here", b"@/acl", b"@/group", b"@/sticky"])
        )
    return path


def _may_wait(path: Argument) -> bool:
    return not isinstance(path, Text) or LONE in path.text


def _open(draw: Draw) -> tuple[Argument, ...]:
    path = any_path(draw)
    flags = _open_flags(draw, path)
    path = _fitting(draw, path, flags)
    if draw.one_in(60):
        path, flags = Text(draw.pick([b"%", b"/proc/self/exe"])), draw.pick([1, 2, 0o1001])  # of a program that runs
    if draw.one_in(20):
        flags |= draw.pick([1 << 26, 1 << 31, 1 << 25, 0o4])
    return path, as_int(draw, flags), draw.pick(MODES) | draw.pick(GARBAGE)


def _creat(draw: Draw) -> tuple[Argument, ...]:
    path = any_path(draw)
    if _may_wait(path):  # there is no flag that would keep it from waiting
        path = Text(b"made")
    return path, draw.pick(MODES) | draw.pick(GARBAGE)


def _openat(draw: Draw) -> tuple[Argument, ...]:
    return directory(draw), *_open(draw)


_SIZES: Final = (*(24,) * 40, 32, 32, 32, 0, 8, 23, 25, 4096, 4097, 1 << 32, (1 << 64) - 1)


def _openat2(draw: Draw) -> tuple[Argument, ...]:
    path = any_path(draw)
    flags = _open_flags(draw, path)
    path = _fitting(draw, path, flags)
    mode = 0
    if flags & (O_CREAT | O_TMPFILE) or draw.one_in(20):
        mode = draw.pick(MODES) & (0xFFFF if draw.one_in(20) else 0o7777)
    if flags & O_PATH and not draw.one_in(10):
        flags &= O_PATH | O_DIRECTORY | 0o2400000
    if draw.one_in(40):
        flags |= draw.pick([1 << 26, 1 << 31, 1 << 63])
    resolve = 0
    if draw.one_in(3):
        resolve = _flags_of(draw, RESOLVE_FLAGS, 2)
    if draw.one_in(40):
        resolve |= draw.pick([64, 1 << 63])
    size = draw.pick(_SIZES)
    how = struct.pack("=QQQ", flags, mode, resolve)[: min(size, 24)]
    tail = max(min(size, 4097) - 24, 0)
    struct_at: Argument = Struct(how, tail, last=bool(tail) and draw.one_in(2), edge=draw.one_in(6))
    if draw.one_in(20) and size:
        struct_at = draw.pick([0, UNMAPPED, KERNEL])
    return directory(draw), path, struct_at, size


def _at_flags(draw: Draw, wanted: int) -> int:
    flags = draw.pick([0, 0, 0, 0x100, 0x1000, 0x1100, 0x800, wanted, wanted, 0x1000 | wanted])
    if draw.one_in(4):
        flags |= _flags_of(draw, AT_FLAGS, 2)
    if draw.one_in(40):
        flags |= draw.pick([1, 0x400, 0x8000, 1 << 31])
    return as_int(draw, flags)


def _empty_or(draw: Draw, path: Argument) -> Argument:
    return Text(b"") if draw.one_in(6) else path


def _newfstatat(draw: Draw) -> tuple[Argument, ...]:
    return directory(draw), _empty_or(draw, any_path(draw)), room(draw, 144), _at_flags(draw, 0x4000)


def _statx(draw: Draw) -> tuple[Argument, ...]:
    mask = draw.pick([0x7FF, 0xFFF, 0x17FF, 0, 1, 0x1FFF, 0x7FFFFFFF, 0xFFF, 0x7FF, 0x7FF, 0xFFFFFFFF])
    return (
        directory(draw),
        _empty_or(draw, any_path(draw)),
        _at_flags(draw, 0x2000),
        as_int(draw, mask),
        room(draw, 256),
    )


def _access_mode(draw: Draw) -> int:
    return as_int(draw, draw.pick([*range(8), *range(8), 0, 4, 4, 8, -1]))


def _faccessat2(draw: Draw) -> tuple[Argument, ...]:
    return directory(draw), _empty_or(draw, any_path(draw)), _access_mode(draw), _at_flags(draw, 0x200)


def _link_path(draw: Draw) -> Argument:
    if draw.one_in(3):
        return any_path(draw)
    return Text(draw.pick([b"@/" + name for name, _ in LINKS] + [path for path in IN_PROC if path.count(b"/") > 1]))


def _link_room(draw: Draw) -> tuple[Argument, int]:
    size = draw.pick([4096, 4096, 4096, 4096, 4096, 100, 5, 4, 1, 0, -1, -0x80000000])
    return room(draw, max(size, 1)), as_int(draw, size)


def _attribute_room(draw: Draw) -> tuple[Argument, int]:
    size = draw.pick([1001, 65536, 1000, 100, 0, 0, 1, 999, 65537])
    return room(draw, max(size, 1)), size | draw.pick(GARBAGE[:8]) if size >= 1000 else size


def _attribute(draw: Draw) -> Argument:
    if draw.one_in(20):
        return draw.pick([0, UNMAPPED, KERNEL])
    return Text(draw.pick(ATTRIBUTES), edge=draw.pick([False] * 20 + [True, None]))


def _attribute_path(draw: Draw) -> Argument:
    return (
        Text(draw.pick([b"@/plain", b"@/plain", b"@/hard", b"@/sub", b"@/to-plain", b"@/theirs"]))
        if draw.one_in(2)
        else any_path(draw)
    )


def _rlimit(draw: Draw) -> tuple[Argument, ...]:
    limit = draw.pick([0, 3, 9, 10, 10, 11, 12, 101, *(1024,) * 8])
    return 0, 7, Struct(struct.pack("=QQ", limit, 1024)), 0


BROKERED: Final[dict[str, tuple[int, Callable[[Draw], tuple[Argument, ...]]]]] = {
    "open": (9, _open),
    "openat": (13, _openat),
    "openat2": (24, _openat2),
    "creat": (3, _creat),
    "stat": (3, lambda draw: (any_path(draw), room(draw, 144))),
    "lstat": (3, lambda draw: (any_path(draw), room(draw, 144))),
    "newfstatat": (14, _newfstatat),
    "statx": (14, _statx),
    "statfs": (3, lambda draw: (any_path(draw), room(draw, 120))),
    "access": (3, lambda draw: (any_path(draw), _access_mode(draw))),
    "faccessat": (3, lambda draw: (directory(draw), any_path(draw), _access_mode(draw))),
    "faccessat2": (14, _faccessat2),
    "readlink": (3, lambda draw: (_link_path(draw), *_link_room(draw))),
    "readlinkat": (4, lambda draw: (directory(draw), _empty_or(draw, _link_path(draw)), *_link_room(draw))),
    "getxattr": (4, lambda draw: (_attribute_path(draw), _attribute(draw), *_attribute_room(draw))),
    "lgetxattr": (4, lambda draw: (_attribute_path(draw), _attribute(draw), *_attribute_room(draw))),
    "listxattr": (2, lambda draw: (_attribute_path(draw), *_attribute_room(draw))),
    "llistxattr": (2, lambda draw: (_attribute_path(draw), *_attribute_room(draw))),
    "chdir": (3, lambda draw: (any_path(draw),)),
    **CHANGES,
}
"""The calls that are done for a target: weight, and what draws their arguments."""

BETWEEN: Final[dict[str, tuple[int, Callable[[Draw], tuple[Argument, ...]]]]] = {
    "chdir": (4, lambda _draw: (Text(b"@"),)),
    "close": (4, lambda draw: (3 + draw.below(12),)),
    "umask": (2, lambda draw: (draw.pick([0, 0o22, 0o27, 0o77, 0o777]),)),
    "prlimit64": (3, _rlimit),
    "write": (2, lambda draw: (5 + draw.below(10), Struct(b"written"), 7)),
    "getcwd": (1, lambda _draw: (Room(4096), 4096)),
}  # fmt: skip
"""Calls that the kernel does, and that change what the others find."""

_WEIGHTED: Final = [
    (name, arguments)
    for table in (BROKERED, BETWEEN)
    for name, (weight, arguments) in table.items()
    for _ in range(weight)
]


BYTES_PER_CALL: Final = 64
CALLS_PER_SEQUENCE: Final = 40


def sequence(data: bytes) -> list[Call]:
    """Return the calls that *data* stands for."""
    calls = []
    for at in range(0, len(data), BYTES_PER_CALL):
        draw = Draw(data[at : at + BYTES_PER_CALL])
        name, arguments = draw.pick(_WEIGHTED)
        calls.append(Call(name, arguments(draw)))
    return calls


SEQUENCES: Final = st.binary(
    min_size=BYTES_PER_CALL * CALLS_PER_SEQUENCE, max_size=BYTES_PER_CALL * CALLS_PER_SEQUENCE
).map(sequence)


def drawn(count: int, number: int) -> list[list[Call]]:
    """Return so many sequences that they have *count* calls; *number* is the seed."""
    found: list[list[Call]] = []

    @seed(number)
    @settings(
        max_examples=-(-count // CALLS_PER_SEQUENCE),
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(SEQUENCES)
    def collect(calls: list[Call]) -> None:
        found.append(calls)

    collect()
    return found


def flags_in(call: Call) -> Sequence[str]:
    """Return the names of the flags that *call* has."""
    tables: dict[str, tuple[int, dict[str, int]]] = {
        "open": (1, OPEN_FLAGS),
        "openat": (2, OPEN_FLAGS),
        "newfstatat": (3, AT_FLAGS),
        "statx": (2, AT_FLAGS),
        "access": (1, ACCESS_MODES),
        "faccessat": (2, ACCESS_MODES),
        "faccessat2": (3, AT_FLAGS),
        **CHANGE_FLAGS,
    }
    if call.name == "openat2" and isinstance(call.args[2], Struct) and len(call.args[2].data) >= 24:
        flags, _, resolve = struct.unpack_from("=QQQ", call.args[2].data)
        return [*_named(flags, OPEN_FLAGS), *_named(resolve, RESOLVE_FLAGS)]
    if call.name not in tables:
        return []
    register, table = tables[call.name]
    value = call.args[register]
    assert isinstance(value, int)
    return _named(value, table)


def _named(value: int, table: dict[str, int]) -> list[str]:
    return [name for name, bit in table.items() if value & bit]
