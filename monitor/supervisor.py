"""
The roof: joins a source, handlers and events into one supervised run.

What it is not: mechanism.  Answering is ``notify.dispatch``, starting is ``sources.launch``,
telling is ``events.hub``; here is who lives how long, and what leaves the block.

The nursery is ours and hidden.  What runs in it never raises into it: the first failure is kept,
the body is cancelled, and when everything has been cleaned up one exception leaves the block:

* the body's own, as itself, if it raised one (a failure of ours is then a note on it and an event);
* a cancellation from outside, as itself, if nothing failed;
* else ours: ``HandlerError`` under ``handler_errors="raise"``, a handler's KeyboardInterrupt or
  SystemExit as itself, anything else as ``SupervisorError`` with its cause.

The answering goes on, shielded, while the body unwinds from a cancellation: a body that waits for
its program in a ``finally`` would otherwise wait for a program that waits for us.

What only some uses need (launching, the compiler, the events) is imported when it is used: an
import of the package costs little more than that of trio.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from errno import EPERM
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, overload

import attrs
import trio

from monitor.approving import may_ask_about_files, with_approvals
from monitor.errors import PolicyError
from monitor.lifetime import block, finishing
from monitor.notify.dispatch import Dispatcher
from monitor.notify.dumpable import make_undumpable
from monitor.notify.handler import Handler, HandlerFunction
from monitor.notify.listener import AnyListener
from monitor.notify.seen import SeenProcesses
from monitor.notify.verdict import Deny, Verdict
from monitor.run import PolicyChange, ProcessRun, Run
from monitor.settings import Plan, Settings

if TYPE_CHECKING:
    from monitor.approve.question import Approver
    from monitor.broker.broker import FileBroker
    from monitor.debugging import Breakpoints
    from monitor.events.hub import Hub, Sink
    from monitor.events.observer import HubObserver
    from monitor.notify.account import Prelude
    from monitor.notify.others import Others
    from monitor.policy.model import Policy
    from monitor.sources.launch import Launch, Started

Words: TypeAlias = Sequence[str | bytes | PathLike[str]]

DENY: Final = Deny(EPERM)
"""What is answered when no handler has decided and nothing else was said."""


@overload
def supervise(
    source: Words | Launch,
    *,
    policy: Policy | None = ...,
    observe: bool = ...,
    notify_refusals: bool = ...,
    handlers: Sequence[Handler | HandlerFunction] = ...,
    otherwise: Verdict = ...,
    events: Sink | Sequence[Sink] | None = ...,
    strict: bool = ...,
    approver: Approver | None = ...,
    ask_seconds: float | None = ...,
    grants: str | PathLike[str] | None = ...,
    breakpoints: Breakpoints | None = ...,
    answer_seconds: float = ...,
    linger_seconds: float = ...,
    grace_seconds: float = ...,
    handler_errors: Literal["deny", "raise"] = ...,
    on_failure: Verdict = ...,
    leave_running: bool = ...,
) -> AbstractAsyncContextManager[ProcessRun]: ...


@overload
def supervise(
    source: AnyListener,
    *,
    policy: Policy | None = ...,
    observe: bool = ...,
    notify_refusals: bool = ...,
    handlers: Sequence[Handler | HandlerFunction] = ...,
    otherwise: Verdict = ...,
    events: Sink | Sequence[Sink] | None = ...,
    strict: bool = ...,
    approver: Approver | None = ...,
    ask_seconds: float | None = ...,
    grants: str | PathLike[str] | None = ...,
    breakpoints: Breakpoints | None = ...,
    answer_seconds: float = ...,
    linger_seconds: float = ...,
    handler_errors: Literal["deny", "raise"] = ...,
    on_failure: Verdict = ...,
    on_leave: Literal["close", "kill"] = ...,
) -> AbstractAsyncContextManager[Run]: ...


def supervise(  # noqa: PLR0913  # settled names, each with a default
    source: Words | Launch | AnyListener,
    *,
    policy: Policy | None = None,
    observe: bool = False,
    notify_refusals: bool = False,
    handlers: Sequence[Handler | HandlerFunction] = (),
    otherwise: Verdict = DENY,
    events: Sink | Sequence[Sink] | None = None,
    strict: bool = True,
    approver: Approver | None = None,
    ask_seconds: float | None = None,
    grants: str | PathLike[str] | None = None,
    breakpoints: Breakpoints | None = None,
    answer_seconds: float = 30.0,
    linger_seconds: float = 0.0,
    grace_seconds: float = 0.0,
    handler_errors: Literal["deny", "raise"] = "deny",
    on_failure: Verdict = DENY,
    leave_running: bool = False,
    on_leave: Literal["close", "kill"] = "close",
) -> AbstractAsyncContextManager[Run]:
    """
    Supervise a program, or the processes behind a listener, for the length of a block.

    *source* is a program (its words, or a ``Launch`` with its surroundings), which is started
    here, or a ``Listener``, which is taken over.  The calls that the *handlers* name stop and
    are decided by them, in the given order; what they all ``Pass`` gets *otherwise*.

    A *policy* decides about every call: what it refuses is refused in the kernel where that can
    be, and no handler lifts it; what is left goes to the handlers, and to the rest of the policy
    instead of *otherwise*.  With *observe* it refuses nothing: what it would is told.  With
    *notify_refusals* its refusals come to us, slower, and so are told and counted as those of handlers
    are; all but ENOSYS, ``trap`` and ``kill-thread``, which stay in the kernel.

    What the policy asks, the *approver* answers, for *ask_seconds* at the most; without one it is denied
    at once.  Equal questions are asked once, and an answer may hold for more than one call.  *grants* is a
    file of answers that hold always: what stands there answers first, and more are written there.  With
    *breakpoints* it is also asked about what the policy refuses, and about calls that reach one of them.

    A handler that raises, or an ``async def`` that needs more than *answer_seconds*, has its call answered
    with *on_failure*; with ``handler_errors="raise"`` it also ends the block.  *events* are called with each event.

    Leaving the block ends a launched tree: SIGTERM, *grace_seconds* in which its calls are still
    answered, SIGKILL; waiting calls are denied and the listener is closed.  With
    *leave_running* it goes on, which only a program without handlers can.  Processes behind a
    ``Listener`` are left alone, unless ``on_leave="kill"``: those that have asked are killed.
    Later calls of those left alone fail with ENOSYS, as the kernel answers for a closed listener.

    When no call is there, the whole loop waits up to *linger_seconds* (0.1 at most) for the next one
    before other tasks run again: cheaper for a program that does nothing but supervise, and wrong for
    any other.

    Under *strict* an ``Allow`` after a look at memory is refused even with a reason, and this
    process becomes undumpable (``PR_SET_DUMPABLE`` 0) for good.

    Raises, on entry: LaunchError, KernelFeatureError, PolicyError; TypeError and ValueError for
    arguments that cannot be meant, at the call already.
    """
    from monitor.sources.launch import Launch  # noqa: PLC0415

    settings = Settings(
        policy=policy,
        observe=observe,
        notify_refusals=notify_refusals,
        handlers=handlers,
        otherwise=otherwise,
        sinks=events,
        strict=strict,
        approver=approver,
        ask_seconds=ask_seconds,
        grants=grants,
        breakpoints=breakpoints,
        answer_seconds=answer_seconds,
        linger_seconds=linger_seconds,
        grace_seconds=grace_seconds,
        handler_errors=handler_errors,
        on_failure=on_failure,
        leave_running=leave_running,
        on_leave=on_leave,
    )
    if isinstance(source, Launch):
        return finishing(settings.sinks, _launched(source, settings))
    if isinstance(source, str | bytes | PathLike):
        msg = f"the program is a list of words, not {source!r}: a shell would have to split it"
        raise TypeError(msg)
    if isinstance(source, Sequence):
        return finishing(settings.sinks, _supervised_launch(Launch(source), settings))
    if isinstance(source, int) or not callable(getattr(source, "exchange", None)):
        msg = (
            "the source is the words of a program, a Launch or a Listener (Listener.from_fd takes an fd), "
            f"not {source!r}"
        )
        raise TypeError(msg)
    if leave_running or grace_seconds:
        msg = "leave_running and grace_seconds are for programs that are launched here; a Listener has on_leave"
        raise TypeError(msg)
    return finishing(settings.sinks, supervised_listener(source, settings))


def _launched(launch: Launch, settings: Settings) -> AbstractAsyncContextManager[ProcessRun]:
    if not launch.denials:
        return _supervised_launch(launch, settings)
    from monitor.denials import told_of_denials  # noqa: PLC0415  # most programs are told nothing

    return told_of_denials(launch, settings, _supervised_launch)


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def _supervised_launch(launch: Launch, settings: Settings) -> AsyncGenerator[ProcessRun, None]:
    from monitor.events.record import SupervisionFailed, TargetExited, TargetStarted  # noqa: PLC0415
    from monitor.sources.launch import start, walled  # noqa: PLC0415

    plan = settings.plan()
    if plan.files is not None:
        launch = walled(launch, second_wall=plan.files.keeps_mounts)
    program = plan.program or settings.program(other_abis=launch.other_abis)
    if settings.strict or plan.files is not None:
        make_undumpable()
    if settings.leave_running:
        launch = attrs.evolve(launch, end_with_supervisor=False)
    started = await start(launch, program)
    process = started.process
    hub, observer = _events(settings)
    broker = await _broker(started, plan, settings)
    fast = None
    if plan.files is not None and broker is not None and settings.breakpoints is None:  # where nobody sees calls pass
        fast = plan.files.fast_path(broker, plan.routes)
    options = with_approvals(plan, settings, hub, observer, lambda: run.change)
    dispatcher = Dispatcher(started.listener, plan.routes, options, observer, broker=broker, fast=fast)
    answered_all = trio.Event()
    run = ProcessRun(dispatcher.stats, hub, observer, answered_all, _change(plan, dispatcher), process)

    async def serve() -> None:
        # Before any call of it is answered, and told of.
        hub.publish(TargetStarted(pid=run.pid, path=started.path, argv=launch.argv, variables=started.variables))
        await _serve(dispatcher, answered_all)

    async def tell_of_end() -> None:
        await process.exited.wait()
        assert process.status is not None
        # Without a pause: leaving may be next.
        hub.publish(TargetExited(pid=run.pid, status=process.status, killed_by=process.killed_by))

    async def leave(*, answering: bool) -> None:
        if settings.leave_running:
            await process.leave_running()
        else:
            await process.end(settings.grace_seconds if answering else 0)

    try:
        async with block(
            serve=serve,
            others=[process.watch, tell_of_end, *hub.tasks],
            leave=leave,
            close=lambda: _close(started.listener),
            tell=lambda error: hub.publish(SupervisionFailed(error=error)),
        ):
            yield run
    finally:
        hub.end()
        if broker is not None:
            broker.close()


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def supervised_listener(
    listener: AnyListener, settings: Settings, *, prelude: Prelude | None = None, others: Others | None = None
) -> AsyncGenerator[Run, None]:
    """
    Supervise the processes behind *listener*, which is taken over, as ``supervise`` does; for who has many.

    Calls that *prelude* knows are let run before anything is decided.  *others* are the listeners of the same loop,
    this one among them, which have their turns.
    """
    if settings.strict:
        make_undumpable()
    from monitor.events.record import SupervisionFailed  # noqa: PLC0415

    seen = SeenProcesses() if settings.on_leave == "kill" else None
    hub, observer = _events(settings)
    plan = settings.plan(foreign=True)
    if plan.files is not None:
        msg = "[files] is enforced for programs that are launched here: of others it is not known what rights they have"
        raise PolicyError(msg)
    options = with_approvals(plan, settings, hub, observer, lambda: run.change)
    options = options._replace(prelude=prelude, others=others)
    dispatcher = Dispatcher(listener, plan.routes, options, observer, seen)
    answered_all = trio.Event()
    run = Run(dispatcher.stats, hub, observer, answered_all, _change(plan, dispatcher))

    async def leave(*, answering: bool) -> None:  # noqa: ARG001  # nobody is given time to answer
        await trio.lowlevel.checkpoint()
        if seen is not None:
            seen.kill()

    try:
        async with block(
            serve=partial(_serve, dispatcher, answered_all),
            others=hub.tasks,
            leave=leave,
            close=lambda: _close(listener),
            tell=lambda error: hub.publish(SupervisionFailed(error=error)),
        ):
            yield run
    finally:
        hub.end()


async def _broker(started: Started, plan: Plan, settings: Settings) -> FileBroker | None:
    """Return who acts for the targets, if anybody may want that; what was started ends if there can be nobody."""
    asked = may_ask_about_files(plan, settings)
    if plan.files is None and not asked and not any(route.handlers for route in plan.routes.known.values()):
        return None
    from monitor.brokering import broker_of  # noqa: PLC0415  # most runs act for nobody

    try:
        return broker_of(started, plan.routes, plan.files, asked=asked)
    except BaseException:
        started.listener.close()
        with trio.CancelScope(shield=True):
            await started.process.discard()
        raise


def _change(plan: Plan, dispatcher: Dispatcher) -> PolicyChange | None:
    """Return how the policy is replaced, if there is one: atomically, since both steps run without a pause."""
    judge = plan.judge
    if judge is None:
        return None

    def replace(new: Policy) -> tuple[str, ...]:
        if plan.files is not None:
            plan.files.refuse_lifting(new)
        replaced = judge.replace(new)
        if plan.files is not None:
            plan.files.use(new, replaced.routes)
        dispatcher.replace(replaced.routes)
        return replaced.calls

    return PolicyChange(lambda: judge.policy, replace)


async def _serve(dispatcher: Dispatcher, answered_all: trio.Event) -> None:
    await dispatcher.run()
    answered_all.set()


def _events(settings: Settings) -> tuple[Hub, HubObserver]:
    from monitor.events.hub import Hub  # noqa: PLC0415
    from monitor.events.observer import HubObserver  # noqa: PLC0415

    hub = Hub(settings.sinks)
    return hub, HubObserver(hub)


def _close(listener: AnyListener) -> None:
    """Deny what is queued and was never received, and give the listener up."""
    try:
        with contextlib.suppress(trio.ClosedResourceError):  # by the user, to whom it belonged
            listener.deny_queued(EPERM)
    finally:
        listener.close()
