"""
The times of files: what utime(2) and its successors set.

What it is not: clocks and timers (``times``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.notify.render.kinds import Printer, pointed
from monitor.notify.render.layout import Fields, Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import array, structure
from monitor.notify.render.times import TIMESPEC, TIMEVAL, moment, plain

_SPECIAL: Final[Mapping[int, str]] = MappingProxyType({0x3FFFFFFF: "UTIME_NOW", 0x3FFFFFFE: "UTIME_OMIT"})
"""What a part of a second can be instead (include/linux/stat.h)."""


def _nanoseconds(fields: Fields) -> str:
    special = _SPECIAL.get(fields["tv_nsec"])
    return special or f"{plain(fields)}{moment(fields['tv_sec'], fields['tv_nsec'], 9)}"


def _microseconds(fields: Fields) -> str:
    return f"{plain(fields)}{moment(fields['tv_sec'], fields['tv_usec'], 6)}"


def _two_timespecs(scene: Scene, start: int) -> str:
    return array(_nanoseconds(fields) for fields in _two(scene, start, TIMESPEC))


def _two_timevals(scene: Scene, start: int) -> str:
    return array(_microseconds(fields) for fields in _two(scene, start, TIMEVAL))


def _two(scene: Scene, start: int, layout: Layout) -> list[Fields]:
    """Read when it was used last, and when it was changed last."""
    size = layout.size(scene.arch, wide_time=scene.wide_time)
    data = scene.read(start, 2 * size)
    return [layout.read(data[at : at + size], scene.arch, wide_time=scene.wide_time) for at in (0, size)]


_UTIMBUF: Final = Layout("t:actime t:modtime")


def _seconds(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _UTIMBUF)
    return structure((name, f"{value}{moment(value)}") for name, value in fields.items())


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("utimensat utimensat_time64", "times", pointed(_two_timespecs)),
    ("utimes futimesat", "times", pointed(_two_timevals)),
    ("utime", "times", pointed(_seconds)),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()
