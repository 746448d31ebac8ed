"""
Asks a handler, and understands what it says or does instead.

What it is not: the order in which handlers are asked (``dispatch``) or the answer (``respond``).
A failure of a handler is a denial here, and told; nothing in this module allows anything that a
handler has not allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from errno import ENFILE
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, cast

import trio

from monitor.errors import HandlerError, TargetGone, TargetMemoryError
from monitor.notify.account import FAILURE, Judge, Observer, Outcome, Prelude, Stats
from monitor.notify.approval import Approvals
from monitor.notify.decode import Call
from monitor.notify.handler import Handler
from monitor.notify.others import Others
from monitor.notify.respond import close_quietly
from monitor.notify.verdict import Allow, Deny, Emulate, InjectFd, Kill, Pass, Return, Verdict

SLOW_SECONDS: Final = 0.010
"""An inline handler that needs longer than this holds up everything, and is told about."""

_ANSWERS: Final = frozenset({Allow, Deny, Return, InjectFd, Kill, Emulate})
"""The verdicts that are an answer, by their classes, which are final."""


Reconsider: TypeAlias = Callable[[Call, Outcome], Outcome]
"""Returns what becomes of a handler's decision."""


class Options(NamedTuple):
    """What ``supervise`` was told about answering."""

    otherwise: Verdict
    strict: bool
    answer_seconds: float
    handler_errors: Literal["deny", "raise"]
    judge: Judge | None = None
    approvals: Approvals | None = None
    """Who answers what the judge asks; None: nobody, and it asks nothing."""
    linger_seconds: float = 0.0
    """How long the loop is blocked for the next call when there is none: see ``Dispatcher``."""
    failure: Verdict = FAILURE
    """What is answered where a handler fails, or takes too long."""
    reconsider: Reconsider | None = None
    """What becomes of a handler's decision where somebody debugs; None: it stands."""
    prelude: Prelude | None = None
    """What comes before anything is decided: a container's runtime."""
    others: Others | None = None
    """The listeners of the same loop, where there are several."""


class Cancellable(Protocol):
    """What a caretaker cancels when the thread behind a call is gone."""

    call: Call
    scope: trio.CancelScope | None
    gone: bool
    refused: Outcome | None
    again: bool


class Asker:
    """Asks one handler at a time, on behalf of one listener's dispatch."""

    def __init__(self, options: Options, stats: Stats, observer: Observer) -> None:
        """Count in *stats* and tell *observer*."""
        self._options = options
        self._reconsider = options.reconsider
        self._stats = stats
        self._observer = observer

    def default(self, call: Call) -> Outcome:
        """Return what is answered when every handler has passed."""
        if self._options.judge is not None:
            outcome = self._options.judge.answers(call)
            if outcome is not None:
                return self.checked(call, outcome)
        return self.checked(call, Outcome(self._options.otherwise))

    def inline(self, call: Call, function: Callable[[Call], object], handler: Handler, before: float) -> Outcome | None:
        """Return what one ``def`` handler, asked at *before*, says, or None for ``Pass``."""
        try:
            verdict = _call_interruptibly(function, call)
        except Exception as error:  # noqa: BLE001  # whatever a handler raises denies its call
            return self._reconsidered(call, self._failed(call, handler, error))
        seconds = perf_counter() - before
        outcome = self._understood(call, verdict, handler)
        if seconds > SLOW_SECONDS:
            self._tell_of_slow(call, handler, seconds, verdict)
        return outcome if self._reconsider is None or outcome is None else self._reconsider(call, outcome)

    def _reconsidered(self, call: Call, outcome: Outcome) -> Outcome:
        return outcome if self._reconsider is None else self._reconsider(call, outcome)

    def _tell_of_slow(self, call: Call, handler: Handler, seconds: float, verdict: object) -> None:
        self._stats.slow += 1
        try:
            self._observer.slow_handler(call, handler.name, seconds)
        except BaseException:
            if isinstance(verdict, InjectFd):  # it will not get as far as the answer
                close_quietly(verdict)
            raise

    def _understood(self, call: Call, verdict: object, handler: Handler) -> Outcome | None:
        """Return what a handler's *verdict* means, or None for ``Pass``; anything else is a failure."""
        kind = verdict.__class__
        if kind is Allow:
            outcome = Outcome(verdict, "handler", handler.name)  # type: ignore[arg-type]  # by its class
            return outcome if call._target is None else self.checked(call, outcome)  # noqa: SLF001  # hot: no property
        if kind is Emulate:
            held_up = self._why_not_done(call, handler) or self._asked_before(call)
            if held_up is not None:
                return held_up
        if kind in _ANSWERS:
            return Outcome(verdict, "handler", handler.name)  # type: ignore[arg-type]  # likewise
        if kind is Pass:
            return None
        if isinstance(verdict, Coroutine):
            verdict.close()
            what = "returned an awaitable from a def: make it async def"
        else:
            what = f"returned {_shown(verdict)}, which is no verdict"
        return self._failed(call, handler, HandlerError(call.name, handler.name, what))

    def _why_not_done(self, call: Call, handler: Handler) -> Outcome | None:
        """Return why *call* is not done for its target as *handler* says; None: it can be."""
        try:
            if call.broker is not None and call.broker.can(call):
                return None
        except TargetGone:
            return Outcome(FAILURE, "error", handler.name)
        except OSError:  # we have no fd left to look with: neither the handler's failure, nor the end of the run
            return Outcome(Deny(ENFILE), "error", handler.name)
        what = f"returned Emulate(), and {call.name} cannot be done on a target's behalf"
        return self._failed(call, handler, HandlerError(call.name, handler.name, what))

    def _asked_before(self, call: Call) -> Outcome | None:
        """Return what the policy asks before *call* is done, as a handler says; None: nothing."""
        return None if self._options.judge is None else self._options.judge.asks_before(call)

    def checked(self, call: Call, outcome: Outcome) -> Outcome:
        """Refuse an ``Allow`` that follows a look at memory: the kernel will read it again."""
        if not isinstance(outcome.verdict, Allow) or not call.looked:
            return outcome
        if outcome.verdict.racy is not None and not self._options.strict:
            return outcome
        self._stats.racy += 1
        self._observer.racy_allow(call, outcome.handler)
        return Outcome(FAILURE, "error", outcome.handler)

    def _failed(self, call: Call, handler: Handler, error: Exception) -> Outcome:
        """Return what a handler's failure is to the target, and tell of it."""
        reason = _single(error)
        if isinstance(reason, TargetMemoryError):  # what the kernel would have said
            return Outcome(Deny(reason.errno), "handler", handler.name)
        if isinstance(reason, TargetGone):
            return Outcome(FAILURE, "error", handler.name)
        self._stats.failures += 1
        self._observer.handler_failed(call, handler.name, error)
        if self._options.handler_errors == "raise":
            what = "broke its contract" if isinstance(error, HandlerError) else f"raised {type(error).__name__}"
            raise HandlerError(call.name, handler.name, what) from error
        return Outcome(self._options.failure, "error", handler.name)

    async def later(self, waiting: Cancellable, function: Callable[[Call], Any], handler: Handler) -> Outcome | None:
        """Return what one ``async def`` handler says, or None for ``Pass``."""
        seconds = handler.answer_seconds or self._options.answer_seconds
        verdict: object = None
        # Outside of the scope, which takes its own Cancelled out of what a handler's nursery raises.
        try:
            with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:
                waiting.scope = scope
                verdict = await _await_interruptibly(function, waiting.call)
        except Exception as error:  # noqa: BLE001  # likewise
            return self._reconsidered(waiting.call, self._failed(waiting.call, handler, error))
        except BaseExceptionGroup as group:
            cancelled, rest = group.split(trio.Cancelled)
            if cancelled is not None and isinstance(rest, Exception):  # cancelled from outside, and failed over it
                self._failed(waiting.call, handler, rest)
                raise cancelled from None
            raise
        if waiting.refused is not None or waiting.again:
            if isinstance(verdict, InjectFd):  # it came at the very moment, and will not get as far as the answer
                close_quietly(verdict)
            return waiting.refused
        if scope.cancelled_caught:
            if waiting.gone:
                return Outcome(FAILURE, "error", handler.name)
            return Outcome(self._options.failure, "timeout", handler.name)
        outcome = self._understood(waiting.call, verdict, handler)
        return None if outcome is None else self._reconsidered(waiting.call, outcome)


@trio.lowlevel.disable_ki_protection
def _call_interruptibly(function: Callable[[Call], object], call: Call) -> object:
    """Run a handler so that ^C can end it: the only place where we let ourselves be interrupted."""
    return function(call)


@trio.lowlevel.disable_ki_protection
async def _await_interruptibly(function: Callable[[Call], Any], call: Call) -> object:
    return await function(call)


def _single(error: BaseException) -> BaseException:
    """Return the only exception in nested groups of one: what a handler's own nursery makes of an exception."""
    parts = _parts(error)
    return _single(parts[0]) if len(parts) == 1 else error


def _parts(error: BaseException) -> tuple[BaseException, ...]:
    if isinstance(error, BaseExceptionGroup):
        return cast("tuple[BaseException, ...]", error.exceptions)  # pyright: ignore[reportUnknownMemberType]
    return ()


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  # a handler's own class
        return f"a {type(value).__qualname__}"
