"""
A policy's word about files: the tables of a policy decide, and the broker acts.

What it is not: either of them, or what the tables say (``deciding``).  It belongs to the roof, where
``policy`` and ``handlers`` meet: the ``Judge`` of a run with such tables.
"""

from __future__ import annotations

from contextlib import suppress

from monitor.abi.arch import Arch
from monitor.asking import AskingJudge
from monitor.broker.broker import FileBroker
from monitor.broker.families import FAMILIES
from monitor.deciding import TableDecider, real_head
from monitor.enforce import PolicyJudge
from monitor.errors import PolicyError
from monitor.handlers.fastpath import FastPath
from monitor.handlers.paths import OTHERS, PathJudge, Ruling, emulation, refusal
from monitor.notify.account import Outcome, Would
from monitor.notify.approval import About, Asks
from monitor.notify.decode import Call
from monitor.notify.handler import Routes
from monitor.notify.verdict import Allow, Emulate
from monitor.policy.beneath import RIGHTS, is_brokered, keeps_faults, keeps_mounts, keeps_rights
from monitor.policy.model import Policy
from monitor.sources.launch import Started


class BrokeringJudge:
    """The ``Judge`` of a run in which files are opened for the targets."""

    def __init__(self, calls: PolicyJudge | AskingJudge, policy: Policy, *, observe: bool) -> None:
        """
        Ask *calls* about registers, and the tables of *policy* about names; with *observe*, refuse nothing.

        With an ``AskingJudge`` there is somebody who can be asked.
        """
        self._asking = isinstance(calls, AskingJudge) and not observe
        self._calls = calls
        self._decider = TableDecider(policy, real_head)
        self._paths = PathJudge(self._decider, Arch.native())
        self._observe = observe
        self._fast: FastPath | None = None
        self._broker: FileBroker | None = None
        self.keeps_rights = not observe and keeps_rights(policy)
        """Whether they begin with our rights and our view, and nothing lets them come to another view."""
        self.keeps_mounts = keeps_mounts(policy)
        """Whether nothing lets them mount."""
        self.keeps_faults = not observe and keeps_faults(policy)
        """Whether nothing lets them handle the faults of their pages."""

    def fast_path(self, broker: FileBroker, routes: Routes) -> FastPath | None:
        """Return who answers for *broker* what is allowed anyway, and no handler of *routes* sees; None: nobody."""
        self._broker = broker
        if broker.walled and not broker.remembers:
            with suppress(OSError):  # we have no fd for it: then everything takes the long way
                self._fast = FastPath(broker, self._decider, self._unseen(routes))
        return self._fast

    def bind(self, broker: FileBroker) -> None:
        """Tell *broker*, which is borrowed, what is hidden, now and whenever the policy is another."""
        self._broker = broker
        broker.hide(self._decider.hidden if self._decider.hides and not self._observe else None)

    def _unseen(self, routes: Routes) -> frozenset[tuple[int, int]]:
        """Return the calls that only tables decide about."""
        return frozenset(key for key in self._calls.routes.always_allowed() if not routes.of(*key).handlers)

    def refuses(self, call: Call) -> Outcome | None:
        """Return the refusal of *call*, which no handler lifts.  Raises MayBlockError."""
        refused = self._calls.refuses(call)
        if call.name in RIGHTS and self._broker is not None:
            self._loosen(self._broker, call)  # before the kernel runs it, if it does
        if refused is not None or not self._paths.rules(call):
            return refused
        ruling = call.ruling = self._paths.ruling(call)  # anew: the policy may be another one
        if isinstance(ruling, Outcome):
            return ruling
        if self._observe or not ruling.errno or (ruling.asks and self._asking):
            return None
        return refusal(ruling)

    def _loosen(self, broker: FileBroker, call: Call) -> None:
        broker.loosen(call)
        if self._fast is not None and not broker.walled:
            self._fast.end()

    def answers(self, call: Call) -> Outcome | None:
        """Return what is answered when every handler has passed."""
        said = self._calls.answers(call)
        if said is None or not self._paths.rules(call) or not (isinstance(said.verdict, Allow) or said.asks):
            return said
        ruling = self._ruling(call)
        if isinstance(ruling, Outcome):
            return ruling
        if ruling.asks and self._asking:
            before = said.asks.about if said.asks else ()
            return _question(ruling, before)
        if said.asks:
            said.asks = said.asks._replace(allowed=Emulate())
            return said
        # For a thread with other rights nobody acts; observed, it does for itself what it would have done.
        outcome = (
            Outcome(Allow(racy="the policy is only observed"), "policy") if ruling is OTHERS else emulation(ruling)
        )
        outcome.told = said.told
        outcome.would = said.would
        if ruling.errno:
            outcome.would, outcome.told = Would("ask" if ruling.asked else "deny", ruling.errno), True
        elif said.by == "grant" and not ruling.granted:
            outcome.by, outcome.rule = said.by, said.rule
        return outcome

    def asks_before(self, call: Call) -> Outcome | None:
        """Return what has to be asked before *call* is done for its target, as a handler says."""
        if not self._asking or not self._paths.rules(call):
            return None
        ruling = self._ruling(call)
        return _question(ruling) if isinstance(ruling, Ruling) and ruling.asks else None

    def _ruling(self, call: Call) -> Ruling | Outcome:
        """Return what is said about the names of *call*, once."""
        if call.ruling is None:
            call.ruling = self._paths.ruling(call)
        assert isinstance(call.ruling, Ruling | Outcome)
        return call.ruling

    def gives_elsewhere(self, call: Call) -> bool:
        """Return whether the last replacement gives *call*, which waits, to a handler, or takes it from one."""
        return self._calls.gives_elsewhere(call)

    def refuse_lifting(self, policy: Policy) -> None:
        """
        Do nothing, if the targets can come to nothing more under *policy* in place of the first one.

        Raises PolicyError: it lifts what was relied on, which only a new run can do without.
        """
        for kept, keeps in ((self.keeps_rights, keeps_rights), (self.keeps_faults, keeps_faults)):
            if kept and not (is_brokered(policy) and keeps(policy)):  # without a table nothing is refused beneath
                message = "a rule lifts what is refused beneath [files] about rights or memory: start anew for that"
                raise PolicyError(message)

    def use(self, policy: Policy, routes: Routes) -> None:
        """Have the tables of *policy* decide from now on, and the handlers of *routes*."""
        self._decider = TableDecider(policy, real_head)
        self._paths.ask(self._decider)
        if self._broker is not None:
            self.bind(self._broker)
        if self._fast is not None:
            self._fast.use(self._decider, self._unseen(routes))


def _question(ruling: Ruling, before: tuple[About, ...] = ()) -> Outcome:
    """Return the refusal that *ruling* is, unless somebody allows what it asks, and what was asked *before* it."""
    outcome = refusal(ruling)
    outcome.asks = Asks(Emulate(), (*before, *(About(one.origin, one.access, one.name) for one in ruling.asks)))
    return outcome


def judge_of_files(policy: Policy, calls: PolicyJudge | AskingJudge, *, observe: bool) -> BrokeringJudge | None:
    """Return the judge of a run under *policy*, if that says anything about files; *calls* judges registers."""
    if not is_brokered(policy):
        return None
    return BrokeringJudge(calls, policy, observe=observe)


def broker_of(
    started: Started, routes: Routes, judge: BrokeringJudge | None, *, asked: bool = False
) -> FileBroker | None:
    """
    Return who acts for the targets, if *judge* or a handler of *routes* may want that; its owner closes it.

    *asked*: somebody may be asked about such calls.
    """
    named = any(route.handlers and route.name in FAMILIES for route in routes.known.values())
    if judge is None and not (named or asked):
        return None
    has = started.process.has
    if judge is None:
        return FileBroker(started.listener, is_supervised=has)
    alike = started.process.pid if judge.keeps_rights else None
    broker = FileBroker(started.listener, is_supervised=has, alike=alike, faultless=judge.keeps_faults)
    judge.bind(broker)
    return broker
