"""
What a policy that is only observed would have done to a call.

What it is not: the decision (``enforce``), or the words for it (``events``).
"""

from __future__ import annotations

from errno import ENOSYS, EPERM
from typing import assert_never

from monitor.notify.account import Would
from monitor.notify.verdict import Allow, Deny, Emulate, InjectFd, Kill, Pass, Return, Verdict
from monitor.policy import action as actions
from monitor.policy.action import Action


def would_of(action: Action) -> Would | None:  # noqa: PLR0911  # one for each of a closed list
    """Return what *action* does to a call, if it is not that the call runs."""
    match action:
        case actions.Allow() | actions.Log() | actions.Audit():
            return None
        case actions.Deny(errno):
            return Would("return", value=0) if errno == 0 else Would("deny", errno)
        case actions.Return(value):
            return Would("return", value=value)
        case actions.Ask(errno):
            return Would("ask", errno)
        case actions.Handle():
            return Would("deny", EPERM)  # its handler passed
        case actions.KillProcess():
            return Would("kill")
        case actions.KillThread():
            return Would("kill-thread")
        case actions.Trap():
            return Would("trap")
        case actions.Trace():
            return Would("trace", ENOSYS)
        case _:
            assert_never(action)


def would_of_verdict(verdict: Verdict) -> Would | None:
    """Return what *verdict* does to a call, if it is not that the call runs."""
    match verdict:
        case Allow() | Pass() | Emulate():
            return None
        case Deny(errno):
            return Would("deny", errno)
        case Return(value):
            return Would("return", value=value)
        case InjectFd():
            return Would("inject")
        case Kill():
            return Would("kill")
        case _:
            assert_never(verdict)
