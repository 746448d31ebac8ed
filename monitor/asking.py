"""
The judge of a run in which somebody can be asked: what a policy asks about registers becomes a question.

What it is not: the asking (``approve``), or what is asked about names (``brokering``).  It belongs to the
roof, where ``policy`` and ``broker`` meet.
"""

from __future__ import annotations

from errno import ENFILE

from monitor.broker.families import FAMILIES
from monitor.enforce import PolicyJudge
from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.account import Outcome
from monitor.notify.approval import About, Asks
from monitor.notify.decode import Call
from monitor.notify.verdict import Allow, Deny, Emulate
from monitor.origin import NOWHERE, Origin
from monitor.policy import action as actions
from monitor.policy.routes import Routes


class AskingJudge:
    """The ``Judge`` of registers; what it does not say itself, *calls* says."""

    def __init__(self, calls: PolicyJudge) -> None:
        """Have *calls* decide."""
        self._calls = calls

    @property
    def routes(self) -> Routes:
        """What the policy in force says of each call."""
        return self._calls.routes

    def refuses(self, call: Call) -> Outcome | None:
        """Return the refusal of *call*, which no handler lifts."""
        return self._calls.refuses(call)

    def gives_elsewhere(self, call: Call) -> bool:
        """Return whether the last replacement gives *call*, which waits, to a handler, or takes it from one."""
        return self._calls.gives_elsewhere(call)

    def asks_before(self, call: Call) -> Outcome | None:
        """Return what has to be asked before *call* is done: nothing, since a handler has decided by then."""
        return self._calls.asks_before(call)

    def answers(self, call: Call) -> Outcome | None:
        """Return what is answered when every handler has passed; what is asked there becomes a question."""
        said = self._calls.answers(call)
        if said is None or said.by != "policy" or said.would is not None:
            return said
        if isinstance(self._calls.decide(call).action, actions.Ask) and self._asks_alone(call):
            try:
                said.asks = asks_of(call, said.rule or NOWHERE)
            except TargetGone:
                pass  # what is answered to nobody needs no question
            except TargetMemoryError as error:
                return Outcome(Deny(error.errno))
            except OSError:  # we have no fd to look with
                return Outcome(Deny(ENFILE), "error")
        return said

    def _asks_alone(self, call: Call) -> bool:
        """Whether no layer says more than an answer can lift: one that gives the call to a handler is hidden by it."""
        return all(
            isinstance(one.action, actions.Ask | actions.Allow | actions.Log | actions.Audit)
            for one in self._calls.decisions(call)
        )


def asks_about_files(routes: Routes) -> bool:
    """Whether somebody may be asked about calls that can be done for their targets."""
    return any(
        isinstance(alternative.decision.action, actions.Ask)
        for route in (*routes.known.values(), *routes.others.values())
        for chain in route.chains
        for alternative in chain
        if route.name in FAMILIES
    )


def asks_of(call: Call, rule: Origin) -> Asks:
    """
    Return what *rule* asks about *call*, and what is done if somebody allows it.

    Where the call can be done for its target, that is it, with the names that were looked up: the kernel would
    read what pointers lead to again, and nobody could allow what he was shown.
    """
    if call.broker is None or call.name not in FAMILIES or not call.broker.can(call):
        return Asks(Allow(), (About(rule),))
    paths = [call.looked_up(register) for register in FAMILIES[call.name].registers]
    return Asks(Emulate(), tuple(About(rule, path=path.canonical) for path in paths) or (About(rule),))
