"""
Opening for the target: what was looked up is opened, and the target gets an fd of it.

What it is not: the look-up, or a decision.  Nothing here uses a path: an object that exists is opened
through its fd, one that does not is made by its last name in the directory that was looked up.

The order of failures is fs/open.c's: without room for an fd nothing is emptied and nothing is made.
"""

from __future__ import annotations

import os
import stat
from errno import EAGAIN, EBADF, EEXIST, EISDIR, ELOOP, EMFILE, ENOENT, ENOSYS, ENOTDIR, ENXIO, EOPNOTSUPP, EPERM
from typing import Final

from monitor._native import open_at
from monitor.broker.acting import Acting, our_lack
from monitor.broker.helper import NOT_DONE
from monitor.broker.opening import Opening
from monitor.broker.resolved import Resolved
from monitor.broker.standing import file_uid, ourselves
from monitor.broker.sticky import may_create_in_sticky
from monitor.broker.terminal import TERMINAL, open_terminal_of
from monitor.errors import TargetGone
from monitor.notify.decode import Call
from monitor.notify.emulation import ChangedError, Emulated, MayBlockError

_MEMORY_DEVICES: Final = 1
"""The major number of /dev/null and its like, which are opened at once (Documentation/admin-guide/devices.txt)."""

CONTINUED: Final = Emulated(0, continued=True)


def open_file(acting: Acting, call: Call, index: int) -> Emulated:
    """Open what the path in register *index* leads to.  Raises TargetGone, MayBlockError, ChangedError."""
    resolved = acting.path(call, index)
    opening = resolved.opening
    assert opening is not None  # every look-up of an open has one
    error = resolved.wrong or opening.error
    done = Emulated(-error) if error else _open(acting, call, resolved, opening)
    if done.value < 0 and done.value != NOT_DONE and resolved.path and acting.is_full(call):
        return Emulated(-EMFILE)  # a number is taken before anything is looked for
    return done


def _open(acting: Acting, call: Call, resolved: Resolved, opening: Opening) -> Emulated:
    if opening.holds_only and call.name == "openat2":
        return Emulated(-ENOSYS)  # its flags stand in memory, and the kernel would read them again
    if opening.holds_only:
        return CONTINUED  # a descriptor that gives no access: it is judged when it is used
    if resolved.error:
        return Emulated(-resolved.error)
    if opening.is_temporary:
        return _temporary(acting, call, resolved, opening)
    if resolved.missing is not None:
        return _create(acting, call, resolved, opening)
    return _reopen(acting, call, resolved, opening)


def _reopen(acting: Acting, call: Call, resolved: Resolved, opening: Opening) -> Emulated:
    """Open what is there."""
    held = resolved.object
    assert held is not None
    error = _refusal(resolved, opening)
    if error:
        return Emulated(-error)
    kind = stat.S_IFMT(held.mode)
    if held.rdev == TERMINAL and kind == stat.S_IFCHR:
        return _open_terminal(acting, call, resolved, opening)
    inline = kind in {stat.S_IFREG, stat.S_IFDIR} or (kind == stat.S_IFCHR and held.rdev >> 32 == _MEMORY_DEVICES)
    if not inline and not acting.may_block:
        raise MayBlockError
    if opening.flags & os.O_TRUNC and acting.is_full(call):
        return Emulated(-EMFILE)
    if not acting.may_block:
        return _answer(acting, call, resolved.fd, opening, impatient=kind == stat.S_IFREG)
    return _open_and_inject(acting, call, resolved.fd, opening, at_once=inline and not resolved.may_hang)


def _answer(acting: Acting, call: Call, fd: int, opening: Opening, *, impatient: bool) -> Emulated:
    """
    Open what *fd* holds, and answer with an fd of the target's.  Raises MayBlockError.

    In one step, unless it is written to: what is only read is as good as closed.
    """
    waits = acting.gives_before_it_answers and opening.flags & os.O_ACCMODE != os.O_RDONLY
    number = acting.looker.answer_open(call.id, fd, opening.flags, impatient=impatient, waits=waits)
    if number >= 0:
        return Emulated(number, answered=not waits)
    if number == -EAGAIN and impatient and not opening.flags & os.O_NONBLOCK:
        raise MayBlockError  # a lease
    acting.still_waits(call)
    return Emulated(-EMFILE if number == -EBADF else number)


def _open_and_inject(acting: Acting, call: Call, fd: int, opening: Opening, *, at_once: bool = False) -> Emulated:
    """
    Do the same in two steps: the first may sleep, and its thread may be killed meanwhile, or get a signal.

    *at_once*: it sleeps for a lease only, and that is tried first.
    """
    assert acting.sleeper is not None  # a worker that opens has one
    flags = opening.flags & ~(os.O_CREAT | os.O_NOFOLLOW) | os.O_NOCTTY
    opened = _open_at_once(acting, fd, flags) if at_once else -EAGAIN
    if opened == -EAGAIN:
        opened = acting.sleeper.open(call, fd, flags)
    if opened < 0:
        acting.still_waits(call)
        return Emulated(opened)
    try:
        return acting.inject(call, opened, close_on_exec=opening.closes_on_exec)
    except OSError as error:
        return Emulated(-EMFILE if error.errno == EBADF else -(error.errno or EMFILE))
    finally:
        os.close(opened)


def _open_at_once(acting: Acting, fd: int, flags: int) -> int:
    """Open what *fd* holds, where nobody has a lease: an fd of ours, or -errno; -EAGAIN: somebody has."""
    try:
        opened = open_at(acting.own_fds, b"%d" % fd, flags | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == EMFILE:
            raise  # our own table is full
        return -(error.errno or EBADF)
    os.set_blocking(opened, not flags & os.O_NONBLOCK)
    return opened


def _refusal(resolved: Resolved, opening: Opening) -> int:
    """Return the errno with which what is there is not opened, before anybody asks for rights (``do_open``)."""
    held = resolved.object
    assert held is not None
    if opening.creates:
        if opening.flags & os.O_EXCL:
            return EEXIST
        if stat.S_ISDIR(held.mode):
            return EISDIR
        error = may_create_in_sticky(resolved)
        if error:
            return error
    if opening.flags & os.O_DIRECTORY and not stat.S_ISDIR(held.mode):
        return ENOTDIR
    return ELOOP if stat.S_ISLNK(held.mode) else 0


def _create(acting: Acting, call: Call, resolved: Resolved, opening: Opening) -> Emulated:
    """Make the file that is not there; the umask is the target's."""
    if not opening.creates:
        return Emulated(-ENOENT)
    if resolved.must_be_directory:
        return Emulated(-EISDIR)
    if acting.is_full(call):
        return Emulated(-EMFILE)
    assert resolved.missing is not None
    flags = opening.flags & ~os.O_TRUNC | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NOCTTY
    try:
        made = acting.with_umask(call, lambda: open_at(resolved.fd, resolved.missing or b"", flags, opening.mode))
    except FileExistsError:
        if opening.flags & os.O_EXCL:
            return Emulated(-EEXIST)
        raise ChangedError from None
    except OSError as error:
        return Emulated(-our_lack(error))
    try:
        return _inject_new(acting, call, resolved, made, opening)
    finally:
        os.close(made)


def _inject_new(acting: Acting, call: Call, resolved: Resolved, made: int, opening: Opening) -> Emulated:
    """Give the target the file that was made, or take it away again."""
    try:
        return acting.inject(call, made, close_on_exec=opening.closes_on_exec)
    except OSError as error:
        _unmake(resolved, made)
        return Emulated(-(error.errno or EMFILE))
    except TargetGone:
        if acting.entry is not None:
            acting.entry.keep(made)  # for when the call is made again
        raise


def _unmake(resolved: Resolved, made: int) -> None:
    """Remove the file that was made, if its name is still its own."""
    mine = os.fstat(made)
    name = resolved.missing or b""
    try:
        there = os.stat(name, dir_fd=resolved.fd, follow_symlinks=False)
        if (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino):
            os.unlink(name, dir_fd=resolved.fd)
    except OSError:
        return


def _temporary(acting: Acting, call: Call, resolved: Resolved, opening: Opening) -> Emulated:
    """Make a file without a name in the directory that was looked up."""
    if resolved.missing is not None:
        return Emulated(-ENOENT)
    if not resolved.is_directory:
        return Emulated(-ENOTDIR)
    if resolved.is_own_table:
        return Emulated(-EOPNOTSUPP)
    flags = opening.flags & ~os.O_NOFOLLOW | os.O_NOCTTY
    try:
        made = acting.with_umask(call, lambda: open_at(resolved.fd, b".", flags, opening.mode))
    except OSError as error:
        return Emulated(-our_lack(error))
    try:
        return acting.inject(call, made, close_on_exec=opening.closes_on_exec)
    except OSError as error:
        return Emulated(-(error.errno or EMFILE))
    finally:
        os.close(made)


def _open_terminal(acting: Acting, call: Call, resolved: Resolved, opening: Opening) -> Emulated:
    """Open /dev/tty, which is the controlling terminal of the target, and not ours."""
    if not acting.may_block:
        raise MayBlockError
    with ourselves():
        fd = open_terminal_of(call.tid)
    if fd is None:
        acting.still_waits(call)
        not_theirs = file_uid() not in {0, os.fstat(resolved.fd).st_uid}
        return Emulated(-EPERM if opening.flags & os.O_NOATIME and not_theirs else -ENXIO)
    try:
        acting.still_waits(call)
        return _open_and_inject(acting, call, fd, opening)
    finally:
        os.close(fd)
