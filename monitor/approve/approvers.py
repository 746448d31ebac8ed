"""
Approvers made of others, and one that always says the same.

What it is not: those that reach people (``prompt``, ``control``).  A callback needs nothing: every
``async def`` function that takes a ``Question`` is an approver.
"""

from __future__ import annotations

import trio

from monitor.approve.question import Answer, Approver, Question


def always_says(answer: Answer) -> Approver:
    """Return an approver that gives every question the same *answer*; its scope must be one that every question has."""
    if answer.scope not in {"once", "run"}:
        message = f"not every question can be answered for {answer.scope!r}"
        raise ValueError(message)

    async def say(question: Question) -> Answer:  # noqa: ARG001  # whatever it is
        await trio.lowlevel.checkpoint()
        return answer

    return say


def chain(*approvers: Approver) -> Approver:
    """Return an approver that asks each of *approvers* until one has an answer."""
    if not approvers:
        message = "a chain has at least one approver"
        raise ValueError(message)

    async def ask(question: Question) -> Answer | None:
        for approver in approvers:
            answer = await approver(question)
            if answer is not None:
                return answer
        return None

    return ask


def within(seconds: float, approver: Approver) -> Approver:
    """Return an approver that asks *approver*, and has nothing to say when it takes longer than *seconds*."""
    if not seconds > 0:
        message = f"seconds must be positive, not {seconds}"
        raise ValueError(message)

    async def ask(question: Question) -> Answer | None:
        with trio.move_on_after(seconds):
            return await approver(question)
        return None

    return ask
