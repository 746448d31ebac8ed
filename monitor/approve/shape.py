"""
Which questions are equal, and whose they are: what an answer that holds for more than one call goes by.

What it is not: what is shown to people.  Two calls have one shape if somebody who has allowed the one has
seen everything that the other is allowed.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from monitor.abi import syscalls
from monitor.notify.approval import Asks
from monitor.notify.decode import Call
from monitor.notify.target import glimpsed
from monitor.notify.verdict import Emulate

_VALUES: Final = frozenset({"int", "uint", "size", "flags", "mode", "pid", "uid", "gid", "signal", "offset", "cmd"})
"""Kinds of argument whose register says all (monitor/abi/tables/README.md); the number of an fd says nothing."""

_DELETED: Final = b" (deleted)"
"""What the kernel puts behind the name of an executed file that is gone; a file may be called so, too."""

Shape: TypeAlias = tuple[object, ...]


def shape_of(call: Call, asks: Asks) -> Shape:
    """
    Return what the question *asks* about *call* is equal by.

    Where a policy asks about names: the call, each class of access and each canonical name.  Where it asks
    about registers: the call, the rule, and every argument that is a value; what pointers lead to only where
    the call is done with what was looked up, since the kernel would read it again.
    """
    names = tuple((one.access, one.path) for one in asks.about if one.path is not None)
    rules = tuple(one.rule for one in asks.about if not one.access)
    if not rules:
        return call.audit_arch, call.nr, names
    return call.audit_arch, call.nr, names, rules, _values(call), _alone(call, asks)


def _values(call: Call) -> tuple[int, ...]:
    signature = None if call.arch is None else syscalls.signature_of(call.arch, call.name)
    if signature is None:
        return call.registers
    return tuple(call.args[index] for index, one in enumerate(signature.arguments) if one.kind in _VALUES)


def _alone(call: Call, asks: Asks) -> int:
    """Return what makes a question equal to no other, where the call is done with what has no name; else 0."""
    is_nameless = any(not one.access and one.path is None for one in asks.about)
    return call.id if is_nameless and isinstance(asks.allowed, Emulate) else 0


class Asker(NamedTuple):
    """
    The process behind a call.

    Attributes:
        pid: its number in our pid namespace; 0: it has none there.
        started: when it began, in clock ticks since boot: with the number it is this process and no later one.
        exe: what it executes, as ``/proc/PID/exe`` says it; empty: not known.
        file: device and inode of that.  The name alone is the target's to choose, in a root of its own.
    """

    pid: int
    started: int
    exe: bytes
    file: tuple[int, int] | None = None

    @property
    def program(self) -> tuple[bytes, tuple[int, int]] | None:
        """Which program it is; None: that cannot be told."""
        if self.file is None or not self.exe.startswith(b"/") or self.exe.endswith(_DELETED):
            return None
        return self.exe, self.file


def asker_of(call: Call) -> Asker:
    """Return the process behind *call*.  Raises TargetGone, and OSError: we have no fd to look with."""
    memory = glimpsed(call.target)
    return Asker(memory.process(), memory.started(), memory.link("exe"), memory.executed())
