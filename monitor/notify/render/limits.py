"""
How much a process may use and when it runs: limits, priorities, schedulers.

What it is not: where in memory it runs (``policies``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, pointed
from monitor.notify.render.layout import Fields, Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import structure

# ---- limits ----

_LIMIT: Final = Layout("T:cur T:max")
"""An rlim_t is an unsigned long, and of 64 bits on x32: as wide as its time_t."""

_LIMIT64: Final = Layout("Q:cur Q:max")
_UNIT: Final = 1024


def _limit(scene: Scene, start: int) -> str:
    return _limits(scene.struct(start, _LIMIT), wide=scene.arch.register_bits == 64)  # noqa: PLR2004  # not 32


def _limit64(scene: Scene, start: int) -> str:
    return _limits(scene.struct(start, _LIMIT64), wide=True)


def _limits(fields: Fields, *, wide: bool) -> str:
    return structure((f"rlim_{name}", _quantity(value, wide=wide)) for name, value in fields.items())


def _quantity(value: int, *, wide: bool) -> str:
    if value == (1 << (64 if wide else 32)) - 1:
        return "RLIM64_INFINITY" if wide else "RLIM_INFINITY"
    return f"{value // _UNIT}*1024" if value > _UNIT and value % _UNIT == 0 else str(value)


# ---- schedulers ----

_PARAM: Final = Layout("i:priority")


def _param(scene: Scene, start: int) -> str:
    return f"[{scene.struct(start, _PARAM)['priority']}]"


_ATTR: Final = Layout(
    "I:size I:sched_policy Q:sched_flags i:sched_nice I:sched_priority "
    "Q:sched_runtime Q:sched_deadline Q:sched_period I:sched_util_min I:sched_util_max"
)
_ATTR_FIRST: Final = 48
"""The size that sched_setattr(2) came with, which stands for 0 too (``SCHED_ATTR_SIZE_VER0``)."""

_PARAMS: Final = ("sched_nice", "sched_priority", "sched_runtime", "sched_deadline", "sched_period")


def _attr(scene: Scene, start: int) -> str:
    stated = scene.integer(start)
    wanted = stated or _ATTR_FIRST
    size = min(wanted, _ATTR.size(scene.arch))
    shown = [("size", str(stated))]
    if size >= _ATTR_FIRST:
        shown += _attr_fields(scene, _ATTR.read(scene.read(start, size), scene.arch))
    return structure(shown, cut=wanted > size)


def _attr_fields(scene: Scene, fields: Fields) -> list[tuple[str, str]]:
    flag = values("sched_flag", scene.arch)
    policy, flags = fields["sched_policy"], fields["sched_flags"]
    shown: list[tuple[str, str]] = []
    if policy >> 31 or not flags & (flag["SCHED_FLAG_KEEP_POLICY"] | flag["SCHED_FLAG_KEEP_PARAMS"]):
        shown.append(("sched_policy", word("sched_policy", policy, scene.arch)))
    shown.append(("sched_flags", word("sched_flag", flags, scene.arch)))
    if not flags & flag["SCHED_FLAG_KEEP_PARAMS"]:
        shown += [(name, str(fields[name])) for name in _PARAMS]
    if "sched_util_max" in fields:  # the last one: the struct is whole
        shown += [(name, str(fields[name])) for name in ("sched_util_min", "sched_util_max")]
    return shown


_MASK_SIZE: Final = 128
"""How much of a mask of CPUs is looked at: 1024 of them; no kernel that is shipped has more."""


def _affinity(scene: Scene, index: int) -> str:
    return cpus(scene, scene.pointer(index), scene.get("cpusetsize") % (1 << 32))


def cpus(scene: Scene, start: int, size: int) -> str:
    """Write a mask of CPUs, of *size* bytes, by their numbers."""
    if not start or not size:
        return "[]" if start else "NULL"
    data = scene.read(start, min(size, _MASK_SIZE))
    data += bytes(-len(data) % scene.word)
    # An array of longs, in the machine's byte order.
    longs = [int.from_bytes(data[at : at + scene.word], scene.order) for at in range(0, len(data), scene.word)]
    width = 8 * scene.word
    numbers = [str(place * width + bit) for place, bits in enumerate(longs) for bit in range(width) if bits >> bit & 1]
    return f"[{' '.join([*numbers, '...'] if len(data) < size else numbers)}]"


# ---- priorities ----

_CLASS_PLACE: Final = 13
"""Where the class lies in an I/O priority (``IOPRIO_CLASS_SHIFT``, include/uapi/linux/ioprio.h)."""


def ioprio(value: int, arch: Arch) -> str:
    """Write an I/O priority: a class, and a number in it."""
    data = value & ((1 << _CLASS_PLACE) - 1)
    return f"IOPRIO_PRIO_VALUE({word('ioprio_class', value >> _CLASS_PLACE, arch)}, {data})"


def _ioprio(scene: Scene, index: int) -> str:
    return ioprio(scene.bits(index), scene.arch)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("ioprio_set", "ioprio", _ioprio),
    ("prlimit64", "new_limit", pointed(_limit64)),
    ("setrlimit", "rlim", pointed(_limit)),
    ("sched_setaffinity", "mask", _affinity),
    ("sched_setattr", "attr", pointed(_attr)),
    ("sched_setparam sched_setscheduler", "param", pointed(_param)),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()
