"""
Segments of x86: struct user_desc and the calls that take it, and arch_prctl(2).

What it is not: threads as such; clone(2) of i386 shows one of these (``clones``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from monitor.abi.constants import names
from monitor.notify.render.kinds import Printer, hexed, hidden, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, padded, structure

_DESCRIPTOR: Final = Layout("I:entry_number I:base_addr I:limit I:bits")
_NONE: Final = 0xFFFFFFFF

_BITS: Final = (
    ("seg_32bit", 0, 1),
    ("contents", 1, 2),
    ("read_exec_only", 3, 1),
    ("limit_in_pages", 4, 1),
    ("seg_not_present", 5, 1),
    ("useable", 6, 1),
    ("lm", 7, 1),
)
"""Name, place and width of each bit field, as x86's compilers lay them out (arch/x86/include/uapi/asm/ldt.h)."""


def user_descriptor(scene: Scene, start: int) -> str:
    """Write a struct user_desc."""
    fields = scene.struct(start, _DESCRIPTOR)
    shown = [
        ("entry_number", _entry(fields["entry_number"])),
        ("base_addr", padded(fields["base_addr"], 8)),
        ("limit", padded(fields["limit"], 8)),
    ]
    for name, place, width in _BITS:
        if name != "lm" or scene.arch.register_bits == 64:  # noqa: PLR2004  # 32-bit programs have no such bit
            shown.append((name, str(fields["bits"] >> place & ((1 << width) - 1))))
    return structure(shown)


def _entry(number: int) -> str:
    return "-1" if number == _NONE else str(number)


def _wanted_descriptor(scene: Scene, start: int) -> str:
    """Write what get_thread_area(2) reads: which one is wanted."""
    return structure([("entry_number", _entry(scene.integer(start)))], cut=True)


def _ldt_entry(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    if not start or scene.get("bytecount") != _DESCRIPTOR.size(scene.arch):
        return address(start)
    return user_descriptor(scene, start)


_ANSWERS: Final = ("ARCH_GET_FS", "ARCH_GET_GS", "ARCH_GET_XCOMP")
"""How the operations begin whose argument is where the answer goes; of others it is a number."""


def _value(scene: Scene, index: int) -> str:
    asks = names("arch_prctl", scene.arch).get(scene.get("op"), "").startswith(_ANSWERS)
    return hidden(scene, index) if asks else hexed(scene, index)


def _arch_prctl(scene: Scene) -> Sequence[str]:
    asks = names("arch_prctl", scene.arch).get(scene.get("op")) == "ARCH_GET_CPUID"
    return ("op",) if asks else ("op", "addr")


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("arch_prctl", "addr", _value),
    ("modify_ldt", "ptr", _ldt_entry),
    ("set_thread_area", "u_info", pointed(user_descriptor)),
    ("get_thread_area", "u_info", pointed(_wanted_descriptor)),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("arch_prctl", _arch_prctl))
