"""
Many containers, each listener under a supervision of its own, on one loop.

What it is not: how a listener comes (``sources.receiving``), which policy a container gets (``Choose``), or an answer:
each listener is supervised as ``supervise`` does it, with the same handlers, approver and events as a program's.

What goes wrong with one container stays with it: its listener is closed, so that the calls of that container fail
with ENOSYS, and the others do not notice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import attrs
import trio
from attrs import field, frozen, validators

from monitor.agent.containers import Container, Containers, Handed, TooManyError
from monitor.agent.facts import Facts, ForeignNamespaceError, facts_of
from monitor.agent.phase import RuntimePhase
from monitor.approve.question import Answer, Approver, Question
from monitor.errors import PolicyError, SupervisorError
from monitor.events.hub import Hub, Subscription, Wish
from monitor.events.record import ContainerEnded, ContainerStarted, Event
from monitor.notify.account import FAILURE
from monitor.notify.handler import Handler
from monitor.notify.others import Loop, Others
from monitor.notify.verdict import Allow, Deny, Kill, Verdict
from monitor.policy.model import Policy
from monitor.run import Run
from monitor.settings import Settings
from monitor.sources.receive import HandedOver, Peer
from monitor.supervisor import supervised_listener

LINGER_SECONDS: Final = 0.001
"""How long the loop may be blocked for the next call of whoever has just called; calls of others end that."""

CREATING: Final = "creating"
"""The status of a container whose first process this is (runtime-spec, State)."""


@frozen(kw_only=True)
class Chosen:
    """
    What decides about a container.

    Attributes:
        name: of the policy, for people.
        why: who chose it: the metadata, an annotation, a rule, the default.
        observe: nothing is refused; what would be is told.
        on_failure: what is answered where a handler fails; ``Allow`` only where it is observed.
        answer_seconds: for each asynchronous handler.
        ask_seconds: for whoever is asked; None: for ever.
    """

    name: str
    why: str
    policy: Policy
    observe: bool = False
    on_failure: Verdict = field(default=FAILURE, validator=validators.instance_of((Deny, Kill, Allow)))
    answer_seconds: float = 30.0
    ask_seconds: float | None = None

    def settings(
        self, handlers: Sequence[Handler] = (), sink: Callable[[Event], None] | None = None, ask: Approver | None = None
    ) -> Settings:
        """
        Return what one listener is supervised with.

        Raises ValueError: the attributes cannot be meant together.
        """
        return Settings(
            policy=self.policy,
            observe=self.observe,
            notify_refusals=False,
            handlers=tuple(handlers),
            otherwise=FAILURE,
            sinks=sink,
            strict=True,
            approver=None if self.observe else ask,
            ask_seconds=self.ask_seconds,
            grants=None,
            breakpoints=None,
            answer_seconds=self.answer_seconds,
            linger_seconds=LINGER_SECONDS,
            grace_seconds=0.0,
            handler_errors="deny",
            on_failure=self.on_failure,
            leave_running=False,
            on_leave="close",
        )

    def refuse_unenforceable(self, handlers: Sequence[Handler]) -> None:
        """Raise PolicyError or ValueError if no listener could be supervised with it."""
        self.settings(handlers).plan(foreign=True)


Choose: TypeAlias = Callable[[Facts], Chosen]
"""Says what decides about a container; must not fail: who does not know says what refuses everything."""

Tell: TypeAlias = Callable[[str], None]


class _Labelled:
    """The sink of one listener's events: says which container they are of."""

    def __init__(self, hub: Hub, container: str) -> None:
        self._hub = hub
        self._container = container

    @property
    def wish(self) -> Wish:
        """What those want who are told: somebody may have come."""
        return self._hub.wish or Wish(refusals_only=True, comm=False)

    def __call__(self, event: Event) -> None:
        self._hub.publish(attrs.evolve(event, container=self._container))


class _Supervised(NamedTuple):
    """A listener that is being supervised."""

    container: Container
    facts: Facts
    run: Run
    chosen: Chosen


class Agent:
    """Supervises what it is given; ``run`` has to run meanwhile."""

    def __init__(
        self,
        choose: Choose,
        *,
        hub: Hub,
        tell: Tell,
        handlers: Sequence[Handler] = (),
        approver: Approver | None = None,
        containers: Containers | None = None,
    ) -> None:
        """
        Have *choose* say what decides about each container, and tell *hub*, which is borrowed, what happens.

        *tell* is for what went wrong outside of any container, or with the whole of one.  *approver* is asked for
        all of them; its questions are numbered here, and name their container.
        """
        self.containers = containers or Containers()
        self._choose = choose
        self._hub = hub
        hub.wish_changed = self._ask_sinks
        self._tell = tell
        self._handlers = tuple(handlers)
        self._approver = approver
        self._runs: dict[Handed, _Supervised] = {}
        self._loop = Loop()
        self._count = 0
        self._questions = 0
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Supervise what comes, until cancelled: then every listener is closed, and what waits is denied."""
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._loop.close()

    # ---- what comes ----

    def take(self, found: HandedOver) -> None:
        """Supervise what was handed over, from now on.  As ``receiving.Take``."""
        assert self._nursery is not None
        self._nursery.start_soon(self._attend, found)

    def refused(self, peer: Peer | None, why: str) -> None:
        """Tell of a connection that brought nothing."""
        self._tell(why if peer is None else f"pid {peer.pid} of user {peer.uid} handed nothing over: {why}")

    async def _attend(self, found: HandedOver) -> None:
        """Supervise one listener to its end; what goes wrong ends nothing else."""
        fd = found.listener.fileno()
        try:
            await self._contained(found, self._loop.add(fd))
        except (SupervisorError, PolicyError, TooManyError, ForeignNamespaceError, OSError, ValueError) as error:
            self._tell(f"container {found.state.state.id!a} is not supervised: {error}")
        finally:
            if found.listener.fileno() == fd:  # else it is closed, and may be another's number by now
                self._loop.remove(fd)
            found.listener.close()

    async def _contained(self, found: HandedOver, others: Others) -> None:
        """Supervise one listener; a handler that would end its program ends that alone."""
        try:
            await self._supervise(found, others)
        except* SystemExit as group:
            left = group.exceptions[0]
            self._tell(f"container {found.state.state.id!a} is not supervised: a handler has raised {left!r}")

    async def _supervise(self, found: HandedOver, others: Others) -> None:
        await trio.lowlevel.checkpoint()
        phase = RuntimePhase(found.state.pid, found.peer.pid)
        facts = facts_of(found)
        if facts is None:
            return  # whoever had the filter is gone already: the container did not start
        before = self.containers.get(found.peer.uid, found.state.state.id)
        is_new = before is None or found.state.state.status == CREATING
        chosen = self._choose(facts if before is None or is_new else before.facts)
        self._count += 1
        number = self._count
        sink = _Labelled(self._hub, found.state.state.id)
        settings = chosen.settings(self._handlers, sink, self._asking(found.state.state.id))
        async with supervised_listener(found.listener, settings, prelude=phase, others=others) as run:
            handed = Handed(number, found.state.pid, found.peer, lambda: run.stats)
            container = self._begin(handed, facts, chosen, is_new=is_new)
            self._runs[handed] = _Supervised(container, facts, run, chosen)
            try:
                await run.wait_all()
            finally:
                self._loop.remove(found.listener.fileno())
                del self._runs[handed]
                self._end(container, handed)

    def _begin(self, handed: Handed, facts: Facts, chosen: Chosen, *, is_new: bool) -> Container:
        """Enter *handed* into the table."""
        container = self.containers.add(handed, facts, is_new=is_new)
        container.processes.note(handed.pid)
        if is_new:
            container.policy, container.why = chosen.name, chosen.why
            self._hub.publish(
                ContainerStarted(
                    pid=container.pid,
                    bundle=facts.state.state.bundle,
                    policy=chosen.name,
                    why=chosen.why,
                    container=container.id,
                )
            )
        return container

    def _end(self, container: Container, handed: Handed) -> None:
        if self.containers.remove(container, handed):
            stats = container.ended
            self._hub.publish(ContainerEnded(received=stats.received, denied=stats.denied, container=container.id))

    # ---- who is asked ----

    def _asking(self, container: str) -> Approver | None:
        approver = self._approver
        if approver is None:
            return None

        async def ask(question: Question) -> Answer | None:
            self._questions += 1
            return await approver(attrs.evolve(question, number=self._questions, container=container))

        return ask

    # ---- another policy ----

    def use(self, choose: Choose) -> Sequence[str]:
        """
        Have *choose* say what decides from now on, about the containers that are there too.

        Returns what could not be put in force where, a line each; what was in force there stays.
        """
        self._choose = choose
        kept: list[str] = []
        for handed, (container, facts, run, before) in list(self._runs.items()):
            chosen = choose(facts)
            if attrs.evolve(chosen, name=before.name, why=before.why, policy=before.policy) != before:
                kept.append(f"container {container.id!a}: how it is supervised holds for its next start")
                chosen = attrs.evolve(before, name=chosen.name, why=chosen.why, policy=chosen.policy)
            try:
                if chosen.policy != before.policy:
                    run.replace_policy(chosen.policy)
            except PolicyError as error:
                kept.append(f"container {container.id!a} keeps policy {before.name!a}: {error}")
                continue
            container.policy, container.why = chosen.name, chosen.why
            self._runs[handed] = _Supervised(container, facts, run, chosen)
        return kept

    # ---- as whom clients of the control socket see (``approve.control.Supervised``) ----

    def events(self, capacity: int = 1024, *, refusals_only: bool = False) -> Subscription:
        """Subscribe to what happens in all containers."""
        return self._hub.subscribe(capacity, refusals_only=refusals_only)

    def _ask_sinks(self) -> None:
        for supervised in self._runs.values():
            supervised.run.ask_sinks()
