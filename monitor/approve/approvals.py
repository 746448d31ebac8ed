"""
Asks, remembers, and turns answers into outcomes: what dispatch calls when a policy asks.

What it is not: a person, or the way to one (an ``Approver``).  Whatever goes wrong here is a denial: nobody
there, no answer in time, an approver that raises or says what it may not.

Equal questions of one program are asked once, and all that wait are given the answer.  A question is put by
a task of its own: the thread that asked first may be gone before the others have their answer.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from errno import EAGAIN, ENFILE
from typing import Final, Literal, TypeAlias

import attrs
import trio

from monitor.approve.memory import Memory
from monitor.approve.question import Answer, Approver, Question, Scope
from monitor.approve.shape import Asker, Shape, asker_of, shape_of
from monitor.errors import TargetGone
from monitor.notify.account import FAILURE, By, Observer, Outcome
from monitor.notify.approval import About, Asks
from monitor.notify.decode import Call
from monitor.notify.look import Look
from monitor.notify.render import render
from monitor.notify.target import glimpsed
from monitor.notify.verdict import Allow, Deny, Emulate, Verdict
from monitor.policy.tables import Grant

MOST_WAITING: Final = 256
"""How many threads may wait for answers at once: each look at the listener's queue is linear in them."""

BUSY: Final = Deny(EAGAIN)
"""What the next one is told: asked again later, there may be room."""

LACK: Final = Deny(ENFILE)
"""What it is told where we have no fd."""

_SHOWN: Final = Look(string_limit=256, fd_paths=True)

Remember: TypeAlias = Callable[[tuple[Grant, ...]], Awaitable[None]]
"""Writes grants down, puts them in force, and tells of it; also of its failure: the answer was given, and holds."""

Suggest: TypeAlias = Callable[[Call, Asks, Asker], tuple[Grant, ...]]
"""Returns the grants that together would have answered this very question; none: there are none."""

Explain: TypeAlias = Callable[[Call, About], str]
"""Returns what the author of a rule has written beside it; empty: nothing."""


class _Pending:
    """A question that was put, and those who wait for its answer."""

    __slots__ = ("answer", "by", "done", "question", "scope", "waiting")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.waiting = 0
        self.scope = trio.CancelScope()
        self.done = trio.Event()
        self.answer: Answer | None = None
        self.by: By = "policy"
        """Who has decided, where there is no answer."""


class Asking:
    """The ``Approvals`` of one run."""

    def __init__(
        self,
        approver: Approver,
        *,
        observer: Observer,
        ask_seconds: float | None = None,
        remember: Remember | None = None,
        suggest: Suggest | None = None,
        explain: Explain | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """
        Ask *approver*, and wait *ask_seconds* for it, or as long as it takes.

        Without *remember* nothing can be answered for always.  The rest is borrowed.
        """
        self._approver = approver
        self._observer = observer
        self._seconds = math.inf if ask_seconds is None else ask_seconds
        self._remember = remember
        self._suggest = suggest
        self._explain = explain
        self._most_waiting = most_waiting
        self._memory = Memory()
        self._once: dict[int, tuple[Shape, Answer]] = {}
        self._pending: dict[tuple[object, Shape], _Pending] = {}
        self._waiting = 0
        self._count = 0

    # ---- what dispatch asks ----

    def recalled(self, call: Call, outcome: Outcome) -> Outcome | None:
        """Return what was answered before and holds for *call* too; None: somebody has to be asked."""
        assert outcome.asks is not None
        shape = shape_of(call, outcome.asks)
        once = self._once.get(call.id)
        if once is not None and once[0] == shape:
            return _answered(outcome, once[1])
        answer = self._memory.of_anybody(shape)
        if answer is None and self._memory.knows_askers:
            try:
                answer = self._memory.of(asker_of(call), shape)
            except TargetGone:
                return Outcome(FAILURE, "error")
            except OSError:  # we have no fd left to look with
                return _like(outcome, LACK, "error")
        return None if answer is None else _answered(outcome, answer, told=False)

    async def ask(self, call: Call, outcome: Outcome, nursery: trio.Nursery) -> Outcome:
        """Ask, and wait for the answer."""
        assert outcome.asks is not None
        await trio.lowlevel.checkpoint()
        if self._waiting >= self._most_waiting:
            return _like(outcome, BUSY, "policy")
        try:
            asker = asker_of(call)
        except TargetGone:
            return Outcome(FAILURE, "error")
        except OSError:  # we have no fd left to look with
            return _like(outcome, LACK, "error")
        shape = shape_of(call, outcome.asks)
        key = asker.program or (asker if asker.pid else call.id), shape
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending(self._question(call, outcome, asker))
            nursery.start_soon(self._put, pending, call, asker, shape)
        await self._wait(pending, key)
        if pending.answer is None:
            return _like(outcome, outcome.verdict, pending.by)
        self._once[call.id] = shape, pending.answer
        return _answered(outcome, pending.answer)

    async def _wait(self, pending: _Pending, key: tuple[object, Shape]) -> None:
        """Wait for the answer; who goes last withdraws the question."""
        pending.waiting += 1
        self._waiting += 1
        try:
            await pending.done.wait()
        finally:
            pending.waiting -= 1
            self._waiting -= 1
            if not pending.waiting:
                pending.scope.cancel()
                if self._pending.get(key) is pending:
                    del self._pending[key]

    def forget(self, call: Call) -> None:
        """Drop what was answered about this one call."""
        self._once.pop(call.id, None)

    # ---- one question ----

    async def _put(self, pending: _Pending, call: Call, asker: Asker, shape: Shape) -> None:
        """Have the approver answer one question, and remember what it says."""
        question = pending.question
        answer: Answer | None = None
        try:
            pending.scope.deadline = trio.current_time() + self._seconds
            with pending.scope:
                answer = _checked(await self._approver(question), question)
        except Exception as error:  # noqa: BLE001  # whatever an approver raises denies the call
            pending.by = "error"
            self._observer.handler_failed(call, "the approver", error)
        else:
            if pending.scope.cancelled_caught:
                pending.by = "timeout"
        pending.answer = answer
        if answer is not None:
            # Before anybody runs on: what asks next has its answer.
            self._memory.keep(answer, "program" if answer.scope == "always" else answer.scope, asker, shape)
            if answer.scope == "always":
                await self._write(answer, question)
        for key, one in list(self._pending.items()):
            if one is pending:
                del self._pending[key]
        pending.done.set()

    async def _write(self, answer: Answer, question: Question) -> None:
        """Have the grants of an *answer* for always written down, and told of, before anybody runs on."""
        grants = answer.remember or question.suggestions
        assert grants  # or always was not offered
        assert self._remember is not None
        await self._remember(tuple(_written(grant, answer) for grant in grants))

    def _question(self, call: Call, outcome: Outcome, asker: Asker) -> Question:
        """Return *call* as somebody is shown it."""
        assert outcome.asks is not None
        memory = glimpsed(call.target)
        suggestions: tuple[Grant, ...] = ()
        if self._suggest is not None and outcome.asks.grantable:
            suggestions = self._suggest(call, outcome.asks, asker)
        about = outcome.asks.about
        if self._explain is not None:
            about = tuple(one._replace(reason=self._explain(call, one)) for one in about)
        why = "; ".join(dict.fromkeys(one.reason for one in about if one.reason))
        suggestions = tuple(attrs.evolve(grant, why=why) for grant in suggestions)
        self._count += 1
        return Question(
            number=self._count,
            call=call.name,
            arch=call.arch,
            nr=call.nr,
            registers=call.registers,
            instruction_pointer=call.instruction_pointer,
            tid=call.tid,
            pid=asker.pid,
            comm=memory.comm(),
            exe=asker.exe,
            cwd=_link(memory.link, "cwd"),
            text=str(render(call.name, call.arch, call.registers, memory, _SHOWN)),
            about=about,
            otherwise=outcome.verdict,
            emulated=isinstance(outcome.asks.allowed, Emulate),
            refused=outcome.asks.refused,
            scopes=self._scopes(asker, suggestions),
            suggestions=suggestions,
            memory=memory,
        )

    def _scopes(self, asker: Asker, suggestions: tuple[Grant, ...]) -> tuple[Scope, ...]:
        scopes: list[Scope] = ["once"]
        if asker.pid:
            scopes.append("process")
        if asker.program is not None:
            scopes.append("program")
        scopes.append("run")
        if suggestions and self._remember is not None:
            scopes.append("always")
        return tuple(scopes)


def _link(link: Callable[[str], bytes], name: str) -> bytes:
    try:
        return link(name)
    except TargetGone:
        return b""


def _checked(answer: object, question: Question) -> Answer | None:
    """Return *answer*, if it is one, and one of those that were offered."""
    if not isinstance(answer, Answer | None):
        message = f"the approver answered {answer!r}, which is no Answer"
        raise TypeError(message)
    if answer is not None and answer.scope not in question.scopes:
        message = f"scope {answer.scope!r} was not offered; there are: {', '.join(question.scopes)}"
        raise ValueError(message)
    return answer


def _written(grant: Grant, answer: Answer) -> Grant:
    """Return *grant* as the answer that it remembers, and why: as somebody said, or else why it was asked."""
    errno = answer.verdict.errno if isinstance(answer.verdict, Deny) else None
    verdict: Literal["allow", "deny"] = "allow" if isinstance(answer.verdict, Allow) else "deny"
    return attrs.evolve(grant, verdict=verdict, errno=errno, why=answer.why or grant.why)


def _answered(outcome: Outcome, answer: Answer, *, told: bool = True) -> Outcome:
    """Return what *answer* makes of what was asked by *outcome*; *told* even if nothing is refused."""
    assert outcome.asks is not None
    verdict = outcome.asks.allowed if isinstance(answer.verdict, Allow) else answer.verdict
    made = _like(outcome, verdict, "user")
    made.scope = answer.scope
    made.handler = answer.who or None
    made.told = made.told or told
    return made


def _like(outcome: Outcome, verdict: Verdict, by: By) -> Outcome:
    """Return an outcome about the same rule and name."""
    made = Outcome(verdict, by)
    made.rule, made.access, made.path = outcome.rule, outcome.access, outcome.path
    return made
