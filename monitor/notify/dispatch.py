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

import contextlib
from collections.abc import Callable, Coroutine
from errno import EBADF, EMFILE, ENOENT, EPERM
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple, Protocol, assert_never, cast

import trio
from attrs import define, frozen

from monitor._native import RawNotification
from monitor.errors import HandlerError, TargetGone, TargetMemoryError
from monitor.notify.decode import Call
from monitor.notify.handler import Handler, Route, Routes
from monitor.notify.listener import CONTINUE, EVAPORATED, NO_TASK_LEFT, NOTHING_QUEUED, AnyListener
from monitor.notify.seen import SeenProcesses
from monitor.notify.verdict import Allow, Deny, InjectFd, Kill, Pass, Return, Verdict

DRAIN: Final = 64
"""Answers between two visits to the scheduler while calls keep coming."""

SLOW_SECONDS: Final = 0.010
"""An inline handler that needs longer than this holds up everything, and is told about."""

LOOK_FIRST_SECONDS: Final = 0.050
LOOK_LAST_SECONDS: Final = 0.500
"""How often waiting asynchronous calls are looked at: is their thread still there?"""

FAILURE: Final = Deny(EPERM)
"""The answer when there is no verdict."""

_NOT_NOW: Final = frozenset({NOTHING_QUEUED, EVAPORATED})
"""Why there is no notification, and there may be one later."""

_ANSWERS: Final = frozenset({Allow, Deny, Return, InjectFd, Kill})
"""The verdicts that are an answer, by their classes, which are final."""

By = Literal["handler", "default", "error", "timeout", "closing"]
"""Who decided: a handler, ``otherwise``, a handler's failure, its deadline, the end of supervision."""


@frozen(eq=False)
class Options:
    """What ``supervise`` was told about answering."""

    otherwise: Verdict
    strict: bool
    answer_seconds: float
    handler_errors: Literal["deny", "raise"]


@define
class Stats:
    """Counters of one listener.  ``received`` is the sum of all answers, ``gone`` and what still waits."""

    received: int = 0
    allowed: int = 0
    denied: int = 0
    returned: int = 0
    injected: int = 0
    killed: int = 0
    gone: int = 0
    """Answered when nobody waited any more: killed, or taken away by a signal."""
    evaporated: int = 0
    """Announced by the kernel and away before they could be received."""
    failures: int = 0
    """Handlers that raised, or gave no verdict."""
    timeouts: int = 0
    racy: int = 0
    """``Allow`` after a look at memory, refused."""
    slow: int = 0
    """Inline handlers over 10 ms."""


class Decision(NamedTuple):
    """One answered call, as observers see it."""

    call: Call
    verdict: Verdict
    by: By
    handler: str | None
    seconds: float
    delivered: bool
    """False: nobody waited for it any more."""
    comm: str
    """The thread's command name, if an observer asked for it while it waited."""


class Observer(Protocol):
    """Who is told what happened.  Called after the answer; what it raises ends the supervision."""

    @property
    def active(self) -> bool:
        """Whether every answer is to be told, or only refusals and failures."""
        ...

    @property
    def wants_names(self) -> bool:
        """Whether what is told shall carry the thread's name, which costs a look into /proc."""
        ...

    def answered(self, decision: Decision) -> None:
        """Tell of one answered call."""
        ...

    def handler_failed(self, call: Call, handler: str, error: BaseException) -> None:
        """Tell that a handler raised, or gave no verdict; its call was denied."""
        ...

    def racy_allow(self, call: Call, handler: str | None) -> None:
        """Tell that an ``Allow`` after a look at memory was refused."""
        ...

    def slow_handler(self, call: Call, handler: str, seconds: float) -> None:
        """Tell that an inline handler held everything up."""
        ...

    def out_of_fds(self, times: int) -> None:
        """Tell that the reserve fd had to be given up, *times* in all."""
        ...


class _Waiting:
    """One call whose asynchronous handler runs."""

    __slots__ = ("call", "gone", "scope")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.scope: trio.CancelScope | None = None
        self.gone = False


class _Outcome:
    """A verdict, and who gave it.  A plain class, because one is made for every call."""

    __slots__ = ("by", "comm", "handler", "verdict")

    def __init__(self, verdict: Verdict, by: By = "default", handler: str | None = None) -> None:
        self.verdict = verdict
        self.by: By = by
        self.handler = handler
        self.comm = ""


class Dispatcher:
    """Answers the notifications of one listener, which it borrows."""

    def __init__(
        self,
        listener: AnyListener,
        routes: Routes,
        options: Options,
        observer: Observer,
        seen: SeenProcesses | None = None,
    ) -> None:
        """Be ready; ``run`` does the work.  *seen* is told of every thread that asks."""
        self.stats = Stats()
        self._seen = seen
        self._listener = listener
        self._routes = routes
        self._known = routes.known
        self._options = options
        self._observer = observer
        self._nursery: trio.Nursery | None = None
        self._waiting: dict[int, _Waiting] = {}
        self._something_waits = trio.Event()
        self._reserve_told = 0

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
            nursery.start_soon(self._look_after_waiting)
            await self._serve()
            nursery.cancel_scope.cancel()

    # ---- the loop ----

    @trio.lowlevel.enable_ki_protection
    async def _serve(self) -> None:
        """
        Receive and answer.

        Interrupts are held back, except inside handlers: between a receive and its answer there
        is nothing that could be interrupted.
        """
        listener = self._listener
        while True:
            await listener.wait()
            outcome = listener.receive()
            if isinstance(outcome, tuple):
                outcome = await self._drain(outcome)
            if outcome == NO_TASK_LEFT:
                return
            if outcome not in _NOT_NOW:
                raise OSError(-outcome, "cannot receive from the listener")
            if outcome == EVAPORATED:
                self.stats.evaporated += 1

    async def _drain(self, received: RawNotification) -> int:
        """Answer *received* and what comes after it, until nothing is queued; why it ended."""
        drained = 0
        while True:
            outcome = self._answer(received)
            if not isinstance(outcome, tuple):
                return outcome
            received = outcome
            drained += 1
            if drained % DRAIN == 0:
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
            self._respond(call, _Outcome(FAILURE, "closing"), perf_counter())

    # ---- one notification ----

    def _answer(self, raw: RawNotification) -> RawNotification | int:
        """Answer *raw*, or start the task that will, and receive the next."""
        route = self._known.get((raw[4], raw[3]))
        if route is None:
            route = self._routes.of(raw[4], raw[3])
        call = Call(raw, route.name, route.arch, self._listener)
        self.stats.received += 1
        started = perf_counter()
        try:
            if self._seen is not None:
                self._seen.note(raw[1])
            outcome = self._decide_inline(call, route, started)
        except BaseException as error:
            self._deny_because(error, call, started)
            raise
        if outcome is None:
            return self._listener.receive()
        return self._exchange(call, outcome, started)

    def _decide_inline(self, call: Call, route: Route, before: float) -> _Outcome | None:
        """Ask the handlers in order; None when an asynchronous one has to be waited for."""
        for index, (function, asynchronous, handler) in enumerate(route.handlers):
            if asynchronous:
                self._start_task(call, route, index, before)
                return None
            outcome = self._ask_inline(call, function, handler, before)
            if outcome is not None:
                return outcome
            before = perf_counter()
        return self._checked(call, _Outcome(self._options.otherwise))

    def _ask_inline(
        self, call: Call, function: Callable[[Call], object], handler: Handler, before: float
    ) -> _Outcome | None:
        """Return what one ``def`` handler, asked at *before*, says, or None for ``Pass``."""
        try:
            verdict = _call_interruptibly(function, call)
        except Exception as error:
            return self._failed(call, handler, error)
        seconds = perf_counter() - before
        outcome = self._understood(call, verdict, handler)
        if seconds > SLOW_SECONDS:
            self._tell_of_slow(call, handler, seconds, verdict)
        return outcome

    def _tell_of_slow(self, call: Call, handler: Handler, seconds: float, verdict: object) -> None:
        self.stats.slow += 1
        try:
            self._observer.slow_handler(call, handler.name, seconds)
        except BaseException:
            if isinstance(verdict, InjectFd):  # it will not get as far as the answer
                _close(verdict)
            raise

    def _understood(self, call: Call, verdict: object, handler: Handler) -> _Outcome | None:
        """Return what a handler's *verdict* means, or None for ``Pass``; anything else is a failure."""
        kind = verdict.__class__
        if kind is Allow:
            outcome = _Outcome(verdict, "handler", handler.name)  # type: ignore[arg-type]  # by its class
            return outcome if call._target is None else self._checked(call, outcome)
        if kind in _ANSWERS:
            return _Outcome(verdict, "handler", handler.name)  # type: ignore[arg-type]  # likewise
        if kind is Pass:
            return None
        if isinstance(verdict, Coroutine):
            verdict.close()
            what = "returned an awaitable from a def: make it async def"
        else:
            what = f"returned {_shown(verdict)}, which is no verdict"
        return self._failed(call, handler, HandlerError(call.name, handler.name, what))

    def _checked(self, call: Call, outcome: _Outcome) -> _Outcome:
        """Refuse an ``Allow`` that follows a look at memory: the kernel will read it again."""
        if not isinstance(outcome.verdict, Allow) or not call.looked:
            return outcome
        if outcome.verdict.racy is not None and not self._options.strict:
            return outcome
        self.stats.racy += 1
        self._observer.racy_allow(call, outcome.handler)
        return _Outcome(FAILURE, "error", outcome.handler)

    def _failed(self, call: Call, handler: Handler, error: Exception) -> _Outcome:
        """Return the denial that a handler's failure is, and tell of it."""
        reason = _single(error)
        if isinstance(reason, TargetMemoryError):  # what the kernel would have said
            return _Outcome(Deny(reason.errno), "handler", handler.name)
        if isinstance(reason, TargetGone):
            return _Outcome(FAILURE, "error", handler.name)
        self.stats.failures += 1
        self._observer.handler_failed(call, handler.name, error)
        if self._options.handler_errors == "raise":
            what = "broke its contract" if isinstance(error, HandlerError) else f"raised {type(error).__name__}"
            raise HandlerError(call.name, handler.name, what) from error
        return _Outcome(FAILURE, "error", handler.name)

    # ---- one response ----

    def _exchange(self, call: Call, outcome: _Outcome, started: float) -> RawNotification | int:
        """Respond to *call* and receive the next notification, in one call of C where that can be."""
        verdict = outcome.verdict
        kind = verdict.__class__
        if self._observer.active or kind is not Allow:
            self._name(call, outcome)
        if kind is Allow:
            received = self._listener.exchange(call.id, 0, 0, CONTINUE)
            if call._target is None and not (self._observer.active or self._listener.sent):
                self.stats.allowed += 1  # nothing else to count, and nobody to tell
                return received
        elif isinstance(verdict, Deny):
            received = self._listener.exchange(call.id, 0, -verdict.errno, 0)
        elif isinstance(verdict, Return):
            received = self._listener.exchange(call.id, _signed(verdict.value), 0, 0)
        else:
            self._respond(call, outcome, started)
            return self._listener.receive()
        try:
            self._account(call, outcome, started, self._listener.sent)
        except BaseException:
            if isinstance(received, tuple):
                self._close_out(received)
            raise
        return received

    def _name(self, call: Call, outcome: _Outcome) -> None:
        """Note the thread's name while it is still there, if anybody wants to know."""
        if self._observer.wants_names:
            outcome.comm = call.target.comm

    def _respond(self, call: Call, outcome: _Outcome, started: float) -> None:
        """Give *call* its one response; only then are observers told, who may raise."""
        sent = 0
        try:
            failure = self._send(call, outcome.verdict)
        except TargetGone:
            sent, failure = -ENOENT, None
        if failure is None:
            self._account(call, outcome, started, sent)
            return
        answer, error = failure
        sent_instead = _Outcome(answer, "error", outcome.handler)
        sent_instead.comm = outcome.comm
        self._account(call, sent_instead, started, sent)
        if error is not None:
            self.stats.failures += 1
            self._observer.handler_failed(call, outcome.handler or "", error)

    def _deny_because(self, error: BaseException, call: Call, started: float) -> None:
        """Deny *call*, whose decision *error* ended; what goes wrong meanwhile does not hide *error*."""
        if isinstance(error, trio.Cancelled):
            self._respond(call, _Outcome(FAILURE, "closing"), started)
            return
        try:
            self._respond(call, _Outcome(FAILURE, "error"), started)
        except Exception as another:  # noqa: BLE001  # the first one ends the supervision
            error.add_note(f"meanwhile: {another!r}")

    def _send(self, call: Call, verdict: Verdict) -> tuple[Deny, OSError | None] | None:
        """
        Carry *verdict* out, or deny where it cannot be.

        Returns None, or the denial that was sent instead and the failure to be told of.  Raises
        TargetGone.
        """
        match verdict:
            case Allow():
                self._listener.respond(call.id, 0, 0, CONTINUE)
            case Deny():
                self._listener.respond(call.id, 0, -verdict.errno, 0)
            case Return():
                self._listener.respond(call.id, _signed(verdict.value), 0, 0)
            case Kill():
                return self._kill(call, verdict)
            case InjectFd():
                return self._inject(call, verdict)
            case Pass():  # `otherwise` cannot be one (supervise refuses it), nor an outcome
                self._listener.respond(call.id, 0, -FAILURE.errno, 0)
                return FAILURE, None
            case _:
                assert_never(verdict)
        return None

    def _kill(self, call: Call, verdict: Kill) -> tuple[Deny, OSError] | None:
        """Signal first, answer second: the target runs nothing in between."""
        failure = None
        try:
            self._listener.kill(call.id, call.tid, verdict.signal)
        except OSError as error:  # it may not be signalled by us: then at least nothing is executed
            failure = FAILURE, error
        try:
            self._listener.respond(call.id, 0, -EPERM, 0)
        except TargetGone:  # of the signal, most likely
            if failure is not None:
                raise
        return failure

    def _inject(self, call: Call, verdict: InjectFd) -> tuple[Deny, OSError | None] | None:
        """Inject and answer in one step; what cannot be injected is answered with an errno."""
        try:
            self._listener.add_fd(call.id, verdict.fd, at=verdict.at, close_on_exec=verdict.close_on_exec)
        except OSError as error:
            answer: Deny = FAILURE
            failure: OSError | None = error
            if error.errno == EMFILE or (error.errno == EBADF and verdict.at is not None):
                answer, failure = Deny(error.errno or EPERM), None  # the target's table is full, or has no such number
            self._listener.respond(call.id, 0, -answer.errno, 0)
            return answer, failure
        finally:
            _close(verdict)
        return None

    def _account(self, call: Call, outcome: _Outcome, started: float, sent: int) -> None:
        """Count one answer and tell of it."""
        stats = self.stats
        verdict = outcome.verdict
        if sent == -ENOENT:
            stats.gone += 1
        elif sent:
            raise OSError(-sent, f"cannot respond to {call.name}")
        elif isinstance(verdict, Allow):
            stats.allowed += 1
        elif isinstance(verdict, Deny):
            stats.denied += 1
        elif isinstance(verdict, Return):
            stats.returned += 1
        elif isinstance(verdict, InjectFd):
            stats.injected += 1
        elif isinstance(verdict, Kill):
            stats.killed += 1
        if outcome.by == "timeout":
            stats.timeouts += 1
        observer = self._observer
        if observer.active or isinstance(verdict, Deny | Kill):
            seconds = perf_counter() - started
            observer.answered(Decision(call, verdict, outcome.by, outcome.handler, seconds, sent == 0, outcome.comm))
        needed = self._listener.reserve.needed
        if needed != self._reserve_told:
            self._reserve_told = needed
            observer.out_of_fds(needed)

    # ---- asynchronous handlers ----

    def _start_task(self, call: Call, route: Route, index: int, started: float) -> None:
        """Run the handlers of *route* from *index* on in a task, which will answer."""
        assert self._nursery is not None
        waiting = _Waiting(call)
        self._waiting[call.id] = waiting
        self._something_waits.set()
        self._nursery.start_soon(self._answer_later, waiting, route, index, started)

    @trio.lowlevel.enable_ki_protection
    async def _answer_later(self, waiting: _Waiting, route: Route, index: int, started: float) -> None:
        """
        Answer one call when its handlers have decided, or when we are told to stop.

        A thread that was answered often asks again at once.  So this task receives too, as
        ``_serve`` would, which waits for the fd meanwhile; no two of them are ever in a receive,
        because none of them waits there.
        """
        call = waiting.call
        try:
            outcome = await self._decide_later(waiting, route, index)
        except BaseException as error:
            self._deny_because(error, call, started)
            raise
        finally:
            del self._waiting[call.id]
        received = self._exchange(call, outcome, started)
        if isinstance(received, tuple):
            received = await self._drain(received)
        if received == EVAPORATED:
            self.stats.evaporated += 1

    async def _decide_later(self, waiting: _Waiting, route: Route, index: int) -> _Outcome:
        """Ask the handlers from *index* on, each asynchronous one under its own deadline."""
        call = waiting.call
        for function, asynchronous, handler in route.handlers[index:]:
            if asynchronous:
                outcome = await self._ask_later(waiting, function, handler)
            else:
                outcome = self._ask_inline(call, function, handler, perf_counter())
            if outcome is not None:
                return outcome
        return self._checked(call, _Outcome(self._options.otherwise))

    async def _ask_later(
        self, waiting: _Waiting, function: Callable[[Call], Any], handler: Handler
    ) -> _Outcome | None:
        """Return what one ``async def`` handler says, or None for ``Pass``."""
        seconds = handler.answer_seconds or self._options.answer_seconds
        verdict: object = None
        # Outside of the scope, which takes its own Cancelled out of what a handler's nursery raises.
        try:
            with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:
                waiting.scope = scope
                verdict = await _await_interruptibly(function, waiting.call)
        except Exception as error:
            return self._failed(waiting.call, handler, error)
        except BaseExceptionGroup as group:
            cancelled, rest = group.split(trio.Cancelled)
            if cancelled is not None and isinstance(rest, Exception):  # cancelled from outside, and failed over it
                self._failed(waiting.call, handler, rest)
                raise cancelled from None
            raise
        if scope.cancelled_caught:
            return _Outcome(FAILURE, "error" if waiting.gone else "timeout", handler.name)
        return self._understood(waiting.call, verdict, handler)

    async def _look_after_waiting(self) -> None:
        """Cancel handlers whose thread is gone.  No timer runs while nothing waits."""
        while True:
            await self._something_waits.wait()
            pause = LOOK_FIRST_SECONDS
            while self._waiting:
                await trio.sleep(pause)
                pause = min(2 * pause, LOOK_LAST_SECONDS)
                for waiting in list(self._waiting.values()):
                    if not self._listener.is_valid(waiting.call.id):
                        waiting.gone = True
                        if waiting.scope is not None:
                            waiting.scope.cancel()
            self._something_waits = trio.Event()


@trio.lowlevel.disable_ki_protection
def _call_interruptibly(function: Callable[[Call], object], call: Call) -> object:
    """Run a handler so that ^C can end it: the only place where we let ourselves be interrupted."""
    return function(call)


@trio.lowlevel.disable_ki_protection
async def _await_interruptibly(function: Callable[[Call], Any], call: Call) -> object:
    return await function(call)


def _signed(value: int) -> int:
    """Return a register's 64 bits as the signed number that ``struct seccomp_notif_resp`` takes."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _close(verdict: InjectFd) -> None:
    """Close the fd; what close(2) says of the file (EIO, EDQUOT) is nothing to the supervision."""
    with contextlib.suppress(OSError):
        verdict.close()


def _single(error: BaseException) -> BaseException:
    """Return the only exception in nested groups of one: what a handler's own nursery makes of an exception."""
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        if len(group.exceptions) > 1:
            break
        error = group.exceptions[0]
    return error


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  # a handler's own class
        return f"a {type(value).__qualname__}"
