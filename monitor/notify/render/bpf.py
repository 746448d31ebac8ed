"""
bpf(2): the attributes of each command.

What it is not: the instructions of a program, which would be a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.kinds import Printer
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, quoted, structure

Writer: TypeAlias = Callable[[Scene, bytes], str]
"""Writes the bytes of one field."""


class _Field(NamedTuple):
    """
    One field of union bpf_attr.

    Its name, its place, its size, how it is written; *since* is how much of the union a program
    must give for it to be shown: fields that came later are left out where it gives less.
    """

    name: str
    place: int
    size: int
    writer: Writer
    since: int = 0


def _value(scene: Scene, data: bytes) -> int:
    return int.from_bytes(data, scene.order)


def _number(scene: Scene, data: bytes) -> str:
    return str(_value(scene, data))


def _pointer(scene: Scene, data: bytes) -> str:
    return address(_value(scene, data))


def _fd(scene: Scene, data: bytes) -> str:
    return scene.fd(int.from_bytes(data, scene.order, signed=True))


def _string(scene: Scene, data: bytes) -> str:
    start = _value(scene, data)
    try:
        return scene.string(start) if start else "NULL"
    except TargetMemoryError:
        return address(start)


def _path(scene: Scene, data: bytes) -> str:
    start = _value(scene, data)
    try:
        return quoted(scene.path(start)) if start else "NULL"
    except TargetMemoryError:
        return address(start)


def _name(_: Scene, data: bytes) -> str:
    end = data.find(0)
    return quoted(data[:end]) if end >= 0 else quoted(data[:-1], cut=True)


def _version(scene: Scene, data: bytes) -> str:
    value = _value(scene, data)
    return f"KERNEL_VERSION({value >> 16}, {value >> 8 & 0xFF}, {value & 0xFF})"


def _of(group: str) -> Writer:
    return lambda scene, data: word(group, _value(scene, data), scene.arch)


_MAP: Final = (
    _Field("map_type", 0, 4, _of("bpf_map_type")),
    _Field("key_size", 4, 4, _number),
    _Field("value_size", 8, 4, _number),
    _Field("max_entries", 12, 4, _number),
    _Field("map_flags", 16, 4, _of("bpf_map_flag"), 17),
    _Field("inner_map_fd", 20, 4, _fd, 21),
    _Field("map_name", 28, 16, _name, 29),
    _Field("map_ifindex", 44, 4, _number, 45),
    _Field("btf_fd", 48, 4, _fd, 49),
    _Field("btf_key_type_id", 52, 4, _number, 49),
    _Field("btf_value_type_id", 56, 4, _number, 49),
    _Field("btf_vmlinux_value_type_id", 60, 4, _number, 61),
    _Field("map_extra", 64, 8, _number, 65),
)
_ELEMENT: Final = (_Field("map_fd", 0, 4, _fd), _Field("key", 8, 8, _pointer))
_LOOK_UP: Final = (*_ELEMENT, _Field("value", 16, 8, _pointer), _Field("flags", 24, 8, _of("bpf_look_up"), 25))
_PROGRAM: Final = (
    _Field("prog_type", 0, 4, _of("bpf_prog_type")),
    _Field("insn_cnt", 4, 4, _number),
    _Field("insns", 8, 8, _pointer),
    _Field("license", 16, 8, _string),
    _Field("log_level", 24, 4, _number, 25),
    _Field("log_size", 28, 4, _number, 25),
    _Field("log_buf", 32, 8, _string, 25),
    _Field("kern_version", 40, 4, _version, 41),
    _Field("prog_flags", 44, 4, _of("bpf_prog_flag"), 45),
    _Field("prog_name", 48, 16, _name, 49),
    _Field("prog_ifindex", 64, 4, _number, 65),
    _Field("expected_attach_type", 68, 4, _of("bpf_attach_type"), 69),
    _Field("prog_btf_fd", 72, 4, _fd, 73),
    _Field("func_info_rec_size", 76, 4, _number, 73),
    _Field("func_info", 80, 8, _pointer, 73),
    _Field("func_info_cnt", 88, 4, _number, 73),
    _Field("line_info_rec_size", 92, 4, _number, 73),
    _Field("line_info", 96, 8, _pointer, 73),
    _Field("line_info_cnt", 104, 4, _number, 73),
    _Field("attach_btf_id", 108, 4, _number, 109),
    _Field("attach_prog_fd", 112, 4, _fd, 113),
    _Field("fd_array", 120, 8, _pointer, 121),
)
_OBJECT: Final = (
    _Field("pathname", 0, 8, _path),
    _Field("bpf_fd", 8, 4, _fd),
    _Field("file_flags", 12, 4, _of("bpf_file_flag"), 13),
)
_ATTACHED: Final = (_Field("target_fd", 0, 4, _fd), _Field("attach_type", 8, 4, _of("bpf_attach_type")))

_COMMANDS: Final[Mapping[str, tuple[_Field, ...]]] = MappingProxyType(
    {
        "BPF_MAP_CREATE": _MAP,
        "BPF_MAP_LOOKUP_ELEM": _LOOK_UP,
        "BPF_MAP_LOOKUP_AND_DELETE_ELEM": _LOOK_UP,
        "BPF_MAP_UPDATE_ELEM": (
            *_ELEMENT,
            _Field("value", 16, 8, _pointer),
            _Field("flags", 24, 8, _of("bpf_map_update")),
        ),
        "BPF_MAP_DELETE_ELEM": _ELEMENT,
        "BPF_MAP_GET_NEXT_KEY": (*_ELEMENT, _Field("next_key", 16, 8, _pointer)),
        "BPF_MAP_FREEZE": _ELEMENT[:1],
        "BPF_PROG_LOAD": _PROGRAM,
        "BPF_OBJ_PIN": _OBJECT,
        "BPF_OBJ_GET": _OBJECT,
        "BPF_PROG_ATTACH": (
            _ATTACHED[0],
            _Field("attach_bpf_fd", 4, 4, _fd),
            _ATTACHED[1],
            _Field("attach_flags", 12, 4, _of("bpf_attach_flag")),
            _Field("replace_bpf_fd", 16, 4, _fd, 17),
        ),
        "BPF_PROG_DETACH": _ATTACHED,
    }
)
"""Command -> its part of union bpf_attr (include/uapi/linux/bpf.h)."""

_MOST: Final = 4096
"""How large the kernel lets the union be: a page."""


def _attributes(scene: Scene, index: int) -> str:
    start, size = scene.pointer(index), scene.get("size")
    fields = _COMMANDS.get(names("bpf_cmd", scene.arch).get(scene.bits(0), ""))
    if fields is None or not start or not 0 < size <= _MOST:
        return address(start)
    data = scene.read(start, size)
    end = max(field.place + field.size for field in fields)
    whole = data.ljust(end, b"\0")
    shown = [
        (field.name, field.writer(scene, whole[field.place : field.place + field.size]))
        for field in fields
        if size >= field.since
    ]
    return structure(shown, cut=any(data[end:]))


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(("bpf", "attr", _attributes))

SHOWN: Final[Mapping[str, Selector]] = selectors()
