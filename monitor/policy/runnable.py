"""
What keeps a program from running under a policy that can be read and asked about.

What it is not: a look at whether the policy makes sense (``verify``), or whether its handlers are there
(``monitor.enforce``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from monitor.abi.arch import Arch
from monitor.abi.seccomp import RESTARTS
from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy.action import Ask, Deny
from monitor.policy.model import Policy
from monitor.policy.tables import refuse_unenforced


def refuse_unrunnable(policy: Policy, machine: Collection[Arch]) -> None:
    """
    Do nothing, if a program may run under *policy* on a *machine* of these ABIs.

    Raises:
        PolicyError: it has a table that nothing would enforce, an errno that is none to a program, or rules
            for other machines alone.
    """
    refuse_unenforced(policy)
    for layer in policy.layers():
        _refuse_strangers(layer, machine)
    for errno, origin in restarts(policy):
        message = f"errno {errno} restarts a call inside of the kernel; a program must never see it"
        raise PolicyError(message, None if origin == NOWHERE else origin)


def _refuse_strangers(layer: Policy, machine: Collection[Arch]) -> None:
    if layer.arches is not None and layer.arches.isdisjoint(machine):
        meant, here = (", ".join(sorted(arch.table for arch in some)) for some in (layer.arches, machine))
        answered = "killed" if layer.other_arch == "kill" else "answered with ENOSYS"
        message = f"its rules are for {meant}, and this machine runs {here}: every call would be {answered}"
        raise PolicyError(message, None if layer.origin == NOWHERE else layer.origin)


def restarts(policy: Policy) -> Iterator[tuple[int, Origin]]:
    """
    Yield the errnos of *policy* by which the kernel says to itself that a call is to be made again, and where.

    A filter can return them, and only profiles of others say so.  What a program gets depends on whether a
    signal is pending when the call returns: the number itself, which no program knows, EINTR, or the same
    call once more (measured; arch/x86/kernel/signal.c, ``handle_signal``).  Nobody means that.
    """
    for layer in policy.layers():
        said = [(layer.default, layer.origin), *((rule.action, rule.origin) for rule in layer.all_rules())]
        for action, origin in said:
            if isinstance(action, Deny | Ask) and action.errno in RESTARTS:
                yield action.errno, origin
