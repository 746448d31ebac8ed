"""
Processes and threads that exist: what they are told, asked and made to be.

What it is not: how they come about (``clones``), or how much they may use (``limits``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from monitor.abi.constants import names
from monitor.abi.words import flags_word
from monitor.notify.render.kinds import Printer, addresses, decimal, hexed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import hexadecimal, octal, structure

# ---- personality ----

_PERSONA: Final = 0xFF
"""The part of a personality that is an enumeration (``PER_MASK``, include/uapi/linux/personality.h)."""

_ASK: Final = 0xFFFFFFFF
"""The personality that changes nothing (personality(2))."""


def _personality(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    if value == _ASK:
        return hexadecimal(value)
    persona = value & _PERSONA
    text = names("personality", scene.arch).get(persona, f"{persona:#x} /* PER_??? */")
    flags = value - persona
    return f"{text}|{flags_word('personality', flags, scene.arch).partition(' ')[0]}" if flags else text


# ---- kcmp ----

_EPOLL_SLOT: Final = Layout("I:efd I:tfd I:toff")


def _kcmp(scene: Scene) -> Sequence[str]:
    what = names("kcmp", scene.arch).get(scene.get("type"))
    compares_more = what in {None, "KCMP_FILE", "KCMP_EPOLL_TFD"}
    return ("pid1", "pid2", "type", "idx1", "idx2") if compares_more else ("pid1", "pid2", "type")


def _compared(scene: Scene, index: int) -> str:
    what = names("kcmp", scene.arch).get(scene.get("type"))
    if what is None:
        return hexed(scene, index)
    if what == "KCMP_EPOLL_TFD" and index == scene.signature.index_of("idx2"):
        return _epoll_slot(scene, scene.pointer(index))
    return str(scene.value(index) % (1 << 32))  # of another process: not one of the caller's fds


def _epoll_slot(scene: Scene, start: int) -> str:
    if not start:
        return "NULL"
    return structure((name, str(value)) for name, value in scene.struct(start, _EPOLL_SLOT).items())


# ---- umask ----


def _mask(scene: Scene, index: int) -> str:
    return octal(scene.bits(index) & 0xFFFF)  # the kernel's umode_t


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("personality", "persona", _personality),
    ("kcmp", "idx1", _compared),
    ("kcmp", "idx2", _compared),
    ("pidfd_getfd", "targetfd", decimal),  # the other process's: ours of that number is another file
    ("pidfd_getfd", "flags", hexed),
    ("process_mrelease", "flags", hexed),
    ("process_vm_readv process_vm_writev", "remote_iov", addresses),
    ("process_vm_readv", "local_iov", addresses),
    ("rseq", "rseq_len", hexed),
    ("rseq", "sig", hexed),
    ("umask", "mask", _mask),
    ("set_tid_address", "tidptr", hexed),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("kcmp", _kcmp))
