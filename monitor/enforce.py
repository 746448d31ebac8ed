"""
A policy's word about notified calls: the judge before and behind the handlers.

What it is not: the filter, which answers in the kernel what needs nobody (``policy.compile``).
What arrives here is what the filter left to us: rules that are mutable, logged, asked about or
handled, values to be returned, calls that a handler wants to see, and, where a policy is only
observed, what it would refuse.

The routes that the filter was compiled with decide here as ``Policy.decide`` does, with which the
filter was proved to agree: so a call is decided here as the filter would have.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeGuard, cast

from monitor.abi.arch import Arch
from monitor.errors import PolicyError, PolicyNotLoosenable
from monitor.granting import Granting
from monitor.notify import handler as notify_handler
from monitor.notify.account import Outcome
from monitor.notify.decode import Call
from monitor.notify.handler import Handler, no_opinion, notified_by
from monitor.notify.respond import close_quietly
from monitor.notify.verdict import Allow, Deny, InjectFd, Kill, Pass, Return, Verdict
from monitor.origin import NOWHERE, Origin
from monitor.policy import action as actions
from monitor.policy.action import Action, is_refusal
from monitor.policy.beneath import with_beneath, with_brokered
from monitor.policy.bpf import Program
from monitor.policy.compile import CompiledPolicy, compile_policy
from monitor.policy.model import Decision, Policy
from monitor.policy.numbers import EVERY
from monitor.policy.replacing import Obstacle, differing, obstructed
from monitor.policy.routes import Route, Routes
from monitor.policy.runnable import refuse_unrunnable
from monitor.verdicts import verdict_of, would_of, would_of_verdict

_NOTED: Final = 1000
"""Verdicts that are kept until their calls are answered, of a policy that is only observed."""


class Replaced(NamedTuple):
    """
    What a new policy has changed.

    Attributes:
        calls: the names of those that it decides differently.
        routes: who is asked from now on.
    """

    calls: tuple[str, ...]
    routes: notify_handler.Routes


class PolicyJudge:
    """The ``Judge`` of one run; its policy can be replaced between two answers."""

    def __init__(
        self,
        policy: Policy,
        routes: Routes,
        recompiled: Callable[[Policy], Routes],
        bound: Callable[[Policy, PolicyJudge, Routes], notify_handler.Routes],
        *,
        foreign: bool = False,
    ) -> None:
        """
        Enforce *policy*, or only say what it would refuse, as *routes* were made.

        Of another policy *recompiled* makes such routes, and *bound* finds its handlers; they raise
        PolicyError, and change nothing.  *foreign*: the filter is somebody else's, and nothing is known of it.
        """
        self.policy = policy
        self.routes = routes
        self._noted: dict[int, Verdict] = {}
        self._before = routes
        self._found: dict[tuple[int, int], Route] = {}
        self._granting = Granting(policy)
        self._installed = routes
        self._foreign = foreign
        self._recompiled = recompiled
        self._bound = bound

    def replace(self, new: Policy) -> Replaced:
        """
        Put *new* in force, all of it or nothing.

        Raises:
            PolicyNotLoosenable: the installed program decides some of its calls alone.
            PolicyError: *new* has what is not enforced, names a handler that is not there, or says what
                only a program does of calls that the installed one notifies.
        """
        refuse_unrunnable(new, self._installed.others)
        routes = self._recompiled(new)
        bound = self._bound(new, self, routes)
        if not self._foreign:
            _refuse_obstructed(self._installed, routes)
        granting = Granting(new)
        changed = tuple(sorted(differing(self.routes, routes)))
        self._before, self.policy, self.routes, self._found = self.routes, new, routes, {}
        self._granting = granting
        return Replaced(changed, bound)

    def decide(self, call: Call) -> Decision:
        """Return what the policy says about *call*."""
        return self._route(call).decide(call.registers)

    def decisions(self, call: Call) -> tuple[Decision, ...]:
        """Return what each of its layers says, in their order."""
        return self._route(call).decisions(call.registers)

    def _route(self, call: Call) -> Route:
        key = call.audit_arch, call.nr
        route = self._found.get(key)
        if route is None:
            route = self.routes.of(*key)
            if route.name is not None:  # numbers without a name are as many as a program likes
                self._found[key] = route
        return route

    def gives_elsewhere(self, call: Call) -> bool:
        """Return whether the last replacement gives *call* to a handler, or takes it from one."""
        before = self._before.of(call.audit_arch, call.nr).decide(call.registers).action
        now = self.decide(call).action
        return before != now and isinstance(before, actions.Handle) | isinstance(now, actions.Handle)

    def asks_before(self, call: Call) -> Outcome | None:  # noqa: ARG002  # as Judge has it
        """Return what has to be asked before a call is done as a handler says: nothing, the handler has decided."""
        return None

    def heeded(self, call: Call, handler: str, verdict: object) -> object:
        """Return what *handler* says; noted, where it speaks for the policy, and that is only observed."""
        if not isinstance(verdict, Allow | Deny | Return | InjectFd | Kill):
            return verdict
        if not self.routes.observe or not _gives(self.decide(call).action, handler):
            return verdict
        if isinstance(verdict, InjectFd):
            close_quietly(verdict)
        if len(self._noted) >= _NOTED:  # of calls that another handler has decided after all
            del self._noted[next(iter(self._noted))]
        self._noted[call.id] = verdict
        return Pass()

    def refuses(self, call: Call) -> Outcome | None:
        """Return the refusal of *call*, which no handler lifts."""
        decision = self.decide(call)
        if self.routes.observe or not is_refusal(decision.action):
            return None
        return _outcome(verdict_of(decision.action), decision)

    def answers(self, call: Call) -> Outcome | None:
        """Return what the policy says where no handler has decided."""
        decision = self.decide(call)
        granted = self._granted(call, decision.action)
        outcome = _outcome(verdict_of(decision.action), decision) if granted is None else granted
        if self.routes.observe:
            noted = self._noted.pop(call.id, None) if granted is None else granted.verdict
            would = would_of(decision.action) if noted is None else would_of_verdict(noted)
            if noted is not None or would is not None:
                outcome.verdict = Allow(racy="the policy is only observed")
                outcome.would = would
                outcome.told = would is not None
                return outcome
        if isinstance(decision.action, actions.Log | actions.Audit):
            outcome.told = True
        return outcome

    def _granted(self, call: Call, action: Action) -> Outcome | None:
        """Return what was answered before to what *action* asks about *call*; None: it asks nothing, or nothing was."""
        if not isinstance(action, actions.Ask):
            return None
        return self._granting.outcome(call, action, self.decisions(call))


def _gives(action: Action, handler: str) -> TypeGuard[actions.Handle]:
    return isinstance(action, actions.Handle) and action.handler == handler


def _refuse_obstructed(installed: Routes, new: Routes) -> None:
    """Refuse routes that cannot be what happens, since a program is installed that cannot be changed."""
    found = list(obstructed(installed, new))
    alone = {one.call for one in found if one.obstacle is Obstacle.DECIDED_ALONE}
    if alone:
        raise PolicyNotLoosenable(tuple(sorted(alone)))
    if found:
        calls = ", ".join(sorted({one.call for one in found}))
        message = f"only a filter does kill-thread, trap, trace and audit, and the installed one asks us about {calls}"
        raise PolicyError(message)


def _outcome(verdict: Verdict, decision: Decision) -> Outcome:
    outcome = Outcome(verdict, "policy")
    outcome.rule = origin_of(decision)
    return outcome


def origin_of(decision: Decision) -> Origin:
    """Return the rule of *decision* for people, or the default of its policy."""
    if decision.rule is not None:
        return decision.rule.origin
    return Origin(decision.policy.name, key="default")


class _Kept:
    """Policies that are compiled already, by their identity: to compare them would take as long."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[tuple[int, object], tuple[Policy, CompiledPolicy]] = {}
        """The policies too: the number of one that is kept is no other's."""

    def compiled(self, policy: Policy, how: object, anew: Callable[[], CompiledPolicy]) -> CompiledPolicy:
        """Return what *policy* is *how* it is to be compiled, as *anew* makes it."""
        key = id(policy), how
        found = self._kept.pop(key, None) or (policy, anew())
        self._kept[key] = found  # the last one now
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return found[1]


_KEPT: Final = _Kept(64)


class Enforced(NamedTuple):
    """
    A policy, ready for one run.

    Attributes:
        program: for the kernel.
        judge: for dispatch.
        routes: the handlers, and behind them those that rules name.
    """

    program: Program
    judge: PolicyJudge
    routes: notify_handler.Routes


def enforced(
    policy: Policy,
    handlers: Sequence[Handler],
    arches: Sequence[Arch],
    *,
    observe: bool,
    refusals: bool = False,
    foreign: bool = False,
) -> Enforced:
    """
    Make *policy* ready for a run with *handlers*; the first of *arches* is the machine's own.

    With *refusals* the filter leaves to us what we can refuse as well, so that it is told and counted.
    With *foreign* there is a filter already, of which nothing is known: whatever it notifies is decided here.

    Raises PolicyError: it cannot be enforced, or names a handler that is not there.
    """
    refuse_unrunnable(policy, arches)
    wanted = {arch: notified_by(handlers, arch) for arch in arches}
    notified = {arch: EVERY if numbers is None else numbers for arch, numbers in wanted.items()}
    notified[arches[0]] = with_brokered(notified[arches[0]], policy, arches[0])
    own = notify_handler.routes_of(handlers, arches)

    def compiled(one: Policy) -> CompiledPolicy:
        def anew() -> CompiledPolicy:
            return compile_policy(with_beneath(one), arches, notified=notified, observe=observe, refusals=refusals)

        if not foreign:
            return anew()
        # Of containers many have one policy, and whoever waits for another one waits while it is compiled.
        return _KEPT.compiled(one, (tuple(arches), tuple(notified.items()), observe, refusals), anew)

    def bound(one: Policy, judge: PolicyJudge, routes: Routes) -> notify_handler.Routes:
        return _with_notified(_with_named(own, judge, routes, _named(one, handlers)), routes)

    first = compiled(policy)
    judge = PolicyJudge(policy, first.routes, lambda new: compiled(new).routes, bound, foreign=foreign)
    return Enforced(first.program, judge, bound(policy, judge, first.routes))


def _named(policy: Policy, handlers: Sequence[Handler]) -> Mapping[str, Handler]:
    """Return the handlers that *policy* names, in its rules and as its default."""
    there: dict[str, list[Handler]] = {}
    for handler in handlers:
        if handler.function is not no_opinion:
            there.setdefault(handler.name, []).append(handler)
    found: dict[str, Handler] = {}
    for action, origin in _handled(policy):
        several = there.get(action.handler, ())
        if len(several) != 1:
            names = ", ".join(there) or "none"
            what = "more than one handler is" if several else "no handler is"
            message = f"{what} called {action.handler!r}; there are: {names}"
            raise PolicyError(message, origin)
        _refuse_parameters(several[0], action, origin)
        found[action.handler] = several[0]
    return found


def _handled(policy: Policy) -> Iterator[tuple[actions.Handle, Origin | None]]:
    """Yield where *policy* names a handler, in all its layers."""
    for layer in policy.layers():
        said = [(rule.action, rule.origin) for rule in layer.all_rules()]
        for action, origin in (*said, (layer.default, layer.origin)):
            if isinstance(action, actions.Handle):
                yield action, None if origin == NOWHERE else origin


def _refuse_parameters(handler: Handler, action: actions.Handle, origin: Origin | None) -> None:
    """Refuse parameters that the handler does not take: each call would fail, and be denied."""
    try:
        signature = inspect.signature(handler.function)
    except (TypeError, ValueError):  # a function of C that does not tell
        return
    try:
        signature.bind(None, **action.parameters)
    except TypeError as error:
        message = f"handler {handler.name!r} is not made for these parameters: {error}"
        raise PolicyError(message, origin) from None


def _with_notified(bound: notify_handler.Routes, routes: Routes) -> notify_handler.Routes:
    """Return *bound* with a route of its own for each call that is notified: none is made when it comes."""
    known = dict(bound.known)
    for (arch, nr), route in routes.known.items():
        if route.notified:
            key = arch.audit_value, nr
            known.setdefault(key, bound.of(*key))
    return notify_handler.Routes(known, bound.others)


def _with_named(
    own: notify_handler.Routes, judge: PolicyJudge, routes: Routes, named: Mapping[str, Handler]
) -> notify_handler.Routes:
    """
    Return *own*, the routes of the calls that handlers name themselves, with what the policy gives to *named*.

    A handler is asked where it stands, and with the rule's parameters where a rule gives it the call;
    those that do not name the call themselves come last.
    """
    if not named:
        return own
    known = dict(own.known)
    for (arch, nr), route in routes.known.items():
        key = (arch.audit_value, nr)
        before = own.of(*key)
        handlers = _steps(judge, before.handlers, [one for name, one in named.items() if _gives_to(route, name)])
        if handlers != before.handlers:
            known[key] = before._replace(handlers=handlers)
    unnamed = [name for name in named if any(_gives_to(route, name) for route in routes.others.values())]
    return notify_handler.Routes(known, _steps(judge, own.others, [named[name] for name in unnamed]))


def _gives_to(route: Route, name: str) -> bool:
    """Whether any layer gives the call to the handler *name*."""
    decisions = [alternative.decision for chain in route.chains for alternative in chain]
    return any(_gives(one.action, name) for one in decisions)


def _steps(judge: PolicyJudge, own: notify_handler.Steps, given: Sequence[Handler]) -> notify_handler.Steps:
    """Return the steps *own* of a call, and behind them those *given* to it that are not among them."""
    asked = [step[2] for step in own]
    mine = (_step(judge, step[2], names_it=True) if step[2] in given else step for step in own)
    return (*mine, *(_step(judge, handler, names_it=False) for handler in given if handler not in asked))


def _step(judge: PolicyJudge, handler: Handler, *, names_it: bool) -> tuple[Callable[[Call], object], bool, Handler]:
    """Return *handler* with the parameters of the rule that gives it a call; else it passes, unless it *names_it*."""
    function: Callable[..., object] = handler.function

    def parameters_for(call: Call) -> Mapping[str, object] | None:
        action = judge.decide(call).action
        if _gives(action, handler.name):
            return action.parameters
        return {} if names_it else None

    def decide(call: Call) -> object:
        parameters = parameters_for(call)
        return Pass() if parameters is None else judge.heeded(call, handler.name, function(call, **parameters))

    async def decide_later(call: Call) -> object:
        parameters = parameters_for(call)
        if parameters is None:
            return Pass()
        return judge.heeded(call, handler.name, await cast("Awaitable[object]", function(call, **parameters)))

    return (decide_later, True, handler) if handler.is_async else (decide, False, handler)
