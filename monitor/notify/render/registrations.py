"""
io_uring_register(2): what is made known to a ring, by operation.

What it is not: the ring's setting-up and its waits (``rings``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.kinds import Printer, elements, grown, vector
from monitor.notify.render.layout import Layout
from monitor.notify.render.limits import cpus
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, array, hexadecimal, structure

Writer: TypeAlias = Callable[[Scene, int, int], str]
"""Writes what lies at an address; the last number is the call's ``nr_args``."""

_SKIP: Final = -2
"""An fd that stays as it is (``IORING_REGISTER_FILES_SKIP``, include/uapi/linux/io_uring.h)."""


def _fds(scene: Scene, start: int, count: int) -> str:
    return elements(scene, start, count, 4, lambda data: scene.fd(int.from_bytes(data, scene.order, signed=True)))


def _updated_fds(scene: Scene, start: int, count: int) -> str:
    return elements(scene, start, count, 4, lambda data: _updated_fd(scene, data))


def _updated_fd(scene: Scene, data: bytes) -> str:
    number = int.from_bytes(data, scene.order, signed=True)
    return "IORING_REGISTER_FILES_SKIP" if number == _SKIP else scene.fd(number)


def _buffers(scene: Scene, start: int, count: int) -> str:
    try:
        return vector(scene, start, count, show_data=False) if start else "NULL"
    except TargetMemoryError:
        return address(start)


def _tags(scene: Scene, start: int, count: int) -> str:
    return elements(scene, start, count, 8, lambda data: hexadecimal(int.from_bytes(data, scene.order)))


_FILES: Final = Layout("I:offset I:resv Q:fds")


def _files_update(scene: Scene, start: int, count: int) -> str:
    fields = scene.struct(start, _FILES)
    shown = [("offset", str(fields["offset"])), *_reserved(resv=fields["resv"])]
    return structure([*shown, ("fds", _updated_fds(scene, fields["fds"], count))])


def _reserved(**fields: int) -> list[tuple[str, str]]:
    """Return the fields that should be 0, where they are not."""
    return [(name, hexadecimal(value)) for name, value in fields.items() if value]


# ---- resources with tags ----

_RESOURCES: Final = Layout("I:nr I:flags Q:resv2 Q:data Q:tags")
_UPDATE: Final = Layout("I:offset I:resv Q:data Q:tags I:nr I:resv2")


def _resources(data: Writer) -> Writer:
    def writer(scene: Scene, start: int, size: int) -> str:
        known = _RESOURCES.size(scene.arch)
        if size < known:
            return address(start)
        fields = scene.struct(start, _RESOURCES)
        count = fields["nr"]
        shown = [
            ("nr", str(count)),
            ("flags", word("io_uring_resource", fields["flags"], scene.arch)),
            *_reserved(resv2=fields["resv2"]),
            ("data", data(scene, fields["data"], count)),
            ("tags", _tags(scene, fields["tags"], count)),
        ]
        return grown(scene, shown, start, known, size)

    return writer


def _update(data: Writer) -> Writer:
    def writer(scene: Scene, start: int, size: int) -> str:
        known = _UPDATE.size(scene.arch)
        if size < known:
            return address(start)
        fields = scene.struct(start, _UPDATE)
        count = fields["nr"]
        shown = [
            ("offset", str(fields["offset"])),
            *_reserved(resv=fields["resv"]),
            ("data", data(scene, fields["data"], count)),
            ("tags", _tags(scene, fields["tags"], count)),
            ("nr", str(count)),
            *_reserved(resv2=fields["resv2"]),
        ]
        return grown(scene, shown, start, known, size)

    return writer


# ---- restrictions ----

_RESTRICTION: Final = Layout("H:opcode B:value B:resv I:first I:second I:third")
_RESTRICTED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "IORING_RESTRICTION_REGISTER_OP": ("register_op", "io_uring_register"),
        "IORING_RESTRICTION_SQE_OP": ("sqe_op", "io_uring_op"),
        "IORING_RESTRICTION_SQE_FLAGS_ALLOWED": ("sqe_flags", "io_uring_entry_flag"),
        "IORING_RESTRICTION_SQE_FLAGS_REQUIRED": ("sqe_flags", "io_uring_entry_flag"),
    }
)


def _restrictions(scene: Scene, start: int, count: int) -> str:
    return elements(scene, start, count, _RESTRICTION.size(scene.arch), lambda data: _restriction(scene, data))


def _restriction(scene: Scene, data: bytes) -> str:
    fields = _RESTRICTION.read(data, scene.arch)
    opcode = word("io_uring_restriction", fields["opcode"], scene.arch)
    field = _RESTRICTED.get(opcode)
    if field is None:
        shown = [("opcode", f"{opcode} /* op: {hexadecimal(fields['value'])} */")]
    else:
        name, group = field
        shown = [("opcode", opcode), (name, word(group, fields["value"], scene.arch))]
    shown += _reserved(resv=fields["resv"])
    reserved = [fields["first"], fields["second"], fields["third"]]
    if any(reserved):
        shown.append(("resv2", array(map(hexadecimal, reserved))))
    return structure(shown)


# ---- ring fds and rings of buffers ----

_RING_FD: Final = Layout("I:offset I:resv Q:data")
_ANY_PLACE: Final = 0xFFFFFFFF


def _ring_fds(scene: Scene, start: int, count: int) -> str:
    return elements(scene, start, count, _RING_FD.size(scene.arch), lambda data: _ring_fd(scene, data))


def _ring_fd(scene: Scene, data: bytes) -> str:
    fields = _RING_FD.read(data, scene.arch)
    place = "-1" if fields["offset"] == _ANY_PLACE else str(fields["offset"])
    number = fields["data"] % (1 << 32)
    descriptor = scene.fd(number - (1 << 32) if number >> 31 else number)
    return structure([("offset", place), *_reserved(resv=fields["resv"]), ("data", descriptor)])


def _ring_places(scene: Scene, start: int, count: int) -> str:
    return elements(scene, start, count, _RING_FD.size(scene.arch), lambda data: _ring_place(scene, data))


def _ring_place(scene: Scene, data: bytes) -> str:
    fields = _RING_FD.read(data, scene.arch)
    return structure([("offset", str(fields["offset"])), *_reserved(resv=fields["resv"], data=fields["data"])])


_BUFFER_RING: Final = Layout("Q:ring_addr I:ring_entries H:bgid H:pad Q:first Q:second Q:third")


def _buffer_ring(scene: Scene, start: int, _: int) -> str:
    fields = scene.struct(start, _BUFFER_RING)
    shown = [
        ("ring_addr", address(fields["ring_addr"])),
        ("ring_entries", str(fields["ring_entries"])),
        ("bgid", str(fields["bgid"])),
        *_reserved(pad=fields["pad"]),
    ]
    reserved = [fields["first"], fields["second"], fields["third"]]
    if any(reserved):
        shown.append(("resv", array(map(hexadecimal, reserved))))
    return structure(shown)


_WRITERS: Final[Mapping[str, Writer]] = MappingProxyType(
    {
        "IORING_REGISTER_BUFFERS": _buffers,
        "IORING_REGISTER_BUFFERS2": _resources(_buffers),
        "IORING_REGISTER_BUFFERS_UPDATE": _update(_buffers),
        "IORING_REGISTER_EVENTFD": _fds,
        "IORING_REGISTER_EVENTFD_ASYNC": _fds,
        "IORING_REGISTER_FILES": _fds,
        "IORING_REGISTER_FILES2": _resources(_fds),
        "IORING_REGISTER_FILES_UPDATE": _files_update,
        "IORING_REGISTER_FILES_UPDATE2": _update(_updated_fds),
        "IORING_REGISTER_IOWQ_AFF": cpus,
        "IORING_REGISTER_PBUF_RING": _buffer_ring,
        "IORING_REGISTER_RESTRICTIONS": _restrictions,
        "IORING_REGISTER_RING_FDS": _ring_fds,
        "IORING_UNREGISTER_PBUF_RING": _buffer_ring,
        "IORING_UNREGISTER_RING_FDS": _ring_places,
    }
)
"""Operation -> what its argument points to; of the others it is an address."""


def _registered(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    writer = _WRITERS.get(names("io_uring_register", scene.arch).get(scene.get("opcode"), ""))
    return writer(scene, start, scene.get("nr_args")) if start and writer is not None else address(start)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(("io_uring_register", "arg", _registered))

SHOWN: Final[Mapping[str, Selector]] = selectors()
