"""
Futexes: what futex(2) does is in its operation, and with it what its arguments are.

What it is not: the list of those a thread holds, which is an address (set_robust_list(2)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import names, values
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, elements, hexed, in_words
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, hexadecimal, structure
from monitor.notify.render.times import timespec

_ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "FUTEX_WAIT": ("val", "timeout"),
        "FUTEX_WAKE": ("val",),
        "FUTEX_FD": ("val",),
        "FUTEX_REQUEUE": ("val", "timeout", "uaddr2"),
        "FUTEX_CMP_REQUEUE": ("val", "timeout", "uaddr2", "val3"),
        "FUTEX_WAKE_OP": ("val", "timeout", "uaddr2", "val3"),
        "FUTEX_LOCK_PI": ("timeout",),
        "FUTEX_UNLOCK_PI": (),
        "FUTEX_TRYLOCK_PI": (),
        "FUTEX_WAIT_BITSET": ("val", "timeout", "val3"),
        "FUTEX_WAKE_BITSET": ("val", "val3"),
        "FUTEX_WAIT_REQUEUE_PI": ("val", "timeout", "uaddr2"),
        "FUTEX_CMP_REQUEUE_PI": ("val", "timeout", "uaddr2", "val3"),
        "FUTEX_LOCK_PI2": ("timeout",),
    }
)
"""What each operation has behind its own argument."""

_WAITS: Final = frozenset(name for name in _ARGUMENTS if "WAIT" in name or "_LOCK_" in name)
"""The operations whose fourth argument is a time; of others it is a second count."""


_COMMAND: Final = 0x7F
"""The bits of futex(2)'s second argument that are its operation; two flags are above them."""


def _operation(scene: Scene) -> str:
    """Return the operation without its flags; nothing for one that nobody knows."""
    return names("futex_op", scene.arch).get(scene.get("futex_op") & _COMMAND, "")


def _futex(scene: Scene) -> Sequence[str]:
    return ("uaddr", "futex_op", *_ARGUMENTS.get(_operation(scene), ("val", "timeout", "uaddr2", "val3")))


def _futex_op(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    flag = values("futex_op", scene.arch)
    private, realtime = flag["FUTEX_PRIVATE_FLAG"], flag["FUTEX_CLOCK_REALTIME"]
    name = _operation(scene)
    if not name or value & ~(_COMMAND | private | realtime):
        return f"{value:#x} /* FUTEX_??? */"
    if value & private:
        # FUTEX_FD went before the flag came: the pair never got a name.
        name += "|FUTEX_PRIVATE_FLAG" if name == "FUTEX_FD" else "_PRIVATE"
    return f"{name}|FUTEX_CLOCK_REALTIME" if value & realtime else name


def _timeout_or_count(scene: Scene, index: int) -> str:
    name = _operation(scene)
    if not name:
        return address(scene.pointer(index))
    if name in _WAITS:
        start = scene.pointer(index)
        return timespec(scene, start) if start else "NULL"
    return str(scene.registers[index] % (1 << 32))


def _third_value(scene: Scene, index: int) -> str:
    value, name = scene.bits(index), _operation(scene)
    if name == "FUTEX_WAKE_OP":
        return _wake_op(value, scene.arch)
    if name.endswith("_BITSET"):
        return word("futex_bitset", value, scene.arch)
    return str(value) if name else hexadecimal(value)


def _wake_op(value: int, arch: Arch) -> str:
    """Write what is done to the second futex word, and what it is compared with (futex(2), FUTEX_WAKE_OP)."""
    operation, compare = value >> 28, value >> 24 & 0xF
    parts = ["FUTEX_OP_OPARG_SHIFT<<28"] if operation & _SHIFTED else []
    parts += [
        _shifted("futex_wake_op", operation & ~_SHIFTED, 28, "FUTEX_OP_???", arch),
        f"{hexadecimal(value >> 12 & 0xFFF)}<<12",
        _shifted("futex_wake_cmp", compare, 24, "FUTEX_OP_CMP_???", arch),
        hexadecimal(value & 0xFFF),
    ]
    return "|".join(parts)


_SHIFTED: Final = 8
"""Set in the operation where its operand is the number of a bit (``FUTEX_OP_OPARG_SHIFT``)."""


def _shifted(group: str, value: int, place: int, label: str, arch: Arch) -> str:
    name = names(group, arch).get(value)
    return f"{value:#x}<<{place} /* {label} */" if name is None else f"{name}<<{place}"


# ---- futex_waitv and its kind ----

_WAITER: Final = Layout("Q:val Q:uaddr I:flags I:reserved")


def _waiter(scene: Scene, data: bytes) -> str:
    fields = _WAITER.read(data, scene.arch)
    shown = [
        ("val", hexadecimal(fields["val"])),
        ("uaddr", address(fields["uaddr"])),
        ("flags", word("futex_waiter", fields["flags"], scene.arch)),
    ]
    if fields["reserved"]:
        shown.append(("__reserved", hexadecimal(fields["reserved"])))
    return structure(shown)


def _waiters(scene: Scene, start: int, count: int) -> str:
    return elements(scene, start, count, _WAITER.size(scene.arch), lambda data: _waiter(scene, data))


def _wait_vector(scene: Scene, index: int) -> str:
    return _waiters(scene, scene.pointer(index), scene.get("nr_futexes"))


def _requeue_pair(scene: Scene, index: int) -> str:
    return _waiters(scene, scene.pointer(index), 2)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("futex futex_time64", "futex_op", _futex_op),
    ("futex futex_time64", "timeout", _timeout_or_count),
    ("futex futex_time64", "val3", _third_value),
    ("futex_waitv", "waiters", _wait_vector),
    ("futex_waitv", "flags", hexed),
    ("futex_requeue", "waiters", _requeue_pair),
    ("futex_wait", "val", hexed),
    ("futex_wait futex_wake", "mask", in_words("futex_bitset")),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("futex futex_time64", _futex))
