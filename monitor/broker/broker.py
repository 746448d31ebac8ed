"""
The broker of one run: which calls can be done for a target, and by whom.

What it is not: any of them (``files``, ``metadata``), or a decision.  It is the ``Broker`` that
``notify`` knows; supervisor makes it.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial

import outcome
import trio

from monitor._native import PEEK, FastLooker, PathLooker, Receiver
from monitor.abi.arch import Arch
from monitor.broker import files
from monitor.broker.acting import Acting, Shared, our_lack
from monitor.broker.families import FAMILIES, HELD, LISTINGS, OPENS, Family
from monitor.broker.mounts import Mounts
from monitor.broker.opening import opening_of
from monitor.broker.plain import PlainCall, plain_calls
from monitor.broker.plan import PathPlan, Start, by_descriptor, paths_of
from monitor.broker.resolve import Resolver
from monitor.broker.resolved import Resolved
from monitor.broker.rights import rights_of
from monitor.broker.worker import Runner, Workers
from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated, MayBlockError
from monitor.notify.listener import Listener


class FileBroker:
    """Acts for the targets of one listener, in our own view and with our own rights."""

    def __init__(
        self, listener: Listener, *, is_supervised: Callable[[int], bool], walled: bool = False, faultless: bool = False
    ) -> None:
        """
        Borrow *listener*; *is_supervised* knows the processes of the run.  Ends with ``close``.

        *walled*: none of them can come to other rights or another view than ours; *faultless*: none can handle the
        faults of its pages (userfaultfd(2)), and have us wait for it.
        """
        self._ours = None if walled else rights_of("/proc/thread-self")
        self._walled = walled
        self._alike = (0, False)
        self._listener = listener
        self._reading = PEEK if faultless else 0
        self._resolver = Resolver(listener, is_supervised=is_supervised, reading=self._reading)
        self._shared = Shared(threading.Lock(), Runner())
        self._acting = self._new_acting(self._resolver.looker(), may_block=False)
        self._workers = Workers()
        self._arch = Arch.native()
        self._plans = {name: paths_of(self._arch, name) for name in FAMILIES}  # before the first call waits for it

    def close(self) -> None:
        """Give back what was opened, and end the workers."""
        self._shared.runner.close()
        self._workers.close(self._resolver.close)

    def plain(self) -> tuple[FastLooker, Receiver, Mounts, Mapping[tuple[int, int], PlainCall]]:
        """Return who looks plain calls up and answers them, for whom, what it looks among, and which they are."""
        receiver, resolver = self._listener.receiver, self._resolver
        fds = resolver.proc, resolver.own_fds, resolver.mounts.fd
        return (
            FastLooker(receiver, self._listener.fileno(), *fds),
            receiver,
            resolver.mounts,
            plain_calls(self._arch, self._reading),
        )

    def can(self, call: Call) -> bool:
        """
        Whether *call* can be done for its target: it is of the machine's own ABI, and the thread has our rights.

        Raises TargetGone, and OSError where we have no fd to look with.
        """
        return self._knows(call) and (self._walled or self._is_alike(call))

    def _knows(self, call: Call) -> bool:
        return call.name in FAMILIES and call.arch is self._arch

    def _is_alike(self, call: Call) -> bool:
        """Whether the thread has our rights and our view, which it cannot change while it waits."""
        ident, alike = self._alike
        if ident != call.id:
            found = self._listener.reserve.with_fd(lambda: rights_of(f"/proc/{call.tid}"))
            if found is None and not self._listener.is_valid(call.id):
                raise TargetGone
            alike = found is not None and found == self._ours
            self._alike = call.id, alike
        return alike

    def prepare(self, call: Call) -> None:
        """Look the path of *call* up where a later look could have to sleep.  Raises MayBlockError."""
        if self._resolver.mounts.may_hang and self._knows(call):
            with suppress(OSError, TargetGone):  # whoever decides about it meets that again
                for register in FAMILIES[call.name].registers:
                    call.looked_up(register)

    def path(self, call: Call, index: int) -> Resolved:
        """Return what the path in register *index* leads to."""
        return self._path(self._acting, call, index)

    async def look_up(self, call: Call) -> None:
        """Look up the paths of *call* where it may sleep."""
        acting = self._new_acting(self._resolver.looker(), may_block=True)
        for register in FAMILIES[call.name].registers:
            if not call.has_looked_up(register):
                found = await self._workers.run(partial(self._path, acting, call, register), _close_found)
                call.keep(register, found)

    def emulate(self, call: Call) -> Emulated:
        """Do *call* at once.  Raises MayBlockError."""
        return self._emulate(self._acting, call)

    async def emulate_later(self, call: Call) -> Emulated:
        """Do *call* where it may sleep."""
        await self.look_up(call)
        acting = self._new_acting(self._resolver.looker(), may_block=True)
        call.lent = True
        try:
            done = await self._workers.run(
                lambda: self._emulate(acting, call),
                lambda _done: call.close_lent(),
                partial(self._waker, call),
                is_ending=lambda: call.injecting,
            )
        except trio.Cancelled:
            raise  # it is the worker's, until that has done with it
        except BaseException:
            call.lent = False
            raise
        call.lent = False
        return done

    def _waker(self, call: Call) -> AbstractContextManager[Callable[[], None]] | None:
        """Return what ends the wait for the other end of a FIFO, if *call* may wait for that."""
        if call.name not in OPENS:
            return None
        resolved = call.looked_up(FAMILIES[call.name].register)
        if isinstance(resolved, Resolved) and resolved.object is not None and stat.S_ISFIFO(resolved.object.mode):
            with suppress(OSError):
                return files.both_ends(os.dup(resolved.fd))
        return None

    def _new_acting(self, looker: PathLooker, *, may_block: bool) -> Acting:
        return Acting(self._listener, looker, self._resolver.own_fds, self._shared, may_block=may_block)

    def _path(self, acting: Acting, call: Call, index: int) -> Resolved:
        try:
            return self._looked_up(acting, call, index)
        except OSError:
            self._listener.reserve.needed += 1  # it is of no use here: a look-up takes more than one fd
            raise

    def _looked_up(self, acting: Acting, call: Call, index: int) -> Resolved:
        register = 0 if call.name in HELD or call.name in LISTINGS else by_descriptor(call, index)
        if register is not None:
            held = Start(call.args[register], follow=True, empty=True, null=True)
            return self._resolver.resolve(acting.looker, call, 0, held, may_block=acting.may_block)
        plan = self._plans.get(call.name, {}).get(index)
        if plan is None or call.arch is not self._arch:
            message = f"{call.name} has no path in register {index} that could be looked up"
            raise TypeError(message)
        if call.name in OPENS:
            return self._opened_path(acting, call, plan)
        start = plan.start(call.registers)
        return self._resolver.resolve(acting.looker, call, call.registers[index], start, may_block=acting.may_block)

    def _opened_path(self, acting: Acting, call: Call, plan: PathPlan) -> Resolved:
        """Look up the path of an open, whose flags may stand in memory."""
        opening = opening_of(call)
        if opening.error:
            resolved = Resolved(b"")
            resolved.wrong = opening.error
        else:
            start = plan.start(call.registers, opening.flags)._replace(creates=opening.creates)
            resolved = self._resolver.resolve(
                acting.looker, call, call.registers[plan.register], start, opening.resolve, may_block=acting.may_block
            )
        resolved.opening = opening
        return resolved

    def _emulate(self, acting: Acting, call: Call) -> Emulated:
        family = FAMILIES[call.name]
        try:
            if self._resolver.mounts.may_hang and not acting.may_block and self._may_hang(acting, call, family):
                raise MayBlockError
            return family.act(acting, call, family.register)
        except TargetMemoryError as error:
            return Emulated(-error.errno)
        except OSError as error:
            return Emulated(-our_lack(error))

    def _may_hang(self, acting: Acting, call: Call, family: Family) -> bool:
        """Whether any of what was looked up for *call* is on a file system that may answer never."""
        return any(acting.path(call, register).may_hang for register in family.registers)


def _close_found(found: outcome.Outcome[Resolved]) -> None:
    if isinstance(found, outcome.Value):
        found.unwrap().close()
