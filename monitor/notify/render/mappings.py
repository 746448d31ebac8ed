"""
Memory mappings: mmap(2) in its three forms, and the calls on what is mapped.

What it is not: on which memory node pages lie (``policies``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, addresses, hexed, in_words, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, hexadecimal

# ---- mmap ----

_PAGE_UNIT: Final = 4096
"""What mmap2(2) counts offsets in, whatever the page size."""


def _flags(scene: Scene, index: int) -> str:
    return mapping_flags(scene.bits(index), scene.arch)


def mapping_flags(value: int, arch: Arch) -> str:
    """Write flags of mmap(2): six bits of them are the size of a huge page, as a power of two."""
    masks = values("masks", arch)
    place = masks["MAP_HUGE_SHIFT"]
    huge = value >> place & masks["MAP_HUGE_MASK"]
    if not huge:
        return word("mmap_flags", value, arch)
    return f"{word('mmap_flags', value & ~(masks['MAP_HUGE_MASK'] << place), arch)}|{huge}<<MAP_HUGE_SHIFT"


def _page_offset(scene: Scene, index: int) -> str:
    return hexadecimal(scene.bits(index) * _PAGE_UNIT)


_OLD_ARGUMENTS: Final = Layout("L:addr L:length L:prot L:flags L:fd L:offset")


def _old_mmap(scene: Scene, start: int) -> str:
    """Write the arguments of i386's first mmap(2), and of s390's: all of them are in memory."""
    fields = scene.struct(start, _OLD_ARGUMENTS)
    descriptor = fields["fd"] % (1 << 32)
    texts = (
        address(fields["addr"]),
        str(fields["length"]),
        word("mmap_prot", fields["prot"], scene.arch),
        mapping_flags(fields["flags"], scene.arch),
        scene.fd(descriptor - (1 << 32) if descriptor >> 31 else descriptor),
        hexadecimal(fields["offset"]),
    )
    return ", ".join(texts)


# ---- mremap, memfd_secret, membarrier ----


def _mremap(scene: Scene) -> Sequence[str]:
    flag = values("mremap", scene.arch)
    needed = flag["MREMAP_MAYMOVE"] | flag["MREMAP_FIXED"]
    shown = ("old_address", "old_size", "new_size", "flags")
    return (*shown, "new_address") if scene.get("flags") & needed == needed else shown


def _membarrier(scene: Scene) -> Sequence[str]:
    named = values("membarrier_flags", scene.arch)
    on_one = scene.get("flags") & named["MEMBARRIER_CMD_FLAG_CPU"]
    return ("cmd", "flags", "cpu_id") if on_one else ("cmd", "flags")


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("mmap", "arg", pointed(_old_mmap)),
    ("mmap mmap2 remap_file_pages", "flags", _flags),
    ("mmap", "offset", hexed),
    ("mmap2", "pgoffset", _page_offset),
    ("memfd_secret", "flags", in_words("memfd_secret")),
    ("process_madvise mseal", "flags", hexed),
    ("process_madvise", "iovec", addresses),
    ("pkey_alloc", "flags", hexed),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(
    ("mremap", _mremap),
    ("membarrier", _membarrier),
)
