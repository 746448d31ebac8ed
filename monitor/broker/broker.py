"""
The broker of one run: which calls can be done for a target, and by whom.

What it is not: any of them (``files``, ``metadata``), or a decision.  It is the ``Broker`` that
``notify`` knows; supervisor makes it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from errno import EACCES, EAGAIN
from functools import partial
from typing import TypeVar

import outcome
import trio

from monitor._native import PEEK, FastActor, Receiver
from monitor.abi.arch import Arch
from monitor.broker.acting import OPENS, Acting, Shared, our_lack
from monitor.broker.families import FAMILIES, HELD, LISTINGS, Family
from monitor.broker.helper import LONG, Sleeper
from monitor.broker.hiding import Hides
from monitor.broker.journal import Journal
from monitor.broker.lanes import Lane, lanes
from monitor.broker.mounts import Mounts
from monitor.broker.once import do_once
from monitor.broker.opening import opening_of
from monitor.broker.plain import FastRun, PlainCall, plain_calls
from monitor.broker.plan import PathPlan, Start, by_descriptor, paths_of
from monitor.broker.resolve import Resolver
from monitor.broker.resolved import Resolved
from monitor.broker.whose import OURS, Owners, Whose
from monitor.broker.worker import Runner, Workers
from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated, MayBlockError
from monitor.notify.listener import Listener

T = TypeVar("T")


class FileBroker:
    """Acts for the targets of one listener: each with its own rights, in its own view."""

    def __init__(
        self,
        listener: Listener,
        *,
        is_supervised: Callable[[int], bool],
        alike: int | None = None,
        faultless: bool = False,
    ) -> None:
        """
        Borrow *listener*; *is_supervised* knows the processes of the run.  Ends with ``close``.

        *alike*: a process whose rights and view all of them have, until ``loosen`` is called; None: each may have
        its own.  *faultless*: none can handle the faults of its pages (userfaultfd(2)), and have us wait for it.
        """
        self._listener = listener
        self._reading = PEEK if faultless else 0
        self._resolver = Resolver(listener, is_supervised=is_supervised, reading=self._reading)
        self._shared = Shared(threading.Lock(), Runner())
        self._acting = self._new_acting(OURS, may_block=False)
        resolver = self._resolver
        self._owners = Owners(listener, resolver.proc, resolver.looker(), resolver.mounts, alike)
        self._other: tuple[int, Acting] = 0, self._acting
        self._workers = Workers()
        self._journal = None if listener.wait_killable else Journal()
        self._actors: list[FastActor] = []
        self._arch = Arch.native()
        self._plans = {name: paths_of(self._arch, name) for name in FAMILIES}  # before the first call waits for it

    def hide(self, hides: Hides | None) -> None:
        """Have no path pass a name that *hides* says is hidden; None: nothing is."""
        self._resolver.hides = hides

    def close(self) -> None:
        """Give back what was opened, and end the workers."""
        self._shared.runner.close()
        for actor in self._actors:
            actor.close()
        if self._journal is not None:
            self._journal.close()
        self._workers.close(self._close)

    def _close(self) -> None:
        self._owners.close()
        self._resolver.close()

    @property
    def walled(self) -> bool:
        """Whether every target has our rights and our view."""
        return self._owners.walled

    def loosen(self, call: Call) -> None:
        """Look from now on who each of them is, if *call*, which is about to be run, may give it other rights."""
        self._owners.loosen(call)

    @property
    def remembers(self) -> bool:
        """Whether signals take calls away from us, so that what was done for them has to be remembered."""
        return self._journal is not None

    def plain(self) -> tuple[FastActor, FastRun, Receiver, Mounts, Mapping[tuple[int, int], PlainCall]]:
        """
        Return who looks paths up and answers, also in a row, for whom, among which mounts, and which calls are plain.

        Raises OSError.
        """
        receiver, resolver = self._listener.receiver, self._resolver
        actor = FastActor(receiver, self._listener.fileno(), resolver.proc, resolver.own_fds)
        self._actors.append(actor)
        resolver.mounts.read()  # as they were before may be what it does not hear of any more
        return (
            actor,
            FastRun(actor),
            receiver,
            resolver.mounts,
            plain_calls(self._arch, self._reading),
        )

    def changing(self) -> tuple[Mapping[tuple[int, int], Lane], threading.Lock]:
        """Return which calls that change something may be plain, and what is held while names move."""
        return lanes(self._arch, self._reading), self._shared.moving

    def can(self, call: Call) -> bool:
        """
        Whether *call* can be done for its target: it is of the machine's own ABI, and its rights can be taken on.

        Raises TargetGone, and OSError where we have no fd to look with.
        """
        return self._knows(call) and self._owners.of(call) is not None

    def _knows(self, call: Call) -> bool:
        return call.name in FAMILIES and call.arch is self._arch

    def _whose(self, call: Call) -> Whose:
        """Return whose *call* is.  Raises as ``can``; OSError (EACCES): nobody's whose rights can be taken on."""
        whose = self._owners.of(call)
        if whose is None:
            raise OSError(EACCES, os.strerror(EACCES))
        return whose

    def _do(self, call: Call, function: Callable[[Acting, Call], T]) -> T:
        """
        Return what *function* returns for *call*, at once.

        What is done with other rights is done on a thread of the broker, for which the loop waits.
        """
        whose = self._whose(call)
        if whose is OURS:
            return function(self._acting, call)
        ident, acting = self._other
        if ident != call.id:
            acting = self._new_acting(whose, may_block=False)
            self._other = call.id, acting
        if whose.standing is None:
            return function(acting, call)
        return self._shared.runner.run(partial(function, acting, call))

    def prepare(self, call: Call) -> None:
        """Look the path of *call* up where a later look could have to sleep.  Raises MayBlockError."""
        if self._journal is not None:
            self._journal.note(call)
        if self._knows(call) and self._may_sleep(call):
            with suppress(OSError, TargetGone):  # whoever decides about it meets that again
                for register in FAMILIES[call.name].registers:
                    call.looked_up(register)

    def _may_sleep(self, call: Call) -> bool:
        """Whether a look-up for *call* may have to sleep."""
        with suppress(OSError, TargetGone):
            whose = self._owners.of(call)
            mounts = self._resolver.mounts if whose is None or whose.view is None else whose.view.mounts
            return mounts.may_hang
        return False

    def path(self, call: Call, index: int) -> Resolved:
        """Return what the path in register *index* leads to."""
        return self._do(call, partial(self._path, index=index))

    async def look_up(self, call: Call) -> None:
        """Look up the paths of *call* where it may sleep."""
        acting = self._new_acting(self._whose(call), may_block=True)
        for register in FAMILIES[call.name].registers:
            if not call.has_looked_up(register):
                found = await self._workers.run(partial(self._path, acting, call, index=register), _close_found)
                call.keep(register, found)

    def emulate(self, call: Call) -> Emulated:
        """Do *call* at once.  Raises MayBlockError."""
        try:
            return self._do(call, self._look_and_emulate)
        except OSError as error:  # the thread waits for an answer, whatever we lack
            return Emulated(-our_lack(error))

    async def emulate_later(self, call: Call) -> Emulated:
        """Do *call* where it may sleep."""
        await self.look_up(call)
        acting = self._new_acting(self._whose(call), may_block=True)
        sleeper = acting.sleeper = self._new_sleeper() if call.name in LONG else None
        call.lent = True

        def give_back() -> None:
            call.close_lent()
            if sleeper is not None:
                sleeper.close()

        try:
            done = await self._workers.run(
                lambda: self._emulate(acting, call),
                lambda _done: give_back(),
                lambda: None if sleeper is None else sleeper.cancel(),
                is_ending=lambda: call.injecting,
            )
        except trio.Cancelled:
            raise  # it is the worker's, until that has done with it
        except BaseException:
            self._take_back(call, sleeper)
            raise
        self._take_back(call, sleeper)
        return done

    def _new_sleeper(self) -> Sleeper:
        wait_killable = self._listener.wait_killable is True
        return Sleeper(self._listener.fileno(), self._resolver.proc, wait_killable=wait_killable)

    @staticmethod
    def _take_back(call: Call, sleeper: Sleeper | None) -> None:
        """Have what a worker has done with for ourselves again: dispatch closes it."""
        call.lent = False
        if sleeper is not None:
            sleeper.close()

    def _new_acting(self, whose: Whose, *, may_block: bool) -> Acting:
        return Acting(self._listener, self._resolver, self._shared, may_block=may_block, whose=whose)

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
            return acting.resolver.resolve(acting.looker, call, 0, held, may_block=acting.may_block)
        plan = self._plans.get(call.name, {}).get(index)
        if plan is None or call.arch is not self._arch:
            message = f"{call.name} has no path in register {index} that could be looked up"
            raise TypeError(message)
        if call.name in OPENS:
            return self._opened_path(acting, call, plan)
        start = plan.start(call.registers)
        return acting.resolver.resolve(acting.looker, call, call.registers[index], start, may_block=acting.may_block)

    def _opened_path(self, acting: Acting, call: Call, plan: PathPlan) -> Resolved:
        """Look up the path of an open, whose flags may stand in memory."""
        opening = opening_of(call)
        # What is in the kernel's cache tells what is there; the kernel may say EAGAIN of anything.
        tells = acting.resolver.hides is not None and opening.only_cached
        if opening.error or tells:
            resolved = Resolved(b"")
            resolved.wrong = opening.error or EAGAIN
        else:
            start = plan.start(call.registers, opening.flags)._replace(creates=opening.creates)
            resolved = acting.resolver.resolve(
                acting.looker, call, call.registers[plan.register], start, opening.resolve, may_block=acting.may_block
            )
        resolved.opening = opening
        return resolved

    def _look_and_emulate(self, acting: Acting, call: Call) -> Emulated:
        """Do *call*; what it takes of look-ups is made by the same thread, if it is not the loop's."""
        if acting.whose.standing is not None:
            for register in FAMILIES[call.name].registers:
                if not call.has_looked_up(register):
                    call.keep(register, self._path(acting, call, register))
        return self._emulate(acting, call)

    def _emulate(self, acting: Acting, call: Call) -> Emulated:
        family = FAMILIES[call.name]
        try:
            if acting.resolver.mounts.may_hang and not acting.may_block and self._may_hang(acting, call, family):
                raise MayBlockError
            with acting.standing(call, family.registers):
                if self._journal is not None:
                    return do_once(self._journal, acting, call, family)
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
