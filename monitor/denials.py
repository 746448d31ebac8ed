"""
A program that is told why its calls were refused: the connection, and what may be said over it.

What it is not: the lines (``events.denials``), or what a policy has to say (``policy.telling``).  It belongs to
the roof, where those meet.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from errno import EINVAL
from typing import TYPE_CHECKING

import attrs
import trio

from monitor.deciding import real_head
from monitor.errors import LaunchError, LaunchStage
from monitor.events.denials import DenialLines, Explained
from monitor.events.opening import opened_pair
from monitor.events.record import CallAnswered
from monitor.policy.telling import Teller
from monitor.run import ProcessRun
from monitor.settings import Settings
from monitor.sources.launch import DENIALS_VARIABLE, Launch

if TYPE_CHECKING:
    from monitor.policy.model import Policy


class Explainer:
    """Says what may be said of a refusal, by the policy that is in force when it is told."""

    def __init__(self, policy: Callable[[], Policy | None]) -> None:
        """Ask *policy* which that is."""
        self._policy = policy
        self._teller: Teller | None = None

    def __call__(self, event: CallAnswered) -> Explained | None:
        """Return it; None: nothing, since no rule says it, but what is beneath them."""
        policy = self._policy()
        if event.rule is None or policy is None:
            return Explained()
        if self._teller is None or self._teller.policy is not policy:
            self._teller = Teller(policy, real_head)
        if event.access:
            told = self._teller.of_path(event.rule, event.access)
        else:
            told = self._teller.of_call(event.rule, event.arch, event.name)
        if told is None:  # a name that was refused for what else is there, or a rule that is in force no more
            return None if event.path is not None or event.access else Explained()
        return Explained(told.rule, told.reason, told.condition, event.access, tuple(told.allowed), told.more)


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def told_of_denials(
    launch: Launch,
    settings: Settings,
    supervised: Callable[[Launch, Settings], AbstractAsyncContextManager[ProcessRun]],
) -> AsyncGenerator[ProcessRun, None]:
    """Supervise *launch* as *settings* say, which is told of what is refused to it, and to all that it starts."""
    try:
        ours, theirs = opened_pair("the program")
    except OSError as error:
        raise LaunchError(LaunchStage.PREPARE, error.errno or EINVAL) from error
    lines = DenialLines(ours, with_tids="pid" not in launch.namespaces)
    try:
        # What the filter refuses alone nobody would hear of.
        told = attrs.evolve(settings, sinks=(*settings.sinks, lines), notify_refusals=True)
        async with supervised(_with_connection(launch, theirs), told) as run:
            os.close(theirs)
            theirs = -1
            lines.explain = Explainer(lambda: run.policy)
            yield run
    finally:
        if theirs >= 0:
            os.close(theirs)
        await lines.finish()


def _with_connection(launch: Launch, fd: int) -> Launch:
    """Return *launch* with *fd* as the lowest number that is free in it, told in a variable."""
    number = next(number for number in range(3, 4 + len(launch.fds)) if number not in launch.fds)
    env = dict(os.environb) if launch.env is None else launch.env
    variable = {DENIALS_VARIABLE: b"%d" % number}
    return attrs.evolve(launch, denials=False, fds={**launch.fds, number: fd}, env={**env, **variable})
