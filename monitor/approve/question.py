"""
A question about one call, and its answer.

What it is not: the asking (``approvals``), or a person (``control``).  What a question shows was read for
people, and whatever they then allow is done with what was looked up for it, or by the registers alone.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, TypeAlias, get_args

from attrs import field, frozen, validators

from monitor.abi.arch import Arch
from monitor.notify.approval import About
from monitor.notify.memory import Memory
from monitor.notify.verdict import Allow, Deny, Kill, Return, Verdict
from monitor.policy.tables import Grant

Scope: TypeAlias = Literal["once", "process", "program", "run", "always"]
"""
For what an answer holds: this call and equal ones that wait; equal calls of this process; of this program in
this run; of anybody in this run; and always, by a grant in a file.
"""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


@frozen(kw_only=True)
class Question:
    """
    What somebody is asked.  Bytes and names in it are the target's choice: whoever shows them escapes them.

    *number* counts the questions of a run.  *registers* are six unsigned 64-bit words.  *asked* is seconds
    since 1970.
    """

    number: int
    call: str
    arch: Arch | None
    nr: int
    registers: tuple[int, ...]
    instruction_pointer: int
    tid: int
    pid: int
    """Its process in our pid namespace; 0: it has no number there."""
    comm: str
    exe: bytes
    """What the process executes, as ``/proc/PID/exe`` says it; empty: not known."""
    cwd: bytes
    text: str
    """The call as strace writes it, escaped."""
    about: tuple[About, ...] = field(validator=validators.min_len(1))
    otherwise: Verdict
    """What is answered where nobody says anything: a denial, but at a breakpoint what the policy says."""
    emulated: bool
    """
    Whether the call is done for its target if it is allowed, with what was looked up.

    If not, the kernel runs it, and reads what its pointers lead to again: the registers are all that is
    allowed.
    """
    refused: bool = False
    """Whether the policy refuses the call, and does not ask: a debugger may decide otherwise, and no grant."""
    scopes: tuple[Scope, ...] = field(validator=validators.min_len(1))
    """What an answer may hold for."""
    suggestions: tuple[Grant, ...] = ()
    """
    What ``always`` would write down, as allowing grants: one for each name and rule that it asks about; why: the
    reasons of the rules.
    """
    asked: float = field(factory=time.time)
    container: str | None = None
    """The id of the container that it is about, where several are supervised."""
    memory: Memory | None = field(default=None, repr=False, eq=False)
    """The memory of the thread while it waits, to be shown: what is there now may be something else in a moment."""


def _grants(given: Grant | Sequence[Grant] | None) -> tuple[Grant, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, Grant) else tuple(given)


@frozen
class Answer:
    """
    What somebody says to a question.

    *verdict*: ``Allow()`` does or continues the call, as the question says; ``Deny``, ``Return`` and ``Kill``
    are themselves.  *remember* are the grants of ``always``, or the one; none: those that the question suggests.
    *who* and *why* are for people; *why* is written down with the grants.
    """

    verdict: Verdict = field(validator=validators.instance_of((Allow, Deny, Return, Kill)))
    scope: Scope = field(default="once", validator=validators.in_(SCOPES))
    remember: tuple[Grant, ...] = field(default=(), converter=_grants)
    who: str = ""
    why: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.scope == "always" and not isinstance(self.verdict, Allow | Deny):
            message = "only allowing and denying can be remembered for always"
            raise ValueError(message)
        if self.remember and self.scope != "always":
            message = f"a grant is what an answer leaves for always, not for {self.scope!r}"
            raise ValueError(message)
        if self.why and self.scope != "always":
            message = f"why is what is written down with an answer for always, not for {self.scope!r}"
            raise ValueError(message)
        if isinstance(self.verdict, Allow) and self.verdict.racy is not None:
            message = "somebody who is asked allows what he was shown, or nothing: Allow() takes no reason here"
            raise ValueError(message)


Approver: TypeAlias = Callable[[Question], Awaitable[Answer | None]]
"""
Who is asked: awaited once for each question, for several at a time.

None: has nothing to say, so that the next is asked, or the call denied.  Cancelled, the question was
withdrawn: nobody waits for its answer any more, or the time is over.
"""
