"""
Who answers what a run's policy asks: the approver that was given, with what is shown and remembered.

What it is not: the asking (``approve``), or which calls are asked about (``asking``, ``debugging``).  It belongs to
the roof, where ``approve``, the policy in force and the events meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trio

    from monitor.approve.approvals import Asking
    from monitor.events.hub import Hub
    from monitor.events.observer import HubObserver
    from monitor.notify.account import Outcome
    from monitor.notify.approval import About
    from monitor.notify.ask import Options
    from monitor.notify.decode import Call
    from monitor.policy.model import Policy
    from monitor.policy.tables import Grant
    from monitor.policy.telling import Teller
    from monitor.run import PolicyChange
    from monitor.settings import Plan, Settings


def may_ask_about_files(plan: Plan, settings: Settings) -> bool:
    """Whether somebody may be asked about calls that can be done for their targets."""
    if plan.judge is None or plan.options.judge is plan.judge:
        return False
    if settings.breakpoints is not None:
        return True
    from monitor.asking import asks_about_files  # noqa: PLC0415  # few runs ask anybody

    return asks_about_files(plan.judge.routes)


def with_approvals(
    plan: Plan, settings: Settings, hub: Hub, observer: HubObserver, change: Callable[[], PolicyChange | None]
) -> Options:
    """Return what dispatch has to know, with who answers what the policy asks; *change* is not there before the run."""
    approver = settings.approver
    if approver is None:
        return plan.options

    async def remember(grants: tuple[Grant, ...]) -> None:
        assert settings.grants is not None
        changing = change()
        assert changing is not None  # there is a policy, or nothing would be asked
        from monitor.remembering import Remembering  # noqa: PLC0415  # likewise

        await Remembering(settings.grants, changing, hub).write(grants)

    def policy() -> Policy | None:
        changing = change()
        return None if changing is None else changing.policy()

    def made() -> Asking:
        from monitor.approve.approvals import Asking  # noqa: PLC0415  # likewise
        from monitor.remembering import suggestions  # noqa: PLC0415

        return Asking(
            approver,
            observer=observer,
            ask_seconds=settings.ask_seconds,
            remember=None if settings.grants is None else remember,
            suggest=suggestions,
            explain=Reasons(policy),
        )

    return plan.options._replace(approvals=LateApprovals(made))


class LateApprovals:
    """``Approvals`` that are made when the first question comes: a run that could ask, and does not, loads nothing."""

    def __init__(self, make: Callable[[], Asking]) -> None:
        """Have them of *make*, once."""
        self._make = make
        self._made: Asking | None = None

    def recalled(self, call: Call, outcome: Outcome) -> Outcome | None:
        """Return what was answered before and holds for this call too; None: somebody has to be asked."""
        if self._made is None:
            self._made = self._make()
        return self._made.recalled(call, outcome)

    async def ask(self, call: Call, outcome: Outcome, nursery: trio.Nursery) -> Outcome:
        """Ask, and wait for the answer."""
        assert self._made is not None  # it was recalled before
        return await self._made.ask(call, outcome, nursery)

    def forget(self, call: Call) -> None:
        """Drop what was answered about this one call."""
        if self._made is not None:
            self._made.forget(call)


class Reasons:
    """Says what the author of the policy in force has written beside a rule, for the person who is asked."""

    def __init__(self, policy: Callable[[], Policy | None]) -> None:
        """Ask *policy* which that is."""
        self._policy = policy
        self._teller: Teller | None = None

    def __call__(self, call: Call, about: About) -> str:
        """Return it; empty: nothing, or the rule is in force no more."""
        from monitor.deciding import real_head  # noqa: PLC0415  # only who is asked needs them
        from monitor.policy.telling import Teller  # noqa: PLC0415

        policy = self._policy()
        if policy is None:
            return ""
        if self._teller is None or self._teller.policy is not policy:
            self._teller = Teller(policy, real_head)
        if about.access:
            told = self._teller.of_path(about.rule, about.access)
        else:
            told = self._teller.of_call(about.rule, call.arch, call.name)
        return "" if told is None else told.reason
