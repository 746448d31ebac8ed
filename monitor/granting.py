"""
The remembered answers of one policy, for calls that wait: where ``policy`` and ``notify`` meet over an ask.

What it is not: an answer to anything but an ask, or what a grant says (``policy.grants``).

The program that asks is what ``/proc/TID/exe`` says, and that is believed as far as the file that has this
name where *we* look is the one that the process executes: in a mount namespace of its own a program can
have any name it likes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from monitor.errors import TargetGone
from monitor.notify.account import Outcome
from monitor.notify.decode import Call
from monitor.notify.target import glimpsed
from monitor.notify.verdict import Allow, Deny
from monitor.policy.action import Allow as Allowed
from monitor.policy.action import Ask, Audit, Log
from monitor.policy.grants import answering
from monitor.policy.model import Decision, Policy
from monitor.policy.tables import Grant, remembered


class Granting:
    """The grants of all layers of one policy, by the call that they are about."""

    def __init__(self, policy: Policy) -> None:
        """
        Make the grants of *policy* ready.

        Raises PolicyError: a pattern that was made by a program, not read from a file, is none.
        """
        self._by_call: Mapping[str, tuple[Grant, ...]] = _sorted(remembered(policy))

    def answer(self, call: Call, path: bytes | None = None, access: str | None = None) -> Grant | None:
        """Return the grant that answers what is asked about *call*, or about *access* to *path* by it."""
        grants = self._by_call.get(call.name)
        if grants is None:
            return None
        asked: list[bytes] = []

        def exe() -> bytes:
            asked.append(_exe_of(call))
            return asked[0]

        def first(among: Iterable[Grant]) -> Grant | None:
            return answering(
                among, call=call.name, arch=call.arch, registers=call.registers, exe=exe, path=path, access=access
            )

        found = first(grants)
        if found is None or found.program is None or _executes(call.tid, asked[0]):
            return found
        return first(one for one in grants if one.program is None)

    def outcome(self, call: Call, ask: Ask, said: Sequence[Decision]) -> Outcome | None:
        """
        Return what a grant answers to *ask*, the most restrictive of what the layers have *said* about *call*.

        None: none does, or another layer gives the call to a handler or a tracer, which only asking hides.
        """
        if not all(isinstance(one.action, Ask | Allowed | Log | Audit) for one in said):
            return None
        grant = self.answer(call)
        if grant is None:
            return None
        outcome = Outcome(Allow() if grant.verdict == "allow" else Deny(grant.errno or ask.errno), "grant")
        outcome.rule = grant.origin
        outcome.told = outcome.told or any(isinstance(one.action, Log | Audit) for one in said)
        return outcome


def _sorted(grants: Iterable[Grant]) -> Mapping[str, tuple[Grant, ...]]:
    found: dict[str, list[Grant]] = {}
    for grant in grants:
        _ = grant.path_list, grant.program_pattern  # made now, and not while a call waits
        found.setdefault(grant.call, []).append(grant)
    return {call: tuple(several) for call, several in found.items()}


def _exe_of(call: Call) -> bytes:
    try:
        return glimpsed(call.target).link("exe")
    except TargetGone:
        return b""


def _executes(tid: int, name: bytes) -> bool:
    """Whether the process of thread *tid* executes what is called *name* here."""
    try:
        return os.path.samestat(os.stat(f"/proc/{tid}/exe"), os.stat(name))  # noqa: PTH116  # bytes
    except OSError:
        return False
