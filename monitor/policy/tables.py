"""
The tables of a policy file as values: ``[files]``, ``[network]``, ``[exec]``, ``[limits]``, ``[[grants]]``.

What it is not: their meaning for a call.  They are checked when they are read, can be shown and
asked about, and are refused by whoever runs a program under them until a broker enforces them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from attrs import evolve, field, frozen, validators

from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy.access import CLASSES
from monitor.policy.expression import Expression
from monitor.policy.model import Policy
from monitor.policy.paths import PathList, PathPattern

enforced: Final[frozenset[str]] = frozenset({"files"})
"""Those of ``NAMES`` that this version enforces."""

NAMES: Final = ("files", "network", "exec", "limits")
"""Every table but the grants, in the order in which they are written."""

Otherwise: TypeAlias = Literal["allow", "deny", "ask"]

_OTHERWISE: Final = validators.in_(("allow", "deny", "ask"))


@frozen
class Written:
    """One line of a list: a path pattern or an address."""

    text: str = field(validator=validators.min_len(1))
    """As it was written, with its variables."""
    expanded: str = field(default="", eq=False, kw_only=True)
    """With their values in it, escaped; what ``PathPattern`` and ``Address`` read."""
    origin: Origin = field(default=NOWHERE, eq=False, kw_only=True)


def _parameters(given: Mapping[str, object]) -> Mapping[str, object]:
    return MappingProxyType(dict(given))


def _known_classes(_rule: object, _attribute: object, access: tuple[str, ...] | None) -> None:
    for word in access or ():
        if word not in CLASSES:
            message = f"{word!r} is no class of access; there are: {', '.join(sorted(CLASSES))}"
            raise PolicyError(message)


@frozen
class FileRule:
    """The long form of a line of ``[files]``."""

    paths: tuple[Written, ...] = field(validator=validators.min_len(1))
    action: Literal["allow", "deny", "hide", "ask", "handle"]
    access: tuple[str, ...] | None = field(default=None, kw_only=True, validator=_known_classes)
    """Classes and bundles (``access``); None: every class."""
    errno: int | None = field(default=None, kw_only=True)
    handler: str | None = field(default=None, kw_only=True)
    parameters: Mapping[str, object] = field(factory=dict[str, object], converter=_parameters, kw_only=True, hash=False)
    reason: str = field(default="", kw_only=True)
    origin: Origin = field(default=NOWHERE, eq=False, kw_only=True)


@frozen(kw_only=True)
class Files:
    """``[files]``: which paths may be used, and how."""

    read: tuple[Written, ...] = ()
    write: tuple[Written, ...] = ()
    deny: tuple[Written, ...] = ()
    hide: tuple[Written, ...] = ()
    ask: tuple[Written, ...] = ()
    rules: tuple[FileRule, ...] = ()
    otherwise: Otherwise = field(default="deny", validator=_OTHERWISE)
    base: bool = True
    """Whether the base set is allowed: devices, loader, locale, time zone, certificates, resolver."""
    enforce: Literal["broker", "kernel"] = field(default="broker", validator=validators.in_(("broker", "kernel")))
    exec: Literal["unverified"] | None = None
    """Said aloud: programs are started without a look at what they are."""
    unix: Literal["unmediated"] | None = None
    """Said aloud: sockets with names are connected to without a look."""
    origin: Origin = field(default=NOWHERE, eq=False)

    def long_form(self) -> tuple[FileRule, ...]:
        """Return the short lists as the rules that they abbreviate, and behind them the rules."""
        refusing: tuple[tuple[tuple[Written, ...], Literal["hide", "deny", "ask"]], ...] = (
            (self.hide, "hide"), (self.deny, "deny"), (self.ask, "ask"),
        )  # fmt: skip
        short = [FileRule(paths, action, origin=list_origin(paths)) for paths, action in refusing if paths]
        for paths, bundle in ((self.read, "read"), (self.write, "write")):
            if paths:
                short.append(FileRule(paths, "allow", access=(bundle,), origin=list_origin(paths)))
        return (*short, *self.rules)


def list_origin(written: tuple[Written, ...]) -> Origin:
    """Return where the list of *written* stands, which is where its first element does."""
    first = written[0].origin
    return first if first == NOWHERE else evolve(first, key=first.key.rpartition("[")[0])


@frozen(kw_only=True)
class Network:
    """``[network]``: which addresses may be used."""

    connect: tuple[Written, ...] = ()
    bind: tuple[Written, ...] = ()
    deny: tuple[Written, ...] = ()
    ask: tuple[Written, ...] = ()
    otherwise: Otherwise = field(default="deny", validator=_OTHERWISE)
    origin: Origin = field(default=NOWHERE, eq=False)


@frozen(kw_only=True)
class Exec:
    """``[exec]``: which programs may be started."""

    allow: tuple[Written, ...] = ()
    deny: tuple[Written, ...] = ()
    ask: tuple[Written, ...] = ()
    otherwise: Otherwise = field(default="deny", validator=_OTHERWISE)
    origin: Origin = field(default=NOWHERE, eq=False)


@frozen(kw_only=True)
class Limits:
    """``[limits]``: how much of what there may be."""

    processes: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    """Processes and threads that live at once."""
    origin: Origin = field(default=NOWHERE, eq=False)


def _about_names(grant: Grant, _attribute: object, access: tuple[str, ...] | None) -> None:
    if access is None:
        return
    if not grant.paths:
        message = "'access' says what is done to a path, and there are no 'paths'"
        raise PolicyError(message)
    if not access:
        message = "no class of access is named; without this key every class is meant"
        raise PolicyError(message)


@frozen(kw_only=True)
class Grant:
    """
    A remembered answer to an ask.  It lifts nothing else.

    With *paths* it answers asks about names, with *addresses* those about addresses, and without either
    those of rules about calls.  Raises PolicyError when built with what no ask can be about.
    """

    call: str
    verdict: Literal["allow", "deny"]
    when: Expression | None = None
    """What the registers hold of the calls that it is about; None: anything."""
    paths: tuple[Written, ...] = ()
    access: tuple[str, ...] | None = field(default=None, validator=[_known_classes, _about_names])
    """What is done to the paths, each class by itself: here no word is a bundle.  None: anything."""
    addresses: tuple[Written, ...] = ()
    program: Written | None = None
    errno: int | None = None
    expires: date | None = None
    """A date, or a moment; None: never."""
    when_granted: date | None = None
    why: str = ""
    origin: Origin = field(default=NOWHERE, eq=False)

    @cached_property
    def path_list(self) -> PathList:
        """Its paths, made ready once.  Raises PolicyError: one that was never read from a file is no pattern."""
        return PathList(_pattern(one) for one in self.paths)

    @cached_property
    def program_pattern(self) -> PathPattern | None:
        """Its program, likewise."""
        return None if self.program is None else _pattern(self.program)


def _pattern(written: Written) -> PathPattern:
    return PathPattern(written.expanded or written.text, origin=written.origin)


@frozen
class Grants:
    """``[[grants]]``, in their order: the first that fits answers."""

    entries: tuple[Grant, ...]


Table: TypeAlias = Files | Network | Exec | Limits


def is_over(moment: date, now: datetime | None = None) -> bool:
    """
    Whether what expires at *moment*, a date or a moment of one, has expired: from its first instant on.

    *now* has a time zone; None: it is now.  What has none in a file is of the user's own days and hours.
    """
    here = datetime.now(UTC).astimezone() if now is None else now.astimezone()
    if not isinstance(moment, datetime):
        return here.date() >= moment
    return (here if moment.tzinfo is not None else here.replace(tzinfo=None)) >= moment


def of(policy: Policy) -> Mapping[str, Table]:
    """Return the tables of one layer, by name, without its grants; what it extends has its own."""
    found = {name: policy.tables.get(name) for name in NAMES}
    return {name: table for name, table in found.items() if isinstance(table, Table)}


def grants(policy: Policy) -> tuple[Grant, ...]:
    """Return the remembered answers that stand in one layer, without those of what it extends."""
    found = policy.tables.get("grants")
    return found.entries if isinstance(found, Grants) else ()


def remembered(policy: Policy) -> tuple[Grant, ...]:
    """Return the remembered answers of all layers in their order, of each those of what it extends behind its own."""
    return tuple(grant for part in _parts(policy) for grant in grants(part))


def _parts(policy: Policy) -> Iterator[Policy]:
    for layer in policy.layers():
        extending: Policy | None = layer
        while extending is not None:
            yield extending
            extending = extending.extends


def unenforced(policy: Policy) -> Iterator[tuple[str, Origin]]:
    """Yield every table, of all layers and what they extend, that this version does not enforce, and where."""
    for part in _parts(policy):
        for name, table in of(part).items():
            if name not in enforced:
                yield name, table.origin


def refuse_unenforced(policy: Policy) -> None:
    """
    Do nothing, if a program may run under *policy*.

    Raises:
        PolicyError: it has a table that nothing would enforce.
    """
    for name, origin in unenforced(policy):
        message = f"[{name}] is not enforced by this version; `check` and `why` answer questions about it"
        raise PolicyError(message, None if origin == NOWHERE else origin)
