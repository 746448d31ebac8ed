"""
New processes and threads: clone(2), with its arguments in each ABI's order, and clone3(2).

What it is not: what becomes of them (``processes``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.words import flags_word, word
from monitor.errors import TargetMemoryError
from monitor.notify.render.kinds import Printer, elements, grown, hidden, in_words, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.segments import user_descriptor
from monitor.notify.render.signals import name_of
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, hexadecimal


def _has(scene: Scene, flags: int, *names: str) -> bool:
    named = values("clone", scene.arch)
    return any(flags & named[name] for name in names)


# ---- clone ----

_EXIT_SIGNAL: Final = 0xFF
"""The bits of clone(2)'s flags that are a signal (``CSIGNAL``, include/uapi/linux/sched.h)."""


def _clone(scene: Scene) -> Sequence[str]:
    flags = scene.get("flags")
    shown = ["stack", "flags"]
    if _has(scene, flags, "CLONE_PARENT_SETTID", "CLONE_PIDFD"):
        shown.append("parent_tid")
    if _has(scene, flags, "CLONE_SETTLS"):
        shown.append("tls")
    if _has(scene, flags, "CLONE_CHILD_SETTID", "CLONE_CHILD_CLEARTID"):
        shown.append("child_tid")
    return shown


def _named(name: str, printer: Printer) -> Printer:
    """Return a printer that says what it writes: the order of the registers differs between ABIs."""
    return lambda scene, index: f"{name}={printer(scene, index)}"


def _clone_flags(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    signal = value & _EXIT_SIGNAL
    if value == signal:
        return name_of(signal, scene.arch)
    flags = flags_word("clone", value - signal, scene.arch)
    return f"{flags}|{name_of(signal, scene.arch)}" if signal else flags


def _tls(scene: Scene, value: int) -> str:
    """Write where thread-local storage is: an address, but on i386 a descriptor of a segment."""
    if scene.arch is not Arch.I386 or not value:
        return address(value)
    try:
        return user_descriptor(scene, value)
    except TargetMemoryError:
        return address(value)


def _tls_argument(scene: Scene, index: int) -> str:
    return _tls(scene, scene.pointer(index))


# ---- clone3 ----

_ARGS: Final = Layout(
    "Q:flags Q:pidfd Q:child_tid Q:parent_tid Q:exit_signal Q:stack Q:stack_size Q:tls "
    "Q:set_tid Q:set_tid_size Q:cgroup"
)
_SMALLEST: Final = 64
"""The size that clone3(2) came with (``CLONE_ARGS_SIZE_VER0``, include/uapi/linux/sched.h)."""

_MOST_THREAD_IDS: Final = 32
"""``MAX_PID_NS_LEVEL`` (include/linux/pid_namespace.h): of how many pid namespaces a new thread can be."""


_BEHIND_FLAGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "pidfd": ("CLONE_PIDFD",),
        "child_tid": ("CLONE_CHILD_SETTID", "CLONE_CHILD_CLEARTID"),
        "parent_tid": ("CLONE_PARENT_SETTID",),
    }
)
"""The pointers that are shown where one of these flags makes the kernel use them."""


def _clone_args(scene: Scene, start: int) -> str:
    size, whole = scene.get("size"), _ARGS.size(scene.arch)
    known = min(size, whole)
    if known < _SMALLEST:
        return address(start)
    fields = _ARGS.read(scene.read(start, known).ljust(whole, b"\0"), scene.arch)
    flags = fields["flags"]
    shown = [("flags", word("clone3", flags, scene.arch))]
    shown += [(name, address(fields[name])) for name, flag in _BEHIND_FLAGS.items() if _has(scene, flags, *flag)]
    shown.append(("exit_signal", _exit_signal(scene, fields["exit_signal"])))
    shown.append(("stack", address(fields["stack"])))
    shown.append(("stack_size", hexadecimal(fields["stack_size"])))
    if _has(scene, flags, "CLONE_SETTLS"):
        shown.append(("tls", _tls(scene, fields["tls"])))
    if fields["set_tid"] or fields["set_tid_size"]:
        shown.append(("set_tid", _thread_ids(scene, fields["set_tid"], fields["set_tid_size"])))
        shown.append(("set_tid_size", str(fields["set_tid_size"])))
    if fields["cgroup"] or (known == whole and _has(scene, flags, "CLONE_INTO_CGROUP")):
        shown.append(("cgroup", str(fields["cgroup"])))
    return grown(scene, shown, start, known, size)


def _exit_signal(scene: Scene, number: int) -> str:
    return name_of(number, scene.arch) if number < 1 << 31 else str(number)


def _thread_ids(scene: Scene, start: int, count: int) -> str:
    if not count or count > _MOST_THREAD_IDS:
        return address(start)
    return elements(scene, start, count, 4, lambda data: str(int.from_bytes(data, scene.order, signed=True)))


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("clone", "stack", _named("child_stack", hidden)),
    ("clone", "flags", _named("flags", _clone_flags)),
    ("clone", "parent_tid", _named("parent_tid", hidden)),
    ("clone", "tls", _named("tls", _tls_argument)),
    ("clone", "child_tid", _named("child_tidptr", hidden)),
    ("clone3", "cl_args", pointed(_clone_args)),
    ("unshare", "flags", in_words("unshare")),
    ("setns", "nstype", in_words("namespace")),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("clone", _clone))
