"""
Memory policies: on which nodes pages lie.

What it is not: what is mapped where (``mappings``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.notify.render.kinds import Printer, elements, hexed
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, padded


def _nodes(scene: Scene, index: int) -> str:
    """Write a mask of nodes; the highest of *maxnode* bits does not count (mbind(2), BUGS)."""
    start, most = scene.pointer(index), scene.get("maxnode")
    width = 8 * scene.word
    if most == 1 or most + width - 2 >> 64:
        return address(start)
    return elements(scene, start, (most + width - 2) // width, scene.word, lambda data: _mask(scene, data))


def _mask(scene: Scene, data: bytes) -> str:
    return padded(int.from_bytes(data, scene.order), 2 * len(data))


def _pages(scene: Scene, index: int) -> str:
    start, count = scene.pointer(index), scene.get("count")
    return elements(scene, start, count, scene.word, lambda data: address(int.from_bytes(data, scene.order)))


def _targets(scene: Scene, index: int) -> str:
    start, count = scene.pointer(index), scene.get("count")
    return elements(scene, start, count, 4, lambda data: str(int.from_bytes(data, scene.order, signed=True)))


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("mbind set_mempolicy", "nodemask", _nodes),
    ("migrate_pages", "old_nodes", _nodes),
    ("migrate_pages", "new_nodes", _nodes),
    ("move_pages", "pages", _pages),
    ("move_pages", "nodes", _targets),
    ("set_mempolicy_home_node", "flags", hexed),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()
