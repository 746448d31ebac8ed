"""
One supervision, as the body of its block sees it.

What it is not: what carries it on (``supervisor``); everything here asks or tells that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import attrs
import trio

from monitor.notify.account import Stats

if TYPE_CHECKING:
    from monitor.events.hub import Hub, Subscription
    from monitor.events.observer import HubObserver
    from monitor.events.record import CallAnswered
    from monitor.policy.model import Policy
    from monitor.sources.process import Process


class PolicyChange(NamedTuple):
    """How the policy of a run is read and replaced."""

    policy: Callable[[], Policy]
    replace: Callable[[Policy], tuple[str, ...]]


class Run:
    """
    One supervision, for the body of its block.

    Everything here can still be read after the block.
    """

    def __init__(
        self, stats: Stats, hub: Hub, observer: HubObserver, answered_all: trio.Event, change: PolicyChange | None
    ) -> None:
        """Made by ``supervise``."""
        self.change = change
        """How the policy is read and replaced; None: there is none."""
        self._stats = stats
        self._hub = hub
        self._observer = observer
        self._answered_all = answered_all

    @property
    def stats(self) -> Stats:
        """The counters as they are now, in a copy."""
        return attrs.evolve(self._stats)

    @property
    def policy(self) -> Policy | None:
        """The policy in force, or None."""
        return None if self.change is None else self.change.policy()

    def replace_policy(self, new: Policy) -> tuple[str, ...]:
        """
        Put *new* in the place of the policy, between two answers; the names of the calls it decides differently.

        Calls that wait for an asynchronous handler are decided again; what was opened stays open.

        Raises:
            PolicyNotLoosenable: the installed program decides some of them alone; nothing changed.
            PolicyError: *new* cannot be enforced; nothing changed.
            RuntimeError: the run began without a policy.
        """
        if self.change is None:
            msg = "the run began without a policy: there is nothing to replace"
            raise RuntimeError(msg)
        from monitor.events.record import PolicyReplaced  # noqa: PLC0415  # most runs keep their policy

        calls = self.change.replace(new)
        self._hub.publish(PolicyReplaced(name=new.name, calls=calls))
        return calls

    @property
    def denials(self) -> Sequence[CallAnswered]:
        """The last refused calls (at most 1000), oldest first; ``stats.denied`` counts all."""
        return self._observer.denials

    def ask_sinks(self) -> None:
        """Ask the sinks anew what they wish for (``wish``): for those that hand events on to who comes and goes."""
        self._hub.ask_sinks()

    def events(self, capacity: int = 1024, *, refusals_only: bool = False) -> Subscription:
        """
        Subscribe to everything that happens from now on; an async iterable that ends with the run.

        It holds at most *capacity* events that were not taken; then the newest are dropped and
        ``Dropped(count)`` marks the place.  With *refusals_only* there is no ``CallAnswered`` of what was not
        refused, asked or logged.
        """
        return self._hub.subscribe(capacity, refusals_only=refusals_only)

    async def wait_all(self) -> None:
        """Wait until no task is left that could ask anything."""
        await self._answered_all.wait()


class ProcessRun(Run):
    """The supervision of a launched program."""

    def __init__(  # made in one place
        self,
        stats: Stats,
        hub: Hub,
        observer: HubObserver,
        answered_all: trio.Event,
        change: PolicyChange | None,
        process: Process,
    ) -> None:
        """Made by ``supervise``."""
        super().__init__(stats, hub, observer, answered_all, change)
        self._process = process

    @property
    def pid(self) -> int:
        """The first process, in our pid namespace."""
        return self._process.pid

    @property
    def pidfd(self) -> int:
        """A pidfd of the first process; borrowed, and -1 after the whole tree has ended."""
        return self._process.pidfd

    @property
    def returncode(self) -> int | None:
        """What ``wait`` returns, or None while the first process runs."""
        return self._process.status

    @property
    def stdin(self) -> trio.lowlevel.FdStream:
        """The write end of the program's standard input."""
        return self._stream(0, "stdin")

    @property
    def stdout(self) -> trio.lowlevel.FdStream:
        """The read end of the program's standard output."""
        return self._stream(1, "stdout")

    @property
    def stderr(self) -> trio.lowlevel.FdStream:
        """The read end of the program's standard error."""
        return self._stream(2, "stderr")

    def _stream(self, number: int, name: str) -> trio.lowlevel.FdStream:
        stream = self._process.streams.get(number)
        if stream is None:
            msg = f"{name} is not piped: ask for it with Launch(argv, {name}=subprocess.PIPE)"
            raise RuntimeError(msg)
        return stream

    async def wait(self) -> int:
        """
        Wait for the first process; its status as the shell has it: 128 + signal if it was killed.

        Others of its tree may go on; leaving the block ends them.
        """
        await self._process.exited.wait()
        assert self._process.status is not None
        return self._process.status

    def supervises(self, pid: int) -> bool:
        """Whether process *pid*, of our pid namespace, is one of its tree, or cannot be told from those."""
        return self._process.has(pid)

    async def wait_all(self) -> None:
        """Wait until the last process of the tree has ended."""
        await self._process.tree_gone.wait()
        await super().wait_all()

    def send_signal(self, number: int) -> None:
        """Send a signal to the first process."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Send SIGKILL to every process of the tree, and to what they leave behind."""
        self._process.kill_tree()
