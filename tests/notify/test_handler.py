"""Which calls a function decides about; marks change nothing but say it."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from monitor import Allow, Arch, Call, Handler, PolicyError, Verdict, handles
from monitor.abi.syscalls import number_of
from monitor.notify.handler import is_async, mark_of, name_of_function, notified_by, numbers_of, routes_of


def allows(call: Call) -> Verdict:
    return Allow()


async def allows_later(call: Call) -> Verdict:
    return Allow()


class Both:
    def method(self, call: Call) -> Verdict:
        return Allow()

    async def later(self, call: Call) -> Verdict:
        return Allow()

    @classmethod
    def of_class(cls, call: Call) -> Verdict:
        return Allow()

    @staticmethod
    async def static(call: Call) -> Verdict:
        return Allow()


class Object:
    def __call__(self, call: Call) -> Verdict:
        return Allow()


class ObjectLater:
    async def __call__(self, call: Call) -> Verdict:
        return Allow()


def numbers(*names: str, arch: Arch = Arch.X86_64) -> frozenset[int]:
    found = [number_of(arch, name) for name in names]
    assert None not in found
    return frozenset(found)  # type: ignore[arg-type]


# ---- marks ----


def test_a_mark_returns_the_same_function() -> None:
    def function(call: Call) -> Verdict:
        return Allow()

    assert handles("openat")(function) is function
    assert mark_of(function) is not None
    assert mark_of(allows) is None


def test_a_marked_method_is_marked_when_it_is_bound() -> None:
    class Stateful:
        @handles("openat", "close", answer_seconds=2, name="named")
        async def method(self, call: Call) -> Verdict:
            return Allow()

    handler = Handler.from_mark(Stateful().method)

    assert (handler.names, handler.answer_seconds, handler.name) == (("openat", "close"), 2, "named")
    assert handler.is_async


def test_a_second_mark_is_refused() -> None:
    with pytest.raises(TypeError, match="all names at once"):

        @handles("close")
        @handles("openat")
        def function(call: Call) -> Verdict:
            return Allow()


def test_a_bare_decorator_is_refused_with_how_to_write_it() -> None:
    with pytest.raises(TypeError, match=r'write @handles\("openat"\)'):

        @handles  # type: ignore[arg-type]
        def function(call: Call) -> Verdict:
            return Allow()


def test_a_mark_without_names_is_refused() -> None:
    with pytest.raises(TypeError, match="at least one"):
        handles()
    with pytest.raises(TypeError, match="at least one"):
        Handler.of([], allows)


@pytest.mark.parametrize("name", [5, b"openat", ("openat",)])
def test_a_name_is_text(name: Any) -> None:
    with pytest.raises(TypeError, match="strings"):
        handles(name)


@pytest.mark.parametrize("function", [allows, functools.partial(allows), Object(), Both().method])
def test_what_carries_no_mark_is_refused_with_what_to_do(function: Any) -> None:
    with pytest.raises(TypeError, match=r"put @monitor.handles.*Handler.of"):
        Handler.from_mark(function)


def test_a_partial_of_a_marked_function_carries_no_mark() -> None:
    marked = handles("openat")(lambda word, call: Allow())
    with pytest.raises(TypeError, match=r"Handler\.of"):
        Handler.from_mark(functools.partial(marked, "x"))


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_deadline_is_in_the_future(seconds: float) -> None:
    with pytest.raises(ValueError, match="answer_seconds"):
        Handler.of("openat", allows, answer_seconds=seconds)


def test_a_handler_needs_a_function() -> None:
    with pytest.raises(TypeError):
        Handler.of("openat", None)  # type: ignore[arg-type]


# ---- what runs inline, and what in a task ----


@pytest.mark.parametrize(
    ("function", "later", "name"),
    [
        (allows, False, "allows"),
        (allows_later, True, "allows_later"),
        (lambda call: Allow(), False, "<lambda>"),
        (Both().method, False, "Both.method"),
        (Both().later, True, "Both.later"),
        (Both.of_class, False, "Both.of_class"),
        (Both.static, True, "Both.static"),
        (Object(), False, "Object"),
        (ObjectLater(), True, "ObjectLater"),
        (functools.partial(functools.partial(allows_later)), True, "allows_later"),
        (functools.partial(ObjectLater()), True, "ObjectLater"),
        (functools.partial(Both().method), False, "Both.method"),
    ],
)
def test_every_shape_is_known_for_what_it_is(function: Any, later: bool, name: str) -> None:
    assert is_async(function) is later
    assert name_of_function(function) == name
    assert Handler.of("openat", function).is_async is later
    assert Handler.of("openat", function).name == name


# ---- names become numbers ----


def test_names_classes_and_groups_become_numbers() -> None:
    assert notified_by([Handler.of(["openat", "close"], allows)], Arch.X86_64) == numbers("openat", "close")
    network = notified_by([Handler.of("%network", allows)], Arch.X86_64)
    assert network is not None
    assert numbers("connect", "bind") < network
    files = notified_by([Handler.of("@file-system", allows)], Arch.X86_64)
    assert files is not None
    assert numbers("openat", "mkdir") < files


def test_an_exclamation_mark_takes_away_wherever_it_stands() -> None:
    for names in (["!connect", "%network"], ["%network", "!connect"]):
        network = notified_by([Handler.of(names, allows)], Arch.X86_64)
        assert network is not None
        assert not numbers("connect") & network
        assert numbers("bind") < network


def test_all_is_every_number_known_or_not() -> None:
    assert notified_by([Handler.of("openat", allows), Handler.of("all", allows)], Arch.X86_64) is None


def test_all_but_one_is_every_number_with_a_name_but_that_one() -> None:
    everything = notified_by([Handler.of(["all", "!openat"], allows)], Arch.X86_64)
    assert everything is not None
    assert numbers("close", "execve") < everything
    assert not numbers("openat") & everything


def test_handlers_of_one_call_keep_their_order() -> None:
    first, second = Handler.of("%file", allows), Handler.of("openat", allows_later)
    (openat,) = numbers("openat")

    assert numbers_of([first, second], Arch.X86_64)[openat] == (first, second)
    assert numbers_of([second, first], Arch.X86_64)[openat] == (second, first)


def test_an_unknown_name_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(PolicyError, match="did you mean 'openat'"):
        routes_of([Handler.of("opennat", allows)], [Arch.X86_64])
    with pytest.raises(PolicyError, match="'@network-io'"):
        routes_of([Handler.of("@network-iO", allows)], [Arch.X86_64])


def test_a_name_that_only_the_other_abi_has_is_a_mistake_but_one_it_lacks_is_not() -> None:
    with pytest.raises(PolicyError, match="x86_64 has no call 'socketcall'"):
        routes_of([Handler.of("socketcall", allows)], [Arch.X86_64, Arch.I386])
    routes = routes_of([Handler.of(["newfstatat", "openat"], allows)], [Arch.X86_64, Arch.I386])
    assert {route.name for route in routes.known.values()} == {"newfstatat", "openat"}


def test_routes_tell_the_abis_apart() -> None:
    """Number 5 is open on i386 and fstat on x86_64: the arch is half of the key."""
    routes = routes_of([Handler.of("open", allows)], [Arch.X86_64, Arch.I386, Arch.X32])

    assert routes.of(Arch.I386.audit_value, 5).name == "open"
    assert len(routes.of(Arch.I386.audit_value, 5).handlers) == 1
    assert routes.of(Arch.X86_64.audit_value, 5).name == "fstat"
    assert routes.of(Arch.X86_64.audit_value, 5).handlers == ()
    assert routes.of(Arch.X86_64.audit_value, 0x4000_0002).arch is Arch.X32
    assert len(routes.of(Arch.X86_64.audit_value, 0x4000_0002).handlers) == 1


def test_a_number_without_a_name_goes_to_the_handlers_of_all() -> None:
    routes = routes_of([Handler.of("openat", allows), Handler.of("all", allows_later)], [Arch.X86_64])

    route = routes.of(Arch.X86_64.audit_value, 0x7777)

    assert route.name == "syscall_0x7777"
    assert [step[0] for step in route.handlers] == [allows_later]
    assert routes.of(0x1234, 1).arch is None
