"""
Who a process is: capabilities and groups.

What it is not: the ids of the plain calls, which are numbers (``kinds.identity``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import names, values
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.kinds import Printer, elements, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, structure

# ---- capabilities ----

_HEADER: Final = Layout("I:version i:pid")
_SETS: Final = ("effective", "permitted", "inheritable")
_HALF: Final = Layout(" ".join(f"I:{name}" for name in _SETS))


def _header(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _HEADER)
    version = word("capability_version", fields["version"], scene.arch)
    return structure([("version", version), ("pid", str(fields["pid"]))])


def _data(scene: Scene, start: int) -> str:
    """Write three sets of capabilities; the version in the header says whether they have 32 bits or 64."""
    try:
        version = scene.struct(scene.pointer(0), _HEADER)["version"]
    except TargetMemoryError:
        return address(start)
    known = values("capability_version", scene.arch)
    wide = version in {known["_LINUX_CAPABILITY_VERSION_2"], known["_LINUX_CAPABILITY_VERSION_3"]}
    size = _HALF.size(scene.arch)
    data = scene.read(start, 2 * size if wide else size)
    low, high = _HALF.read(data, scene.arch), _HALF.read(data[size:], scene.arch)
    return structure((name, _capabilities(low[name], high.get(name, 0), scene.arch)) for name in _SETS)


def _capabilities(low: int, high: int, arch: Arch) -> str:
    parts = [_bits(low, 0, arch)] if low or not high else []
    if high:
        parts.append(_bits(high, 32, arch))
    return "|".join(parts)


def _bits(bits: int, first: int, arch: Arch) -> str:
    """Write one word of a set, whose lowest bit is capability *first*."""
    named = names("capability", arch)
    places = [place for place in range(32) if bits >> place & 1]
    shown = [f"1<<{named[first + place]}" for place in places if first + place in named]
    rest = sum(1 << place for place in places if first + place not in named)
    if rest and not shown:
        return f"{rest:#x} /* CAP_??? */"
    return "|".join([*shown, *([f"{rest:#x}"] if rest else [])]) or "0"


# ---- groups ----


def _groups(scene: Scene, index: int) -> str:
    """Write a list of groups, which the calls of before 32-bit ids have as 16-bit ones."""
    if scene.get("size") > _MOST_GROUPS:
        return address(scene.pointer(index))
    size = 2 if scene.arch in _SHORT_IDS and scene.name == "setgroups" else 4
    return elements(scene, scene.pointer(index), scene.get("size"), size, lambda data: _id(scene, data))


_MOST_GROUPS: Final = 65536
"""``NGROUPS_MAX`` (include/uapi/linux/limits.h)."""

_SHORT_IDS: Final = frozenset({Arch.ARM, Arch.I386})
"""The ABIs whose calls without "32" in their names take 16-bit ids."""


def _id(scene: Scene, data: bytes) -> str:
    value = int.from_bytes(data, scene.order)
    return "-1" if value == (1 << 8 * len(data)) - 1 else str(value)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("capget capset", "hdrp", pointed(_header)),
    ("capset", "datap", pointed(_data)),
    ("setgroups setgroups32", "list", _groups),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()
