"""
A policy's actions as verdicts on calls that wait, and as what is told where a policy is only observed.

What it is not: the decision which action it is (``policy``), or the verdict's own meaning (``notify.verdict``).
"""

from __future__ import annotations

from errno import ENOSYS, EPERM
from signal import SIGKILL, SIGSYS
from typing import assert_never

from monitor.notify.account import Would
from monitor.notify.verdict import Allow, Deny, Emulate, InjectFd, Kill, Pass, Return, Verdict
from monitor.policy import action as actions
from monitor.policy.action import Action


def verdict_of(action: Action) -> Verdict:  # noqa: PLR0911  # one for each of a closed list
    """
    Return the verdict that carries *action* out on a call that waits.

    Those that only filters do have no verdict of the same effect.  They are notified where a handler
    wants to see the call: then ``Audit`` is told as an event, and ``Trace`` fails as without a tracer.
    """
    match action:
        case actions.Allow() | actions.Log() | actions.Audit():
            return Allow()
        case actions.Deny(errno):
            return Return(0) if errno == 0 else Deny(errno)
        case actions.Return(value):
            return Return(value)
        case actions.Ask(errno):
            return Deny(errno)  # nobody is there to ask
        case actions.Handle():
            return Deny(EPERM)  # its handler passed
        case actions.KillProcess():
            return Kill(SIGKILL)  # SIGSYS, which the filter sends, could be caught when it comes from us
        case actions.KillThread() | actions.Trap():
            return Kill(SIGSYS)
        case actions.Trace():
            return Deny(ENOSYS)
        case _:
            assert_never(action)


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
