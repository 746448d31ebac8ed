"""
The containers that are there: whose listeners were handed over, under which policies, and what was answered.

What it is not: what decides (``agent`` has that), or the runtime's own list of containers.

A container is known by its id, which is all that every message of every runtime has.  It begins with its first
listener and ends with its last: a process that was executed in it has a filter, and so a listener, of its own, and
its children keep that when it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import attrs
from attrs import define, field, frozen

from monitor.agent.facts import Facts
from monitor.notify.account import Stats
from monitor.notify.seen import SeenProcesses
from monitor.sources.receive import Peer

MOST: Final = 4096
"""Containers at once; each has at least one descriptor of ours."""

MOST_LISTENERS: Final = 256
"""Of one container: its first process, and each that was executed in it and goes on."""


class TooManyError(Exception):
    """There is no room for another one; the text says of what."""


@frozen(eq=False)
class Handed:
    """
    One listener of a container.

    Attributes:
        number: among all that were ever handed over.
        pid: of the process that the message names; 0: none.
        peer: who handed it over.
        since: seconds since 1970.
        stats: reads its counters.
    """

    number: int
    pid: int
    peer: Peer
    stats: Callable[[], Stats]
    since: float = field(factory=time.time)


@define(eq=False)
class Container:
    """
    One container, as long as it has a listener.

    Attributes:
        facts: of the listener of its first process; those of what is executed in it change neither them nor the policy.
        policy: the name of what decides, and why it was chosen.
        processes: those that were handed over.  All others of its pid namespace end with the first one
            (pid_namespaces(7)).
        ended: counts what was answered for listeners that are there no more.
    """

    id: str
    uid: int
    """Of whoever has started it: what one user calls a container is no business of another's."""
    facts: Facts
    policy: str = ""
    why: str = ""
    processes: SeenProcesses = field(factory=SeenProcesses)
    listeners: dict[int, Handed] = field(factory=dict[int, Handed])
    ended: Stats = field(factory=Stats)
    since: float = field(factory=time.time)

    @property
    def pid(self) -> int:
        """The first process, as far as it is known; 0: it is not."""
        return self.facts.state.state.pid or self.facts.state.pid

    @property
    def stats(self) -> Stats:
        """The counters of all its listeners."""
        return total([self.ended, *(one.stats() for one in self.listeners.values())])


def total(several: list[Stats]) -> Stats:
    """Return the sum of *several*."""
    names = [one.name for one in attrs.fields(Stats)]
    return Stats(**{name: sum(getattr(one, name) for one in several) for name in names})


class Containers:
    """The table, by id."""

    def __init__(self, *, most: int = MOST, most_listeners: int = MOST_LISTENERS) -> None:
        """Be empty; hold *most* containers, and *most_listeners* of each."""
        self._containers: dict[tuple[int, str], Container] = {}
        self._most = most
        self._most_listeners = most_listeners

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._containers)

    def __iter__(self) -> Iterator[Container]:
        """Yield each of them, the oldest first; it may end meanwhile."""
        return iter(tuple(self._containers.values()))

    def get(self, uid: int, ident: str) -> Container | None:
        """Return the one that user *uid* has started under the id *ident*."""
        return self._containers.get((uid, ident))

    def found(self, word: str) -> Container:
        """
        Return the one that *word* means: its id, or the beginning of it that no other has.

        Raises LookupError, with what to tell: there is none, or more than one.
        """
        several = [one for one in self if one.id == word] or [one for one in self if word and one.id.startswith(word)]
        if len(several) != 1:
            message = f"more than one container is meant by {word!a}" if several else f"there is no container {word!a}"
            raise LookupError(message)
        return several[0]

    def add(self, handed: Handed, facts: Facts, *, is_new: bool) -> Container:
        """
        Return the container of *facts*, which *handed* belongs to from now on.

        *is_new*: it is its first process, also where others of an older container of that id are left.  Raises
        TooManyError: there is no room for it.
        """
        key = handed.peer.uid, facts.state.state.id
        container = self._containers.get(key)
        if container is None:
            if len(self._containers) >= self._most:
                message = f"{self._most} containers are there already"
                raise TooManyError(message)
            container = self._containers[key] = Container(facts.state.state.id, handed.peer.uid, facts)
        elif len(container.listeners) >= self._most_listeners:
            message = f"the container has {self._most_listeners} listeners already"
            raise TooManyError(message)
        if is_new:
            container.facts = facts
        container.listeners[handed.number] = handed
        return container

    def remove(self, container: Container, handed: Handed) -> bool:
        """Forget that *handed* is there; whether *container* ended with it."""
        del container.listeners[handed.number]
        container.ended = total([container.ended, handed.stats()])
        if container.listeners:
            return False
        del self._containers[container.uid, container.id]
        return True
