"""
Carries an ``Emulate`` out: at once, or where it may sleep.

What it is not: how a call is done for its target (a ``Broker``), or the answer (``respond``).  What was
looked up may be gone, or have come to be, by the time it is used: then the call is looked up and
decided again, a few times, and denied after that.
"""

from __future__ import annotations

from errno import EPERM
from typing import Final

from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.account import FAILURE, Judge, Outcome
from monitor.notify.decode import Call
from monitor.notify.emulation import Broker, ChangedError, Emulated, MayBlockError
from monitor.notify.respond import Responder
from monitor.notify.verdict import Deny

TRIES: Final = 8
"""How often a call is looked up at the most, while somebody changes what it names."""

NOBODY_WAITS: Final = Emulated(-EPERM)
"""What is sent to a thread that is gone: nothing, but that is for the kernel to say."""


class Carrier:
    """Has the calls of one listener done for their targets."""

    def __init__(self, broker: Broker | None, judge: Judge | None, responder: Responder) -> None:
        """Borrow all of them."""
        self._broker = broker
        self._judge = judge
        self._responder = responder

    def carry_out(self, call: Call, outcome: Outcome) -> None:
        """Do what the ``Emulate`` of *outcome* says.  Raises MayBlockError: not here."""
        assert self._broker is not None  # Call.emulate() and dispatch refuse without one
        self._responder.look_before(call, outcome)
        try:
            outcome.done = self._broker.emulate(call)
        except TargetMemoryError as error:
            outcome.done = Emulated(-error.errno)
        except TargetGone:
            outcome.done = NOBODY_WAITS
        except ChangedError:  # it begins anew there
            raise MayBlockError from None

    async def carry_out_later(self, call: Call, outcome: Outcome) -> None:
        """Do what the ``Emulate`` of *outcome* says, where it may sleep."""
        assert self._broker is not None
        self._responder.look_before(call, outcome)
        for _ in range(TRIES):
            try:
                outcome.done = await self._broker.emulate_later(call)
            except TargetMemoryError as error:
                outcome.done = Emulated(-error.errno)
            except TargetGone:
                outcome.done = NOBODY_WAITS
            except ChangedError:
                call.close()
                failed = await self.look_up(call)
                if failed is not None:
                    outcome.done = NOBODY_WAITS
                elif not self._is_refused_now(call, outcome):
                    continue
            return
        outcome.done = NOBODY_WAITS

    def _is_refused_now(self, call: Call, outcome: Outcome) -> bool:
        """Whether what the path leads to now is refused; *outcome* is that refusal then."""
        refused = None if self._judge is None else self._judge.refuses(call)
        if refused is None:
            return False
        outcome.verdict, outcome.by, outcome.rule = refused.verdict, refused.by, refused.rule
        outcome.access, outcome.path, outcome.told = refused.access, refused.path, refused.told
        return True

    async def look_up(self, call: Call) -> Outcome | None:
        """Look up every path of *call* where it may sleep; the outcome, if it ends with that."""
        assert self._broker is not None
        try:
            await self._broker.look_up(call)
        except TargetMemoryError as error:
            return Outcome(Deny(error.errno))
        except TargetGone:
            return Outcome(FAILURE, "error")
        return None
