"""
Mounts: mount(2), and the calls that do its work in steps.

What it is not: the path walks of the rest, which need nothing of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import names, values
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, dirfd, grown, hidden, path, string
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, hex_quoted

# ---- mount ----

_MAGIC: Final = 0xC0ED0000
_MAGIC_MASK: Final = 0xFFFF0000
"""MS_MGC_VAL and MS_MGC_MSK: what programs of before Linux 2.4 have in the upper half (include/uapi/linux/mount.h)."""

_CHANGES: Final = ("MS_SHARED", "MS_PRIVATE", "MS_SLAVE", "MS_UNBINDABLE")


def _has(scene: Scene, *flags: str) -> bool:
    named = values("mount", scene.arch)
    given = _without_magic(scene.get("mountflags"))
    return any(given & named[flag] for flag in flags)


def _without_magic(flags: int) -> int:
    return flags & ~_MAGIC_MASK if flags & _MAGIC_MASK == _MAGIC else flags


def _type(scene: Scene, index: int) -> str:
    """Write the type of the filesystem, which the kernel looks at only to make a new mount."""
    return (hidden if _has(scene, "MS_REMOUNT", "MS_BIND", "MS_MOVE", *_CHANGES) else string)(scene, index)


def _flags(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    rest = _without_magic(value)
    if rest == value:
        return word("mount", value, scene.arch)
    return f"MS_MGC_VAL|{word('mount', rest, scene.arch)}" if rest else "MS_MGC_VAL"


def _data(scene: Scene, index: int) -> str:
    ignored = _has(scene, "MS_MOVE", *_CHANGES) or (_has(scene, "MS_BIND") and not _has(scene, "MS_REMOUNT"))
    return (hidden if ignored else string)(scene, index)


# ---- in steps ----


def _key(scene: Scene, index: int) -> str:
    return (string if _sets(scene) in _VALUES else hidden)(scene, index)


def _sets(scene: Scene) -> str:
    return names("fsconfig", scene.arch).get(scene.get("cmd"), "")


def _value(scene: Scene, index: int) -> str:
    return _VALUES.get(_sets(scene), hidden)(scene, index)


def _binary(scene: Scene, index: int) -> str:
    start, size = scene.pointer(index), scene.get("aux")
    if not start or not 0 <= size <= _MOST_BINARY:
        return address(start)
    shown = scene.read(start, min(size, scene.look.string_limit))
    return hex_quoted(shown, cut=len(shown) < size)


_MOST_BINARY: Final = 1 << 20
"""What fsconfig(2) takes at most (fs/fsopen.c)."""

_VALUES: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        "FSCONFIG_SET_FLAG": hidden,
        "FSCONFIG_SET_STRING": string,
        "FSCONFIG_SET_BINARY": _binary,
        "FSCONFIG_SET_PATH": path,
        "FSCONFIG_SET_PATH_EMPTY": path,
        "FSCONFIG_SET_FD": hidden,
    }
)
"""Command that sets a value -> the value."""


def _aux(scene: Scene, index: int) -> str:
    match _sets(scene):
        case "FSCONFIG_SET_PATH" | "FSCONFIG_SET_PATH_EMPTY":
            return dirfd(scene, index)
        case "FSCONFIG_SET_FD":
            return scene.fd(scene.value(index))
        case _:
            return str(scene.value(index))


_ATTRIBUTES: Final = Layout("Q:attr_set Q:attr_clr Q:propagation Q:userns_fd")


def _propagation(value: int, arch: Arch) -> str:
    return word("mount", value, arch) if value else "0 /* MS_??? */"


def _attributes(scene: Scene, index: int) -> str:
    start, size = scene.pointer(index), scene.get("size")
    known = _ATTRIBUTES.size(scene.arch)
    if not start or size < known:
        return address(start)
    fields = scene.struct(start, _ATTRIBUTES)
    shown = [
        ("attr_set", word("mount_attr", fields["attr_set"], scene.arch)),
        ("attr_clr", word("mount_attr", fields["attr_clr"], scene.arch)),
        ("propagation", _propagation(fields["propagation"], scene.arch)),
        ("userns_fd", scene.fd(fields["userns_fd"])),
    ]
    return grown(scene, shown, start, known, size)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("mount", "filesystemtype", _type),
    ("mount", "mountflags", _flags),
    ("mount", "data", _data),
    ("fsconfig", "key", _key),
    ("fsconfig", "value", _value),
    ("fsconfig", "aux", _aux),
    ("mount_setattr open_tree_attr", "attr", _attributes),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()
