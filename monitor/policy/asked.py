"""
Why a path or an address is decided about as it is: class by class, with the patterns that were tried.

What it is not: the decision (``deciders``), an answer about registers (``explain``), or printed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from attrs import frozen

from monitor.abi.arch import Arch
from monitor.abi.uses import ADDRESS_CALLS, path_uses
from monitor.errors import PolicyError
from monitor.policy.access import CLASSES, PASSING
from monitor.policy.action import Allow
from monitor.policy.addresses import TRANSPORTS, AddressPattern
from monitor.policy.base_set import is_base
from monitor.policy.deciders import Deciders, NetworkDecision, NetworkTable, PathDecision, PathTable
from monitor.policy.endpoints import (
    AbstractPattern,
    Address,
    HostNetwork,
    InetAddress,
    InetPattern,
    UnixAbstract,
    UnixPath,
)
from monitor.policy.files import FileDecision, FileRule
from monitor.policy.network import AddressRule, NetworkAccess, loopback_of
from monitor.policy.paths import PathPattern, components, escape
from monitor.policy.vocabulary import nearest

Outcome: TypeAlias = Literal["decides", "weaker", "carves out", "overruled"]
"""``weaker``: a stronger rule decides; ``overruled``: a later pattern of the same list counts."""


class Tried(NamedTuple):
    """
    A pattern that covers what was asked about.

    Attributes:
        by: the table.
        rule: the rule in whose list it stands.
        pattern: the pattern.
        outcome: what came of it, for the class about which it says most.
        access: the classes that were asked about, and that its rule is about.
    """

    by: PathTable | NetworkTable
    rule: FileRule | AddressRule
    pattern: PathPattern | AddressPattern
    outcome: Outcome
    access: tuple[str, ...]


class Case(NamedTuple):
    """
    What is decided about one class of access.

    Attributes:
        access: the class.
        certain: whether the call asks for it whatever the registers hold that are not known.
        decided: what is decided; None: no table is asked.
        passing: what is decided otherwise where there is a directory of that name; None: nothing.
    """

    access: str
    certain: bool
    decided: PathDecision | NetworkDecision | None
    passing: FileDecision | None = None

    @property
    def allowed(self) -> bool:
        """Whether nothing stands in the way, with nobody asked."""
        return self.decided is None or isinstance(self.decided.decision.action, Allow)


@frozen
class Asked:
    """
    What is said about one path or one address.

    Attributes:
        what: the name of the argument; ``path`` where it is none of the call's; ``address``.
        name: the path or the address, as a policy writes it.
        cases: one for each class that the call may ask for.
        tried: the patterns that cover it.
        others: how many patterns about these classes do not, those of the base set left out.
    """

    what: str
    name: str
    cases: tuple[Case, ...]
    tried: tuple[Tried, ...]
    others: int

    @property
    def allowed(self) -> bool:
        """Whether every class is allowed."""
        return all(case.allowed for case in self.cases)


# ---- paths ----


class NamedPath(NamedTuple):
    """A path that is asked about, and as which argument of the call; None: as each of them."""

    argument: str | None
    name: bytes


def named_path(text: str) -> NamedPath:
    """
    Return the path that *text* names, ``/NAME`` or ``ARGUMENT=/NAME``.

    Raises:
        PolicyError: it is not canonical, as the names are that patterns are compared with.
    """
    argument, equals, name = text.partition("=")
    if text.startswith("/") or not equals or not argument.isidentifier():
        return NamedPath(None, _canonical(text))
    return NamedPath(argument, _canonical(name))


def _canonical(text: str) -> bytes:
    name = os.fsencode(text)
    if not text.startswith("/"):
        message = f"{text!r} is relative, and tables decide about canonical names; realpath(1) prints one"
        raise PolicyError(message)
    try:
        components(name)
    except ValueError:
        message = f"{text!r} is no canonical name: no //, . or .., and no / at its end; realpath(1) prints one"
        raise PolicyError(message) from None
    return name


def paths(
    decides: Deciders,
    arch: Arch,
    call: str | None,
    known: Mapping[int, int],
    named: Iterable[NamedPath],
    access: Sequence[str] = (),
) -> Iterator[Asked]:
    """
    Yield what is said about each path of *named*, as each argument of *call* that it is asked about for.

    *access* are the classes to be asked about; without them it is those of the call, as far as the
    registers that are *known* tell.

    Raises:
        PolicyError: the call has no such argument, or there is no such class.
    """
    for word in access:
        if word not in CLASSES:
            message = f"{word!r} is no class of access{nearest(word, CLASSES)}; there are: {', '.join(sorted(CLASSES))}"
            raise PolicyError(message)
    uses = () if call is None else path_uses(arch, call, known)
    for argument, name in named:
        chosen = [use for use in uses if argument in {None, use.argument}]
        if argument is not None and not chosen:
            there = ", ".join(use.argument for use in uses) or "none"
            message = f"{call or 'the call'} has no path called {argument!r}; its paths: {there}"
            raise PolicyError(message)
        if access:
            yield _path(decides, argument or "path", name, dict.fromkeys(access, True))
            continue
        if not chosen:
            message = f"{call or 'the call'} names no path; --access says what is done to one"
            raise PolicyError(message)
        for use in chosen:
            classes = {one: one in use.certain for one in sorted(use.possible, key=_ORDER.index)}
            yield _path(decides, use.argument, name, classes)


_ORDER: Final = ("read", "write", "create", "truncate", *sorted(CLASSES - {"read", "write", "create", "truncate"}))


def _path(decides: Deciders, what: str, name: bytes, classes: Mapping[str, bool]) -> Asked:
    cases = tuple(_case(decides, access, name, certain=certain) for access, certain in classes.items())
    looked = [one for access in classes for one in _path_rules(decides, access)]
    hits = [hit for one in looked for hit in one.hits(name, cases)]
    return Asked(what, escape(name), cases, _merged(hits), _others(looked, hits))


def _path_rules(decides: Deciders, access: str) -> Iterator[_Looked]:
    for by in decides.about(access):
        for rule in by.table.rules:
            if access in rule.access:
                yield _Looked(by, rule, rule.paths.patterns, access)


def _case(decides: Deciders, access: str, name: bytes, *, certain: bool) -> Case:
    decided = decides.path(access, name)
    passing = decides.path(access, name, directory=True) if access in PASSING else decided
    return Case(access, certain, decided, None if passing is None or passing == decided else passing.decision)


# ---- addresses ----


def addresses(text: str, names: Iterable[str] = ()) -> tuple[Address, ...]:
    """
    Return the address that *text* means in a policy's words; without a transport there are several.

    *names* are the host names by which it is known.

    Raises:
        PolicyError: it means several hosts, ports or names.
    """
    try:
        pattern = AddressPattern.parse(text)
    except PolicyError as error:
        raise PolicyError(error.message) from None  # it stands in no file
    match pattern.meaning:
        case _ if pattern.carves_out:
            message = f"{text}: one address is wanted, without a !"
        case InetPattern(transport, HostNetwork(network, scope), ports) if len(ports) == network.num_addresses == 1:
            scopes = {scope} if scope else set[str]()
            kinds = TRANSPORTS if transport is None else (transport,)
            return tuple(
                InetAddress(kind, network.network_address, ports[0], names=names, scopes=scopes) for kind in kinds
            )
        case AbstractPattern(parts) if len(parts) == 1:
            return (UnixAbstract(parts[0]),)
        case PathPattern() as path if path.is_literal:
            return (UnixPath(path.head),)
        case _:
            message = f"{text}: one address is wanted, as tcp://127.0.0.1:80, [::1]:443, unix:/run/x or unix:@x"
    raise PolicyError(message)


def address(decides: Deciders, call: str | None, text: str, names: Iterable[str] = ()) -> Iterator[Asked]:
    """
    Yield what is said about the address *text*, once for each transport that it may mean.

    Raises:
        PolicyError: *text* is no single address, or *call* names none.
    """
    meant = addresses(text, tuple(names))
    access = ADDRESS_CALLS.get(call or "")
    if access is None:
        message = f"{call or 'the call'} names no address; there are: {', '.join(ADDRESS_CALLS)}"
        raise PolicyError(message)
    for one in meant:
        shown = f"{one.transport}://{text}" if isinstance(one, InetAddress) and "://" not in text else text
        yield _address(decides, access, one, shown)


def _address(decides: Deciders, access: NetworkAccess, one: Address, shown: str) -> Asked:
    cases = (Case(access, certain=True, decided=decides.address(access, one)),)
    looked = [
        _Looked(by, rule, rule.addresses.patterns, access)
        for by in decides.network
        for rule in by.table.rules
        if access in rule.access
    ]
    if access == "bind" and isinstance(one, UnixPath):
        looked += _path_rules(decides, "bind")
    spoken_to = loopback_of(one) if access == "connect" else None
    targets = (one,) if spoken_to is None else (one, spoken_to)
    hits = [hit for each in looked for target in targets for hit in each.hits(target, cases)]
    return Asked("address", shown, cases, _merged(hits), _others(looked, hits))


# ---- what was tried ----


class _Looked(NamedTuple):
    """A rule that was looked at, for one class."""

    by: PathTable | NetworkTable
    rule: FileRule | AddressRule
    patterns: Sequence[PathPattern] | Sequence[AddressPattern]
    access: str

    def hits(self, target: bytes | Address, cases: Iterable[Case]) -> Iterator[Tried]:
        """Yield its patterns that cover *target*."""
        covering = [pattern for pattern in self.patterns if _covers(pattern, target)]
        for pattern in covering:
            yield Tried(self.by, self.rule, pattern, self._outcome(pattern, covering[-1], cases), (self.access,))

    def _outcome(
        self, pattern: PathPattern | AddressPattern, last: PathPattern | AddressPattern, cases: Iterable[Case]
    ) -> Outcome:
        if pattern is not last:
            return "overruled"
        if pattern.carves_out:
            return "carves out"
        decided = [case.decided for case in cases if case.access == self.access]
        decisive = any(one is not None and one.decision.pattern is pattern for one in decided)
        return "decides" if decisive else "weaker"


def _covers(pattern: PathPattern | AddressPattern, target: bytes | Address) -> bool:
    if isinstance(pattern, AddressPattern):
        return not isinstance(target, bytes) and pattern.matches(target)
    name = target.name if isinstance(target, UnixPath) else target
    return isinstance(name, bytes) and pattern.covers(name)


def _merged(hits: Iterable[Tried]) -> tuple[Tried, ...]:
    """Return each pattern once, for all classes; that it decides about one of them says most."""
    found: dict[tuple[int, int], Tried] = {}
    for hit in hits:
        key = (id(hit.by), id(hit.pattern))
        before = found.get(key)
        if before is None:
            found[key] = hit
            continue
        outcome: Outcome = "decides" if "decides" in {before.outcome, hit.outcome} else before.outcome
        found[key] = before._replace(outcome=outcome, access=tuple(dict.fromkeys((*before.access, *hit.access))))
    return tuple(found.values())


def _others(looked: Iterable[_Looked], hits: Iterable[Tried]) -> int:
    """Return how many patterns do not cover it."""
    written = {id(pattern) for one in looked if not is_base(one.rule.origin) for pattern in one.patterns}
    return len(written - {id(hit.pattern) for hit in hits})
