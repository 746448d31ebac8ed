"""
Calls on files and directories: which arguments they show, and the structs they take.

What it is not: memory mappings (``mappings``) or descriptors of other things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from monitor.abi.constants import values
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import hexadecimal, octal, structure

# ---- open ----


def makes_file(flags: int, scene: Scene) -> bool:
    """Whether open flags make the kernel look at the mode: O_CREAT, or the whole of O_TMPFILE."""
    named = values("open", scene.arch)
    return bool(flags & named["O_CREAT"]) or flags & named["O_TMPFILE"] == named["O_TMPFILE"]


def _open(scene: Scene) -> Sequence[str]:
    mode = ("mode",) if makes_file(scene.get("flags"), scene) else ()
    return ("pathname", "flags", *mode)


def _openat(scene: Scene) -> Sequence[str]:
    # The commonest call of all: its flags are in the third register on every ABI.
    return _OPENAT_MODE if makes_file(scene.bits(2), scene) else _OPENAT


_OPENAT: Final = ("dirfd", "pathname", "flags")
_OPENAT_MODE: Final = (*_OPENAT, "mode")


OPEN_HOW: Final = Layout("Q:flags Q:mode Q:resolve")


def _open_how(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    size = scene.get("size")
    if not start or size < OPEN_HOW.size(scene.arch):
        return f"{start:#x}" if start else "NULL"
    how = scene.struct(start, OPEN_HOW)
    fields = [("flags", word("open", how["flags"], scene.arch))]
    if makes_file(how["flags"], scene) or how["mode"]:
        fields.append(("mode", octal(how["mode"])))
    fields.append(("resolve", word("resolve", how["resolve"], scene.arch)))
    extra = scene.read(start + OPEN_HOW.size(scene.arch), min(size - OPEN_HOW.size(scene.arch), 64))
    return structure(fields, cut=any(extra))


# ---- nodes ----


def _node_mode(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    kind = value & 0o170000
    return f"{word('mode', kind, scene.arch)}|{octal(value & ~kind)}" if kind else octal(value)


def _mknod(scene: Scene) -> Sequence[str]:
    shown = [argument.name for argument in scene.signature.arguments]
    kind = scene.get("mode") & 0o170000
    return shown if kind in {0o020000, 0o060000} else shown[:-1]


def _device(scene: Scene, index: int) -> str:
    # The kernel's own encoding of a 32-bit dev_t (include/linux/kdev_t.h, new_decode_dev).
    value = scene.bits(index)
    major = (value >> 8) & 0xFFF
    minor = (value & 0xFF) | ((value >> 12) & 0xFFF00)
    return f"makedev({hexadecimal(major)}, {hexadecimal(minor)})"


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("openat2", "how", _open_how),
    ("mknod mknodat", "mode", _node_mode),
    ("mknod mknodat", "dev", _device),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(
    ("open", _open),
    ("openat", _openat),
    ("mknod mknodat", _mknod),
)
