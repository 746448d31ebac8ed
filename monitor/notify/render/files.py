"""
Calls on files and directories: which arguments they show, and the structs they take.

What it is not: memory mappings (``mappings``) or descriptors of other things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import names, values
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.kinds import Printer, buffer, dirfd, grown, halves, hidden, path, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import hex_quoted, hexadecimal, octal, quoted, structure

# ---- open ----


def makes_file(flags: int, scene: Scene) -> bool:
    """Whether open flags make the kernel look at the mode (fs/open.c, WILL_CREATE)."""
    return bool(flags & _making(scene.arch))


@cache
def _making(arch: Arch) -> int:
    named = values("open", arch)
    return named["O_CREAT"] | named["__O_TMPFILE"]


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
    return grown(scene, fields, start, OPEN_HOW.size(scene.arch), size)


# ---- nodes ----


def _node_mode(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    kind = value & 0o170000
    if kind not in names("mode", scene.arch):
        return octal(value)
    # Above the permissions there are three flags with names (include/uapi/linux/stat.h).
    special = value & 0o7000
    return f"{word('mode', kind | special, scene.arch)}|{octal(value & 0o777)}"


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


# ---- handles ----

_HANDLE: Final = Layout("I:handle_bytes i:handle_type")
_HANDLE_MOST: Final = 128
"""MAX_HANDLE_SZ (include/linux/exportfs.h)."""


def _handle(scene: Scene, start: int) -> str:
    """Write what open_by_handle_at(2) is given."""
    fields = scene.struct(start, _HANDLE)
    size = fields["handle_bytes"]
    shown = [("handle_bytes", str(size)), ("handle_type", str(fields["handle_type"]))]
    try:
        data = scene.read(start + _HANDLE.size(scene.arch), min(size, _HANDLE_MOST))
        shown.append(("f_handle", hex_quoted(data, cut=size > _HANDLE_MOST) if data else '""'))
    except TargetMemoryError:
        shown.append(("f_handle", "???"))
    return structure(shown)


def _handle_room(scene: Scene, start: int) -> str:
    """Write how much room name_to_handle_at(2) has."""
    return structure([("handle_bytes", str(scene.integer(start)))])


# ---- others ----


def _size(scene: Scene, index: int) -> str:
    """Write a size that strace takes for a whole register, whatever the kernel makes of it."""
    return str(scene.pointer(index))


def _statx_flags(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    if value & _SYNC_TYPE:
        return word("at_stat", value, scene.arch)
    named = word("at_stat", value, scene.arch).partition(" ")[0]
    return f"AT_STATX_SYNC_AS_STAT|{named}" if value else "AT_STATX_SYNC_AS_STAT"


_SYNC_TYPE: Final = 0x6000
"""AT_STATX_SYNC_TYPE (include/uapi/linux/fcntl.h)."""


def _swap_flags(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    priority = value & _SWAP_PRIORITY
    flags = value & ~_SWAP_PRIORITY
    return f"{word('swap', flags, scene.arch)}|{priority}" if flags else str(priority)


_SWAP_PRIORITY: Final = 0x7FFF
"""SWAP_FLAG_PRIO_MASK (include/linux/swap.h)."""


def _attribute(scene: Scene, index: int) -> str:
    """Write the value of an attribute, if it is not larger than one can be; that it ends with NUL is not shown."""
    start, size = scene.pointer(index), scene.get("size")
    limit = scene.look.string_limit
    if not start or not 0 < size <= min(limit, _ATTRIBUTE_MOST):
        return hidden(scene, index) if size > _ATTRIBUTE_MOST else buffer(scene, index)
    return quoted(scene.read(start, size).removesuffix(b"\0"))


_ATTRIBUTE_MOST: Final = 1 << 16
"""XATTR_SIZE_MAX (include/uapi/linux/limits.h)."""


def _watched(scene: Scene, index: int) -> str:
    """Write the directory of fanotify_mark(2); -1 is none."""
    return "FAN_NOFD" if scene.value(index) == -1 else dirfd(scene, index)


def _watched_events(scene: Scene, index: int) -> str:
    """Write the events of fanotify_mark(2), 64 bits in one register or two."""
    value = scene.bits(index) if scene.argument(index).name == "mask" else halves(scene, index)
    return word("fanotify_mask", value, scene.arch)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("openat2", "how", _open_how),
    ("mknod mknodat", "mode", _node_mode),
    ("mknod mknodat ustat", "dev", _device),
    ("symlink symlinkat", "target", path),
    ("readlink readlinkat", "bufsiz", _size),
    ("statx", "flags", _statx_flags),
    ("name_to_handle_at", "handle", pointed(_handle_room)),
    ("open_by_handle_at", "handle", pointed(_handle)),
    ("swapon", "swapflags", _swap_flags),
    ("setxattr lsetxattr fsetxattr", "value", _attribute),
    ("fanotify_mark", "dirfd", _watched),
    ("fanotify_mark", "mask", _watched_events),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(
    ("open", _open),
    ("openat", _openat),
    ("mknod mknodat", _mknod),
    ("readdir", lambda _: ("fd", "dirp")),
)
