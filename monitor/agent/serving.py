"""
What clients of the agent's control socket can ask for: which containers there are, one of them, and its end.

What it is not: the socket (``approve.control``), or what is typed (``cli.agent``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import attrs

from monitor.agent.containers import Container, Containers
from monitor.approve.wire import Json, WireError
from monitor.events.fields import text_of
from monitor.events.hub import Subscription
from monitor.notify.account import Stats

_SECCOMP: Final = b"\nSeccomp:"
_PARENT: Final = b"\nPPid:"
_NAMESPACES: Final = ("mnt", "pid")

MOST_ANNOTATIONS: Final = 64
"""That are shown of one container; Kubernetes allows 256 KiB of them."""

_LONGEST: Final = 256
"""Characters of one of them."""


class Supervisors(Protocol):
    """What is asked about: the agent."""

    @property
    def containers(self) -> Containers:
        """Those that are there."""
        ...

    def events(self, capacity: int = ..., *, refusals_only: bool = ...) -> Subscription:
        """Subscribe to what happens in all of them."""
        ...


class Served:
    """The agent as clients see it: ``approve.control.Supervised``, and the commands besides."""

    def __init__(self, agent: Supervisors) -> None:
        """Be about *agent*, which is borrowed."""
        self._agent = agent

    def events(self, capacity: int = 1024, *, refusals_only: bool = False) -> Subscription:
        """Subscribe to what happens in all containers."""
        return self._agent.events(capacity, refusals_only=refusals_only)

    def kill(self) -> None:
        """Refuse to end them all.  Raises WireError."""
        message = "kill wants the container"
        raise WireError(message)

    def supervises(self, pid: int) -> bool:
        """
        Whether process *pid* is in a container, or cannot be told from those that are.

        A filter is never lost (seccomp(2)): who has none is in none of them.  Who has one, as a service may, is in
        our namespaces, and below no process of a container.
        """
        status = _read(f"/proc/{pid}/status")
        mode = status.partition(_SECCOMP)[2].split(None, 1)[:1]
        if mode == [b"0"]:
            return False
        if not mode or any(_namespace(pid, name) != _namespace("self", name) for name in _NAMESPACES):
            return True
        first = {container.pid for container in self._agent.containers if container.pid}
        return not first.isdisjoint(_line_of(pid))

    # ---- commands ----

    def commands(self) -> Mapping[str, Callable[[Mapping[str, Json]], Json]]:
        """Return what can be asked for, by the words of the protocol (docs/control-socket.md)."""
        return {"containers": self._list, "container": self._show, "kill": self._kill}

    def _list(self, _said: Mapping[str, Json]) -> Json:
        return [_short_fields(container) for container in self._agent.containers]

    def _show(self, said: Mapping[str, Json]) -> Json:
        return _fields(self._named(said))

    def _kill(self, said: Mapping[str, Json]) -> Json:
        return self._named(said).processes.kill()

    def _named(self, said: Mapping[str, Json]) -> Container:
        word = said.get("container")
        if not isinstance(word, str):
            message = "container is an id, or the beginning of one"
            raise WireError(message)
        try:
            return self._agent.containers.found(word)
        except LookupError as error:
            raise WireError(str(error.args[0])) from None


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _namespace(pid: int | str, name: str) -> object:
    try:
        found = Path(f"/proc/{pid}/ns/{name}").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _line_of(pid: int) -> set[int]:
    """Return *pid* and those above it."""
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        words = _read(f"/proc/{pid}/status").partition(_PARENT)[2].split(None, 1)
        pid = int(words[0]) if words else 0
    return found


def _short_fields(container: Container) -> dict[str, Json]:
    stats = container.stats
    return {
        "container": text_of(container.id),
        "uid": container.uid,
        "pid": container.pid,
        "policy": text_of(container.policy),
        "why": text_of(container.why),
        "since": round(container.since, 3),
        "listeners": len(container.listeners),
        "received": stats.received,
        "denied": stats.denied,
    }


def _fields(container: Container) -> dict[str, Json]:
    facts, state = container.facts, container.facts.state.state
    annotations: list[Json] = [
        [text_of(_cut(key)), text_of(_cut(value))] for key, value in list(state.annotations.items())[:MOST_ANNOTATIONS]
    ]
    return {
        **_short_fields(container),
        "status": text_of(state.status),
        "bundle": text_of(state.bundle),
        "metadata": text_of(facts.state.metadata),
        "annotations": annotations,
        "in_user_namespace": facts.in_user_namespace,
        "cgroup": text_of(facts.cgroup),
        "counters": _counters(container.stats),
        "handed_over": [
            {"pid": one.pid, "peer": one.peer.pid, "since": round(one.since, 3), "counters": _counters(one.stats())}
            for one in container.listeners.values()
        ],
    }


def _counters(stats: Stats) -> dict[str, Json]:
    return {name: value for name, value in attrs.asdict(stats).items() if value}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
