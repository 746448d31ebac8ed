"""
An agent's configuration, ``agent.toml``: a file to everything it says, with the policies that it names.

What it is not: the keys (``shapes``, docs/agent.md), or the choice itself (``choosing``).

All of it is read, or nothing: whoever reloads goes on with what he has where anything is wrong.  And everything
that is wrong is found at once, in every file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from attrs import field, frozen

from monitor.agent.agent import Chosen
from monitor.agent.choosing import ANNOTATION, SOURCES, Choosing, Rule
from monitor.agent.containers import MOST
from monitor.agent.rereading import Stamp, stamp_of
from monitor.agent.shapes import AgentShape, ConfigurationShape, RuleShape, Source, TreatmentShape
from monitor.errors import MonitorError, PolicyError
from monitor.notify.account import FAILURE
from monitor.notify.handler import Handler
from monitor.notify.verdict import Allow, Deny, Kill, Verdict
from monitor.origin import Origin
from monitor.policy import shipped
from monitor.policy.model import Policy
from monitor.policy.paths import PathPattern
from monitor.policy.spelling import errno_of
from monitor.policy.structure import Places, read
from monitor.policy.text import load, read_text
from monitor.policy.variables import Variables
from monitor.sources.receiving import MOST_PER_USER

SOCKET: Final = "/run/seccomp-monitor/agent.sock"
"""Where runtimes connect, if nothing else is said: the listenerPath of their profiles."""

CONTROL: Final = "/run/seccomp-monitor/control.sock"

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
"""Of a policy in the directory: the file is called so, with ``.toml`` behind it."""

_SUFFIX: Final = ".toml"
_MODE: Final = re.compile(r"0?[0-7]{3}")
_LEAST, _MOST_CONTAINERS, _MOST_CONNECTIONS = 1, 1 << 16, 1 << 16
_MOST_UID: Final = (1 << 32) - 2


class ConfigurationError(MonitorError):
    """
    A configuration cannot be used.

    Attributes:
        errors: all that is wrong, each with its place.
    """

    def __init__(self, errors: Sequence[PolicyError]) -> None:
        """Say what is wrong."""
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, errors)))


@frozen(kw_only=True)
class Configuration:
    """
    What an agent does.

    Attributes:
        socket: where runtimes connect; *mode* is that of its file.
        uids: of the users who may hand listeners over.
        control: where it is asked; None: nowhere.
        containers: so many at once.
        connections: of one user at once.
        choosing: which policy a container gets.
        files: what was read, as it was before that: to be read again when it changes.
    """

    socket: str = SOCKET
    mode: int = 0o600
    uids: frozenset[int]
    control: str | None = CONTROL
    containers: int = MOST
    connections: int = MOST_PER_USER
    choosing: Choosing
    files: Mapping[str, Stamp] = field(factory=dict[str, Stamp])


def read_configuration(path: str, *, variables: Variables, handlers: Sequence[Handler], uid: int) -> Configuration:
    """
    Return what the file *path* says, with the policies that it names; those may name *handlers*.

    *uid* may hand over where nobody is named.

    Raises:
        ConfigurationError: it cannot be used; all of it that is wrong.
    """
    stamp = stamp_of(path)
    try:
        shape, places = read(_text_of(path), ConfigurationShape, path)
    except PolicyError as error:
        raise ConfigurationError([error]) from None
    return _Reading(places, variables, handlers).configuration(shape, Path(path).parent, uid, {path: stamp})


def configuration_of(
    shape: AgentShape, *, variables: Variables, handlers: Sequence[Handler], uid: int
) -> Configuration:
    """Return what *shape* says, which stands in no file.  Raises likewise."""
    return _Reading(Places("the command line"), variables, handlers).configuration(
        ConfigurationShape(agent=shape), Path(), uid, {}
    )


def _text_of(path: str) -> str:
    try:
        return read_text(Path(path).read_bytes(), path)
    except OSError as error:
        raise PolicyError(error.strerror or str(error), Origin(path)) from None


def _raise(errors: Sequence[PolicyError]) -> None:
    if errors:
        raise ConfigurationError(errors)


class _Policies:
    """The policies that are read, by name."""

    def __init__(self, variables: Variables, handlers: Sequence[Handler], errors: list[PolicyError]) -> None:
        self._variables = variables
        self._handlers = handlers
        self._errors = errors
        self._policies: dict[str, Policy] = {}
        self._broken: set[str] = set()
        self.files: dict[str, Stamp] = {}
        """What was read, as it was before."""

    def read_directory(self, directory: Path, origin: Origin) -> None:
        """Read every policy in *directory*; what begins with a dot, or has another suffix, is none."""
        self.files[str(directory)] = stamp_of(str(directory))
        try:
            found = sorted(one.name for one in directory.iterdir())
        except OSError as error:
            self._errors.append(PolicyError(f"{directory}: {error.strerror}", origin))
            return
        for file in found:
            if file.startswith(".") or not file.endswith(_SUFFIX):
                continue
            name = file.removesuffix(_SUFFIX)
            if NAME.fullmatch(name) is None:
                message = "no name for a policy: letters, digits and _ . - are, and no more than 64 of them"
                self._errors.append(PolicyError(message, Origin(str(directory / file))))
                continue
            self._read(name, str(directory / file))

    def _read(self, name: str, file: str) -> None:
        if not file.startswith(shipped.PREFIX):
            self.files[file] = stamp_of(file)
        try:
            policy = load(file, variables=self._variables)
            Chosen(name=name, why="", policy=policy).refuse_unenforceable(self._handlers)
        except PolicyError as error:
            self._broken.add(name)
            self._errors.append(error.at(Origin(file)))
        else:
            self._policies[name] = policy

    def named(self, name: str, origin: Origin) -> str:
        """Return *name*, which whoever runs the agent has written, and which may be a preset's; note if it is none."""
        if name.startswith(shipped.PREFIX) and name not in self._policies:
            self._read(name, name)
        elif name not in self._policies and name not in self._broken:
            there = ", ".join(sorted(self._policies)) or "none"
            self._errors.append(PolicyError(f"there is no policy {name!r}; there are: {there}", origin))
        return name

    def chosen(self, treatments: Mapping[str, TreatmentShape]) -> dict[str, Chosen]:
        """Return them, each with how it is enforced."""
        return {
            name: _chosen(name, policy, treatments.get(name, TreatmentShape(name=name)))
            for name, policy in self._policies.items()
        }


def _chosen(name: str, policy: Policy, shape: TreatmentShape) -> Chosen:
    return Chosen(
        name=name,
        why="",
        policy=policy,
        observe=shape.observe,
        on_failure=_verdict(shape.on_failure, observe=shape.observe),
        answer_seconds=30.0 if shape.answer_seconds is None else float(shape.answer_seconds),
        ask_seconds=None if shape.ask_seconds is None else float(shape.ask_seconds),
    )


def _verdict(said: str | None, *, observe: bool) -> Verdict:
    """
    Return what is answered where a handler fails.

    Raises PolicyError: it is no such answer, or lets run what is not only observed.
    """
    match said:
        case None:
            return FAILURE
        case "kill":
            return Kill()
        case "continue":
            if observe:
                return Allow(racy="the policy is only observed")
            message = "continue is for a policy that is only observed (observe = true): what fails is refused otherwise"
            raise PolicyError(message)
        case _:
            return Deny(errno_of(said, lowest=1))


class _Reading:
    """One configuration file, as it becomes what it says."""

    def __init__(self, places: Places, variables: Variables, handlers: Sequence[Handler]) -> None:
        self._places = places
        self._errors: list[PolicyError] = []
        self._found = _Policies(variables, handlers, self._errors)

    def configuration(
        self, shape: ConfigurationShape, directory: Path, uid: int, files: Mapping[str, Stamp]
    ) -> Configuration:
        agent = shape.agent
        if agent.policies is not None:
            self._found.read_directory(directory / agent.policies, self._at("agent", "policies"))
        default = None if agent.default is None else self._found.named(agent.default, self._at("agent", "default"))
        rules = [self._rule(index, one) for index, one in enumerate(shape.rules or ())]
        treatments = self._treatments(shape.policies or ())
        sources = self._sources(agent)
        metadata = None if agent.metadata_picks is None else self._picks(agent.metadata_picks, "metadata-picks")
        annotation = self._picks(agent.annotation_picks or (), "annotation-picks")
        bounds = self._bounds(agent)
        mode, uids = self._mode(agent.mode), self._uids(agent.uids, uid)
        _raise(self._errors)
        choosing = Choosing(
            self._found.chosen(treatments),
            default,
            sources,
            metadata,
            agent.annotation or ANNOTATION,
            annotation,
            rules,
        )
        return Configuration(
            socket=agent.socket or SOCKET,
            mode=mode,
            uids=uids,
            control=CONTROL if agent.control is None else agent.control or None,
            containers=bounds[0],
            connections=bounds[1],
            choosing=choosing,
            files={**files, **self._found.files},
        )

    def _at(self, *path: str | int) -> Origin:
        return self._places.origin(path)

    def _note(self, message: str, *path: str | int) -> None:
        self._errors.append(PolicyError(message, self._at(*path)))

    def _rule(self, index: int, shape: RuleShape) -> Rule:
        here = ("rules", index)
        policy = self._found.named(shape.policy, self._at(*here, "policy"))
        said = {key: cast("str | None", getattr(shape, key)) for key in ("id", "namespace", "pod", "container")}
        names = {key: pattern for key, pattern in said.items() if pattern is not None}
        for key, pattern in names.items():
            if not pattern:
                self._note("an empty pattern fits nothing", *here, key)
        paths: dict[str, PathPattern] = {}
        for key, text in (("bundle", shape.bundle), ("cgroup", shape.cgroup)):
            if text is not None:
                try:
                    paths[key] = PathPattern.parse(text, self._at(*here, key))
                except PolicyError as error:
                    self._errors.append(error)
        if not names and not paths and shape.user_namespace is None:
            self._note("a rule that is about every container: that is what default is for", *here)
        return Rule(policy, names, paths, shape.user_namespace, self._at(*here))

    def _treatments(self, shapes: Sequence[TreatmentShape]) -> dict[str, TreatmentShape]:
        found: dict[str, TreatmentShape] = {}
        for index, shape in enumerate(shapes):
            here = ("policies", index)
            self._found.named(shape.name, self._at(*here, "name"))
            if shape.name in found:
                self._note(f"policy {shape.name!r} stands here twice", *here, "name")
            try:
                _verdict(shape.on_failure, observe=shape.observe)
            except PolicyError as error:
                self._errors.append(error.at(self._at(*here, "on-failure")))
            for key, seconds in (("answer-seconds", shape.answer_seconds), ("ask-seconds", shape.ask_seconds)):
                if seconds is not None and seconds < 1:
                    self._note("a number of seconds, 1 or more", *here, key)
            found[shape.name] = shape
        return found

    def _sources(self, agent: AgentShape) -> Sequence[Source]:
        if agent.sources is None:
            return SOURCES
        found: list[Source] = []
        for index, word in enumerate(agent.sources):
            match word:
                case "metadata" | "annotation" | "rules" if word not in found:
                    found.append(word)
                case _:
                    self._note(f"sources are {', '.join(SOURCES)}, each once at most", "agent", "sources", index)
        return found

    def _picks(self, given: Iterable[str], key: str) -> frozenset[str]:
        return frozenset(self._found.named(name, self._at("agent", key, index)) for index, name in enumerate(given))

    def _bounds(self, agent: AgentShape) -> tuple[int, int]:
        containers = MOST if agent.containers is None else agent.containers
        connections = MOST_PER_USER if agent.connections is None else agent.connections
        for key, number, most in (
            ("containers", containers, _MOST_CONTAINERS),
            ("connections", connections, _MOST_CONNECTIONS),
        ):
            if not _LEAST <= number <= most:
                self._note(f"a number from {_LEAST} to {most}", "agent", key)
        return containers, connections

    def _mode(self, said: str | None) -> int:
        if said is not None and _MODE.fullmatch(said) is None:
            self._note('the mode of the socket\'s file, as in "0660"', "agent", "mode")
            return 0o600
        return 0o600 if said is None else int(said, 8)

    def _uids(self, said: list[int] | None, own: int) -> frozenset[int]:
        if said is not None and not said:
            self._note("nobody could hand anything over", "agent", "uids")
        for index, uid in enumerate(said or ()):
            if not 0 <= uid <= _MOST_UID:
                self._note(f"the number of a user, from 0 to {_MOST_UID}", "agent", "uids", index)
        return frozenset({own} if said is None else said)
