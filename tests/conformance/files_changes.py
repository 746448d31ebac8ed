"""
Sequences of file calls, the part that changes: names, modes, owners, times, sizes, attributes, watches.

What it is not: the opens and looks (``files_calls``), or their paths (``files_paths``).
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable
from typing import Final

from tests.conformance.files_paths import (
    ATTRIBUTES,
    FDS,
    GARBAGE,
    LONE,
    NEW,
    ORDINARY,
    Draw,
    any_path,
    as_int,
    directory,
    room,
)
from tests.conformance.files_script import KERNEL, OUTPUT_END, READ_ONLY, UNMAPPED, Argument, Room, Struct, Text
from tests.conformance.files_tree import LONG_AGO, OTHER, USER

INOTIFY: Final = 107
FANOTIFY: Final = 108
"""Fds of files_target.c."""

SOMEWHERE: Final = OUTPUT_END - 0x8000
"""Where a result may be written that nobody compares."""

RENAME_FLAGS: Final = {"RENAME_NOREPLACE": 1, "RENAME_EXCHANGE": 2, "RENAME_WHITEOUT": 4}
LINK_FLAGS: Final = {"AT_SYMLINK_FOLLOW": 0x400, "AT_EMPTY_PATH": 0x1000}
REMOVE_FLAGS: Final = {"AT_REMOVEDIR": 0x200}
PATH_FLAGS: Final = {"AT_SYMLINK_NOFOLLOW": 0x100, "AT_EMPTY_PATH": 0x1000}
XATTR_FLAGS: Final = {"XATTR_CREATE": 1, "XATTR_REPLACE": 2}
INOTIFY_FLAGS: Final = {
    "IN_MODIFY": 0x2,
    "IN_ALL_EVENTS": 0xFFF,
    "IN_ONLYDIR": 0x01000000,
    "IN_DONT_FOLLOW": 0x02000000,
    "IN_EXCL_UNLINK": 0x04000000,
    "IN_MASK_CREATE": 0x10000000,
    "IN_MASK_ADD": 0x20000000,
    "IN_ONESHOT": 0x80000000,
}
FANOTIFY_FLAGS: Final = {
    "FAN_MARK_ADD": 0x1,
    "FAN_MARK_REMOVE": 0x2,
    "FAN_MARK_DONT_FOLLOW": 0x4,
    "FAN_MARK_ONLYDIR": 0x8,
    "FAN_MARK_IGNORED_MASK": 0x20,
    "FAN_MARK_FLUSH": 0x80,
    "FAN_MARK_EVICTABLE": 0x200,
    "FAN_MARK_IGNORE": 0x400,
}

_FRESH: Final = (
    *NEW, b"@/made", b"@/made-2", b"@/sub/made", b"@/sub/deep/made", b"@/rmdir/made", b"@/sub/up/made-3", b"made-dir",
    b"@/made-dir", b"made-dir/made", b"../made", b"@/to-sub/made", b"\xff\xff", b"new (deleted)",
    *(b"@/new-%d" % number for number in range(20)), *(b"new-%d" % number for number in range(20, 30)),
    *(b"@/sub/new-%d" % number for number in range(10)),
)  # fmt: skip

_EXISTING: Final = (
    b"@/plain", b"plain", b"@/empty", b"sub/one", b"@/sub/deep/three", b"to-plain", b"@/to-sub", b"@/to-nothing",
    b"@/hard", b"@/fifo", b"@/socket", b"@/null", b"@/made", b"@/made-2", b"@/with space", b"@/gone", b"tool",
    b"@/gone (deleted)", b"@/sticky/mine", b"@/sticky/theirs", b"@/sticky/other", b"@/group/member", b"@/frozen",
    b"@/grows", b"@/theirs", b"@/sub/hard",
)  # fmt: skip

_TAGGED: Final = (b"@/plain", b"@/plain", b"@/hard", b"@/sub", b"plain", b"@/to-plain")

_DIRECTORIES: Final = (
    b"@/rmdir", b"@/dir (deleted)", b"@/acl", b"@/made", b"@/made-dir", b"rmdir", b"@/sub", b"@/sub/deep", b"@/drop",
    b"@/group", b"@/sticky", b"@/closed", b"@/made-2", b"@/sub/made",
)  # fmt: skip

_NAMES: Final = (b".", b"..", b"/", b"//", b"@", b"@/", b"@/.", b"@/sub/..", b"sub/", b"@/plain/", b"", b"@/../..")

MODES: Final = (
    0o644, 0o600, 0o755, 0o777, 0o700, 0, 0o7777, 0o4755, 0o2755, 0o1777, 0o444, 0xFFFF, 0x10000 | 0o644,
)  # fmt: skip

NODES: Final = (
    0o644, 0o600, stat.S_IFIFO | 0o600, stat.S_IFIFO | 0o644, stat.S_IFSOCK | 0o600, stat.S_IFREG | 0o600,
    stat.S_IFIFO | 0o666, stat.S_IFSOCK | 0o755, stat.S_IFCHR | 0o666, stat.S_IFBLK | 0o600, stat.S_IFDIR | 0o755,
    stat.S_IFLNK | 0o777, 0o170000 | 0o644, 0x10000 | stat.S_IFIFO | 0o644,
)  # fmt: skip

_OWN_ATTRIBUTES: Final = (b"user.one", b"user.one", b"user.one", b"user.long", b"user.empty", b"user.two")

_IDS: Final = (USER, USER, OTHER, 0, 0xFFFFFFFF, 0xFFFFFFFF, 1000, 0xFFFFFFFE)
_NOW, _OMIT = 0x3FFFFFFF, 0x3FFFFFFE


def _some(draw: Draw, likely: tuple[bytes, ...]) -> Argument:
    """Return one of the *likely* paths, or any other."""
    kind = draw.below(12)
    if kind < 9:
        path = draw.pick(likely)
        return Text(path + b"/" if draw.one_in(10) else path)
    other = Text(draw.pick(_NAMES)) if kind == 9 else any_path(draw)
    return Text(b"@/fifo") if isinstance(other, Text) and LONE in other.text else other  # nobody waits at a new name


def _mode(draw: Draw) -> int:
    return draw.pick(MODES) | draw.pick(GARBAGE)


def _at(*arguments: Callable[[Draw], Argument]) -> Callable[[Draw], tuple[Argument, ...]]:
    return lambda draw: tuple(argument(draw) for argument in arguments)


def _fresh(draw: Draw) -> Argument:
    return _some(draw, _FRESH)


def _existing(draw: Draw) -> Argument:
    return _some(draw, _EXISTING)


def _changed(draw: Draw) -> Argument:
    return any_path(draw) if draw.one_in(3) else Text(draw.pick(ORDINARY))


def _tagged(draw: Draw) -> Argument:
    """Return a path, likely of what has attributes."""
    return _changed(draw) if draw.one_in(3) else Text(draw.pick(_TAGGED))


def _old(draw: Draw) -> Argument:
    return _some(draw, _DIRECTORIES if draw.one_in(4) else _EXISTING)


def _new(draw: Draw) -> Argument:
    return _old(draw) if draw.one_in(3) else _fresh(draw)


def _flag(draw: Draw, table: dict[str, int], wrong: int) -> int:
    flags = draw.pick([0, 0, 0, *table.values()])
    if draw.one_in(6):
        flags |= draw.pick([*table.values()])
    if draw.one_in(30):
        flags |= wrong
    return as_int(draw, flags)


def _text(draw: Draw) -> Argument:
    odd: tuple[Argument, ...] = (Text(b""), Text(b"x" * 4095), Text(b"x" * 4096), 0, KERNEL, Text(b"x", edge=None))
    if draw.one_in(20):
        return draw.pick(odd)
    return Text(draw.pick([b"plain", b"sub", b"@/plain", b"nothing", b"../x", b"to-itself", b"/", b"\xff", b"sub/"]))


def _mknod(draw: Draw) -> tuple[Argument, ...]:
    device = draw.pick([0, (1 << 8) | 3, (1 << 8) | 5, (250 << 8) | 77])
    path, mode = _fresh(draw), draw.pick(NODES)
    if stat.S_ISFIFO(mode & 0xFFFF):
        path = Text(draw.pick([b"@/lone-2", b"@/lone", b"lone-3/", b"@/sub/lone", b"@/closed/lone", b"@/no/lone"]))
    return path, mode | draw.pick(GARBAGE), as_int(draw, device)


def _linkat(draw: Draw) -> tuple[Argument, ...]:
    flags = _flag(draw, LINK_FLAGS, 0x100)
    old = Text(b"") if flags & 0x1000 and draw.one_in(2) else _existing(draw)
    return directory(draw), old, directory(draw), _fresh(draw), flags


def _at_path(draw: Draw, flags: int, path: Callable[[Draw], Argument] = _changed) -> Argument:
    return Text(b"") if flags & 0x1000 and draw.one_in(2) else path(draw)


def _chmodat(draw: Draw) -> tuple[Argument, ...]:
    flags = _flag(draw, PATH_FLAGS, 0x400)
    return directory(draw), _at_path(draw, flags), _mode(draw), flags


def _id(draw: Draw) -> int:
    return as_int(draw, draw.pick(_IDS))


def _chownat(draw: Draw) -> tuple[Argument, ...]:
    flags = _flag(draw, PATH_FLAGS, 0x200)
    return directory(draw), _at_path(draw, flags), _id(draw), _id(draw), flags


def _address(draw: Draw, data: bytes) -> Argument:
    odd: tuple[Argument, ...] = (0, 0, 0, UNMAPPED, KERNEL, Struct(data[:-1], edge=True))
    return draw.pick(odd) if draw.one_in(6) else Struct(data)


def _second(draw: Draw) -> int:
    return draw.pick([LONG_AGO, 5, 0, -1, LONG_AGO + 7, 1 << 33])


def _utime(draw: Draw) -> tuple[Argument, ...]:
    return _changed(draw), _address(draw, struct.pack("=qq", _second(draw), _second(draw)))


def _timevals(draw: Draw) -> Argument:
    parts = [draw.pick([0, 0, 0, 0, 0, 0, 999_999, 1, 999_999, 1, 1_000_000, -1]) for _ in range(2)]
    return _address(draw, struct.pack("=qqqq", _second(draw), parts[0], _second(draw), parts[1]))


def _timespecs(draw: Draw) -> Argument:
    parts = [draw.pick([0, 0, 0, _NOW, _NOW, _OMIT, _OMIT, 999_999_999, 1_000_000_000, -1]) for _ in range(2)]
    return _address(draw, struct.pack("=qqqq", _second(draw), parts[0], _second(draw), parts[1]))


def _utimensat(draw: Draw) -> tuple[Argument, ...]:
    flags = _flag(draw, PATH_FLAGS, 0x400)
    path: Argument = 0 if draw.one_in(4) else _at_path(draw, flags)
    return directory(draw), path, _timespecs(draw), flags


def _futimesat(draw: Draw) -> tuple[Argument, ...]:
    return directory(draw), 0 if draw.one_in(6) else _changed(draw), _timevals(draw)


def _length(draw: Draw) -> int:
    return draw.pick([0, 0, 0, 1, 3, 3, 100, 100, 5000, 5000, -1, -(1 << 63), (1 << 63) - 1])


def _fd(draw: Draw) -> int:
    return as_int(draw, draw.pick([*(4, 5, 5, 5, 5, 8, 9) * 12, *FDS]))


def _attribute(draw: Draw) -> Argument:
    return Text(draw.pick(ATTRIBUTES if draw.one_in(3) else _OWN_ATTRIBUTES))


def _value(draw: Draw) -> tuple[Argument, ...]:
    flags = _flag(draw, XATTR_FLAGS, 4)
    size = draw.pick([0, 1, *(5,) * 10, 1000, 1000, 65536, 65537, 1 << 40])
    odd: tuple[Argument, ...] = (0, UNMAPPED, KERNEL)
    data: Argument = draw.pick(odd) if draw.one_in(12) else Struct(b"value", 995)
    return data, size, flags


def _setxattr(draw: Draw) -> tuple[Argument, ...]:
    return _tagged(draw), _attribute(draw), *_value(draw)


def _fsetxattr(draw: Draw) -> tuple[Argument, ...]:
    return _fd(draw), _attribute(draw), *_value(draw)


def _xattr_args(draw: Draw, address: int, size: int, flags: int) -> tuple[Argument, ...]:
    """Return the struct of the calls of Linux 6.13, and its size."""
    usize = draw.pick([*(16,) * 20, 24, 24, 15, 0, 4096, 4097])
    tail = max(min(usize, 4096) - 16, 0)
    data = struct.pack("=QII", address, size, flags & 0xFFFFFFFF)[: min(usize, 16)]
    odd: tuple[Argument, ...] = (0, UNMAPPED, KERNEL)
    given: Argument = draw.pick(odd) if draw.one_in(20) else Struct(data, tail, last=bool(tail) and draw.one_in(3))
    return given, usize


def _setxattrat(draw: Draw) -> tuple[Argument, ...]:
    flags = _flag(draw, PATH_FLAGS, 0x400)
    size = draw.pick([0, 0, 0, 5])
    given = _xattr_args(draw, draw.pick([*(READ_ONLY,) * 12, 0, KERNEL]), size, _flag(draw, XATTR_FLAGS, 4))
    return directory(draw), _at_path(draw, flags, _tagged), flags, _attribute(draw), *given


def _getxattrat(draw: Draw) -> tuple[Argument, ...]:
    flags = _flag(draw, PATH_FLAGS, 0x400)
    value, size = draw.pick([*(SOMEWHERE,) * 12, 0, KERNEL]), draw.pick([0, 0, 1000, 1000, 1000, 100])
    given = _xattr_args(draw, value, size, draw.pick([*(0,) * 20, 1]))
    return directory(draw), _at_path(draw, flags, _tagged), flags, _attribute(draw), *given


def _listxattrat(draw: Draw) -> tuple[Argument, ...]:
    flags, size = _flag(draw, PATH_FLAGS, 0x400), draw.pick([0, 1000, 1000, 5, 65536])
    return directory(draw), _at_path(draw, flags), flags, room(draw, max(size, 1)), size


def _removexattrat(draw: Draw) -> tuple[Argument, ...]:
    flags = _flag(draw, PATH_FLAGS, 0x400)
    return directory(draw), _at_path(draw, flags, _tagged), flags, _attribute(draw)


def _file_getattr(draw: Draw) -> tuple[Argument, ...]:
    flags, size = _flag(draw, PATH_FLAGS, 0x400), draw.pick([*(24,) * 12, 32, 100, 23, 0, 4096, 4097])
    return directory(draw), _at_path(draw, flags), Room(max(size, 1)), size, flags


def _file_setattr(draw: Draw) -> tuple[Argument, ...]:
    flags, size = _flag(draw, PATH_FLAGS, 0x400), draw.pick([*(24,) * 12, 32, 23, 0, 4097])
    xflags = draw.pick([0, 0, 0, 0, 0x40, 0x80, 0x80000000, 1 << 40])  # FS_XFLAG_NOATIME, NODUMP
    data = struct.pack("=QIIII", xflags, 0, 0, 0, 0)
    tail = max(size - 24, 0)
    return directory(draw), _at_path(draw, flags), Struct(data, tail, last=bool(tail) and draw.one_in(2)), size, flags


def _inotify_add_watch(draw: Draw) -> tuple[Argument, ...]:
    mask = 0 if draw.one_in(8) else 0xFFF
    for _ in range(draw.below(3)):
        mask |= draw.pick([*INOTIFY_FLAGS.values()])
    return as_int(draw, draw.pick([*(INOTIFY,) * 120, *FDS])), _changed(draw), as_int(draw, mask)


def _fanotify_mark(draw: Draw) -> tuple[Argument, ...]:
    flags = draw.pick([*(1,) * 12, 2])
    if draw.one_in(2):
        flags |= draw.pick([*FANOTIFY_FLAGS.values()])
    mask = draw.pick([*(2, 0x3B, 0x40000002, 0x08000002) * 6, 0, 1 << 40, 0x10000])
    path: Argument = 0 if draw.one_in(8) else _changed(draw)
    return as_int(draw, draw.pick([*(FANOTIFY,) * 120, *FDS])), as_int(draw, flags), mask, directory(draw), path


CHANGES: Final[dict[str, tuple[int, Callable[[Draw], tuple[Argument, ...]]]]] = {
    "mkdir": (3, _at(_fresh, _mode)),
    "mkdirat": (3, _at(directory, _fresh, _mode)),
    "mknod": (3, _mknod),
    "mknodat": (3, lambda draw: (directory(draw), *_mknod(draw))),
    "symlink": (3, _at(_text, _fresh)),
    "symlinkat": (3, _at(_text, directory, _fresh)),
    "link": (3, _at(_existing, _fresh)),
    "linkat": (5, _linkat),
    "unlink": (3, _at(_existing)),
    "unlinkat": (3, lambda draw: (directory(draw), _old(draw), _flag(draw, REMOVE_FLAGS, 0x100))),
    "rmdir": (3, lambda draw: (_some(draw, _DIRECTORIES),)),
    "rename": (5, _at(_old, _new)),
    "renameat": (3, _at(directory, _old, directory, _new)),
    "renameat2": (
        5,
        lambda draw: (directory(draw), _old(draw), directory(draw), _new(draw), _flag(draw, RENAME_FLAGS, 8)),
    ),
    "chmod": (3, _at(_changed, _mode)),
    "fchmodat": (3, _at(directory, _changed, _mode)),
    "fchmodat2": (4, _chmodat),
    "fchmod": (3, _at(_fd, _mode)),
    "chown": (3, _at(_changed, _id, _id)),
    "lchown": (3, _at(_changed, _id, _id)),
    "fchownat": (4, _chownat),
    "fchown": (3, _at(_fd, _id, _id)),
    "utime": (3, _utime),
    "utimes": (3, lambda draw: (_changed(draw), _timevals(draw))),
    "futimesat": (3, _futimesat),
    "utimensat": (5, _utimensat),
    "truncate": (4, lambda draw: (_changed(draw), _length(draw))),
    "ftruncate": (3, lambda draw: (_fd(draw), _length(draw))),
    "setxattr": (3, _setxattr),
    "lsetxattr": (3, _setxattr),
    "fsetxattr": (3, _fsetxattr),
    "setxattrat": (4, _setxattrat),
    "getxattrat": (4, _getxattrat),
    "listxattrat": (3, _listxattrat),
    "removexattr": (3, _at(_tagged, _attribute)),
    "lremovexattr": (3, _at(_tagged, _attribute)),
    "fremovexattr": (3, _at(_fd, _attribute)),
    "removexattrat": (3, _removexattrat),
    "file_getattr": (4, _file_getattr),
    "file_setattr": (4, _file_setattr),
    "inotify_add_watch": (5, _inotify_add_watch),
    "fanotify_mark": (10, _fanotify_mark),
}
"""The calls: weight, and what draws their arguments."""

FLAGS: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "unlinkat": (2, REMOVE_FLAGS),
    "renameat2": (4, RENAME_FLAGS),
    "linkat": (4, LINK_FLAGS),
    **dict.fromkeys(("fchmodat2", "utimensat"), (3, PATH_FLAGS)),
    **dict.fromkeys(("fchownat", "file_getattr", "file_setattr"), (4, PATH_FLAGS)),
    **dict.fromkeys(("setxattrat", "getxattrat", "listxattrat", "removexattrat"), (2, PATH_FLAGS)),
    **dict.fromkeys(("setxattr", "lsetxattr", "fsetxattr"), (4, XATTR_FLAGS)),
    "inotify_add_watch": (2, INOTIFY_FLAGS),
    "fanotify_mark": (1, FANOTIFY_FLAGS),
}
"""The register in which the flags of a call stand, and which there are."""
