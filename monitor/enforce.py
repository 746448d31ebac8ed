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

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from errno import ENOSYS, EPERM
from signal import SIGKILL, SIGSYS
from typing import NamedTuple, assert_never, cast

from monitor.abi.arch import Arch
from monitor.abi.syscalls import name_of
from monitor.errors import PolicyError, PolicyNotLoosenable
from monitor.notify import handler as notify_handler
from monitor.notify.account import Outcome
from monitor.notify.decode import Call
from monitor.notify.handler import Handler, notified_by
from monitor.notify.verdict import Allow, Deny, Kill, Pass, Return, Verdict
from monitor.origin import Origin
from monitor.policy import action as actions
from monitor.policy.action import Action, is_refusal
from monitor.policy.beneath import BROKERED, is_brokered, numbers_of_names, with_beneath
from monitor.policy.bpf import Program
from monitor.policy.compile import CompiledPolicy, compile_policy
from monitor.policy.model import Decision, Policy
from monitor.policy.numbers import EVERY
from monitor.policy.routes import Route, Routes
from monitor.policy.tables import refuse_unenforced


class PolicyJudge:
    """The ``Judge`` of one run; its policy can be replaced between two answers."""

    def __init__(self, policy: Policy, routes: Routes, recompiled: Callable[[Policy], Routes]) -> None:
        """Enforce *policy*, or only say what it would refuse, as *routes* were made."""
        self.policy = policy
        self.routes = routes
        self._installed = routes
        self._recompiled = recompiled

    def replace(self, new: Policy) -> tuple[str, ...]:
        """
        Put *new* in force; the names of the calls that it decides differently.

        Raises:
            PolicyNotLoosenable: the installed program decides some of them alone; nothing changed.
            PolicyError: *new* has a table that is not enforced.
        """
        refuse_unenforced(new)
        routes = self._recompiled(new)
        alone = [name for name, route in _differing(self._installed, routes) if route.alone]
        if alone:
            raise PolicyNotLoosenable(tuple(sorted(alone)))
        changed = sorted(name for name, _ in _differing(self.routes, routes))
        self.policy, self.routes = new, routes
        return tuple(changed)

    def decide(self, call: Call) -> Decision:
        """Return what the policy says about *call*."""
        return self.routes.of(call.audit_arch, call.nr).decide(call.registers)

    def refuses(self, call: Call) -> Outcome | None:
        """Return the refusal of *call*, which no handler lifts."""
        decision = self.decide(call)
        if self.routes.observe or not is_refusal(decision.action):
            return None
        return _outcome(verdict_of(decision.action), decision)

    def answers(self, call: Call) -> Outcome | None:
        """Return what the policy says where no handler has decided."""
        decision = self.decide(call)
        verdict = verdict_of(decision.action)
        if self.routes.observe and not isinstance(verdict, Allow):
            outcome = _outcome(Allow(racy="the policy is only observed"), decision)
            outcome.would = verdict
            outcome.told = True
            return outcome
        outcome = _outcome(verdict, decision)
        if isinstance(decision.action, actions.Log):
            outcome.told = True
        return outcome


def _differing(old: Routes, new: Routes) -> Iterator[tuple[str, Route]]:
    """Yield the calls that *new* does not decide as *old* does, each with its route of *old*."""
    native = next(iter(old.others))
    for arch, nr in old.known.keys() | new.known.keys():
        before = old.known.get((arch, nr)) or old.others[arch]
        after = new.known.get((arch, nr)) or new.others[arch]
        if _meaning(before) != _meaning(after):
            name = name_of(arch, nr) or str(nr)
            yield (name if arch is native else f"{arch.table} {name}"), before
    for arch, before in old.others.items():
        if _meaning(before) != _meaning(new.others[arch]):
            yield f"{arch.table} calls without a name", before


def _meaning(route: Route) -> object:
    """Return what decides, without where it was written."""
    return [[(condition, decision.action) for condition, decision in chain] for chain in route.chains]


def _outcome(verdict: Verdict, decision: Decision) -> Outcome:
    outcome = Outcome(verdict, "policy")
    outcome.rule = origin_of(decision)
    return outcome


def origin_of(decision: Decision) -> Origin:
    """Return the rule of *decision* for people, or the default of its policy."""
    if decision.rule is not None:
        return decision.rule.origin
    return Origin(decision.policy.name, key="default")


def verdict_of(action: Action) -> Verdict:  # noqa: PLR0911  # one for each of a closed list
    """
    Return the verdict that carries *action* out on a call that waits.

    Those that only foreign profiles know have no verdict of the same effect; they are never
    notified but in a policy that is observed, where the verdict is what people are told.
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


def enforced(policy: Policy, handlers: Sequence[Handler], arches: Sequence[Arch], *, observe: bool) -> Enforced:
    """
    Make *policy* ready for a run with *handlers*; the first of *arches* is the machine's own.

    Raises PolicyError: it has a table that is not enforced, or names a handler that is not there.
    """
    refuse_unenforced(policy)
    wanted = {arch: notified_by(handlers, arch) for arch in arches}
    notified = {arch: EVERY if numbers is None else numbers for arch, numbers in wanted.items()}
    if is_brokered(policy) and notified[arches[0]] is not EVERY:
        notified[arches[0]] = frozenset(notified[arches[0]]) | numbers_of_names(BROKERED, arches[0])

    def compiled(one: Policy) -> CompiledPolicy:
        return compile_policy(with_beneath(one), arches, notified=notified, observe=observe)

    first = compiled(policy)
    judge = PolicyJudge(policy, first.routes, lambda new: compiled(new).routes)
    routes = notify_handler.routes_of(handlers, arches)
    return Enforced(first.program, judge, _with_named(routes, judge, _named(policy, handlers)))


def _named(policy: Policy, handlers: Sequence[Handler]) -> Mapping[str, Handler]:
    """Return the handlers that rules of *policy* name."""
    there = {handler.name: handler for handler in handlers}
    found: dict[str, Handler] = {}
    for layer in policy.layers():
        for rule in layer.all_rules():
            if isinstance(rule.action, actions.Handle):
                name = rule.action.handler
                if name not in there:
                    message = f"no handler is called {name!r}; there are: {', '.join(there) or 'none'}"
                    raise PolicyError(message, rule.origin)
                found[name] = there[name]
    return found


def _with_named(
    routes: notify_handler.Routes, judge: PolicyJudge, named: Mapping[str, Handler]
) -> notify_handler.Routes:
    """Return *routes* with the handlers that rules name behind those that name the call themselves."""
    if not named:
        return routes
    known = dict(routes.known)
    for (arch, nr), route in judge.routes.known.items():
        key = (arch.audit_value, nr)
        before = known.get(key) or routes.of(*key)
        own = {step[2] for step in before.handlers}
        steps = [
            _step(judge, handler) for name, handler in named.items() if handler not in own and _gives_to(route, name)
        ]
        if steps:
            known[key] = before._replace(handlers=(*before.handlers, *steps))
    return notify_handler.Routes(known, routes.others)


def _gives_to(route: Route, name: str) -> bool:
    """Whether any rule about the call gives it to the handler *name*."""
    decisions = [alternative.decision for chain in route.chains for alternative in chain]
    return any(isinstance(one.action, actions.Handle) and one.action.handler == name for one in decisions)


def _step(judge: PolicyJudge, handler: Handler) -> tuple[Callable[[Call], object], bool, Handler]:
    """Return *handler* as one that decides only what a rule gives to it, with the rule's parameters."""
    function: Callable[..., object] = handler.function

    def parameters_for(call: Call) -> Mapping[str, object] | None:
        action = judge.decide(call).action
        mine = isinstance(action, actions.Handle) and action.handler == handler.name
        return action.parameters if isinstance(action, actions.Handle) and mine else None

    def decide(call: Call) -> object:
        parameters = parameters_for(call)
        return Pass() if parameters is None else function(call, **parameters)

    async def decide_later(call: Call) -> object:
        parameters = parameters_for(call)
        return Pass() if parameters is None else await cast("Awaitable[object]", function(call, **parameters))

    return (decide_later, True, handler) if handler.is_async else (decide, False, handler)
