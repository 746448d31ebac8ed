"""
Picks the handlers of a call, runs them, and gives exactly one answer.

What it is not: the place where listeners come from, or where what happened is written down: an
``Observer`` is told.  The step before it is ``decode``; the step after it is the kernel's.

The invariants, each with a test:

* One receiver at a time: who has just answered receives next, and nobody ever waits in a receive.
* One response for each notification, on every path: a verdict, an exception, a deadline, a
  cancellation, the end of the supervision.  What was received is answered before anything that
  can raise or wait is done.
* Failure denies.  An ``Exception`` from a handler is ``Deny(EPERM)``, told, and the loop goes on;
  any other ``BaseException`` denies the call and then propagates.  Nothing allows by default.
* An ``Allow`` after a look at memory is refused, unless it says why it is only observation and
  the supervisor is not strict.
* What a verdict owns (the fd of an ``InjectFd``) is closed once, whatever became of the answer.

Speed: a call that an inline handler decides goes through one C call, ``exchange``, which sends
its answer, polls, and receives the next.  While calls keep coming the scheduler is visited once
in ``DRAIN`` answers, so that other tasks run.
"""

from __future__ import annotations

from time import perf_counter
from typing import Final

import trio

from monitor._native import RawNotification
from monitor.notify.account import FAILURE, Observer, Outcome, Stats
from monitor.notify.ask import Asker, Options
from monitor.notify.carry import TRIES, Carrier
from monitor.notify.decode import Call
from monitor.notify.emulation import Broker, FastPath, MayBlockError
from monitor.notify.handler import Route, Routes, Steps
from monitor.notify.listener import EVAPORATED, NO_TASK_LEFT, NOTHING_QUEUED, AnyListener
from monitor.notify.onestep import OneStep
from monitor.notify.respond import Responder
from monitor.notify.seen import SeenProcesses
from monitor.notify.verdict import Allow, Emulate
from monitor.notify.waiting import Waiting, WaitingRoom

DRAIN: Final = 64
"""Answers between two visits to the scheduler while calls keep coming."""

LINGERINGS: Final = 4
"""For how many times its length the loop may linger and answer before other tasks run, while calls keep coming."""

FROM_THE_START: Final = -1
"""In the place of a handler's index: the call was not decided about at all, since that could have to sleep."""

DECIDED: Final = -2
"""In the same place: it was, and what was decided could have to sleep."""

ASKED: Final = -3
"""In the same place: it was, and somebody has to be asked."""

_NOT_NOW: Final = frozenset({NOTHING_QUEUED, EVAPORATED})
"""Why there is no notification, and there may be one later."""


class Dispatcher:
    """Answers the notifications of one listener, which it borrows."""

    def __init__(
        self,
        listener: AnyListener,
        routes: Routes,
        options: Options,
        observer: Observer,
        seen: SeenProcesses | None = None,
        broker: Broker | None = None,
        fast: FastPath | None = None,
    ) -> None:
        """Be ready; ``run`` does the work.  *seen* is told of every thread that asks; the rest is borrowed."""
        self._broker = broker
        self._prelude = options.prelude
        self._fast = fast if seen is None and options.prelude is None else None
        self.stats = Stats()
        self._seen = seen
        self._observer = observer
        # Whoever was seen asking is killed at the end: then every call goes the long way, which notes them.
        self._passes = isinstance(options.otherwise, Allow) and seen is None and options.judge is None
        self._others = options.others
        self._linger = listener.linger if options.others is None else options.others.linger
        self._judge = options.judge
        self._linger_seconds = options.linger_seconds
        self._listener = listener
        self._routes = routes
        self._known = routes.known
        self._asker = Asker(options, self.stats, observer)
        self._responder = Responder(listener, self.stats, observer, self._close_out)
        self._one_step = OneStep(listener, self.stats, self._close_out)
        self._carrier = Carrier(broker, self._responder)
        self._nursery: trio.Nursery | None = None
        self._approvals = options.approvals
        self._waiting = WaitingRoom(listener)

    async def run(self) -> None:
        """
        Answer notifications until no task is left that could make one.

        Cancelled, it denies what it has received and what asynchronous handlers still think
        about; what the kernel has queued and nobody received is left to the listener's owner.

        Raises:
            ExceptionGroup: of what ended it: HandlerError under ``handler_errors="raise"``, what
                an observer raised, a BaseException of a handler, an OSError of the listener.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._waiting.look_after)
            await self._serve()
            nursery.cancel_scope.cancel()

    def replace(self, routes: Routes) -> None:
        """
        Ask the handlers of *routes* from now on: the policy was replaced.

        Calls that wait for an asynchronous handler are refused, where the policy refuses them, and decided
        again from the first handler on, where it gives them to others.  What somebody is asked about is
        decided again, and asked again if it still has to be.
        """
        assert self._judge is not None
        self._routes, self._known = routes, routes.known
        self._waiting.decide_again(self._judge)

    # ---- the loop ----

    @trio.lowlevel.enable_ki_protection
    async def _serve(self) -> None:
        """
        Receive and answer.

        Interrupts are held back, except inside handlers: between a receive and its answer there
        is nothing that could be interrupted.
        """
        listener = self._listener
        others_ran = perf_counter()
        while True:
            since = perf_counter() - others_ran
            if since > LINGERINGS * self._linger_seconds or not self._lingers():
                await listener.wait()
                others_ran = perf_counter()
            outcome = listener.receive()
            if isinstance(outcome, tuple):
                outcome = await self._drain(outcome)
            if outcome == NO_TASK_LEFT:
                return
            if outcome not in _NOT_NOW:
                raise OSError(-outcome, "cannot receive from the listener")
            if outcome == EVAPORATED:
                self.stats.evaporated += 1

    def _lingers(self) -> bool:
        """
        Whether the next call came while we blocked the loop for it.

        A call that comes alone finds us asleep, with the caches of the CPU used by others: the way
        through the scheduler is then dearer than the answer.  Who does nothing else on the loop may
        say that it can be blocked for a moment.  Handlers that think in a task need it, though.
        """
        return self._linger_seconds > 0 and not self._waiting and self._linger(self._linger_seconds)

    async def _drain(self, received: RawNotification) -> int:
        """Answer *received* and what comes after it, until nothing is queued; why it ended."""
        drained = 0
        while True:
            outcome = self._answer(received)
            if not isinstance(outcome, tuple):
                return outcome
            received = outcome
            drained += 1
            if self._fast is not None:
                drained += self._one_step.more()
            if drained >= DRAIN or (self._others is not None and self._others.have_a_turn(drained)):
                drained = 0
                await self._visit_scheduler(received)

    async def _visit_scheduler(self, received: RawNotification) -> None:
        """Let other tasks run; *received* is denied if that is where we are cancelled."""
        try:
            await trio.lowlevel.checkpoint()
        except BaseException:
            self._close_out(received)
            raise

    def _close_out(self, received: RawNotification) -> None:
        """Deny what was received and can no longer be decided."""
        self.stats.received += 1
        route = self._routes.of(received[4], received[3])
        call = Call(received, route.name, route.arch, self._listener)
        try:
            if self._seen is not None:
                self._seen.note(received[1])
        finally:
            self._responder.respond(call, Outcome(FAILURE, "closing"), perf_counter())

    # ---- one notification ----

    def _answer(self, raw: RawNotification) -> RawNotification | int:
        """Answer *raw*, or start the task that will, and receive the next."""
        route = self._known.get((raw[4], raw[3]))
        if route is None:
            route = self._routes.of(raw[4], raw[3])
        if not route.handlers:
            watcher = self._observer.watcher if self._passes else None
            if watcher is not None:
                return self._one_step.let_pass(raw, route, watcher)
            if self._fast is not None and not self._observer.active:
                linger = 0 if self._waiting else int(self._linger_seconds * 1000)
                following = self._one_step.answer(raw, route, self._fast, DRAIN, linger)
                if following is not raw:
                    return following
        call = Call(raw, route.name, route.arch, self._listener)
        call.broker = self._broker
        self.stats.received += 1
        started = perf_counter()
        try:
            if self._seen is not None:
                self._seen.note(raw[1])
            outcome = self._decided(call, route, started)
        except BaseException as error:
            self._responder.deny_because(error, call, started)
            call.close()
            raise
        if outcome is None:
            return self._listener.receive()
        if self._broker is None:
            return self._responder.exchange(call, outcome, started)
        try:
            return self._responder.exchange(call, outcome, started)
        finally:
            call.close()

    def _decided(self, call: Call, route: Route, started: float) -> Outcome | None:
        """Decide about *call*, and do what an ``Emulate`` says; None when a task will."""
        try:
            outcome = self._decide_inline(call, route, started)
        except MayBlockError:
            self._start_task(call, route, FROM_THE_START, started)
            return None
        if outcome is not None and outcome.asks is not None:
            outcome = self._recalled(call, route, outcome, started)
        if outcome is not None and outcome.verdict.__class__ is Emulate:
            try:
                self._carrier.carry_out(call, outcome)
            except MayBlockError:
                self._start_task(call, route, DECIDED, started, outcome)
                return None
        return outcome

    def _recalled(self, call: Call, route: Route, outcome: Outcome, started: float) -> Outcome | None:
        """Return what was answered before to what *outcome* asks; None when a task will ask."""
        assert self._approvals is not None  # or nothing would be asked
        recalled = self._approvals.recalled(call, outcome)
        if recalled is None:
            self._start_task(call, route, ASKED, started, outcome)
            return None
        return self._asker.checked(call, recalled)

    def _decide_inline(self, call: Call, route: Route, before: float) -> Outcome | None:
        """Ask the policy and the handlers in order; None when an asynchronous one has to be waited for."""
        if self._prelude is not None:
            outcome = self._prelude(call)
            if outcome is not None:
                return outcome
        if self._broker is not None and (route.handlers or self._judge is not None):
            self._broker.prepare(call)
        if self._judge is not None:
            refused = self._judge.refuses(call)
            if refused is not None:
                return refused
        for index, (function, asynchronous, handler) in enumerate(route.handlers):
            if asynchronous:
                self._start_task(call, route, index, before)
                return None
            outcome = self._asker.inline(call, function, handler, before)
            if outcome is not None:
                return outcome
            before = perf_counter()
        return self._asker.default(call)

    # ---- asynchronous handlers ----

    def _start_task(self, call: Call, route: Route, index: int, started: float, outcome: Outcome | None = None) -> None:
        """Run the handlers of *route* from *index* on in a task, which will answer; or carry *outcome* out in one."""
        assert self._nursery is not None
        waiting = self._waiting.enter(call)
        waiting.acted_for = index in {FROM_THE_START, DECIDED}
        self._nursery.start_soon(self._answer_later, waiting, route, index, started, outcome)

    @trio.lowlevel.enable_ki_protection
    async def _answer_later(
        self, waiting: Waiting, route: Route, index: int, started: float, outcome: Outcome | None
    ) -> None:
        """
        Answer one call when its handlers have decided, or when we are told to stop.

        A thread that was answered often asks again at once.  So this task receives too, as
        ``_serve`` would, which waits for the fd meanwhile; no two of them are ever in a receive,
        because none of them waits there.
        """
        call = waiting.call
        try:
            outcome = await self._decided_and_done(waiting, route, index, outcome)
        except BaseException as error:
            self._responder.deny_because(error, call, started)
            call.close()
            raise
        finally:
            self._waiting.leave(waiting)
            if self._approvals is not None:
                self._approvals.forget(call)
        try:
            received = self._responder.exchange(call, outcome, started)
        finally:
            call.close()
        if isinstance(received, tuple):
            received = await self._drain(received)
        if received == EVAPORATED:
            self.stats.evaporated += 1

    async def _decided_and_done(self, waiting: Waiting, route: Route, index: int, outcome: Outcome | None) -> Outcome:
        """Decide about one call, and carry out what is decided; all over again where what it names has changed."""
        call = waiting.call
        for _ in range(TRIES):
            outcome = outcome or await self._decide_later(waiting, route, index)
            if outcome.asks is not None:
                outcome = await self._approved(waiting, outcome)
            if outcome.verdict.__class__ is not Emulate:
                return outcome
            with waiting.acting() as scope:
                if await self._carrier.carry_out_later(call, outcome):
                    return outcome
            if scope.cancelled_caught:
                break
            outcome, index = None, FROM_THE_START
        return Outcome(FAILURE, "error")

    async def _decide_from_the_start(self, waiting: Waiting) -> Outcome:
        """Look paths up on a worker, then ask the policy and the handlers."""
        call = waiting.call
        with waiting.acting() as scope:
            failed = await self._carrier.look_up(call)
            if failed is not None:
                return failed
        if scope.cancelled_caught:
            return Outcome(FAILURE, "error")
        refused = None if self._judge is None else self._judge.refuses(call)
        return refused or await self._decide_later(waiting, self._routes.of(call.audit_arch, call.nr), 0)

    async def _decide_later(self, waiting: Waiting, route: Route, index: int) -> Outcome:
        """Ask the handlers from *index* on, each asynchronous one under its own deadline; again where it has to be."""
        if index == FROM_THE_START:
            return await self._decide_from_the_start(waiting)
        call = waiting.call
        outcome = await self._asked(waiting, route.handlers[index:])
        while outcome is None and waiting.refused is None and waiting.again:
            waiting.again = waiting.elsewhere = False
            outcome = await self._asked(waiting, self._routes.of(call.audit_arch, call.nr).handlers)
        return outcome or waiting.refused or self._asker.default(call)

    async def _approved(self, waiting: Waiting, outcome: Outcome) -> Outcome:
        """Ask somebody about one call; again, where another policy asks something else meanwhile."""
        assert self._approvals is not None
        assert self._nursery is not None
        call = waiting.call
        while outcome.asks is not None:
            waiting.asking = True
            with trio.CancelScope() as waiting.scope:
                outcome = self._approvals.recalled(call, outcome) or await self._approvals.ask(
                    call, outcome, self._nursery
                )
            waiting.asking = False
            if waiting.refused is not None:
                outcome, waiting.refused, waiting.again = waiting.refused, None, False
            elif waiting.again:
                waiting.again, elsewhere, waiting.elsewhere = False, waiting.elsewhere, False
                route = self._routes.of(call.audit_arch, call.nr)
                outcome = await self._decide_later(waiting, route, 0 if elsewhere else len(route.handlers))
            elif waiting.scope.cancelled_caught:
                return Outcome(FAILURE, "error")
        return self._asker.checked(call, outcome)

    async def _asked(self, waiting: Waiting, steps: Steps) -> Outcome | None:
        """Return what the first of *steps* says that says something; None too where they are no longer to be asked."""
        for function, asynchronous, handler in steps:
            if waiting.refused is not None or waiting.again:
                return waiting.refused
            if asynchronous:
                outcome = await self._asker.later(waiting, function, handler)
            else:
                outcome = self._asker.inline(waiting.call, function, handler, perf_counter())
            if outcome is not None:
                return outcome
        return None
