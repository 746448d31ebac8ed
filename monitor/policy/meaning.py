"""
From the shape of a policy file to its values: rules, the default, tables.

What it is not: the reading of files (``text``), or a look at the policy as a whole (``verify``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, get_args

from attrs import frozen

from monitor.abi.arch import Arch
from monitor.abi.groups import refuse_unknown
from monitor.abi.syscalls import names
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.action import Action, refuse_change
from monitor.policy.addresses import AddressList, AddressPattern
from monitor.policy.expression import Expression
from monitor.policy.model import Rule, Version, bound
from monitor.policy.paths import PathList, PathPattern, escape
from monitor.policy.positions import Path
from monitor.policy.shapes import (
    ActionName,
    ActionShape,
    ExecShape,
    FileRuleShape,
    FileShape,
    FilesShape,
    GrantShape,
    LimitsShape,
    NetworkShape,
    RuleShape,
)
from monitor.policy.spelling import action_of, errno_of
from monitor.policy.structure import Places
from monitor.policy.tables import Exec, FileRule, Files, Grant, Grants, Limits, Network, Written
from monitor.policy.variables import Variables
from monitor.policy.vocabulary import nearest

_VERSION: Final = re.compile(r"([0-9]{1,3})\.([0-9]{1,4})")


@frozen
class Reading:
    """One file that is being read: where its keys stand, and what its variables are worth."""

    places: Places
    variables: Variables

    def rule(self, shape: RuleShape, path: Path) -> Rule:
        """Return the rule at *path*."""
        at = self._keys(path)
        self._calls(shape.names, (*path, "names"))
        action = action_of(shape, at)
        if shape.mutable:
            refuse_change(action, at("mutable"))
        return Rule(
            shape.names,
            action,
            when=None if shape.when is None else Expression(shape.when, origin=at("when")),
            arches=None if shape.arches is None else self.arches(shape.arches, (*path, "arches")),
            mutable=shape.mutable,
            reason=shape.reason,
            origin=self.places.origin(path),
            exact_errno=shape.action != "deny" or shape.errno is not None,
        )

    def _keys(self, path: Path) -> Callable[[str], Origin]:
        return lambda key: self.places.origin((*path, key))

    @contextmanager
    def _at(self, path: Path) -> Generator[None]:
        """Give a place to the errors of the block that have none: they come from words that know of no file."""
        try:
            yield
        except PolicyError as error:
            raise error.at(self.places.origin(path)) from None

    def _calls(self, names: Sequence[str], path: Path) -> None:
        if not names:
            message = "no call is named"
            raise PolicyError(message, self.places.origin(path))
        for index, word in enumerate(names):
            with self._at((*path, index)):
                refuse_unknown([word])

    def arches(self, names: Sequence[str], path: Path) -> frozenset[Arch]:
        """Return the ABIs called *names*."""
        if not names:
            message = "no ABI is named; without this key every ABI is meant"
            raise PolicyError(message, self.places.origin(path))
        known = {arch.table: arch for arch in Arch}
        for index, name in enumerate(names):
            if name not in known:
                message = f"unknown ABI {name!r}{nearest(name, known)}; there are: {', '.join(known)}"
                raise PolicyError(message, self.places.origin((*path, index)))
        return frozenset(known[name] for name in names)

    def policy_arches(self, written: str | Sequence[str]) -> frozenset[Arch] | None:
        """Return the ABIs that the rules of a policy are for; None for all of them."""
        path: Path = ("policy", "arches")
        if written == "all":
            return None
        if isinstance(written, str):
            message = f"'all' or a list of ABIs is wanted here, not {written!r}"
            raise PolicyError(message, self.places.origin(path))
        return self.arches(written, path)

    def known_as_of(self, text: str) -> Version | None:
        """Return the kernel version *text*; None for ``none``, which takes back what is extended."""
        if text == "none":
            return None
        match = _VERSION.fullmatch(text)
        if match is None:
            message = f"{text!r} is no version of a kernel; write one as 6.1"
            raise PolicyError(message, self.places.origin(("policy", "known-as-of")))
        return int(match[1]), int(match[2])

    def default(self, written: str | ActionShape, path: Path) -> tuple[Action, bool]:
        """Return the action for calls that no rule names, and whether its errno was written."""
        if isinstance(written, str):
            with self._at(path):
                written = _one_word(written)
        return action_of(written, self._keys(path)), written.action != "deny" or written.errno is not None

    # Tables.

    def tables(self, shape: FileShape) -> Mapping[str, object]:
        """Return the tables of a whole file."""
        found: dict[str, object] = {}
        if shape.files is not None:
            found["files"] = self._files(shape.files)
        if shape.network is not None:
            found["network"] = self._network(shape.network)
        if shape.exec is not None:
            found["exec"] = self._exec(shape.exec)
        if shape.limits is not None:
            found["limits"] = self._limits(shape.limits)
        if shape.grants is not None:
            found["grants"] = self.grants(shape.grants)
        return found

    def _files(self, shape: FilesShape) -> Files:
        path: Path = ("files",)
        rules = enumerate(shape.rules or ())
        return Files(
            read=self._patterns(shape.read, (*path, "read")),
            write=self._patterns(shape.write, (*path, "write")),
            deny=self._patterns(shape.deny, (*path, "deny")),
            hide=self._patterns(shape.hide, (*path, "hide")),
            ask=self._patterns(shape.ask, (*path, "ask")),
            rules=tuple(self._file_rule(rule, (*path, "rules", index)) for index, rule in rules),
            otherwise=shape.otherwise or "deny",
            base=shape.base,
            enforce=shape.enforce,
            exec=shape.exec,
            unix=shape.unix,
            origin=self.places.origin(path),
        )

    def _file_rule(self, shape: FileRuleShape, path: Path) -> FileRule:
        at = self._keys(path)
        if not shape.paths:
            message = "no path is named"
            raise PolicyError(message, at("paths"))
        for key, action in (("errno", "deny"), ("handler", "handle"), ("parameters", "handle")):
            if getattr(shape, key) is not None and shape.action != action:
                message = f"{key!r} means nothing beside action = {shape.action!r}"
                raise PolicyError(message, at(key))
        if shape.action == "handle" and not shape.handler:
            message = "action = 'handle' needs 'handler'"
            raise PolicyError(message, at("action"))
        with self._at((*path, "access")):
            return FileRule(
                self._patterns(shape.paths, (*path, "paths")),
                shape.action,
                access=None if shape.access is None else tuple(shape.access),
                errno=None if shape.errno is None else errno_of(shape.errno, at("errno"), lowest=1),
                handler=shape.handler,
                parameters=shape.parameters or {},
                reason=shape.reason,
                origin=self.places.origin(path),
            )

    def _network(self, shape: NetworkShape) -> Network:
        path: Path = ("network",)
        return Network(
            connect=self._addresses(shape.connect, (*path, "connect")),
            bind=self._addresses(shape.bind, (*path, "bind")),
            deny=self._addresses(shape.deny, (*path, "deny")),
            ask=self._addresses(shape.ask, (*path, "ask")),
            otherwise=shape.otherwise or "deny",
            origin=self.places.origin(path),
        )

    def _exec(self, shape: ExecShape) -> Exec:
        path: Path = ("exec",)
        return Exec(
            allow=self._patterns(shape.allow, (*path, "allow")),
            deny=self._patterns(shape.deny, (*path, "deny")),
            ask=self._patterns(shape.ask, (*path, "ask")),
            otherwise=shape.otherwise or "deny",
            origin=self.places.origin(path),
        )

    def _limits(self, shape: LimitsShape) -> Limits:
        if shape.processes is not None and shape.processes < 1:
            message = f"{shape.processes} processes; the program itself is one"
            raise PolicyError(message, self.places.origin(("limits", "processes")))
        return Limits(processes=shape.processes, origin=self.places.origin(("limits",)))

    def grants(self, shapes: Sequence[GrantShape]) -> Grants:
        """Return the remembered answers."""
        return Grants(tuple(self._grant(shape, ("grants", index)) for index, shape in enumerate(shapes)))

    def _grant(self, shape: GrantShape, path: Path) -> Grant:
        at = self._keys(path)
        self._one_call(shape.call, at("call"))
        for key in ("paths", "addresses"):
            if getattr(shape, key) == []:
                message = f"nothing is named; without {key!r} it is about calls, whatever they are used on"
                raise PolicyError(message, at(key))
        if shape.errno is not None and shape.verdict != "deny":
            message = f"'errno' means nothing beside verdict = {shape.verdict!r}"
            raise PolicyError(message, at("errno"))
        with self._at((*path, "access")):
            return Grant(
                call=shape.call,
                verdict=shape.verdict,
                when=None if shape.when is None else self._when(shape.when, shape.call, at("when")),
                paths=self._patterns(shape.paths, (*path, "paths")),
                access=None if shape.access is None else tuple(shape.access),
                addresses=self._addresses(shape.addresses, (*path, "addresses")),
                program=None if shape.program is None else self._pattern(shape.program, (*path, "program")),
                errno=None if shape.errno is None else errno_of(shape.errno, at("errno"), lowest=1),
                expires=shape.expires,
                when_granted=shape.when_granted,
                why=shape.why,
                origin=self.places.origin(path),
            )

    def _one_call(self, name: str, origin: Origin) -> None:
        """Refuse what stands for several calls, or for none: a grant answers what was asked about one."""
        known = frozenset[str]().union(*map(names, Arch))
        if name not in known:
            message = f"one call is wanted here, and {name!r} is none{nearest(name, known)}"
            raise PolicyError(message, origin)

    def _when(self, text: str, call: str, origin: Origin) -> Expression:
        """Return the condition *text*, which means something for *call* on one ABI at least."""
        expression = Expression(text, origin=origin)
        failed: PolicyError | None = None
        for arch in Arch:
            if call in names(arch):
                try:
                    bound(expression, arch, call)
                except PolicyError as error:
                    failed = failed or error
                else:
                    return expression
        assert failed is not None  # some ABI has the call
        raise failed

    def _patterns(self, texts: Sequence[str] | None, path: Path) -> tuple[Written, ...]:
        written = self._written(texts, path, self._expanded_path)
        with self._at(path):
            PathList(PathPattern.parse(one.expanded, one.origin) for one in written)
        return written

    def _pattern(self, text: str, path: Path) -> Written:
        (written,) = self._written([text], path, self._expanded_path)
        PathPattern.parse(written.expanded, written.origin)
        return written

    def _addresses(self, texts: Sequence[str] | None, path: Path) -> tuple[Written, ...]:
        written = self._written(texts, path, self._expanded_address)
        with self._at(path):
            AddressList(AddressPattern.parse(one.expanded, one.origin) for one in written)
        return written

    def _expanded_path(self, text: str, origin: Origin) -> str:
        return self.variables.expand_path(text, origin, escape=escape)

    def _expanded_address(self, text: str, origin: Origin) -> str:
        """Return *text* with its values: in an abstract name, as in that of a host, a slash is one of its bytes."""
        expanded = self.variables.expand(text, origin, escape=escape)
        if text.removeprefix("!").startswith("unix:") and not expanded.removeprefix("!").startswith("unix:@"):
            return self._expanded_path(text, origin)
        return expanded

    def _written(
        self, texts: Sequence[str] | None, path: Path, expanded: Callable[[str, Origin], str]
    ) -> tuple[Written, ...]:
        found: list[Written] = []
        for index, text in enumerate(texts or ()):
            # The program of a grant is no list, and stands where its key does.
            origin = self.places.origin((*path, index) if (*path, index) in self.places.positions else path)
            if not text:
                message = "an empty string"
                raise PolicyError(message, origin)
            found.append(Written(text, expanded=expanded(text, origin), origin=origin))
        return tuple(found)


def _one_word(word: str) -> ActionShape:
    names = [name for name in get_args(ActionName) if name not in {"return", "handle"}]
    for name in names:
        if word == name:
            return ActionShape(action=name)
    if word in {"return", "handle"}:
        message = f"{word!r} needs more than a word: {{ action = {word!r}, ... }}"
        raise PolicyError(message)
    message = f"{word!r} is no action{nearest(word, names)}; there are: {', '.join(names)}"
    raise PolicyError(message)
