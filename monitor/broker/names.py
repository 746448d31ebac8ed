"""
Names for the target: made, moved and taken away, each in the directory that was looked up.

What it is not: the look-up, or a decision.  A name is one component below an fd, so that no link is
followed and no directory passed on the way; what is wrong with the name itself the kernel says.

What is wrong with flags and modes comes first, as fs/namei.c has it, then the old path, then the new.

What has a name may become another thing between the decision and the call: what is moved is looked at
once more, and links come to be and names move one at a time, so that no program of ours comes between.
"""

from __future__ import annotations

import secrets
import stat
from errno import EINVAL, ENOENT, EPERM
from typing import Final

from monitor._native import Entry, entry_of, make_directory, make_link, make_node, make_symlink, remove_name, rename
from monitor.broker.acting import Acting
from monitor.broker.resolved import Resolved
from monitor.notify.decode import Call
from monitor.notify.emulation import ChangedError, Emulated
from monitor.notify.target import PATH_MAX

AT_REMOVEDIR: Final = 0x200
_AT_SYMLINK_FOLLOW: Final = 0x400
_AT_EMPTY_PATH: Final = 0x1000
_LINK_FLAGS: Final = _AT_SYMLINK_FOLLOW | _AT_EMPTY_PATH

RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2
_RENAME_WHITEOUT: Final = 4
_RENAME_FLAGS: Final = RENAME_NOREPLACE | RENAME_EXCHANGE | _RENAME_WHITEOUT

_NAME_MAX: Final = 255

MODE: Final = 0xFFFF
"""``umode_t``: the kernel looks at no more of a mode."""

_NODES: Final = frozenset({0, stat.S_IFREG, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK})
"""``may_mknod``: 0 is a regular file."""


def _int(register: int) -> int:
    return register & 0xFFFFFFFF


def _place(acting: Acting, call: Call, index: int) -> tuple[Resolved, bytes] | Emulated:
    """Return a directory and what is to be done with in it; or what the kernel says of the path."""
    resolved = acting.path(call, index)
    error = resolved.wrong or resolved.error
    if error:
        return Emulated(-error)
    return resolved, resolved.entry or b""


def make_directory_at(acting: Acting, call: Call, index: int) -> Emulated:
    """mkdir(2), mkdirat(2)."""
    place = _place(acting, call, index)
    if isinstance(place, Emulated):
        return place
    (above, name), mode = place, call.registers[index + 1] & MODE
    return Emulated(acting.with_umask(call, lambda: make_directory(above.fd, name, mode)))


def make_node_at(acting: Acting, call: Call, index: int) -> Emulated:
    """mknod(2), mknodat(2)."""
    mode, device = call.registers[index + 1] & MODE, _int(call.registers[index + 2])
    if stat.S_IFMT(mode) not in _NODES:
        return Emulated(-EPERM if stat.S_ISDIR(mode) else -EINVAL)
    place = _place(acting, call, index)
    if isinstance(place, Emulated):
        return place
    above, name = place
    return Emulated(acting.with_umask(call, lambda: make_node(above.fd, name, mode, device)))


def make_symlink_at(acting: Acting, call: Call, index: int) -> Emulated:
    """symlink(2), symlinkat(2): any text will do."""
    text = acting.read_string(call, call.registers[0], PATH_MAX)
    if not text:
        return Emulated(-ENOENT)
    place = _place(acting, call, index)
    if isinstance(place, Emulated):
        return place
    above, name = place
    acting.still_waits(call)
    with acting.alone(above):
        return Emulated(make_symlink(text, above.fd, name))


def remove_name_at(acting: Acting, call: Call, index: int) -> Emulated:
    """unlink(2), rmdir(2), unlinkat(2)."""
    flags = {"unlink": 0, "rmdir": AT_REMOVEDIR}.get(call.name)
    if flags is None:
        flags = _int(call.registers[2])
        if flags & ~AT_REMOVEDIR:
            return Emulated(-EINVAL)
    place = _place(acting, call, index)
    if isinstance(place, Emulated):
        return place
    above, name = place
    acting.still_waits(call)
    return Emulated(remove_name(above.fd, name, flags))


def make_link_at(acting: Acting, call: Call, index: int) -> Emulated:
    """link(2), linkat(2): another name of the object itself that was looked up."""
    if call.name == "linkat" and _int(call.registers[4]) & ~_LINK_FLAGS:
        return Emulated(-EINVAL)
    old = acting.path(call, index)
    error = old.wrong or old.error or (ENOENT if old.missing is not None else 0)
    if error:
        return Emulated(-error)
    place = _place(acting, call, _second_of(call))
    if isinstance(place, Emulated):
        return place
    above, name = place
    acting.still_waits(call)
    with acting.alone(above):
        return Emulated(make_link(acting.own_fds, old.fd, above.fd, name))


def rename_at(acting: Acting, call: Call, index: int) -> Emulated:
    """rename(2), renameat(2), renameat2(2)."""
    flags = rename_flags(call)
    if flags & ~_RENAME_FLAGS or (flags & RENAME_EXCHANGE and flags & ~RENAME_EXCHANGE):
        return Emulated(-EINVAL)
    old = _place(acting, call, index)
    if isinstance(old, Emulated):
        return old
    new = _place(acting, call, _second_of(call))
    if isinstance(new, Emulated):
        return new
    acting.still_waits(call)
    with acting.alone(old[0], new[0]):
        return rename_what_was_seen(*old, *new, flags)


def rename_what_was_seen(above: Resolved, name: bytes, new_above: Resolved, new_name: bytes, flags: int) -> Emulated:
    """
    Rename what was looked at, about which it was decided.  Raises ChangedError: something else has the name by now.

    No program of ours renames meanwhile; if somebody else did between the look and the call, it is moved back.
    """
    exchanges = bool(flags & RENAME_EXCHANGE)
    if not _is_still(above) or (exchanges and not _is_still(new_above)):
        raise ChangedError
    name = _seen_only(above, name)
    new_name = _seen_only(new_above, new_name) if exchanges else new_name
    result = rename(above.fd, _below(name), new_above.fd, _below(new_name), flags)
    if result == 0 and not _has_come(above, new_above):
        rename(new_above.fd, new_name, above.fd, name, RENAME_EXCHANGE if exchanges else RENAME_NOREPLACE)
        raise ChangedError
    return Emulated(result)


def _below(name: bytes) -> bytes:
    """Return *name*, or for the root itself, which would be ours and on its mount, the directory: neither is moved."""
    return name if name.strip(b"/") or not name else b"."


def _seen_only(there: Resolved, name: bytes) -> bytes:
    """Return *name*, or where nothing had it one that nothing has: what comes to be there was not decided about."""
    component = there.missing
    if there.seen is not None or component is None or len(component) > _NAME_MAX:
        return name
    return secrets.token_hex(16).encode() + name[len(component) :]


def _is_still(there: Resolved) -> bool:
    """Whether what was seen has the name now, and nothing has it where nothing was."""
    if there.missing is None:
        return True
    return _identity(_look(there)) == _identity(there.seen)


def _has_come(above: Resolved, new_above: Resolved) -> bool:
    """Whether it was what had been seen that came to have the new name; also if nothing has it any more."""
    now = _look(new_above)
    return now is None or _identity(now) == _identity(above.seen)


def _look(there: Resolved) -> Entry | None:
    return entry_of(there.fd, there.missing or b"")


def _identity(entry: Entry | None) -> tuple[int, int, int] | None:
    """Return what tells a file from others; its inode may be another's at once, but hardly of the same type."""
    return None if entry is None else (entry.device, entry.inode, stat.S_IFMT(entry.mode))


def _second_of(call: Call) -> int:
    """Return the register of the new path."""
    return 1 if call.name in {"rename", "link"} else 3


def rename_flags(call: Call) -> int:
    """Return the flags of a rename."""
    return _int(call.registers[4]) if call.name == "renameat2" else 0
