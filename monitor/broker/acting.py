"""
What every family of calls needs to act for a thread: its paths, its umask, its fds, its memory.

What it is not: a family.  One object for each thread of ours that acts.
"""

from __future__ import annotations

import os
import re
import resource
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from errno import EBADF, EMFILE, ENFILE
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from monitor._native import target_fd
from monitor.broker.helper import Sleeper
from monitor.broker.journal import Entry
from monitor.broker.resolve import Resolver
from monitor.broker.resolved import Resolved
from monitor.broker.standing import ourselves, taken
from monitor.broker.whose import OURS, Whose
from monitor.broker.worker import Runner
from monitor.errors import TargetGone
from monitor.notify.decode import Call
from monitor.notify.emulation import ChangedError, Emulated
from monitor.notify.listener import Listener

T = TypeVar("T")

OPENS: Final = frozenset({"open", "openat", "openat2", "creat"})

_SIZES: Final = frozenset({"truncate", "ftruncate"})

_LINK_READS: Final = frozenset({"readlink", "readlinkat"})

_OPEN_FILES: Final = re.compile(rb"^Max open files +(\d+) ", re.MULTILINE)
"""proc_pid_limits(5)"""

_OWN_PROC: Final = b"/proc/self/"


class Shared(NamedTuple):
    """
    What all that act for the targets of one broker have in common.

    Attributes:
        moving: held by who moves names.
        runner: a thread with a umask of its own, for the loop.
    """

    moving: threading.Lock
    runner: Runner


class Acting:
    """
    One thread of ours that acts for targets.

    *may_block* says whether it may sleep; *whose* what it takes on: then it is not the loop's.
    """

    def __init__(
        self, listener: Listener, resolver: Resolver, shared: Shared, *, may_block: bool, whose: Whose = OURS
    ) -> None:
        """Borrow the listener, what look-ups need, and what all of them share."""
        self.resolver = resolver.within(whose)
        self.whose = whose
        self._moving = shared.moving
        self._runner = shared.runner
        self._listener = listener
        self.looker = self.resolver.looker()
        self.own_fds = resolver.own_fds
        self.may_block = may_block
        self._has_umask = may_block or whose.standing is not None
        self.sleeper: Sleeper | None = None
        """Who does what may sleep for ever; a worker that acts for one of those calls has one."""
        self.entry: Entry | None = None
        """Where it is remembered what comes of the call at hand, if it must not be done twice."""

    def standing(self, call: Call, registers: tuple[int, ...]) -> AbstractContextManager[object]:
        """Return what has this thread stand as the target does; *registers*: of what was looked up for *call*."""
        standing = self.whose.standing
        if standing is None:
            return nullcontext()
        places = [self.path(call, register) for register in registers]
        if call.name in OPENS and any(place.is_own_table or place.is_own_name for place in places):
            return nullcontext()  # which every process may do with its own
        own = any((place.canonical or b"").startswith(_OWN_PROC) for place in places)
        if call.name in _LINK_READS:
            return taken(standing.reading if own else standing.looking, standing.ours)
        if call.name in _SIZES or any(_is_emptied(place) for place in places):
            return taken(standing.emptying, standing.ours)
        return taken(standing.own if own else standing.acting, standing.ours)

    @property
    def gives_before_it_answers(self) -> bool:
        """
        Whether a thread that was given an fd can wait until ours is closed.

        Both are of one open file, which is not closed before both are: if the thread ran meanwhile, a program that
        it wrote would be busy, a lock that it gave up still be held, what it removed still take its room.
        """
        return self._listener.wait_killable is True

    def path(self, call: Call, index: int) -> Resolved:
        """Return what the path in register *index* leads to.  Raises as the broker's ``path``."""
        found = call.looked_up(index)
        assert isinstance(found, Resolved)
        return found

    def still_waits(self, call: Call) -> None:
        """Do nothing while the thread waits.  Raises TargetGone."""
        if not self._listener.is_valid(call.id):
            raise TargetGone

    def duplicate(self, call: Call, register: int) -> int:
        """Return a duplicate of an fd of the thread's, ours to close.  Raises OSError, TargetGone."""
        number = register & 0xFFFFFFFF
        if number >> 31:
            raise OSError(EBADF, os.strerror(EBADF))
        with ourselves():
            return target_fd(self._listener.fileno(), call.id, call.tid, number)

    def be_the_same(self, call: Call, index: int, fd: int) -> None:
        """
        Do nothing, if *fd* is of what was looked up for register *index*, by whose name it was decided.

        Raises ChangedError: another thread put something else behind the number.
        """
        held, now = self.path(call, index).object, self.looker.describe(fd)
        if held is None or (held.device, held.inode, held.mount) != (now.device, now.inode, now.mount):
            raise ChangedError

    def read(self, call: Call, address: int, size: int) -> bytes:
        """Return *size* bytes of the target's, which are not read again.  Raises TargetMemoryError, TargetGone."""
        try:
            with ourselves():
                return call.target.read(address, size)
        finally:
            call.target.looked = False  # it is our copy that is used

    def read_string(self, call: Call, address: int, limit: int) -> bytes:
        """Return a string of the target's, likewise; see ``Target.read_string``."""
        try:
            with ourselves():
                return call.target.read_string(address, limit)
        finally:
            call.target.looked = False

    def write(self, call: Call, address: int, data: bytes) -> None:
        """Write a result where the target wants it.  Raises TargetMemoryError, TargetGone."""
        with ourselves():
            call.target.write(address, data)

    def inject(self, call: Call, fd: int, *, close_on_exec: bool) -> Emulated:
        """
        Give a duplicate of *fd*, which stays ours, and answer with it, or have that still to be done.

        Raises OSError (EMFILE), TargetGone.
        """
        call.injecting = True
        waits = self.gives_before_it_answers
        number = self._listener.add_fd(call.id, fd, at=None, close_on_exec=close_on_exec, waits=waits)
        return Emulated(number, answered=not waits)

    def alone(self, *places: Resolved) -> AbstractContextManager[object]:
        """
        Return what keeps others from moving names meanwhile.

        Not on a file system that may answer never: there, others would have to wait for it.
        """
        return nullcontext() if any(place.may_hang for place in places) else self._moving

    def owner_meant(self, call: Call, register: int) -> tuple[int, int]:
        """Return the two ids in *register* and behind it, as we have them.  Raises OSError: there are none such."""
        uid, gid = (call.registers[number] & 0xFFFFFFFF for number in (register, register + 1))
        return (uid, gid) if self.whose.ids is None else self.whose.ids.meant(uid, gid)

    def is_full(self, call: Call) -> bool:
        """Whether the thread has no room for another fd: each number below its limit is in use."""
        full = False
        with suppress(OSError), ourselves():
            limit = _limit_of_fds(call.tid)
            full = limit == 0 or 0 < limit <= self._count(call.tid, limit)
        self.still_waits(call)
        return full

    def _count(self, tid: int, limit: int) -> int:
        """Return how many fds below *limit* the thread has, or another number less than it."""
        fds = Path(f"/proc/{tid}/fd")
        count = fds.stat().st_size  # of all of them: proc_pid_fd(5), Linux 6.2
        if 0 < count < limit:
            return count
        return sum(int(entry.name) < limit for entry in fds.iterdir())  # some lie behind a limit that was lowered

    def with_umask(self, call: Call, function: Callable[[], T]) -> T:
        """
        Return what *function* returns under the umask of the thread.

        On a worker, whose umask is its own; from the loop on a thread for which it waits.  Raises TargetGone, and
        what *function* raises.
        """
        umask = umask_of(call.tid)
        self.still_waits(call)

        def act() -> T:
            os.umask(umask)
            return function()

        return act() if self._has_umask else self._runner.run(act)


def _is_emptied(place: Resolved) -> bool:
    return place.opening is not None and bool(place.opening.flags & os.O_TRUNC) and place.exists


def _limit_of_fds(tid: int) -> int:
    """Return how many fds a thread may have; -1: as many as it likes.  Raises OSError."""
    try:
        return resource.prlimit(tid, resource.RLIMIT_NOFILE)[0]
    except PermissionError:  # of another user, whose limits only CAP_SYS_RESOURCE tells this way
        found = _OPEN_FILES.search(Path(f"/proc/{tid}/limits").read_bytes())
        return -1 if found is None else int(found[1])


def umask_of(tid: int) -> int:
    """Return the umask of a thread (proc_pid_status(5), Linux 4.7).  Raises TargetGone."""
    try:
        status = Path(f"/proc/{tid}/status").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        raise TargetGone from None
    umask = status.partition(b"\nUmask:")[2].split(None, 1)
    if not umask:  # it is dead, and not yet waited for
        raise TargetGone
    return int(umask[0], 8)


def our_lack(error: OSError) -> int:
    """Return what a target is told when we lack something: that the system does, and not it."""
    return ENFILE if error.errno in {EMFILE, None} else error.errno or ENFILE
