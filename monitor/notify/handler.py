"""
Handlers: which calls a function decides about, and under which deadline.

What it is not: a registry.  ``handles`` marks a function and changes nothing else; who passes it
to ``supervise`` uses it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Concatenate, Final, NamedTuple, TypeAlias, TypeVar

from attrs import field, frozen, validators

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.errors import PolicyError
from monitor.notify.decode import Call, name_of
from monitor.notify.verdict import Pass, Verdict

HandlerFunction: TypeAlias = (
    Callable[[Call], Verdict | Awaitable[Verdict]] | Callable[Concatenate[Call, ...], Verdict | Awaitable[Verdict]]
)
"""
A function that decides: ``def`` runs inline and must not block, ``async def`` in a task of its own.

What it takes besides the call are the parameters of the rule that names it.
"""

Function = TypeVar("Function", bound=Callable[..., object])

_MARK: Final = "__seccomp_monitor_handles__"


class Mark(NamedTuple):
    """What ``handles`` leaves on a function."""

    names: tuple[str, ...]
    answer_seconds: float | None
    name: str | None


def _names(names: Sequence[str]) -> tuple[str, ...]:
    """Refuse what no table knows now, not at the first call."""
    if not names:
        msg = "name at least one call, %class or @group"
        raise TypeError(msg)
    for name in names:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # a bare @handles passes a function
            msg = f'names of calls are strings, not {name!r}; write @handles("openat")'
            raise TypeError(msg)
    return tuple(names)


@frozen
class Handler:
    """A function with the names of the calls it decides about."""

    names: tuple[str, ...] = field(converter=_names)
    """Names as the kernel's headers have them, ``%class`` of strace, ``@group`` of systemd, ``!`` before each."""
    function: HandlerFunction = field(validator=validators.is_callable())
    answer_seconds: float | None = field(default=None, kw_only=True, validator=validators.optional(validators.gt(0)))
    """The deadline of an ``async def`` handler; None: the supervisor's."""
    name: str = field(kw_only=True)
    """What events and messages call it."""

    @name.default  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedFunctionDecorator]
    def _name_of_function(self) -> str:
        return name_of_function(self.function)

    @property
    def is_async(self) -> bool:
        """Whether calling the function gives a coroutine."""
        return is_async(self.function)

    @classmethod
    def of(
        cls,
        names: Iterable[str] | str,
        function: HandlerFunction,
        *,
        answer_seconds: float | None = None,
        name: str | None = None,
    ) -> Handler:
        """Make a handler of a function that carries no mark: a partial, an object with ``__call__``."""
        words = (names,) if isinstance(names, str) else tuple(names)
        return cls(words, function, answer_seconds=answer_seconds, name=name or name_of_function(function))

    @classmethod
    def from_mark(cls, function: HandlerFunction) -> Handler:
        """Make a handler of a function that ``handles`` has marked; TypeError if it has not."""
        mark = mark_of(function)
        if mark is None:
            name = name_of_function(function)
            msg = f"{name} is not marked: put @monitor.handles(...) on it, or use Handler.of(names, function)"
            raise TypeError(msg)
        return cls.of(mark.names, function, answer_seconds=mark.answer_seconds, name=mark.name)


def handles(
    *names: str, answer_seconds: float | None = None, name: str | None = None
) -> Callable[[Function], Function]:
    """
    Mark a function as the handler of the calls that *names* name.

    A name is a call's ("openat"), a ``%class`` of strace, or an ``@group`` of systemd; ``!``
    before it takes away.  The same function is returned, marked and registered nowhere; methods
    can be marked, and passed when they are bound.
    """
    mark = Mark(_names(names), answer_seconds, name)

    def decorate(function: Function) -> Function:
        if getattr(function, _MARK, None) is not None:
            msg = f"{name_of_function(function)} is marked already: give all names at once"
            raise TypeError(msg)
        setattr(function, _MARK, mark)
        return function

    return decorate


def mark_of(function: object) -> Mark | None:
    """Return what ``handles`` left on *function*; None if nothing."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, Mark) else None


def name_of_function(function: object) -> str:
    """Return a name for messages, of whatever can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2]


def is_async(function: object) -> bool:
    """Whether calling *function*, which may be a partial or an object, gives a coroutine."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def no_opinion(_call: Call) -> Verdict:
    """Decide nothing: in a ``Handler`` it has calls notified, so that they are seen, and is never called."""
    return Pass()


class Route(NamedTuple):
    """What happens to one call of one ABI: its name, and who decides, in order."""

    name: str
    arch: Arch | None
    handlers: tuple[tuple[Callable[[Call], object], bool, Handler], ...]
    """(function, whether it is async, handler); taken apart here once, not at every call."""


Steps: TypeAlias = tuple[tuple[Callable[[Call], object], bool, Handler], ...]


@frozen(eq=False)
class Routes:
    """Who decides about which call."""

    known: Mapping[tuple[int, int], Route]
    """(``AUDIT_ARCH_*`` value, number) -> route."""
    others: Steps
    """Who decides about numbers that have no name in the tables: the handlers of ``all``."""

    def of(self, audit_arch: int, nr: int) -> Route:
        """Return the route of a call, made here where it is not known."""
        route = self.known.get((audit_arch, nr))
        if route is None:
            arch = Arch.of_call(audit_arch, nr)
            route = Route(name_of(arch, nr), arch, self.others)
        return route


def _wants_everything(handler: Handler) -> bool:
    return "all" in handler.names and not any(name.startswith("!") for name in handler.names)


def _steps(handlers: Iterable[Handler]) -> Steps:
    return tuple(
        (handler.function, handler.is_async, handler) for handler in handlers if handler.function is not no_opinion
    )


def numbers_of(handlers: Sequence[Handler], arch: Arch) -> Mapping[int, tuple[Handler, ...]]:
    """Return the numbers of *arch* that *handlers* decide about, each with its handlers in order."""
    from monitor.abi import groups  # noqa: PLC0415  # when something is supervised, not when it is imported

    found: dict[int, list[Handler]] = {}
    for handler in handlers:
        try:
            names = groups.expand(handler.names, arch, missing_ok=True)
        except PolicyError:  # known names, and this ABI has none of them
            continue
        for name in names:
            number = syscalls.number_of(arch, name)
            if number is not None:
                found.setdefault(number, []).append(handler)
    return {number: tuple(chain) for number, chain in found.items()}


def notified_by(handlers: Sequence[Handler], arch: Arch) -> frozenset[int] | None:
    """Return the numbers of *arch* that have to be notified for *handlers*; None: every number there is."""
    if any(_wants_everything(handler) for handler in handlers):
        return None
    return frozenset(numbers_of(handlers, arch))


def routes_of(handlers: Sequence[Handler], arches: Iterable[Arch]) -> Routes:
    """
    Return the routes of *handlers* on *arches*; the first of those is the native one.

    Raises:
        PolicyError: a name that no table knows, or that the native ABI does not have.
    """
    from monitor.abi import groups  # noqa: PLC0415  # likewise

    arches = tuple(arches)
    for handler in handlers:  # a name that is missing here is a mistake, not a difference between ABIs
        groups.expand(handler.names, arches[0])
    known = {
        (arch.audit_value, number): Route(syscalls.name_of(arch, number) or str(number), arch, _steps(chain))
        for arch in arches
        for number, chain in numbers_of(handlers, arch).items()
    }
    return Routes(known, _steps(handler for handler in handlers if _wants_everything(handler)))
