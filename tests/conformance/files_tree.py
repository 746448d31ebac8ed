"""
The tree in which file calls are made: links of every kind, odd names, owners, modes; made, told and removed.

What it is not: what is done in it.  Every tree is the same, but for its own name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from typing import Final

LONG_AGO: Final = 1_000_000_000
"""When everything in a tree was read and written last."""

USER: Final = 65534
OTHER: Final = 1

LONGEST: Final = b"n" * 255

FILES: Final[tuple[tuple[bytes, int, bytes], ...]] = (
    (b"plain", 0o644, b"text\n"),
    (b"empty", 0o600, b""),
    (b"tool", 0o755, b"#!/bin/sh\n"),
    (b"private", 0o600, b"of its owner\n"),
    (b"theirs", 0o600, b"of root\n"),
    (b"readable", 0o444, b"of root, for all\n"),
    (b"nobody's", 0o000, b"nothing\n"),
    (b"set-ids", 0o6755, b"set-ids\n"),
    (b"frozen", 0o644, b"immutable\n"),
    (b"grows", 0o644, b"append only\n"),
    (b"\xff\xfe", 0o644, b"no UTF-8\n"),
    (b"with space", 0o644, b"space\n"),
    (b"gone (deleted)", 0o644, b"not deleted\n"),
    (b"gone", 0o644, b"likewise\n"),
    (b"new\nline", 0o644, b"line\n"),
    (b"back\\134slash", 0o644, b"slash\n"),
    (LONGEST, 0o644, b"long\n"),
    (b"sub/one", 0o644, b"one\n"),
    (b"sub/deep/three", 0o644, b"three\n"),
    (b"sticky/mine", 0o666, b"mine\n"),
    (b"sticky/theirs", 0o666, b"theirs\n"),
    (b"sticky/other", 0o666, b"other\n"),
    (b"group/member", 0o664, b"member\n"),
    (b"closed/inside", 0o644, b"inside\n"),
    (b"listed/inside", 0o644, b"inside\n"),
    (b"drop/inside", 0o644, b"inside\n"),
)
"""Name, mode and content."""

DIRECTORIES: Final[tuple[tuple[bytes, int], ...]] = (
    (b"sub", 0o755),
    (b"sub/deep", 0o755),
    (b"sticky", 0o1777),
    (b"group", 0o2775),
    (b"closed", 0o000),
    (b"listed", 0o444),
    (b"drop", 0o333),
    (b"acl", 0o755),
    (b"rmdir", 0o755),
    (b"dir (deleted)", 0o755),
)

LINKS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"to-plain", b"plain"),
    (b"to-sub", b"sub"),
    (b"to-sub-slash", b"sub/"),
    (b"to-plain-slash", b"plain/"),
    (b"to-here", b"."),
    (b"sub/up", b".."),
    (b"to-inside", b"sub/up/sub/../sub/one"),
    (b"to-absolute", b"@/sub/deep/three"),
    (b"to-root", b"/"),
    (b"to-nothing", b"made"),
    (b"to-nothing-slash", b"made/"),
    (b"to-nowhere", b"no/where"),
    (b"to-absolute-nothing", b"@/sub/made"),
    (b"to-to-nothing", b"to-nothing"),
    (b"to-itself", b"to-itself"),
    (b"loop-a", b"loop-b"),
    (b"loop-b", b"sub/../loop-a"),
    (b"to-fifo", b"fifo"),
    (b"to-long-name", LONGEST),
    (b"to-too-long", LONGEST + b"n"),
    (b"to-longest-path", b"./" * 2045 + b"plain"),
    (b"to-null", b"/dev/null"),
    (b"to-self", b"/proc/self"),
    (b"to-own-plain", b"/proc/self/cwd/plain"),
    (b"to-fd", b"/dev/fd/5"),
    (b"to-fd-of-self", b"/proc/self/fd/4"),
    (b"sticky/link", b"../plain"),
    (b"closed/link", b"../plain"),
    (b"to-closed", b"closed/inside"),
)
"""Name and text; ``@`` stands for the tree."""

HARD_LINKS: Final = ((b"hard", b"plain"), (b"sub/hard", b"sub/one"))

NODES: Final[tuple[tuple[bytes, int, tuple[int, int]], ...]] = (
    (b"fifo", stat.S_IFIFO | 0o666, (0, 0)),
    (b"lone", stat.S_IFIFO | 0o666, (0, 0)),
    (b"sticky/lone", stat.S_IFIFO | 0o666, (0, 0)),
    (b"socket", stat.S_IFSOCK | 0o755, (0, 0)),
    (b"null", stat.S_IFCHR | 0o666, (1, 3)),
    (b"no-device", stat.S_IFCHR | 0o666, (250, 77)),
    (b"no-disk", stat.S_IFBLK | 0o666, (251, 77)),
)

_OF_ROOT: Final = (b"theirs", b"readable", b"sticky", b"sticky/theirs", b"closed/link")
_OF_OTHERS: Final = (b"sticky/other", b"sticky/lone", b"sticky/link")

_ATTRIBUTES: Final = (
    (b"plain", b"user.one", b"1"),
    (b"plain", b"user.empty", b""),
    (b"plain", b"user.long", b"x" * 1000),
    (b"sub", b"user.of-directory", b"directory"),
    (b"theirs", b"user.theirs", b"theirs"),
    (b"plain", b"trusted.one", b"trusted"),
)

_USER, _GROUP, _MASK, _REST = 1, 4, 16, 32
_DEFAULT_ACL: Final = struct.pack(
    "=I" + "HHI" * 5,
    2,
    *(_USER, 7, 0xFFFFFFFF, 2, 6, OTHER, _GROUP, 4, 0xFFFFFFFF, _MASK, 6, 0xFFFFFFFF, _REST, 4, 0xFFFFFFFF),
)
"""``posix_acl_xattr``: whoever makes a file here has no umask (acl(5))."""

_GET, _SET = 0x80086601, 0x40086602
_FLAGS: Final = {b"frozen": 0x10, b"grows": 0x20}
"""FS_IOC_GETFLAGS, FS_IOC_SETFLAGS; FS_IMMUTABLE_FL, FS_APPEND_FL: ioctl_iflags(2)."""


def make(tree: bytes, owner: int) -> None:
    """Make the tree, in directories of its own; most of it belongs to *owner*.  Needs to be root."""
    os.makedirs(tree, 0o755)  # noqa: PTH103  # likewise bytes
    os.chown(tree, owner, owner)
    here = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _fill(here, tree, owner)
    finally:
        os.close(here)


def _fill(here: int, tree: bytes, owner: int) -> None:
    _make_entries(here, tree)
    for name, attribute, value in _ATTRIBUTES:
        os.setxattr(tree + b"/" + name, attribute, value)
    os.setxattr(tree + b"/acl", b"system.posix_acl_default", _DEFAULT_ACL)
    for name in _names():
        if name not in _OF_ROOT:
            uid = OTHER if name in _OF_OTHERS else owner
            os.chown(name, uid, OTHER if name == b"group" else uid, dir_fd=here, follow_symlinks=False)
    for name, mode in [(name, mode) for name, mode, _ in (*FILES, *NODES)] + list(DIRECTORIES):
        os.chmod(name, mode, dir_fd=here)  # chown(2) takes set-id bits away
    for name in (*_names(), b"."):
        os.utime(name, (LONG_AGO, LONG_AGO), dir_fd=here, follow_symlinks=False)
    for name, flag in _FLAGS.items():
        _flag(tree + b"/" + name, flag)


def _make_entries(here: int, tree: bytes) -> None:
    for name, _mode in DIRECTORIES:
        os.mkdir(name, 0o700, dir_fd=here)
    for name, _mode, content in FILES:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=here)
        os.write(fd, content)
        os.close(fd)
    for name, text in LINKS:
        os.symlink(text.replace(b"@", tree), name, dir_fd=here)
    for name, mode, device in NODES:
        os.mknod(name, mode, os.makedev(*device), dir_fd=here)
    for name, other in HARD_LINKS:
        os.link(other, name, src_dir_fd=here, dst_dir_fd=here)


def _names() -> Iterator[bytes]:
    yield from (name for name, _ in DIRECTORIES)
    yield from (name for name, _, _ in (*FILES, *NODES))
    yield from (name for name, _ in LINKS)


def _flag(path: bytes, flag: int) -> None:
    """Have *flag* be all that is set of the flags that protect a file."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        (flags,) = struct.unpack("=i4x", fcntl.ioctl(fd, _GET, bytes(8)))
        fcntl.ioctl(fd, _SET, struct.pack("=i4x", flags & ~0x30 | flag))
    finally:
        os.close(fd)


NOW: Final = "now"


def normal_time(seconds: int) -> int | str:
    """Return *seconds*, or NOW for what no two runs share."""
    return NOW if 1_600_000_000 < seconds < 2_500_000_000 else seconds  # while anybody runs this


def tell(tree: bytes) -> dict[bytes, tuple[object, ...]]:
    """
    Return what is in the tree by name.

    Mode, owner, links, size, content, attributes; when it was read, and written.
    """
    told: dict[bytes, tuple[object, ...]] = {}
    for path in _below(_own(tree)):
        status = os.lstat(path)
        content: object = None
        if stat.S_ISREG(status.st_mode):
            fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
            content = os.read(fd, 4096)
            os.close(fd)
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)  # noqa: PTH115  # bytes, not a path
        attributes = tuple((name, _attribute(path, name)) for name in _attributes(path))
        times = normal_time(int(status.st_atime)), normal_time(int(status.st_mtime))
        owner = status.st_uid, status.st_gid
        told[path[len(tree) :]] = (
            oct(status.st_mode),
            owner,
            status.st_nlink,
            status.st_size,
            content,
            attributes,
            *times,
        )
    return told


def _own(tree: bytes) -> bytes:
    """Return the directory in which nothing but *tree* is, two levels below it."""
    return tree.rsplit(b"/", 2)[0]


def _attribute(path: bytes, name: str) -> bytes | int | None:
    """Return the value of an attribute; or why there is none that could be told, as of capabilities that are none."""
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        return error.errno


def _attributes(path: bytes) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


def _below(directory: bytes) -> Iterator[bytes]:
    with os.scandir(directory) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        yield entry.path
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path)


def remove(tree: bytes) -> None:
    """Remove the tree, whatever became of it, and the directories that are its own."""
    own = _own(tree)
    below = list(_below(own))
    for path in below:
        if path.rpartition(b"/")[2] in _FLAGS or path.endswith(b"/moved"):
            with contextlib.suppress(OSError):
                _flag(path, 0)
    for path in reversed(below):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.rmdir(path)  # noqa: PTH106
        else:
            os.unlink(path)  # noqa: PTH108
    os.rmdir(own)  # noqa: PTH106
