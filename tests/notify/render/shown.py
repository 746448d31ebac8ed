"""
A call written down, from registers as a program passes them and memory by address.

What it is not: a call as a handler sees it (``monitor.testing``): here every pointer is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from monitor import Arch
from monitor.notify.render import Look, render
from monitor.testing.memory import FakeMemory

A: Final = 0x20000
B: Final = 0x30000
C: Final = 0x40000
D: Final = 0x50000
E: Final = 0x60000
NOWHERE: Final = 0xDEAD0000
"""An address that nothing is placed at."""

Line: TypeAlias = tuple[str, Sequence[int], Mapping[int, bytes], str]
"""A call, its registers, the memory they point to, and what strace 6.1 prints of it when the call is refused."""


def shown(
    name: str,
    registers: Sequence[int],
    memory: Mapping[int, bytes] | None = None,
    arch: Arch = Arch.X86_64,
    look: Look | None = None,
    links: Mapping[str, bytes] | None = None,
) -> str:
    """Return the call as it is shown; *links* are those of its folder in /proc."""
    fake = FakeMemory(links=dict(links or {}))
    for start, data in (memory or {}).items():
        fake.place(data, at=start)
    words = tuple(register % (1 << 64) for register in (*registers, *[0] * (6 - len(registers))))
    return str(render(name, arch, words, fake, look or Look()))
