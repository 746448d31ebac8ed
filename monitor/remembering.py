"""
What ``always`` leaves behind: the grants that are suggested for a question, and the file they are written to.

What it is not: a grant's meaning (``policy.grants``), or the reading of such a file before a run.  It belongs to
the roof, where ``approve`` and a run's policy meet.
"""

from __future__ import annotations

from datetime import date

import trio

from monitor.approve.shape import Asker
from monitor.errors import PolicyError
from monitor.events.hub import Hub
from monitor.events.record import GrantFailed, GrantWritten
from monitor.notify.approval import Asks
from monitor.notify.decode import Call
from monitor.policy.grants import files_of_grants, grants_of_file, suggested, with_grants
from monitor.policy.grants_file import GrantsFile
from monitor.policy.model import Policy
from monitor.policy.tables import Grant, Grants
from monitor.run import PolicyChange


def suggestions(call: Call, asks: Asks, asker: Asker) -> tuple[Grant, ...]:
    """
    Return the narrowest grants that together would have answered what *asks* asks about *call*; none: there are none.

    There is one for each name, about the classes of access that were asked for, and one where a rule asks about the
    call.  Each of them answers by itself: of two names that were allowed, either may also be used with a third that
    is.
    """
    if asker.program is None:
        return ()
    named: dict[bytes | None, set[str]] = {}
    for one in asks.about:
        named.setdefault(one.path if one.access else None, set()).add(one.access)
    found = [
        suggested(
            call=call.name,
            arch=call.arch,
            registers=call.registers,
            exe=asker.exe,
            path=path,
            access=frozenset(access),
            verdict="allow",
            today=date.today(),  # noqa: DTZ011  # the user's own days
        )
        for path, access in named.items()
    ]
    whole = tuple(grant for grant in found if grant is not None)
    return whole if len(whole) == len(found) else ()  # what answers a part of it is asked again


class Remembering:
    """Writes grants into one file, and puts each in force at once."""

    def __init__(self, file: str, change: PolicyChange, hub: Hub) -> None:
        """Write to *file*; tell *hub* of what was written, or was not."""
        self._file = GrantsFile(file)
        self._change = change
        self._hub = hub

    async def write(self, grants: tuple[Grant, ...]) -> None:
        """Write *grants* down at once, and have them answer from now on; where that fails, tell why."""
        try:
            difference = await trio.to_thread.run_sync(self._file.add, *grants)
            self._change.replace(self._with(grants))
        except (OSError, PolicyError) as error:
            self._hub.publish(GrantFailed(file=self._file.path, error=error))
        else:
            self._hub.publish(GrantWritten(file=self._file.path, difference=difference))

    def _with(self, grants: tuple[Grant, ...]) -> Policy:
        """Return the policy in force with *grants* more."""
        policy = self._change.policy()
        entries = grants_of_file(policy, self._file.path).entries
        return with_grants(policy, Grants((*entries, *grants)), self._file.path)


def with_file(policy: Policy, file: str) -> Policy:
    """
    Return *policy* with the grants that stand in *file*, unless it has them already.

    Raises:
        PolicyError: the file cannot be read.
    """
    if file in files_of_grants(policy):
        return policy
    return with_grants(policy, Grants(GrantsFile(file).entries()), file)
