"""
Waiting for descriptors: poll(2), select(2) and epoll(7).

What it is not: what is found ready, which is not known before the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.kinds import Printer, elements, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import MOST_ITEMS, Scene
from monitor.notify.render.signals import sigset
from monitor.notify.render.table import Multiplexer, Selector, printers, selectors
from monitor.notify.render.text import address, structure

# ---- poll ----

_POLLFD: Final = Layout("i:fd H:events H:revents")


def _pollfds(scene: Scene, index: int) -> str:
    def text(data: bytes) -> str:
        fields = _POLLFD.read(data, scene.arch)
        fd = [("fd", scene.fd(fields["fd"]))]
        # One of a negative fd asks for nothing.
        if fields["fd"] >= 0:
            fd.append(("events", word("poll", fields["events"], scene.arch)))
        return structure(fd)

    return elements(scene, scene.pointer(index), scene.get("nfds"), _POLLFD.size(scene.arch), text)


# ---- select ----

_MOST_FDS: Final = 1 << 20
"""How many an fd set can have: sysctl_nr_open (fs/file.c)."""


def _fd_set(scene: Scene, index: int) -> str:
    start, count = scene.pointer(index), scene.get("nfds")
    if not start:
        return "NULL"
    if not 0 < count <= _MOST_FDS:
        return address(start)
    size = -(-count // (8 * scene.word)) * scene.word
    data = scene.read(start, size)
    # An array of longs, of which each begins with its lowest bit.
    longs = (int.from_bytes(data[at : at + scene.word], scene.order) for at in range(0, size, scene.word))
    width = 8 * scene.word
    found = [
        place * width + bit
        for place, value in enumerate(longs)
        if value
        for bit in range(width)
        if value >> bit & 1 and place * width + bit < count
    ]
    shown = [scene.fd(number) for number in found[:MOST_ITEMS]]
    return f"[{' '.join([*shown, '...'] if len(found) > MOST_ITEMS else shown)}]"


_MASK: Final = Layout("P:mask P:size")


def _mask(scene: Scene, start: int) -> str:
    """Write pselect6(2)'s last argument, which stands for two."""
    fields = scene.struct(start, _MASK)
    try:
        mask = sigset(scene, fields["mask"], fields["size"])
    except TargetMemoryError:
        mask = address(fields["mask"])
    return structure([("sigmask", mask), ("sigsetsize", str(fields["size"]))])


def _select(scene: Scene) -> tuple[str, tuple[int, ...]] | None:
    """Return what is behind select(2) of before Linux 2.0, which has its arguments in a struct."""
    if len(scene.signature.arguments) > 1:
        return None
    start, size = scene.pointer(0), 5 * scene.word
    data = scene.read(start, size)
    arguments = (int.from_bytes(data[at : at + scene.word], scene.order) for at in range(0, size, scene.word))
    return "select", (*arguments, 0)


# ---- epoll ----

_PACKED: Final = frozenset({Arch.X86_64, Arch.X32, Arch.I386})
"""The ABIs on which nothing lies between the two fields (include/uapi/linux/eventpoll.h, EPOLL_PACKED)."""


def _event(scene: Scene, start: int) -> str:
    place = 4 if scene.arch in _PACKED else 8
    data = scene.read(start, place + 8)
    events = word("epoll_events", int.from_bytes(data[:4], scene.order), scene.arch)
    # The caller's own: a union.
    half = int.from_bytes(data[place : place + 4], scene.order)
    whole = int.from_bytes(data[place:], scene.order)
    return structure([("events", events), ("data", structure([("u32", str(half)), ("u64", str(whole))]))])


def _changed_event(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    deleted = scene.get("op") == _EPOLL_CTL_DEL  # it is not looked at then
    return address(start) if deleted or not start else _event(scene, start)


_EPOLL_CTL_DEL: Final = 2


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("poll ppoll ppoll_time64", "fds", _pollfds),
    ("pselect6 pselect6_time64", "sigmask", pointed(_mask)),
    ("epoll_ctl epoll_ctl_old", "event", _changed_event),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()

KINDS: Final[Mapping[str, Printer]] = MappingProxyType({"struct:fd_set": _fd_set})

BEHIND: Final[Mapping[str, Multiplexer]] = MappingProxyType({"select": _select})
