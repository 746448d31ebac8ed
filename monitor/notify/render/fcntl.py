"""
fcntl(2): what its argument is, by command.

What it is not: flock(2), whose operation is a set of flags like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from monitor.abi.constants import names, signal_name
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, hidden
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, hexadecimal, structure


def _command(scene: Scene) -> str:
    return names("fcntl", scene.arch).get(scene.get("cmd"), "")


def _shown(scene: Scene) -> Sequence[str]:
    return ("fd", "cmd") if _command(scene) in _WITHOUT else ("fd", "cmd", "arg")


_WITHOUT: Final = frozenset(
    {"F_GETFD", "F_GETFL", "F_GETOWN", "F_GETSIG", "F_GETLEASE", "F_GETPIPE_SZ", "F_GET_SEALS", "F_CREATED_QUERY"}
)
"""Commands that have no argument."""


def _argument(scene: Scene, index: int) -> str:
    reader = _READERS.get(_command(scene))
    return hexadecimal(scene.pointer(index)) if reader is None else reader(scene, index)


_FLOCK: Final = Layout("h:l_type h:l_whence l:l_start l:l_len i:l_pid")
_FLOCK64: Final = Layout("h:l_type h:l_whence q:l_start q:l_len i:l_pid")


def _lock(scene: Scene, index: int) -> str:
    return _written_lock(scene, index, _FLOCK)


def _lock64(scene: Scene, index: int) -> str:
    # The older call of 32-bit programs does not know the commands of the newer.
    if scene.name == "fcntl" and scene.arch.pointer_bits == 32:  # noqa: PLR2004
        return hidden(scene, index)
    return _written_lock(scene, index, _FLOCK64)


def _open_file_lock(scene: Scene, index: int) -> str:
    return _written_lock(scene, index, _FLOCK64)


def _written_lock(scene: Scene, index: int, layout: Layout) -> str:
    start = scene.pointer(index)
    if not start:
        return "NULL"
    fields = scene.struct(start, layout)
    return structure(
        [
            ("l_type", word("lock_type", fields["l_type"] % (1 << 16), scene.arch)),
            ("l_whence", word("seek", fields["l_whence"] % (1 << 16), scene.arch)),
            ("l_start", str(fields["l_start"])),
            ("l_len", str(fields["l_len"])),
        ]
    )


_OWNER: Final = Layout("i:type i:pid")


def _owner(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    if not start:
        return address(start)
    fields = scene.struct(start, _OWNER)
    kind = word("fcntl_owner", fields["type"] % (1 << 32), scene.arch)
    return structure([("type", kind), ("pid", str(fields["pid"]))])


def _hint(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    return f"[{word('rw_hint', scene.integer(start, 8), scene.arch)}]" if start else "NULL"


def _number(scene: Scene, index: int) -> str:
    value = scene.registers[index] % (1 << 32)
    return str(value - (1 << 32) if value >> 31 else value)


def _fd(scene: Scene, index: int) -> str:
    return scene.fd(int(_number(scene, index)))


def _signal(scene: Scene, index: int) -> str:
    value = int(_number(scene, index))
    return signal_name(value, scene.arch) if value > 0 else str(value)


def _words(group: str) -> Printer:
    def printer(scene: Scene, index: int) -> str:
        return word(group, scene.pointer(index), scene.arch)

    return printer


def _status(scene: Scene, index: int) -> str:
    return word("open", scene.registers[index] % (1 << 32), scene.arch)


def _notify(scene: Scene, index: int) -> str:
    return word("fcntl_notify", scene.registers[index] % (1 << 32), scene.arch)


_READERS: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        "F_DUPFD": _number,
        "F_DUPFD_CLOEXEC": _number,
        "F_DUPFD_QUERY": _fd,
        "F_SETFD": _words("fd_flags"),
        "F_SETFL": _status,
        "F_SETLK": _lock,
        "F_SETLKW": _lock,
        "F_SETLK64": _lock64,
        "F_SETLKW64": _lock64,
        "F_OFD_SETLK": _open_file_lock,
        "F_OFD_SETLKW": _open_file_lock,
        "F_GETLK": hidden,
        "F_GETLK64": hidden,
        "F_OFD_GETLK": hidden,
        "F_SETOWN": _number,
        "F_SETSIG": _signal,
        "F_SETOWN_EX": _owner,
        "F_SETLEASE": _words("lock_type"),
        "F_NOTIFY": _notify,
        "F_SETPIPE_SZ": _number,
        "F_ADD_SEALS": _words("fcntl_seal"),
        "F_SET_RW_HINT": _hint,
        "F_SET_FILE_RW_HINT": _hint,
    }
)
"""Command -> its argument.  Of the others it is shown as the word it is."""

ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(("fcntl fcntl64", "arg", _argument))

SHOWN: Final[Mapping[str, Selector]] = selectors(("fcntl fcntl64", _shown))
