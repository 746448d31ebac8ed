"""
Paths of a waiting thread become fds of ours, and fds of ours its own: the functions of native/paths.c.

What it is not: a decision about them, or the owner of what was opened (``broker``).  Outcomes that
are ordinary, and come once per call, are numbers here and no exceptions.
"""

from __future__ import annotations

import os
from errno import ENOTRECOVERABLE
from typing import Final, NamedTuple

from monitor._native.rights import StrandedError, TakenRights
from monitor._native.shim import check, constant, ffi, lib

NOFOLLOW: Final = constant("MON_LOOKUP_NOFOLLOW")
"""Of a link that is the last component, the link itself."""

EMPTY: Final = constant("MON_LOOKUP_EMPTY")
"""An empty path is what the directory argument refers to."""

MAY_BLOCK: Final = constant("MON_LOOKUP_MAY_BLOCK")
"""Look further than the kernel's cache."""

IF_SAME: Final = constant("MON_LOOKUP_IF_SAME")
"""Only if the list of mounts is the one that was read."""

PEEK: Final = constant("MON_LOOKUP_PEEK")
"""Read the path by process_vm_readv(2), which is faster, and waits for who handles a page's faults."""

PARENT: Final = constant("MON_LOOKUP_PARENT")
"""Not the last component, but the directory that it is in, whatever is there."""

LATE: Final = constant("MON_LOOKUP_LATE")
"""Whether the thread still waits is for the answer to say: for calls that only tell."""

CREATE: Final = constant("MON_LOOKUP_CREATE")
"""A file may be made, which cannot have slashes behind its name."""

STRAIGHT: Final = constant("MON_LOOKUP_STRAIGHT")
"""ELOOP, if the path passes more than the name of its object tells: a component ``..``, or a link."""

NULL: Final = constant("MON_LOOKUP_NULL")
"""No path at all is an empty one."""

_STATUS_SIZE: Final = 144
"""``struct stat`` of x86_64: arch/x86/include/uapi/asm/stat.h."""

_STATX_SIZE: Final = 256
"""``struct statx``: include/uapi/linux/stat.h."""

_STATFS_SIZE: Final = 120
"""``struct statfs`` of 64-bit ABIs: include/uapi/asm-generic/statfs.h."""

_lookup: Final = lib.mon_path_lookup
_describe: Final = lib.mon_path_describe
_answer_open: Final = lib.mon_path_answer_open


class Object(NamedTuple):
    """
    What an fd of ours holds.

    Attributes:
        mode: ``st_mode``.
        inode: ``st_ino``.
        device: major << 32 | minor.
        rdev: of a device file, likewise.
        mount: ``stx_mnt_id``.
        link: what a link in /proc/self/fd says of it: a name that may be forged; empty: none that a link can say.
    """

    mode: int
    inode: int
    device: int
    rdev: int
    mount: int
    link: bytes


class LookedUp(NamedTuple):
    """
    What came of a look-up.

    Attributes:
        error: 0, or what openat2(2) said, a positive errno.
        path: the bytes that the target passed; what they say now is nobody's business any more.
        fd: ours to close: the object, or the directory that *last* is not in; -1 after an error.
        start: ours to close, after an error: where the path starts; -1: at the root, or nowhere.
        object: what *fd* holds; None after an error.
        last: the component that names nothing in *fd*, or was not looked for; None: *fd* is the object.
        mounts_changed: whether the list of mounts was, since the last look.
    """

    error: int
    path: bytes
    fd: int
    start: int
    object: Object | None
    last: bytes | None
    mounts_changed: bool


class PathLooker:
    """
    Looks paths of the threads of one listener up; its buffers are used again and again.

    It borrows *listener* and the fds of ``/proc``, ``/proc/self/fd`` and ``/proc/self/mountinfo``.
    """

    __slots__ = ("_data", "_name", "_opening", "_path", "_rights")

    def __init__(self, listener: int, proc: int, own_fds: int, mounts: int) -> None:
        """Allocate the buffers."""
        self._data = ffi.new("struct mon_lookup *")
        self._data.listener = listener
        self._data.proc = proc
        self._data.own_fds = own_fds
        self._data.mounts = mounts
        self._path = ffi.buffer(self._data.path)
        self._name = ffi.buffer(self._data.name)
        self._opening = ffi.new("struct mon_opening *")
        self._opening.listener = listener
        self._opening.own_fds = own_fds

    def stand(self, theirs: TakenRights, ours: TakenRights) -> None:
        """Look up with their rights and from their root from now on, and come back each time."""
        self._rights = theirs, ours  # which are borrowed by the structure
        self._data.theirs, self._data.ours = theirs.data(), ours.data()

    def look_up(self, ident: int, tid: int, address: int, directory: int, flags: int, resolve: int = 0) -> LookedUp:
        """Read the path at *address* of the thread, and look it up once.  Raises StrandedError."""
        data = self._data
        data.id = ident
        data.tid = tid
        data.address = address
        data.directory = directory
        data.flags = flags
        data.resolve = resolve
        error = -_lookup(data)
        if error == ENOTRECOVERABLE:
            raise StrandedError(os.strerror(error))
        path = self._path[: data.path_length]
        if error:
            return LookedUp(error, path, -1, data.start, None, None, bool(data.mounts_changed))
        last = path[data.last : data.last + data.last_length] if data.missing else None
        if data.start >= 0:
            os.close(data.start)
        return LookedUp(0, path, data.fd, -1, self._object(), last, bool(data.mounts_changed))

    def describe(self, fd: int) -> Object:
        """Return what *fd*, which is borrowed, holds.  Raises OSError."""
        self._data.fd = fd
        check(_describe(self._data))
        return self._object()

    def _object(self) -> Object:
        data = self._data
        return Object(data.mode, data.inode, data.device, data.rdev, data.mount, self._name[: data.name_length])

    def answer_open(self, ident: int, fd: int, flags: int, *, impatient: bool, waits: bool) -> int:
        """
        Open once more what *fd* holds, and answer the call with an fd of the target's; if it *waits*, do not answer.

        Returns its number, or -errno.
        """
        opening = self._opening
        opening.id = ident
        opening.fd = fd
        opening.flags = flags
        opening.impatient = impatient
        opening.waits = waits
        return _answer_open(opening)


def open_at(directory: int, path: bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2): the new fd, close-on-exec.  Raises OSError."""  # the call's name
    return check(lib.mon_path_open(directory, path, flags, mode, resolve))


def status_of(fd: int) -> bytes:
    """Return the kernel's ``struct stat`` of what *fd* holds, of this machine's own ABI.  Raises OSError."""
    status = ffi.new("char[]", _STATUS_SIZE)
    check(lib.mon_path_status(fd, status))
    return bytes(ffi.buffer(status, _STATUS_SIZE))


def statx_of(fd: int, flags: int, mask: int) -> bytes:
    """Return the kernel's ``struct statx`` of what *fd* holds.  Raises OSError."""
    status = ffi.new("char[]", _STATX_SIZE)
    check(lib.mon_path_statx(fd, flags, mask, status))
    return bytes(ffi.buffer(status, _STATX_SIZE))


def statfs_of(fd: int) -> bytes:
    """Return the kernel's ``struct statfs`` of what *fd* holds, of this machine's own ABI.  Raises OSError."""
    status = ffi.new("char[]", _STATFS_SIZE)
    check(lib.mon_path_statfs(fd, status))
    return bytes(ffi.buffer(status, _STATFS_SIZE))


def may_access(fd: int, mode: int, flags: int) -> int:
    """Return 0 where what *fd* holds may be used as *mode* says (faccessat2(2)), or a positive errno."""
    return -lib.mon_path_access(fd, mode, flags)


def entries_of(fd: int, size: int, *, old: bool) -> bytes:
    """Return entries of a directory, *size* bytes at most, as getdents64(2) or the *old* one.  Raises OSError."""
    buffer = ffi.new("char[]", size)
    return bytes(ffi.buffer(buffer, check(lib.mon_path_entries(fd, old, buffer, size))))


def unshare_fs() -> None:
    """Give the calling thread a umask of its own; see ``mon_unshare_fs`` in native/shim.h.  Raises OSError."""
    check(lib.mon_unshare_fs())
