"""
What is run twice by ``test_hidden``: makes the calls of a file, and tells what came of each.

    python -S hidden_target.py STEPS

*STEPS* is JSON: directories, and lists of calls that are made in each of them.  What it is not: a judge of the answers.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_OPENAT2, _RENAMEAT2, _GETDENTS = 437, 316, 78
_AT_FDCWD = -100


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _done(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def _told_of(fd: int) -> object:
    """Tell what *fd* holds, and close it."""
    try:
        mode = os.fstat(fd).st_mode
        return [oct(mode), os.pread(fd, 100, 0).decode() if stat.S_ISREG(mode) else ""]
    except OSError as error:
        return ["held", errno.errorcode[error.errno or 0]]
    finally:
        os.close(fd)


def _opened(path: str, flags: int) -> object:
    return _told_of(os.open(path, flags | os.O_NONBLOCK, 0o644))


def _confined(path: str, flags: int, resolve: int) -> object:
    how = _OpenHow(flags, 0o644 if flags & os.O_CREAT else 0, resolve)
    return _told_of(_done(_LIBC.syscall(_OPENAT2, _AT_FDCWD, os.fsencode(path), ctypes.byref(how), 24)))


def _status(path: str, *, follow: bool) -> object:
    found = os.stat(path, follow_symlinks=follow)  # noqa: PTH116  # the text counts, which a Path would change
    return [oct(found.st_mode), found.st_uid, 0 if stat.S_ISDIR(found.st_mode) else found.st_size]


def _listed_little(path: str) -> object:
    """List with the old call and the least room for visible names."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    buffer = ctypes.create_string_buffer(32)
    names = []
    try:
        while size := _done(_LIBC.syscall(_GETDENTS, fd, buffer, 32)):
            names += [buffer.raw[18:size].split(b"\0", 1)[0].decode()]
    finally:
        os.close(fd)
    return sorted(names)


def _watched(path: str) -> None:
    group = _done(_LIBC.inotify_init1(os.O_CLOEXEC))
    try:
        _done(_LIBC.inotify_add_watch(group, os.fsencode(path), 4))
    finally:
        os.close(group)


def _renamed(old: str, new: str, flags: int) -> None:
    _done(_LIBC.syscall(_RENAMEAT2, _AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags))


CALLS: dict[str, Any] = {
    "open": _opened,
    "openat2": _confined,
    "stat": lambda path: _status(path, follow=True),
    "lstat": lambda path: _status(path, follow=False),
    "access": os.access,
    "readlink": os.readlink,
    "listdir": lambda path: sorted(os.listdir(path)),  # noqa: PTH208
    "getdents": _listed_little,
    "statfs": lambda path: os.statvfs(path).f_namemax,
    "listxattr": os.listxattr,
    "setxattr": lambda path: os.setxattr(path, "user.a", b"1"),
    "chdir": os.chdir,
    "mkdir": os.mkdir,
    "mknod": lambda path: os.mknod(path, 0o600 | stat.S_IFIFO),
    "symlink": lambda path, text: os.symlink(text, path),  # noqa: PTH211
    "link": lambda path, new: os.link(path, new, follow_symlinks=False),
    "rename": lambda path, new: _renamed(path, new, 0),
    "exchange": lambda path, new: _renamed(path, new, 2),
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "chmod": os.chmod,
    "chown": lambda path: os.chown(path, -1, -1),
    "utime": lambda path: os.utime(path, (1, 1)),
    "truncate": os.truncate,
    "watch": _watched,
}


def answer(name: str, arguments: list[Any]) -> object:
    """Return what one call came to: what it tells, or the name of an errno."""
    try:
        return [CALLS[name](*arguments)]
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "EACCES")


def main(steps: str) -> None:
    """Make all calls."""
    answers = []
    for directory, calls in json.loads(Path(steps).read_text()):
        os.chdir(directory)
        answers.append([answer(name, arguments) for name, *arguments in calls])
    print(json.dumps(answers))


main(sys.argv[1])
