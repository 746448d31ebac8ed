"""
What ``supervise`` was asked for, checked, and what follows from it: who decides, and the filter.

What it is not: the run (``supervisor``).  Values that cannot be meant are refused here, before anything
is started.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Literal, NamedTuple

from attrs import field, frozen, validators

from monitor.abi.arch import Arch
from monitor.notify.ask import Options, Reconsider
from monitor.notify.handler import Handler, HandlerFunction, Routes, notified_by, routes_of
from monitor.notify.verdict import Allow, Deny, Kill, Return, Verdict

if TYPE_CHECKING:
    from monitor.approve.question import Approver
    from monitor.asking import AskingJudge
    from monitor.brokering import BrokeringJudge
    from monitor.debugging import Breakpoints
    from monitor.enforce import PolicyJudge
    from monitor.events.hub import Sink
    from monitor.notify.account import Judge
    from monitor.policy.bpf import Program
    from monitor.policy.model import Policy


def _to_handlers(given: Sequence[Handler | HandlerFunction]) -> tuple[Handler, ...]:
    if callable(given) or isinstance(given, str | bytes):
        msg = f"handlers is a list of handlers, not {given!r}"
        raise TypeError(msg)
    return tuple(one if isinstance(one, Handler) else Handler.from_mark(one) for one in given)


def _to_sinks(given: Sink | Sequence[Sink] | None) -> tuple[Sink, ...]:
    if given is None:
        return ()
    sinks = (given,) if callable(given) else tuple(given)
    for sink in sinks:
        if not callable(sink):
            msg = f"events takes functions that are called with each event, not {sink!r}"
            raise TypeError(msg)
        if getattr(sink, "closed", False) is True:
            msg = f"{sink!r} is closed: the run that it was given to before has ended (with a block it lasts longer)"
            raise ValueError(msg)
    return sinks


def _to_name(given: str | PathLike[str] | None) -> str | None:
    return None if given is None else fspath(given)


@frozen(kw_only=True)
class Settings:
    """The keyword arguments of ``supervise``, checked."""

    policy: Policy | None
    observe: bool = field()
    notify_refusals: bool
    handlers: tuple[Handler, ...] = field(converter=_to_handlers)
    otherwise: Verdict = field(validator=validators.instance_of((Allow, Deny, Return, Kill)))
    sinks: tuple[Sink, ...] = field(converter=_to_sinks)
    strict: bool
    grants: str | None = field(converter=_to_name)
    breakpoints: Breakpoints | None
    approver: Approver | None = field(validator=validators.optional(validators.is_callable()))
    ask_seconds: float | None = field(validator=validators.optional(validators.gt(0)))
    answer_seconds: float = field(validator=validators.gt(0))
    linger_seconds: float = field(validator=[validators.ge(0.0), validators.le(0.1)])
    grace_seconds: float = field(validator=validators.ge(0))
    handler_errors: Literal["deny", "raise"] = field(validator=validators.in_(("deny", "raise")))
    on_failure: Verdict = field(validator=validators.instance_of((Deny, Kill, Allow)))
    leave_running: bool = field()
    on_leave: Literal["close", "kill"] = field(validator=validators.in_(("close", "kill")))

    @leave_running.validator  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedFunctionDecorator]
    def _leaves_nothing_unanswered(self, _attribute: object, leave_running: object) -> None:
        if leave_running and (self.handlers or self.policy is not None):
            msg = (
                "leave_running=True: the program would still ask, and nobody would answer "
                "(its calls would fail with ENOSYS); only a program without handlers and policy can be left running"
            )
            raise ValueError(msg)

    @observe.validator  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedFunctionDecorator]
    def _has_something_to_observe(self, _attribute: object, observe: object) -> None:
        if observe and self.policy is None:
            msg = "observe=True says what a policy would refuse: give a policy"
            raise ValueError(msg)

    @approver.validator  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedFunctionDecorator]
    def _has_something_to_ask(self, _attribute: object, approver: object) -> None:
        if approver is not None and self.policy is None:
            msg = "an approver answers what a policy asks: give a policy"
            raise ValueError(msg)
        if self.grants is not None and self.policy is None:
            msg = "grants answer what a policy asks: give a policy"
            raise ValueError(msg)
        if approver is None and self.breakpoints is not None:
            msg = "whoever is to be told of breakpoints and refusals is an approver: give one"
            raise ValueError(msg)

    @on_failure.validator  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedFunctionDecorator]
    def _fails_closed(self, _attribute: object, on_failure: object) -> None:
        if isinstance(on_failure, Allow) and (on_failure.racy is None or (self.strict and not self.observe)):
            msg = (
                "on_failure=Allow(): what a handler could not decide is refused, or its process ended; "
                "only where nothing is enforced (observe=True, or strict=False) may Allow(racy=...) let it run"
            )
            raise ValueError(msg)

    def plan(self, *, foreign: bool = False) -> Plan:
        """
        Return who decides about what is notified, on every ABI this machine may run, and the policy's filter.

        *foreign*: somebody else's filter is there already, and that one is not needed.
        """
        if self.policy is not None:
            from monitor.brokering import judge_of_files  # noqa: PLC0415
            from monitor.enforce import enforced  # noqa: PLC0415

            policy = self._with_grants(self.policy)
            program, judge, routes = enforced(
                policy,
                self.handlers,
                _abis(others=True),
                observe=self.observe,
                refusals=self.notify_refusals,
                foreign=foreign,
            )
            calls = self._asking(judge)
            files = judge_of_files(policy, calls, observe=self.observe)
            deciding, reconsider = self._debugging(files or calls)
            options = self._options(deciding)._replace(reconsider=reconsider)
            return Plan(program, routes, options, judge, files)
        return Plan(None, routes_of(self.handlers, _abis(others=True)), self._options(None), None, None)

    def _with_grants(self, policy: Policy) -> Policy:
        """Return *policy* with what was answered before."""
        if self.grants is None:
            return policy
        from monitor.remembering import with_file  # noqa: PLC0415  # few runs remember anything

        return with_file(policy, self.grants)

    def _asking(self, judge: PolicyJudge) -> PolicyJudge | AskingJudge:
        """Return *judge*, as one that asks if there is somebody to ask."""
        if self.approver is None or self.observe:
            return judge
        from monitor.asking import AskingJudge  # noqa: PLC0415  # few runs ask anybody

        return AskingJudge(judge)

    def _debugging(self, judge: Judge) -> tuple[Judge, Reconsider | None]:
        """Return *judge*, as one that asks about refusals and at breakpoints, if that is wanted; likewise handlers."""
        if self.breakpoints is None:
            return judge, None
        from monitor.debugging import DebuggingJudge  # noqa: PLC0415  # a debugged run is one of many

        debugging = DebuggingJudge(judge, self.breakpoints)
        return debugging, debugging.reconsiders

    def program(self, *, other_abis: bool) -> Program:
        """Return the filter that notifies what the handlers decide about, and nothing else."""
        from monitor.policy.notify_program import compile_notify  # noqa: PLC0415
        from monitor.policy.numbers import EVERY  # noqa: PLC0415

        numbers = {arch: notified_by(self.handlers, arch) for arch in _abis(others=other_abis)}
        return compile_notify({arch: EVERY if some is None else some for arch, some in numbers.items()})

    def _options(self, judge: Judge | None) -> Options:
        """Return what dispatch has to know."""
        # Observing refuses nothing, so no answer can be refused for being a race.
        strict = self.strict and not self.observe
        return Options(
            self.otherwise,
            strict,
            self.answer_seconds,
            self.handler_errors,
            judge,
            linger_seconds=self.linger_seconds,
            failure=self.on_failure,
        )


class Plan(NamedTuple):
    """What a run is made of besides its source."""

    program: Program | None
    """The policy's; None: there is none."""
    routes: Routes
    options: Options
    judge: PolicyJudge | None
    files: BrokeringJudge | None


def _abis(*, others: bool) -> Sequence[Arch]:
    """Return the machine's own ABI, and behind it the *others* that it can run."""
    native = Arch.native()
    return [native, *(sorted(native.family() - {native}, key=lambda arch: arch.table) if others else ())]
