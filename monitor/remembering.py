"""
What ``always`` leaves behind: the grant that is suggested for a question, and the file it is written to.

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


def suggestion(call: Call, asks: Asks, asker: Asker) -> Grant | None:
    """
    Return the narrowest grant that would have answered what *asks* asks about *call*; None: there is none.

    A question about several names, or about names and a rule, is answered by several grants: those somebody
    writes who knows what they are for.
    """
    paths = {one.path for one in asks.about if one.access}
    by_rule = any(not one.access for one in asks.about)
    if asker.program is None or len(paths) + by_rule != 1:
        return None
    path = None if by_rule else next(iter(paths))
    return suggested(
        call=call.name,
        arch=call.arch,
        registers=call.registers,
        exe=asker.exe,
        path=path,
        access=frozenset(one.access for one in asks.about if one.access),
        verdict="allow",
        today=date.today(),  # noqa: DTZ011  # the user's own days
    )


class Remembering:
    """Writes grants into one file, and puts each in force at once."""

    def __init__(self, file: str, change: PolicyChange, hub: Hub) -> None:
        """Write to *file*; tell *hub* of what was written, or was not."""
        self._file = GrantsFile(file)
        self._change = change
        self._hub = hub

    async def write(self, grant: Grant) -> None:
        """Write *grant* down, and have it answer from now on; where that fails, tell why."""
        try:
            difference = await trio.to_thread.run_sync(self._file.add, grant)
            self._change.replace(self._with(grant))
        except (OSError, PolicyError) as error:
            self._hub.publish(GrantFailed(file=self._file.path, error=error))
        else:
            self._hub.publish(GrantWritten(file=self._file.path, difference=difference))

    def _with(self, grant: Grant) -> Policy:
        """Return the policy in force with one grant more."""
        policy = self._change.policy()
        entries = grants_of_file(policy, self._file.path).entries
        return with_grants(policy, Grants((*entries, grant)), self._file.path)


def with_file(policy: Policy, file: str) -> Policy:
    """
    Return *policy* with the grants that stand in *file*, unless it has them already.

    Raises:
        PolicyError: the file cannot be read.
    """
    if file in files_of_grants(policy):
        return policy
    return with_grants(policy, Grants(GrantsFile(file).entries()), file)
