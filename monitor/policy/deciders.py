"""
From the tables of a policy to what decides: ``[files]``, ``[exec]`` and ``[network]`` of each layer, and of all.

What it is not: a resolver of names, or an answer to a call.  ``files`` and ``network`` have the
meaning of one table; here is what several tables come to:

* Layers combine as everywhere: each decides, and the most restrictive answer wins.  A layer
  without the table says nothing.
* The rules of a table that is extended follow one's own, as rules of the same table; ``otherwise``,
  ``base`` and the other words are one's own where one has the table.
* The base set follows all rules of a ``[files]`` that does not say ``base = false``.
* ``[exec]`` decides about class ``exec``, and has among its rules those of ``[files]`` that are
  about it: what is denied in every class is not executed.  Where a layer has no ``[exec]``, its
  ``[files]`` decides, unless it says ``exec = "unverified"``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from errno import EACCES
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

import attrs
from attrs import field, frozen

from monitor.origin import NOWHERE, Origin
from monitor.policy import files, network, tables
from monitor.policy.access import CLASSES, EXEC, allowed_classes, refused_classes
from monitor.policy.action import Allow, Ask, Deny, Handle
from monitor.policy.addresses import AddressList, AddressPattern
from monitor.policy.base_set import BASE_SET, OWN_PROCESS
from monitor.policy.endpoints import Address, UnixPath
from monitor.policy.files import FileAction, FileDecision, FileRule, FileTable, Hide, strength
from monitor.policy.model import Policy
from monitor.policy.network import AddressDecision, AddressRule, AddressTable, NetworkAccess
from monitor.policy.paths import PathList, PathPattern, components
from monitor.policy.tables import Written

ASKED: Final = Ask(EACCES)
"""What ``ask`` says of files and addresses: without anybody to ask it is what ``deny`` is."""

Resolve: TypeAlias = Callable[[bytes], bytes]
"""From a canonical name to the one to which symbolic links lead in some view; what is not there stays as it is."""

BIND: Final = frozenset({"bind"})

T = TypeVar("T")


@frozen
class PathTable:
    """
    ``[files]`` or ``[exec]`` of one layer, with what it extends.

    Attributes:
        layer: the layer.
        name: which of the two.
        table: what it decides.
        own: how many of its rules stand in it; behind them are those of ``[files]``, or the base set.
        origin: where the table stands whose ``otherwise`` counts.
    """

    layer: Policy = field(repr=False)
    name: Literal["files", "exec"]
    table: FileTable
    own: int
    origin: Origin = NOWHERE

    @property
    def own_rules(self) -> tuple[FileRule, ...]:
        """The rules that stand in it, and in what it extends."""
        return self.table.rules[: self.own]


@frozen
class NetworkTable:
    """``[network]`` of one layer, with what it extends; its attributes are those of ``PathTable``."""

    layer: Policy = field(repr=False)
    table: AddressTable
    origin: Origin = NOWHERE


class PathDecision(NamedTuple):
    """What is decided about a path, and by the table of which layer."""

    by: PathTable
    decision: FileDecision


class NetworkDecision(NamedTuple):
    """What is decided about an address, and by the table of which layer."""

    by: NetworkTable
    decision: AddressDecision


@frozen
class Deciders:
    """What decides about paths and addresses, in the order of the layers."""

    files: tuple[PathTable, ...] = ()
    """Those that are asked about every class but ``exec``."""
    exec: tuple[PathTable, ...] = ()
    """Those that are asked about class ``exec``."""
    network: tuple[NetworkTable, ...] = ()
    binding: tuple[PathTable, ...] = ()
    """Those that are asked about class ``bind``, beside ``network``: not where ``unix = "unmediated"``."""

    def about(self, access: str) -> tuple[PathTable, ...]:
        """Return the tables that are asked about the class *access*."""
        return self.exec if access in EXEC else self.binding if access in BIND else self.files

    def allowed(self, name: bytes) -> frozenset[str]:
        """Return the classes that every table that is asked about them allows for the canonical *name*."""
        files = _allowed_by(self.files, name)
        executed = files if self.exec is self.files else _allowed_by(self.exec, name)
        bound = files if self.binding is self.files else _allowed_by(self.binding, name)
        return frozenset((files - EXEC - BIND) | (executed & EXEC) | (bound & BIND))

    def path(self, access: str, name: bytes, *, directory: bool = False) -> PathDecision | None:
        """
        Return what shall happen to *access* to the canonical *name*; None: no table is asked.

        *directory* is that of ``FileTable.decide``.

        Raises:
            ValueError: *name* is not canonical.
        """
        decisions = [
            PathDecision(one, one.table.decide(access, name, directory=directory)) for one in self.about(access)
        ]
        return max(decisions, key=lambda each: strength(each.decision.action), default=None)  # of equals the first

    def address(self, access: NetworkAccess, address: Address) -> NetworkDecision | PathDecision | None:
        """
        Return what shall happen when *address* is connected to or bound; None: no table is asked.

        To bind a name in the file system is to make it: ``[files]`` is asked about class ``bind``, too.
        """
        decisions: list[NetworkDecision | PathDecision] = [
            NetworkDecision(one, one.table.decide(access, address)) for one in self.network
        ]
        if access == "bind" and isinstance(address, UnixPath):
            made = self.path("bind", address.name)
            decisions += [] if made is None else [made]
        return max(decisions, key=lambda each: strength(each.decision.action), default=None)


def _allowed_by(tables_asked: tuple[PathTable, ...], name: bytes) -> frozenset[str]:
    found = CLASSES
    for one in tables_asked:
        found &= one.table.allowed(name)
    return found


def deciders(policy: Policy, resolve: Resolve | None = None) -> Deciders:
    """
    Return what decides about paths and addresses under *policy*, all of its layers.

    With *resolve*, patterns have two names where links lead their heads elsewhere in that view.

    Raises:
        PolicyError: a pattern that was made by a program, not read from a file, is none.
    """
    heads = _unresolved if resolve is None else resolve
    made = [_Layer(layer, heads) for layer in policy.layers()]
    return Deciders(
        tuple(one for layer in made for one in layer.files),
        tuple(one for layer in made for one in layer.exec),
        tuple(one for layer in made for one in layer.network),
        tuple(one for layer in made for one in layer.binding),
    )


def _unresolved(head: bytes) -> bytes:
    return head


def _chain(layer: Policy) -> Iterator[Policy]:
    extending: Policy | None = layer
    while extending is not None:
        yield extending
        extending = extending.extends


def _of(chain: Iterable[Policy], name: str, kind: type[T]) -> list[T]:
    """Return the tables called *name*, one's own first."""
    found = (tables.of(part).get(name) for part in chain)
    return [table for table in found if isinstance(table, kind)]


class _Layer:
    """The tables of one layer, on the way to what they decide."""

    def __init__(self, layer: Policy, resolve: Resolve) -> None:
        chain = list(_chain(layer))
        self._layer = layer
        self._resolve = resolve
        self._files = _of(chain, "files", tables.Files)
        self._exec = _of(chain, "exec", tables.Exec)
        self._network = _of(chain, "network", tables.Network)
        self._rules = [self._file_rule(rule) for table in self._files for rule in table.long_form()]
        self.files = tuple(self._file_tables())
        self.exec = tuple(self._exec_tables())
        self.network = tuple(self._network_tables())
        self.binding = () if self._files and self._files[0].unix == "unmediated" else self.files

    def _file_tables(self) -> Iterator[PathTable]:
        if self._files:
            first = self._files[0]
            rules = [*self._rules, *(self._base_rules() if first.base else ())]
            table = FileTable(rules, _otherwise(first.otherwise, files.REFUSED))
            yield PathTable(self._layer, "files", table, len(self._rules), first.origin)

    def _exec_tables(self) -> Iterator[PathTable]:
        if not self._exec:
            unverified = bool(self._files) and self._files[0].exec == "unverified"
            yield from () if unverified else self.files
            return
        own = [rule for table in self._exec for rule in self._exec_rules(table)]
        shared = [attrs.evolve(rule, access=EXEC) for rule in self._rules if rule.access >= EXEC]
        first = self._exec[0]
        table = FileTable([*own, *shared], _otherwise(first.otherwise, files.REFUSED))
        yield PathTable(self._layer, "exec", table, len(own), first.origin)

    def _network_tables(self) -> Iterator[NetworkTable]:
        if self._network:
            first = self._network[0]
            rules = [rule for table in self._network for rule in self._address_rules(table)]
            table = AddressTable(rules, _otherwise(first.otherwise, network.REFUSED))
            yield NetworkTable(self._layer, table, first.origin)

    def _file_rule(self, rule: tables.FileRule) -> FileRule:
        classes = allowed_classes if rule.action == "allow" else refused_classes
        return FileRule(
            self._paths(rule.paths),
            CLASSES if rule.access is None else classes(rule.access),
            _file_action(rule),
            reason=rule.reason,
            origin=rule.origin,
        )

    def _exec_rules(self, table: tables.Exec) -> Iterator[FileRule]:
        for written, action in ((table.deny, files.REFUSED), (table.ask, ASKED), (table.allow, Allow())):
            if written:
                yield FileRule(self._paths(written), EXEC, action, origin=tables.list_origin(written))

    def _address_rules(self, table: tables.Network) -> Iterator[AddressRule]:
        lists: tuple[tuple[tuple[Written, ...], frozenset[NetworkAccess], Deny | Ask | Allow], ...] = (
            (table.deny, network.ACCESSES, network.REFUSED),
            (table.ask, network.ACCESSES, ASKED),
            (table.connect, _CONNECT, Allow()),
            (table.bind, _BIND, Allow()),
        )
        for written, access, action in lists:
            if written:
                addresses = AddressList(self._address(one) for one in written)
                yield AddressRule(addresses, access, action, origin=tables.list_origin(written))

    def _base_rules(self) -> Iterator[FileRule]:
        for part in BASE_SET:
            paths = PathList(self._resolved(PathPattern(text, origin=part.origin)) for text in part.paths)
            yield FileRule(paths, part.access, Allow(), reason=part.reason, origin=part.origin)

    def _paths(self, written: tuple[Written, ...]) -> PathList:
        return PathList(self._resolved(PathPattern(_expanded(one), origin=one.origin)) for one in written)

    def _resolved(self, pattern: PathPattern) -> PathPattern:
        head = _resolved_head(pattern.head, self._resolve)
        return pattern if head == pattern.head else pattern.with_resolved_head(head)

    def _address(self, written: Written) -> AddressPattern:
        pattern = AddressPattern(_expanded(written), origin=written.origin)
        if pattern.path is None:
            return pattern
        head = _resolved_head(pattern.path.head, self._resolve)
        return pattern if head == pattern.path.head else pattern.with_resolved_head(head)


_CONNECT: Final[frozenset[NetworkAccess]] = frozenset({"connect"})
_BIND: Final[frozenset[NetworkAccess]] = frozenset({"bind"})


def _expanded(written: Written) -> str:
    return written.expanded or written.text


def is_the_targets(head: bytes) -> bool:
    """Whether *head* lies in ``/proc/self``, which is another directory for whoever looks."""
    own = components(OWN_PROCESS)
    return components(head)[: len(own)] == own


def _resolved_head(head: bytes, resolve: Resolve) -> bytes:
    return head if is_the_targets(head) else resolve(head)


def _file_action(rule: tables.FileRule) -> FileAction:
    match rule.action:
        case "hide":
            return Hide()
        case "deny":
            return files.REFUSED if rule.errno is None else Deny(rule.errno)
        case "ask":
            return ASKED
        case "handle":
            assert rule.handler is not None  # meaning.Reading asks for one
            return Handle(rule.handler, rule.parameters)
        case "allow":
            return Allow()


def _otherwise(word: tables.Otherwise, refused: Deny) -> Deny | Ask | Allow:
    match word:
        case "deny":
            return refused
        case "ask":
            return ASKED
        case "allow":
            return Allow()
