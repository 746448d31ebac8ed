"""
A launched process and the tree that grew from it: wait for it, signal it, end it.

What it is not: the launch (``launch``), or a child of ours.  Its parent is the guard
(``native/guard.c``), which reaps the tree, tells how the first process ended, and kills what is
left when it is told to or when we are gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

from monitor import _native

UNKNOWN_STATUS: Final = 128 + signal.SIGKILL
"""The status of a process whose guard was killed before it could tell: it died with the guard."""

_STOPPED_SECONDS: Final = 0.25
"""How long the guard may take before we suppose that it was stopped, and do something about it."""

_DEEPEST: Final = 4096
"""How far above a process its ancestors are looked for; numbers that are used again could make a circle of them."""

_LOOKS: Final = 64
"""How often ancestors may die under the look."""

_EVERY_CHILD: Final = 0x40000000
"""``__WALL`` (include/uapi/linux/wait.h): the guard sends no signal when it ends."""

_NOBODY: Final = 0
"""In place of an ancestor: there is none that is supervised."""


class Process:
    """
    The first process of a launched tree; owns its pidfd, the pipes to it and the guard.

    ``watch`` has to run in some task for anything else here to happen.
    """

    def __init__(self, launched: _native.Launched, owned_streams: Mapping[int, int], *, tied: bool) -> None:
        """Take over every fd of *launched* but the listener, and our ends of its pipes."""
        self.pid = launched.pid
        """Its number in our pid namespace."""
        self.pidfd = launched.pidfd
        """A pidfd of it, owned by this object; -1 after the end."""
        self.status: int | None = None
        """The shell's exit status (128 + signal if it was killed), None while it runs."""
        self.killed_by = 0
        """The signal that ended it, or 0."""
        self.exited = trio.Event()
        self.tree_gone = trio.Event()
        self._guard = launched
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, launched.control)
        self._tied = tied
        self._guard_gone = False
        self._watching = trio.CancelScope()
        self._watched = trio.Event()
        self.streams = {number: trio.lowlevel.FdStream(fd) for number, fd in owned_streams.items()}
        """0, 1, 2 -> our end, for those that are piped."""

    async def watch(self) -> None:
        """Notice the end of the first process, then that of the tree, and clean up after it."""
        try:
            await self._watch()
        finally:
            self._watched.set()

    async def _watch(self) -> None:
        with self._watching:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_first)
                await trio.lowlevel.checkpoint()  # if we were left running meanwhile, the fds are closed
                await trio.lowlevel.wait_readable(self._guard.guard_pidfd)
                # The guard ends after the last of the tree.  If it was killed, nothing else would
                # end the first process, which can undo what ties it to the guard (prctl(2)).
                self._guard_gone = True
                self.send_signal(signal.SIGKILL)
            self._release()

    @trio.lowlevel.enable_ki_protection
    async def _watch_first(self) -> None:
        await trio.lowlevel.checkpoint()  # likewise
        await trio.lowlevel.wait_readable(self.pidfd)
        self.status = await self._told_status()
        self.exited.set()

    async def _told_status(self) -> int:
        """Return what the guard says, which it does as soon as it runs: unless it was killed, or stopped."""
        told = False
        while not told and not self._guard_gone:
            with trio.move_on_after(_STOPPED_SECONDS):
                await trio.lowlevel.wait_readable(self._control)
                told = True
            self._continue_guard()
        message = b""
        with contextlib.suppress(OSError):
            message = self._control.recv(_native.GUARD_STATUS.size, socket.MSG_DONTWAIT)
        if len(message) < _native.GUARD_STATUS.size:
            self.killed_by = signal.SIGKILL
            return UNKNOWN_STATUS
        code = os.waitstatus_to_exitcode(_native.GUARD_STATUS.unpack(message)[0])
        self.killed_by = max(0, -code)
        return code if code >= 0 else 128 - code

    def _continue_guard(self) -> None:
        """Undo a SIGSTOP: a process of the tree that has our user id can send the guard one."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._guard.guard_pidfd, signal.SIGCONT)

    def has(self, pid: int) -> bool:
        """
        Whether process *pid* is one of the tree, or may be: two looks into /proc for each of its ancestors.

        One of them may die under the look, and another process have its number: two looks have to agree.
        Who cannot be placed is taken for one of the tree, since that decides how deep it is and how fast it
        changes, may use up descriptors, and may kill the guard, after which nothing tells it from others.
        """
        before: tuple[int, ...] | None = None
        for _ in range(_LOOKS):
            try:
                above = _above(pid, self._guard.guard_pid)
            except OSError:
                return True
            if above is not None and above[-1] != _NOBODY:
                return True
            if above is not None and (above == before or len(above) == 1):
                return not self._is_guarded()  # afterwards: what we saw may be what the guard's death has left
            before = above
        return True

    def _is_guarded(self) -> bool:
        """
        Return whether the guard is there, whatever became of it since we began to ask.

        waitid(2) and not poll(2): it waits for the lock under which children are given another parent
        (kernel/exit.c, ``exit_notify``), so that who has seen one of these sees the death too.
        """
        if self.tree_gone.is_set():
            return False
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG | _EVERY_CHILD
        try:
            return os.waitid(os.P_PIDFD, self._guard.guard_pidfd, options) is None
        except ChildProcessError:  # somebody here waits for children that are not his
            return False

    def send_signal(self, number: int) -> None:
        """Send a signal to the first process; nothing happens if it has ended."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def signal_tree(self, number: int) -> None:
        """Send a signal to every process of the tree that is there now."""
        if self.tree_gone.is_set():
            return
        family = _descendants(self._guard.guard_pid)
        for pid in family - {self._guard.guard_pid}:
            _signal_descendant(pid, family, number)

    def kill_tree(self) -> None:
        """Have the guard send SIGKILL to all, and again to what they leave behind, until none is left."""
        if self.tree_gone.is_set():
            return
        self._order(_native.GUARD_KILL)
        self._continue_guard()
        self.send_signal(signal.SIGKILL)  # in case the guard itself was killed

    async def end(self, grace_seconds: float) -> None:
        """
        End the tree: SIGTERM, *grace_seconds*, SIGKILL; returns when the last process is gone.

        Without a time of grace nobody could use SIGTERM, so it is left out.  ``watch`` must be
        running.
        """
        if grace_seconds > 0:
            self.signal_tree(signal.SIGTERM)
            with trio.move_on_after(grace_seconds):
                await self.tree_gone.wait()
        self.kill_tree()
        while not self.tree_gone.is_set():
            with trio.move_on_after(_STOPPED_SECONDS):
                if self._watched.is_set():  # whoever watched has failed: notice the end here
                    await trio.lowlevel.wait_readable(self._guard.guard_pidfd)
                    self._release()
                await self.tree_gone.wait()
                break
            self._continue_guard()
            self.signal_tree(signal.SIGKILL)  # whoever stops the guard over and over
        await self.close_streams()

    async def discard(self) -> None:
        """End a tree that nobody watches: a launch that failed or was cancelled at the last moment."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.watch)
            await self.end(0)

    async def leave_running(self) -> None:
        """End the guard and leave the tree alone; only for a tree that is not tied to us."""
        assert not self._tied
        self._watching.cancel()
        await self._watched.wait()  # it may have seen the end of the tree already, and close the fds
        self._order(_native.GUARD_DETACH)
        if not self.tree_gone.is_set():
            await trio.lowlevel.wait_readable(self._guard.guard_pidfd)
            self._release()
        await self.close_streams()

    async def close_streams(self) -> None:
        """Close our ends of the pipes, whether or not the user has."""
        for stream in self.streams.values():
            await trio.aclose_forcefully(stream)

    def _order(self, message: bytes) -> None:
        if self.tree_gone.is_set():
            return
        with contextlib.suppress(OSError):  # the guard has ended
            self._control.send(message, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)

    def _release(self) -> None:
        """Reap the guard and close what leads to it and to the first process."""
        if self.tree_gone.is_set():
            return
        self.tree_gone.set()
        self._control.close()
        os.close(self.pidfd)
        self.pidfd = -1
        _native.guard_release(self._guard.guard_pidfd, self._guard.guard_stack)


def _above(pid: int, guard: int) -> tuple[int, ...] | None:
    """
    Return *pid* and what is above it, up to *guard*, or to ``_NOBODY`` where that is not above it.

    Deeper than ``_DEEPEST`` nothing is looked for.  None: an ancestor was gone before it was asked for its own
    parent; those below it then have another, nearer to the guard.

    Raises:
        OSError: it cannot be seen, for want of a descriptor.
    """
    found: list[int] = []
    here = pid
    while len(found) < _DEEPEST:
        if here <= 1:
            return *found, _NOBODY
        if here == guard:
            return *found, guard
        try:
            parent = _parent_of(Path(f"/proc/{here}"))
        except (FileNotFoundError, ProcessLookupError):
            return None if found else (_NOBODY,)
        found.append(here)
        here = parent
    return tuple(found)


def _parents() -> Mapping[int, int]:
    """Return pid -> parent of every process that can be seen (proc_pid_stat(5))."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = _parent_of(entry)
    return found


def _parent_of(directory: Path) -> int:
    # The name is in parentheses and may contain any byte, ")" too: what counts follows the last.
    return int((directory / "stat").read_bytes().rpartition(b")")[2].split()[1])


def _descendants(root: int) -> frozenset[int]:
    """Return every process below *root*, and *root*."""
    parents = _parents()
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return frozenset(family)


def _signal_descendant(pid: int, family: frozenset[int], number: int) -> None:
    """Signal *pid* if it still is of the family; the pidfd comes first, so no later process is hit."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(pid)
        try:
            if _parent_of(Path(f"/proc/{pid}")) in family:
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
