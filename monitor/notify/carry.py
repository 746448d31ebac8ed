"""
Carries an ``Emulate`` out: at once, or where it may sleep.

What it is not: how a call is done for its target (a ``Broker``), or the answer (``respond``).  What was
looked up may be gone, or have come to be, by the time it is used: then dispatch has the call looked up
and decided again, by everybody, a few times, and denied after that.
"""

from __future__ import annotations

from errno import EACCES, ENFILE, EPERM
from typing import Final

from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.account import FAILURE, Outcome
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

    def __init__(self, broker: Broker | None, responder: Responder) -> None:
        """Borrow all of them."""
        self._broker = broker
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

    async def carry_out_later(self, call: Call, outcome: Outcome) -> bool:
        """
        Do what the ``Emulate`` of *outcome* says, where it may sleep.

        False: what the call names is not what it was, and has to be looked up and decided about again.
        """
        assert self._broker is not None
        self._responder.look_before(call, outcome)
        try:
            outcome.done = await self._broker.emulate_later(call)
        except TargetMemoryError as error:
            outcome.done = Emulated(-error.errno)
        except TargetGone:
            outcome.done = NOBODY_WAITS
        except OSError as error:
            outcome.done = Emulated(-_lack(error))
        except ChangedError:
            call.close()
            return False
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
        except OSError as error:
            return Outcome(Deny(_lack(error)), "error")
        return None


def _lack(error: OSError) -> int:
    """Return what a target is told: that we have no fd or no thread left, or that nobody can act for it any more."""
    return EACCES if error.errno == EACCES else ENFILE
