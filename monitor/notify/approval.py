"""
What ``notify`` asks of whoever asks people: the joint to the approver.

What it is not: the question as a person sees it, or what is remembered of answers (``approve``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from monitor.origin import Origin

if TYPE_CHECKING:
    import trio

    from monitor.notify.account import Outcome
    from monitor.notify.decode import Call
    from monitor.notify.verdict import Verdict


class About(NamedTuple):
    """
    One thing that a policy asks about a call.

    Attributes:
        rule: which asks.
        access: the class of access, where it asks about a name; empty: it asks about the call.
        path: that name, canonical as the target sees it; or one that the call is done with.  None: no name.
        reason: what the rule's author has written beside it, for people; empty: nothing, or it is not looked up yet.
    """

    rule: Origin
    access: str = ""
    path: bytes | None = None
    reason: str = ""


class Asks(NamedTuple):
    """
    What somebody has to allow before a call is answered with anything but a denial.

    Attributes:
        allowed: what is done about the call if all of it is allowed.
        about: all of it; never empty.
        refused: whether the call is refused, and nobody asks: a grant never lifts that.
        grantable: whether a policy asks, so that a grant can answer.
    """

    allowed: Verdict
    about: tuple[About, ...]
    refused: bool = False
    grantable: bool = True


class Approvals(Protocol):
    """
    Answers what policies ask.  Borrowed by dispatch.

    The outcomes given to it have ``asks``, and are what is answered where nobody says anything; those
    that it returns have none.
    """

    def recalled(self, call: Call, outcome: Outcome) -> Outcome | None:
        """Return what was answered before and holds for this call too; None: somebody has to be asked."""
        ...

    async def ask(self, call: Call, outcome: Outcome, nursery: trio.Nursery) -> Outcome:
        """
        Ask, and wait for the answer.

        *nursery* lives as long as calls are answered: equal questions are asked once, by nobody's own task.
        Cancelled, the call no longer waits for the answer; that others do may go on.
        """
        ...

    def forget(self, call: Call) -> None:
        """Drop what was answered about this one call: it has got its answer."""
        ...
