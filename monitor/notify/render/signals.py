"""
Signals: sets of them, what is done about one, and what comes along with one.

What it is not: the clocks and queues that send them; those only point to a struct sigevent.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import names, signal_name, values
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, structure

SET_SIZE: Final = 8
"""The kernel's sigset_t in bytes: 64 signals, on every ABI here."""


def name_of(number: int, arch: Arch) -> str:
    """Return ``SIGTERM``; a number for what is no signal."""
    return signal_name(number, arch) if number > 0 else str(number)


# ---- sets ----


def listed(bits: int, size: int, arch: Arch) -> str:
    """Return ``[INT TERM]`` for a set of *size* bytes; ``~[KILL]``, those it lacks, where two thirds are in it."""
    count = size * 8
    inverted = bits.bit_count() >= count * 2 // 3
    if inverted:
        bits ^= (1 << count) - 1
    members = [signal_name(place + 1, arch).removeprefix("SIG") for place in range(count) if bits >> place & 1]
    return f"{'~' if inverted else ''}[{' '.join(members)}]"


def sigset(scene: Scene, start: int, size: int) -> str:
    """Write the set of *size* bytes at *start*; its address where the kernel would refuse the size."""
    if not start or not scene.word <= size <= SET_SIZE:
        return address(start)
    return listed(scene.integer(start, size), -(-size // 4) * 4, scene.arch)


def _set(scene: Scene, index: int) -> str:
    length_index = scene.argument(index).len_arg
    size = SET_SIZE if length_index is None else scene.value(length_index)
    return sigset(scene, scene.pointer(index), size)


def _old_set(scene: Scene, index: int) -> str:
    return sigset(scene, scene.pointer(index), scene.word)


def _mask(scene: Scene, index: int) -> str:
    # Calls of before Linux 2.2: the set is a register, as wide as a long.
    return listed(scene.value(index) % (1 << 8 * scene.word), scene.word, scene.arch)


# ---- actions ----

_ACTION: Final = Layout("P:handler L:flags P:restorer")
_ACTION_WITHOUT_RESTORER: Final = Layout("P:handler L:flags")
_OLD_ACTION: Final = Layout("P:handler L:mask L:flags P:restorer")

_NO_RESTORER: Final = frozenset({Arch.LOONGARCH64, Arch.RISCV64})
"""The ABIs on which struct sigaction has no such field (arch/*/include/uapi/asm/signal.h)."""

_HANDLERS: Final[Mapping[int, str]] = MappingProxyType({0: "SIG_DFL", 1: "SIG_IGN"})


def _handler(scene: Scene, value: int) -> str:
    name = "SIG_ERR" if value == (1 << 8 * scene.word) - 1 else _HANDLERS.get(value)
    return name or address(value)


def _handler_argument(scene: Scene, index: int) -> str:
    return _handler(scene, scene.pointer(index))


def _action(scene: Scene, start: int) -> str:
    layout = _ACTION_WITHOUT_RESTORER if scene.arch in _NO_RESTORER else _ACTION
    data = scene.read(start, layout.size(scene.arch) + SET_SIZE)
    fields = layout.read(data, scene.arch)
    mask = listed(int.from_bytes(data[-SET_SIZE:], scene.order), SET_SIZE, scene.arch)
    return _action_text(scene, fields["handler"], mask, fields["flags"], fields.get("restorer"))


def _old_action(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _OLD_ACTION)
    mask = listed(fields["mask"], scene.word, scene.arch)
    return _action_text(scene, fields["handler"], mask, fields["flags"], fields["restorer"])


def _action_text(scene: Scene, handler: int, mask: str, flags: int, restorer: int | None) -> str:
    shown = [
        ("sa_handler", _handler(scene, handler)),
        ("sa_mask", mask),
        ("sa_flags", word("sa_flags", flags, scene.arch)),
    ]
    if restorer is not None and flags & values("sa_flags", scene.arch)["SA_RESTORER"]:
        shown.append(("sa_restorer", address(restorer)))
    return structure(shown)


_STACK: Final = Layout("P:sp i:flags P:size")


def _stack(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _STACK)
    flags = word("sigaltstack", fields["flags"] % (1 << 32), scene.arch)
    return structure([("ss_sp", address(fields["sp"])), ("ss_flags", flags), ("ss_size", str(fields["size"]))])


# ---- events ----

_EVENT: Final = Layout("P:value i:signo i:notify P:function P:attributes")
_EVENT_SIZE: Final = 64


def sigevent(scene: Scene, start: int) -> str:
    """Write a struct sigevent: how to tell of what comes later."""
    fields = _EVENT.read(scene.read(start, _EVENT_SIZE), scene.arch)
    value, number, how = fields["value"], fields["signo"], fields["notify"]
    shown: list[tuple[str, str]] = []
    if value:
        both = structure([("sival_int", str(_int(scene, value))), ("sival_ptr", address(value))])
        shown.append(("sigev_value", both))
    name = names("sigev", scene.arch).get(how)
    sends = name is not None and name != "SIGEV_NONE"
    shown.append(("sigev_signo", name_of(number, scene.arch) if sends else str(number % (1 << 32))))
    shown.append(("sigev_notify", word("sigev", how % (1 << 32), scene.arch)))
    if name == "SIGEV_THREAD_ID":
        # The thread lies where the function would, as an int.
        thread = scene.integer(start + _EVENT.size(scene.arch) - 2 * scene.word, signed=True)
        shown.append(("sigev_notify_thread_id", str(thread)))
    elif name == "SIGEV_THREAD":
        shown.append(("sigev_notify_function", address(fields["function"])))
        shown.append(("sigev_notify_attributes", address(fields["attributes"])))
    return structure(shown)


def _int(scene: Scene, value: int) -> int:
    """Return the int in a union with the pointer *value*: its first four bytes."""
    first = value.to_bytes(scene.word, scene.order)[:4]
    return int.from_bytes(first, scene.order, signed=True)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("sigprocmask", "set", _old_set),
    ("sigsuspend", "mask", _mask),
    ("ssetmask", "newmask", _mask),
    ("signal", "handler", _handler_argument),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("sigsuspend", lambda _: ("mask",)))

KINDS: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        "struct:sigset": _set,
        "struct:sigaction": pointed(_action),
        "struct:old_sigaction": pointed(_old_action),
        "struct:sigevent": pointed(sigevent),
        "struct:stack_t": pointed(_stack),
    }
)
