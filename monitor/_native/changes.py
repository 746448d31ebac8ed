"""
What was looked up is changed, by fd: the functions of native/changes.c.

What it is not: a look-up, or a decision.  Each returns what its system call does, a negative errno
where it fails: that is ordinary, and no exception.  Each may sleep as a file system does.

A *name* is one component of the directory that an fd holds, with the slashes that may stand behind
it; no link in its place is followed.
"""

from __future__ import annotations

from monitor._native.shim import ffi, lib


def make_directory(directory: int, name: bytes, mode: int) -> int:
    """mkdirat(2), with the umask of this thread."""  # the call's name
    return lib.mon_change_mkdir(directory, name, mode)


def make_node(directory: int, name: bytes, mode: int, device: int) -> int:
    """mknodat(2), with the umask of this thread; *device* as the kernel's 32 bits have it."""
    return lib.mon_change_mknod(directory, name, mode, device)


def make_symlink(text: bytes, directory: int, name: bytes) -> int:
    """symlinkat(2)."""
    return lib.mon_change_symlink(text, directory, name)


def make_link(own_fds: int, fd: int, directory: int, name: bytes) -> int:
    """Make *name* another name of what *fd* holds itself, even of a symbolic link: linkat(2)."""
    return lib.mon_change_link(own_fds, fd, directory, name)


def remove_name(directory: int, name: bytes, flags: int) -> int:
    """unlinkat(2); *flags*: 0 or AT_REMOVEDIR."""
    return lib.mon_change_unlink(directory, name, flags)


def rename(old_directory: int, old: bytes, directory: int, name: bytes, flags: int) -> int:
    """renameat2(2)."""
    return lib.mon_change_rename(old_directory, old, directory, name, flags)


def change_mode(own_fds: int, fd: int, mode: int) -> int:
    """fchmodat2(2) of what the ``O_PATH`` *fd* holds; before Linux 6.6 by way of /proc."""
    return lib.mon_change_mode(own_fds, fd, mode)


def change_owner(fd: int, uid: int, gid: int) -> int:
    """fchownat(2) of what *fd* holds; 0xFFFFFFFF leaves an id as it is."""
    return lib.mon_change_owner(fd, uid, gid)


def change_times(fd: int, times: bytes | None, *, is_path: bool) -> int:
    """utimensat(2) of what *fd* holds; *times*: ``struct timespec[2]``; *is_path*: *fd* may be an ``O_PATH`` fd."""
    data = ffi.NULL if times is None else ffi.from_buffer(times)
    return lib.mon_change_times(fd, data, is_path)


def set_attribute(fd: int, name: bytes, value: bytes, flags: int) -> int:
    """setxattr(2) of what *fd* holds itself."""
    return lib.mon_change_attribute(fd, name, ffi.from_buffer(value), len(value), flags)


def remove_attribute(fd: int, name: bytes) -> int:
    """removexattr(2) of what *fd* holds itself."""
    return lib.mon_change_no_attribute(fd, name)


def set_file_attributes(own_fds: int, fd: int, attributes: bytes) -> int:
    """file_setattr(2) of what *fd* holds itself; *attributes*: ``struct file_attr``, Linux 6.17."""
    return lib.mon_change_file_attributes(own_fds, fd, ffi.from_buffer(attributes), len(attributes))


def file_attributes_of(own_fds: int, fd: int, size: int) -> tuple[int, bytes]:
    """file_getattr(2) of what *fd* holds itself: what the call returns, and *size* bytes of ``struct file_attr``."""
    attributes = ffi.new("char[]", size)
    result = lib.mon_path_file_attributes(own_fds, fd, attributes, size)
    return result, bytes(ffi.buffer(attributes, size))


def watch_by_inotify(inotify: int, fd: int, mask: int) -> int:
    """inotify_add_watch(2) of what *fd* holds itself; -1: -EFAULT, unless something else is wrong."""
    return lib.mon_watch_inotify(inotify, fd, mask)


def watch_by_fanotify(fanotify: int, flags: int, mask: int, fd: int) -> int:
    """fanotify_mark(2) of what *fd* holds itself; -1: likewise."""
    return lib.mon_watch_fanotify(fanotify, flags, mask, fd)
