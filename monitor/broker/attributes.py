"""
Extended attributes and file attributes for the target: told and changed, of what was looked up.

What it is not: the look-up, or a decision.  The order of failures is fs/xattr.c's and
fs/file_attr.c's: arguments first, then the path.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from errno import E2BIG, EBADF, EFAULT, EINVAL, ENOENT, ENOTSUP, EOPNOTSUPP, ERANGE
from typing import Final, NamedTuple

from monitor._native import file_attributes_of, remove_attribute, set_attribute, set_file_attributes
from monitor.broker.acting import Acting
from monitor.broker.changing import AT_FLAGS, is_held_only, on_held, there_or_error
from monitor.errors import TargetMemoryError
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated

_NAME_MAX: Final = 255
_SIZE_MAX: Final = 65536
_CREATE_OR_REPLACE: Final = 3

_PAGE: Final = 4096
_ARGUMENTS: Final = struct.Struct("=QII")
"""``struct xattr_args``: value, size, flags (include/uapi/linux/xattr.h, Linux 6.13)."""

_FILE_ATTRIBUTES: Final = 24
"""The size of ``struct file_attr`` in its first version (include/uapi/linux/fs.h, Linux 6.17)."""

_NOTHING: Final = -1


class _Given(NamedTuple):
    """What a call on one attribute names, beside the path: registers, or what stands where one of them points."""

    name: int
    value: int
    size: int
    flags: int


def _int(register: int) -> int:
    return register & 0xFFFFFFFF


def _at_flags(call: Call) -> int:
    """Return the flags of the calls that came with Linux 6.13; 0 for the others, which have none."""
    return _int(call.registers[2]) if call.name.endswith("xattrat") else 0


def _given(acting: Acting, call: Call) -> _Given | Emulated:
    """Return what stands in registers, or in a ``struct xattr_args``."""
    registers = call.registers
    if not call.name.endswith("xattrat"):
        flags = _int(registers[4]) if call.name.endswith("setxattr") else 0
        return _Given(registers[1], registers[2], registers[3], flags)
    size = registers[5]
    if size < _ARGUMENTS.size:
        return Emulated(-EINVAL)
    if size > _PAGE:
        return Emulated(-E2BIG)
    data = acting.read(call, registers[4], size)
    if any(data[_ARGUMENTS.size :]):
        return Emulated(-E2BIG)
    value, length, flags = _ARGUMENTS.unpack_from(data)
    return _Given(registers[3], value, length, flags)


def _name(acting: Acting, call: Call, address: int) -> bytes | Emulated:
    """Return the name of an attribute, or what the kernel says of it (``import_xattr_name``)."""
    try:
        name = acting.read_string(call, address, _NAME_MAX + 1)
    except TargetMemoryError as error:
        return Emulated(-EFAULT if error.errno == EFAULT else -ERANGE)
    return name or Emulated(-ERANGE)


def _on(acting: Acting, call: Call, index: int, act: Callable[[int], int]) -> Emulated:
    """Return what *act* does with an fd of what the path leads to; without a path, with a duplicate of the fd."""
    resolved = there_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    current = _int(call.registers[0]) >> 31 and call.name not in {"removexattrat", "listxattrat"}
    if resolved.by_fd and not current:
        return on_held(acting, call, 0, index, lambda fd: _unless_held_only(fd, act))
    acting.still_waits(call)
    return Emulated(act(resolved.fd))


def _unless_held_only(fd: int, act: Callable[[int], int]) -> int:
    return -EBADF if is_held_only(fd) else act(fd)


# ---- extended attributes ----


def getxattr_file(acting: Acting, call: Call, index: int) -> Emulated:
    """getxattr(2), lgetxattr(2), getxattrat(2): ``path_getxattrat``."""
    given = _given(acting, call)
    if isinstance(given, Emulated):
        return given
    if _at_flags(call) & ~AT_FLAGS or (given.flags and call.name == "getxattrat"):
        return Emulated(-EINVAL)
    name = _name(acting, call, given.name)
    if isinstance(name, Emulated):
        return name
    if _has_ids_of_others(acting, name):
        return Emulated(-EOPNOTSUPP)
    return _told(acting, call, index, given, lambda fd: os.getxattr(_through(fd), name))


def listxattr_file(acting: Acting, call: Call, index: int) -> Emulated:
    """listxattr(2), llistxattr(2), listxattrat(2): ``path_listxattrat``."""
    if _at_flags(call) & ~AT_FLAGS:
        return Emulated(-EINVAL)
    buffer = 3 if call.name == "listxattrat" else index + 1
    given = _Given(0, call.registers[buffer], call.registers[buffer + 1], 0)

    def names(fd: int) -> bytes:
        return b"".join(os.fsencode(name) + b"\0" for name in os.listxattr(_through(fd)))

    return _told(acting, call, index, given, names)


def _told(acting: Acting, call: Call, index: int, given: _Given, look: Callable[[int], bytes]) -> Emulated:
    """Write what *look* returns of the object, if there is room for it."""
    found: list[bytes] = []

    def tell(fd: int) -> int:
        try:
            found.append(look(fd))
        except OSError as error:
            return -(error.errno or ENOTSUP)
        return 0

    done = _on(acting, call, index, tell)
    if not found:
        return done
    value, size = found[0], given.size
    if size == 0:
        return Emulated(len(value))
    if len(value) > size:
        return Emulated(-E2BIG if size >= _SIZE_MAX else -ERANGE)
    acting.write(call, given.value, value)
    return Emulated(len(value))


def _through(fd: int) -> bytes:
    """Return a path of ours to what *fd* holds: calls on attributes take no ``O_PATH`` fd."""
    return b"/proc/self/fd/%d" % fd


def setxattr_file(acting: Acting, call: Call, index: int) -> Emulated:
    """setxattr(2), lsetxattr(2), fsetxattr(2), setxattrat(2): ``path_setxattrat``."""
    given = _given(acting, call)
    if isinstance(given, Emulated):
        return given
    if _at_flags(call) & ~AT_FLAGS or given.flags & ~_CREATE_OR_REPLACE:
        return Emulated(-EINVAL)
    name = _name(acting, call, given.name)
    if isinstance(name, Emulated):
        return name
    if given.size > _SIZE_MAX:
        return Emulated(-E2BIG)
    if _has_ids_of_others(acting, name):
        return Emulated(-EOPNOTSUPP)
    value = acting.read(call, given.value, given.size) if given.size else b""
    return _changed(acting, call, index, lambda fd: set_attribute(fd, name, value, given.flags))


def removexattr_file(acting: Acting, call: Call, index: int) -> Emulated:
    """removexattr(2), lremovexattr(2), fremovexattr(2), removexattrat(2): ``path_removexattrat``."""
    if _at_flags(call) & ~AT_FLAGS:
        return Emulated(-EINVAL)
    name = _name(acting, call, call.registers[3 if call.name == "removexattrat" else index + 1])
    if isinstance(name, Emulated):
        return name
    return _changed(acting, call, index, lambda fd: remove_attribute(fd, name))


def _has_ids_of_others(acting: Acting, name: bytes) -> bool:
    """Whether the attribute *name* has ids in it that mean others to who asks: a list of acl(5)."""
    ids = acting.whose.ids
    return ids is not None and not ids.are_ours and name.startswith(b"system.posix_acl_")


def _changed(acting: Acting, call: Call, index: int, act: Callable[[int], int]) -> Emulated:
    if call.name in {"fsetxattr", "fremovexattr"}:
        return on_held(acting, call, index, index, lambda fd: _unless_held_only(fd, act))
    return _on(acting, call, index, act)


# ---- file attributes ----


def file_getattr_file(acting: Acting, call: Call, index: int) -> Emulated:
    """file_getattr(2), Linux 6.17."""
    size = call.registers[3]
    error = _wrong_size(call, size)
    if error:
        return Emulated(-error)
    found = b""

    def tell(fd: int) -> int:
        nonlocal found
        result, found = file_attributes_of(acting.own_fds, fd, size)
        return result

    done = _on(acting, call, index, tell)
    if done.value >= 0:
        acting.write(call, call.registers[2], found)
    return done


def file_setattr_file(acting: Acting, call: Call, index: int) -> Emulated:
    """file_setattr(2), Linux 6.17."""
    size = call.registers[3]
    error = _wrong_size(call, size)
    if error:
        return Emulated(-error)
    data = acting.read(call, call.registers[2], size)
    wrong = set_file_attributes(acting.own_fds, _NOTHING, data)  # which is ENOENT, unless the data are wrong
    if wrong != -ENOENT:
        return Emulated(wrong)
    return _on(acting, call, index, lambda fd: set_file_attributes(acting.own_fds, fd, data))


def _wrong_size(call: Call, size: int) -> int:
    """Return the errno with which flags and size are refused, or 0."""
    if _int(call.registers[4]) & ~AT_FLAGS:
        return EINVAL
    if size > _PAGE:
        return E2BIG
    return EINVAL if size < _FILE_ATTRIBUTES else 0
