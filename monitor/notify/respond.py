"""
Gives one response: the kernel's side of a verdict.

What it is not: the decision.  Everything here happens after it, and what cannot be carried out is
denied.  Observers are told when the response has been sent, never before: they may raise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from errno import EBADF, EMFILE, ENOENT, EPERM
from time import perf_counter
from typing import assert_never

import trio

from monitor._native import RawNotification
from monitor.errors import TargetGone
from monitor.notify.account import FAILURE, Decision, Observer, Outcome, Scribe, Stats
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated
from monitor.notify.listener import CONTINUE, AnyListener
from monitor.notify.verdict import Allow, Deny, Emulate, InjectFd, Kill, Pass, Return


class Responder:
    """Responds over one listener, which it borrows, and accounts for every response."""

    def __init__(
        self, listener: AnyListener, stats: Stats, observer: Observer, abandon: Callable[[RawNotification], None]
    ) -> None:
        """*abandon* is given a notification that was received and cannot be decided any more."""
        self._listener = listener
        self._stats = stats
        self._observer = observer
        self._abandon = abandon
        self._reserve_told = 0

    def exchange(self, call: Call, outcome: Outcome, started: float) -> RawNotification | int:
        """Respond to *call* and receive the next notification, in one call of C where that can be."""
        verdict = outcome.verdict
        kind = verdict.__class__
        scribe = self._observer.scribe
        if scribe is not None and kind is Allow and outcome.done is None and not outcome.told:
            return self._allow(call, outcome, started, scribe)
        if outcome.done is None and (self._observer.active or kind is not Allow or outcome.told):
            try:
                self._look(call, outcome)
            except BaseException as error:  # of an observer's: the call is answered all the same
                if isinstance(verdict, InjectFd):
                    close_quietly(verdict)
                self.deny_because(error, call, started)
                raise
        if kind is Allow:
            received = self._listener.exchange(call.id, 0, 0, CONTINUE)
            if (
                call._target is None  # noqa: SLF001  # hot
                and not outcome.told
                and not (self._observer.active or self._listener.sent)
            ):
                self._stats.allowed += 1  # nothing else to count, and nobody to tell
                return received
        else:
            words = _response_of(outcome)
            if words is None:
                self.respond(call, outcome, started)
                return self._listener.receive()
            received = self._listener.exchange(call.id, *words)
        try:
            self._account(call, outcome, started, self._listener.sent)
        except BaseException:
            if isinstance(received, tuple):
                self._abandon(received)
            raise
        return received

    def _allow(self, call: Call, outcome: Outcome, started: float, scribe: Scribe) -> RawNotification | int:
        """Let *call* run, have it written down, and receive the next."""
        noted: object = None
        try:
            noted = scribe.look(call)
        except trio.ClosedResourceError:  # the answer itself will say so
            pass
        except BaseException as error:
            self.deny_because(error, call, started)
            raise
        received = self._listener.exchange(call.id, 0, 0, CONTINUE)
        sent = self._listener.sent
        try:
            if sent == 0 and call.settle is None:
                self._stats.allowed += 1
            else:
                self._settle(call, outcome, sent)
            scribe.tell(call, outcome, noted, perf_counter() - started, delivered=sent == 0)
            if self._listener.reserve.needed != self._reserve_told:
                self._tell_of_reserve()
        except BaseException:
            if isinstance(received, tuple):
                self._abandon(received)
            raise
        return received

    def look_before(self, call: Call, outcome: Outcome) -> None:
        """Have noted what anybody wants to know, before an ``Emulate`` is carried out, which may be the answer."""
        if self._observer.active or outcome.told:
            self._look(call, outcome)

    def _look(self, call: Call, outcome: Outcome) -> None:
        """Have noted what anybody wants to know of the thread while it is still there."""
        with contextlib.suppress(trio.ClosedResourceError):  # the answer itself will say so, and close its fd
            outcome.seen = self._observer.look(call, told=outcome.told)

    def respond(self, call: Call, outcome: Outcome, started: float) -> None:
        """Give *call* its one response; only then are observers told, who may raise."""
        sent = 0
        try:
            failure = self._send(call, outcome)
        except TargetGone:
            sent, failure = -ENOENT, None
        if failure is None:
            self._account(call, outcome, started, sent)
            return
        answer, error = failure
        sent_instead = Outcome(answer, "error", outcome.handler)
        sent_instead.seen = outcome.seen
        self._account(call, sent_instead, started, sent)
        if error is not None:
            self._stats.failures += 1
            self._observer.handler_failed(call, outcome.handler or "", error)

    def deny_because(self, error: BaseException, call: Call, started: float) -> None:
        """Deny *call*, whose decision *error* ended; what goes wrong meanwhile does not hide *error*."""
        if isinstance(error, trio.Cancelled):
            self.respond(call, Outcome(FAILURE, "closing"), started)
            return
        try:
            self.respond(call, Outcome(FAILURE, "error"), started)
        except Exception as another:  # noqa: BLE001  # the first one ends the supervision
            error.add_note(f"meanwhile: {another!r}")

    def _send(self, call: Call, outcome: Outcome) -> tuple[Deny, OSError | None] | None:
        """
        Carry *verdict* out, or deny where it cannot be.

        Returns None, or the denial that was sent instead and the failure to be told of.  Raises
        TargetGone.
        """
        verdict = outcome.verdict
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
            case Emulate():
                self._send_done(call, outcome.done)
            case Pass():  # `otherwise` cannot be one (supervise refuses it), nor an outcome
                self._listener.respond(call.id, 0, -FAILURE.errno, 0)
                return FAILURE, None
            case _:
                assert_never(verdict)
        return None

    def _send_done(self, call: Call, done: Emulated | None) -> None:
        """Answer with what came of a call that was done for its target, unless that was its answer."""
        assert done is not None  # dispatch has it done before it has it answered
        if not done.answered:
            flags = CONTINUE if done.continued else 0
            self._listener.respond(call.id, max(done.value, 0), min(done.value, 0), flags)

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
            close_quietly(verdict)
        return None

    def _account(self, call: Call, outcome: Outcome, started: float, sent: int) -> None:
        """Count one answer and tell of it."""
        self._settle(call, outcome, sent)
        observer = self._observer
        if observer.active or outcome.told:
            seconds = perf_counter() - started
            observer.answered(
                Decision(
                    call,
                    outcome.verdict,
                    outcome.by,
                    outcome.handler,
                    seconds,
                    sent == 0,
                    outcome.seen,
                    outcome.rule,
                    outcome.would,
                    outcome.told,
                    _result(outcome.done),
                    outcome.access,
                    outcome.path,
                    outcome.scope,
                    outcome.hidden,
                )
            )
        self._tell_of_reserve()

    def _settle(self, call: Call, outcome: Outcome, sent: int) -> None:
        """Count one answer, which has arrived or come too late."""
        if sent not in {0, -ENOENT}:
            raise OSError(-sent, f"cannot respond to {call.name}")
        if sent == 0 and call.settle is not None:
            call.settle()
        self._count(outcome, delivered=sent == 0)

    def _tell_of_reserve(self) -> None:
        needed = self._listener.reserve.needed
        if needed != self._reserve_told:
            self._reserve_told = needed
            self._observer.out_of_fds(needed)

    def _count(self, outcome: Outcome, *, delivered: bool) -> None:
        stats = self._stats
        verdict = outcome.verdict
        if not delivered:
            stats.gone += 1
        elif verdict.__class__ is Allow:
            stats.allowed += 1
        elif isinstance(verdict, Deny):
            stats.denied += 1
        elif isinstance(verdict, Return):
            stats.returned += 1
        elif isinstance(verdict, InjectFd):
            stats.injected += 1
        elif isinstance(verdict, Kill):
            stats.killed += 1
        elif isinstance(verdict, Emulate):
            stats.emulated += 1
        if outcome.by == "timeout":
            stats.timeouts += 1
        elif outcome.by == "user":
            stats.asked += 1


def _response_of(outcome: Outcome) -> tuple[int, int, int] | None:
    """Return value, error and flags of a response that is all there is to an answer; None: it is more."""
    verdict, done = outcome.verdict, outcome.done
    if isinstance(verdict, Deny):
        return 0, -verdict.errno, 0
    if isinstance(verdict, Return):
        return _signed(verdict.value), 0, 0
    if done is not None and not done.answered:
        return max(done.value, 0), min(done.value, 0), CONTINUE if done.continued else 0
    return None


def _result(done: Emulated | None) -> int | None:
    return None if done is None or done.continued else done.value


def _signed(value: int) -> int:
    """Return a register's 64 bits as the signed number that ``struct seccomp_notif_resp`` takes."""
    return value - (1 << 64) if value >= 1 << 63 else value


def close_quietly(verdict: InjectFd) -> None:
    """Close the fd; what close(2) says of the file (EIO, EDQUOT) is nothing to the supervision."""
    with contextlib.suppress(OSError):
        verdict.close()
