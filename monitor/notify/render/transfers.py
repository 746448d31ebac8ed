"""
Reading and writing at a place of a file, and moving data between descriptors.

What it is not: the data, which every kind of buffer shows alike (``kinds``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from monitor.abi.words import flags_word, word
from monitor.notify.render.kinds import Printer, counted, halves, iovec, pointed, vector
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors

_WIDE: Final = 8


def _as_signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


# ---- vectors at a place ----


def _position(scene: Scene, index: int) -> str:
    """Write the place, of which 32-bit programs give the upper half in the next register; 64-bit ones, for nothing."""
    low = scene.bits(index)
    return str(_as_signed(low if scene.word == _WIDE else low | scene.bits(index + 1) << 32))


def _without(*left_out: str) -> Selector:
    def selector(scene: Scene) -> Sequence[str]:
        return [one.name for one in scene.signature.arguments if one.name not in left_out]

    return selector


def _given(scene: Scene, index: int) -> str:
    """Write a vector with its data, although the call may also fill it (vmsplice(2), by the way of the pipe)."""
    start, length_index = scene.pointer(index), scene.argument(index).len_arg
    assert length_index is not None
    return vector(scene, start, counted(scene, length_index), show_data=True) if start else "NULL"


# ---- places behind pointers and in halves ----


def _behind(size: Callable[[Scene], int], *, signed: bool) -> Printer:
    return pointed(lambda scene, start: f"[{scene.integer(start, size(scene), signed=signed)}]")


def _sought(scene: Scene, index: int) -> str:
    """Write the place of _llseek(2), upper half first."""
    return str(_as_signed(scene.bits(index) << 32 | scene.bits(index + 1)))


def _length(scene: Scene, index: int) -> str:
    """Write the new size of a file, which is not negative."""
    return str(scene.bits(index))


def _joined_length(scene: Scene, index: int) -> str:
    return str(halves(scene, index))


def _creation_flags(scene: Scene, index: int) -> str:
    """Write those flags of open(2) that are not a way of access."""
    return flags_word("open", scene.bits(index), scene.arch)


def _secret_flags(scene: Scene, index: int) -> str:
    return _creation_flags(scene, index).partition(" ")[0]


def _last_fd(scene: Scene, index: int) -> str:
    """Write the end of a range, which may be far beyond any fd."""
    return str(scene.bits(index))


_HUGE_SHIFT: Final = 26
_HUGE_MASK: Final = 0x3F
"""Where memfd_create(2) has the size of its pages, as a power of 2 (include/uapi/linux/memfd.h)."""


def _memfd_flags(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    size = value >> _HUGE_SHIFT & _HUGE_MASK
    if not size:
        return word("memfd", value, scene.arch)
    flags = value & ~(_HUGE_MASK << _HUGE_SHIFT)
    shown = [word("memfd", flags, scene.arch)] if flags else []
    return "|".join([*shown, f"{size}<<MFD_HUGE_SHIFT"])


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("readv preadv preadv2", "iov", iovec),
    ("vmsplice", "iov", _given),
    ("preadv pwritev preadv2 pwritev2", "pos_l", _position),
    ("copy_file_range splice", "off_in", _behind(lambda _: _WIDE, signed=True)),
    ("copy_file_range splice", "off_out", _behind(lambda _: _WIDE, signed=True)),
    ("sendfile", "offset", _behind(lambda scene: scene.word, signed=False)),
    ("sendfile64", "offset", _behind(lambda _: _WIDE, signed=False)),
    ("_llseek", "offset_high", _sought),
    ("truncate ftruncate", "length", _length),
    ("truncate64 ftruncate64", "length", _joined_length),
    ("dup3 pipe2", "flags", _creation_flags),
    ("memfd_secret", "flags", _secret_flags),
    ("memfd_create", "flags", _memfd_flags),
    ("close_range", "first", _last_fd),
    ("close_range", "last", _last_fd),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(
    ("preadv pwritev preadv2 pwritev2", _without("pos_h")),
    ("_llseek", _without("offset_low")),
)
